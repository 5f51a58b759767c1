"""A whole platform, running as people run it: `vp up` on a home of its own, in a process tree of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[1]
START_DEADLINE_S = 900  # a minute on an idle machine is ten on one that is overloaded
STOP_DEADLINE_S = 60
POLL_S = 0.1

PARTS = {
    "web": ("ui.server",),
    "daemon": ("supervisor.daemon", "dagster._daemon", "dagster-daemon"),
    "code server": ("code-server", "api grpc"),
    "run": ("execute_run", "run_worker", "multiprocessing.spawn", "pipeline.run_host"),
    "child": ("video_platform.analysis.worker",),
    "relay": ("video_platform.services.relay",),
}
"""What a process of the platform is, by words of its command line."""

Found = TypeVar("Found")


def wait(look: Callable[[], Found], deadline_s: float, what: str) -> Found:
    """Look until there is something true to return; TimeoutError names what did not come."""
    end = time.monotonic() + deadline_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline_s:.0f} s")
        time.sleep(POLL_S)


def descendants(pid: int) -> list[psutil.Process]:
    """All live processes below `pid`."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


class Up:
    """`vp up` on `home`, on free ports, with the template as its language model unless `env` says otherwise."""

    def __init__(self, home: Path, *, env: dict[str, str] | None = None) -> None:
        self.home = home
        self.env = {
            "VIDEO_PLATFORM_HOME": str(home),
            "VIDEO_PLATFORM_WEB__PORT": "0",
            "VIDEO_PLATFORM_DAGSTER__PORT": "0",
            "VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE": "template",
            **(env or {}),
        }
        self.output = home.parent / f"{home.name}.up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Up":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    @property
    def pid(self) -> int:
        """The supervisor's own process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def addresses(self) -> dict[str, str]:
        """`web` and `dagster` as told by `vp up`."""
        return json.loads((self.home / "addresses.json").read_text())

    def start(self) -> None:
        """Start it and wait until it has told its addresses; what it printed is in the error if it does not."""
        (self.home / "addresses.json").unlink(missing_ok=True)
        argv = [str(Path(sys.executable).parent / "vp"), "up"]
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=ROOT, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

        def told() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"vp up ended with {self.process.returncode}:\n{self.output.read_text()[-3000:]}")
            return (self.home / "addresses.json").is_file()

        wait(told, START_DEADLINE_S, f"vp up tells its addresses (its output: {self.output})")

    def members(self) -> dict[str, list[psutil.Process]]:
        """The live processes of each part."""
        found: dict[str, list[psutil.Process]] = {name: [] for name in PARTS}
        for process in descendants(self.pid):
            try:
                words = " ".join(process.cmdline())
            except psutil.Error:
                continue
            for name, marks in PARTS.items():
                if any(mark in words for mark in marks):
                    found[name].append(process)
                    break
        return found

    def kill(self) -> list[psutil.Process]:
        """SIGKILL the supervisor itself; returns what was below it."""
        below = descendants(self.pid)
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        return below

    def stop(self) -> None:
        """End it as Ctrl-C does; AssertionError when a process outlives it."""
        below = descendants(self.pid)
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=STOP_DEADLINE_S)
        _, alive = psutil.wait_procs(below, timeout=10)
        assert not alive, f"outlived vp up: {[' '.join(each.cmdline()) for each in alive if each.is_running()]}"
