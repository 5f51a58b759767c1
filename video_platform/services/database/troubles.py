"""The videos that want somebody's attention, newest trouble first."""

from collections.abc import Sequence

import sqlalchemy as sa

from video_platform.records import QUARANTINED, VideoRecord, VideoState
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import videos
from video_platform.services.database.videos import record


def failed(db: Database, *, quarantined: bool | None = None, limit: int = 10, offset: int = 0) -> tuple[list[VideoRecord], int]:
    """Failed videos and how many there are: only the quarantined ones, only the others, or all."""
    conditions = [videos.c.state == str(VideoState.FAILED)]
    if quarantined is not None:
        given_up = videos.c.failure_code.is_not_distinct_from(QUARANTINED)
        conditions.append(given_up if quarantined else ~given_up)
    return _page(db, conditions, limit, offset)


def without_summary(db: Database, *, limit: int = 10, offset: int = 0) -> tuple[list[VideoRecord], int]:
    """Videos whose last attempt to write the summary failed, and how many there are."""
    return _page(db, [videos.c.summary_failure_code.is_not(None), videos.c.state != str(VideoState.DELETED)], limit, offset)


def records(db: Database, video_ids: Sequence[str]) -> dict[str, VideoRecord]:
    """The records of these videos by id, as far as they are known."""
    with db.read() as connection:
        rows = connection.execute(sa.select(videos).where(videos.c.video_id.in_(list(video_ids)))).all()
    return {row.video_id: record(row) for row in rows}


def _page(db: Database, conditions: Sequence[sa.ColumnElement[bool]], limit: int, offset: int) -> tuple[list[VideoRecord], int]:
    query = sa.select(videos).where(*conditions).order_by(videos.c.updated_at.desc(), videos.c.video_id)
    with db.read() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(videos).where(*conditions)).scalar_one()
        rows = connection.execute(query.limit(limit).offset(offset)).all()
    return [record(row) for row in rows], total
