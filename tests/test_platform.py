import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from video_platform import rules
from video_platform.errors import RulesError, SettingsError
from video_platform.platform import open_platform
from video_platform.rules_yaml import MAX_BYTES
from video_platform.services.database import outbox, rulesets
from video_platform.settings import Settings

RULES = "version: 1\nrules:\n  - {name: %s, when: {appears: person}}\n"


def test_a_fresh_home_has_tables_and_the_default_rules(tmp_path: Path) -> None:
    with open_platform(Settings(home=tmp_path / "home")) as platform:
        active = rulesets.active(platform.db)
        assert active is not None
        assert (active.text, active.source) == (rules.DEFAULT_TEXT, "default")
        assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_a_rules_file_is_applied_on_a_fresh_home_only(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES % "visitor")
    settings = Settings(home=tmp_path / "home", rules=file)
    with open_platform(settings) as platform:
        first = rulesets.active(platform.db)
    assert first is not None
    assert (first.text, first.source) == (RULES % "visitor", str(file))
    file.write_text(RULES % "other")
    with open_platform(settings) as platform:
        assert rulesets.active(platform.db) == first


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(None, SettingsError, id="missing"),
        pytest.param(b"\xff\xfe", SettingsError, id="not text"),
        pytest.param(b" " * (MAX_BYTES + 1), SettingsError, id="too large"),
        pytest.param(b"version: 1\nrules: [{name: x}]", RulesError, id="with mistakes"),
    ],
)
def test_a_rules_file_that_cannot_be_used_is_said_and_the_home_stays_fresh(tmp_path: Path, content: bytes | None, error: type[Exception]) -> None:
    file = tmp_path / "rules.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error, match=r"rules\.yaml"):
        open_platform(Settings(home=tmp_path / "home", rules=file))
    with open_platform(Settings(home=tmp_path / "home")) as platform:
        active = rulesets.active(platform.db)
        assert active is not None
        assert active.source == "default"


def test_what_is_not_used_is_not_opened(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with open_platform(settings):  # a fresh home looks among its objects for the rules of a database that was lost
        assert not settings.event_log_file.exists()
    shutil.rmtree(settings.objects_folder)
    with open_platform(settings):
        assert not settings.objects_folder.exists()


def test_a_log_that_cannot_be_opened_leaves_events_in_the_outbox(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    footage = tmp_path / "a.mp4"
    footage.write_bytes(b"footage")
    with open_platform(settings) as platform:
        settings.event_log_file.mkdir()
        assert platform.ingest.ingest_path(footage).created
        assert outbox.pending(platform.db).events == 1
        settings.event_log_file.rmdir()
        assert platform.relay.drain(datetime.now(UTC) + timedelta(minutes=1)) == 1
