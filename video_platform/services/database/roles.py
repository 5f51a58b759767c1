"""Roles of PostgreSQL: who owns a database, who reads and writes in it, who only reads. Made by its administrator, again and again without harm."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import URL, Connection, make_url

from video_platform.errors import DatabaseUnavailable, SettingsError

CONNECT_S = 10


def make(admin_url: str, owner_url: str, others: Sequence[str] = ()) -> list[str]:
    """Make the role and the database of `owner_url`, and the roles of `others`, which may connect to it and to no other; what was done, a line each.

    The passwords of the URLs are set again each time, so that a new one takes effect.

    Raises:
        DatabaseUnavailable: the server does not answer, or refuses.
        SettingsError: a URL lacks its role, password or database.
    """
    owner = _complete(owner_url)
    users = [owner, *(_complete(each) for each in others)]
    done = []
    with _connected(make_url(admin_url)) as connection:
        for user in users:
            done.append(_make_role(connection, user))
        database = str(owner.database)
        if not connection.execute(sa.text("select 1 from pg_database where datname = :name"), {"name": database}).scalar():
            connection.exec_driver_sql(f"create database {_name(database)} owner {_name(str(owner.username))}")
            done.append(f"database {database} made, owned by {owner.username}")
        connection.exec_driver_sql(f"revoke all on database {_name(database)} from public")
        for user in users[1:]:
            connection.exec_driver_sql(f"grant connect on database {_name(database)} to {_name(str(user.username))}")
    return done


def allow(owner_url: str, role_url: str, *, write: bool) -> str:
    """Let a role read the owner's tables, present and future, and with `write` change their rows; what was done, in a line."""
    owner, role = make_url(owner_url), _name(str(make_url(role_url).username))
    rights = "select, insert, update, delete" if write else "select"
    sequences = "usage, select" if write else "select"
    with _connected(owner) as connection:
        connection.exec_driver_sql(f"grant usage on schema public to {role}")
        for what, granted in (("tables", rights), ("sequences", sequences)):
            connection.exec_driver_sql(f"grant {granted} on all {what} in schema public to {role}")
            connection.exec_driver_sql(f"alter default privileges in schema public grant {granted} on {what} to {role}")
    return f"{role} may {'read and write' if write else 'read'} the tables of {owner.database}"


def _make_role(connection: Connection, user: URL) -> str:
    name = str(user.username)
    there = connection.execute(sa.text("select 1 from pg_roles where rolname = :name"), {"name": name}).scalar()
    verb = "alter" if there else "create"
    connection.exec_driver_sql(f"{verb} role {_name(name)} login nosuperuser nocreatedb nocreaterole password {_literal(str(user.password))}")
    return f"role {name} {'has its password' if there else 'made'}"


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool, connect_args={"connect_timeout": CONNECT_S}, hide_parameters=True)
    try:
        with engine.connect() as connection:
            yield connection
    except exc.DBAPIError as error:  # its text would carry the statement, and with it a password
        reason = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
        raise DatabaseUnavailable(f"PostgreSQL at {url.host} did not do what was asked for as {url.username}: {reason}") from None
    finally:
        engine.dispose()


def _complete(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise SettingsError("a database URL cannot be read; for example postgresql+psycopg2://role:password@host/name") from error
    if not (parsed.username and parsed.password and parsed.database):
        raise SettingsError(f"the database URL {parsed.render_as_string(hide_password=True)} needs a role, a password and the name of the database")
    return parsed


def _name(text: str) -> str:
    return '"' + text.replace('"', '""').replace("%", "%%") + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"
