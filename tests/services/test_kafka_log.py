"""What only the Kafka log has: a broker that is away, hangs, restarts, and producers that are not ours."""

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from services_fixtures import running_kafka, wait_for

from video_platform.dead_letters import UNREADABLE
from video_platform.errors import EventError, LogUnavailable
from video_platform.events import PARTITIONS, Message, decode
from video_platform.services.event_log import partition_of
from video_platform.services.kafka_log import KafkaLog

pytestmark = pytest.mark.kafka

PATIENCE_S = 15.0
"""A call takes at most about 10 s; the machine may be busy."""

USES = {
    "append": lambda log: log.append("alerts", [Message(b"k", b"v")]),
    "read": lambda log: log.read("alerts", {}, limit=10, budget_s=10),
    "create": lambda log: log.create_topics(),
}
"""One use of each client: producer, consumer, admin."""


def works_again(log: KafkaLog, use: str) -> bool:
    """Whether a use succeeds; a broker that was away is without a leader for a moment."""
    try:
        USES[use](log)
    except LogUnavailable:
        return False
    return True


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@pytest.fixture
def log(kafka_server) -> Iterator[KafkaLog]:
    log = KafkaLog(kafka_server.address)
    log.create_topics()
    yield log
    log.close()


@pytest.fixture
def topic(log) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    log.create_topics([name])
    yield name
    log.delete_topic(name)


@contextmanager
def foreign_producer(address: str, **options) -> Iterator:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=address, **options)
    try:
        yield producer
    finally:
        producer.close(timeout=5)


def test_a_broker_that_was_never_there_is_said_in_time():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    for use in USES.values():
        log = KafkaLog(address, timeout_s=1.0)
        with within(PATIENCE_S), pytest.raises(LogUnavailable, match=f"Kafka at {address} failed .*is the broker running"):
            use(log)
        log.close()


@pytest.mark.parametrize("use", USES)
def test_a_broker_that_hangs_is_said_in_time_and_used_again_afterwards(kafka_server, log, use):
    USES[use](log)
    pid = int((kafka_server.folder / "kafka.pid").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        with within(PATIENCE_S), pytest.raises(LogUnavailable):
            USES[use](log)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: works_again(log, use), 60)


def test_a_broker_that_dies_under_its_users_is_said_in_time(tmp_path):
    with running_kafka(tmp_path / "kafka") as server:
        log = KafkaLog(server.address)
        log.create_topics()
        for use in USES.values():
            use(log)
        server.stop(kill=True)
        for use in USES.values():
            with within(PATIENCE_S), pytest.raises(LogUnavailable):
                use(log)
        log.close()


def test_a_producer_that_saw_a_restart_in_the_middle_is_replaced(tmp_path):
    """What was acknowledged is there, whatever happened to the rest."""
    with running_kafka(tmp_path / "kafka") as server:
        log = KafkaLog(server.address, timeout_s=2.0, delivery_s=3.0)
        log.create_topics(["t"])
        acknowledged: list[bytes] = []
        failures = 0
        restarted = threading.Event()

        def restart() -> None:
            server.stop(kill=True)
            server.start()  # not tied to its parent: the kernel would take this thread's end for that of the process
            restarted.set()

        restarter = threading.Thread(target=restart)
        number = 0
        while len(acknowledged) < 200 or not restarted.is_set():
            body = str(number).encode()
            number += 1
            try:
                log.append("t", [Message(b"k", body)])
            except LogUnavailable:
                failures += 1
            else:
                acknowledged.append(body)
            if len(acknowledged) == 50 and not restarter.ident:
                restarter.start()
        restarter.join()
        stored, at = [], {}
        while batch := log.read("t", at, limit=2_000, budget_s=20):
            stored += [record.message.value for record in batch]
            at |= {record.partition: record.offset + 1 for record in batch}
        assert failures
        assert set(acknowledged) <= set(stored)
        log.close()


def test_kafkas_own_clients_put_a_key_where_we_do(log, topic, kafka_server):
    keys = [os.urandom(length) for length in range(1, 30)]
    with foreign_producer(kafka_server.address) as producer:
        found = [producer.send(topic, key=key, value=b"v").get(10).partition for key in keys]
    assert found == [partition_of(key, PARTITIONS) for key in keys]


def test_records_of_other_producers_are_read_without_their_peculiarities(log, topic, kafka_server):
    with foreign_producer(kafka_server.address) as producer:
        producer.send(topic, key=b"k", value=None, timestamp_ms=5).get(10)
        producer.send(topic, key=None, value=b"no key").get(10)
    found = {record.message.value: record for record in log.read(topic, {}, limit=10, budget_s=10)}
    assert found[b""].message == Message(b"k", b"")
    assert found[b""].timestamp.year == 1970
    assert found[b"no key"].message.key == b""


def test_a_record_that_cannot_be_decoded_does_not_stop_its_partition(log, topic, kafka_server):
    class NotText(str):
        __slots__ = ()

        def encode(self, *_):
            return b"\xff\xfe"

    with foreign_producer(kafka_server.address) as producer:
        for body, headers in ((b"before", []), (b"hostile", [(NotText("x"), b"1")]), (b"after", [])):
            producer.send(topic, key=b"k", value=body, headers=headers, partition=0).get(10)
    log.append(topic, [Message(b"0", b"another partition")] * 3)
    at: dict[int, int] = {}
    found = []
    while batch := log.read(topic, at, limit=2, budget_s=10):
        found += [record for record in batch if record.partition == 0]
        at |= {record.partition: record.offset + 1 for record in batch}
    assert [(record.offset, record.message.value) for record in found] == [(0, b"before"), (1, b""), (2, b"after")]
    assert [name for name, _ in found[1].message.headers] == [UNREADABLE]
    with pytest.raises(EventError) as caught:
        decode(found[1].message)
    assert caught.value.reason == "missing_header"


def test_an_aborted_transaction_is_not_read(log, topic, kafka_server):
    with foreign_producer(kafka_server.address, transactional_id=f"tx-{topic}") as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, key=b"k", value=b"aborted", partition=0).get(10)
        producer.abort_transaction()
        producer.begin_transaction()
        producer.send(topic, key=b"k", value=b"committed", partition=0).get(10)
        producer.commit_transaction()
    with within(PATIENCE_S):
        assert [record.message.value for record in log.read(topic, {}, limit=10, budget_s=30)] == [b"committed"]


def test_several_threads_share_one_log(log, topic):
    def work(writer: int) -> None:
        for number in range(20):
            log.append(topic, [Message(f"{writer}-{number}".encode(), b"v")])
            log.end_offsets(topic)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(log.end_offsets(topic).values()) == 80


def test_many_reads_in_a_row_find_everything_every_time(log, topic):
    """A consumer of kafka-python 3.0.12 that is sought back and forth sometimes stops polling; ours must not."""
    log.append(topic, [Message(str(number).encode(), b"v") for number in range(300)])
    for limit in (10, 300, 10, 50, 300, 1, 300) * 3:
        assert len(log.read(topic, {}, limit=limit, budget_s=10)) == limit
