"""The lock on databases that several homes can reach: one `vp up` at a time runs over them.

A home's own lock says nothing of another home, perhaps on another machine, whose settings name the same PostgreSQL databases. Two daemons over one Dagster
storage start runs twice, and the second start would take the runs of the first for lost ones. SQLite files lie in their home and need none of this.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from video_platform.errors import DatabaseUnavailable, StateError
from video_platform.settings import Settings

KEY = 0x7670_7570  # "vpup"
"""PostgreSQL advisory lock of a database over which a platform runs."""

ATTEMPTS = 10
ATTEMPT_PAUSE_S = 0.3
"""The session of a `vp up` that was killed ends within moments; these tries outlast it."""

LOOK_S = 5.0
"""Between two looks whether the session that holds the lock still lives."""

MAX_NAME = 60
"""PostgreSQL cuts names of applications at 63 bytes."""

OPTIONS = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""The server notices within half a minute that the machine of the holder is gone."""

CONNECT_S = 10


@contextmanager
def hold(settings: Settings, what: str, on_lost: Callable[[str], None]) -> Iterator[None]:
    """Hold the databases of these settings as `what` ("vp up") until the block ends or this process does.

    A server that restarts forgets its locks: they are taken again as soon as it answers. When another was faster, `on_lost` is called with the reason, in a
    thread of its own.

    Raises:
        StateError: another `vp up` runs over one of them.
        DatabaseUnavailable: one does not answer.
    """
    named = {settings.database.url.get_secret_value(), settings.dagster.storage_url.get_secret_value()}
    servers = sorted(url for url in named if url and not url.startswith("sqlite"))
    with ExitStack() as held:
        for url in servers:
            held.enter_context(_hold_one(url, f"{what} {os.getpid()}@{socket.gethostname()}"[:MAX_NAME], on_lost))
        yield


@contextmanager
def _hold_one(url: str, name: str, on_lost: Callable[[str], None]) -> Iterator[None]:
    connection = _take(url, name, ATTEMPTS)
    done = threading.Event()
    current = [connection]
    watcher = threading.Thread(target=_watch, args=(url, name, current, done, on_lost), name="database lock", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join(CONNECT_S)
        _close(current)


def _watch(url: str, name: str, current: list[Any], done: threading.Event, on_lost: Callable[[str], None]) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    while not done.wait(LOOK_S):
        try:
            if not current:
                current.append(_take(url, name, 1))
            current[0].exec_driver_sql("select 1")
        except StateError as error:
            on_lost(error.message)
            return
        except (SQLAlchemyError, DatabaseUnavailable):
            _close(current)


def _close(current: list[Any]) -> None:
    while current:
        connection = current.pop()
        connection.invalidate()
        connection.close()
        connection.engine.dispose()


def _take(url: str, name: str, attempts: int) -> Any:
    """A connection that holds the lock."""
    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    given = {"application_name": name, "options": OPTIONS, "connect_timeout": CONNECT_S}
    engine = sa.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=given)
    try:
        connection = engine.connect()
        for attempt in range(attempts):
            if connection.exec_driver_sql(f"select pg_try_advisory_lock({KEY})").scalar_one():
                return connection
            if attempt + 1 < attempts:
                time.sleep(ATTEMPT_PAUSE_S)
        holders: Sequence[str] = connection.exec_driver_sql(HOLDERS).scalars().all()
        connection.close()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise DatabaseUnavailable(f"the database {_name(engine)} did not answer: {reason}") from error
    raise StateError(
        f"{', '.join(holders) or 'another process'} runs over the database {_name(engine)} already, from another home: two at once would start every run "
        "twice. End it first, or give this home databases of its own"
    )


def _name(engine: Any) -> str:
    return engine.url.render_as_string(hide_password=True)


HOLDERS = f"""
select a.application_name from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.classid = 0 and l.objid = {KEY}
and l.database = (select oid from pg_database where datname = current_database())
"""
