"""Dagster's SQLite storage with connections that stay open, and run files that are copied instead of made anew.

Dagster's own opens and closes a connection for every event and makes the tables of every run's file statement by statement: 0.17 s for each run that a sensor
asks for, where these classes take a third of it. Files, tables and everything else are Dagster's.
"""

import logging
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster
import sqlalchemy as sa
from dagster import StringSource
from dagster._core.event_api import EventHandlerFn
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage, SqliteEventLogStorageWatchdog
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, SqliteStorageConfig
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from video_platform.errors import SettingsError

OPEN_FILES = 16
"""Files of runs that one process keeps open: more than run at once; each costs three descriptors."""

LOOK_S = 0.5
"""Between two looks for events of a run that somebody watches: about a millisecond each."""

POOL_SIZE = 4
POOL_OVERFLOW = 60
"""Connections to the one file of all runs (or of all ticks): the daemon's threads and the web server's together."""


log = logging.getLogger(__name__)


class OpenFiles:
    """Engines by SQLite file, the least recently used closed when there are more than `limit`; not shared across a fork, and not with a file that was replaced.

    `one_at_a_time` says that the caller lets only one thread use an engine; it then has a single connection.
    """

    def __init__(self, limit: int, *, one_at_a_time: bool) -> None:
        self._limit = limit
        self._one_at_a_time = one_at_a_time
        self._lock = threading.Lock()
        self._engines: OrderedDict[Path, tuple[Engine, tuple[int, int]]] = OrderedDict()
        self._owner = os.getpid()
        self._parents: object = None

    def engine(self, file: Path) -> Engine:
        """The engine of a file that is there."""
        with self._lock:
            if self._owner != os.getpid():
                self._parents = self._engines  # held, because to be collected is to be closed
                self._engines, self._owner = OrderedDict(), os.getpid()
            identity = _identity(file)
            found = self._engines.pop(file, None)
            if found is not None and found[1] != identity:
                found[0].dispose()
                found = None
            engine = self._new(file) if found is None else found[0]
            self._engines[file] = (engine, identity)
            while len(self._engines) > self._limit:
                self._engines.popitem(last=False)[1][0].dispose()
            return engine

    def forget(self, file: Path) -> None:
        """Close what is open of a file: after an error nobody knows what state a connection is in."""
        with self._lock:
            found = self._engines.pop(file, None)
            if found is not None:
                found[0].dispose()

    def close(self) -> None:
        """Close all of it; the next use opens again."""
        with self._lock:
            if self._owner == os.getpid():
                for engine, _ in self._engines.values():
                    engine.dispose()
            self._engines = OrderedDict()

    def _new(self, file: Path) -> Engine:
        waiting = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        if self._one_at_a_time:
            return sa.create_engine(f"sqlite:///{file}", poolclass=StaticPool, connect_args=waiting)
        return sa.create_engine(f"sqlite:///{file}", poolclass=QueuePool, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, connect_args=waiting)


class Events(SqliteEventLogStorage):
    """Dagster's event log: one file a run and one for what is asked across runs."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._files = OpenFiles(OPEN_FILES, one_at_a_time=True)  # Dagster holds its lock while a connection is in use
        self._template: bytes | None = None
        self._watches: dict[tuple[str, EventHandlerFn], Watch] = {}
        self._watch_lock = threading.Lock()
        self._watch_end = threading.Event()
        self._watching: threading.Thread | None = None
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        file = Path(self.path_for_shard(shard))
        with self._db_lock:
            if shard != INDEX_SHARD_NAME and not file.exists():
                self._place_template(file)
                self._initialized_dbs.add(shard)
            elif shard not in self._initialized_dbs:
                engine = sa.create_engine(self.conn_string_for_shard(shard), poolclass=sa.NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            try:
                with self._files.engine(file).connect() as connection, connection.begin():
                    yield connection
            except (DBAPIError, sqlite3.Error, OSError):
                self._files.forget(file)
                raise

    def delete_events(self, run_id: str) -> None:
        """Removes the events of a run, with the file that holds them: Dagster's own leaves an empty one behind for ever."""
        with self.index_connection() as connection:
            self.delete_events_for_run(connection, run_id)
        self.free_concurrency_slots_for_run(run_id)
        file = Path(self.path_for_shard(run_id))
        with self._db_lock:
            self._files.forget(file)
            self._initialized_dbs.discard(run_id)
            for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
                file.with_name(name).unlink(missing_ok=True)

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Calls back for each new event of a run, whichever process stores it."""
        with self._watch_lock:
            self._watches[run_id, callback] = Watch(self, run_id, callback, cursor)
            if self._watching is None:
                self._watching = threading.Thread(target=self._look, name="watching events of runs", daemon=True)
                self._watching.start()

    def end_watch(self, run_id: str, handler: EventHandlerFn) -> None:
        """Ends it; harmless when it has ended."""
        with self._watch_lock:
            self._watches.pop((run_id, handler), None)

    def _look(self) -> None:
        while not self._watch_end.wait(LOOK_S):
            with self._watch_lock:
                watches = list(self._watches.values())
            for watch in watches:
                watch.look()

    def wipe(self) -> None:
        """Removes all events."""
        self._files.close()
        super().wipe()

    def dispose(self) -> None:
        """Closes files and ends watching."""
        self._watch_end.set()
        if self._watching is not None:
            self._watching.join(timeout=SQLITE_BUSY_TIMEOUT_SECONDS)
        self._files.close()

    def _place_template(self, file: Path) -> None:
        """The file of a new run, whole or not at all; another process that makes the same one is no harm."""
        if self._template is None:
            self._template = self._read_template()
        fresh = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.new")
        try:
            with fresh.open("wb") as out:
                out.write(self._template)
                out.flush()
                os.fsync(out.fileno())
            with suppress(FileExistsError):
                os.link(fresh, file)
        finally:
            fresh.unlink(missing_ok=True)

    def _read_template(self) -> bytes:
        """The bytes of an empty file of a run, as this version of Dagster makes it."""
        kept = Path(self._base_dir) / f"empty.{dagster.__version__}.template"
        if not kept.exists():
            made = kept.with_name(f"{kept.name}.{os.getpid()}.{threading.get_ident()}")
            try:
                engine = sa.create_engine(f"sqlite:///{made}", poolclass=sa.NullPool)
                self._initdb(engine)  # the last connection that closes takes the write-ahead log into the file
                engine.dispose()
                made.replace(kept)
            finally:
                made.unlink(missing_ok=True)
        return kept.read_bytes()


class Watch(SqliteEventLogStorageWatchdog):
    """Looks for new events of a run.

    Dagster's waits for the kernel to tell of a change of the run's file. With connections that stay open events stand in the write-ahead log, and that changes
    before they can be read: a look that follows the change finds nothing, and no other look follows.
    """

    def look(self) -> None:
        """Hands on what is new; what cannot be read now is read by the next look."""
        try:
            self._process_log()
        except (DBAPIError, sqlite3.Error, OSError) as error:
            log.warning("events of run %s could not be read: %s", self._run_id, error)


class _OneFile:
    """A storage of Dagster's that keeps everything in the file of its connection string."""

    _conn_string: str

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A transaction."""
        files: OpenFiles = self.__dict__.setdefault("_files", OpenFiles(1, one_at_a_time=False))
        file = Path(self._conn_string.removeprefix("sqlite:///"))
        try:
            with files.engine(file).connect() as connection, connection.begin():
                yield connection
        except (DBAPIError, sqlite3.Error, OSError):
            files.forget(file)
            raise

    def dispose(self) -> None:
        """Closes the file."""
        if "_files" in self.__dict__:
            self.__dict__["_files"].close()


class Runs(_OneFile, SqliteRunStorage):
    """Dagster's runs."""


class Schedules(_OneFile, SqliteScheduleStorage):
    """Dagster's sensors and their ticks."""


class Storage(DagsterSqliteStorage):
    """All of Dagster's storage in files below `base_dir`, where Dagster's own keeps them."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super(DagsterSqliteStorage, self).__init__()
        self.base_dir = base_dir
        self._inst_data = inst_data
        self._run_storage = Runs.from_local(str(Path(base_dir) / "history"))
        self._event_log_storage = Events(str(Path(base_dir) / "history" / "runs"))
        self._schedule_storage = Schedules.from_local(str(Path(base_dir) / "schedules"))

    @classmethod
    def config_type(cls) -> Mapping[str, object]:  # type: ignore[override]
        """The folder of the instance."""
        return {"base_dir": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: SqliteStorageConfig) -> "Storage":
        """The storage in a folder that is there.

        Raises:
            SettingsError: it is not; nothing is made, because a home that was moved would begin anew elsewhere.
        """
        folder = config_value["base_dir"]
        if not Path(folder).is_dir():
            raise SettingsError(
                f"Dagster's folder {folder} is not there; if the home was moved, `vp up` or `vp process` writes its dagster.yaml again", path=folder
            )
        return cls(folder, inst_data)


def _identity(file: Path) -> tuple[int, int]:
    """Device and inode: what tells a file from another one under its name."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino
