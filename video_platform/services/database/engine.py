"""The connection to the platform's own database: SQLite embedded, PostgreSQL deployed.

Writers take SQLite's write lock when they begin (`BEGIN IMMEDIATE`), readers a snapshot (`BEGIN`); the driver's own transactions are off. With the driver's
default, two processes that read and then write lose each other's updates silently. An engine belongs to the process that made it.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url

from video_platform.errors import DatabaseUnavailable, SettingsError, StateError, StoreFull, is_full
from video_platform.services.database import schema

LOCK_WAIT_S = 30
"""How long a writer waits for another one: far above the longest transaction, below the patience of a request."""

POOL_SIZE = 5
POOL_OVERFLOW = 40
"""Connections of one process: Streamlit and FastAPI run a thread per request; above this they wait, and then are told."""

WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint, so that one burst does not keep its disk space for ever."""

INSERT_ROWS = 500
"""Rows of one insert statement: far fewer round trips than one each, far below every limit of a statement."""

MIGRATION_LOCK = 0x7669_6465_6F
"""PostgreSQL advisory lock that one migrating process holds."""


class Database:
    """One database; safe to share between threads, refused across a fork."""

    def __init__(self, url: str) -> None:
        try:
            self.url: URL = make_url(url)
        except exc.ArgumentError as error:
            raise SettingsError("VIDEO_PLATFORM_DATABASE__URL is not a database URL; for example postgresql+psycopg2://user:password@host/name") from error
        self._engine: Engine | None = None
        self._owner = 0
        self._lock = threading.Lock()
        self._own = threading.local()  # the transaction of this thread that `together` opened

    def __repr__(self) -> str:
        return f"Database({self.name})"

    @property
    def name(self) -> str:
        """The URL without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for a server."""
        return Path(self.url.database) if self.url.get_backend_name() == "sqlite" and self.url.database else None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: commits when the block ends, rolls back when it raises. Do no other I/O inside."""
        joined: Connection | None = getattr(self._own, "connection", None)
        if joined is not None:
            yield joined
            return
        with self._errors(), self._live_engine().begin() as connection:
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have every `write` of this thread in the block be one transaction: a change and the line of the log that tells of it are there both or neither.

        `read` still sees what was there before. Do no other I/O inside.
        """
        if getattr(self._own, "connection", None) is not None:
            yield
            return
        with self.write() as connection:
            self._own.connection = connection
            try:
                yield
            finally:
                self._own.connection = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: every query in it sees the same state, and no writer is held up."""
        options: dict[str, Any] = {"read": True} if self.file is not None else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._errors(), self._live_engine().connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def migrate(self) -> bool:
        """Bring the tables to this program's version, once for all processes; returns whether something was done.

        Raises:
            StateError: the database was written by a newer version of the program.
        """
        if self._version() == schema.HEAD:
            return False
        with self._errors(), self._migration_lock():
            if self.file is not None:
                _use_write_ahead_log(self.file)
            version = self._version()
            if version == schema.HEAD:
                return False
            if version is not None and version not in schema.VERSIONS:
                raise StateError(
                    f"the database {self.name} has schema {version!r}, which this program does not know (its own is {schema.HEAD!r}): "
                    "it was written by a newer version; upgrade the program or use another home",
                    version=version,
                )
            with self._live_engine().begin() as connection:
                schema.upgrade(connection)
        return True

    def check(self) -> str:
        """Product, version and schema in one line, for people; DatabaseUnavailable when it does not answer."""
        with self.read() as connection:
            if self.file is not None:
                return f"SQLite {connection.exec_driver_sql('select sqlite_version()').scalar_one()}, schema {schema.version(connection)}, {self.file}"
            version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
            return f"{connection.dialect.name} {version}, schema {schema.version(connection)}"

    def dispose(self) -> None:
        """Close every connection; the next use opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
            if engine is not None:
                engine.dispose(close=self._owner == os.getpid())

    def _version(self) -> str | None:
        if self.file is not None and not self.file.exists():
            return None
        with self.read() as connection:
            return schema.version(connection)

    def _live_engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine, self._owner = _make_engine(self.url), os.getpid()
            elif self._owner != os.getpid():
                raise StateError(
                    f"the database {self.name} was opened before this process forked, and an open SQLite or server connection must not cross a fork; "
                    "call dispose() before forking, or open the database afterwards"
                )
            return self._engine

    @contextmanager
    def _migration_lock(self) -> Iterator[None]:
        if self.file is None:
            with self._live_engine().connect() as connection:
                connection.exec_driver_sql(f"select pg_advisory_lock({MIGRATION_LOCK})")
                try:
                    yield
                finally:
                    connection.exec_driver_sql(f"select pg_advisory_unlock({MIGRATION_LOCK})")
            return
        with self.file.with_name(self.file.name + ".migrate.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Driver errors leave as the platform's own; what the caller raised inside passes through."""
        try:
            yield
        except exc.TimeoutError as error:
            raise DatabaseUnavailable(f"all {POOL_SIZE + POOL_OVERFLOW} connections to {self.name} are in use; try again") from error
        except (exc.OperationalError, exc.InterfaceError, sqlite3.Error) as error:
            raise self._unavailable(error) from error
        except exc.DatabaseError as error:
            if type(error) is not exc.DatabaseError:
                raise  # a wrong statement or a broken constraint is a fault of the program, not of the database
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> DatabaseUnavailable | StoreFull:
        original = error.orig if isinstance(error, exc.DBAPIError) else error
        reason = (str(original).strip().splitlines() or [type(error).__name__])[0]
        if is_full(original):
            return StoreFull(f"no space is left for the database {self.name}; free some and try again")
        if "not a database" in reason or "malformed" in reason:
            reason += f"; the file is damaged: move {self.file} away and restore a copy"
        return DatabaseUnavailable(f"the database {self.name} did not answer: {reason}")


def insert_new(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose key is not taken, in this order; returns how many were inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    inserted = 0
    for start in range(0, len(rows), INSERT_ROWS):
        part = [dict(row) for row in rows[start : start + INSERT_ROWS]]
        inserted += connection.execute(dialect.insert(table).values(part).on_conflict_do_nothing()).rowcount
    return inserted


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, pool_timeout=LOCK_WAIT_S, pool_pre_ping=True)
    engine = sa.create_engine(
        url,
        connect_args={"timeout": LOCK_WAIT_S, "isolation_level": None},
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=LOCK_WAIT_S,
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"journal_size_limit={WAL_LIMIT_BYTES}"):
        connection.execute(f"PRAGMA {pragma}").close()
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: str | bytes | float | None) -> str | bytes | float | None:
    """As PostgreSQL does it; SQLite's own knows the letters of ASCII only."""
    return value.lower() if isinstance(value, str) else value


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("read") else "BEGIN IMMEDIATE")


def _use_write_ahead_log(file: Path) -> None:
    """Switch the file to WAL, which it then stays in; done under the migration lock because the switch does not wait for others."""
    connection = sqlite3.connect(file, timeout=LOCK_WAIT_S, isolation_level=None)
    try:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    finally:
        connection.close()
    if mode != "wal":
        raise StateError(f"the database {file} cannot use a write-ahead log (mode {mode!r}): keep the home on a local disk, not on a network file system")
    file.chmod(0o600)
