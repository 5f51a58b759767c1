"""What the write side does to the database: each function is part of one transaction of `ingest`."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from video_platform import events, layout
from video_platform.errors import InputError
from video_platform.ingest_files import DEFAULT_CAMERA, check_camera, display_name
from video_platform.recording_time import YEARS
from video_platform.records import Lane, Lifecycle, VideoRecord, VideoState
from video_platform.services.database import Database, outbox, search, videos
from video_platform.services.database.engine import insert_new
from video_platform.services.database.tables import alerts, deliveries, evaluations
from video_platform.services.database.tables import videos as table

OUTCOME = ("step", "progress", "run_id", "failure_code", "failure_message", "summary_failure_code", "summary_failure_message")
"""Columns that say how far the runs of a video came."""


@dataclass(frozen=True)
class Given:
    """What was said of footage by whoever brought it; None where nothing was said. `guessed_at` is the recording time in its name."""

    name: str
    camera: str | None
    recorded_at: datetime | None
    lane: Lane
    announce: bool = True
    renamed: bool = False
    guessed_at: datetime | None = None


@dataclass(frozen=True)
class Arrived:
    """Footage that lies in the store, or at `reference_path` where it stays; with `keeps_place` a video that is known stays as it is."""

    sha256: str
    size_bytes: int
    object_key: str
    media_type: str
    reference_path: str | None = None
    reference_modified_ns: int | None = None
    keeps_place: bool = False

    @property
    def place(self) -> dict[str, object]:
        """The columns that say where it lies."""
        return {"reference_path": self.reference_path, "reference_modified_ns": self.reference_modified_ns}


def said(name: str, camera: str | None, recorded_at: datetime | None, lane: Lane, *, announce: bool = True, renamed: bool = False) -> Given:
    """What was said of footage, checked, with a name that can be shown; the default camera counts as not said.

    Raises:
        InputError: the camera name or the recording time cannot be used.
    """
    if camera is not None:
        check_camera(camera)
    if recorded_at is not None and recorded_at.tzinfo is None:
        raise InputError(f"the recording time {recorded_at.isoformat()} needs a time zone, for example {recorded_at.isoformat()}Z")
    if recorded_at is not None and recorded_at.year not in YEARS:
        years = f"from {YEARS[0]} to {YEARS[-1]}"
        raise InputError(f"nothing was recorded at {recorded_at.isoformat()}: a year {years} is needed; leave the time out where it is not known")
    return Given(display_name(name), None if camera == DEFAULT_CAMERA else camera, recorded_at, lane, announce, renamed)


Noted = Callable[[VideoRecord], object]
"""Writes the line of the log that tells of a change, within its transaction; it gets the video as it was before, of a new one as it is."""


def unnoted(_video: VideoRecord) -> None:
    """Nobody asked for the change, or nobody keeps a log of it."""


def arrive(connection: Connection, arrived: Arrived, given: Given, now: datetime) -> tuple[VideoRecord | None, VideoRecord]:
    """Record footage and announce it; returns the video as it was (None when it is new) and as it is."""
    video_id = layout.video_id_of(arrived.sha256)
    known = videos.find(connection, video_id, lock=True)
    if known is None:
        attributes = {
            "original_name": given.name,
            "camera": given.camera or DEFAULT_CAMERA,
            "recorded_at": given.recorded_at or given.guessed_at,
            "lane": str(given.lane),
        }
        state = {"state": str(VideoState.RECEIVED), "generation": 1, "ingested_at": now, "updated_at": now}
        place = {"size_bytes": arrived.size_bytes, "object_key": arrived.object_key, "media_type": arrived.media_type, **arrived.place}
        insert_new(connection, table, [{"video_id": video_id, "sha256": arrived.sha256, **place, **attributes, **state}])
    elif known.state in (VideoState.FAILED, VideoState.DELETED):
        place = {} if arrived.keeps_place else arrived.place
        connection.execute(sa.update(table).where(table.c.video_id == video_id).values(**_revived(known, given, now), **place))
    elif not arrived.keeps_place and (known.reference_path, known.reference_modified_ns) != (arrived.reference_path, arrived.reference_modified_ns):
        _moves(connection, known, arrived, now)
    record = videos.lock(connection, video_id)
    if given.announce and record.state is VideoState.RECEIVED:
        outbox.add_event(connection, _event(events.VIDEO_INGESTED, record, record.generation, now), now)
    return known, record


def _moves(connection: Connection, known: VideoRecord, arrived: Arrived, now: datetime) -> None:
    """The footage of a video lies elsewhere from now on. One that is done is looked at again, so that its manifest says so too; nothing else is made anew."""
    connection.execute(sa.update(table).where(table.c.video_id == known.video_id).values(**arrived.place, updated_at=now))
    if known.reference_path != arrived.reference_path and known.state is VideoState.READY:
        request(connection, videos.lock(connection, known.video_id), Lane.REQUEST, str(uuid.uuid4()), now)


def request(connection: Connection, current: VideoRecord, lane: Lane, request_id: str, now: datetime, *, force: bool = False) -> None:
    """Ask for a locked video to be processed; a failed one waits again instead of showing its failure. A summary that failed is asked for too.

    Its own event is needed: a run that finds nothing new to evaluate does not announce that the video was processed.
    """
    if current.state is VideoState.FAILED:
        waiting = {"state": str(VideoState.RECEIVED), "failure_code": None, "failure_message": None, "step": None, "progress": None}
        connection.execute(sa.update(table).where(table.c.video_id == current.video_id).values(**waiting, updated_at=now))
    outbox.add_event(connection, _event(events.PROCESS_REQUESTED, current, request_id, now, lane=lane, force=force), now)
    if current.summary_failure_code is not None:
        request_summary(connection, current, lane, request_id, now)


def request_summary(connection: Connection, current: VideoRecord, lane: Lane, request_id: str, now: datetime) -> bool:
    """Ask for the summary of a locked video alone, by the event that says that its tracks and alerts are there; False when they are not."""
    evaluated = (evaluations.c.video_id == current.video_id, evaluations.c.asset == layout.ALERTS)
    row = connection.execute(sa.select(evaluations.c.tracks_hash, evaluations.c.run_id).where(*evaluated)).one_or_none()
    if row is None:
        return False
    counted = (alerts.c.video_id == current.video_id, alerts.c.asset == layout.ALERTS, alerts.c.lifecycle == str(Lifecycle.ACTIVE))
    body = events.ProcessedBody(
        video_id=current.video_id,
        bucket=layout.BUCKET,
        camera=current.camera,
        recorded_at=current.recorded_at,
        lane=lane,
        alerts=connection.execute(sa.select(sa.func.count()).where(*counted)).scalar_one(),
        tracks_hash=row.tracks_hash,
        run_id=row.run_id,
    )
    event_id = events.event_id(events.VIDEO_PROCESSED, current.video_id, request_id)
    outbox.add_event(connection, events.Event(event_id, events.VIDEO_PROCESSED, now, current.video_id, body), now)
    waiting = {"summary_failure_code": None, "summary_failure_message": None}
    connection.execute(sa.update(table).where(table.c.video_id == current.video_id).values(**waiting, updated_at=now))
    return True


def correct(connection: Connection, current: VideoRecord, camera: str | None, recorded_at: datetime | None, now: datetime) -> bool:
    """Set camera and recording time of a locked video, None keeps what is there; its alerts follow, and what used them is asked for again."""
    corrected = current.model_copy(update={"camera": camera or current.camera, "recorded_at": recorded_at or current.recorded_at})
    if corrected == current:
        return False
    wanted = {"camera": corrected.camera, "recorded_at": corrected.recorded_at}
    connection.execute(sa.update(table).where(table.c.video_id == current.video_id).values(**wanted, updated_at=now))
    for alert_id, start_s in connection.execute(sa.select(alerts.c.id, alerts.c.start_s).where(alerts.c.video_id == current.video_id)).all():
        start_time = None if corrected.recorded_at is None else corrected.recorded_at + timedelta(seconds=start_s)
        connection.execute(sa.update(alerts).where(alerts.c.id == alert_id).values(camera=corrected.camera, start_time=start_time))
    if current.state in (VideoState.READY, VideoState.PROCESSING):
        request(connection, corrected, Lane.REQUEST, str(uuid.uuid4()), now)
    return True


def bury(connection: Connection, video_id: str, who: str, why: str, now: datetime) -> int:
    """Turn a locked row into a tombstone and remove the rows that belong to it; returns how many alerts there were."""
    outbox.forget_notifications(connection, video_id)
    connection.execute(sa.delete(deliveries).where(deliveries.c.video_id == video_id))
    removed = connection.execute(sa.delete(alerts).where(alerts.c.video_id == video_id)).rowcount
    connection.execute(sa.delete(evaluations).where(evaluations.c.video_id == video_id))
    search.forget(connection, video_id)
    cleared = dict.fromkeys((*OUTCOME, "title", "thumbnail", "objects_removed_at", "reference_path", "reference_modified_ns"))
    stone = {"state": str(VideoState.DELETED), "deleted_at": now, "updated_at": now, "deleted_by": who[:128], "deleted_reason": why}
    connection.execute(sa.update(table).where(table.c.video_id == video_id).values(**cleared, **stone))
    return removed


def objects_removed(connection: Connection, video_id: str, now: datetime) -> None:
    """Note on a tombstone that its objects are gone."""
    where = (table.c.video_id == video_id, table.c.state == str(VideoState.DELETED), table.c.objects_removed_at.is_(None))
    connection.execute(sa.update(table).where(*where).values(objects_removed_at=now))


def unfinished_deletes(db: Database, video_id: str | None = None) -> list[str]:
    """The tombstones whose objects may still lie in the store, all or this one."""
    query = sa.select(table.c.video_id).where(table.c.state == str(VideoState.DELETED), table.c.objects_removed_at.is_(None))
    if video_id is not None:
        query = query.where(table.c.video_id == video_id)
    with db.read() as connection:
        return list(connection.execute(query.order_by(table.c.deleted_at)).scalars())


def _revived(known: VideoRecord, given: Given, now: datetime) -> dict[str, object]:
    """The columns of a failed or deleted video that is ingested again: a failed one keeps what was not said anew, a deleted one starts afresh."""
    fresh = known.state is VideoState.DELETED
    cleared = dict.fromkeys((*OUTCOME, "deleted_at", "deleted_by", "deleted_reason", "objects_removed_at"))
    return {
        **cleared,
        "state": str(VideoState.RECEIVED),
        "generation": known.generation + 1,
        "lane": str(given.lane),
        "original_name": given.name if fresh or given.renamed else known.original_name,
        "camera": given.camera or (DEFAULT_CAMERA if fresh else known.camera),
        "recorded_at": given.recorded_at or (None if fresh else known.recorded_at) or given.guessed_at,
        "ingested_at": now,
        "updated_at": now,
    }


def _event(event_type: str, record: VideoRecord, n: str | int, now: datetime, *, lane: Lane | None = None, force: bool = False) -> events.Event:
    body = events.VideoBody(
        video_id=record.video_id,
        bucket=layout.BUCKET,
        object_key=record.object_key,
        original_name=record.original_name,
        camera=record.camera,
        recorded_at=record.recorded_at,
        size_bytes=record.size_bytes,
        sha256=record.sha256,
        media_type=record.media_type,
        lane=lane or record.lane,
        force=force,
    )
    return events.Event(events.event_id(event_type, record.video_id, n), event_type, now, record.video_id, body)
