"""Footage that was not taken in, and why: what would otherwise only be a line in somebody's terminal."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from video_platform.access import ANYONE, Person
from video_platform.services.database.engine import Database
from video_platform.services.database.seeing import visible
from video_platform.services.database.tables import refusals

KEEP = 1000
"""Refusals that are kept: a page of recent trouble, not an archive that a broken camera can grow."""


@dataclass(frozen=True)
class Refusal:
    """One refused file; `times` counts how often the same file was refused for the same reason."""

    id: int
    name: str
    camera: str
    code: str
    message: str
    times: int
    at: datetime


def add(db: Database, *, name: str, camera: str, code: str, message: str, now: datetime) -> None:
    """Note that a file was refused; the same file and reason again is counted, not repeated."""
    name, camera = name[:255], camera[:64]
    same = (refusals.c.name == name, refusals.c.camera == camera, refusals.c.code == code)
    with db.write() as connection:
        again = sa.update(refusals).where(*same).values(message=message, at=now, times=refusals.c.times + 1)
        if connection.execute(again).rowcount:
            return
        connection.execute(sa.insert(refusals).values(name=name, camera=camera, code=code, message=message, at=now, times=1))
        oldest = connection.execute(sa.select(refusals.c.id).order_by(refusals.c.id.desc()).offset(KEEP).limit(1)).scalar()
        if oldest is not None:
            connection.execute(sa.delete(refusals).where(refusals.c.id <= oldest))


def forget(db: Database, *, name: str, camera: str, ending: str) -> int:
    """Drop what was noted of a file in messages with this ending, because it could be taken in after all; returns how many notes."""
    where = (refusals.c.name == name[:255], refusals.c.camera == camera[:64], refusals.c.message.endswith(ending, autoescape=True))
    with db.read() as connection:
        if connection.execute(sa.select(refusals.c.id).where(*where).limit(1)).scalar() is None:
            return 0
    with db.write() as connection:
        return connection.execute(sa.delete(refusals).where(*where)).rowcount


def page(db: Database, *, limit: int = 50, offset: int = 0, person: Person = ANYONE) -> list[Refusal]:
    """Refusals of footage of cameras that `person` may see, newest first."""
    with db.read() as connection:
        shown = visible(connection, person, refusals.c.camera)
        rows = connection.execute(sa.select(refusals).where(*shown).order_by(refusals.c.at.desc(), refusals.c.id.desc()).limit(limit).offset(offset)).all()
    return [Refusal(**row._asdict()) for row in rows]
