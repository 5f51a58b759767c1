"""People who may sign in: their role, their cameras, and how they prove who they are.

Whatever takes something away from a person ends their sessions in the same transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from video_platform.access import Person, Role, check_cameras, check_name
from video_platform.errors import InputError, NotFound, StateError
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import sessions, sign_in_links, tokens, users

LOCAL = "local"
OIDC = "oidc"
"""Kinds of people: those of `vp users`, and those that a provider vouches for."""


@dataclass(frozen=True)
class User:
    """Somebody who may sign in; `has_password` is false for who only uses links, tokens or a provider."""

    name: str
    kind: str
    person: Person
    has_password: bool
    created_at: datetime
    signed_in_at: datetime | None
    sessions: int = 0
    tokens: int = 0


def person_of(row: Row) -> Person:
    """The person in a row that has the columns name, role and cameras of `users`."""
    return Person(row.name, Role(row.role), None if row.cameras is None else tuple(row.cameras))


def listing(db: Database, now: datetime) -> list[User]:
    """Everybody, by name, with the number of their sessions that still count and of their tokens."""
    live = sa.select(sa.func.count()).where(sessions.c.name == users.c.name, sessions.c.expires_at > sa.bindparam("now", now, sessions.c.expires_at.type))
    held = sa.select(sa.func.count()).where(tokens.c.name == users.c.name)
    query = sa.select(users, live.scalar_subquery().label("live"), held.scalar_subquery().label("held")).order_by(users.c.name)
    with db.read() as connection:
        rows = connection.execute(query).all()
    return [User(row.name, row.kind, person_of(row), row.password is not None, row.created_at, row.signed_in_at, row.live, row.held) for row in rows]


def find(db: Database, name: str) -> Person | None:
    """The person of this name, None when there is none."""
    with db.read() as connection:
        row = connection.execute(sa.select(users).where(users.c.name == name)).one_or_none()
    return None if row is None else person_of(row)


def password_of(db: Database, name: str) -> str | None:
    """The hash of a person's password; None for somebody who has none, or is not there."""
    with db.read() as connection:
        return connection.execute(sa.select(users.c.password).where(users.c.name == name)).scalar()


def add(db: Database, name: str, role: Role, cameras: Collection[str], *, password: str | None, now: datetime) -> Person:
    """Add a person; `password` is a hash.

    Raises:
        InputError: the name or a camera cannot be used.
        StateError: somebody has this name.
    """
    name, allowed = check_name(name), check_cameras(role, cameras)
    with db.write() as connection:
        if connection.execute(sa.select(users.c.name).where(users.c.name == name)).scalar() is not None:
            raise StateError(f"there is a person {name!r} already; `vp users role` and `vp users password` change them", name=name)
        values = {"name": name, "kind": LOCAL, "role": str(role), "cameras": _kept(allowed), "password": password, "created_at": now}
        connection.execute(sa.insert(users).values(**values))
    return Person(name, role, allowed)


def set_role(db: Database, name: str, role: Role, cameras: Collection[str] | None) -> Person:
    """Give a person another role, and other cameras; with None these stay, but for an admin, who sees all. Their sessions end.

    Raises:
        InputError: a camera cannot be used.
        NotFound: nobody has this name.
    """
    with db.write() as connection:
        before = person_of(_locked(connection, name)).cameras
        kept = None if role is Role.ADMIN else before
        allowed = kept if cameras is None else check_cameras(role, cameras)
        connection.execute(sa.update(users).where(users.c.name == name).values(role=str(role), cameras=_kept(allowed)))
        _end(connection, name)
    return Person(name, role, allowed)


def set_password(db: Database, name: str, password: str | None) -> None:
    """Give a person another password (its hash, None for none); their sessions and links end.

    Raises:
        InputError: a provider answers for this person.
    """
    with db.write() as connection:
        if _locked(connection, name).kind != LOCAL:
            raise InputError(f"{name} signs in at the provider; their password is changed there", name=name)
        connection.execute(sa.update(users).where(users.c.name == name).values(password=password))
        _end(connection, name)


def rehash(db: Database, name: str, old: str, new: str) -> None:
    """Replace the hash of a password by a stronger one of the same password."""
    with db.write() as connection:
        connection.execute(sa.update(users).where(users.c.name == name, users.c.password == old).values(password=new))


def remove(db: Database, name: str) -> None:
    """Remove a person with their sessions, links and tokens; what they did stays in the audit log."""
    with db.write() as connection:
        _locked(connection, name)
        _end(connection, name)
        connection.execute(sa.delete(tokens).where(tokens.c.name == name))
        connection.execute(sa.delete(users).where(users.c.name == name))


def vouched(db: Database, subject: str, name: str, role: Role, cameras: Collection[str] | None, now: datetime) -> Person:
    """The person that a provider vouches for, as it describes them now; added at their first sign-in. Other rights end the sessions of before.

    `cameras` None means all, an empty collection none of them.

    Raises:
        InputError: the name that the provider gives cannot be used.
        StateError: the name belongs to somebody else here.
    """
    name = check_name(name)
    allowed = None if cameras is None or role is Role.ADMIN else (check_cameras(role, cameras) if cameras else ())
    with db.write() as connection:
        row = connection.execute(sa.select(users).where(users.c.subject == subject).with_for_update()).one_or_none()
        taken = connection.execute(sa.select(users.c.subject).where(users.c.name == name)).one_or_none()
        if row is None and taken is not None:
            raise StateError(f"the name {name!r} belongs to somebody else here; an admin can remove that person with `vp users remove {name}`", name=name)
        if row is None:
            values = {"name": name, "kind": OIDC, "subject": subject, "role": str(role), "cameras": _kept(allowed), "created_at": now}
            connection.execute(sa.insert(users).values(**values))
            return Person(name, role, allowed)
        if person_of(row) != Person(row.name, role, allowed):
            connection.execute(sa.update(users).where(users.c.name == row.name).values(role=str(role), cameras=_kept(allowed)))
            _end(connection, row.name)
        return Person(row.name, role, allowed)


def _kept(cameras: tuple[str, ...] | None) -> list[str] | None:
    return None if cameras is None else list(cameras)


def _locked(connection: Connection, name: str) -> Row:
    row = connection.execute(sa.select(users).where(users.c.name == name).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"there is no person {name[:80]!r}; `vp users list` names them", name=name[:80])
    return row


def _end(connection: Connection, name: str) -> None:
    connection.execute(sa.delete(sessions).where(sessions.c.name == name))
    connection.execute(sa.delete(sign_in_links).where(sign_in_links.c.name == name))
