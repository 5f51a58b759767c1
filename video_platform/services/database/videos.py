"""The videos: what is known of each, and where it stands.

Changes of state are made by the run that owns the video at that moment: a late word of an older run does not overwrite what a newer one said.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from video_platform.access import ANYONE, Person
from video_platform.errors import NotFound, VideoDeleted
from video_platform.events import TOPIC_VIDEO_EVENTS
from video_platform.layout import ALERTS
from video_platform.records import Lifecycle, Severity, VideoRecord, VideoState
from video_platform.services.database import outbox
from video_platform.services.database.engine import Database
from video_platform.services.database.seeing import visible
from video_platform.services.database.tables import alerts, evaluations, videos

MAX_MESSAGE = 4000
"""Characters of a failure that are kept: a sentence and its reason, not a decoder's whole log."""


@dataclass(frozen=True)
class Facts:
    """What a list shows of a video besides its record: title of its summary, thumbnail's object key, active alerts by severity."""

    title: str | None = None
    thumbnail: str | None = None
    alerts: dict[Severity, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tombstone:
    """Who deleted a video, when and why; `objects_removed_at` is None while its objects may still lie in the store."""

    video_id: str
    deleted_at: datetime
    deleted_by: str
    reason: str
    objects_removed_at: datetime | None


def record(row: Row) -> VideoRecord:
    """The record in a row of `videos`."""
    return VideoRecord.model_validate(row._asdict())


def get(db: Database, video_id: str) -> VideoRecord | None:
    """The video, also when it is deleted; None when it was never here."""
    with db.read() as connection:
        return find(connection, video_id)


def find(connection: Connection, video_id: str, *, lock: bool = False) -> VideoRecord | None:
    """The video within a transaction; `lock` holds its row until the transaction ends, as every read-then-write must."""
    query = sa.select(videos).where(videos.c.video_id == video_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else record(row)


def lock(connection: Connection, video_id: str) -> VideoRecord:
    """The video with its row held until the transaction ends.

    Raises:
        NotFound: no such video.
        VideoDeleted: only its tombstone is left.
    """
    row = connection.execute(sa.select(videos).where(videos.c.video_id == video_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"no video {video_id!r}; `vp videos` lists them", video_id=video_id)
    if row.state == VideoState.DELETED:
        raise VideoDeleted(f"video {video_id} was deleted; ingest its file again to bring it back", video_id=video_id, deleted_at=row.deleted_at)
    return record(row)


def page(
    db: Database,
    *,
    states: Collection[VideoState] | None = None,
    camera: str | None = None,
    text: str | None = None,
    limit: int = 50,
    offset: int = 0,
    person: Person = ANYONE,
) -> tuple[list[VideoRecord], int]:
    """One page of the videos that `person` may see, newest ingest first, and how many match; without `states` everything but deleted ones.

    Every word of `text` has to stand in the name, camera, title or id.
    """
    query = sa.select(videos)
    query = query.where(videos.c.state.in_([str(state) for state in states]) if states is not None else videos.c.state != str(VideoState.DELETED))
    if camera:
        query = query.where(videos.c.camera == camera)
    for word in (text or "").split():
        fields = (videos.c.original_name, videos.c.camera, videos.c.title, videos.c.video_id)
        query = query.where(sa.or_(*(column.icontains(word, autoescape=True) for column in fields)))
    with db.read() as connection:
        query = query.where(*visible(connection, person, videos.c.camera))
        total = connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
        rows = connection.execute(query.order_by(videos.c.ingested_at.desc(), videos.c.video_id).limit(limit).offset(offset)).all()
    return [record(row) for row in rows], total


def ids(db: Database, states: Collection[VideoState]) -> list[str]:
    """The ids of all videos in these states, oldest ingest first."""
    query = sa.select(videos.c.video_id).where(videos.c.state.in_([str(state) for state in states])).order_by(videos.c.ingested_at, videos.c.video_id)
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def cameras(db: Database, person: Person = ANYONE) -> list[str]:
    """The cameras of all videos that are not deleted and that `person` may see, sorted."""
    query = sa.select(videos.c.camera).where(videos.c.state != str(VideoState.DELETED)).distinct().order_by(videos.c.camera)
    with db.read() as connection:
        return [camera for camera in connection.execute(query).scalars() if person.may_see(camera)]


def counts(db: Database, person: Person = ANYONE) -> dict[VideoState, int]:
    """How many videos that `person` may see are in each state; every state is a key."""
    with db.read() as connection:
        shown = visible(connection, person, videos.c.camera)
        rows = connection.execute(sa.select(videos.c.state, sa.func.count()).where(*shown).group_by(videos.c.state)).all()
    found = {VideoState(state): count for state, count in rows}
    return {state: found.get(state, 0) for state in VideoState}


def facts(db: Database, video_ids: Sequence[str]) -> dict[str, Facts]:
    """What a list shows besides the records, for all these videos in two queries."""
    chosen = list(video_ids)
    with db.read() as connection:
        rows = connection.execute(sa.select(videos.c.video_id, videos.c.title, videos.c.thumbnail).where(videos.c.video_id.in_(chosen))).all()
        tally = connection.execute(
            sa.select(alerts.c.video_id, alerts.c.severity, sa.func.count())
            .where(alerts.c.video_id.in_(chosen), alerts.c.lifecycle == str(Lifecycle.ACTIVE))
            .group_by(alerts.c.video_id, alerts.c.severity)
        ).all()
    by_video: dict[str, dict[Severity, int]] = {}
    for video_id, severity, count in tally:
        by_video.setdefault(video_id, {})[Severity(severity)] = count
    return {row.video_id: Facts(row.title, row.thumbnail, by_video.get(row.video_id, {})) for row in rows}


def tombstone(db: Database, video_id: str) -> Tombstone | None:
    """Who deleted the video, when and why; None when it is not deleted."""
    columns = (videos.c.video_id, videos.c.deleted_at, videos.c.deleted_by, videos.c.deleted_reason, videos.c.objects_removed_at)
    with db.read() as connection:
        row = connection.execute(sa.select(*columns).where(videos.c.video_id == video_id, videos.c.state == str(VideoState.DELETED))).one_or_none()
    return None if row is None else Tombstone(*row)


def started(db: Database, video_id: str, run_id: str, step: str, *, now: datetime | None = None) -> None:
    """A run began to work on the video: it is processing, and an earlier failure is no longer what is shown.

    Raises:
        NotFound, VideoDeleted: there is nothing to work on.
    """
    with db.write() as connection:
        current = lock(connection, video_id)
        fresh = current.run_id != run_id or current.state is not VideoState.PROCESSING
        values: dict[str, object] = {"state": str(VideoState.PROCESSING), "run_id": run_id, "step": step, "failure_code": None, "failure_message": None}
        if fresh or current.step != step:
            _update(connection, video_id, now, progress=None, **values)


def progress(db: Database, video_id: str, step: str, fraction: float, *, now: datetime | None = None) -> None:
    """How far (0-1) the step is; ignored when the video is not being processed any more."""
    with db.write() as connection:
        connection.execute(
            sa.update(videos)
            .where(videos.c.video_id == video_id, videos.c.state == str(VideoState.PROCESSING))
            .values(step=step, progress=min(1.0, max(0.0, fraction)), updated_at=now or datetime.now(UTC))
        )


def finished(db: Database, video_id: str, run_id: str | None, *, now: datetime | None = None) -> bool:
    """The run is through and its results stand, also when it reused all of them: the video is ready.

    False, and nothing changes, when the ledger has no evaluation of it, when this very run failed, or when the video is gone.
    """
    with db.write() as connection:
        current = find(connection, video_id, lock=True)
        if current is None or current.state is VideoState.DELETED or (current.state is VideoState.FAILED and current.run_id == run_id):
            return False
        if not _is_evaluated(connection, video_id):
            return False
        make_ready(connection, current, run_id, now)
        return True


def make_ready(connection: Connection, current: VideoRecord, run_id: str | None, now: datetime | None) -> None:
    """Set a locked video ready; nothing is written when it already is."""
    wanted = {"state": VideoState.READY, "step": None, "progress": None, "failure_code": None, "failure_message": None, "run_id": run_id or current.run_id}
    if any(getattr(current, name) != value for name, value in wanted.items()):
        _update(connection, current.video_id, now, **{**wanted, "state": str(VideoState.READY)})


def failed(db: Database, video_id: str, run_id: str | None, code: str, message: str, *, under_way: bool = False, now: datetime | None = None) -> bool:
    """The run ended without a result; `code` is a key of `errors.MEDIA_CODES` or an error class. False when a newer run owns the video, or it is gone.

    A run that is `under_way` owns it, also before it began anything: a video has one such run at a time.
    """
    with db.write() as connection:
        current = find(connection, video_id, lock=True)
        if current is None or current.state is VideoState.DELETED:
            return False
        mine = under_way or run_id is None or current.run_id in (None, run_id)
        if not mine and current.state is not VideoState.RECEIVED:
            return False
        values = {"state": str(VideoState.FAILED), "run_id": run_id or current.run_id, "failure_code": code[:64], "failure_message": message[:MAX_MESSAGE]}
        _update(connection, video_id, now, progress=None, **values)
        return True


def ended(db: Database, seen: VideoRecord, request: str | None, run_id: str, code: str, message: str, *, now: datetime | None = None) -> bool:
    """The video's last run ended without a word of its own, killed or cancelled.

    False, and nothing changes, when the video is not as it was `seen` any more, or was asked for again by another event than `request`.
    """
    with db.write() as connection:
        current = find(connection, seen.video_id, lock=True)
        if not _is_as_seen(current, seen) or outbox.find_newest_event(connection, seen.video_id, TOPIC_VIDEO_EVENTS) != request:
            return False
        values = {"state": str(VideoState.FAILED), "run_id": run_id, "failure_code": code[:64], "failure_message": message[:MAX_MESSAGE]}
        _update(connection, seen.video_id, now, progress=None, **values)
        return True


def waits(db: Database, seen: VideoRecord, *, now: datetime | None = None) -> None:
    """The video's run has ended and another is to come: it waits for its turn, unless it is not as it was `seen` any more."""
    with db.write() as connection:
        if seen.state is VideoState.PROCESSING and _is_as_seen(find(connection, seen.video_id, lock=True), seen):
            _update(connection, seen.video_id, now, state=str(VideoState.RECEIVED), step=None, progress=None)


def summary_failed(db: Database, video_id: str, code: str, message: str, *, now: datetime | None = None) -> bool:
    """The summary could not be written; the video stays as it is, and this stands beside it until it is `described`. False when the video is gone."""
    with db.write() as connection:
        current = find(connection, video_id, lock=True)
        if current is None or current.state is VideoState.DELETED:
            return False
        _update(connection, video_id, now, summary_failure_code=code[:64], summary_failure_message=message[:MAX_MESSAGE])
        return True


def described(db: Database, video_id: str, title: str | None, *, run_id: str | None = None, now: datetime | None = None) -> None:
    """The video has a summary with this title. A run that only described it leaves it ready again."""
    with db.write() as connection:
        current = lock(connection, video_id)
        _update(connection, video_id, now, title=title, summary_failure_code=None, summary_failure_message=None)
        evaluated = (
            connection.execute(sa.select(evaluations.c.asset).where(evaluations.c.video_id == video_id, evaluations.c.asset == ALERTS)).scalar() is not None
        )
        if evaluated and run_id is not None and current.run_id == run_id and current.state is VideoState.PROCESSING:
            make_ready(connection, current, run_id, now)


def set_media(
    db: Database, video_id: str, duration_s: float | None, width: int | None, height: int | None, *, thumbnail: str | None = None, now: datetime | None = None
) -> None:
    """What decoding told: length in seconds, upright size in pixels, object key of a thumbnail (kept when None)."""
    values: dict[str, object] = {"duration_s": duration_s, "width": width, "height": height}
    if thumbnail is not None:
        values["thumbnail"] = thumbnail
    with db.write() as connection:
        row = connection.execute(sa.select(*(videos.c[name] for name in values)).where(videos.c.video_id == video_id).with_for_update()).one_or_none()
        if row is not None and row._asdict() != values:
            _update(connection, video_id, now, **values)


def note_recorded_at(db: Database, video_id: str, recorded_at: datetime, *, now: datetime | None = None) -> bool:
    """Note when a video was recorded where that is unknown; what somebody said stays. Returns whether it was noted."""
    with db.write() as connection:
        row = connection.execute(sa.select(videos.c.recorded_at).where(videos.c.video_id == video_id).with_for_update()).one_or_none()
        if row is None or row.recorded_at is not None:
            return False
        _update(connection, video_id, now, recorded_at=recorded_at)
        return True


def confirm_reference(db: Database, video_id: str, path: str, modified_ns: int) -> None:
    """The file at `path` was read and is the one that was taken in; it counts as the same while it keeps this time of change (ns)."""
    with db.write() as connection:
        connection.execute(sa.update(videos).where(videos.c.video_id == video_id, videos.c.reference_path == path).values(reference_modified_ns=modified_ns))


def _update(connection: Connection, video_id: str, now: datetime | None, **values: object) -> None:
    connection.execute(sa.update(videos).where(videos.c.video_id == video_id).values(**values, updated_at=now or datetime.now(UTC)))


def _is_as_seen(current: VideoRecord | None, seen: VideoRecord) -> bool:
    """Whether no other run has touched the video since."""
    return current is not None and (current.state, current.run_id, current.generation) == (seen.state, seen.run_id, seen.generation)


def _is_evaluated(connection: Connection, video_id: str) -> bool:
    where = (evaluations.c.video_id == video_id, evaluations.c.asset == ALERTS)
    return connection.execute(sa.select(evaluations.c.asset).where(*where)).scalar() is not None
