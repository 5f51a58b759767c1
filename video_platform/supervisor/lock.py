"""The lock on a home: one process at a time runs the graph on it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from video_platform.errors import HomeLocked, SettingsError, is_full
from video_platform.settings import PREFIX

ATTEMPTS = 5
ATTEMPT_PAUSE_S = 0.05
"""`owner` holds the lock for an instant while it looks; these few tries outlast that."""

SERVING = frozenset({"vp up", "vp demo"})
"""What stays until it is ended, takes footage from others, and has a page."""


@dataclass(frozen=True)
class Owner:
    """Who holds a home: process id, the command as people know it, and since when (ISO 8601, UTC)."""

    pid: int
    what: str
    since: str


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` as `what` ("vp up") until the block ends; the kernel lets go of it when the process dies, however it dies.

    Raises:
        SettingsError: the home cannot be made.
        HomeLocked: another process holds it; `owner` says which.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # often the first thing made of a home, which holds footage
    except OSError as error:
        if is_full(error):
            raise
        raise SettingsError(f"the home {path.parent} cannot be made ({error.strerror}); set {PREFIX}HOME to a folder you may write") from error
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(descriptor):
            raise _locked(path, what)
        _write(descriptor, Owner(os.getpid(), what, datetime.now(UTC).isoformat(timespec="seconds")))
        yield
        _write(descriptor, None)
    finally:
        os.close(descriptor)


def owner(path: Path) -> Owner | None:
    """Who holds the lock file now, or None; an owner that has not written its name yet is `pid` 0."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path)
    finally:
        os.close(descriptor)
    return None


def _taken(descriptor: int) -> bool:
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < ATTEMPTS:
                time.sleep(ATTEMPT_PAUSE_S)
        else:
            return True
    return False


def _locked(path: Path, what: str) -> HomeLocked:
    holder = _read(path)
    advice = _advice(path, holder, what)
    return HomeLocked(f"{holder.what} (process {holder.pid}, since {holder.since}) runs on {path.parent}, so {what} cannot; {advice}", owner=holder)


def _advice(path: Path, holder: Owner, what: str) -> str:
    if holder.what not in SERVING:
        return "wait until it has ended, or end it"
    if what not in SERVING:
        return "use `vp ingest PATH --wait` for a file and `vp retry ID` for a video that is here, which hand the work to it, or end it first"
    page = _page(path.parent)
    there = f"its page is {page}" if page else "it is still starting"
    return f"{there}: use that one, end it first (Ctrl-C where it runs, or `kill {holder.pid}`), or name another home with {PREFIX}HOME"


def _page(home: Path) -> str | None:
    """Where the platform that runs on a home says that its web app answers; None while it is starting."""
    from video_platform.catalog import ADDRESSES_FILE

    try:
        return str(json.loads((home / ADDRESSES_FILE).read_text())["web"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(descriptor: int, holder: Owner | None) -> None:
    os.ftruncate(descriptor, 0)
    if holder is not None:
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)


def _read(path: Path) -> Owner:
    try:
        return Owner(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return Owner(0, "another process", "just now")
