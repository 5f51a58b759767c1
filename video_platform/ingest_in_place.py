"""A file that is taken in without being copied: its real place, its hash, and what tells later that it is still the same."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from video_platform.errors import UploadRefused
from video_platform.ingest_files import HEAD_BYTES, display_name, has_writer, open_footage
from video_platform.units import MIB

READ_BYTES = MIB
"""Piece in which a file is read and hashed."""


@dataclass(frozen=True)
class InPlace:
    """A file as it was found: its real path (no link in it), and what its bytes are."""

    path: str
    modified_ns: int
    size_bytes: int
    sha256: str
    head: bytes


def look_at(path: Path, *, max_bytes: int, home: Path) -> InPlace:
    """Read the file once.

    Raises:
        UploadRefused: `empty`, `unreadable`, `changing`, `too_large`, or `bad_name` for a place that cannot be referred to.
    """
    real = Path(os.path.realpath(path))
    _refuse_place(real, home)
    with open_footage(real, max_bytes) as file:
        before = os.fstat(file.fileno())
        if has_writer(file):
            raise UploadRefused("changing", f"{display_name(path.name)}: try again when its writer is done.", path=str(path))
        digest, head, size_bytes = hashlib.sha256(), b"", 0
        piece = memoryview(bytearray(READ_BYTES))
        try:
            while count := file.readinto(piece):  # type: ignore[attr-defined]
                head = head or bytes(piece[:HEAD_BYTES][:count])
                digest.update(piece[:count])
                size_bytes += count
        except OSError as error:
            raise UploadRefused("unreadable", f"{path}: {error.strerror}.", path=str(path)) from error
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size_bytes != after.st_size:
        raise UploadRefused("changing", f"{display_name(path.name)}: try again when its writer is done.", path=str(path))
    return InPlace(str(real), after.st_mtime_ns, size_bytes, digest.hexdigest(), head)


def _refuse_place(real: Path, home: Path) -> None:
    try:
        str(real).encode()
    except UnicodeEncodeError as error:
        rule = "the path is not valid Unicode, so it cannot be written down; rename the file or its folder, or take in a copy (without --in-place)."
        raise UploadRefused("bad_name", f"{display_name(real.name)}: {rule}", path=os.fsencode(real).decode(errors="replace")) from error
    if real.is_relative_to(os.path.realpath(home)):
        raise UploadRefused(
            "bad_name", f"{real} lies in the platform's own home, where files come and go; move it elsewhere, or take in a copy.", path=str(real)
        )
