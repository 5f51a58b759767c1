"""The table of docs/backfills.md, row by row: what the plan names, what a backfill executes on real footage, and what Dagster calls stale meanwhile."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import tiny_models
from backfilling import work_off
from fake_ollama import FakeOllama
from graphs import states
from sentence_models import tiny_model
from staleness import FRESH, observe, stale

from video_platform import model_registry
from video_platform.access import ANYONE
from video_platform.catalog import Catalog
from video_platform.deeds import Deeds
from video_platform.layout import ALERTS, DESCRIBED_ALERTS, DETECTIONS, HIGHLIGHTS, LLM_SUMMARY, PROCESSED_VIDEO, SCENES, SEARCH_INDEX, TRACKS
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.planning import Cause
from video_platform.services import model_downloads
from video_platform.services.database import backfills, ledger, outbox, rulesets, search
from video_platform.services.database.backfills import ItemState, State
from video_platform.settings import LanguageModelSettings, SearchSettings

RULES = """
version: 1
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.95]}
rules:
  - {name: crossing, when: {crosses: path, class: person}, cooldown: 0s}
"""


@dataclass(frozen=True)
class Row:
    """One row: what is changed, which cause that is, what the plan names, what is executed, and what Dagster names stale before.

    Where content stays the same the wave stops: `made` is then less than `planned`.
    """

    cause: Cause
    planned: tuple[str, ...]
    made: frozenset[str]
    stale: dict[str, list[str]]
    change: object = field(compare=False, default=None)


def settings(group, **values):
    def change(graph):
        graph.settings = graph.settings.model_copy(update={group: getattr(graph.settings, group).model_copy(update=values)})

    return change


def detector(graph):
    """One entry in a file of the user's, fetched, and named by the setting: a D-FINE of random weights, whose scores all lie near one half."""
    home = graph.settings.home
    registry = tiny_models.register(home.parent / "mine.yaml", "tiny-dfine", tiny_models.dfine(home.parent / "tiny-dfine"))
    settings("models", registry=registry)(graph)
    known = model_registry.of(graph.settings)
    model_downloads.pull(graph.settings, known, known.entries["tiny-dfine"])
    settings("detection", model="tiny-dfine")(graph)


def rules(graph):
    with graph.platform() as platform:
        rulesets.apply(platform.db, RULES, source="test", who="test", why="test", now=datetime.now(UTC))


def recording(graph):
    with graph.platform() as platform:
        (record,) = [each.record for each in Catalog(platform.settings, platform.db, platform.store).videos().items]
        platform.ingest.correct(record.video_id, camera="gate", recorded_at=datetime(2026, 11, 1, 12, tzinfo=UTC))


ROWS = [
    pytest.param(Row(Cause.RULES, (ALERTS, HIGHLIGHTS), frozenset({ALERTS, HIGHLIGHTS}), {ALERTS: ["rules"]}, rules), id="rules"),
    pytest.param(
        Row(
            Cause.TRACKER,
            (TRACKS, ALERTS, HIGHLIGHTS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX),
            frozenset({TRACKS, ALERTS, HIGHLIGHTS}),
            FRESH,
            settings("tracking", min_score=0.62),
        ),
        id="tracker",
    ),
    pytest.param(
        Row(
            Cause.DETECTOR,
            (DETECTIONS, TRACKS, ALERTS, HIGHLIGHTS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX),
            frozenset({DETECTIONS, TRACKS}),
            {DETECTIONS: ["detector"]},
            settings("detection", store_score=0.3),
        ),
        id="detector",
    ),
    pytest.param(
        Row(
            Cause.DETECTOR,
            (DETECTIONS, TRACKS, ALERTS, HIGHLIGHTS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX),
            frozenset({DETECTIONS, TRACKS, ALERTS, HIGHLIGHTS}),
            {DETECTIONS: ["detector"]},
            detector,
        ),
        id="detector model",
        marks=pytest.mark.models,
    ),
    pytest.param(
        Row(Cause.PROXY, (PROCESSED_VIDEO, HIGHLIGHTS), frozenset({PROCESSED_VIDEO, HIGHLIGHTS}), FRESH, settings("proxy", height=360, remux=False)),
        id="proxy",
    ),
    pytest.param(
        Row(Cause.SCENES, (SCENES, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX), frozenset({SCENES}), FRESH, settings("scenes", threshold=0.5)), id="scenes"
    ),
    pytest.param(Row(Cause.RECORDING, (ALERTS, HIGHLIGHTS), frozenset({ALERTS}), FRESH, recording), id="recording"),
]


def deeds(platform):
    return Deeds(platform, Catalog(platform.settings, platform.db, platform.store), ANYONE)


@pytest.mark.parametrize("row", ROWS)
def test_a_backfill_makes_what_the_table_says_and_nothing_else(processed, row):
    graph, video_id = processed
    observe(graph)
    with graph.platform() as platform:
        alerts = {alert.id for alert in ledger.page(platform.db, video_id=video_id)[0]}
    row.change(graph)
    observe(graph)
    assert stale(graph, video_id) == row.stale
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert [each.cause for each in plan.causes] == [row.cause]
        assert plan.causes[0].assets == dict.fromkeys(row.planned, 1)
        assert plan.causes[0].seconds > 0
        started = deeds(platform).start_backfill(row.cause)
    done, runs = work_off(graph)
    assert {asset for (asset, _), state in done.items() if state == "made"} == row.made
    assert {asset for asset, _ in done} <= set(row.planned)
    assert runs == 1
    if LLM_SUMMARY in row.planned and {TRACKS, ALERTS} <= row.made:  # the tracks became others, not only new
        assert_summary_follows(graph, video_id)
    assert stale(graph, video_id) == FRESH
    with graph.platform() as platform:
        after = backfills.get(platform.db, started.id)
        assert (after.state, after.counts[ItemState.DONE]) == (State.DONE, 1)
        (item,) = backfills.listed(platform.db, started.id)
        assert set(item.made) == row.made
        assert item.spent_s > 0
        assert not deeds(platform).plan().causes
        if row.cause is Cause.RECORDING:
            assert {alert.id for alert in ledger.page(platform.db, video_id=video_id)[0]} == alerts


def assert_summary_follows(graph, video_id):
    """Changed tracks announce themselves, and the run that this event asks for writes the summary and makes it findable."""
    with graph.platform() as platform:
        assert outbox.newest_event(platform.db, video_id, "processed-videos")
        assert deeds(platform).plan().cause(Cause.UNFINISHED).assets == {LLM_SUMMARY: 1, SEARCH_INDEX: 1}
    assert states(graph.run(video_id, job=DESCRIBE_VIDEO)) == {DESCRIBED_ALERTS: "reused", LLM_SUMMARY: "made", SEARCH_INDEX: "made"}


def test_another_model_that_writes_makes_the_summary_and_what_search_finds_and_nothing_else(processed):
    graph, video_id = processed
    observe(graph)
    with FakeOllama() as server:
        graph.settings = graph.settings.model_copy(update={"language_model": LanguageModelSettings(host=server.address)})
        observe(graph)
        assert stale(graph, video_id) == {LLM_SUMMARY: ["prompts"]}
        with graph.platform() as platform:
            plan = deeds(platform).plan()
            assert {each.cause: each.assets for each in plan.causes} == {Cause.SUMMARY: {LLM_SUMMARY: 1, SEARCH_INDEX: 1}}
            deeds(platform).start_backfill(Cause.SUMMARY)
        done, _ = work_off(graph)
        assert done == {(LLM_SUMMARY, video_id): "made", (SEARCH_INDEX, video_id): "made"}
        assert stale(graph, video_id) == FRESH


ASKED = """
version: 1
rules:
  - {name: person, when: {appears: person}}
  - {name: drone, when: {sees: "a drone"}}
"""


def asking(graph, text=ASKED):
    with graph.platform() as platform:
        rulesets.apply(platform.db, text, source="test", who="test", why="test", now=datetime.now(UTC))


def worked_off(graph, cause):
    """What the plan names for the only cause there is, and what a backfill of it makes."""
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert [each.cause for each in plan.causes] == [cause]
        planned = set(plan.causes[0].assets)
        deeds(platform).start_backfill(cause)
    done, _ = work_off(graph)
    return planned, {asset for (asset, _), state in done.items() if state == "made"}


def seeing(server, digest="5" * 64):
    server.models["seer:latest"] = digest
    server.capabilities["seer:latest"] = ["completion", "vision"]
    return LanguageModelSettings(host=server.address, model="none", vision_model="seer:latest")


def test_rules_that_no_track_answers_make_described_alerts_and_nothing_else(processed):
    """A new `sees` rule, another question, another model that sees, and a rule over tracks beside it."""
    graph, video_id = processed
    with FakeOllama(reply=lambda prompt: '{"answer": "no"}') as server:
        graph.settings = graph.settings.model_copy(update={"language_model": seeing(server)})
        observe(graph)
        asking(graph)
        observe(graph)
        assert stale(graph, video_id) == {DESCRIBED_ALERTS: ["described_rules"]}
        assert worked_off(graph, Cause.RULES) == ({DESCRIBED_ALERTS}, {DESCRIBED_ALERTS})
        assert stale(graph, video_id) == FRESH
        asked = len(server.requests)
        assert asked
        asking(graph, ASKED.replace("a drone", "a balloon"))
        assert worked_off(graph, Cause.RULES) == ({DESCRIBED_ALERTS}, {DESCRIBED_ALERTS})
        assert len(server.requests) == 2 * asked
        graph.settings = graph.settings.model_copy(update={"language_model": seeing(server, "6" * 64)})
        assert worked_off(graph, Cause.VISION) == ({DESCRIBED_ALERTS}, {DESCRIBED_ALERTS})
        assert len(server.requests) == 3 * asked
        asking(graph, ASKED.replace("a drone", "a balloon").replace("appears: person}", "appears: person}, cooldown: 1s"))
        planned, made = worked_off(graph, Cause.RULES)
        assert (planned, made & {DESCRIBED_ALERTS}) == ({ALERTS, HIGHLIGHTS}, set())
        assert len(server.requests) == 3 * asked


def test_a_change_of_both_kinds_of_rules_is_one_backfill(processed):
    graph, _ = processed
    with FakeOllama(reply=lambda prompt: '{"answer": "no"}') as server:
        graph.settings = graph.settings.model_copy(update={"language_model": seeing(server)})
        asking(graph, ASKED.replace("appears: person}", "appears: person}, cooldown: 1s"))
        planned, made = worked_off(graph, Cause.RULES)
        assert planned == {ALERTS, HIGHLIGHTS, DESCRIBED_ALERTS}
        assert {ALERTS, DESCRIBED_ALERTS} <= made
        with graph.platform() as platform:
            assert deeds(platform).plan().causes == []


def test_a_model_that_sees_and_is_away_outdates_nothing(processed):
    graph, video_id = processed
    with FakeOllama(reply=lambda prompt: '{"answer": "no"}') as server:
        graph.settings = graph.settings.model_copy(update={"language_model": seeing(server)})
        asking(graph)
        graph.run(video_id, [DESCRIBED_ALERTS], job=DESCRIBE_VIDEO)
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert plan.causes == []
        assert "Ollama" in plan.unknown[Cause.VISION]


def test_what_an_earlier_version_processed_becomes_findable_by_a_backfill(processed):
    graph, video_id = processed
    with graph.platform() as platform:
        platform.store.delete_prefix(f"videos/{video_id}/search_index/")
        with platform.db.write() as connection:
            search.forget(connection, video_id)
        plan = deeds(platform).plan()
        assert {each.cause: each.assets for each in plan.causes} == {Cause.UNFINISHED: {SEARCH_INDEX: 1}}
        deeds(platform).start_backfill(Cause.UNFINISHED)
    assert work_off(graph) == ({(SEARCH_INDEX, video_id): "made"}, 1)
    with graph.platform() as platform:
        assert search.indexed(platform.db) == {video_id}
        assert deeds(platform).plan().causes == []


def test_a_sentence_model_that_comes_or_goes_makes_only_what_search_finds(processed, tmp_path):
    graph, video_id = processed
    graph.settings = graph.settings.model_copy(update={"search": SearchSettings(model=tiny_model(tmp_path / "model"))})
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert {each.cause: each.assets for each in plan.causes} == {Cause.SEARCH: {SEARCH_INDEX: 1}}
        deeds(platform).start_backfill(Cause.SEARCH)
    assert work_off(graph) == ({(SEARCH_INDEX, video_id): "made"}, 1)
    with graph.platform() as platform:
        assert search.state(platform.db, video_id).model


def test_a_model_that_is_away_outdates_no_summary(processed):
    """The template would write now, but nobody wants a model's summary replaced because its server restarts."""
    graph, video_id = processed
    with FakeOllama() as server:
        graph.settings = graph.settings.model_copy(update={"language_model": LanguageModelSettings(host=server.address)})
        graph.run(video_id, job=DESCRIBE_VIDEO)
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert plan.causes == []
        assert "Ollama" in plan.unknown[Cause.SUMMARY]


def test_nothing_changed_nothing_is_planned_or_asked_for(processed):
    graph, _ = processed
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert (plan.causes, plan.videos, plan.current, plan.seconds) == ([], 1, 1, 0)
    assert work_off(graph) == ({}, 0)


def test_what_was_made_again_meanwhile_is_not_even_launched(processed):
    graph, video_id = processed
    rules(graph)
    with graph.platform() as platform:
        started = deeds(platform).start_backfill(Cause.RULES)
    graph.run(video_id)
    assert work_off(graph) == ({}, 0)
    with graph.platform() as platform:
        assert backfills.get(platform.db, started.id).counts[ItemState.REUSED] == 1
