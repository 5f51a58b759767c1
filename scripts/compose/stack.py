"""docker-compose.yml brought up on an engine, watched until it is healthy, and taken down."""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripts.compose.engine import Engine, compose, run
from scripts.services.processes import ServiceFailed, free_ports

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "video-platform"
UP_S = 900.0
POLL_S = 2.0
ONE_SHOTS = frozenset({"topics", "prepare", "models"})
"""Services that end when their work is done."""

PORTS = {"VP_WEB_PORT": "web", "VP_DAGSTER_PORT": "dagster", "VP_DAGSTER_READ_PORT": "dagster-read-only", "VP_S3_PORT": "minio"}


class Stack:
    """One project of docker-compose.yml; `files` go on top of it, `variables` are what .env would hold."""

    def __init__(
        self, engine: Engine, variables: Mapping[str, str], *, files: Sequence[Path] = (), project: str = PROJECT, ports: Mapping[str, int] | None = None
    ) -> None:
        self._engine = engine
        self.project = project
        self._files = [ROOT / "docker-compose.yml", *files]
        self.ports = dict(ports or zip(PORTS.values(), free_ports(len(PORTS)), strict=True))
        self.variables = {**variables, **{name: str(self.ports[service]) for name, service in PORTS.items()}}

    def url(self, service: str) -> str:
        """Where a published service answers."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def compose(self, *arguments: str, check: bool = True, seconds: float = UP_S) -> str:
        """The compose command on this project; what it printed."""
        files = [word for path in self._files for word in ("-f", str(path))]
        argv = [compose(), "-p", self.project, "--project-directory", str(ROOT), *files, *arguments]
        return run(argv, {**self._engine.environment, **self.variables}, check=check, seconds=seconds, cwd=ROOT).stdout

    def up(self) -> dict[str, float]:
        """Start everything, and wait until all is healthy; seconds from this call until each service was, by name."""
        self._set_up()
        began = time.monotonic()
        healthy: dict[str, tuple[str, float]] = {}  # by container too: one that is made anew counts anew
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(self.compose, "up", "-d")  # it waits for one service after the other, and they are watched meanwhile
            while True:
                over = starting.done()
                found = self.containers()
                states = {name: _state(each["State"]) for name, each in found.items()}
                for name, state in states.items():
                    if state == "healthy" and healthy.get(name, ("",))[0] != found[name]["Id"]:
                        healthy[name] = (found[name]["Id"], time.monotonic() - began)
                waiting = {name: state for name, state in states.items() if name not in ONE_SHOTS and state != "healthy"}
                if over:
                    starting.result()
                    if not waiting:
                        return {name: seconds for name, (_, seconds) in healthy.items()}
                    if time.monotonic() - began > UP_S or any(state.startswith("ended with") for state in states.values()):
                        logs = self.compose("logs", "--tail=15", *waiting)[-6000:]
                        raise ServiceFailed(f"not healthy after {time.monotonic() - began:.0f} s: {waiting}\n{logs}")
                time.sleep(POLL_S)

    def _set_up(self) -> None:
        """Make the files that docker-compose.yml names, without which compose does not even take down."""
        run([str(ROOT / "deploy" / "setup.sh")], {})

    def states(self) -> dict[str, str]:
        """Every service: healthy, starting, unhealthy, done, or with what status it ended."""
        return {name: _state(found["State"]) for name, found in self.containers().items()}

    def containers(self) -> dict[str, dict[str, Any]]:
        """The container of each service, as the engine describes it."""
        mine = (f"com.docker.compose.project={self.project}", "com.docker.compose.oneoff=False")
        listed = self._engine.run("ps", "-aq", *(word for each in mine for word in ("--filter", f"label={each}")), quiet=True).stdout.split()
        if not listed:
            return {}
        found = json.loads(self._engine.run("inspect", *reversed(listed), quiet=True, check=False).stdout)  # one may be gone meanwhile
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}  # the newest is listed first, and wins

    def with_files(self, *files: Path) -> "Stack":
        """The same project with more files on top."""
        return Stack(self._engine, self.variables, files=[*self._files[1:], *files], project=self.project, ports=self.ports)

    def kill(self, service: str) -> None:
        """SIGKILL the first process of a container, as a fault would; the engine takes an order to kill for a wish that it stays down."""
        os.kill(self.containers()[service]["State"]["Pid"], signal.SIGKILL)

    def execute(self, service: str, *command: str) -> str:
        """Run a command in the container of a service; what it printed."""
        return self._engine.run("exec", self.containers()[service]["Id"], *command, quiet=True).stdout

    def logs(self, service: str, lines: int = 60) -> str:
        """The end of what a service printed."""
        return self.compose("logs", "--no-color", f"--tail={lines}", service, check=False)

    def memory_bytes(self) -> dict[str, int]:
        """What each running container uses now, without the page cache that the kernel may drop."""
        names = {found["Name"].lstrip("/"): service for service, found in self.containers().items() if found["State"]["Running"]}
        lines = self._engine.run("stats", "--no-stream", "--format", "{{.Name}}\t{{.MemUsage}}", *names, quiet=True).stdout.splitlines()
        return {names[name]: _bytes(used.partition(" / ")[0]) for name, _, used in (line.partition("\t") for line in lines)}

    def down(self, *, volumes: bool = False) -> None:
        """Stop and remove the containers and networks; with `volumes` what they kept too."""
        self._set_up()
        self.compose("down", "--remove-orphans", *(["-v"] if volumes else []))


def _state(state: Mapping[str, Any]) -> str:
    if state["Running"]:
        return state.get("Health", {}).get("Status", "running")
    return "done" if state["Status"] == "exited" and state["ExitCode"] == 0 else f"ended with {state['ExitCode']}" if state["Status"] == "exited" else "waiting"


def _bytes(text: str) -> int:
    units = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "B": 1}
    unit = next(each for each in units if text.endswith(each))
    return int(float(text.removesuffix(unit)) * units[unit])
