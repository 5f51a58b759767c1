"""Which processes `vp up` runs, and where they answer."""

import json
import os
import shutil
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from video_platform.catalog import ADDRESSES_FILE
from video_platform.hosts import url_of
from video_platform.settings import PREFIX, Settings
from video_platform.supervisor.ports import free_port
from video_platform.supervisor.service import Spec

LOCATION = "video_platform.definitions"
"""Name of the code location: the same as `dagster -m` gives it, so that sensors keep their cursors whoever starts them."""

SOCKET_FOLDER = "video-platform-"

SOCKET_PATH_BYTES = 100
"""Unix socket paths end at 108 bytes (104 on macOS); a home that lies deeper gets its socket in a temporary folder."""

ASK_TIMEOUT_S = 2.0
"""One question whether a service answers."""

RUN_FAILURES_PER_TICK = "200"
"""Events that Dagster's run status sensors take per tick; its default of 5 lags behind a burst of failures."""


@dataclass(frozen=True)
class Addresses:
    """Where people and programs reach what runs: URLs without a slash at the end, and the code server's socket."""

    web: str
    web_port: int
    dagster: str
    dagster_port: int
    socket: Path


def choose_addresses(settings: Settings) -> Addresses:
    """Free ports for the web app and for Dagster's page.

    Raises:
        SettingsError: an address that is not loopback, without the word that says so on purpose.
    """
    settings.check_exposure()
    web_port = free_port(settings.web.host, settings.web.port)
    dagster_port = free_port(settings.dagster.host, settings.dagster.port, but=frozenset({web_port}))
    return Addresses(
        web=url_of(settings.web.host, web_port),
        web_port=web_port,
        dagster=url_of(settings.dagster.host, dagster_port),
        dagster_port=dagster_port,
        socket=_socket_path(settings.home),
    )


def write_addresses(settings: Settings, addresses: Addresses) -> None:
    """Write `addresses.json`, once everything answers, for programs that look for the running platform."""
    path = settings.home / ADDRESSES_FILE
    content = {"web": addresses.web, "dagster": addresses.dagster, "pid": os.getpid(), "started_at": datetime.now(UTC).isoformat(timespec="seconds")}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)


def environment(settings: Settings, addresses: Addresses) -> dict[str, str]:
    """What every service's environment holds besides the user's own: the home, Dagster's home, and the ports that were chosen."""
    paths = os.environ.get("PYTHONPATH")
    return {
        f"{PREFIX}HOME": str(settings.home),
        f"{PREFIX}WEB__PORT": str(addresses.web_port),
        f"{PREFIX}DAGSTER__PORT": str(addresses.dagster_port),
        f"{PREFIX}ACCESS__SIGN_IN": settings.access.sign_in,
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT": RUN_FAILURES_PER_TICK,
        "DAGSTER_RUN_STATUS_SENSOR_FETCH_LIMIT": RUN_FAILURES_PER_TICK,
        "PYTHONSAFEPATH": "1",  # a stray gql.py in the folder where `vp up` was typed has stopped Dagster's web server
        # then the first folder in which Python looks is the user's own, and Dagster takes it for that of a script and leaves it out: here it gets one for that
        **({"PYTHONPATH": os.pathsep.join((__file__, paths))} if paths else {}),
    }


def write_workspace(settings: Settings, addresses: Addresses) -> Path:
    """The workspace file that daemon and web server read: one code server, on a socket that only this user can open."""
    path = settings.dagster_home / "up.workspace.yaml"
    server = {"socket": str(addresses.socket), "location_name": LOCATION}
    path.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML
    return path


def specs(settings: Settings, addresses: Addresses, workspace: Path) -> list[Spec]:
    """The services in the order in which people read about them."""
    python, common = sys.executable, environment(settings, addresses)
    code_server = [python, "-m", "video_platform.supervisor.code_server", str(addresses.socket)]
    daemon = [python, "-m", "video_platform.supervisor.daemon", str(workspace)]
    page = [python, "-m", "video_platform.supervisor.dagster_page", settings.dagster.host, str(addresses.dagster_port), str(workspace)]
    warm = settings.runs.launcher == "warm"
    needs_code = ("code-server", "run-host") if warm else ("code-server",)
    host = [python, "-m", "video_platform.pipeline.run_host"]
    run_host = [Spec("run-host", "run host", host, lambda log: "ready" in log, common, leaves_work=True)] if warm else []
    return [
        Spec("relay", "relay", [python, "-m", "video_platform.services.relay"], lambda log: "ready" in log, common),
        Spec("code-server", "Dagster's code server", code_server, _listens(addresses.socket), common),
        *run_host,
        Spec("daemon", "Dagster's daemon (sensors and queue)", daemon, lambda log: "following daemons" in log, common, needs_code),
        Spec("dagster-web", "Dagster's page", page, _serves(f"{addresses.dagster}/server_info"), common, needs_code),
        Spec("web", "web app", [python, "-m", "ui.server"], _serves(f"{addresses.web}/_stcore/health"), common),
    ]


def forget_addresses(settings: Settings, addresses: Addresses) -> None:
    """Remove `addresses.json` and the code server's socket, with its folder where that is a temporary one."""
    (settings.home / ADDRESSES_FILE).unlink(missing_ok=True)
    addresses.socket.unlink(missing_ok=True)
    if addresses.socket.parent.name.startswith(SOCKET_FOLDER):
        shutil.rmtree(addresses.socket.parent, ignore_errors=True)


def _socket_path(home: Path) -> Path:
    path = home / "dagster" / "code-server.sock"
    if len(os.fsencode(path)) < SOCKET_PATH_BYTES:
        path.unlink(missing_ok=True)
        return path
    return Path(tempfile.mkdtemp(prefix=SOCKET_FOLDER)) / "code-server.sock"


def _listens(path: Path) -> Callable[[str], bool]:
    def answers(_log: str) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ASK_TIMEOUT_S)
            try:
                client.connect(str(path))
            except OSError:
                return False
            return True

    return answers


def _serves(url: str) -> Callable[[str], bool]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business between two processes of one machine

    def answers(_log: str) -> bool:
        try:
            with opener.open(url, timeout=ASK_TIMEOUT_S) as reply:
                return reply.status == 200
        except (OSError, urllib.error.URLError, ValueError):
            return False

    return answers
