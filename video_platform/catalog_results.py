"""Manifests and the small JSON files they list, read from the object store and remembered while they are unchanged."""

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from video_platform import layout
from video_platform.errors import IntegrityError, ObjectNotFound, ServiceError
from video_platform.records import Manifest
from video_platform.services.object_store import ObjectStore

LOGGER = logging.getLogger(__name__)

FRESH_S = 1.0
"""On a remote store a manifest looked at this recently is taken as unchanged: one page asks for the same few several times. A folder is asked each time."""

MAX_MANIFESTS = 4_000
"""Manifests kept in memory, some kilobytes each: about five hundred videos."""

MAX_JSON_BYTES = 64 * 1024 * 1024
"""Largest JSON file of ours that is read whole: the player's tracks of a day of busy footage stay below it."""

READERS = 8
"""Manifests read side by side for one page; a folder answers at once, an S3 store in milliseconds each."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class _Kept:
    """A manifest, or None where there was none; `mark` is the object's etag or time, `looked_at` a monotonic clock in seconds."""

    manifest: Manifest | None
    mark: str
    looked_at: float


class ResultReader:
    """Reads results of any video; safe to call from several threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._fresh_s = FRESH_S if store.incoming is None else 0.0
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def manifest(self, video_id: str, asset: str) -> Manifest | None:
        """The manifest of one asset, None until it was made.

        Raises:
            StoreUnavailable: nobody can say.
            IntegrityError: it is not one that this version reads.
        """
        key = layout.manifest_key(video_id, asset)
        now = time.monotonic()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now - kept.looked_at < self._fresh_s:
            return kept.manifest
        try:
            info = self._store.stat(key)
            mark = info.etag or f"{info.modified_at.isoformat()}/{info.size_bytes}"
            manifest = kept.manifest if kept is not None and kept.mark == mark else _parsed(self._store.get_bytes(key), key)
        except ObjectNotFound:
            manifest, mark = None, ""
        with self._lock:
            if len(self._kept) >= MAX_MANIFESTS:
                self._kept.clear()
            self._kept[key] = _Kept(manifest, mark, now)
        return manifest

    def manifests(self, wanted: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Manifest]:
        """Manifests of several `(video_id, asset)`; what is missing, damaged or out of reach is left out: a list is then shown without its pictures."""
        if not wanted:
            return {}
        with ThreadPoolExecutor(min(READERS, len(wanted)), thread_name_prefix="manifests") as pool:
            found = pool.map(lambda each: self._manifest_or_none(*each), wanted)
            return {each: manifest for each, manifest in zip(wanted, found, strict=True) if manifest is not None}

    def json(self, manifest: Manifest | None, role: str) -> object:
        """The content of the JSON file with this role, None when there is none."""
        entry = manifest.file(role) if manifest else None
        if entry is None:
            return None
        try:
            return json.loads(self._store.get_bytes(entry.key, max_bytes=MAX_JSON_BYTES))
        except ValueError as error:
            raise IntegrityError(f"{entry.key} is not JSON; process the video again with force", key=entry.key) from error

    def model(self, video_id: str, asset: str, role: str, kind: type[Model]) -> Model | None:
        """The file with this role of an asset as a `kind`, None until it was made."""
        manifest = self.manifest(video_id, asset)
        entry = manifest.file(role) if manifest else None
        if entry is None:
            return None
        try:
            return kind.model_validate_json(self._store.get_bytes(entry.key, max_bytes=MAX_JSON_BYTES))
        except ValidationError as error:
            raise IntegrityError(f"{entry.key} is not a {kind.__name__} that this version reads; process the video again with force", key=entry.key) from error

    def forget(self, video_id: str) -> None:
        """Drop what is remembered of a video."""
        prefix = layout.video_prefix(video_id)
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if not key.startswith(prefix)}

    def _manifest_or_none(self, video_id: str, asset: str) -> Manifest | None:
        try:
            return self.manifest(video_id, asset)
        except (ServiceError, IntegrityError):
            LOGGER.warning("the manifest of %s of video %s could not be read", asset, video_id, exc_info=True)
            return None


def _parsed(data: bytes, key: str) -> Manifest:
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise IntegrityError(f"{key} is not a manifest that this version reads; process the video again", key=key) from error
