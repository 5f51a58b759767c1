"""Where notifications stand: written by whoever sends them, read by the pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from video_platform.records import AlertRecord
from video_platform.services.database import outbox as outbox_rows
from video_platform.services.database.engine import Database
from video_platform.services.database.ledger_rows import record
from video_platform.services.database.outbox import OutboxRow
from video_platform.services.database.tables import alerts, deliveries, videos

DELIVERED = ("sent", "digest")


@dataclass(frozen=True)
class Subject:
    """What a notification speaks of: the alert as it is now, and what its video is called."""

    alert: AlertRecord
    video_name: str


def subjects(db: Database, rows: Sequence[OutboxRow]) -> dict[str, Subject]:
    """Alert id -> what is to be said of it, for the alerts that are still there."""
    query = sa.select(alerts, videos.c.original_name).join(videos, videos.c.video_id == alerts.c.video_id)
    with db.read() as connection:
        found = connection.execute(query.where(alerts.c.id.in_([row.alert_id for row in rows]))).all()
    return {row.id: Subject(record(row), row.original_name) for row in found}


def delivered(db: Database, rows: Sequence[OutboxRow], *, state: str, message_id: str | None, now: datetime, error: str | None = None) -> None:
    """These notifications are done with: sent, sent in a digest, quieted or withdrawn; rows of one message share its id."""
    with db.write() as connection:
        outbox_rows.mark_sent(connection, rows, now)
        sent_at = now if state in DELIVERED else None
        values = {
            "state": state,
            "message_id": message_id,
            "sent_at": sent_at,
            "error": error,
            "attempts": deliveries.c.attempts + (0 if sent_at is None else 1),
        }
        connection.execute(sa.update(deliveries).where(deliveries.c.outbox_id.in_([row.id for row in rows])).values(**values))


def not_delivered(db: Database, rows: Sequence[OutboxRow], error: str, now: datetime, *, give_up: bool) -> None:
    """These notifications did not get through; they are tried again unless given up."""
    with db.write() as connection:
        outbox_rows.mark_failed(connection, rows, error, now, dead=give_up)
        values = {"state": "dead" if give_up else "failed", "error": error[: outbox_rows.MAX_ERROR], "attempts": deliveries.c.attempts + 1}
        connection.execute(sa.update(deliveries).where(deliveries.c.outbox_id.in_([row.id for row in rows])).values(**values))


def troubles(db: Database) -> dict[str, tuple[int, str]]:
    """Channel -> how many notifications wait for it after an attempt that failed, and what the newest of these was answered."""
    failed = sa.select(deliveries.c.channel, deliveries.c.error).where(deliveries.c.state == "failed").order_by(deliveries.c.id)
    found: dict[str, tuple[int, str]] = {}
    with db.read() as connection:
        for channel, error in connection.execute(failed):
            found[channel] = (found.get(channel, (0, ""))[0] + 1, error or "")
    return found


def prune(db: Database, before: datetime) -> int:
    """Forget what became of notifications that were asked for before this moment and are done with; returns how many."""
    open_states = ("waiting", "failed")
    with db.write() as connection:
        old = (deliveries.c.created_at < before, deliveries.c.state.not_in(open_states))
        return connection.execute(sa.delete(deliveries).where(*old)).rowcount


def messages_since(db: Database, channel: str, since: datetime) -> list[datetime]:
    """When messages went to this channel after a moment, oldest first; a digest is one."""
    query = sa.select(sa.func.max(deliveries.c.sent_at)).where(deliveries.c.channel == channel, deliveries.c.sent_at > since)
    with db.read() as connection:
        return sorted(connection.execute(query.group_by(deliveries.c.message_id)).scalars())


def told_lately(db: Database, channel: str, alert: AlertRecord, within: timedelta, now: datetime) -> datetime | None:
    """When this channel was last told of the same rule on the same camera, if that is less than `within` ago."""
    query = (
        sa.select(sa.func.max(deliveries.c.sent_at))
        .join(alerts, alerts.c.id == deliveries.c.alert_id)
        .where(deliveries.c.channel == channel, deliveries.c.state.in_(DELIVERED), deliveries.c.sent_at > now - within)
        .where(alerts.c.rule == alert.rule, alerts.c.camera == alert.camera)
    )
    with db.read() as connection:
        return connection.execute(query).scalar()
