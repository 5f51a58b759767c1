"""Bytes on their way in: from a file into a private one, and from there into the store, read back before they count."""

import hashlib
import logging
import os
import shutil
from pathlib import Path

from video_platform.errors import IntegrityError, ObjectNotFound, UploadRefused
from video_platform.ingest_files import display_name, has_writer, open_footage, refuse_too_large
from video_platform.ingest_rows import Arrived
from video_platform.ingest_spool import SpoolFile, full
from video_platform.services.object_store import ObjectStore
from video_platform.units import MIB

log = logging.getLogger(__name__)

READ_BYTES = MIB
"""Piece in which a file is read, hashed and written: full disk speed, and all the memory that footage of any size takes here."""


def copy(path: Path, spool: SpoolFile, limit: int) -> None:
    """The file at `path` into a private file; it may have at most `limit` bytes.

    Raises:
        UploadRefused: `unreadable`, `changing` or `too_large`.
        StoreFull: no space is left.
    """
    shown = display_name(path.name)
    with open_footage(path, limit) as file:
        before = os.fstat(file.fileno())
        if has_writer(file):
            raise UploadRefused("changing", f"{shown}: try again when its writer is done.", path=str(path))
        if shutil.disk_usage(spool.path.parent).free < before.st_size:
            raise full(spool.path.parent)
        piece = memoryview(bytearray(READ_BYTES))
        try:
            while count := file.readinto(piece):  # type: ignore[attr-defined]
                refuse_too_large(spool.size_bytes + count, limit, shown)
                spool.write(piece[:count])
        except OSError as error:
            raise UploadRefused("unreadable", f"{path}: {error.strerror}.", path=str(path)) from error
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or spool.size_bytes != after.st_size:
        raise UploadRefused("changing", f"{shown}: try again when its writer is done.", path=str(path))


def bring(store: ObjectStore, spool: SpoolFile, arrived: Arrived, *, vouched: bool) -> None:
    """Bring the spooled file under its key. An object that lies there is checked; a damaged one is replaced.

    `vouched` says that a row knows the object, so that its size is enough to look at.
    """
    key, sha256, size_bytes, media_type = arrived.object_key, arrived.sha256, arrived.size_bytes, arrived.media_type
    try:
        if vouched and store.stat(key).size_bytes == size_bytes:
            return
        verified(store, key, sha256, size_bytes)
    except ObjectNotFound:
        store.put_file(key, spool.path, media_type=media_type, if_absent=True, move=True)
    except IntegrityError as error:
        log.warning("replacing a damaged object: %s", error)
        store.put_file(key, spool.path, media_type=media_type, if_absent=False, move=True)
    else:
        return
    try:
        verified(store, key, sha256, size_bytes)
    except IntegrityError:
        store.delete([key])
        raise


def verified(store: ObjectStore, key: str, sha256: str, size_bytes: int | None) -> int:
    """The size of the object after reading it back; IntegrityError when it is not what it should be."""
    size, digest = 0, hashlib.sha256()
    with store.open(key) as chunks:
        for chunk in chunks:
            size += len(chunk)
            digest.update(chunk)
    if digest.hexdigest() != sha256 or size_bytes not in (None, size):
        raise IntegrityError(
            f"object {key!r} holds {size} bytes with SHA-256 {digest.hexdigest()}, not the {size_bytes or ''} bytes of its name; ingest the file again",
            expected=sha256,
            actual=digest.hexdigest(),
        )
    return size
