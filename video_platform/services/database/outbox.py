"""What has to leave: events and notifications, written in the transaction of the state that they announce.

Rows of one kind and key leave in the order in which they were written: while an earlier one waits for its next attempt or is in another relay's hands, the
later ones wait too. A relay takes rows under a lease; when it dies, the lease runs out and another takes them: at least once, under the same id. A row that
can never leave becomes *dead*: it stays visible, holds nothing back, and `revive` tries it again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from video_platform.events import Event, Message, encode
from video_platform.services.database.engine import Database, insert_new
from video_platform.services.database.tables import counters, deliveries, outbox

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
"""Waits between attempts double from the first to this: a service that returns after a night is found within a minute."""

LEASE_S = 60.0
"""How long a relay may hold rows: above the longest append or notification, short enough that a killed relay's rows do not wait long."""

MAX_ERROR = 1000


class Kind(StrEnum):
    """Where a row goes: to the event log, or to people."""

    EVENT = "event"
    NOTIFICATION = "notification"


LONGEST_HOLD: Mapping[Kind, timedelta] = {Kind.EVENT: timedelta(minutes=5), Kind.NOTIFICATION: timedelta(hours=2)}
"""No lease and no wait for the next attempt is longer than this (a channel that is full for the hour waits longest). What says otherwise was written while
a clock stood ahead of this one, and holds nothing back: after a jump of the clock a row may leave early or twice, and late by no more than this."""


LONGEST_SECOND_LOOK = timedelta(seconds=28)
"""A notification waits no longer than this for what a vision model says of its alert: somebody may have to act on it, and with the second after which a relay
looks again it leaves within 30."""

CLOCK_SKEW = timedelta(seconds=5)
"""By so much the clock of another machine may be ahead. A wait that seems longer than the longest by more was written before this clock was set back, and holds
nothing back; for what is less, relays look at a clock that nobody sets (`notify`)."""


@dataclass(frozen=True)
class OutboxRow:
    """One row; for an event `topic` and `message` are what to append, for a notification `channel` and `alert_id` say who hears of what."""

    seq: int
    id: str
    kind: Kind
    key: str
    topic: str | None
    channel: str | None
    message: Message
    video_id: str | None
    alert_id: str | None
    created_at: datetime
    attempts: int
    next_at: datetime
    sent_at: datetime | None
    dead_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class Notice:
    """One alert that one channel is to hear of; `id` is unique for ever. It leaves `not_before` this, unless `let_go` says that it may."""

    id: str
    channel: str
    video_id: str
    alert_id: str
    not_before: datetime | None = None


@dataclass(frozen=True)
class Pending:
    """What has not left yet; `retrying` of the waiting rows have failed at least once, `oldest_at` is when the oldest of them was written."""

    events: int
    notifications: int
    retrying: int
    dead: int
    oldest_at: datetime | None
    last_error: str | None

    @property
    def waiting(self) -> int:
        """Rows that will be tried again."""
        return self.events + self.notifications

    def lag_s(self, now: datetime) -> float:
        """Seconds since the oldest waiting row was written, 0 when none waits."""
        return 0.0 if self.oldest_at is None else max(0.0, (now - self.oldest_at).total_seconds())


def backoff_s(attempts: int) -> float:
    """Seconds to wait after this many failed attempts."""
    return min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempts - 1, 30))


def add_event(connection: Connection, event: Event, now: datetime) -> bool:
    """Announce an event; False when an event of this id was announced before."""
    return add_events(connection, [event], now) == 1


def add_events(connection: Connection, events: Sequence[Event], now: datetime) -> int:
    """Announce events in this order; those of an id that was announced before are left out. Returns how many are new."""
    rows = []
    for event in events:
        message = encode(event)
        headers = [[name, value.decode()] for name, value in message.headers]
        row = {"id": event.id, "kind": str(Kind.EVENT), "key": event.subject, "topic": event.topic, "channel": None, "headers": headers}
        rows.append({**row, "body": message.value, "video_id": event.subject, "alert_id": None, "created_at": now, "next_at": now, "attempts": 0})
    return insert_new(connection, outbox, rows)


def add_notifications(connection: Connection, notices: Sequence[Notice], now: datetime) -> int:
    """Tell channels of alerts; a notice of an id that was given before is left out. A delivery shows where each stands. Returns how many are new."""
    rows, states = [], []
    for notice in notices:
        shared = {"channel": notice.channel, "video_id": notice.video_id, "alert_id": notice.alert_id, "created_at": now, "attempts": 0}
        kept = {"id": notice.id, "kind": str(Kind.NOTIFICATION), "key": notice.channel, "topic": None, "headers": [], "body": b""}
        rows.append({**kept, "next_at": now, "not_before": notice.not_before, **shared})
        states.append({"outbox_id": notice.id, "state": "waiting", **shared})
    insert_new(connection, outbox, rows)
    return insert_new(connection, deliveries, states)


def claim(
    db: Database,
    worker: str,
    limit: int,
    lease_s: float,
    now: datetime,
    *,
    kind: Kind | None = None,
    key: str | None = None,
) -> list[OutboxRow]:
    """Rows that may leave now, oldest first, held by `worker` for `lease_s`; two workers never hold the same row, nor rows of the same key out of order."""
    with db.read() as connection:
        if connection.execute(_due(now, kind, key).with_only_columns(outbox.c.seq).limit(1)).scalar() is None:
            return []
    with db.write() as connection:
        connection.execute(sa.select(counters.c.value).where(counters.c.name == "outbox").with_for_update())
        rows = connection.execute(_due(now, kind, key).order_by(outbox.c.seq).limit(limit)).all()
        chosen = [row.seq for row in rows]
        for part in _parts(chosen):
            held = {"lease_owner": worker, "lease_until": now + timedelta(seconds=lease_s)}
            connection.execute(sa.update(outbox).where(outbox.c.seq.in_(part)).values(**held))
    return [_row(row) for row in rows]


def renew(db: Database, rows: Sequence[OutboxRow], worker: str, until: datetime) -> list[OutboxRow]:
    """Hold rows longer, because sending what comes before them took its time; returns those that are still this worker's, the others must not be sent."""
    held: set[int] = set()
    with db.write() as connection:
        for part in _parts([row.seq for row in rows]):
            mine = (outbox.c.seq.in_(part), outbox.c.lease_owner == worker, outbox.c.sent_at.is_(None))
            held.update(connection.execute(sa.update(outbox).where(*mine).values(lease_until=until).returning(outbox.c.seq)).scalars())
    return [row for row in rows if row.seq in held]


def sent(db: Database, rows: Sequence[OutboxRow], now: datetime) -> None:
    """These rows left."""
    with db.write() as connection:
        mark_sent(connection, rows, now)


def mark_sent(connection: Connection, rows: Sequence[OutboxRow], now: datetime) -> None:
    """These rows left; within the transaction that records how."""
    for part in _parts([row.seq for row in rows]):
        values = {"sent_at": now, "lease_owner": None, "lease_until": None, "error": None}
        connection.execute(sa.update(outbox).where(outbox.c.seq.in_(part), outbox.c.sent_at.is_(None)).values(**values))


def failed(db: Database, rows: Sequence[OutboxRow], error: str, now: datetime, *, dead: bool = False) -> datetime:
    """These rows did not leave; they are tried again after a growing wait, or never when `dead`. Returns when the first is due again."""
    with db.write() as connection:
        return mark_failed(connection, rows, error, now, dead=dead)


def mark_failed(connection: Connection, rows: Sequence[OutboxRow], error: str, now: datetime, *, dead: bool = False) -> datetime:
    """These rows did not leave; within the transaction that records why."""
    due = [now + timedelta(seconds=backoff_s(row.attempts + 1)) for row in rows]
    for row, next_at in zip(rows, due, strict=True):
        values = {"attempts": row.attempts + 1, "next_at": next_at, "error": error[:MAX_ERROR], "lease_owner": None, "lease_until": None}
        statement = sa.update(outbox).where(outbox.c.seq == row.seq, outbox.c.sent_at.is_(None))
        connection.execute(statement.values(**values, dead_at=now if dead else None))
    return min(due, default=now)


def hasten(db: Database, kind: Kind, now: datetime) -> int:
    """What failed before is due at once, because what it failed on is back; returns how many rows."""
    with db.write() as connection:
        waits = sa.and_(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None), outbox.c.kind == str(kind), outbox.c.attempts > 0, outbox.c.next_at > now)
        return connection.execute(sa.update(outbox).where(waits).values(next_at=now)).rowcount


def waiting_for_a_look(db: Database, now: datetime) -> list[str]:
    """The ids of notifications that wait for a second look at their alert."""
    with db.read() as connection:
        return list(connection.execute(sa.select(outbox.c.id).where(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None), _waits(now))).scalars())


def let_go(connection: Connection, where: sa.ColumnElement[bool]) -> int:
    """Notifications wait for no second look any more, because it was taken or will not be; returns how many did."""
    held = (outbox.c.not_before.is_not(None), outbox.c.sent_at.is_(None))
    return connection.execute(sa.update(outbox).where(*held, where).values(not_before=None)).rowcount


def let_go_of_alert(connection: Connection, alert_id: str) -> int:
    """The same for those of one alert, within the transaction that notes what was said of it."""
    return let_go(connection, outbox.c.alert_id == alert_id)


def let_go_of_video(db: Database, video_id: str) -> int:
    """The same for all of a video: nobody will look at its alerts now."""
    with db.write() as connection:
        return let_go(connection, outbox.c.video_id == video_id)


def let_go_of(db: Database, row_ids: Collection[str]) -> int:
    """The same for these rows."""
    with db.write() as connection:
        return let_go(connection, outbox.c.id.in_(list(row_ids)))


def due_keys(db: Database, kind: Kind, now: datetime) -> list[str]:
    """The keys of which something may leave now."""
    with db.read() as connection:
        return sorted(connection.execute(_due(now, kind, None).with_only_columns(outbox.c.key).distinct()).scalars())


def release(db: Database, rows: Sequence[OutboxRow], worker: str, *, until: datetime | None = None) -> None:
    """Give rows back untried, to be taken at once or from `until` on."""
    values: dict[str, object] = {"lease_owner": None, "lease_until": None}
    if until is not None:
        values["next_at"] = until
    with db.write() as connection:
        for part in _parts([row.seq for row in rows]):
            statement = sa.update(outbox).where(outbox.c.seq.in_(part), outbox.c.lease_owner == worker, outbox.c.sent_at.is_(None))
            connection.execute(statement.values(**values))


def pending(db: Database) -> Pending:
    """What has not left yet."""
    unsent = outbox.c.sent_at.is_(None)
    alive = sa.and_(unsent, outbox.c.dead_at.is_(None))

    def tally(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    columns = (
        tally(sa.and_(alive, outbox.c.kind == str(Kind.EVENT))),
        tally(sa.and_(alive, outbox.c.kind == str(Kind.NOTIFICATION))),
        tally(sa.and_(alive, outbox.c.attempts > 0)),
        tally(outbox.c.dead_at.is_not(None)),
        sa.func.min(sa.case((alive, outbox.c.created_at))),
    )
    with db.read() as connection:
        row = connection.execute(sa.select(*columns).where(unsent)).one()
        error = connection.execute(sa.select(outbox.c.error).where(alive, outbox.c.error.is_not(None)).order_by(outbox.c.seq.desc()).limit(1)).scalar()
    events, notifications, retrying, given_up, oldest_at = row
    return Pending(events, notifications, retrying, given_up, oldest_at, error)


def dead(db: Database, *, limit: int = 100) -> list[OutboxRow]:
    """Rows that were given up, newest first."""
    with db.read() as connection:
        condition = sa.and_(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_not(None))
        rows = connection.execute(sa.select(outbox).where(condition).order_by(outbox.c.seq.desc()).limit(limit)).all()
    return [_row(row) for row in rows]


def revive(db: Database, row_ids: Collection[str], now: datetime) -> int:
    """Try dead rows again; returns how many there were."""
    with db.write() as connection:
        condition = sa.and_(outbox.c.id.in_(list(row_ids)), outbox.c.sent_at.is_(None), outbox.c.dead_at.is_not(None))
        return connection.execute(sa.update(outbox).where(condition).values(dead_at=None, attempts=0, next_at=now)).rowcount


def waiting(db: Database, kind: Kind | None = None) -> list[OutboxRow]:
    """Every row that has not left and is not dead, oldest first."""
    query = sa.select(outbox).where(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None))
    with db.read() as connection:
        return [_row(row) for row in connection.execute((query if kind is None else query.where(outbox.c.kind == str(kind))).order_by(outbox.c.seq))]


def waiting_videos(db: Database, topic: str) -> set[str]:
    """The videos of which an event for this topic has not left and is not dead."""
    query = sa.select(outbox.c.video_id).where(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None), outbox.c.topic == topic, outbox.c.video_id.is_not(None))
    with db.read() as connection:
        return set(connection.execute(query.distinct()).scalars())


def newest_event(db: Database, video_id: str, topic: str) -> str | None:
    """The id of the newest event of a video for this topic, sent or not; None when there is none, or only dead ones."""
    with db.read() as connection:
        return find_newest_event(connection, video_id, topic)


def find_newest_event(connection: Connection, video_id: str, topic: str) -> str | None:
    """The same within a transaction."""
    condition = sa.and_(outbox.c.video_id == video_id, outbox.c.topic == topic, outbox.c.dead_at.is_(None))
    return connection.execute(sa.select(outbox.c.id).where(condition).order_by(outbox.c.seq.desc()).limit(1)).scalar()


def prune(db: Database, before: datetime) -> int:
    """Forget rows that left before this moment; returns how many."""
    with db.write() as connection:
        return connection.execute(sa.delete(outbox).where(outbox.c.sent_at < before)).rowcount


def forget_notifications(connection: Connection, video_id: str) -> int:
    """Drop what people were still to be told of a video that is being deleted; its events stay. Returns how many."""
    condition = sa.and_(outbox.c.video_id == video_id, outbox.c.kind == str(Kind.NOTIFICATION), outbox.c.sent_at.is_(None))
    return connection.execute(sa.delete(outbox).where(condition)).rowcount


def _due(now: datetime, kind: Kind | None, key: str | None) -> sa.Select:
    alive = sa.and_(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None))
    put_off = outbox.c.next_at > outbox.c.created_at  # one that never was waits for no clock that was set back after it was written
    holds = [
        sa.and_(
            outbox.c.kind == str(each),
            sa.or_(
                sa.and_(put_off, outbox.c.next_at > now, outbox.c.next_at <= now + longest),
                sa.and_(outbox.c.lease_until > now, outbox.c.lease_until <= now + longest),
            ),
        )
        for each, longest in LONGEST_HOLD.items()
    ]
    held = (
        sa.select(outbox.c.kind, outbox.c.key, sa.func.min(outbox.c.seq).label("first"))
        .where(alive, sa.or_(*holds, _waits(now)))
        .group_by(outbox.c.kind, outbox.c.key)
        .subquery()
    )
    query = (
        sa.select(outbox)
        .outerjoin(held, sa.and_(held.c.kind == outbox.c.kind, held.c.key == outbox.c.key))
        .where(alive, sa.or_(held.c.first.is_(None), outbox.c.seq < held.c.first))
    )
    if kind is not None:
        query = query.where(outbox.c.kind == str(kind))
    return query if key is None else query.where(outbox.c.key == key)


def _waits(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a row waits for a second look."""
    return sa.and_(outbox.c.not_before > now, outbox.c.not_before <= now + LONGEST_SECOND_LOOK + CLOCK_SKEW)


def _row(row: Row) -> OutboxRow:
    message = Message(row.key.encode(), bytes(row.body), tuple((name, text.encode()) for name, text in row.headers))
    moments = (row.created_at, row.attempts, row.next_at, row.sent_at, row.dead_at, row.error)
    return OutboxRow(row.seq, row.id, Kind(row.kind), row.key, row.topic, row.channel, message, row.video_id, row.alert_id, *moments)


def _parts(values: Sequence[int], size: int = 500) -> Iterable[Sequence[int]]:
    """`values` in pieces that fit into one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
