"""The event log in a Kafka cluster (4.x), through `kafka-python` 3.

No consumer group: positions belong to the caller, partitions are assigned and sought at every read, so that there is no rebalance to wait for and nothing
to commit. The producer is idempotent and waits for all replicas in sync. All clients are thrown away after any failure, because a producer or consumer that
saw a fatal error, a broker restart or a recreated topic may stay broken for good.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from video_platform.dead_letters import UNREADABLE
from video_platform.errors import LogRefused, LogUnavailable, PlatformError
from video_platform.events import PARTITIONS, TOPICS, Message
from video_platform.services.event_log import Record, missing_topic, oldest_first, partition_of, refuse_oversize, shares, starts
from video_platform.services.kafka_access import KafkaAccess
from video_platform.settings import EventLogSettings

if TYPE_CHECKING:
    from kafka.structs import TopicPartition

Client = Any
"""The client's own type stubs do not know its newer methods."""

TIMEOUT_S = 4.0
"""Longest wait for one answer; an operation needs two or three, which keeps a dead broker below 10 s and a sensor tick below Dagster's 60 s."""
DELIVERY_S = 8.0
"""Longest time from handing records to the producer until all are acknowledged; more than one answer, because the producer tries again by itself."""
CREATION_S = 30.0
"""Longest wait until new topics have their leaders: nothing else can begin without them, and a busy broker takes its time."""
BURST_PER_S = 500.0
"""Slowest rate at which a large `append` is still waited for; kafka-python manages some thousand records a second on one core."""
FETCH_BYTES = 8 * 1024 * 1024
"""Most bytes of one answer: a tick's hundred events of 64 KB, and flat memory for whatever else lies on a topic."""
FETCH_WAIT_MS = 10
"""How long the broker may hold back an answer: reading starts only when records are known to be there."""
REPLICATION = -1
"""The cluster's own default."""
INTERNAL = "__"
"""How the names of Kafka's own topics begin."""
MAX_ERROR_CHARS = 400
"""A client's own words may quote whole requests."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = int((datetime(9999, 1, 1, tzinfo=UTC) - EPOCH).total_seconds() * 1000)
"""Producers choose timestamps freely; later ones do not fit a `datetime`."""


class KafkaLog:
    """An `EventLog` in the cluster that `bootstrap_servers` ("host:port,host:port") leads to; connects when it is used.

    `access` says how the brokers are reached and who this client is: without it, as anybody and unencrypted.
    """

    def __init__(self, bootstrap_servers: str, *, access: EventLogSettings | None = None, timeout_s: float = TIMEOUT_S, delivery_s: float = DELIVERY_S) -> None:
        self._servers = bootstrap_servers.split(",")
        self._access = KafkaAccess(access or EventLogSettings())
        self._place = f"Kafka at {bootstrap_servers}"
        self._timeout_s = timeout_s
        self._delivery_s = delivery_s
        self._lock = threading.RLock()
        self._clients: dict[str, Any] = {}
        self._owner = os.getpid()
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters comes out as our own errors; the client repeats it many times a second

    def append(self, topic: str, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """See `EventLog.append`; records of one partition are stored in the order given."""
        refuse_oversize(topic, messages)
        if not messages:
            return []
        with self._errors(topic):
            partitions = len(self._describe(topic)[1])
            producer = self._producer()
            deadline = time.monotonic() + self._delivery_s + len(messages) / BURST_PER_S
            futures = [
                producer.send(topic, value=each.value, key=each.key, headers=list(each.headers), partition=partition_of(each.key, partitions))
                for each in messages
            ]
            found = [future.get(timeout=max(0.001, deadline - time.monotonic())) for future in futures]
        return [(each.partition, each.offset) for each in found]

    def read(self, topic: str, next_offsets: Mapping[int, int], *, limit: int, budget_s: float) -> list[Record]:
        """See `EventLog.read`; records of transactions that were not committed are left out.

        A record that the client cannot decode (header names that are not UTF-8) comes as an empty message with the one header `unreadable`, together with
        the rest of its batch: left to raise, it would stop its partition for ever.
        """
        from kafka.errors import CorruptRecordError

        deadline = time.monotonic() + budget_s
        with self._errors(topic):
            partitions = self._describe(topic)[1]
            begin, end = self._offsets(topic, partitions, "EARLIEST"), self._offsets(topic, partitions, "LATEST")
            at = starts(topic, next_offsets, begin, end)
            wanted = shares({partition: end[partition] - at[partition] for partition in at}, limit)
            if not wanted:
                return []
            try:
                batches = self._poll(topic, at, end, wanted, deadline)
            except CorruptRecordError:
                batches = self._poll_singly(topic, at, end, wanted, deadline)
        return oldest_first(batches, limit)

    def begin_offsets(self, topic: str) -> dict[int, int]:
        """See `EventLog.begin_offsets`."""
        with self._errors(topic):
            return self._offsets(topic, self._describe(topic)[1], "EARLIEST")

    def end_offsets(self, topic: str) -> dict[int, int]:
        """See `EventLog.end_offsets`."""
        with self._errors(topic):
            return self._offsets(topic, self._describe(topic)[1], "LATEST")

    def topic_id(self, topic: str) -> str:
        """See `EventLog.topic_id`: the id that the cluster gave the topic."""
        with self._errors(topic):
            return self._describe(topic)[0]

    def create_topics(self, topics: Sequence[str] = TOPICS) -> list[str]:
        """See `EventLog.create_topics`; returns once every partition has a leader."""
        from kafka.errors import TopicAlreadyExistsError

        made = []
        with self._errors("create"):
            there = set(self._names())
            admin = self._admin()
            for topic in dict.fromkeys(topics):
                if topic in there:
                    continue
                with suppress(TopicAlreadyExistsError):  # another process was first
                    admin.create_topics({topic: {"num_partitions": PARTITIONS, "replication_factor": REPLICATION}})
                    made.append(topic)
            admin.wait_for_topics(list(dict.fromkeys(topics)), timeout_ms=int(CREATION_S * 1000))
        return made

    def delete_topic(self, topic: str) -> None:
        """See `EventLog.delete_topic`; returns once the name is gone."""
        with self._errors(topic):
            self._describe(topic)
            self._admin().delete_topics([topic])
            self._until(lambda: topic not in self._names(), f"topic {topic!r} was not deleted")
            self._discard()  # their metadata still knows the topic

    def trim(self, topic: str, begin_offsets: Mapping[int, int]) -> None:
        """See `EventLog.trim`."""
        from kafka.structs import TopicPartition

        with self._errors(topic):
            partitions = self._describe(topic)[1]
            begin, end = self._offsets(topic, partitions, "EARLIEST"), self._offsets(topic, partitions, "LATEST")
            wanted = starts(topic, begin_offsets, dict.fromkeys(begin, 0), end)
            ahead = {TopicPartition(topic, partition): offset for partition, offset in wanted.items() if offset > begin[partition]}
            if ahead:
                self._admin().delete_records(ahead)

    def topics(self) -> list[str]:
        """See `EventLog.topics`."""
        with self._errors("topics"):
            return self._names()

    def check(self) -> str:
        """See `EventLog.check`."""
        with self._errors("check"):
            cluster = self._ask(lambda admin: admin.describe_cluster())
            return f"{self._place}: {len(cluster['brokers'])} broker(s), {len(self._names())} topics"

    def close(self) -> None:
        """See `EventLog.close`."""
        with self._lock:
            self._discard()

    # ---- reading ---------------------------------------------------------------------------------------------------------------------------------------

    def _poll(self, topic: str, at: Mapping[int, int], end: Mapping[int, int], wanted: Mapping[int, int], deadline: float) -> dict[int, list[Record]]:
        """`wanted[partition]` records of every partition, or what there is before its end, or before the deadline."""
        from kafka.structs import TopicPartition

        pending = {TopicPartition(topic, partition) for partition in wanted}
        found: dict[int, list[Record]] = {partition: [] for partition in wanted}
        with self._consumer({each: at[each.partition] for each in pending}) as consumer:
            while pending and (left := deadline - time.monotonic()) > 0:
                for each, records in consumer.poll(timeout_ms=int(left * 1000), max_records=sum(wanted.values())).items():
                    batch = found[each.partition]
                    batch += [_record(record) for record in records[: wanted[each.partition] - len(batch)]]
                done = {each for each in pending if len(found[each.partition]) >= wanted[each.partition] or consumer.position(each) >= end[each.partition]}
                consumer.pause(*done)
                pending -= done
        return found

    def _poll_singly(self, topic: str, at: Mapping[int, int], end: Mapping[int, int], wanted: Mapping[int, int], deadline: float) -> dict[int, list[Record]]:
        """The same as `_poll`, record by record and slowly, so that an undecodable one hides no other."""
        from kafka.errors import CorruptRecordError
        from kafka.structs import TopicPartition

        found: dict[int, list[Record]] = {partition: [] for partition in wanted}
        for partition, batch in found.items():
            place, offset = TopicPartition(topic, partition), at[partition]
            while len(batch) < wanted[partition] and offset < end[partition] and (left := deadline - time.monotonic()) > 0:
                with self._consumer({place: offset}, max_partition_fetch_bytes=1) as consumer:
                    try:
                        batch += [_record(each) for each in consumer.poll(timeout_ms=int(left * 1000), max_records=1).get(place, [])]
                        offset = consumer.position(place)
                    except CorruptRecordError as error:
                        batch.append(Record(topic, partition, offset, datetime.now(UTC), Message(b"", b"", ((UNREADABLE, str(error).encode()),))))
                        offset += 1
        return found

    def _describe(self, topic: str) -> tuple[str, list[int]]:
        """`(id, partitions)` of a topic, asked from the cluster."""
        from kafka.errors import for_code

        (found,) = self._ask(lambda admin: admin.describe_topics([topic]))
        if found["error_code"]:
            raise for_code(found["error_code"])(topic)
        return str(found["topic_id"]), sorted(each["partition_index"] for each in found["partitions"])

    def _names(self) -> list[str]:
        return sorted(name for name in self._ask(lambda admin: admin.list_topics()) if not name.startswith(INTERNAL))

    def _ask(self, question: Callable[[Client], Any]) -> Any:
        """The first question of an operation: clients that outlived a restart of the broker show themselves here and are made anew, once."""
        from kafka.errors import KafkaError

        used_before = bool(self._clients)
        try:
            return question(self._admin())
        except (KafkaError, OSError):
            if not used_before:
                raise
            self._discard()
            return question(self._admin())

    def _offsets(self, topic: str, partitions: Sequence[int], which: str) -> dict[int, int]:
        """The first or the next offset of every partition; `which` is EARLIEST or LATEST."""
        from kafka.protocol.consumer import IsolationLevel, OffsetSpec
        from kafka.structs import TopicPartition

        asked = {TopicPartition(topic, partition): OffsetSpec[which] for partition in partitions}
        found = self._admin().list_partition_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
        return {each.partition: found[each].offset for each in asked}

    def _until(self, done: Callable[[], bool], failure: str) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not done():
            if time.monotonic() > deadline:
                raise LogUnavailable(f"{self._place}: {failure} within {self._timeout_s:g} s")
            time.sleep(0.05)  # the controller applies a deletion within milliseconds

    # ---- clients ---------------------------------------------------------------------------------------------------------------------------------------

    def _client(self, name: str, make: Callable[[], Any]) -> Any:
        """The client of this process under this name; clients never cross a fork."""
        if self._owner != os.getpid():
            _LEFT_BEHIND.append(self._clients)
            self._clients, self._owner = {}, os.getpid()
        if name not in self._clients:
            self._clients[name] = make()
        return self._clients[name]

    def _common(self) -> dict[str, Any]:
        milliseconds = int(self._timeout_s * 1000)
        waits = {"bootstrap_timeout_ms": milliseconds, "request_timeout_ms": milliseconds}
        return {"bootstrap_servers": self._servers, **waits, **self._access.options()}

    def _admin(self) -> Client:
        from kafka import KafkaAdminClient

        def make() -> Client:
            if why := self._access.refusal_of(self._servers, self._timeout_s):
                raise LogRefused(f"{self._place} {why}")
            return KafkaAdminClient(**self._common())

        return self._client("admin", make)

    def _producer(self) -> Client:
        from kafka import KafkaProducer

        timeouts: dict[str, Any] = {"delivery_timeout_ms": int(self._delivery_s * 1000), "max_block_ms": int(self._timeout_s * 1000)}
        return self._client(
            "producer",
            lambda: KafkaProducer(**self._common(), **timeouts, acks="all", enable_idempotence=True, allow_auto_create_topics=False),
        )

    @contextmanager
    def _consumer(self, positions: Mapping["TopicPartition", int], **more: Any) -> Iterator[Client]:
        """A consumer at these positions, made anew: one that is sought elsewhere while an answer is under way sometimes never polls again (3.0.12)."""
        from kafka import KafkaConsumer

        fixed: dict[str, Any] = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "none", "isolation_level": "read_committed"}
        fixed |= {"allow_auto_create_topics": False, "fetch_max_bytes": FETCH_BYTES, "fetch_max_wait_ms": FETCH_WAIT_MS}
        consumer: Client = KafkaConsumer(**self._common(), **fixed, **more)
        try:
            consumer.assign(list(positions))
            for partition, offset in positions.items():
                consumer.seek(partition, offset)
            yield consumer
        finally:
            _close(consumer)

    def _discard(self) -> None:
        for client in self._clients.values():
            _close(client)
        self._clients = {}

    @contextmanager
    def _errors(self, topic: str) -> Iterator[None]:
        """One caller at a time; Kafka's errors come out as ours, and the clients that saw them are not used again."""
        from kafka.errors import KafkaError, UnknownTopicOrPartitionError

        with self._lock:
            try:
                yield
            except PlatformError:
                raise
            except UnknownTopicOrPartitionError as error:
                raise missing_topic(topic) from error
            except (KafkaError, OSError, ValueError) as error:
                self._discard()
                if refusal := self._access.right_missing(topic, error):
                    raise LogRefused(f"{self._place} {refusal}", topic=topic) from error
                text = f"{self._place} failed for {topic!r}, is the broker running? {error or type(error).__name__}"
                raise LogUnavailable(text[:MAX_ERROR_CHARS], topic=topic) from error


_LEFT_BEHIND: list[dict[str, Any]] = []
"""Clients of the parent process after a fork: closing them here would write into the parent's connections."""


def _close(client: Any) -> None:
    """Close without waiting: what was not acknowledged has been reported as such."""
    with suppress(Exception):
        if type(client).__name__ == "KafkaAdminClient":
            client.close()
        elif type(client).__name__ == "KafkaConsumer":
            client.close(autocommit=False, timeout_ms=0)
        else:
            client.close(timeout=0)


def _record(found: Any) -> Record:
    """A consumed record in our terms: a missing key, value or header value is empty, an impossible time is the nearest possible one."""
    stamp = EPOCH + timedelta(milliseconds=min(max(found.timestamp, 0), LAST_MS))
    headers = tuple((name, value or b"") for name, value in found.headers or ())
    return Record(found.topic, found.partition, found.offset, stamp, Message(found.key or b"", found.value or b"", headers))
