"""The loop that starts the stack, watches it, and ends it."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from video_platform.errors import StateError
from video_platform.supervisor import processes, warden
from video_platform.supervisor.service import Service, Spec, State

BUSY_LOOK_S = 0.1
CALM_LOOK_S = 2.0
"""Between two looks while something starts, and while all is well; the death of a child wakes the loop at once."""

GRACE_S = 6.0
"""How long services and their runs may take to end by themselves after they were asked to; then they are killed."""

FIRST_START_DEATHS = 3
"""A service that dies this often before it ever answered will not come up by itself: the start is given up, with its log."""

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervision:
    """The services of one home while they run.

    `say` gets lines for people. `on_ready` is called once, in this thread, when everything answers; it must not block.
    """

    def __init__(self, specs: Sequence[Spec], *, home: Path, logs: Path, say: Callable[[str], None], on_ready: Callable[[], None]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._home_mark = processes.home_mark(home)
        self._mark = f"{self._home_mark}.{os.urandom(8).hex()}"
        self._services = [Service(spec, mark=self._mark, logs=logs) for spec in specs]
        self._say = say
        self._on_ready = on_ready
        self._announced = False
        self._end_requested = 0
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def request_end(self) -> None:
        """End everything soon; may be called from any thread and from a signal handler."""
        self._end_requested += 1
        with suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"e")

    def run(self) -> None:
        """Supervise until the end is requested or a signal asks for it; when it returns, nothing that was started is left.

        Raises:
            StateError: a service does not come up.
        """
        processes.adopt_orphans()
        processes.sweep(self._home_mark)
        guard, guard_pipe = warden.start(self._mark)
        try:
            with self._signals():
                try:
                    while not self._end_requested:
                        self._look()
                        self._wait(CALM_LOOK_S if self._calm() else BUSY_LOOK_S)
                finally:
                    self._end()
        finally:
            os.close(guard_pipe)
            guard.wait()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _look(self) -> None:
        for service in self._services:
            ready = {each.spec.name for each in self._services if each.state is State.READY}
            line = service.step(time.monotonic(), ready)
            if line:
                self._say(line)
            if not service.was_ready and service.restarts >= FIRST_START_DEATHS:
                raise StateError(f"{service.spec.what} does not start. Its last lines:\n{service.tail()}\nAll of it: {service.log}", service=service.spec.name)
            service.turn_log()
        processes.reap_orphans(pid for service in self._services if (pid := service.pid))
        if not self._announced and self._calm():
            self._announced = True
            self._on_ready()

    def _calm(self) -> bool:
        return all(service.state is State.READY for service in self._services)

    def _wait(self, longest_s: float) -> None:
        readable, _, _ = select.select([self._wake_read], [], [], longest_s)
        if readable:
            with suppress(BlockingIOError):
                os.read(self._wake_read, 4096)

    def _end(self) -> None:
        """Ask all to end, wait a little, kill what is left. A second request while it waits ends the patience."""
        patience = self._end_requested + 1
        for service in reversed(self._services):
            service.ask_to_end()
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and self._end_requested < patience:
            if all(service.ended() for service in self._services) and not processes.marked(self._mark):
                break
            self._wait(BUSY_LOOK_S)
            processes.reap_orphans(pid for service in self._services if (pid := service.pid))
        for service in self._services:
            service.kill()
        processes.sweep(self._mark)
        processes.reap_orphans(())

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def end(_number: int, _frame: FrameType | None) -> None:
            self.request_end()

        def child_died(_number: int, _frame: FrameType | None) -> None:
            with suppress(BlockingIOError, OSError):
                os.write(self._wake_write, b"c")

        before = {number: signal.signal(number, end) for number in END_SIGNALS}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, child_died)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
