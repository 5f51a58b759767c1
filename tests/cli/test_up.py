"""`vp up` as people run it: real processes, a real daemon, killed in the middle of a video."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from video_platform.cli.up import announce
from video_platform.settings import AccessSettings, Settings
from video_platform.supervisor.processes import home_mark, marked
from video_platform.supervisor.stack import Addresses, environment

CLIP = Path(__file__).parents[2] / "samples" / "crossing.mp4"
UP = "import sys; from video_platform import cli; sys.exit(cli.main(['up', *sys.argv[1:]]))"
START_S = 240
STOP_S = 30
PROCESS_S = 400
"""Deadlines for a machine that is busy with other things; a quiet one needs 10, 3 and 25 seconds."""


def wait_for(condition, what, deadline_s):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    pytest.fail(f"not within {deadline_s} s: {what}")


@pytest.fixture
def up(home, monkeypatch):
    """Start `vp up` on free ports and wait for its addresses; whatever is left in the end is swept."""
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__PORT", "0")
    monkeypatch.setenv("VIDEO_PLATFORM_DAGSTER__PORT", "0")
    started = []
    log = home.parent / "up.log"

    def start(*options):
        with log.open("ab") as output:
            process = subprocess.Popen([sys.executable, "-c", UP, *options], stdout=output, stderr=output)
        started.append(process)
        wait_for(lambda: (home / "addresses.json").exists() or process.poll() is not None, "vp up answers", START_S)
        assert process.poll() is None, log.read_text()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    for left in marked(home_mark(home)):
        left.kill()


def worker(home):
    """The child process that decodes for this home, when there is one."""
    for process in marked(home_mark(home)):
        try:
            if "video_platform.analysis" in " ".join(process.cmdline()):
                return process
        except psutil.Error:
            continue
    return None


def state(vp, video_id):
    return vp("show", video_id, "--json").json["state"]


@pytest.mark.parametrize(
    ("access", "line"),
    [
        ({}, "web app and API: http://127.0.0.1:8501"),
        ({"sign_in": "users"}, "web app and API: http://127.0.0.1:8501"),
        ({"sign_in": "link"}, "web app and API: http://127.0.0.1:8501  (lets in who comes by a link; `vp users link NAME` makes one)"),
        ({"sign_in": "users", "public_url": "https://video.example.org"}, "web app and API: https://video.example.org"),
    ],
)
def test_the_address_that_is_told_is_the_one_that_people_can_use(tmp_path, capsys, access, line):
    settings = Settings(home=tmp_path / "home", access=AccessSettings(**access))
    announce(settings, Addresses("http://127.0.0.1:8501", 8501, "http://127.0.0.1:3000", 3000, tmp_path / "socket"), None)
    assert line in capsys.readouterr().out.splitlines()


@pytest.mark.timeout(1200)
def test_ctrl_c_in_the_middle_of_a_video_leaves_no_process_and_the_next_start_finishes_it(vp, up, home):
    process = up()
    refused = vp("process", CLIP)
    assert refused.status == 1
    assert "use `vp ingest PATH --wait`" in refused.err
    video_id = vp("ingest", CLIP, "--json").json[0]["video_id"]
    wait_for(lambda: worker(home), "the run decodes", PROCESS_S)
    process.send_signal(signal.SIGINT)
    assert process.wait(STOP_S) == 0
    assert marked(home_mark(home)) == []
    assert not (home / "addresses.json").exists()
    up()
    wait_for(lambda: state(vp, video_id) == "ready", "the interrupted video is ready", PROCESS_S)
    assert len({alert["id"] for alert in vp("alerts", "--json").json}) == 1


@pytest.mark.timeout(1200)
def test_a_kill_in_the_middle_of_a_video_leaves_no_process_and_the_next_start_finishes_it(vp, up, home):
    process = up()
    video_id = vp("ingest", CLIP, "--json").json[0]["video_id"]
    wait_for(lambda: worker(home), "the run decodes", PROCESS_S)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not marked(home_mark(home)), "nothing is left", STOP_S)
    (home / "addresses.json").unlink()
    up()
    ran = vp("ingest", CLIP, "--wait")
    assert ran.status == 0
    assert f"{video_id}: ready" in ran.out


@pytest.mark.timeout(600)
def test_share_asks_for_a_sign_in_and_lets_a_guest_in_once_with_the_rights_that_were_given(up, home):
    up("--share", "--role", "viewer", "--camera", "gate-*")
    told = wait_for(lambda: re.findall(r"(http://\S+)/sign-in/link\?token=(\S+)", (home.parent / "up.log").read_text()), "the links are told", START_S)
    (base, _mine), (_, given) = told
    assert httpx.get(f"{base}/api/videos").status_code == 401
    with httpx.Client(base_url=base) as guest:
        assert guest.post("/sign-in/link", data={"token": given}).status_code == 303
        assert guest.get("/api/videos").json()["items"] == []
        assert guest.post("/api/rules/apply", json={"text": "version: 1"}).status_code == 403
        assert guest.post("/api/videos", files={"file": ("a.mp4", b"x")}).status_code == 403
    with httpx.Client(base_url=base) as other:
        assert other.post("/sign-in/link", data={"token": given}).status_code == 401
        assert other.get("/api/videos").status_code == 401


def test_an_address_that_the_network_reaches_is_refused(vp, monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__HOST", "0.0.0.0")
    ran = vp("up")
    assert ran.status == 1
    assert "VIDEO_PLATFORM_WEB__TRUST_NETWORK=true" in ran.err


def test_what_lies_on_the_users_own_path_is_found(tmp_path, monkeypatch):
    """Dagster leaves the first folder out while it imports definitions: it takes it for that of a script, which there is none of."""
    (tmp_path / "lies_on_the_path.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    given = environment(Settings(home=tmp_path / "home"), Addresses("http://127.0.0.1:8501", 8501, "http://127.0.0.1:3000", 3000, tmp_path / "socket"))
    code = "from dagster._core.code_pointer import load_python_module; load_python_module('lies_on_the_path', None)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **given}, check=True, timeout=120)
