"""The alerts ledger: one row per thing that a rule found, with an id and a mark that survive re-evaluation.

`reconcile` is the only writer of what an alert *is*; people write what they think of it (`mark`), `highlights` adds pictures (`set_media`). Every change
draws a `revision`, so that an open page asks for what is new since the one it has (`since`). What a vision model says of an alert (`set_second_look`) changes
nothing of it either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from video_platform.access import ANYONE, Person
from video_platform.errors import NotFound
from video_platform.records import AlertRecord, Lifecycle, Mark, SecondLook, Severity
from video_platform.services.database import outbox
from video_platform.services.database.engine import Database
from video_platform.services.database.ledger_rows import ACTIVE, next_revision, record
from video_platform.services.database.reconciliation import EvaluationInput, LedgerChange, reconcile
from video_platform.services.database.seeing import visible
from video_platform.services.database.tables import alerts, counters, deliveries, evaluations

__all__ = [
    "Changes",
    "Delivery",
    "EvaluationInput",
    "LedgerChange",
    "counts",
    "deliveries_of",
    "evaluated",
    "fingerprints",
    "get",
    "looked_at",
    "mark",
    "page",
    "reconcile",
    "revision",
    "set_media",
    "set_second_look",
    "shows",
    "since",
]


@dataclass(frozen=True)
class Changes:
    """Alerts that changed after a revision, in the order of their change, and the revision to ask from next."""

    alerts: list[AlertRecord]
    revision: int


@dataclass(frozen=True)
class Delivery:
    """Where the notification of an alert to one channel stands.

    `state`: waiting, sent, digest (sent together with others), failed (will be tried again), dead (given up, see `error`), quieted (the rule's
    `notify_again_after` had not passed), withdrawn (the alert was superseded before it left).
    """

    alert_id: str
    channel: str
    state: str
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    error: str | None


def evaluated(db: Database, video_id: str, asset: str) -> str | None:
    """The fingerprint of the evaluation that the ledger reflects, None before the first."""
    with db.read() as connection:
        where = (evaluations.c.video_id == video_id, evaluations.c.asset == asset)
        return connection.execute(sa.select(evaluations.c.fingerprint).where(*where)).scalar()


def fingerprints(db: Database, video_ids: Sequence[str], asset: str) -> dict[str, str]:
    """The fingerprints of the evaluations that the ledger reflects, of those of these videos that were evaluated."""
    query = sa.select(evaluations.c.video_id, evaluations.c.fingerprint).where(evaluations.c.video_id.in_(list(video_ids)), evaluations.c.asset == asset)
    with db.read() as connection:
        return {row.video_id: row.fingerprint for row in connection.execute(query)}


def get(db: Database, alert_id: str) -> AlertRecord | None:
    """The alert with this id, superseded or not."""
    with db.read() as connection:
        row = connection.execute(sa.select(alerts).where(alerts.c.id == alert_id)).one_or_none()
    return None if row is None else record(row)


def page(
    db: Database,
    *,
    video_id: str | None = None,
    asset: str | None = None,
    rule: str | None = None,
    camera: str | None = None,
    severity: Severity | None = None,
    lifecycle: Lifecycle | None = None,
    mark: Mark | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    offset: int = 0,
    person: Person = ANYONE,
) -> tuple[list[AlertRecord], int]:
    """One page of the alerts that `person` may see, newest raise first, and how many match.

    `since` (inclusive) and `until` (exclusive) speak of when it happened: the wall-clock time of the start, or of the raise when the recording time is unknown.
    """
    equal = {"video_id": video_id, "asset": asset, "rule": rule, "camera": camera, "severity": severity, "lifecycle": lifecycle, "mark": mark}
    conditions = [alerts.c[name] == str(value) for name, value in equal.items() if value is not None]
    moment = sa.func.coalesce(alerts.c.start_time, alerts.c.raised_at)
    if since is not None:
        conditions.append(moment >= sa.bindparam("since", since, alerts.c.raised_at.type))
    if until is not None:
        conditions.append(moment < sa.bindparam("until", until, alerts.c.raised_at.type))
    with db.read() as connection:
        conditions += visible(connection, person, alerts.c.camera)
        query = sa.select(alerts).where(*conditions).order_by(alerts.c.raised_at.desc(), alerts.c.start_s.desc(), alerts.c.id)
        total = connection.execute(sa.select(sa.func.count()).select_from(alerts).where(*conditions)).scalar_one()
        rows = connection.execute(query.limit(limit).offset(offset)).all()
    return [record(row) for row in rows], total


def since(db: Database, after: int, *, limit: int = 500, person: Person = ANYONE) -> Changes:
    """What changed after revision `after` of what `person` may see; start an open page with `revision`, or with 0 for everything."""
    with db.read() as connection:
        newer = sa.select(alerts).where(alerts.c.revision > after, *visible(connection, person, alerts.c.camera))
        rows = connection.execute(newer.order_by(alerts.c.revision, alerts.c.id).limit(limit + 1)).all()
        if len(rows) > limit:
            # A revision is never cut in two: what does not fit whole comes with the next call, and one that fits into no call comes whole.
            cut = rows[-1].revision
            whole = [row for row in rows if row.revision < cut]
            rows = whole or connection.execute(newer.where(alerts.c.revision == cut).order_by(alerts.c.id)).all()
    return Changes([record(row) for row in rows], max((row.revision for row in rows), default=after))


def revision(db: Database, person: Person = ANYONE) -> int:
    """The number of the latest change of any alert that `person` may see."""
    with db.read() as connection:
        if shown := visible(connection, person, alerts.c.camera):
            return connection.execute(sa.select(sa.func.coalesce(sa.func.max(alerts.c.revision), 0)).where(*shown)).scalar_one()
        return connection.execute(sa.select(counters.c.value).where(counters.c.name == "alerts")).scalar_one()


def counts(db: Database, video_ids: Sequence[str]) -> dict[str, dict[Severity, int]]:
    """Active alerts of each of these videos by severity; every video is a key."""
    found: dict[str, dict[Severity, int]] = {video_id: {} for video_id in video_ids}
    query = sa.select(alerts.c.video_id, alerts.c.severity, sa.func.count()).where(alerts.c.video_id.in_(list(video_ids)), ACTIVE)
    with db.read() as connection:
        for video_id, severity, count in connection.execute(query.group_by(alerts.c.video_id, alerts.c.severity)):
            found[video_id][Severity(severity)] = count
    return found


def shows(db: Database, video_id: str, object_key: str) -> bool:
    """Whether this object is the snapshot or clip of an alert of this video, superseded ones included."""
    where = (alerts.c.video_id == video_id, sa.or_(alerts.c.snapshot == object_key, alerts.c.clip == object_key))
    with db.read() as connection:
        return connection.execute(sa.select(alerts.c.id).where(*where).limit(1)).scalar() is not None


def mark(db: Database, alert_id: str, mark: Mark, who: str, now: datetime) -> AlertRecord:
    """Note what a person said of an alert; returns it as it now is. NotFound when there is no such alert."""
    with db.write() as connection:
        row = _locked(connection, alert_id)
        if row.mark == mark:
            return record(row)
        values = {"mark": str(mark), "marked_by": who[:128], "marked_at": now, "updated_at": now, "revision": next_revision(connection)}
        return record(connection.execute(sa.update(alerts).where(alerts.c.id == alert_id).values(**values).returning(*alerts.c)).one())


def set_media(db: Database, alert_id: str, *, snapshot: str | None = None, clip: str | None = None) -> bool:
    """Note the object keys of an alert's pictures, None keeps what is there; returns whether something changed."""
    given = {name: key for name, key in (("snapshot", snapshot), ("clip", clip)) if key is not None}
    with db.write() as connection:
        row = _locked(connection, alert_id)
        changed = {name: key for name, key in given.items() if getattr(row, name) != key}
        if changed:
            connection.execute(sa.update(alerts).where(alerts.c.id == alert_id).values(**changed, revision=next_revision(connection)))
        return bool(changed)


def set_second_look(db: Database, alert_id: str, look: SecondLook | None) -> bool:
    """Note what a vision model says of an alert, None where nobody is asked any more; returns whether something changed.

    Its notifications wait for that no longer, which is written in the same transaction: no kill comes between.
    """
    said = None if look is None else look.model_dump()
    with db.write() as connection:
        row = _locked(connection, alert_id)
        outbox.let_go_of_alert(connection, alert_id)
        if row.second_look == said:
            return False
        connection.execute(sa.update(alerts).where(alerts.c.id == alert_id).values(second_look=said, revision=next_revision(connection)))
        return True


def looked_at(db: Database, video_id: str) -> list[str]:
    """The ids of the active alerts of a video that have the outcome of a second look."""
    where = (alerts.c.video_id == video_id, ACTIVE, alerts.c.second_look.is_not(sa.null()))
    with db.read() as connection:
        return list(connection.execute(sa.select(alerts.c.id).where(*where).order_by(alerts.c.id)).scalars())


def deliveries_of(db: Database, alert_id: str) -> list[Delivery]:
    """Where the notifications of an alert stand, one per channel."""
    columns = (deliveries.c[name] for name in ("alert_id", "channel", "state", "created_at", "sent_at", "attempts", "error"))
    with db.read() as connection:
        rows = connection.execute(sa.select(*columns).where(deliveries.c.alert_id == alert_id).order_by(deliveries.c.channel, deliveries.c.id)).all()
    return [Delivery(*row) for row in rows]


def _locked(connection: sa.engine.Connection, alert_id: str) -> sa.engine.Row:
    row = connection.execute(sa.select(alerts).where(alerts.c.id == alert_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"no alert {alert_id!r}; `vp alerts` lists them", alert_id=alert_id)
    return row
