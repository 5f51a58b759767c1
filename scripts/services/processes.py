"""Server processes with a pid file, a log and a folder of their own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

POLL_S = 0.1
STOP_S = 15.0  # a broker flushes its segments on SIGTERM; after this it is killed
LOG_TAIL_BYTES = 2000
LOOPBACK = "127.0.0.1"


class ServiceFailed(Exception):
    """A server could not be fetched, started or reached; the message says why."""


def cache() -> Path:
    """Where fetched servers and the folders of hand-started ones lie, outside the tree."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "video-platform"


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def port_answers(port: int, host: str = LOOPBACK) -> bool:
    """Whether something accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def as_user(user: str | None) -> list[str]:
    """What runs a command as another user, who is not asked for a password: we are root."""
    if user is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServiceFailed("running a server as another user needs setpriv: apt-get install -y util-linux")
    return [setpriv, f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]


class ServerProcess:
    """One server process known by the pid file `<folder>/<name>.pid`, which any later process can read."""

    def __init__(self, folder: Path, name: str, *, polite: signal.Signals = signal.SIGTERM) -> None:
        self.folder = folder
        self._polite = polite
        self.pid_file = folder / f"{name}.pid"
        self.log_file = folder / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    def find(self) -> psutil.Process | None:
        """The running process, or None; a pid that another program got meanwhile is not taken for ours."""
        try:
            pid, created = self.pid_file.read_text().split()
            process = psutil.Process(int(pid))
            alive = abs(process.create_time() - float(created)) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    def start(self, argv: Sequence[str], environment: Mapping[str, str], *, ends_with_parent: bool, user: str | None = None, cwd: Path | None = None) -> None:
        """Start `argv` in the folder, output into the log; with `ends_with_parent` the kernel ends it when the calling thread does."""
        setpriv = shutil.which("setpriv")
        tied = [setpriv, "--pdeathsig", "KILL", "--"] if ends_with_parent and setpriv else []
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [*as_user(user), *tied, *argv],  # the tie comes last: it is lost when the user changes
                cwd=cwd or self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{self._child.pid} {psutil.Process(self._child.pid).create_time()}")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once `ready()`; ServiceFailed with the end of the log when the process ends first or the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.find() is None:
                raise ServiceFailed(f"{self.pid_file.stem} ended while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServiceFailed(f"{self.pid_file.stem} was not ready after {seconds:.0f} s:\n{self.log_tail()}")
            time.sleep(POLL_S)

    def log_tail(self) -> str:
        """The last lines of the log."""
        return self.log_file.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace") if self.log_file.exists() else ""

    def stop(self, *, kill: bool = False) -> bool:
        """End the process and its children (politely, then not; at once with `kill`); False when none was running."""
        process = self.find()
        if process is not None:
            group = [process, *process.children(recursive=True)]
            _signal(process.pid, signal.SIGKILL if kill else self._polite)
            _, left = psutil.wait_procs(group, timeout=STOP_S)
            if left:
                _signal(process.pid, signal.SIGKILL)
                psutil.wait_procs(left, timeout=STOP_S)
        if self._child is not None:
            self._child.wait(STOP_S)  # take its exit status, or it stays a zombie of this process
            self._child = None
        self.pid_file.unlink(missing_ok=True)
        return process is not None


class Server:
    """A server in `folder`, known by its process there; starting it again in the same folder keeps what it had.

    What it chose on its first start (port, keys) lies in `state.json`, which only its owner reads. `what` names it for people.
    """

    def __init__(self, folder: Path, name: str, what: str, *, polite: signal.Signals = signal.SIGTERM) -> None:
        self.folder = folder.absolute()
        self._what = what
        self._process = ServerProcess(self.folder, name, polite=polite)
        self._state = self.folder / "state.json"

    def running(self) -> bool:
        """Whether its process is there."""
        return self._process.find() is not None

    def stop(self, *, kill: bool = False) -> bool:
        """End it and what it started, keeping its data."""
        return self._process.stop(kill=kill)

    def _kept(self) -> dict[str, Any]:
        """What it chose on its first start; ServiceFailed before that."""
        if not self._state.exists():
            raise ServiceFailed(f"no {self._what} was ever started in {self.folder}")
        return json.loads(self._state.read_text())

    def _keep(self, **values: object) -> None:
        """Keep these values, beside those that were kept before."""
        kept = self._kept() if self._state.exists() else {}
        self._state.touch(mode=0o600)
        self._state.write_text(json.dumps(kept | values))


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
