"""One process per container: what each role starts, how it is asked whether it works, and that the relay and the code server really answer so."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from running import wait

from scripts.services.processes import free_ports
from video_platform.errors import SettingsError
from video_platform.settings import Settings
from video_platform.supervisor import containers
from video_platform.supervisor.containers import Role
from video_platform.supervisor.health import Question

DEADLINE_S = 120


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", dagster={"code_server": f"127.0.0.1:{free_ports(1)[0]}"})


def served(role: Role, settings: Settings) -> subprocess.Popen[bytes]:
    """`vp serve ROLE` as a container runs it, output into the home."""
    settings.home.mkdir(parents=True, exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VIDEO_PLATFORM_")},
        "VIDEO_PLATFORM_HOME": str(settings.home),
        "VIDEO_PLATFORM_DAGSTER__CODE_SERVER": settings.dagster.code_server,
    }
    with (settings.home / f"{role}.log").open("wb") as log:
        return subprocess.Popen([str(Path(sys.executable).parent / "vp"), "serve", role], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def healthy(settings: Settings) -> int:
    environment = {**os.environ, "VIDEO_PLATFORM_HOME": str(settings.home)}
    asked = [sys.executable, "-m", "video_platform.supervisor.health"]
    return subprocess.run(asked, env=environment, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.parametrize("role", [Role.RELAY, Role.CODE_SERVER])
def test_a_role_answers_while_it_runs_and_not_afterwards(role, settings):
    assert healthy(settings) == 1
    process = served(role, settings)
    try:
        wait(lambda: healthy(settings) == 0, DEADLINE_S, f"{role} is healthy: {settings.home / f'{role}.log'}")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM), (settings.home / f"{role}.log").read_text()
    if role is Role.CODE_SERVER:
        assert healthy(settings) == 1


def test_a_sign_of_life_grows_old(tmp_path):
    question = Question("file", str(tmp_path / "alive"), 60.0)
    assert question.ask() == "it has not begun its work"
    (tmp_path / "alive").touch()
    assert question.ask() is None
    os.utime(tmp_path / "alive", (time.time() - 90,) * 2)
    assert "no sign of life for 90 s" in (question.ask() or "")


@pytest.mark.parametrize("role", [Role.CODE_SERVER, Role.DAEMON, Role.DAGSTER])
def test_without_a_code_server_the_setting_is_named(role, tmp_path):
    with pytest.raises(SettingsError, match="VIDEO_PLATFORM_DAGSTER__CODE_SERVER"):
        containers.plan(role, Settings(home=tmp_path))


@pytest.mark.parametrize(("role", "bound"), [(Role.WEB, {"web": {"host": "0.0.0.0"}}), (Role.DAGSTER, {"dagster": {"host": "0.0.0.0", "code_server": "a:1"}})])
def test_strangers_are_refused_here_too(role, bound, tmp_path):
    with pytest.raises(SettingsError, match="would open the platform to the network"):
        containers.plan(role, Settings(home=tmp_path, **bound))


def test_daemon_and_page_read_where_the_code_server_is(settings):
    settings.dagster_home.mkdir(parents=True)
    host, port = settings.dagster.code_server.split(":")
    server = yaml.safe_load(containers.write_workspace(settings).read_text())["load_from"][0]["grpc_server"]
    assert server == {"host": host, "port": int(port), "location_name": "video_platform.definitions"}
    for role in (Role.DAEMON, Role.DAGSTER):
        assert str(settings.dagster_home / "served.workspace.yaml") in containers.plan(role, settings).command
    assert "--read-only" in containers.plan(Role.DAGSTER, settings, read_only=True).command
