"""Ending a process together with everything it started, also what has left its group or lost its parent.

A service's environment carries a mark (`MARK`), and an environment is inherited by every child, through new sessions and through the death of parents. So
"all that service S of home H ever started" is a question that `/proc` answers.
"""

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK = "VP_SUPERVISED"
"""Environment variable `<home>.<supervisor>.<service>`: the first two are hex digests without dots."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

SWEEP_TIMEOUT_S = 10.0
"""A killed process that is still there after this long hangs in the kernel (a dead network mount); waiting longer does not help."""

SWEEP_PAUSE_S = 0.02
"""Between two looks at the process table while killed processes disappear."""

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def home_mark(home: Path) -> str:
    """The part of the mark that all processes of one home share."""
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends; called between fork and exec, so it imports and allocates nothing."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none escapes and none stays a zombie."""
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(known: Iterable[int]) -> None:
    """Collect adopted children that have ended; `known` are pids that somebody else waits for."""
    waited_for = set(known)
    for child in psutil.Process().children():
        try:
            if child.pid not in waited_for and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue


def marked(mark: str) -> list[psutil.Process]:
    """Live processes of this user whose mark is `mark` or lies below it; never this process."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            value = process.environ().get(MARK, "")
        except (psutil.Error, OSError):
            continue
        if value == mark or value.startswith(mark + "."):
            found.append(process)
    return found


def sweep(mark: str, *, timeout_s: float = SWEEP_TIMEOUT_S) -> int:
    """SIGKILL everything marked `mark` until two looks in a row find nothing; returns how many processes were ended.

    Two looks, because a process between fork and exec, or just born to one that was killed a moment later, may miss the first.
    """
    deadline = time.monotonic() + timeout_s
    ended: set[int] = set()
    empty_looks = 0
    while empty_looks < 2 and time.monotonic() < deadline:
        found = marked(mark)
        empty_looks = 0 if found else empty_looks + 1
        for process in found:
            ended.add(process.pid)
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        time.sleep(SWEEP_PAUSE_S)
    return len(ended)


def start(command: list[str], *, environment: dict[str, str], mark: str, log: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start `command` in `folder` and in a session of its own, marked, its output appended to `log`, dying with the thread that called this."""
    marked_environment = {**environment, MARK: mark, "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=marked_environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send `number` to the group of a session leader; no error when it is gone."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return
