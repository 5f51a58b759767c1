"""The object store: whole objects under keys, behind one interface.

`folder_store` keeps them as files, `s3_store` in any S3 server; one behaviour suite runs over both. An object is there whole or not at all; an overwritten
one is the old or the new, never a mixture. Keys are made by `layout`, except below `inbox/`, where other programs choose them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from video_platform import layout
from video_platform.errors import InputError, ObjectNotFound, StoreFull
from video_platform.layout import INBOX
from video_platform.settings import Settings
from video_platform.units import MIB

CHUNK_BYTES = 256 * 1024
"""Size of the pieces in which objects are read: large enough for full disk speed, small beside everything else in memory."""

MAX_GET_BYTES = 64 * MIB
"""What `get_bytes` reads at most: manifests, sheets and Parquet files stay far below, footage has to be streamed."""

ROOM_BYTES = 4 * MIB
"""What a store must take before a video that found it full is tried again: about what the results of a short one need."""

NOBODY = "0" * 16
"""A video id that stands for none."""

MAX_KEY_BYTES = 1024
"""S3's own limit."""
MAX_SEGMENT_BYTES = 255
"""The longest file name of the usual file systems."""

RESERVED = ".incoming"
"""First segment that no key may have: a folder store keeps unfinished files there."""


@dataclass(frozen=True)
class ObjectInfo:
    """What is known of an object without reading it; `media_type` is None where the store does not say (listings of S3)."""

    key: str
    size_bytes: int
    media_type: str | None
    modified_at: datetime
    etag: str | None


class ObjectStore(Protocol):
    """Objects under keys.

    Every method raises `StoreUnavailable` when the store does not answer and `InputError` for a key that no store takes; what writes raises `StoreFull`
    when no space is left, and leaves nothing behind.
    """

    @property
    def incoming(self) -> Path | None:
        """A folder on the store's own file system where a file that will be moved in may be written; None where there is no such thing."""
        ...

    def put_file(self, key: str, path: Path, *, media_type: str, if_absent: bool = True, move: bool = False) -> bool:
        """Store the file at `path`; with `if_absent` an object that is there stays and the answer is False. With `move` the file is gone afterwards.

        In a folder one of several writers that race for a key wins; in S3 the last one may, which is harmless because equal keys mean equal bytes.
        """
        ...

    def put_bytes(self, key: str, data: bytes, *, media_type: str, if_absent: bool = False) -> bool:
        """Store `data`; the same rules as `put_file`."""
        ...

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes from `offset` on, `length` of them or all, in chunks of at most `CHUNK_BYTES`; past the end there are none.

        Raises `ObjectNotFound` on entering.
        """
        ...

    def get_bytes(self, key: str, *, max_bytes: int = MAX_GET_BYTES) -> bytes:
        """A whole small object; `InputError` when it is larger than `max_bytes`, `ObjectNotFound` when it is not there."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """What is known of an object; `ObjectNotFound` when it is not there."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in the store's own order (SeaweedFS does not keep S3's)."""
        ...

    def delete(self, keys: Iterable[str]) -> int:
        """Remove objects; how many were removed (S3 counts those that were not there too). A missing one is no error."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object whose key starts with `prefix`, which must name a folder: `videos/<id>/`."""
        ...

    def take_away(self, info: ObjectInfo) -> bool:
        """Remove an object of the inbox as `stat` found it; False, and it stays, when another one lies under its key by now.

        S3 knows no conditional removal: there an object that is overwritten in the very moment between the last look and the removal goes too.
        """
        ...

    def move(self, key: str, target: str) -> None:
        """Bring an object of the inbox to `target`, where it replaces what is there; `key` may be one that no other method takes.

        Raises `ObjectNotFound` when it is not there.
        """
        ...

    def local_path(self, key: str) -> Path | None:
        """The store's own file, to be read only; None where objects are not files. `ObjectNotFound` when it should be there but is not."""
        ...

    def fetch(self, key: str, folder: Path) -> Path:
        """A file with the object's bytes: the store's own (read only), or a copy in `folder`, complete and checked (`IntegrityError`)."""
        ...

    def check(self) -> str:
        """What answers, in words, for `vp doctor`."""
        ...


def open_store(settings: Settings) -> ObjectStore:
    """The object store that the settings choose; an S3 server is first contacted when it is used."""
    if settings.objects.kind == "s3":
        from video_platform.services.s3_store import S3Store

        return S3Store(settings.objects)
    from video_platform.services.folder_store import FolderStore

    return FolderStore(settings.objects_folder)


def check_key(key: str) -> str:
    """`key`, when every store can hold it under exactly this name; InputError otherwise."""
    if problem := _problem(key):
        raise InputError(f"object key {key[:120]!r} cannot be used: {problem}", key=key)
    return key


def check_prefix(prefix: str) -> str:
    """`prefix`, when keys can start with it; the empty one means all."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def check_folder_prefix(prefix: str) -> str:
    """`prefix`, when it names a folder: `delete_prefix("videos/1")` would reach too far."""
    if not prefix.endswith("/"):
        raise InputError(f"objects are deleted below a folder, but {prefix[:120]!r} does not end with '/'", key=prefix)
    return check_prefix(prefix)


def is_usable(key: str) -> bool:
    """Whether every store can hold an object under exactly this key."""
    return not _problem(key)


def check_foreign_key(key: str) -> str:
    """`key`, when it names something in the inbox and nothing outside: other programs choose such names, and not every one can be used."""
    segments = key.split("/")
    if not key.startswith(INBOX) or any(segment in (".", "..") for segment in segments) or "\0" in key:
        raise InputError(f"object key {key[:120]!r} is not one of the inbox", key=key)
    return key


def missing(key: str) -> ObjectNotFound:
    """The error for an object that is not there."""
    return ObjectNotFound(f"no object {key!r} in the object store", key=key)


def too_large(key: str, size_bytes: int, max_bytes: int) -> InputError:
    """The error for an object that is not read at once."""
    return InputError(f"object {key!r} has {size_bytes} bytes; at most {max_bytes} are read at once", key=key, size_bytes=size_bytes, max_bytes=max_bytes)


def _problem(key: str) -> str:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    segments = key.split("/")
    if not key or size > MAX_KEY_BYTES:
        return f"it has {size} bytes; 1 to {MAX_KEY_BYTES} are possible"
    if "\0" in key or "\\" in key:
        return "it holds a NUL or a backslash"
    if any(segment in ("", ".", "..") for segment in segments):
        return "it has an empty, '.' or '..' segment"
    if any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments):
        return f"a segment has more than {MAX_SEGMENT_BYTES} bytes"
    if segments[0] == RESERVED:
        return f"{RESERVED} is reserved"
    return ""


def has_room(store: ObjectStore) -> bool:
    """Whether the store takes `ROOM_BYTES` more: one object is put and removed. One that a kill leaves is removed by the next question.

    Raises:
        StoreUnavailable: it does not answer.
    """
    data = bytes(ROOM_BYTES)
    key = layout.file_key(NOBODY, layout.SCENES, hashlib.sha256(data).hexdigest(), "bin")
    try:
        store.put_bytes(key, data, media_type="application/octet-stream")
    except StoreFull:
        return False
    store.delete([key])
    return True
