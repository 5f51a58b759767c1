"""The processes of the platform one by one, each where it has a container (or a machine) of its own. `vp up` runs them together and needs none of this.

What they share is outside: Kafka, the S3 store, PostgreSQL. Their homes hold only scratch and Dagster's configuration, which each writes from its settings.
"""

import json
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from video_platform import local_run
from video_platform.errors import SettingsError
from video_platform.hosts import url_of
from video_platform.settings import PREFIX, Settings
from video_platform.supervisor.health import Question
from video_platform.supervisor.stack import LOCATION, RUN_FAILURES_PER_TICK

ALIVE_FILE = "alive"
RELAY_FRESH_S = 60.0
DAEMON_FRESH_S = 180.0
"""How old a sign of life may be. The relay looks every second, unless a batch is slow; Dagster's daemons report every 30 s, and late on a busy machine."""

EVERYWHERE = "0.0.0.0"


class Role(StrEnum):
    """What one container does."""

    RELAY = "relay"
    CODE_SERVER = "code-server"
    DAEMON = "daemon"
    DAGSTER = "dagster"
    WEB = "web"


@dataclass(frozen=True)
class Serving:
    """One process: what is started, with what in its environment, and how it is asked whether it works."""

    command: list[str]
    environment: dict[str, str]
    question: Question


def plan(role: Role, settings: Settings, *, read_only: bool = False) -> Serving:
    """What `role` runs.

    Raises:
        SettingsError: a setting is missing, or would open the platform to strangers.
    """
    python = sys.executable
    alive = str(settings.home / ALIVE_FILE)
    common = {"DAGSTER_HOME": str(settings.dagster_home), "PYTHONSAFEPATH": "1"}
    daemons = {"DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT": RUN_FAILURES_PER_TICK, "DAGSTER_RUN_STATUS_SENSOR_FETCH_LIMIT": RUN_FAILURES_PER_TICK}
    workspace = str(settings.dagster_home / "served.workspace.yaml")
    match role:
        case Role.RELAY:
            return Serving([python, "-m", "video_platform.services.relay", alive], common, Question("file", alive, RELAY_FRESH_S))
        case Role.CODE_SERVER:
            port = _code_server(settings)[1]
            command = [python, "-m", "video_platform.supervisor.code_server", EVERYWHERE, str(port)]
            return Serving(command, common, Question("grpc", f"127.0.0.1:{port}"))
        case Role.DAEMON:
            _code_server(settings)
            command = [python, "-m", "video_platform.supervisor.daemon", workspace, alive]
            return Serving(command, common | daemons, Question("file", alive, DAEMON_FRESH_S))
        case Role.DAGSTER:
            settings.check_exposure()
            _code_server(settings)
            host, port = settings.dagster.host, settings.dagster.port
            options = ["--read-only"] if read_only else []
            command = [python, "-m", "video_platform.supervisor.dagster_page", host, str(port), workspace, *options]
            return Serving(command, common, Question("http", f"{url_of(host, port)}/server_info"))
        case Role.WEB:
            settings.check_exposure()
            return Serving([python, "-m", "ui.server"], common, Question("http", f"{url_of(settings.web.host, settings.web.port)}/_stcore/health"))


def start(serving: Serving, settings: Settings) -> None:
    """Write what the process reads, and become it: a container then has one process, which hears the signals itself."""
    local_run.write_instance(settings)
    if settings.dagster.code_server:
        write_workspace(settings)
    (settings.home / ALIVE_FILE).unlink(missing_ok=True)
    serving.question.write(settings.home)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(serving.command[0], serving.command, {**os.environ, **serving.environment})


def write_workspace(settings: Settings) -> Path:
    """The workspace file of daemon and web server: the code server that the settings name."""
    host, port = _code_server(settings)
    path = settings.dagster_home / "served.workspace.yaml"
    path.write_text(json.dumps({"load_from": [{"grpc_server": {"host": host, "port": port, "location_name": LOCATION}}]}))  # JSON is YAML
    return path


def _code_server(settings: Settings) -> tuple[str, int]:
    host, _, port = settings.dagster.code_server.rpartition(":")
    if not host:
        raise SettingsError(
            f"{PREFIX}DAGSTER__CODE_SERVER is not set: write the host:port under which daemon and Dagster's page reach the code server, "
            "for example code-server:4000; on one machine `vp up` runs everything without it"
        )
    return host, int(port)
