"""Who is signed in, and what lets somebody in: sessions of browsers, tokens of programs, links that work once. Only SHA-256 digests are kept."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from video_platform.access import Person
from video_platform.errors import NotFound
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import sessions, sign_in_links, tokens, users
from video_platform.services.database.users import person_of

SECRET_BYTES = 32
"""Of every secret: none can be guessed, so a fast hash is enough to keep it."""

MAX_SECRET = 200
"""Characters of a secret that are looked at."""

TOKEN_PREFIX = "vp_"
"""Of every token of a program, so that a scanner of leaked secrets knows one."""


@dataclass(frozen=True)
class Token:
    """A program's token, without its secret."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime | None


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret[:MAX_SECRET].encode("utf-8", "replace")).hexdigest()


def begin(db: Database, name: str, means: str, *, now: datetime, expires_at: datetime, instead_of: str | None = None) -> str:
    """Sign somebody in; returns the secret that the browser keeps. The session `instead_of`, of whoever it was, ends; so do those that have expired."""
    with db.write() as connection:
        if instead_of:
            connection.execute(sa.delete(sessions).where(sessions.c.digest == digest_of(instead_of)))
        return _begin(connection, name, means, now, expires_at)


def person_of_session(db: Database, secret: str, now: datetime) -> Person | None:
    """Who is signed in with this secret; None when nobody is, any more."""
    return _person(db, sessions, secret, now)


def end(db: Database, secret: str) -> str | None:
    """Sign out; returns who was signed in."""
    with db.write() as connection:
        return connection.execute(sa.delete(sessions).where(sessions.c.digest == digest_of(secret)).returning(sessions.c.name)).scalar()


def end_all(db: Database, name: str) -> int:
    """Sign a person out everywhere; returns of how many browsers."""
    with db.write() as connection:
        connection.execute(sa.delete(sign_in_links).where(sign_in_links.c.name == name))
        return connection.execute(sa.delete(sessions).where(sessions.c.name == name)).rowcount


def make_link(db: Database, name: str, *, now: datetime, expires_at: datetime) -> str:
    """A secret that signs this person in once."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    with db.write() as connection:
        _known(connection, name)
        connection.execute(sa.delete(sign_in_links).where(sign_in_links.c.expires_at <= _instant("now", now, sign_in_links)))
        connection.execute(sa.insert(sign_in_links).values(digest=digest_of(secret), name=name, created_at=now, expires_at=expires_at))
    return secret


def redeem(db: Database, link: str, *, now: datetime, expires_at: datetime, instead_of: str | None = None) -> tuple[str, str] | None:
    """Use a link: the person's name and the secret of their new session; None when it is none, has expired, or was used. Of two at once one wins."""
    with db.write() as connection:
        used = sa.delete(sign_in_links).where(sign_in_links.c.digest == digest_of(link)).returning(sign_in_links.c.name, sign_in_links.c.expires_at)
        row = connection.execute(used).one_or_none()
        if row is None or row.expires_at <= now:
            return None
        if instead_of:
            connection.execute(sa.delete(sessions).where(sessions.c.digest == digest_of(instead_of)))
        return row.name, _begin(connection, row.name, "link", now, expires_at)


def make_token(db: Database, name: str, *, now: datetime, expires_at: datetime | None) -> tuple[str, Token]:
    """A token that speaks for this person, which is shown once, and what is kept of it."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    token = Token(secrets.token_hex(4), name, now, expires_at)
    with db.write() as connection:
        _known(connection, name)
        values = {"id": token.id, "digest": digest_of(secret), "name": name, "created_at": now, "expires_at": expires_at}
        connection.execute(sa.insert(tokens).values(**values))
    return secret, token


def person_of_token(db: Database, secret: str, now: datetime) -> Person | None:
    """For whom this token speaks; None when it is none, has expired, or was revoked."""
    return _person(db, tokens, secret, now) if secret.startswith(TOKEN_PREFIX) else None


def tokens_of(db: Database, name: str | None = None) -> list[Token]:
    """Tokens of this person, or all, oldest first."""
    query = sa.select(tokens.c.id, tokens.c.name, tokens.c.created_at, tokens.c.expires_at).order_by(tokens.c.created_at, tokens.c.id)
    with db.read() as connection:
        rows = connection.execute(query if name is None else query.where(tokens.c.name == name)).all()
    return [Token(*row) for row in rows]


def revoke_token(db: Database, name: str, token_id: str) -> None:
    """Take a token back. NotFound when this person has none with this id."""
    with db.write() as connection:
        if not connection.execute(sa.delete(tokens).where(tokens.c.id == token_id, tokens.c.name == name)).rowcount:
            raise NotFound(f"{name} has no token {token_id[:40]!r}; `vp users tokens` lists them", name=name)


def _person(db: Database, table: sa.Table, secret: str, now: datetime) -> Person | None:
    if not secret or len(secret) > MAX_SECRET:
        return None
    query = sa.select(users.c.name, users.c.role, users.c.cameras, table.c.expires_at).join(users, users.c.name == table.c.name)
    with db.read() as connection:
        row = connection.execute(query.where(table.c.digest == digest_of(secret))).one_or_none()
    return None if row is None or (row.expires_at is not None and row.expires_at <= now) else person_of(row)


def _begin(connection: Connection, name: str, means: str, now: datetime, expires_at: datetime) -> str:
    _known(connection, name)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    connection.execute(sa.delete(sessions).where(sessions.c.expires_at <= _instant("now", now, sessions)))
    values = {"digest": digest_of(secret), "name": name, "means": means, "created_at": now, "expires_at": expires_at}
    connection.execute(sa.insert(sessions).values(**values))
    connection.execute(sa.update(users).where(users.c.name == name).values(signed_in_at=now))
    return secret


def _known(connection: Connection, name: str) -> None:
    if connection.execute(sa.select(users.c.name).where(users.c.name == name).with_for_update()).scalar() is None:
        raise NotFound(f"there is no person {name[:80]!r}; `vp users list` names them", name=name[:80])


def _instant(name: str, value: datetime, table: sa.Table) -> sa.BindParameter[datetime]:
    return sa.bindparam(name, value, table.c.expires_at.type)
