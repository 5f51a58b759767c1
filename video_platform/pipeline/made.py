"""What a step hands to the IO manager, and what the IO manager hands to the next step. Neither ever holds the bytes of a video."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from video_platform import layout, recipes
from video_platform.errors import IntegrityError, NotFound, ObjectNotFound
from video_platform.records import Cost, FileEntry, Manifest, Verdict, VideoRecord
from video_platform.services import references

if TYPE_CHECKING:
    from video_platform.services.object_store import ObjectStore


@dataclass(frozen=True)
class NewFile:
    """A file to be kept: where it lies now, what it is for, and its media type; the extension of its key is that of `path`."""

    role: str
    path: Path
    media_type: str


@dataclass(frozen=True)
class Plan:
    """What one asset of one video would be made from now; `stored` is the stored version when it was made from exactly that."""

    asset: str
    video_id: str
    code_version: str
    configuration: Mapping[str, object]
    inputs: Mapping[str, str]
    fingerprint: str
    stored: Manifest | None = None


@dataclass(frozen=True)
class Made:
    """A candidate version of one asset, not yet published.

    `kept` are files that already lie in the store; `before_manifest` runs when all files are stored and the manifest is not yet written, with the
    entries of all files, `after_manifest` when readers see the version. With `plan.stored` set nothing was made: the stored version is handed on.
    """

    plan: Plan
    content_hash: str
    verdict: Verdict
    files: Sequence[NewFile] = ()
    kept: Sequence[FileEntry] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    degraded: str | None = None
    cost: Cost = field(default_factory=Cost)
    thumbnail: Path | None = None
    before_manifest: Callable[[Sequence[FileEntry]], None] | None = None
    after_manifest: Callable[[], object] | None = None

    @property
    def reused(self) -> bool:
        """Whether the stored version is handed on."""
        return self.plan.stored is not None


def read_manifest(store: "ObjectStore", video_id: str, asset: str) -> Manifest | None:
    """The manifest of one asset of one video, None when there is none, or none that can be read."""
    try:
        return Manifest.model_validate_json(store.get_bytes(layout.manifest_key(video_id, asset)))
    except (ObjectNotFound, ValidationError):
        return None


def summary_is_current(store: "ObjectStore", video_id: str) -> bool:
    """Whether the summary that is stored speaks of the tracks, scenes, captions and speech that are stored."""
    sources = {asset: read_manifest(store, video_id, asset) for asset in recipes.INPUTS[layout.LLM_SUMMARY]}
    return speaks_of(read_manifest(store, video_id, layout.LLM_SUMMARY), sources)


def speaks_of(summary: Manifest | None, sources: Mapping[str, Manifest | None]) -> bool:
    """Whether a summary was made from exactly these versions; one that was never written speaks of nothing."""
    return summary is not None and all(manifest is None or summary.inputs.get(asset) == manifest.content_hash for asset, manifest in sources.items())


class Handle:
    """One asset of one video as an input. Lazy: nothing is read before it is asked for, and only then can it be missing."""

    def __init__(self, store: "ObjectStore", folder: Path, video_id: str, asset: str, record: "Callable[[], VideoRecord | None] | None" = None) -> None:
        """`record` looks the video up, for footage that may lie elsewhere than in the store."""
        self._store = store
        self._record = record
        self._folder = folder
        self.video_id = video_id
        self.asset = asset

    @cached_property
    def manifest(self) -> Manifest:
        """What is stored.

        Raises:
            NotFound: this asset was never made for this video.
        """
        found = read_manifest(self._store, self.video_id, self.asset)
        if found is None:
            raise NotFound(
                f"{self.asset} of video {self.video_id} has not been made yet; materialise it first, or run job process_video for this partition",
                asset=self.asset,
                video_id=self.video_id,
            )
        return found

    @property
    def content_hash(self) -> str:
        """The hash of what it says; see `fingerprints`."""
        return self.manifest.content_hash

    def entry(self, role: str) -> FileEntry:
        """The file with this role; NotFound when the stored version has none."""
        found = self.manifest.file(role)
        if found is None:
            raise NotFound(f"{self.asset} of video {self.video_id} has no file with role {role!r}", asset=self.asset, role=role)
        return found

    def path(self, role: str) -> Path:
        """A local file to read from: the store's own, or a copy in the folder of this run. Never write to it.

        Raises:
            ObjectNotFound: the object is gone.
            FootageAway: the footage stayed where it lay, and is not there or was changed.
            IntegrityError: it has another size than its manifest says.
        """
        entry = self.entry(role)
        record = self._record() if self._record is not None else None
        if record is not None and record.reference_path is not None and record.object_key == entry.key:
            return references.locate(record)
        copy = self._folder / entry.name
        path = copy if copy.exists() else self._store.local_path(entry.key) or self._store.fetch(entry.key, self._made_folder())
        size_bytes = path.stat().st_size
        if size_bytes != entry.size_bytes:
            raise IntegrityError(
                f"{entry.key} has {size_bytes} bytes, its manifest says {entry.size_bytes}; process the video again with force",
                expected=entry.size_bytes,
                actual=size_bytes,
            )
        return path

    def read_json(self, role: str) -> dict[str, Any]:
        """A small JSON file that holds an object."""
        return json.loads(self._store.get_bytes(self.entry(role).key))

    def read_list(self, role: str) -> list[Any]:
        """A small JSON file that holds a list."""
        return json.loads(self._store.get_bytes(self.entry(role).key))

    def _made_folder(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder
