"""The sensor that observes what is configured: once per change, and not for a language-model server that only restarts."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from fake_ollama import FakeOllama
from graphs import tick

from sensors import configuration
from sensors.configuration import PATIENCE, observe
from video_platform.pipeline.configured import ALL, DETECTOR, PROMPTS, RULES, SECOND_LOOKER, VISION
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.resources import Desk, Workplace
from video_platform.platform import open_platform
from video_platform.services.database import rulesets
from video_platform.services.database.tables import rule_sets
from video_platform.settings import DetectionSettings, LanguageModelSettings, Settings

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def sensor(ticking):
    return ticking(configuration)


def told(sensor, result):
    """The assets of the observations in `result`, which Dagster's daemon would now report."""
    for event in result.asset_events:
        sensor.instance.report_runless_asset_event(event)
    return [event.asset_key.path[-1] for event in result.asset_events]


def at(sensor, settings, now):
    """A tick at `now` with these settings."""
    workplace = Workplace(settings)
    with dg.build_sensor_context(instance=sensor.instance, cursor=sensor.cursor) as context:
        result = observe(context, Desk(workplace, None, force=False), now)
    workplace.close()
    sensor.cursor = result.cursor
    return told(sensor, result)


def test_each_is_observed_once(sensor):
    assert told(sensor, sensor.tick()) == list(ALL)
    for _ in range(3):
        assert told(sensor, sensor.tick()) == []


def test_a_tick_that_is_replayed_tells_nothing_twice(sensor):
    told(sensor, sensor.tick())
    sensor.cursor = None
    assert told(sensor, sensor.tick()) == []


def test_only_what_changed_is_observed(sensor, settings):
    told(sensor, sensor.tick())
    text = "version: 1\nrules: [{name: car, when: {appears: car}}]\n"
    rulesets.apply(sensor.workplace.platform.db, text, source="t", who="t", why="t", now=NOW)
    assert told(sensor, sensor.tick()) == [RULES]
    assert at(sensor, settings.model_copy(update={"detection": DetectionSettings(samples_per_s=2)}), NOW) == [DETECTOR]


def test_a_server_that_restarts_makes_no_change_and_one_that_stays_away_does(sensor, settings):
    with FakeOllama() as server:
        model = settings.model_copy(update={"language_model": LanguageModelSettings(host=server.address)})
        assert PROMPTS in at(sensor, model, NOW)
    assert at(sensor, model, NOW) == []
    assert at(sensor, model, NOW + PATIENCE - timedelta(seconds=1)) == []
    assert at(sensor, model, NOW + PATIENCE) == [PROMPTS]
    assert at(sensor, model, NOW + 2 * PATIENCE) == []


def test_patience_begins_anew_when_the_server_was_back(sensor, settings):
    with FakeOllama() as server:
        model = settings.model_copy(update={"language_model": LanguageModelSettings(host=server.address)})
        at(sensor, model, NOW)
        away = settings.model_copy(update={"language_model": LanguageModelSettings(host="127.0.0.1:9")})
        assert at(sensor, away, NOW) == []
        assert at(sensor, model, NOW + PATIENCE / 2) == []
        assert at(sensor, away, NOW + PATIENCE) == []


def test_what_cannot_be_looked_at_leaves_the_others(sensor, settings):
    with sensor.workplace.platform.db.write() as connection:
        connection.execute(rule_sets.insert().values(text="version: 9", hash="0", source="newer", who="t", why="t", applied_at=NOW))
    unknown = {"detection": DetectionSettings(model="unheard-of")}
    assert at(sensor, settings.model_copy(update=unknown), NOW) == [PROMPTS, VISION, SECOND_LOOKER]


def test_a_cursor_that_nobody_can_read_starts_afresh(sensor):
    sensor.cursor = "{"
    assert told(sensor, sensor.tick()) == list(ALL)


def test_dagsters_own_loop_observes(tmp_path):
    settings = Settings(home=tmp_path / "home")
    with open_platform(settings):
        pass
    tick(settings.home, ticks=2)
    with open_instance(settings) as instance:
        assert [len(instance.fetch_observations(dg.AssetKey(asset), limit=5).records) for asset in ALL] == [1] * len(ALL)
        assert instance.get_runs() == []
