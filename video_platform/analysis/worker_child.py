"""The child's side of `worker`: gives up what it must not have, runs one task, answers, ends."""

import ctypes
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from video_platform.errors import PlatformError, StoreFull, WorkerBudgetExceeded, WorkerError, is_full

PR_SET_PDEATHSIG = 1
PROGRESS_EVERY_S = 0.25
"""Four times a second is as often as a page or a log can use."""

COSTED = ("one_pass", "clips", "transcript")
"""Tasks whose result has an entry `cost`."""

TRACEBACK_CHARACTERS = 2000

FULL_PART = 0.9
"""A library that fails, for whatever reason it names, while this part of the address space is used, failed for want of memory."""

UNREADABLE = ("no_frames", "not_a_video", "bad_dimensions")
"""Failed states that a decoder which got no memory looks like."""

NO_MEMORY_TEXTS = (
    "failed to map segment",
    "bad_alloc",
    "Failed to allocate memory",
    "Insufficient memory",
    "Cannot allocate memory",
    "can't start new thread",
    "Unable to allocate",
)


class Answers:
    """The pipe to the parent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._said_at = float("-inf")

    def progress(self, fraction: float, message: str) -> None:
        """Say how far the task is, unless that was said just now."""
        now = time.monotonic()
        if now - self._said_at >= PROGRESS_EVERY_S:
            self._said_at = now
            self.send({"progress": [round(fraction, 4), message]})

    def send(self, message: dict[str, Any]) -> None:
        """One line."""
        data = json.dumps(message, default=str).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]


Task = Callable[[dict[str, Any], Callable[[float, str], None]], dict[str, Any]]


def main(argv: list[str], tasks: Mapping[str, Task] | None = None) -> None:
    """Run the task named by `argv` (task, descriptor, parent's pid, bytes, niceness, whether the bytes are of data) on the JSON on stdin; does not return.

    `tasks` are those that may be named, by default those of analysis.
    """
    task, descriptor, parent, memory_bytes, niceness, of_data = argv[0], *(int(each) for each in argv[1:6])
    _die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA if of_data else resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    os.nice(niceness)
    answers = Answers(descriptor)
    code = 0
    try:
        answers.send({"result": _run(task, json.load(sys.stdin), answers, tasks)})
    except BrokenPipeError:
        code = 1  # nobody is left to tell
    except BaseException as error:
        answers.send({"error": _described(error)})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # without tearing down decoders and threads, which may hang or crash


def _run(task: str, payload: dict[str, Any], answers: Answers, tasks: Mapping[str, Task] | None) -> dict[str, Any]:
    if tasks is None:
        from video_platform.analysis.tasks import TASKS as tasks

    started = time.perf_counter()
    result = tasks[task](payload, answers.progress)
    if task not in COSTED:
        return result
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cost = {"wall_s": round(time.perf_counter() - started, 3), "cpu_s": round(usage.ru_utime + usage.ru_stime, 3), "peak_bytes": _peak_bytes(usage.ru_maxrss)}
    return {**result, "cost": cost}


def _peak_bytes(max_rss_kib: int) -> int:
    """The largest resident size of this program. Linux starts `ru_maxrss` with the size of whoever started it, so its own count is read where there is one."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return max_rss_kib * 1024
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), max_rss_kib) * 1024


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; if that has happened already, end now."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _described(error: BaseException) -> dict[str, Any]:
    """An exception as JSON: type, message, facts."""
    if isinstance(error, PlatformError) and not (getattr(error, "code", "") in UNREADABLE and _memory_is_full()):
        named = error
    elif is_full(error):
        named = StoreFull(f"no space is left on the disk: {error}", path=str(getattr(error, "filename", None) or ""))
    elif isinstance(error, MemoryError) or any(text in str(error) for text in NO_MEMORY_TEXTS) or _memory_is_full():
        limit, _, what = _bound()
        named = WorkerBudgetExceeded(
            f"the analysis process needed more than {limit // 2**20} MiB of {what}; give it more, or the footage is damaged or hostile",
            code="over_budget",
            kind="memory",
        )
    else:
        trace = "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]
        named = WorkerError(f"the analysis failed: {type(error).__name__}: {error}", traceback=trace)
    return {"type": type(named).__name__, "message": named.message, "facts": named.facts}


def _bound() -> tuple[int, str, str]:
    """The bytes that this process may have (0 or less without a bound), the line of its status that counts them, and what they are."""
    addresses, data = (resource.getrlimit(each)[0] for each in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return (data, "VmData:", "memory") if addresses == resource.RLIM_INFINITY else (addresses, "VmPeak:", "address space")


def _memory_is_full() -> bool:
    limit, line_name, _ = _bound()
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    used_kib = next((int(line.split()[1]) for line in status.splitlines() if line.startswith(line_name)), 0)
    return 0 < limit * FULL_PART < used_kib * 1024
