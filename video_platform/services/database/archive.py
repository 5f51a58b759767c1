"""All that rules over the past ask of the database: every evaluated video of a camera in the order of recording, and what the ledger has of it."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from video_platform.layout import ALERTS
from video_platform.records import AlertRecord, EarlierFootage, Lifecycle, VideoRecord, VideoState
from video_platform.services.database import footage, ledger_rows
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import alerts, evaluations, videos

MATCHED = ("id", "video_id", "rule", "lifecycle", "start_s", "end_s", "track_ids", "tracks_hash", "place_x", "place_y")
"""Columns of the ledger that matching looks at."""

LOOKED_UP = 500
"""Alerts that are read at once by their ids; SQLite takes some thousand parameters."""


@dataclass(frozen=True)
class Evaluated:
    """A video whose alerts the ledger has: from which tracks, rules and whole configuration they come, and the camera's footage before it."""

    record: VideoRecord
    tracks_hash: str
    rules_version: str
    fingerprint: str
    earlier: EarlierFootage | None

    @property
    def moment(self) -> datetime:
        """When it was recorded; when it came, where that is unknown."""
        return self.record.recorded_at or self.record.ingested_at

    @property
    def day(self) -> str:
        """The day it belongs to, see `day_of`."""
        return day_of(self.record)


def day_of(record: VideoRecord) -> str:
    """The day (UTC) on which a video was recorded; what is of unknown time stands apart, by the day on which it came."""
    return f"{record.recorded_at:%Y-%m-%d}" if record.recorded_at else f"unknown-{record.ingested_at:%Y-%m-%d}"


def cameras(db: Database) -> list[str]:
    """Cameras that have evaluated videos."""
    with db.read() as connection:
        return sorted(connection.execute(sa.select(videos.c.camera).where(_here()).distinct()).scalars())


def evaluated(db: Database, camera: str, asset: str = ALERTS) -> list[Evaluated]:
    """The videos of a camera that `asset` has evaluated, in the order in which rules judge them: by recording time; those of unknown time first."""
    of_alerts = sa.and_(evaluations.c.video_id == videos.c.video_id, evaluations.c.asset == asset)
    said = (evaluations.c.tracks_hash, evaluations.c.rules_version, evaluations.c.fingerprint, evaluations.c.open_states)
    query = sa.select(videos, *said).outerjoin(evaluations, of_alerts).where(videos.c.camera == camera, _here())
    with db.read() as connection:
        rows = connection.execute(query.order_by(videos.c.recorded_at, videos.c.video_id)).all()
    known = [row for row in rows if row.recorded_at is not None]
    unknown = [_evaluated(row, None) for row in rows if row.recorded_at is None and row.tracks_hash is not None]
    unknown.sort(key=lambda each: (each.record.ingested_at, each.record.video_id))
    return unknown + [_evaluated(row, earlier) for row, earlier in zip(known, _befores(known), strict=True) if row.tracks_hash is not None]


def ledger(db: Database, camera: str, settled: Collection[str] = (), asset: str = ALERTS) -> dict[str, list[Any]]:
    """The alerts of a camera by video, superseded ones included, in order of time: rows with the columns `MATCHED`. Those of `settled` rules are left out."""
    query = sa.select(*(alerts.c[name] for name in MATCHED)).where(_of_camera(camera, asset), alerts.c.rule.not_in(sorted(settled)))
    found: dict[str, list[Any]] = {}
    with db.read() as connection:
        for row in connection.execute(query.order_by(alerts.c.video_id, alerts.c.start_s, alerts.c.end_s, alerts.c.id)):
            found.setdefault(row.video_id, []).append(row)
    return found


def standing(db: Database, camera: str, rules: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """The active alerts of some rules of a camera by video, in order of time: rule and id. A hundred thousand of them are nothing but these two."""
    columns = (alerts.c.video_id, alerts.c.rule, alerts.c.id)
    query = sa.select(*columns).where(_of_camera(camera, ALERTS), alerts.c.rule.in_(sorted(rules)), alerts.c.lifecycle == str(Lifecycle.ACTIVE))
    found: dict[str, list[tuple[str, str]]] = {}
    with db.read() as connection:
        for video_id, rule, alert_id in connection.execute(query.order_by(alerts.c.video_id, alerts.c.start_s, alerts.c.end_s, alerts.c.id)):
            found.setdefault(video_id, []).append((rule, alert_id))
    return found


def records(db: Database, alert_ids: Sequence[str]) -> Iterator[AlertRecord]:
    """The alerts with these ids, in this order; those that are gone are left out."""
    for begin in range(0, len(alert_ids), LOOKED_UP):
        part = list(alert_ids[begin : begin + LOOKED_UP])
        with db.read() as connection:
            found = {row.id: row for row in connection.execute(sa.select(alerts).where(alerts.c.id.in_(part)))}
        yield from (ledger_rows.record(found[alert_id]) for alert_id in part if alert_id in found)


def _of_camera(camera: str, asset: str) -> sa.ColumnElement[bool]:
    return sa.and_(alerts.c.camera == camera, alerts.c.asset == asset)


def _here() -> sa.ColumnElement[bool]:
    return videos.c.state != str(VideoState.DELETED)


def _evaluated(row: Any, earlier: EarlierFootage | None) -> Evaluated:
    return Evaluated(VideoRecord.model_validate(row._asdict()), row.tracks_hash, row.rules_version, row.fingerprint, earlier)


def _befores(rows: Sequence[Any]) -> Iterator[EarlierFootage | None]:
    """For each of one camera's videos, in order of recording, what `footage.before` says."""
    window: deque[tuple[datetime, Any]] = deque(maxlen=footage.LOOKED_BACK)
    for row in rows:
        yield footage.earlier_of(max(reversed(window), key=itemgetter(0))[1]) if window else None
        window.append((footage.least_end(row), row))
