"""The embedded event log: one SQLite file in WAL mode, written by any number of processes, durable against a kill and a power cut.

Every commit waits for the disk (`synchronous=FULL`). Writers queue for the file's one write lock and take offsets under it, so that offsets have no gaps;
readers work on a snapshot and never take that lock.
"""

import base64
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from video_platform.errors import LogUnavailable, PlatformError, StoreFull, is_full
from video_platform.events import PARTITIONS, TOPICS, Message
from video_platform.services.event_log import Record, missing_topic, oldest_first, partition_of, refuse_oversize, shares, starts

T = TypeVar("T")

SCHEMA_VERSION = 1
BUSY_S = 10.0
"""How long a writer waits for the others; a commit takes about a millisecond, so this is hundreds of queued writers."""
WAL_RETRY_S = 0.02
"""SQLite does not wait by itself while two processes switch a new file to WAL at once."""

SCHEMA = (
    "CREATE TABLE topics (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, identity TEXT NOT NULL)",
    """CREATE TABLE partitions (topic INTEGER NOT NULL, partition INTEGER NOT NULL, begin_offset INTEGER NOT NULL, end_offset INTEGER NOT NULL,
       PRIMARY KEY (topic, partition)) WITHOUT ROWID""",
    """CREATE TABLE records (topic INTEGER NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, timestamp_us INTEGER NOT NULL,
       key BLOB NOT NULL, value BLOB NOT NULL, headers TEXT NOT NULL)""",
    'CREATE UNIQUE INDEX records_by_offset ON records (topic, partition, "offset")',
)

SELECT_RECORDS = """SELECT "offset", timestamp_us, key, value, headers FROM records WHERE topic = ? AND partition = ? AND "offset" >= ?
                    ORDER BY "offset" LIMIT ?"""
INSERT_RECORD = 'INSERT INTO records (topic, partition, "offset", timestamp_us, key, value, headers) VALUES (?, ?, ?, ?, ?, ?, ?)'


class SqliteLog:
    """An `EventLog` in the file `path`, which is created with its folder when missing.

    One object may be used by several threads and survives a fork: a connection belongs to the process that opened it.
    """

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._busy_s = busy_s
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._closed = False

    def append(self, topic: str, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """See `EventLog.append`; here all messages are stored or none."""
        refuse_oversize(topic, messages)
        if not messages:
            return []
        with self._transaction("IMMEDIATE") as connection:
            number = _topic_number(connection, topic)
            ends = _bounds(connection, number)[1]
            places, rows = [], []
            now = int(datetime.now(UTC).timestamp() * 1e6)
            for message in messages:
                partition = partition_of(message.key, len(ends))
                places.append((partition, ends[partition]))
                rows.append((number, partition, ends[partition], now, message.key, message.value, _pack(message.headers)))
                ends[partition] += 1
            connection.executemany(INSERT_RECORD, rows)
            touched = {partition for partition, _ in places}
            connection.executemany(
                "UPDATE partitions SET end_offset = ? WHERE topic = ? AND partition = ?", [(ends[partition], number, partition) for partition in touched]
            )
        return places

    def read(self, topic: str, next_offsets: Mapping[int, int], *, limit: int, budget_s: float) -> list[Record]:
        """See `EventLog.read`; one partition is always read, however small the budget."""
        deadline = time.monotonic() + budget_s
        with self._transaction("DEFERRED") as connection:
            number = _topic_number(connection, topic)
            begin, end = _bounds(connection, number)
            at = starts(topic, next_offsets, begin, end)
            batches: dict[int, list[Record]] = {}
            for partition, count in shares({partition: end[partition] - at[partition] for partition in at}, limit).items():
                if batches and time.monotonic() > deadline:
                    break
                found = connection.execute(SELECT_RECORDS, (number, partition, at[partition], count))
                batches[partition] = [
                    Record(topic, partition, offset, datetime.fromtimestamp(stamp / 1e6, UTC), Message(key, value, _unpack(headers)))
                    for offset, stamp, key, value, headers in found
                ]
        return oldest_first(batches, limit)

    def begin_offsets(self, topic: str) -> dict[int, int]:
        """See `EventLog.begin_offsets`."""
        with self._transaction("DEFERRED") as connection:
            return _bounds(connection, _topic_number(connection, topic))[0]

    def end_offsets(self, topic: str) -> dict[int, int]:
        """See `EventLog.end_offsets`."""
        with self._transaction("DEFERRED") as connection:
            return _bounds(connection, _topic_number(connection, topic))[1]

    def topic_id(self, topic: str) -> str:
        """See `EventLog.topic_id`."""
        with self._transaction("DEFERRED") as connection:
            row = connection.execute("SELECT identity FROM topics WHERE name = ?", (topic,)).fetchone()
        if row is None:
            raise missing_topic(topic)
        return row[0]

    def create_topics(self, topics: Sequence[str] = TOPICS) -> list[str]:
        """See `EventLog.create_topics`."""
        missing = [topic for topic in dict.fromkeys(topics) if topic not in self.topics()]
        if not missing:
            return []
        made = []
        with self._transaction("IMMEDIATE") as connection:
            for topic in missing:
                cursor = connection.execute("INSERT INTO topics (name, identity) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (topic, str(uuid.uuid4())))
                if cursor.rowcount:
                    made.append(topic)
                    rows = [(cursor.lastrowid, partition) for partition in range(PARTITIONS)]
                    connection.executemany("INSERT INTO partitions (topic, partition, begin_offset, end_offset) VALUES (?, ?, 0, 0)", rows)
        return made

    def delete_topic(self, topic: str) -> None:
        """See `EventLog.delete_topic`."""
        with self._transaction("IMMEDIATE") as connection:
            number = _topic_number(connection, topic)
            for table in ("records", "partitions"):
                connection.execute(f"DELETE FROM {table} WHERE topic = ?", (number,))
            connection.execute("DELETE FROM topics WHERE id = ?", (number,))

    def trim(self, topic: str, begin_offsets: Mapping[int, int]) -> None:
        """See `EventLog.trim`."""
        with self._transaction("IMMEDIATE") as connection:
            number = _topic_number(connection, topic)
            begin, end = _bounds(connection, number)
            for partition, offset in starts(topic, begin_offsets, dict.fromkeys(begin, 0), end).items():
                if offset > begin[partition]:
                    connection.execute('DELETE FROM records WHERE topic = ? AND partition = ? AND "offset" < ?', (number, partition, offset))
                    connection.execute("UPDATE partitions SET begin_offset = ? WHERE topic = ? AND partition = ?", (offset, number, partition))

    def topics(self) -> list[str]:
        """See `EventLog.topics`."""
        with self._transaction("DEFERRED") as connection:
            return [row[0] for row in connection.execute("SELECT name FROM topics ORDER BY name")]

    def check(self) -> str:
        """See `EventLog.check`."""
        return f"SQLite {sqlite3.sqlite_version}, {len(self.topics())} topics in {self._path}"

    def close(self) -> None:
        """See `EventLog.close`."""
        with self._lock:
            self._closed = True
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        """One transaction of this process's connection; SQLite's errors come out as ours, and whatever goes wrong is rolled back."""
        with self._lock:
            try:
                connection = self._open()
                connection.execute(f"BEGIN {kind}")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._error(error) from error

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise LogUnavailable(f"the event log {self._path} was closed")
        if self._connection is None or self._owner != os.getpid():
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise LogUnavailable(f"the folder of the event log {self._path} cannot be made: {error}") from error
            connection = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._owner = connection, os.getpid()
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        self._while_locked(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone())
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        elif version != SCHEMA_VERSION:
            raise LogUnavailable(f"the event log {self._path} has format {version}, this program reads {SCHEMA_VERSION}: use the program that wrote it")

    def _while_locked(self, action: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(WAL_RETRY_S)

    def _error(self, error: sqlite3.Error) -> PlatformError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code, without what it extends
        if is_full(error):
            return StoreFull(f"no space is left for the event log {self._path}: free some, nothing of this was stored", path=str(self._path))
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return LogUnavailable(f"the event log {self._path} was locked by another process for more than {self._busy_s:g} s", path=str(self._path))
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return LogUnavailable(f"{self._path} is damaged or no event log ({error}): move it away, a new one is made", path=str(self._path))
        return LogUnavailable(f"the event log {self._path} cannot be used: {error}", path=str(self._path))


def _topic_number(connection: sqlite3.Connection, topic: str) -> int:
    row = connection.execute("SELECT id FROM topics WHERE name = ?", (topic,)).fetchone()
    if row is None:
        raise missing_topic(topic)
    return row[0]


def _bounds(connection: sqlite3.Connection, number: int) -> tuple[dict[int, int], dict[int, int]]:
    """`(begin, end)` offsets of every partition, in the order of partitions."""
    rows = connection.execute("SELECT partition, begin_offset, end_offset FROM partitions WHERE topic = ? ORDER BY partition", (number,)).fetchall()
    return {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}


def _pack(headers: Sequence[tuple[str, bytes]]) -> str:
    """Headers as JSON: names stay readable, values are base64 because they may be any bytes."""
    return json.dumps([[name, base64.b64encode(value).decode()] for name, value in headers])


def _unpack(text: str) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, base64.b64decode(value)) for name, value in json.loads(text))
