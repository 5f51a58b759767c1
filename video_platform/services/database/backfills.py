"""Backfills: what is made again over the past, video by video, and how far that is.

A backfill is rows, so it outlives every process. What asks for runs writes down which before it asks, under an id that follows from backfill, videos and
attempt: a repeat after a kill asks for the same run. Words about a video count only from the run that has it now.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from video_platform.errors import NotFound, StateError
from video_platform.events import NAMESPACE
from video_platform.records import Lane
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import backfill_items as items
from video_platform.services.database.tables import backfills, counters

MAX_MESSAGE = 1000

MAX_BUDGET_S = 366 * 24 * 3600.0
"""Longest budget: a year of one slot is as good as none."""

MEANWHILE = "asked for again while its run was under way"
"""Message of a video that waits again when its run has ended: what the run makes may be older than what it was asked for again for."""

AGAIN = "again"
"""Cause of what somebody asked for although nothing changed; there may be several at a time."""


class State(StrEnum):
    """Where a backfill stands. `ended` was cut short by its budget, and can be resumed like a paused one."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    CANCELLED = "cancelled"
    DONE = "done"


OPEN = (State.RUNNING, State.PAUSED, State.ENDED)
"""States of a backfill that may go on; there is one of each cause."""


class ItemState(StrEnum):
    """Where one video of a backfill stands: `reused` needed nothing any more."""

    WAITING = "waiting"
    ASKED = "asked"
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"
    CANCELLED = "cancelled"


OVER = (ItemState.DONE, ItemState.REUSED, ItemState.FAILED)
"""States of a video that came to an end of its own."""


@dataclass(frozen=True)
class Item:
    """One video of a backfill. `assets` are the planned ones, `made` those that were made; `spent_s` is what its runs took of a slot, failed ones included."""

    backfill_id: str
    video_id: str
    position: int
    assets: Sequence[str]
    estimated_s: float
    state: ItemState = ItemState.WAITING
    attempt: int = 0
    failures: int = 0
    request_id: str | None = None
    asked_at: datetime | None = None
    ended_at: datetime | None = None
    spent_s: float = 0.0
    made: Sequence[str] = ()
    message: str | None = None


@dataclass(frozen=True)
class Backfill:
    """One backfill and how far it is: `counts` has every state of its videos, `spent_s` and `estimated_s` are sums over them.

    `estimated_left_s` is of those that wait or are being made, `estimated_ended_s` of those that came to an end of their own.
    """

    id: str
    cause: str
    lane: Lane
    state: State
    reason: str | None
    force: str | None
    budget_s: float | None
    who: str
    created_at: datetime
    updated_at: datetime
    counts: Mapping[ItemState, int] = field(default_factory=dict)
    estimated_s: float = 0.0
    estimated_left_s: float = 0.0
    estimated_ended_s: float = 0.0
    spent_s: float = 0.0

    @property
    def total(self) -> int:
        """How many videos it has."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Videos that wait or are being made."""
        return self.counts[ItemState.WAITING] + self.counts[ItemState.ASKED]

    @property
    def left_s(self) -> float:
        """About how long the rest takes with one slot, by what the others really took."""
        return self.estimated_left_s * (self.spent_s / self.estimated_ended_s) if self.estimated_ended_s and self.spent_s else self.estimated_left_s


@dataclass(frozen=True)
class Wanted:
    """One video that a backfill is to have."""

    video_id: str
    assets: Sequence[str]
    estimated_s: float


def request_id(backfill_id: str, video_ids: Sequence[str], attempt: int) -> str:
    """The id of the run for these videos; the same for a repeat, another one for the next attempt."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(["backfill", backfill_id, str(attempt), *sorted(video_ids)])))


def start(
    db: Database,
    cause: str,
    wanted: Sequence[Wanted],
    *,
    who: str,
    now: datetime,
    lane: Lane = Lane.BACKFILL,
    budget_s: float | None = None,
    force: str | None = None,
    join: bool = False,
) -> Backfill:
    """A new backfill over these videos, in their order.

    With `join` videos go into the open backfill of this cause where there is one, again also where they came to an end or a run has them, and it runs; without
    its budget where that is spent, because it would end before the first of them.

    Raises:
        StateError: one of this cause is open already.
    """
    with db.write() as connection:
        _one_at_a_time(connection)
        open_ = sa.select(backfills.c.id, backfills.c.state).where(backfills.c.cause == cause, backfills.c.state.in_([str(state) for state in OPEN]))
        other = None if cause == AGAIN else connection.execute(open_.limit(1)).one_or_none()
        if other is not None and join:
            _join(connection, other.id, wanted, now, no_budget=other.state == State.ENDED)
            return _get(connection, other.id)
        if other is not None:
            raise StateError(f"backfill {other.id} of cause {cause} is {other.state}; resume or cancel that one first", backfill=other.id)
        key = str(uuid.uuid4())
        values = {"id": key, "cause": cause, "lane": str(lane), "state": str(State.RUNNING), "force": force, "budget_s": budget_s, "who": who[:128]}
        connection.execute(sa.insert(backfills).values(**values, created_at=now, updated_at=now))
        _add(connection, key, wanted, 0)
        return _get(connection, key)


def get(db: Database, backfill_id: str) -> Backfill:
    """One backfill; the beginning of its id is enough where it names only one. NotFound when there is none, or several."""
    with db.read() as connection:
        found = connection.execute(sa.select(backfills.c.id).where(backfills.c.id.startswith(backfill_id, autoescape=True)).limit(2)).scalars().all()
        if not backfill_id or len(found) != 1:
            many = "several backfills begin" if len(found) > 1 else "no backfill begins"
            raise NotFound(f"{many} with {backfill_id[:80]!r}; `vp backfill status` lists them")
        return _get(connection, found[0])


def page(db: Database, *, limit: int = 20, states: Collection[State] = tuple(State)) -> list[Backfill]:
    """Backfills in these states, newest first."""
    query = sa.select(backfills.c.id).where(backfills.c.state.in_([str(state) for state in states])).order_by(backfills.c.created_at.desc(), backfills.c.id)
    with db.read() as connection:
        return [_get(connection, key) for key in connection.execute(query.limit(limit)).scalars().all()]


def unsettled(db: Database) -> list[Backfill]:
    """Backfills that somebody has to look after, oldest first: the running ones, and those that still have runs."""
    with_runs = sa.select(items.c.backfill_id).where(items.c.state == str(ItemState.ASKED))
    query = sa.select(backfills.c.id).where(sa.or_(backfills.c.state == str(State.RUNNING), backfills.c.id.in_(with_runs)))
    with db.read() as connection:
        keys = connection.execute(query.order_by(backfills.c.created_at, backfills.c.id)).scalars().all()
        return [_get(connection, key) for key in keys]


def listed(db: Database, backfill_id: str, *, states: Collection[ItemState] = tuple(ItemState), limit: int = 1000, offset: int = 0) -> list[Item]:
    """Videos of a backfill in these states, in their order."""
    query = sa.select(items).where(items.c.backfill_id == backfill_id, items.c.state.in_([str(state) for state in states]))
    with db.read() as connection:
        rows = connection.execute(query.order_by(items.c.position).limit(limit).offset(offset)).all()
    return [_item(row) for row in rows]


def asked_of(db: Database, backfill_id: str, request: str) -> list[Item]:
    """The videos that a run is to make and nobody has settled, in their order; none once its backfill is not running any more."""
    query = (
        sa.select(items)
        .join(backfills, backfills.c.id == items.c.backfill_id)
        .where(items.c.backfill_id == backfill_id, items.c.request_id == request, items.c.state == str(ItemState.ASKED))
        .where(backfills.c.state == str(State.RUNNING))
    )
    with db.read() as connection:
        return [_item(row) for row in connection.execute(query.order_by(items.c.position))]


def busy_elsewhere(db: Database, backfill_id: str, video_ids: Collection[str]) -> set[str]:
    """Those of these videos that a run of another backfill has."""
    query = sa.select(items.c.video_id).where(items.c.video_id.in_(list(video_ids)), items.c.state == str(ItemState.ASKED))
    with db.read() as connection:
        return set(connection.execute(query.where(items.c.backfill_id != backfill_id)).scalars())


def turn(db: Database, backfill_id: str, wanted: State, *, now: datetime, budget_s: float | None = None, reason: str | None = None) -> Backfill:
    """Bring a backfill into another state, as a person asked or because it is at its end; the same again changes nothing.

    Raises:
        NotFound: there is none.
        StateError: it is over, or has nothing left to resume.
    """
    with db.write() as connection:
        _one_at_a_time(connection)
        current = _get(connection, backfill_id)
        if current.state not in OPEN and current.state is not wanted:
            raise StateError(f"backfill {backfill_id} is {current.state}; start another one", backfill=backfill_id)
        values: dict[str, object] = {"state": str(wanted), "updated_at": now, "reason": reason}
        if budget_s is not None:
            values["budget_s"] = budget_s
        if current.state is not wanted or budget_s is not None:
            connection.execute(sa.update(backfills).where(backfills.c.id == backfill_id).values(**values))
        if wanted is State.CANCELLED:
            gone = {"state": str(ItemState.CANCELLED), "ended_at": now}
            connection.execute(sa.update(items).where(items.c.backfill_id == backfill_id, items.c.state == str(ItemState.WAITING)).values(**gone))
        return _get(connection, backfill_id)


def ask(db: Database, backfill_id: str, requests: Mapping[str, Sequence[str]], *, now: datetime) -> dict[str, list[str]]:
    """Write down which runs are asked for: request id -> videos. Only what still waits, and only while the backfill runs; what was written is returned."""
    written: dict[str, list[str]] = {}
    with db.write() as connection:
        state = connection.execute(sa.select(backfills.c.state).where(backfills.c.id == backfill_id).with_for_update()).scalar()
        for request, video_ids in requests.items() if state == State.RUNNING else ():
            mine = (items.c.backfill_id == backfill_id, items.c.video_id.in_(list(video_ids)), items.c.state == str(ItemState.WAITING))
            values = {"state": str(ItemState.ASKED), "attempt": items.c.attempt + 1, "request_id": request, "asked_at": now, "message": None}
            if connection.execute(sa.update(items).where(*mine).values(**values)).rowcount == len(video_ids):
                written[request] = list(video_ids)
            else:  # somebody else settled one of them meanwhile: the id would not name what the run has
                connection.execute(
                    sa.update(items)
                    .where(items.c.backfill_id == backfill_id, items.c.request_id == request, items.c.state == str(ItemState.ASKED))
                    .values(state=str(ItemState.WAITING))
                )
    return written


def settle(
    db: Database,
    item: Item,
    state: ItemState,
    *,
    now: datetime,
    spent_s: float = 0.0,
    made: Sequence[str] = (),
    message: str | None = None,
    failed: bool = False,
) -> bool:
    """Say what became of a video, or that it waits again, `failed` because a run of it ended without a result.

    What was asked for again `MEANWHILE` waits again, whatever its run came to. False when another run has it, or the word of this one is said already.
    """
    mine = (items.c.backfill_id == item.backfill_id, items.c.video_id == item.video_id, items.c.state == str(item.state))
    same = items.c.request_id.is_not_distinct_from(item.request_id)
    ended = state is not ItemState.WAITING
    values = {"state": str(state), "spent_s": items.c.spent_s + spent_s, "made": list(made), "message": message and message[:MAX_MESSAGE]}
    values["failures"] = items.c.failures + int(failed)
    with db.write() as connection:
        if state in OVER:
            again = {**values, "state": str(ItemState.WAITING), "failures": 0, "message": None}
            if connection.execute(sa.update(items).where(*mine, same, items.c.message == MEANWHILE).values(**again)).rowcount:
                return True
        return connection.execute(sa.update(items).where(*mine, same).values(**values, ended_at=now if ended else None)).rowcount > 0


def _add(connection: Connection, backfill_id: str, wanted: Sequence[Wanted], first: int) -> None:
    fresh = {"state": str(ItemState.WAITING), "attempt": 0, "failures": 0, "spent_s": 0.0, "made": []}
    rows = [
        {"backfill_id": backfill_id, "video_id": each.video_id, "position": first + n, "assets": list(each.assets), "estimated_s": float(each.estimated_s)}
        for n, each in enumerate(wanted)
    ]
    if rows:
        connection.execute(sa.insert(items), [{**row, **fresh} for row in rows])


def _join(connection: Connection, backfill_id: str, wanted: Sequence[Wanted], now: datetime, *, no_budget: bool) -> None:
    """New videos behind those that are there; those that came to an end wait again, and those that a run has in hand as soon as it has ended.

    Of one that did not come to an end what was asked for before is made as well.
    """
    mine = items.c.backfill_id == backfill_id
    known = {row.video_id: row.assets for row in connection.execute(sa.select(items.c.video_id, items.c.assets).where(mine))}
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(items.c.position), -1)).where(mine)).scalar_one()
    over = items.c.state.in_([str(state) for state in OVER])
    for each in wanted:
        if each.video_id in known:
            before = known[each.video_id]
            both = [*before, *(asset for asset in each.assets if asset not in before)]
            if both != before:
                waits = items.c.state == str(ItemState.WAITING)
                more = {"assets": both, "estimated_s": items.c.estimated_s + float(each.estimated_s)}
                connection.execute(sa.update(items).where(mine, waits, items.c.video_id == each.video_id).values(**more))
            values = {"state": str(ItemState.WAITING), "assets": list(each.assets), "failures": 0, "ended_at": None, "message": None}
            connection.execute(sa.update(items).where(mine, over, items.c.video_id == each.video_id).values(**values))
            asked = items.c.state == str(ItemState.ASKED)
            later = {"assets": both, "message": MEANWHILE}
            connection.execute(sa.update(items).where(mine, asked, items.c.video_id == each.video_id).values(**later))
    _add(connection, backfill_id, [each for each in wanted if each.video_id not in known], last + 1)
    values = {"state": str(State.RUNNING), "reason": None, "updated_at": now, **({"budget_s": None} if no_budget else {})}
    connection.execute(sa.update(backfills).where(backfills.c.id == backfill_id).values(**values))


def _get(connection: Connection, backfill_id: str) -> Backfill:
    row = connection.execute(sa.select(backfills).where(backfills.c.id == backfill_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no backfill {backfill_id[:80]!r}; `vp backfill status` lists them")
    sums = (sa.func.count(), sa.func.sum(items.c.estimated_s), sa.func.sum(items.c.spent_s))
    tallied = connection.execute(sa.select(items.c.state, *sums).where(items.c.backfill_id == backfill_id).group_by(items.c.state)).all()
    counts = dict.fromkeys(ItemState, 0) | {ItemState(state): number for state, number, *_ in tallied}
    estimated = {ItemState(state): seconds for state, _, seconds, _ in tallied}
    known = row._asdict() | {"lane": Lane(row.lane), "state": State(row.state)}
    return Backfill(
        **known,
        counts=counts,
        estimated_s=sum(estimated.values()),
        estimated_left_s=sum(estimated.get(state, 0.0) for state in (ItemState.WAITING, ItemState.ASKED)),
        estimated_ended_s=sum(estimated.get(state, 0.0) for state in OVER),
        spent_s=sum(spent for *_, spent in tallied),
    )


def _item(row: Row) -> Item:
    return Item(**row._asdict() | {"state": ItemState(row.state), "assets": tuple(row.assets), "made": tuple(row.made)})


def _one_at_a_time(connection: Connection) -> None:
    """Writers of the table of backfills take turns, on PostgreSQL too."""
    connection.execute(sa.select(counters.c.value).where(counters.c.name == "alerts").with_for_update())
