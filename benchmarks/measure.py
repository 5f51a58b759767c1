"""Measuring a command from outside: wall time, CPU time and peak memory of a child process and of everything it waited for."""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """What one run took; `cpu_s` is user plus system time of the whole tree, `peak_mb` the largest single process."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def command(argv: Sequence[str], *, env: dict[str, str] | None = None) -> Usage:
    """Run `argv` to its end and account for it; its output is shown when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}:\n{output.decode(errors='replace')[-2000:]}")
    return Usage(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def interleaved(candidates: dict[str, Callable[[], Usage]], rounds: int) -> dict[str, Usage]:
    """The median of each figure over `rounds` rounds in which every candidate runs once, so that a slow spell of the machine meets all of them."""
    seen: dict[str, list[Usage]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            seen[name].append(run())
    return {name: _median(usages) for name, usages in seen.items()}


def _median(usages: list[Usage]) -> Usage:
    return Usage(*(statistics.median(getattr(usage, figure) for usage in usages) for figure in ("wall_s", "cpu_s", "peak_mb")))


def ffmpeg() -> str:
    """The ffmpeg that gives the reference figures."""
    found = shutil.which("ffmpeg")
    if not found:
        raise SystemExit("the reference is ffmpeg's own decoding: install ffmpeg (apt-get install ffmpeg) and run again")
    return found
