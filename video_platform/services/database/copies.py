"""The rows of one video as JSON and back: what is kept among its objects, and what a lost database is rebuilt from.

Rows are copied by column, so that a column added later is kept without a word here. What is not in a copy: marks and deliveries, which belong to people and
to the moment, and how far a run is.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import Field, ValidationError

from video_platform.errors import IntegrityError
from video_platform.layout import ALERTS, video_id_of
from video_platform.records import AlertRecord, Mark, Stored, VideoRecord, VideoState
from video_platform.services.database import ledger_rows
from video_platform.services.database.columns import Instant
from video_platform.services.database.engine import Database, insert_new
from video_platform.services.database.tables import alerts, evaluations, videos

NOT_KEPT: Mapping[str, Collection[str]] = {
    "videos": ("progress", "kept_at"),
    "evaluations": (),
    "alerts": ("mark", "marked_by", "marked_at", "revision"),
}
"""Columns that are left out of a copy, by table."""

Row = dict[str, Any]


class VideoCopy(Stored):
    """The rows of one video: columns by name, instants as ISO 8601 text."""

    schema_version: Literal[1] = 1
    video: Row
    evaluations: list[Row] = Field(default_factory=list)
    alerts: list[Row] = Field(default_factory=list)

    @property
    def deleted(self) -> bool:
        """Whether this is a tombstone."""
        return self.video["state"] == VideoState.DELETED

    @property
    def generation(self) -> int:
        """Which ingest of the video this is."""
        return int(self.video["generation"])


def parse(data: bytes, video_id: str) -> VideoCopy:
    """The copy in an object.

    Raises:
        IntegrityError: it is none, or one of another video.
    """
    try:
        copy = VideoCopy.model_validate_json(data)
        record = VideoRecord.model_validate(copy.video)
        for row in copy.alerts:
            AlertRecord.model_validate({**row, "mark": Mark.NONE})
    except (ValidationError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(f"the copy of video {video_id} cannot be read: {reason}", expected=video_id, actual=reason) from error
    ids = {record.video_id, video_id_of(record.sha256), *(row["video_id"] for row in (*copy.evaluations, *copy.alerts))}
    if ids != {video_id}:
        raise IntegrityError(f"the copy of video {video_id} speaks of {', '.join(sorted(ids - {video_id}))}", expected=video_id, actual=record.video_id)
    return copy


def read(db: Database, video_id: str) -> tuple[VideoCopy, datetime] | None:
    """The rows of a video as they are now, and their `updated_at`; None for a video that was never here."""
    with db.read() as connection:
        row = connection.execute(sa.select(videos).where(videos.c.video_id == video_id)).one_or_none()
        if row is None:
            return None
        evaluated = connection.execute(sa.select(evaluations).where(evaluations.c.video_id == video_id).order_by(evaluations.c.asset)).all()
        found = connection.execute(sa.select(alerts).where(alerts.c.video_id == video_id).order_by(alerts.c.asset, alerts.c.start_s, alerts.c.id)).all()
    copy = VideoCopy(
        video=_dump(videos, row._asdict()),
        evaluations=[_dump(evaluations, each._asdict()) for each in evaluated],
        alerts=[_dump(alerts, each._asdict()) for each in found],
    )
    return copy, row.updated_at


def kept(db: Database, video_id: str, updated_at: datetime) -> bool:
    """Note that the copy of this state lies among the objects; False when the video has changed meanwhile."""
    as_seen = (videos.c.video_id == video_id, videos.c.updated_at == sa.bindparam("seen", updated_at, Instant()))
    with db.write() as connection:
        return connection.execute(sa.update(videos).where(*as_seen).values(kept_at=videos.c.updated_at)).rowcount == 1


def stale(db: Database, before: datetime, limit: int) -> list[str]:
    """Videos whose copy is missing or out of date and that have not changed since `before`, oldest change first."""
    differs = sa.or_(videos.c.kept_at.is_(None), videos.c.kept_at != videos.c.updated_at)
    quiet = videos.c.updated_at < sa.bindparam("before", before, Instant())
    with db.read() as connection:
        return list(connection.execute(sa.select(videos.c.video_id).where(differs, quiet).order_by(videos.c.updated_at).limit(limit)).scalars())


def restore(db: Database, copy: VideoCopy) -> bool:
    """Bring the rows of a video back, silently: no event, no notification. False, and nothing changes, when the database knows the video.

    One that was being processed is ready when its alerts had been evaluated, else it waits for its turn again.
    """
    row = _load(videos, copy.video)
    evaluated = any(each.get("asset") == ALERTS for each in copy.evaluations)
    if row["state"] not in (VideoState.DELETED, VideoState.FAILED):
        row |= {"state": str(VideoState.READY if evaluated else VideoState.RECEIVED), "step": None}
    row["kept_at"] = row["updated_at"] if row["state"] == copy.video["state"] else None
    with db.write() as connection:
        if insert_new(connection, videos, [row]) == 0:
            return False
        if copy.evaluations:
            connection.execute(sa.insert(evaluations), [_load(evaluations, each) for each in copy.evaluations])
        if copy.alerts:
            fresh = {"mark": str(Mark.NONE), "marked_by": None, "marked_at": None, "revision": ledger_rows.next_revision(connection)}
            connection.execute(sa.insert(alerts), [{**_load(alerts, each), **fresh} for each in copy.alerts])
    return True


def known(db: Database) -> set[str]:
    """The ids of all videos and tombstones."""
    with db.read() as connection:
        return set(connection.execute(sa.select(videos.c.video_id)).scalars())


def _dump(table: sa.Table, values: Mapping[str, Any]) -> Row:
    left_out = NOT_KEPT[table.name]
    return {name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value for name, value in values.items() if name not in left_out}


def _load(table: sa.Table, values: Mapping[str, Any]) -> Row:
    """A row of this version's table: columns that it does not know are dropped, those that the copy does not know are empty."""
    return {
        column.name: datetime.fromisoformat(value) if isinstance(column.type, Instant) and isinstance(value, str) else value
        for column in table.columns
        if column.name not in NOT_KEPT[table.name]
        for value in [values.get(column.name)]
    }
