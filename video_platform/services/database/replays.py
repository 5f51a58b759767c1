"""Dead letters that were sent to their topic again, so that none is sent twice by mistake.

A row is written before the message is appended and completed afterwards; one that was never completed says from which offset on the message may lie.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from video_platform.services.database.engine import Database, insert_new
from video_platform.services.database.tables import replays

ASKED_TOGETHER = 500
"""Letters in one statement, far below every limit."""


@dataclass(frozen=True)
class Replay:
    """One letter's replay; `offset` is None until it is known where on `topic` the message lies, `times` counts the forced repeats too."""

    letter: str
    topic: str
    partition: int
    from_offset: int
    offset: int | None
    who: str
    begun_at: datetime
    times: int


def of(db: Database, letters: Collection[str]) -> dict[str, Replay]:
    """The replays of these letters, by letter."""
    wanted, found = list(letters), {}
    with db.read() as connection:
        for start in range(0, len(wanted), ASKED_TOGETHER):
            part = sa.select(replays).where(replays.c.letter.in_(wanted[start : start + ASKED_TOGETHER]))
            found |= {row.letter: Replay(**row._asdict()) for row in connection.execute(part)}
    return found


def begin(db: Database, new: Replay) -> bool:
    """Note that a letter is about to be sent for the first time; False when somebody was first."""
    with db.write() as connection:
        return insert_new(connection, replays, [vars(new)]) == 1


def repeat(db: Database, new: Replay, seen: Replay) -> bool:
    """The same for a letter that was sent before; False when somebody else sent it since it was `seen`."""
    with db.write() as connection:
        unchanged = (replays.c.letter == seen.letter, replays.c.begun_at == seen.begun_at, replays.c.times == seen.times)
        return connection.execute(sa.update(replays).where(*unchanged).values(**vars(new))).rowcount == 1


def complete(db: Database, letter: str, partition: int, offset: int) -> None:
    """Note where the message lies."""
    with db.write() as connection:
        connection.execute(sa.update(replays).where(replays.c.letter == letter).values(partition=partition, offset=offset))


def forget(db: Database, letter: str) -> None:
    """Take back a replay whose message was certainly not stored."""
    with db.write() as connection:
        connection.execute(sa.delete(replays).where(replays.c.letter == letter, replays.c.offset.is_(None)))
