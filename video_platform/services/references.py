"""Footage that stays where it lies: read from there, and only while it is the file that was taken in.

The recorded path is the real one: no part of it is a link, and none is followed later. A file counts as the same while its size and its time of change are;
where only the time differs, its hash decides, once, when the video is processed.
"""

import errno
import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from video_platform.errors import FootageAway
from video_platform.records import VideoRecord
from video_platform.services.object_store import CHUNK_BYTES, ObjectStore

Standing = Literal["there", "moved", "changed"]

HASH_BYTES = 1024 * 1024
"""Piece in which a file is hashed."""


def footage(store: ObjectStore, record: VideoRecord, folder: Path) -> Path:
    """A file with the footage of a video, to be read only: where it lies, the store's own, or a copy in `folder`.

    Raises:
        FootageAway: it was taken in in place and is not there, or is another file now.
        ObjectNotFound, IntegrityError, StoreUnavailable: it was copied, and cannot be had.
    """
    return locate(record) if record.reference_path is not None else store.fetch(record.object_key, folder)


def locate(record: VideoRecord) -> Path:
    """Where the footage lies, looked at just now. Raises FootageAway."""
    with _opened(record):
        return Path(str(record.reference_path))


def standing(record: VideoRecord) -> Standing:
    """Whether the footage is where it was, as far as size and time tell."""
    try:
        locate(record)
    except FootageAway as away:
        return "moved" if away.facts["code"] == "moved" else "changed"
    return "there"


@contextmanager
def reading(record: VideoRecord, *, offset: int = 0, length: int | None = None) -> Iterator[Iterator[bytes]]:
    """The bytes from `offset` on, `length` of them or all, in chunks; they are those of the file that was opened. Raises FootageAway on entering."""
    with _opened(record) as file:
        yield _chunks(file, offset, length)


def confirm(record: VideoRecord) -> int:
    """Read the whole file and compare its hash; returns its time of change (ns), under which it counts as the same from now on.

    Raises:
        FootageAway: `moved`, or `changed` when its bytes are others.
    """
    with _opened(record, whatever_time=True) as file:
        digest = hashlib.sha256()
        piece = memoryview(bytearray(HASH_BYTES))
        before = os.fstat(file.fileno())
        while count := file.readinto(piece):  # type: ignore[attr-defined]
            digest.update(piece[:count])
        after = os.fstat(file.fileno())
    if digest.hexdigest() != record.sha256 or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _changed(record, "its bytes are others now")
    return after.st_mtime_ns


@contextmanager
def _opened(record: VideoRecord, *, whatever_time: bool = False) -> Iterator[BinaryIO]:
    path = str(record.reference_path)
    try:
        if os.path.realpath(path) != path:
            raise _moved(record, "a link lies in its way now, and links are not followed")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR, None) else ""
        raise _moved(record, reason or "") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise _moved(record, "something else than a file lies there")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if found.st_size != record.size_bytes:
            raise _changed(record, f"it has {found.st_size} bytes, not {record.size_bytes}")
        if found.st_mtime_ns != record.reference_modified_ns and not whatever_time:
            raise _changed(record, "it was written to, or only touched: processing the video again reads it and knows")
        yield file


def _chunks(file: BinaryIO, offset: int, length: int | None) -> Iterator[bytes]:
    left = length
    while left is None or left > 0:
        chunk = os.pread(file.fileno(), CHUNK_BYTES if left is None else min(CHUNK_BYTES, left), offset)
        if not chunk:
            return
        yield chunk
        offset += len(chunk)
        left = None if left is None else left - len(chunk)


def _moved(record: VideoRecord, reason: str) -> FootageAway:
    path = record.reference_path
    text = (
        f"{path} is not there, seen from {socket.gethostname()}{f' ({reason})' if reason else ''}: put the file back and process the video again, "
        "or say where it is with `vp ingest --in-place PATH`; `vp ingest PATH` keeps a copy instead. What was made of it stands."
    )
    return FootageAway("moved", text, path=path, video_id=record.video_id)


def _changed(record: VideoRecord, reason: str) -> FootageAway:
    path = record.reference_path
    text = f"{path}: {reason}. Put the file back that was taken in and process the video again; what lies there now is another video: `vp ingest PATH`."
    return FootageAway("changed", text, path=path, video_id=record.video_id)
