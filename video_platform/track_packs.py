"""Stored tracks as columns, one pack per camera and day: a cache under the home that can be deleted at any time.

A pack is named by what is in it, the ids of its videos and the content hashes of their tracks, so it is never out of date: other tracks are another pack.
It is written beside and renamed, and read whole once it is open, so several processes may write, read and remove at the same time.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from video_platform import layout
from video_platform.errors import IntegrityError, ObjectNotFound
from video_platform.records import Manifest, VideoRecord
from video_platform.services.database.archive import day_of
from video_platform.services.object_store import ObjectStore

if TYPE_CHECKING:
    from video_platform.analysis.batch_evaluation import Columns, Footage
    from video_platform.analysis.packs import Pack

log = logging.getLogger(__name__)

READERS = 8
"""Videos that are read at once from an object store: it answers in milliseconds, of which little is ours."""

AHEAD = 64
"""Videos that are read before they are needed; their columns are in memory."""

SUFFIX = ".parquet"
NEW = ".new"

ABANDONED_S = 3600.0
"""A pack that has not been written to for so long was left by a process that is gone."""


@dataclass(frozen=True)
class Wanted:
    """A video and the content hash of the tracks that its alerts come from."""

    video_id: str
    tracks_hash: str


class LeftOut(Exception):
    """The tracks of a video cannot be had now; says why."""


class TrackPacks:
    """The packs of one home. `left_out` is told of each video whose tracks cannot be had, and why."""

    def __init__(self, folder: Path, store: ObjectStore, max_bytes: int, left_out: Callable[[str, str], None]) -> None:
        self._folder, self._store, self._max_bytes, self._left_out = folder, store, max_bytes, left_out
        self._used: set[Path] = set()

    def columns(self, camera: str, day: str, wanted: Sequence[Wanted]) -> "Iterator[tuple[list[str], Columns]]":
        """The tracks of these videos of one camera and day, in this order, in parts: the ids of its videos, and their columns."""
        folder = _folder(self._folder, camera, day)
        kept = self._opened(folder)
        have = {(entry.video_id, entry.tracks_hash) for pack in kept for entry in pack.entries}
        lost: set[str] = set()
        missing = [each for each in wanted if (each.video_id, each.tracks_hash) not in have]
        ready = {each.video_id: found for each, found in self._manifests(missing, lost)}
        there = [each for each in wanted if each.video_id not in lost]
        names = [(each.video_id, each.tracks_hash) for each in there]
        pack = next((pack for pack in kept if [(entry.video_id, entry.tracks_hash) for entry in pack.entries] == names), None)
        if pack is None:
            try:
                pack = self._write(folder, lambda: self._footage(kept, there, ready))
            except OSError as error:
                log.warning("stored tracks of a day cannot be kept as columns, they are read one by one: %s", error)
                yield from _together(self._footage(kept, there, ready))
                return
        with contextlib.suppress(FileNotFoundError):  # another process may have put another in its place
            os.utime(pack.path)
        self._used.add(pack.path)
        try:
            for entries, found in pack.columns():
                yield [entry.video_id for entry in entries], found
        except IntegrityError:
            pack.path.unlink(missing_ok=True)  # so that trying again makes it again
            raise

    def read(self, wanted: Sequence[Wanted]) -> "Iterator[tuple[list[str], Columns]]":
        """The tracks of a few videos of one camera as `columns` gives them, read from the store and kept nowhere."""
        lost: set[str] = set()
        ready = {each.video_id: found for each, found in self._manifests(wanted, lost)}
        yield from _together(self._footage([], [each for each in wanted if each.video_id not in lost], ready))

    def trim(self) -> None:
        """Remove the packs that were not used for longest until the rest takes no more than it may."""
        for path, known in _looked_at(self._folder.glob(f"*/*/*{NEW}")):
            if known.st_mtime < time.time() - ABANDONED_S:
                path.unlink(missing_ok=True)
        found = [(known.st_mtime, known.st_size, path) for path, known in _looked_at(self._folder.glob(f"*/*/*{SUFFIX}"))]
        excess = sum(size for _, size, _ in found) - self._max_bytes
        for _, size, path in sorted(found, key=lambda each: (each[2] in self._used, each[0])):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size

    def _opened(self, folder: Path) -> "list[Pack]":
        from video_platform.analysis import packs

        found = []
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                found.append(packs.Pack(path))
            except FileNotFoundError:
                continue
            except IntegrityError as error:
                log.warning("%s; it is made again", error.message)
                path.unlink(missing_ok=True)
        return found

    def _write(self, folder: Path, footage: "Callable[[], Iterator[tuple[str, Footage]]]") -> "Pack":
        """The pack of this footage; those it takes the place of go."""
        from video_platform.analysis import packs

        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = folder / f"{uuid.uuid4().hex}{NEW}"
        try:
            packs.write(fresh, footage())
            written = packs.Pack(fresh)
            digest = hashlib.sha256(json.dumps([(entry.video_id, entry.tracks_hash) for entry in written.entries]).encode()).hexdigest()
            path = fresh.rename(folder / f"{digest[:32]}{SUFFIX}")
        finally:
            fresh.unlink(missing_ok=True)
        for other in folder.glob(f"*{SUFFIX}"):
            if other != path:
                other.unlink(missing_ok=True)
        return packs.Pack(path)

    def _footage(self, kept: "Sequence[Pack]", wanted: Sequence[Wanted], ready: "dict[str, Manifest]") -> "Iterator[tuple[str, Footage]]":
        """The footage of these videos, from packs where they are, from the store else."""
        places = {(entry.video_id, entry.tracks_hash): (pack, number, at) for pack in kept for number, at, entry in pack.places()}
        with ThreadPoolExecutor(READERS) as readers:
            waiting = {}
            coming = (each for each in wanted if each.video_id in ready)
            for each in wanted:
                place = places.get((each.video_id, each.tracks_hash))
                if place is not None and each.video_id not in ready:
                    pack, number, at = place
                    yield each.tracks_hash, pack.footage(number, at)
                    continue
                while each.video_id not in waiting or len(waiting) < AHEAD:
                    following = next(coming, None)
                    if following is None:
                        break
                    waiting[following.video_id] = readers.submit(self._read, ready[following.video_id])
                try:
                    yield each.tracks_hash, waiting.pop(each.video_id).result()
                except LeftOut as error:
                    self._left_out(each.video_id, str(error))

    def _manifests(self, wanted: Sequence[Wanted], lost: set[str]) -> "Iterator[tuple[Wanted, Manifest]]":
        """The manifests of the tracks that the alerts come from; of the other videos the ids are added to `lost`."""

        def read(each: Wanted) -> "Manifest | str":
            try:
                manifest = Manifest.model_validate_json(self._store.get_bytes(layout.manifest_key(each.video_id, layout.TRACKS)))
            except (ObjectNotFound, ValidationError):
                return "its tracks are not there"
            return manifest if manifest.content_hash == each.tracks_hash else "it was tracked again, and its alerts are not yet of the new tracks"

        if not wanted:
            return
        with ThreadPoolExecutor(READERS) as readers:
            for each, found in zip(wanted, readers.map(read, wanted), strict=True):
                if isinstance(found, str):
                    lost.add(each.video_id)
                    self._left_out(each.video_id, found)
                else:
                    yield each, found

    def _read(self, manifest: Manifest) -> "Footage":
        from video_platform.analysis import tables
        from video_platform.analysis.batch_evaluation import Footage, Judge

        entries = {role: manifest.file(role) for role in ("tracks", "samples")}
        try:
            files = [io.BytesIO(self._store.get_bytes(entry.key)) for entry in entries.values() if entry is not None]
            if len(files) < len(entries):
                raise LeftOut("its tracks were made by a version that did not keep what was looked at")
            tracks, names, _ = tables.read_tracks(files[0])
            return Footage(Judge(manifest.video_id), tracks, tables.read_samples(files[1]), names)
        except (ObjectNotFound, IntegrityError) as error:
            raise LeftOut(error.message) from error


def _looked_at(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """What is still there: other processes remove files too."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat()


def _together(footage: "Iterator[tuple[str, Footage]]") -> "Iterator[tuple[list[str], Columns]]":
    from video_platform.analysis import packs

    for batch in packs.batches(footage):
        yield [one.judge.video_id for _, one in batch], packs.joined([one for _, one in batch])


def forget(folder: Path, record: VideoRecord | None) -> None:
    """Remove what is kept of a video's day on its camera, after it was deleted; the others' tracks are read again."""
    if record is not None:
        shutil.rmtree(_folder(folder, record.camera, day_of(record)), ignore_errors=True)


def _folder(folder: Path, camera: str, day: str) -> Path:
    """Names of cameras are anybody's choice, and no part of a path."""
    return folder / hashlib.sha256(camera.encode()).hexdigest()[:16] / day
