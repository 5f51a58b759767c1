"""The event log: Kafka's model of topic, partition and offset, behind one interface.

`sqlite_log` keeps it in a file, `kafka_log` in a cluster; one behaviour suite runs over both. A record is durable when `append` returns; offsets of a
partition have no gaps (in Kafka except for the markers of other programs' transactions); readers keep their own positions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from video_platform.errors import EventError, NotFound, OffsetOutOfRange
from video_platform.events import TOPICS, Message
from video_platform.settings import Settings

MAX_RECORD_BYTES = 960 * 1024
"""Key, value and headers of one record together: below Kafka's own default of 1 MiB per batch, framing included."""


@dataclass(frozen=True)
class Record:
    """One stored message with its coordinates; `timestamp` is when it was appended (UTC), as far as its producer said so."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    message: Message


class EventLog(Protocol):
    """A durable, partitioned, ordered log.

    Every method raises `LogUnavailable` when the log does not answer within its timeout (about 10 s), and `NotFound` for a topic that does not exist.
    """

    def append(self, topic: str, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """Store `messages`; returns `(partition, offset)` of each, in their order, once they are durable.

        The partition follows from the key (`partition_of`). Raises `EventError` (`oversize`) before anything is stored and `StoreFull` when the disk is.
        When `LogUnavailable` is raised, none of the messages may be stored, or (Kafka) some: repeat all with the same event ids.
        """
        ...

    def read(self, topic: str, next_offsets: Mapping[int, int], *, limit: int, budget_s: float) -> list[Record]:
        """At most `limit` records from `next_offsets` (partition -> offset) on, found within `budget_s` seconds; never waits for new ones.

        Partitions that are not named start at their beginning. In each partition the order of offsets is kept; no partition waits behind a fuller one.
        Raises `OffsetOutOfRange` when a position lies outside `[begin, end]` of its partition.
        """
        ...

    def begin_offsets(self, topic: str) -> dict[int, int]:
        """The oldest offset still held, of every partition."""
        ...

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The offset that the next record will get, of every partition."""
        ...

    def topic_id(self, topic: str) -> str:
        """The identity of this topic; another one when it is deleted and created again."""
        ...

    def create_topics(self, topics: Sequence[str] = TOPICS) -> list[str]:
        """Create what is missing, with `events.PARTITIONS` partitions each; returns the names newly made."""
        ...

    def delete_topic(self, topic: str) -> None:
        """Remove a topic with everything in it."""
        ...

    def trim(self, topic: str, begin_offsets: Mapping[int, int]) -> None:
        """Forget the records before these offsets (partition -> offset), which become the new beginnings."""
        ...

    def topics(self) -> list[str]:
        """The names of all topics, sorted; internal ones are left out."""
        ...

    def check(self) -> str:
        """What answers, in words, for `vp doctor`."""
        ...

    def close(self) -> None:
        """Release connections; the log may not be used afterwards."""
        ...


def open_log(settings: Settings) -> EventLog:
    """The event log that the settings choose; the embedded one is made with all its topics when it is not there yet."""
    if settings.event_log.kind == "kafka":
        from video_platform.services.kafka_log import KafkaLog

        return KafkaLog(settings.event_log.bootstrap_servers, access=settings.event_log)
    from video_platform.services.sqlite_log import SqliteLog

    log = SqliteLog(settings.event_log_file)
    log.create_topics()
    return log


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: Kafka's default for keyed records, murmur2 (seed 0x9747b28c) without its sign bit, modulo."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2 as Kafka's clients compute it (org.apache.kafka.common.utils.Utils.murmur2), unsigned 32 bits."""
    mix, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * mix & mask
        value = (value * mix & mask) ^ ((word ^ word >> 24) * mix & mask)
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * mix & mask
    value = (value ^ value >> 13) * mix & mask
    return value ^ value >> 15


def size_of(message: Message) -> int:
    """Bytes of key, value and headers together."""
    return len(message.key) + len(message.value) + sum(len(name.encode()) + len(value) for name, value in message.headers)


def refuse_oversize(topic: str, messages: Iterable[Message]) -> None:
    """Raise `EventError` (`oversize`) when a message is larger than `MAX_RECORD_BYTES`."""
    for message in messages:
        if (size := size_of(message)) > MAX_RECORD_BYTES:
            raise EventError("oversize", f"a record for topic {topic} has {size} bytes; the limit is {MAX_RECORD_BYTES}: put large data into the object store")


def missing_topic(topic: str) -> NotFound:
    """The error for a topic that does not exist."""
    return NotFound(f"topic {topic!r} does not exist in the event log; `vp topics create` makes the platform's topics", topic=topic)


def starts(topic: str, next_offsets: Mapping[int, int], begin: Mapping[int, int], end: Mapping[int, int]) -> dict[int, int]:
    """Where reading starts in every partition: the given position, or the beginning; OffsetOutOfRange for one outside `[begin, end]`."""
    for partition, offset in sorted(next_offsets.items()):
        low, high = begin.get(partition, 0), end.get(partition, 0)
        if partition not in begin or not low <= offset <= high:
            raise OffsetOutOfRange(
                f"offset {offset} of {topic}/{partition} is not held; the log has {low} to {high}: it was trimmed or recreated, start again at its beginning",
                topic=topic,
                partition=partition,
                offset=offset,
                begin=low,
                end=high,
            )
    return {partition: next_offsets.get(partition, low) for partition, low in begin.items()}


def shares(backlog: Mapping[int, int], limit: int) -> dict[int, int]:
    """How many records to take of every partition that has some: what it has, or an equal share of `limit`; at least one each."""
    taken: dict[int, int] = {}
    left = limit
    waiting = sorted((count, partition) for partition, count in backlog.items() if count > 0)
    for position, (count, partition) in enumerate(waiting):
        taken[partition] = max(1, min(count, left // (len(waiting) - position)))
        left -= taken[partition]
    return taken


def oldest_first(batches: Mapping[int, Sequence[Record]], limit: int) -> list[Record]:
    """At most `limit` of these records, oldest first, so that a small limit cannot starve a partition; each partition's own order is kept."""
    keyed: list[tuple[datetime, int, int, Record]] = []
    for partition, records in batches.items():
        latest: datetime | None = None
        for record in records:
            latest = record.timestamp if latest is None else max(latest, record.timestamp)
            keyed.append((latest, partition, record.offset, record))
    keyed.sort(key=lambda entry: entry[:3])
    return [entry[3] for entry in keyed[:limit]]
