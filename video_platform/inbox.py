"""The inbox of the object store: other programs drop footage below `inbox/<camera>/`, here it becomes videos.

An object goes through a private file, where it is hashed, into the store under its hash; row and event are written in one transaction; only then is it taken
away from the inbox. A kill anywhere leaves it there, and doing it again ends in the same video. What cannot be used moves to `inbox-refused/`, is noted among
the refusals, and is not looked at again.
"""

import hashlib
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from video_platform import layout
from video_platform.errors import InputError, ObjectNotFound, PlatformError, UploadRefused
from video_platform.events import TOPIC_S3_EVENTS
from video_platform.ingest import Ingest, Ingested
from video_platform.ingest_files import CAMERA, DEFAULT_CAMERA, HEAD_BYTES, UNKNOWN, display_name, has_writer, is_unfinished, kind_of, refuse_too_large
from video_platform.ingest_spool import full
from video_platform.records import Lane
from video_platform.services.bucket_rule import BucketRule
from video_platform.services.database import refusals
from video_platform.services.folder_store import FolderStore
from video_platform.services.object_store import ObjectInfo, ObjectStore, is_usable
from video_platform.services.s3_store import S3Store
from video_platform.settings import Settings

log = logging.getLogger(__name__)

SETTLED = timedelta(seconds=10)
"""A younger object is left to its notification; a file in a folder may still be written to in bursts of some seconds."""

STAYS = "It stays in the inbox and is tried again."
"""The end of the note about an object that could not be taken in for a reason that may pass."""

SAFE_CHARACTERS = 100
"""Characters that are kept of a name that cannot be used as it is."""

What = Literal["taken in", "known", "refused", "gone", "unfinished"]


@dataclass(frozen=True)
class Outcome:
    """What became of one object; `text` says it in words."""

    what: What
    text: str
    video_id: str | None = None


class Inbox:
    """Takes in what lies in the inbox; several processes may do so at once."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._store: ObjectStore = ingest.store
        self._settings = ingest.settings

    def waiting(self, now: datetime) -> Iterator[ObjectInfo]:
        """What lies in the inbox and is whole, in the store's own order."""
        for info in self._store.list(layout.INBOX):
            age = now - info.modified_at
            if timedelta(0) <= age < SETTLED or any(segment in (".", "..") for segment in info.key.split("/")):
                continue
            if self._store.incoming is None or not self._is_being_written(info.key):
                yield info

    def take(self, key: str) -> Outcome:
        """Take the object in under the camera that its key names, or move it out of the way.

        Raises:
            InputError: `key` is none of the inbox.
            StoreUnavailable, StoreFull, DatabaseUnavailable, IntegrityError: it stays in the inbox.
        """
        if not key.startswith(layout.INBOX):
            raise InputError(f"object {key[:120]!r} does not lie below {layout.INBOX}", key=key)
        try:
            camera = _camera(key)
            info = self._looked_at(key)
            ingested = self._streamed(info, camera)
        except ObjectNotFound:
            return Outcome("gone", "it was taken away, or taken in, before this run looked")
        except UploadRefused as refused:
            if refused.facts["code"] == "changing":
                return Outcome("unfinished", refused.message)
            return self._out_of_the_way(key, refused)
        self._forget_trouble(key)
        if not self._store.take_away(info):
            return Outcome("unfinished", f"{ingested.video_id} is in; meanwhile another file came under this name, it is taken in next", ingested.video_id)
        words = "taken in" if ingested.created else "these bytes are here already"
        return Outcome("taken in" if ingested.created else "known", f"{words} as {ingested.video_id}", ingested.video_id)

    def trouble(self, key: str, code: str, message: str) -> None:
        """Note for people that an object could not be taken in now; it is forgotten when it could."""
        name, camera = _shown(key)
        refusals.add(self._ingest.db, name=name, camera=camera, code=code, message=f"{message} {STAYS}", now=datetime.now(UTC))

    # ---- one object ------------------------------------------------------------------------------------------------------------------------------------

    def _looked_at(self, key: str) -> ObjectInfo:
        if not is_usable(key):
            raise UploadRefused("bad_name", "Give it a name without backslashes and control characters, of at most 255 bytes.")
        info = self._store.stat(key)
        name = _shown(key)[0]
        if self._store.incoming is not None and self._is_being_written(key):
            raise UploadRefused("changing", name)
        if info.size_bytes == 0:
            raise UploadRefused("empty", name)
        refuse_too_large(info.size_bytes, self._settings.media.max_bytes, name)
        return info

    def _streamed(self, info: ObjectInfo, camera: str) -> Ingested:
        """The object through a spool file into the store; nothing is kept when it changed meanwhile."""
        name = layout.parse_inbox_key(info.key)[1]
        with self._ingest.begin_stream(name, camera, None, Lane.LIVE) as incoming:
            folder = self._store.incoming or self._settings.spool
            if shutil.disk_usage(folder).free < info.size_bytes:
                raise full(folder)
            head = b""
            with self._store.open(info.key) as chunks:
                for chunk in chunks:
                    if len(head) < HEAD_BYTES:
                        head += chunk[: HEAD_BYTES - len(head)]
                        _refuse_unlike_footage(head, name, whole=len(head) == HEAD_BYTES or len(head) == info.size_bytes)
                    incoming.write(chunk)
            if incoming.size_bytes != info.size_bytes or self._store.stat(info.key).etag != info.etag:
                raise UploadRefused("changing", f"{display_name(name)}: it was written to while it was read.")
            return incoming.finish()

    def _out_of_the_way(self, key: str, refused: UploadRefused) -> Outcome:
        name, camera = _shown(key)
        target = layout.INBOX_REFUSED + "/".join(_safe(part, key) for part in key.removeprefix(layout.INBOX).split("/") if part)
        message = f"{refused.message} The file lies under {target} now."
        refusals.add(self._ingest.db, name=name, camera=camera, code=str(refused.facts["code"]), message=message, now=datetime.now(UTC))
        try:
            self._store.move(key, target)
        except ObjectNotFound:
            return Outcome("gone", "it was taken away before it could be moved")
        return Outcome("refused", message)

    def _forget_trouble(self, key: str) -> None:
        name, camera = _shown(key)
        try:
            refusals.forget(self._ingest.db, name=name, camera=camera, ending=STAYS)
        except PlatformError as error:
            log.warning("a note about %s stays: %s", name, error)

    def _is_being_written(self, key: str) -> bool:
        """Whether the file of a folder store is not whole, as far as its name, its folder and the system tell."""
        root = self._store.incoming
        if root is None or not is_usable(key):
            return False
        path: Path = root.parent / key
        if is_unfinished(path.name):
            return True
        if path.parent.resolve() != root.parent.resolve() / Path(key).parent:
            return True  # a link leads elsewhere: nothing there is ours to take away
        try:
            with path.open("rb") as file:
                return has_writer(file)
        except OSError:
            return False


def ready(settings: Settings, store: ObjectStore) -> str:
    """Make the inbox ready for other programs, as far as the store lets us; where it is and how it is heard of, in words. Nothing of it is needed to run."""
    look = f"looked at every {settings.objects.scan_s:g} s"
    if isinstance(store, FolderStore):
        folder = store.root / layout.INBOX
        folder.mkdir(parents=True, exist_ok=True)
        return f"{folder}, {look}"
    where = f"s3://{layout.BUCKET}/{layout.INBOX}"
    if not isinstance(store, S3Store) or settings.event_log.kind != "kafka":
        return f"{where}, {look}"
    try:
        BucketRule(store, settings.objects.events_target).mend()
    except PlatformError as error:
        return f"{where}, {look}; no notifications: {error.message}"
    return f"{where}, heard of on topic {TOPIC_S3_EVENTS}, and {look}"


def identity(info: ObjectInfo) -> str:
    """Which object this is: hashes of its place and of its version, apart by a dot. Equal for notification and scan, another one when it is overwritten."""
    place = f"{layout.BUCKET}\n{info.key}".encode("utf-8", "surrogateescape")
    version = info.etag or f"{info.modified_at.isoformat()}/{info.size_bytes}"
    return f"{hashlib.sha256(place).hexdigest()[:24]}.{hashlib.sha256(version.encode()).hexdigest()[:24]}"


def _camera(key: str) -> str:
    try:
        camera, _ = layout.parse_inbox_key(key)
    except ValueError as error:
        raise UploadRefused("bad_name", f"Put it under {layout.INBOX}<camera>/<name>.") from error
    if camera is not None and CAMERA.fullmatch(camera) is None:
        rule = "letters, digits, '.', '_' and '-', at most 64 of them, beginning with a letter or digit"
        raise UploadRefused("bad_camera", f"{display_name(camera)!r} is not one of {rule}: name the folder below {layout.INBOX} after the camera.")
    return camera or DEFAULT_CAMERA


def _refuse_unlike_footage(head: bytes, name: str, *, whole: bool) -> None:
    if whole and kind_of(head, name) == UNKNOWN:
        raise UploadRefused("not_a_video", "Neither its name nor its content say that it is one.")


def _shown(key: str) -> tuple[str, str]:
    """`(name, camera)` of an object as they may be shown."""
    camera, _, name = key.removeprefix(layout.INBOX).partition("/")
    return (display_name(name), display_name(camera)[:64]) if name else (display_name(camera), DEFAULT_CAMERA)


def _safe(part: str, key: str) -> str:
    """A segment of a key as it is, or, where it holds what not every store takes or what would mislead a reader, a plain form of it that is its own."""
    if display_name(part) == part and is_usable(part):
        return part
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", display_name(part))[-SAFE_CHARACTERS:].lstrip(".")
    return f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}-{plain}"
