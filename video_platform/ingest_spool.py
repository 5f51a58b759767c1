"""Footage on its way in: a private file that is hashed while it is written, and the lock that keeps two writers of one video apart.

Whoever writes a spool file holds a lock on it, which the kernel drops when the process ends; that is how `sweep` tells a leftover from an upload.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from video_platform.errors import StoreFull
from video_platform.ingest_files import HEAD_BYTES

SUFFIX = ".part"

SWEEP_AGE_S = 60.0
"""A younger file may have been made but not locked yet."""

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


class SpoolFile:
    """A file that is being written; `sha256` and `size_bytes` are of what was written so far, `head` is its first bytes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"
        self.size_bytes = 0
        self.head = b""
        self._hash = hashlib.sha256()
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written, 64 hex digits."""
        return self._hash.hexdigest()

    @property
    def open(self) -> bool:
        """Whether more can be written."""
        return self._descriptor >= 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`; StoreFull when the disk is."""
        view = memoryview(data).cast("B")
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(view[: HEAD_BYTES - len(self.head)])
        self._hash.update(view)
        self.size_bytes += len(view)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                if error.errno in NO_SPACE:
                    raise full(self.path.parent) from error
                raise

    def discard(self) -> None:
        """Remove the file, if it is still there, and let go of it."""
        if self.open:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def full(folder: Path) -> StoreFull:
    """The error for a disk that cannot take the footage."""
    return StoreFull(f"no space is left in {folder} for this footage; free some and try again; nothing was taken in", path=str(folder))


def sweep(folder: Path, *, now: float | None = None) -> int:
    """Remove what dead processes left in `folder`; returns how many files."""
    removed = 0
    if not folder.is_dir():
        return 0
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            removed += _remove_if_dead(path, time.time() if now is None else now)
    return removed


def _remove_if_dead(path: Path, now: float) -> bool:
    if now - path.lstat().st_mtime < SWEEP_AGE_S:
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)
    return True


@contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock `name` of this home: one process and thread at a time puts or removes the objects of a video."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                break
        os.close(descriptor)  # its last holder removed the name while this one waited
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
