"""Figures for whoever operates the platform: what steps take, which processes are alive, how many of what there are."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from video_platform.records import Cost, VideoState
from video_platform.services.database.engine import Database, insert_new
from video_platform.services.database.tables import alerts, deliveries, heartbeats, refusals, step_totals, videos

BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Upper bounds of the buckets of wall time; what took longer is in one more. Changing them makes what was counted before wrong."""

MOST_RULES = 200
"""Pairs of rule and severity that are counted apart; more than that is an archive of experiments, not something to watch."""


@dataclass(frozen=True)
class StepTotals:
    """What making one asset took in all.

    `footage_s` is the length of the footage where the step knows it; `buckets` counts by `BUCKETS_S`, with one more at the end.
    """

    asset: str
    made: int = 0
    reused: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    footage_s: float = 0.0
    tokens: int = 0
    buckets: Sequence[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of footage per second of wall time over all that was made; None where the step does not know."""
        return self.footage_s / self.wall_s if self.footage_s and self.wall_s else None


@dataclass(frozen=True)
class Heartbeat:
    """When the process `worker` that does the work `name` was last alive."""

    name: str
    worker: str
    at: datetime


@dataclass(frozen=True)
class Tallies:
    """How many there are, by what they are grouped by."""

    videos: dict[VideoState, int]
    failures: dict[str, int]
    summary_failures: dict[str, int]
    alerts: list[tuple[str, str, str, int]]
    deliveries: dict[tuple[str, str], int]
    refusals: int


def add_step(db: Database, asset: str, cost: Cost, *, reused: bool) -> None:
    """Count one version of an asset that was made or handed on."""
    with db.write() as connection:
        empty = {"made": 0, "reused": 0, "wall_s": 0.0, "cpu_s": 0.0, "footage_s": 0.0, "tokens": 0, "buckets": [0] * (len(BUCKETS_S) + 1)}
        insert_new(connection, step_totals, [{"asset": asset, **empty}])
        where = step_totals.c.asset == asset
        if reused:
            connection.execute(sa.update(step_totals).where(where).values(reused=step_totals.c.reused + 1))
            return
        buckets = list(connection.execute(sa.select(step_totals.c.buckets).where(where).with_for_update()).scalar_one())
        buckets[bisect_left(BUCKETS_S, cost.wall_s)] += 1
        more = {"made": 1, "wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "footage_s": (cost.real_time_factor or 0.0) * cost.wall_s, "tokens": cost.tokens}
        grown = {name: step_totals.c[name] + value for name, value in more.items()}
        connection.execute(sa.update(step_totals).where(where).values(**grown, buckets=buckets))


def steps(db: Database) -> dict[str, StepTotals]:
    """The totals of every asset that was ever made, by its name."""
    with db.read() as connection:
        return {row.asset: StepTotals(**row._asdict()) for row in connection.execute(sa.select(step_totals).order_by(step_totals.c.asset))}


def usual_s(db: Database, assets: Collection[str]) -> float:
    """Seconds that making these assets of one video takes on average; those that were never made count nothing."""
    known = [each for each in steps(db).values() if each.asset in assets and each.made]
    return sum(each.wall_s / each.made for each in known)


def beat(db: Database, name: str, worker: str, now: datetime) -> None:
    """Say that the process `worker`, which does the work `name`, is alive."""
    with db.write() as connection:
        values = {"worker": worker[:128], "at": now}
        if connection.execute(sa.update(heartbeats).where(heartbeats.c.name == name).values(**values)).rowcount == 0:
            insert_new(connection, heartbeats, [{"name": name, **values}])


def alive(db: Database, name: str) -> Heartbeat | None:
    """The last sign of life of this work, None when it was never done on this database."""
    with db.read() as connection:
        row = connection.execute(sa.select(heartbeats).where(heartbeats.c.name == name)).one_or_none()
    return None if row is None else Heartbeat(**row._asdict())


def tallies(db: Database) -> Tallies:
    """Counts over all videos, alerts and deliveries: six grouped queries in one snapshot."""
    gone = videos.c.state == str(VideoState.DELETED)
    count = sa.func.count()
    with db.read() as connection:
        states = connection.execute(sa.select(videos.c.state, count).group_by(videos.c.state)).all()
        failed = videos.c.state == str(VideoState.FAILED)
        codes = connection.execute(sa.select(videos.c.failure_code, count).where(failed).group_by(videos.c.failure_code)).all()
        summaries = videos.c.summary_failure_code
        unwritten = connection.execute(sa.select(summaries, count).where(summaries.is_not(None), ~gone).group_by(summaries)).all()
        of_alert = (alerts.c.rule, alerts.c.severity, alerts.c.lifecycle)
        raised = connection.execute(sa.select(*of_alert, count).group_by(*of_alert).order_by(count.desc()).limit(MOST_RULES)).all()
        delivered = connection.execute(sa.select(deliveries.c.channel, deliveries.c.state, count).group_by(deliveries.c.channel, deliveries.c.state)).all()
        refused = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(refusals.c.times), 0))).scalar_one()
    found = {VideoState(state): number for state, number in states}
    return Tallies(
        videos={state: found.get(state, 0) for state in VideoState},
        failures={code or "unknown": number for code, number in codes},
        summary_failures=dict(tuple(row) for row in unwritten),
        alerts=[(rule, severity, lifecycle, number) for rule, severity, lifecycle, number in raised],
        deliveries={(channel, state): number for channel, state, number in delivered},
        refusals=int(refused),
    )


def disk_bytes(db: Database) -> int | None:
    """What the database takes on its disk; None where it does not say."""
    if db.file is not None:
        names = (db.file, db.file.with_name(f"{db.file.name}-wal"))
        return sum(path.stat().st_size for path in names if path.exists())
    with db.read() as connection:
        return connection.execute(sa.text("select pg_database_size(current_database())")).scalar()
