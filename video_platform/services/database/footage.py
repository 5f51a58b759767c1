"""One camera's videos in the order in which they were recorded: what came before a video, and what comes after it."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Row

from video_platform.layout import ALERTS
from video_platform.records import EarlierFootage, OpenState, VideoRecord, VideoState
from video_platform.services.database.columns import KNOWN_TIMES
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import evaluations, videos

LOOKED_BACK = 50
"""Videos that started before this one and may have ended last: files of one camera hardly overlap, a copy of a whole day among its hours may."""


def before(db: Database, video: VideoRecord) -> EarlierFootage | None:
    """The camera's footage that ended last among what was recorded before `video`; None when there is none, or its own recording time is unknown."""
    if video.recorded_at is None:
        return None
    columns = (videos.c.video_id, videos.c.recorded_at, videos.c.duration_s, videos.c.state, evaluations.c.open_states)
    same_time = sa.and_(videos.c.recorded_at == video.recorded_at, videos.c.video_id < video.video_id)
    query = (
        sa.select(*columns)
        .outerjoin(evaluations, sa.and_(evaluations.c.video_id == videos.c.video_id, evaluations.c.asset == ALERTS))
        .where(videos.c.camera == video.camera, videos.c.state != str(VideoState.DELETED), videos.c.video_id != video.video_id)
        .where(videos.c.recorded_at >= KNOWN_TIMES[0], sa.or_(videos.c.recorded_at < video.recorded_at, same_time))
        .order_by(videos.c.recorded_at.desc(), videos.c.video_id.desc())
        .limit(LOOKED_BACK)
    )
    with db.read() as connection:
        rows = connection.execute(query).all()
    return earlier_of(max(rows, key=least_end)) if rows else None


def evaluated_at(db: Database, video_id: str) -> datetime | None:
    """When the alerts of a video were made last, None before its first evaluation."""
    query = sa.select(evaluations.c.evaluated_at).where(evaluations.c.video_id == video_id, evaluations.c.asset == ALERTS)
    with db.read() as connection:
        return connection.execute(query).scalar()


def after(db: Database, video: VideoRecord) -> VideoRecord | None:
    """The camera's next video by recording time that was evaluated already, also one of which pictures are still made; None when there is none."""
    if video.recorded_at is None:
        return None
    same_time = sa.and_(videos.c.recorded_at == video.recorded_at, videos.c.video_id > video.video_id)
    query = (
        sa.select(videos)
        .join(evaluations, sa.and_(evaluations.c.video_id == videos.c.video_id, evaluations.c.asset == ALERTS))
        .where(videos.c.camera == video.camera, videos.c.state.in_((str(VideoState.READY), str(VideoState.PROCESSING))))
        .where(videos.c.recorded_at <= KNOWN_TIMES[1], sa.or_(videos.c.recorded_at > video.recorded_at, same_time))
        .order_by(videos.c.recorded_at, videos.c.video_id)
        .limit(1)
    )
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else VideoRecord.model_validate(row._asdict())


def least_end(row: Row) -> datetime:
    """When a video ended, or at least when it began, where its length is not known."""
    return row.recorded_at + timedelta(seconds=row.duration_s or 0.0)


def earlier_of(row: Row) -> EarlierFootage:
    """Footage that cannot be used came all the same: it counts from its beginning. What still waits has a length that nobody knows yet."""
    known = row.duration_s is not None or row.state == str(VideoState.FAILED)
    still_open = tuple(_state(given) for given in row.open_states or ())
    return EarlierFootage(row.video_id, row.recorded_at, least_end(row) if known else None, still_open)


def _state(given: dict[str, object]) -> OpenState:
    place = given.get("place")
    return OpenState(**{**given, "place": (place[0], place[1]) if isinstance(place, list) else None})  # type: ignore[arg-type]
