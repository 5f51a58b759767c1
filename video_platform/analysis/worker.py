"""Running one analysis task in a child process that can be killed, and that never outlives its parent.

Footage can make a decoder crash, hang or eat memory; here that ends one child with a named error. The child is its own session and process group, dies with
its parent (PR_SET_PDEATHSIG), has a bounded address space and no core dumps, and talks JSON lines over a pipe of its own, so nothing that a library
prints can be mistaken for an answer:

    {"progress": [0.25, "0:30 of 2:00"]}
    {"result": {...}}                              or {"error": {"type": "MediaError", "message": "...", "facts": {...}}}

`python -m video_platform.analysis.worker` is the child's side (`worker_child`).
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import video_platform
from video_platform import errors
from video_platform.errors import PlatformError, WorkerBudgetExceeded, WorkerCrashed, WorkerError

GIB = 1024**3

TAIL_BYTES = 4000
"""How much of what the child printed is kept for an error."""

READ_BYTES = 65_536

EXIT_GRACE_S = 5.0
"""A child that has answered has this long to end."""

OUT_OF_MEMORY = (b"bad_alloc", b"MemoryError", b"Cannot allocate memory", b"out of memory", b"Unable to allocate", b"must be installed for unwinding")
"""What libraries print before they abort for want of memory (the last when a thread cannot even end for want of it)."""

NATIVE_FAULTS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)
"""How libraries end that do not look whether they were given the memory that they asked for; and those that hostile footage breaks."""

CHILD_ENVIRONMENT = {
    # Threads reserve address space and spin while they wait; the pass has threads of its own.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"),
    "MALLOC_ARENA_MAX": "2",  # each further arena reserves 64 MiB
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Budget:
    """What one task may use.

    `memory_bytes` bounds the address space, which libraries reserve generously: 1.5 GiB is the least for a whole pass (docs/media.md has the measurement).
    `silent_s` is the longest time without any progress: `wall_s` follows from what the footage says of its length, which may be a lie.
    `niceness` is added to the child's, so that the machine stays usable. With `of_data` the bound is on what is written instead of on addresses, because
    the driver of a graphics card reserves more of those than any machine has memory.
    """

    memory_bytes: int = 4 * GIB
    wall_s: float = 3600.0
    silent_s: float = 600.0
    niceness: int = 5
    of_data: bool = False


def run(
    task: str,
    payload: Mapping[str, Any],
    *,
    limits: Budget,
    on_progress: Callable[[float, str], None] | None = None,
    module: str = __name__,
    environment: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Run `task` (see `tasks.TASKS`) on `payload` in a child process and return its result; both are JSON, files are paths.

    `on_progress(fraction, message)` is called at most four times a second; when it raises, the child is killed. Another `module` has other tasks: it hands
    them to `worker_child.main`. `environment` is what the child's environment has besides that of this process, or, with None, has not.

    Raises:
        PlatformError: whatever class the task raised in the child, with its facts.
        WorkerBudgetExceeded: the child used more memory or wall time than `limits`; `code` is "over_budget".
        WorkerCrashed: the child died without an answer; `signal` or `exit_code` is known, `code` is "crashed_decoder".
    """
    deadline = time.monotonic() + limits.wall_s
    answers, child_end = os.pipe()
    try:
        with tempfile.TemporaryFile() as request:
            request.write(json.dumps(payload).encode())
            request.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, task, *(str(int(each)) for each in (child_end, os.getpid(), *_bounds(limits)))],
                stdin=request,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in {**_environment(), **(environment or {})}.items() if value is not None},
                pass_fds=(child_end,),
                start_new_session=True,
            )
    except BaseException:
        os.close(answers)
        raise
    finally:
        os.close(child_end)
    with _Child(process, answers, task, limits) as child:
        return child.answer(deadline, on_progress)


class _Child:
    """A started child: reads its answers, ends it."""

    def __init__(self, process: "subprocess.Popen[bytes]", answers: int, task: str, limits: Budget) -> None:
        self._process, self._answers = process, answers
        self._task, self._limits = task, limits
        self._tail = b""
        self._partial = b""
        self._answer: dict[str, Any] | None = None
        self._heard_at = time.monotonic()

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        os.close(self._answers)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def answer(self, deadline: float, on_progress: Callable[[float, str], None] | None) -> dict[str, Any]:
        """Wait for the result, or raise what happened instead."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            selector.register(self._process.stdout.fileno(), selectors.EVENT_READ)
            while selector.get_map():
                silence_ends = self._heard_at + self._limits.silent_s
                ready = selector.select(max(0.0, min(deadline, silence_ends) - time.monotonic()))
                if not ready and time.monotonic() >= min(deadline, silence_ends):
                    self._kill()
                    spent = f"{self._limits.wall_s:.0f} s of time" if time.monotonic() >= deadline else f"{self._limits.silent_s:.0f} s without any progress"
                    raise self._over_budget(spent, "time")
                for key, _ in ready:
                    data = os.read(key.fd, READ_BYTES)
                    if not data:
                        selector.unregister(key.fd)
                    elif key.fd == self._answers:
                        self._read(data, on_progress)
                    else:
                        self._tail = (self._tail + data)[-TAIL_BYTES:]
                if self._answer is not None:
                    break
        return self._outcome()

    def _read(self, data: bytes, on_progress: Callable[[float, str], None] | None) -> None:
        self._heard_at = time.monotonic()
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "progress" not in message:
                self._answer = message
            elif on_progress is not None:
                on_progress(*message["progress"])

    def _outcome(self) -> dict[str, Any]:
        if self._answer is None:
            raise self._death()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_GRACE_S)
        if "result" in self._answer:
            return self._answer["result"]
        raise _rebuilt(self._answer["error"])

    def _death(self) -> PlatformError:
        """The error for a child that ended, or closed its pipe, without an answer."""
        try:
            code = self._process.wait(EXIT_GRACE_S)
        except subprocess.TimeoutExpired:
            self._kill()
            code = self._process.returncode
        printed = self._tail.decode(errors="replace").strip()
        if any(mark in self._tail for mark in OUT_OF_MEMORY):
            return self._over_budget(f"{self._limits.memory_bytes // 2**20} MiB of address space", "memory", printed)
        facts: dict[str, object] = {"code": "crashed_decoder", "task": self._task, "output": printed}
        said = f" It printed: {printed[-500:]}" if printed else ""
        if code < 0:
            hint = " The system may be out of memory." if -code == signal.SIGKILL else ""
            if -code in NATIVE_FAULTS:
                hint = f" It may have needed more than its {self._limits.memory_bytes // 2**20} MiB of memory, or the footage is damaged or hostile."
            return WorkerCrashed(f"the analysis process ({self._task}) was ended by {signal.Signals(-code).name}.{hint}{said}", signal=-code, **facts)
        return WorkerCrashed(f"the analysis process ({self._task}) ended with {code}.{said}", exit_code=code, **facts)

    def _over_budget(self, what: str, kind: str, printed: str = "") -> WorkerBudgetExceeded:
        return WorkerBudgetExceeded(
            f"the analysis process ({self._task}) used more than {what} and was ended; give it more, or the footage is damaged or hostile",
            code="over_budget",
            kind=kind,
            task=self._task,
            output=printed,
        )

    def _kill(self) -> None:
        """End the whole group, and wait until it is gone."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _bounds(limits: Budget) -> tuple[int, int, bool]:
    """What the child bounds itself by, in the order in which `worker_child.main` reads it."""
    return limits.memory_bytes, limits.niceness, limits.of_data


def _environment() -> dict[str, str]:
    root = str(Path(video_platform.__file__).parents[1])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, **CHILD_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _rebuilt(error: dict[str, Any]) -> PlatformError:
    """The exception that the child raised."""
    kind = getattr(errors, error["type"], WorkerError)
    if not (isinstance(kind, type) and issubclass(kind, PlatformError)):
        kind = WorkerError
    made = kind.__new__(kind)
    PlatformError.__init__(made, error["message"], **error["facts"])
    return made


if __name__ == "__main__":
    from video_platform.analysis.worker_child import main

    main(sys.argv[1:])
