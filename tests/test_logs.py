"""Lines that processes write about themselves, read as whoever collects them does: from the stderr of a process."""

import json
import os
import subprocess
import sys

import pytest

from video_platform import logs
from video_platform.settings import load

SAYING = """
import logging, warnings
from video_platform import logs
from video_platform.settings import load

logs.configure(load(), "relay")
ours, library = logging.getLogger("video_platform.services.relay"), logging.getLogger("httpx")
logs.announce(ours, "ready")
ours.debug("a detail")
ours.info("nothing in particular")
library.info("HTTP Request: GET http://127.0.0.1/")
with logs.about(video_id="0123456789abcdef", run_id=None):
    with logs.about(event_id="e-1"):
        library.warning("the store at http://vp:hunter22@127.0.0.1 answers\\nwith %s", "s3cret-key-of-ours")
    ours.info("inner ids are gone")
try:
    raise ValueError("no s3cret-key-of-ours here")
except ValueError:
    ours.exception("broken")
warnings.warn("old")
"""
SECRETS = {"VIDEO_PLATFORM_OBJECTS__SECRET_KEY": "s3cret-key-of-ours", "VIDEO_PLATFORM_LANGUAGE_MODEL__TOKEN": "abc"}


def said(**settings: str) -> list[str]:
    told = {f"VIDEO_PLATFORM_LOG__{name.upper()}": value for name, value in settings.items()}
    process = subprocess.run([sys.executable, "-c", SAYING], env={**os.environ, **SECRETS, **told}, capture_output=True, text=True, check=True)
    assert process.stdout == ""
    return process.stderr.splitlines()


def test_json_has_one_object_per_line_with_part_and_ids() -> None:
    ready, info, warned, after, broken, old = [json.loads(line) for line in said(format="json")]
    assert (ready["event"], ready["level"], ready["part"], ready["logger"]) == ("ready", "info", "relay", "video_platform.services.relay")
    assert info["event"] == "nothing in particular"
    assert "video_id" not in info
    assert (warned["video_id"], warned["event_id"], warned["logger"], warned["level"]) == ("0123456789abcdef", "e-1", "httpx", "warning")
    assert "run_id" not in warned
    assert (after["video_id"], "event_id" in after) == ("0123456789abcdef", False)
    assert broken["level"] == "error"
    assert broken["exception"].startswith("Traceback (most recent call last)")
    assert "UserWarning: old" in old["event"]
    assert ready["timestamp"] <= old["timestamp"]


def test_text_has_the_ids_behind_the_message() -> None:
    lines = said()
    assert lines[1].endswith("INFO video_platform.services.relay nothing in particular")
    assert "with *** [video_id=0123456789abcdef event_id=e-1]" in "\n".join(lines)


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_of_the_settings_and_no_password_in_an_address_is_written(form: str) -> None:
    text = "\n".join(said(format=form))
    assert "s3cret-key-of-ours" not in text
    assert "hunter22" not in text
    assert "http://vp:***@127.0.0.1" in text
    assert text.count("***") == 3


def test_what_a_library_writes_itself_is_not_written_twice() -> None:
    script = """
import logging
from video_platform import logs
from video_platform.settings import load

logs.configure(load(), "daemon")
logging.getLogger("dagster").addHandler(logging.StreamHandler())
logging.getLogger("dagster.daemon").error("once")
"""
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stderr == "once\n"


def test_level_holds_for_all_but_what_the_supervisor_waits_for() -> None:
    events = [json.loads(line)["event"] for line in said(format="json", level="ERROR")]
    assert events == ["ready", "broken"]


def test_details_are_said_when_they_are_asked_for() -> None:
    assert "a detail" in "\n".join(said(level="DEBUG"))


@pytest.mark.parametrize(("form", "wanted"), [("text", "colored"), ("json", "json")])
def test_dagster_is_told_the_same(form: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_PLATFORM_LOG__FORMAT", form)
    assert logs.dagster_options(load()) == ["--log-format", wanted, "--log-level", "info"]
    monkeypatch.setenv("VIDEO_PLATFORM_LOG__LEVEL", "DEBUG")
    assert logs.dagster_options(load())[-1] == "debug"
    monkeypatch.setenv("VIDEO_PLATFORM_LOG__LEVEL", "ERROR")
    assert logs.dagster_options(load())[-1] == "info"  # `vp up` waits for words of this level
