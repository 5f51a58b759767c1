"""One supervised process: started, asked whether it answers, started again when it dies, its output kept in a bounded log."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from video_platform.supervisor import processes

LOG_BYTES = 10 * 1024 * 1024
"""A log is turned over above this; with one older copy kept, a service that repeats one error for weeks takes 20 MiB."""

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
"""Waits before a restart double from the first to the longest: a crash is mended at once, a broken installation does not burn a core."""

HEALTHY_S = 60.0
"""A service that lived this long after it answered starts again without a wait."""

PATIENCE_S = 180.0
"""A service that has not answered by then is restarted; importing everything on a loaded two-core machine has taken a minute."""

TAIL_LINES = 15
TAIL_BYTES = 16 * 1024
"""How much of a log is shown when its service does not start."""


class State(StrEnum):
    """Where a service stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DOWN = "down"


@dataclass(frozen=True)
class Spec:
    """What a service is: `answers` is asked until it says yes; `after` names services that must be ready first.

    `answers` gets the log text that the present process has written (its last `TAIL_BYTES`). `leaves_work`: what it started does not need it, and goes on when
    it dies; of others nothing may stay, because the next process would start the same again.
    """

    name: str
    what: str
    command: list[str]
    answers: Callable[[str], bool]
    environment: dict[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    leaves_work: bool = False


class Service:
    """One process of the stack. All methods are called by the supervising thread."""

    def __init__(self, spec: Spec, *, mark: str, logs: Path) -> None:
        self.spec = spec
        self.mark = f"{mark}.{spec.name}"
        self.log = logs / f"{spec.name}.log"
        self.state = State.WAITING
        self.restarts = 0
        self.was_ready = False
        self._process: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self._backoff_s = FIRST_BACKOFF_S
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    def step(self, now: float, ready: set[str]) -> str | None:
        """Move on by one observation; returns a line for people when something changed. `now` is monotonic seconds."""
        if self._process is not None and self._process.poll() is not None:
            return self._died(now, self._process.returncode)
        if (self.state is State.WAITING and ready.issuperset(self.spec.after)) or (self.state is State.DOWN and now >= self._since + self._backoff_s):
            self._start(now)
        elif self.state is State.STARTING:
            return self._ask(now)
        return None

    def turn_log(self) -> None:
        """Keep the log below `LOG_BYTES`: its content moves to `<name>.log.1`. The process goes on appending to the emptied file."""
        try:
            if self.log.stat().st_size <= LOG_BYTES:
                return
            self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
            os.truncate(self.log, 0)
            self._log_start = 0
        except OSError:
            return  # a full disk must not end what is supervised

    def tail(self) -> str:
        """The last lines that the present process wrote."""
        return "\n".join(self._output().splitlines()[-TAIL_LINES:])

    def ask_to_end(self) -> None:
        """SIGTERM to the process and its group."""
        self.state = State.DOWN
        if self._process is not None:
            processes.signal_group(self._process.pid, signal.SIGTERM)

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL to everything this service ever started."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        processes.sweep(self.mark)

    def _start(self, now: float) -> None:
        self.turn_log()
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        environment = {**os.environ, **self.spec.environment}
        self._process = processes.start(self.spec.command, environment=environment, mark=self.mark, log=self.log, folder=self.log.parent)
        self.state = State.STARTING
        self._since = now

    def _ask(self, now: float) -> str | None:
        if self.spec.answers(self._output()):
            started_s = now - self._since
            self.state, self.was_ready, self._since = State.READY, True, now
            return f"{self.spec.what} answers after {started_s:.1f} s (process {self.pid})"
        if now - self._since > PATIENCE_S:
            self.kill()
        return None

    def _died(self, now: float, code: int) -> str:
        if self.state is State.READY and now - self._since > HEALTHY_S:
            self._backoff_s = FIRST_BACKOFF_S
        elif self.restarts:
            self._backoff_s = min(self._backoff_s * 2, LONGEST_BACKOFF_S)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        self._process = None
        self.state, self._since = State.DOWN, now
        self.restarts += 1
        if not self.spec.leaves_work:
            processes.sweep(self.mark)
        return f"{self.spec.what} {how}; it starts again in {self._backoff_s:g} s. Its log: {self.log}"

    def _output(self) -> str:
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, size - TAIL_BYTES))
                return log.read().decode(errors="replace")
        except OSError:
            return ""
