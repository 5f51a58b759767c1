"""Days on which anything was recorded, and how their digests stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from video_platform.layout import ALERTS, DESCRIBED_ALERTS
from video_platform.records import Lifecycle, VideoState
from video_platform.services.database.columns import KNOWN_TIMES
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import alerts, counters, digests, evaluations, videos


@dataclass(frozen=True)
class Day:
    """One day: `wanted` is the fingerprint of what its digest is to be made from, `made` of what it was made from, None before the first."""

    day: date
    wanted: str
    made: str | None
    videos: int
    changed_at: datetime
    made_at: datetime | None

    @property
    def current(self) -> bool:
        """Whether nothing came, went or changed since its digest was made."""
        return self.made == self.wanted


@dataclass(frozen=True)
class Judged:
    """One evaluated video whose recording time is known. The fingerprint of its days is over all of it: the last two tell of other alerts."""

    video_id: str
    camera: str
    recorded_at: datetime
    duration_s: float
    tracks_hash: str
    alerts_hash: str
    described_hash: str | None

    @property
    def ended_at(self) -> datetime:
        """The instant of its last frame."""
        return self.recorded_at + timedelta(seconds=self.duration_s)


def mark(db: Database) -> str:
    """Changes whenever a video or an alert did: to be asked often, before `judged`."""
    count, newest = sa.func.count(), sa.func.max(videos.c.updated_at)
    with db.read() as connection:
        row = connection.execute(sa.select(count, newest)).one()
        revision = connection.execute(sa.select(counters.c.value).where(counters.c.name == "alerts")).scalar_one()
    return f"{row[0]}/{row[1]}/{revision}"


def judged(db: Database, since: datetime | None = None, until: datetime | None = None) -> list[Judged]:
    """Evaluated videos whose recording time and length are known, all or those that may touch a span, in order of time."""
    described = evaluations.alias()
    of_video = (videos.c.video_id, videos.c.camera, videos.c.recorded_at, videos.c.duration_s)
    query = (
        sa.select(*of_video, evaluations.c.tracks_hash, evaluations.c.content_hash, described.c.content_hash)
        .join(evaluations, sa.and_(evaluations.c.video_id == videos.c.video_id, evaluations.c.asset == ALERTS))
        .outerjoin(described, sa.and_(described.c.video_id == videos.c.video_id, described.c.asset == DESCRIBED_ALERTS))
        .where(videos.c.recorded_at.between(*KNOWN_TIMES), videos.c.duration_s.is_not(None), videos.c.state != str(VideoState.DELETED))
    )
    if until is not None:
        query = query.where(videos.c.recorded_at < until)
    if since is not None:
        query = query.where(videos.c.recorded_at > since - LONGEST)
    with db.read() as connection:
        found = [Judged(*row) for row in connection.execute(query.order_by(videos.c.recorded_at, videos.c.video_id))]
    return [one for one in found if since is None or one.ended_at > since]


LONGEST = timedelta(days=8)
"""A video that began earlier than this before a day does not touch it: none is accepted that is nearly as long."""


def raised(db: Database, since: datetime, until: datetime) -> list[tuple[str, str, datetime]]:
    """`(camera, rule, instant)` of the active alerts of a span, in order of time."""
    query = sa.select(alerts.c.camera, alerts.c.rule, alerts.c.start_time).where(
        alerts.c.lifecycle == str(Lifecycle.ACTIVE), alerts.c.start_time >= since, alerts.c.start_time < until
    )
    with db.read() as connection:
        return [(row.camera, row.rule, row.start_time) for row in connection.execute(query.order_by(alerts.c.start_time, alerts.c.id))]


@dataclass(frozen=True)
class Moment:
    """One active alert of a day, and where it is in its video."""

    video_id: str
    rule: str
    severity: str
    start_s: float
    end_s: float


def moments(db: Database, since: datetime, until: datetime) -> list[Moment]:
    """The active alerts of a span, in order of time."""
    query = sa.select(alerts.c.video_id, alerts.c.rule, alerts.c.severity, alerts.c.start_s, alerts.c.end_s).where(
        alerts.c.lifecycle == str(Lifecycle.ACTIVE), alerts.c.start_time >= since, alerts.c.start_time < until
    )
    with db.read() as connection:
        return [Moment(*row) for row in connection.execute(query.order_by(alerts.c.start_time, alerts.c.id))]


def want(db: Database, wanted: Mapping[date, tuple[str, int]], now: datetime) -> list[date]:
    """Say what every day's digest is to be made from: day -> (fingerprint, videos). Returns the days for which that changed; days without footage go."""
    changed = []
    with db.write() as connection:
        known = {row.day: row for row in connection.execute(sa.select(digests)).all()}
        for day, (fingerprint, count) in sorted(wanted.items()):
            row = known.pop(day.isoformat(), None)
            if row is not None and row.wanted == fingerprint:
                continue
            values = {"wanted": fingerprint, "videos": count, "changed_at": now}
            if row is None:
                connection.execute(sa.insert(digests).values(day=day.isoformat(), **values))
            else:
                connection.execute(sa.update(digests).where(digests.c.day == day.isoformat()).values(**values))
            changed.append(day)
        if known:
            connection.execute(sa.delete(digests).where(digests.c.day.in_(list(known))))
    return changed


def made(db: Database, day: date, fingerprint: str, now: datetime) -> None:
    """A digest was published that was made from this."""
    with db.write() as connection:
        connection.execute(sa.update(digests).where(digests.c.day == day.isoformat()).values(made=fingerprint, made_at=now))


def get(db: Database, day: date) -> Day | None:
    """One day, None when nothing was recorded on it."""
    with db.read() as connection:
        row = connection.execute(sa.select(digests).where(digests.c.day == day.isoformat())).one_or_none()
    return None if row is None else _day(row)


def listed(db: Database, *, limit: int = 1000, outdated: bool = False) -> Sequence[Day]:
    """Days, newest first; only those whose digest has to be made, if asked so."""
    query = sa.select(digests).order_by(digests.c.day.desc()).limit(limit)
    if outdated:
        query = query.where(digests.c.made.is_distinct_from(digests.c.wanted))
    with db.read() as connection:
        return [_day(row) for row in connection.execute(query)]


def _day(row: sa.engine.Row) -> Day:
    return Day(date.fromisoformat(row.day), row.wanted, row.made, row.videos, row.changed_at, row.made_at)
