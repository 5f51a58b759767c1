"""The write side: footage in, work requested, attributes corrected, videos deleted.

Footage is hashed while it is written to a private file, verified, moved into the object store under its hash, and then recorded and announced in one
transaction: object first, row second. A kill in between leaves an object that nothing refers to; the same footage again uses it, `adopt` takes it up.
The same bytes are one video, whatever they are called.
"""

import logging
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from video_platform import ingest_rows, keeping, layout, rebuilding, recording_time, reels, track_packs
from video_platform.access import ANYONE, Person
from video_platform.errors import (
    InputError,
    IntegrityError,
    NotAllowed,
    ObjectNotFound,
    PlatformError,
    StateError,
    StoreUnavailable,
    UploadRefused,
    VideoDeleted,
    is_full,
)
from video_platform.ingest_copying import bring, copy, verified
from video_platform.ingest_files import (
    DEFAULT_CAMERA,
    MEDIA_TYPES,
    UNKNOWN,
    Collected,
    check_camera,
    collect,
    kind_of,
    refuse_too_large,
)
from video_platform.ingest_in_place import InPlace, look_at
from video_platform.ingest_rows import Arrived, Given, Noted, said, unnoted
from video_platform.ingest_spool import SpoolFile, full, held, sweep
from video_platform.records import Lane, VideoRecord, VideoState
from video_platform.services import references
from video_platform.services.database import Database, refusals, videos
from video_platform.services.object_store import ObjectStore
from video_platform.settings import Settings

__all__ = ["DEFAULT_CAMERA", "Collected", "Deleted", "Incoming", "Ingest", "Ingested", "check_camera", "collect"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingested:
    """What became of footage.

    `created`: it was not here before (a tombstone counts as not here). `again`: it was here but had failed, and is processed anew.
    """

    video_id: str
    created: bool
    record: VideoRecord
    again: bool = False


@dataclass(frozen=True)
class Deleted:
    """What a deletion removed; `already` when only its tombstone was left."""

    video_id: str
    objects: int
    alerts: int
    already: bool = False


class Ingest:
    """Takes footage in; safe to use from several threads and processes at once.

    `announced` is called after each transaction that left something in the outbox, to send it at once.
    """

    def __init__(self, settings: Settings, db: Database, store: ObjectStore, *, announced: Callable[[], object] | None = None) -> None:
        self.settings, self.db, self.store = settings, db, store
        self._announced = announced or (lambda: None)
        self._spool = store.incoming or settings.spool
        self._locks = settings.home / "locks"

    # ---- footage in ------------------------------------------------------------------------------------------------------------------------------------

    def ingest_path(
        self,
        path: Path | str,
        *,
        camera: str = DEFAULT_CAMERA,
        recorded_at: datetime | None = None,
        lane: Lane = Lane.LIVE,
        announce: bool = True,
        name: str | None = None,
        in_place: bool = False,
    ) -> Ingested:
        """Take in a copy of the file at `path`, or, `in_place`, the file where it lies: it is then read once, and never copied, moved or deleted.

        Footage that was copied before stays copied; footage that is taken in as a copy afterwards no longer needs the file. In place, links are resolved now
        and not followed later.

        Raises:
            UploadRefused: `empty`, `unreadable`, `changing` or `too_large`; noted among the refusals.
            InputError: the camera name or recording time cannot be used.
            StoreFull, StoreUnavailable, IntegrityError: the footage could not be kept; nothing is recorded.
        """
        path = Path(path)
        given = said(name if name is not None else path.name, camera, recorded_at, lane, announce=announce, renamed=name is not None)
        limit = self.settings.media.max_bytes
        with self._noting_refusals(given):
            if in_place:
                return self._refer_to(look_at(path, max_bytes=limit, home=self.settings.home), given)
            with self._writing() as spool:
                copy(path, spool, limit)
                return self._take_in(spool, given)

    def begin_stream(
        self,
        name: str,
        camera: str = DEFAULT_CAMERA,
        recorded_at: datetime | None = None,
        lane: Lane = Lane.LIVE,
        *,
        person: Person = ANYONE,
        noted: Noted = unnoted,
    ) -> "Incoming":
        """Start taking in footage that arrives in pieces, from somebody who may see the camera; `finish` has the last word on it. `noted` is of new footage.

        Raises what `ingest_path` raises, and NotAllowed.
        """
        given = said(name, camera, recorded_at, lane)
        if given.camera is not None:
            _may_bring(person, given.camera)
        return Incoming(self, given, self._new_spool(), person, noted)

    def adopt(self, object_key: str) -> Ingested:
        """Take up a raw video in the store that no row knows, as a kill between object and row leaves it; one that has a row stays as it is.

        Raises:
            IntegrityError: its bytes are not what its key promises.
        """
        video_id, asset, sha256, extension = layout.parse_file_key(object_key)
        if asset != layout.RAW_VIDEO or layout.video_id_of(sha256) != video_id:
            raise InputError(f"object {object_key!r} is not the raw video of {video_id}", key=object_key)
        given = Given(f"recovered-{video_id}.{extension}", None, None, Lane.LIVE)
        with held(self._locks, video_id):
            known = videos.get(self.db, video_id) or self._remembered(video_id)
            if known is not None:
                return Ingested(video_id, False, known)
            size_bytes = verified(self.store, object_key, sha256, None)
            media_type = MEDIA_TYPES.get(extension, UNKNOWN[1])
            result = self._record(Arrived(sha256, size_bytes, object_key, media_type), given)
            keeping.keep_quietly(self.db, self.store, video_id)
        self._announced()
        return result

    def collect(self, path: Path | str) -> Collected:
        """The footage that a path stands for: a file itself, or what a folder holds, with the reason why the rest is skipped."""
        return collect(Path(path))

    # ---- work and attributes ---------------------------------------------------------------------------------------------------------------------------

    def request_processing(
        self, video_id: str, *, lane: Lane = Lane.REQUEST, force: bool = False, request_id: str | None = None, noted: Noted = unnoted
    ) -> str:
        """Ask for the video to be processed again; returns the request's id. The same `request_id` asks once.

        Raises:
            NotFound, VideoDeleted: there is nothing to process.
        """
        request_id = request_id or str(uuid.uuid4())
        with self.db.together(), self.db.write() as connection:
            current = videos.lock(connection, video_id)
            ingest_rows.request(connection, current, lane, request_id, _now(), force=force)
            noted(current)
        self._announced()
        return request_id

    def retry(self, video_id: str, *, noted: Noted = unnoted) -> str:
        """Ask for a failed or stuck video to be processed again; what is there already is reused. Of a ready one, only a summary that failed.

        Returns the request's id. Raises what `request_processing` raises.
        """
        request_id = str(uuid.uuid4())
        with self.db.together(), self.db.write() as connection:
            current = videos.lock(connection, video_id)
            only_summary = current.state is VideoState.READY and current.summary_failure_code is not None
            if not (only_summary and ingest_rows.request_summary(connection, current, Lane.REQUEST, request_id, _now())):
                ingest_rows.request(connection, current, Lane.REQUEST, request_id, _now())
            noted(current)
        self._announced()
        return request_id

    def correct(self, video_id: str, *, camera: str | None = None, recorded_at: datetime | None = None, noted: Noted = unnoted) -> bool:
        """Set camera and recording time, None keeps what is there; its alerts follow, and rules are evaluated again. Returns whether something changed.

        Raises:
            NotFound, VideoDeleted: there is nothing to correct.
            InputError: the camera name or recording time cannot be used.
        """
        said("-", camera, recorded_at, Lane.REQUEST)
        with self.db.together(), self.db.write() as connection:
            before = videos.lock(connection, video_id)
            changed = ingest_rows.correct(connection, before, camera, recorded_at, _now())
            if changed:
                noted(before)
        if changed:
            keeping.keep_quietly(self.db, self.store, video_id)
            self._announced()
        return changed

    # ---- deletion --------------------------------------------------------------------------------------------------------------------------------------

    def delete(self, video_id: str, who: str, why: str = "", *, noted: Noted = unnoted) -> Deleted:
        """Remove a video with everything made of it; a tombstone stays that says who, when and why.

        Rows go first, in one transaction, then the objects; a deletion that is killed in between is completed by a repeat or by `finish_deletes`. Events
        that were written stay and leave; notifications that had not left yet are dropped with the alerts they speak of.

        Raises:
            NotFound: there never was such a video.
        """
        with held(self._locks, video_id):
            with self.db.together(), self.db.write() as connection:
                try:
                    current = videos.lock(connection, video_id)
                except VideoDeleted:
                    already, removed = True, 0
                else:
                    already, removed = False, ingest_rows.bury(connection, video_id, who, why, _now())
                    noted(current)
            objects = self._remove_objects(video_id)
        return Deleted(video_id, objects, removed, already)

    def finish_deletes(self, suspects: Collection[str] = ()) -> list[str]:
        """Complete the deletions that were killed, and remove what dying runs wrote after the deletion of `suspects`; returns who had objects left."""
        done = []
        for video_id in dict.fromkeys([*ingest_rows.unfinished_deletes(self.db), *suspects]):
            with held(self._locks, video_id):
                known = videos.get(self.db, video_id)  # its file may have come back while this waited for the lock
                if known is not None and known.state is VideoState.DELETED and self._remove_objects(video_id):
                    done.append(video_id)
        return done

    def sweep(self) -> int:
        """Remove the private files that dead processes left behind; returns how many."""
        return sum(sweep(folder) for folder in {self._spool, self.settings.spool})

    # ---- the way in ------------------------------------------------------------------------------------------------------------------------------------

    def _new_spool(self) -> SpoolFile:
        try:
            return SpoolFile(self._spool)
        except OSError as error:
            if is_full(error):
                raise full(self._spool) from error
            raise StoreUnavailable(f"footage cannot be written into {self._spool}: {error.strerror or error}", path=str(self._spool)) from error

    @contextmanager
    def _writing(self) -> Iterator[SpoolFile]:
        spool = self._new_spool()
        try:
            yield spool
        finally:
            spool.discard()

    def _take_in(self, spool: SpoolFile, given: Given, person: Person = ANYONE, noted: Noted = unnoted) -> Ingested:
        if spool.size_bytes == 0:
            raise UploadRefused("empty", given.name)
        sha256 = spool.sha256
        video_id = layout.video_id_of(sha256)
        extension, media_type = kind_of(spool.head, given.name)
        with held(self._locks, video_id):
            known = self._known(video_id, sha256)
            if known is not None and known.state is not VideoState.DELETED and not person.may_see(known.camera):
                raise NotAllowed(f"this footage cannot be taken in by {person.name}: ask an admin to do it", person=person.name)
            key = layout.file_key(video_id, layout.RAW_VIDEO, sha256, extension)
            arrived = Arrived(sha256, spool.size_bytes, key, media_type)
            if known is not None:
                arrived = replace(arrived, object_key=known.object_key, media_type=known.media_type)
            bring(self.store, spool, arrived, vouched=known is not None and known.reference_path is None)
            result = self._record(arrived, self._guessed(given), noted)
            keeping.keep_quietly(self.db, self.store, video_id)
        self._announced()
        return result

    def _guessed(self, given: Given) -> Given:
        """With the recording time that the name tells, where the settings want that."""
        if given.recorded_at is not None or not self.settings.recording.from_name:
            return given
        zone = self.settings.recording.zone_of(given.camera or DEFAULT_CAMERA)
        return replace(given, guessed_at=recording_time.from_name(given.name, zone, _now()))

    def _refer_to(self, found: InPlace, given: Given) -> Ingested:
        """Record a file that stays where it lies, unless its bytes are here already or it is in place elsewhere."""
        video_id = layout.video_id_of(found.sha256)
        extension, media_type = kind_of(found.head, given.name)
        with held(self._locks, video_id):
            known = self._known(video_id, found.sha256)
            key = layout.file_key(video_id, layout.RAW_VIDEO, found.sha256, extension)
            arrived = Arrived(found.sha256, found.size_bytes, key, media_type, found.path, found.modified_ns)
            if known is not None:
                arrived = replace(arrived, object_key=known.object_key, media_type=known.media_type, keeps_place=self._has_place(known, found))
            result = self._record(arrived, self._guessed(given))
            keeping.keep_quietly(self.db, self.store, video_id)
        self._announced()
        return result

    def _has_place(self, known: VideoRecord, found: InPlace) -> bool:
        """Whether a video needs no other place: it was copied and is there, or its own file is."""
        if known.state is VideoState.DELETED or known.reference_path == found.path:
            return False
        if known.reference_path is not None:
            return references.standing(known) == "there"
        try:
            return self.store.stat(known.object_key).size_bytes == known.size_bytes
        except ObjectNotFound:
            return False

    def _known(self, video_id: str, sha256: str) -> VideoRecord | None:
        """The video of these bytes, or its tombstone with what a killed deletion left removed."""
        known = videos.get(self.db, video_id) or self._remembered(video_id)
        if known is not None and known.sha256 != sha256:
            raise IntegrityError(f"two different files share the id {video_id}; this one cannot be taken in", expected=known.sha256, actual=sha256)
        if video_id in ingest_rows.unfinished_deletes(self.db, video_id):
            self._remove_objects(video_id)
        return known

    def _remembered(self, video_id: str) -> VideoRecord | None:
        """A video that only the objects remember, since the database was lost: brought back, or all its alerts would be raised again."""
        return videos.get(self.db, video_id) if rebuilding.restore_video(self.db, self.store, video_id) else None

    def _record(self, arrived: Arrived, given: Given, noted: Noted = unnoted) -> Ingested:
        with self.db.together(), self.db.write() as connection:
            known, record = ingest_rows.arrive(connection, arrived, given, _now())
            created = known is None or known.state is VideoState.DELETED
            again = known is not None and known.state is VideoState.FAILED
            if created or again:
                noted(record)
        return Ingested(record.video_id, created, record, again)

    def _remove_objects(self, video_id: str) -> int:
        keeping.keep(self.db, self.store, video_id)  # the tombstone stands before the first object goes
        removed = self.store.delete_prefix(layout.video_prefix(video_id))
        buried = videos.get(self.db, video_id)
        track_packs.forget(self.settings.packs, buried)
        reels.forget(self.store, self.settings, buried)
        with self.db.write() as connection:
            ingest_rows.objects_removed(connection, video_id, _now())
        return removed

    @contextmanager
    def _noting_refusals(self, given: Given) -> Iterator[None]:
        try:
            yield
        except UploadRefused as refused:
            try:
                refusals.add(self.db, name=given.name, camera=given.camera or DEFAULT_CAMERA, code=str(refused.code), message=refused.message, now=_now())
            except PlatformError as error:
                log.warning("a refusal could not be noted: %s", error)
            raise


class Incoming:
    """Footage that arrives in pieces; `size_bytes` is what has arrived. Ends with `finish` or `abort`; as a context manager it aborts what is unfinished."""

    def __init__(self, ingest: Ingest, given: Given, spool: SpoolFile, person: Person = ANYONE, noted: Noted = unnoted) -> None:
        self._ingest, self._given, self._file, self._person, self._noted = ingest, given, spool, person, noted

    @property
    def size_bytes(self) -> int:
        """Bytes that have arrived."""
        return self._file.size_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece.

        Raises:
            UploadRefused: `too_large`.
            StoreFull: no space is left. Both end the stream.
        """
        self._must_be_open()
        try:
            with self._ingest._noting_refusals(self._given):  # noqa: SLF001  (one concern in two classes)
                refuse_too_large(self.size_bytes + len(data), self._ingest.settings.media.max_bytes, self._given.name)
            self._file.write(data)
        except BaseException:
            self.abort()
            raise

    def finish(
        self, *, name: str | None = None, camera: str | None = None, recorded_at: datetime | None = None, lane: Lane | None = None, announce: bool = True
    ) -> Ingested:
        """Take in what has arrived; what is given here replaces what `begin_stream` was told. Raises what `ingest_path` raises."""
        self._must_be_open()
        old = self._given
        try:
            given = said(name or old.name, camera or old.camera, recorded_at or old.recorded_at, lane or old.lane, announce=announce)
            _may_bring(self._person, given.camera or DEFAULT_CAMERA)
            with self._ingest._noting_refusals(given):  # noqa: SLF001
                return self._ingest._take_in(self._file, given, self._person, self._noted)  # noqa: SLF001
        finally:
            self.abort()

    def abort(self) -> None:
        """Forget what has arrived; harmless after `finish`."""
        self._file.discard()

    def __enter__(self) -> "Incoming":
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _must_be_open(self) -> None:
        if not self._file.open:
            raise StateError(f"the upload of {self._given.name!r} has ended; start a new one")


def _may_bring(person: Person, camera: str) -> None:
    if not person.may_see(camera):
        raise NotAllowed(f"{person.name} may bring footage of their own cameras only ({', '.join(person.cameras or ())}); say which camera it is of")


def _now() -> datetime:
    return datetime.now(UTC)
