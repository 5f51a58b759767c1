"""One behaviour suite over every event log: the embedded file and a real Kafka broker."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from video_platform.errors import EventError, LogUnavailable, NotFound, OffsetOutOfRange
from video_platform.events import PARTITIONS, TOPICS, Message
from video_platform.services.event_log import MAX_RECORD_BYTES, EventLog, open_log, partition_of
from video_platform.settings import load

ROOT = Path(__file__).parents[2]


@dataclass
class Backend:
    """One kind of log; `environment` points any process at it, `restart` ends and starts its server, if it has one."""

    environment: dict[str, str]
    restart: Callable[[], object]

    @contextmanager
    def open(self) -> Iterator[EventLog]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            log = open_log(load())
        try:
            yield log
        finally:
            log.close()

    def child(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", CHILD + code, *arguments], cwd=ROOT, env={**os.environ, **self.environment}, stdout=subprocess.PIPE, text=True
        )


CHILD = """
import sys
from video_platform.events import Message
from video_platform.services.event_log import open_log
from video_platform.settings import load
log = open_log(load())
"""


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def backend(request, tmp_path) -> Backend:
    home = {"VIDEO_PLATFORM_HOME": str(tmp_path)}
    if request.param == "sqlite":
        return Backend(home, lambda: None)
    server = request.getfixturevalue("kafka_server")

    def restart():
        server.stop(kill=True)
        server.start(ends_with_parent=True)

    return Backend({**home, **server.environment}, restart)


@pytest.fixture
def log(backend) -> Iterator[EventLog]:
    with backend.open() as log:
        yield log


@pytest.fixture
def topic(log) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    assert log.create_topics([name]) == [name]
    yield name
    if name in log.topics():
        log.delete_topic(name)


def messages(count: int, size: int = 10) -> list[Message]:
    return [Message(f"key-{number}".encode(), f"{number}".encode().ljust(size, b".")) for number in range(count)]


def key_of(partition: int) -> bytes:
    return next(key for key in (str(number).encode() for number in range(1000)) if partition_of(key, PARTITIONS) == partition)


def read_all(log: EventLog, topic: str, at: dict[int, int] | None = None, limit: int = 1000) -> list:
    """Everything from `at` on, in as many reads as it takes, as a consumer does it."""
    at, found = dict(at or {}), []
    while batch := log.read(topic, at, limit=limit, budget_s=10):
        found += batch
        at |= {record.partition: record.offset + 1 for record in batch}
    return found


def test_what_was_appended_is_read_with_its_coordinates(log, topic):
    before = datetime.now(UTC) - timedelta(seconds=2)
    sent = messages(20)
    places = log.append(topic, sent)
    records = read_all(log, topic)
    assert {(record.partition, record.offset): record.message for record in records} == dict(zip(places, sent, strict=True))
    assert all(record.topic == topic and before < record.timestamp < datetime.now(UTC) + timedelta(seconds=2) for record in records)


def test_a_key_decides_the_partition_as_it_does_in_kafka(log, topic):
    keys = [b"0123456789abcdef", b"", b"a", b"\x00\xff\x80", "ümlaut".encode(), bytes(range(256))]
    assert [partition for partition, _ in log.append(topic, [Message(key, b"v") for key in keys])] == [partition_of(key, PARTITIONS) for key in keys]


def test_offsets_have_no_gaps_and_go_on(log, topic):
    for _ in range(3):
        log.append(topic, messages(50))
    by_partition: dict[int, list[int]] = {}
    for record in read_all(log, topic):
        by_partition.setdefault(record.partition, []).append(record.offset)
    assert len(by_partition) == PARTITIONS
    assert all(offsets == list(range(len(offsets))) for offsets in by_partition.values())
    assert log.end_offsets(topic) == {partition: len(offsets) for partition, offsets in by_partition.items()}


def test_begin_and_end_of_an_empty_topic_are_zero(log, topic):
    nothing = dict.fromkeys(range(PARTITIONS), 0)
    assert log.begin_offsets(topic) == log.end_offsets(topic) == nothing
    assert log.read(topic, {}, limit=10, budget_s=5) == []
    assert log.read(topic, nothing, limit=10, budget_s=5) == []


def test_reading_the_same_positions_again_gives_the_same_records(log, topic):
    log.append(topic, messages(100))
    first = log.read(topic, {}, limit=1000, budget_s=10)
    assert len(first) == 100
    for _ in range(3):
        assert log.read(topic, {}, limit=1000, budget_s=10) == first


def test_reading_starts_at_the_given_positions(log, topic):
    log.append(topic, [Message(key_of(0), str(number).encode()) for number in range(10)])
    assert [record.message.value for record in log.read(topic, {0: 7}, limit=10, budget_s=10)] == [b"7", b"8", b"9"]
    assert log.read(topic, {0: 10}, limit=10, budget_s=10) == []


def test_partitions_that_are_not_named_start_at_their_beginning(log, topic):
    log.append(topic, [Message(key_of(partition), b"v") for partition in range(3)])
    assert {record.partition for record in log.read(topic, {0: 1}, limit=10, budget_s=10)} == {1, 2}


@pytest.mark.parametrize("position", [{0: 6}, {0: -1}, {PARTITIONS: 0}, {-1: 0}])
def test_a_position_outside_the_log_is_refused_with_its_bounds(log, topic, position):
    log.append(topic, [Message(key_of(0), b"v")] * 5)
    with pytest.raises(OffsetOutOfRange, match=r"is not held; the log has 0 to [05]") as caught:
        log.read(topic, position, limit=10, budget_s=10)
    ((partition, offset),) = position.items()
    assert (caught.value.topic, caught.value.partition, caught.value.offset, caught.value.begin) == (topic, partition, offset, 0)


def test_trimmed_records_are_out_of_range(log, topic):
    log.append(topic, [Message(key_of(0), str(number).encode()) for number in range(10)])
    log.trim(topic, {0: 4})
    assert (log.begin_offsets(topic)[0], log.end_offsets(topic)[0]) == (4, 10)
    with pytest.raises(OffsetOutOfRange) as caught:
        log.read(topic, {0: 3}, limit=10, budget_s=10)
    assert (caught.value.begin, caught.value.end) == (4, 10)
    assert [record.offset for record in read_all(log, topic)] == [4, 5, 6, 7, 8, 9]
    assert log.append(topic, [Message(key_of(0), b"v")]) == [(0, 10)]


def test_trimming_everything_keeps_the_end(log, topic):
    log.append(topic, [Message(key_of(0), b"v")] * 3)
    log.trim(topic, {0: 3})
    assert log.read(topic, {}, limit=10, budget_s=10) == []
    assert log.append(topic, [Message(key_of(0), b"v")]) == [(0, 3)]


def test_a_recreated_topic_is_another_one(log, topic):
    log.append(topic, messages(10))
    before = log.topic_id(topic)
    assert before == log.topic_id(topic)
    log.delete_topic(topic)
    assert log.create_topics([topic]) == [topic]
    assert log.topic_id(topic) != before
    assert sum(log.end_offsets(topic).values()) == 0
    assert log.append(topic, [Message(key_of(2), b"new")]) == [(2, 0)]
    assert [record.message.value for record in read_all(log, topic)] == [b"new"]


def test_headers_may_be_any_bytes_and_keep_their_order(log, topic):
    headers = (("ce_id", b"1"), ("b", bytes(range(256))), ("a", b""), ("b", b"twice"), ("ce_ünicode", "ü".encode()))
    log.append(topic, [Message(b"k", b"v", headers)])
    (record,) = read_all(log, topic)
    assert record.message.headers == headers


def test_empty_keys_and_values_are_kept(log, topic):
    sent = [Message(b"", b""), Message(b"", b"v"), Message(b"k", b"")]
    log.append(topic, sent)
    assert sorted((each.message.key, each.message.value) for each in read_all(log, topic)) == sorted((each.key, each.value) for each in sent)


def test_appending_nothing_is_nothing(log, topic):
    assert log.append(topic, []) == []


def test_the_largest_record_is_taken_and_a_larger_one_refused_before_anything_is_stored(log, topic):
    key = b"k"
    largest = Message(key, os.urandom(MAX_RECORD_BYTES - len(key)))
    log.append(topic, [largest])
    with pytest.raises(EventError, match=f"has {MAX_RECORD_BYTES + 1} bytes; the limit is {MAX_RECORD_BYTES}") as caught:
        log.append(topic, [Message(b"small", b"v"), Message(key, largest.value + b".")])
    assert caught.value.reason == "oversize"
    assert [record.message for record in read_all(log, topic)] == [largest]


@pytest.mark.parametrize(
    "use",
    [
        lambda log, topic: log.append(topic, messages(1)),
        lambda log, topic: log.read(topic, {}, limit=1, budget_s=1),
        lambda log, topic: log.begin_offsets(topic),
        lambda log, topic: log.end_offsets(topic),
        lambda log, topic: log.topic_id(topic),
        lambda log, topic: log.delete_topic(topic),
        lambda log, topic: log.trim(topic, {}),
    ],
)
def test_a_topic_that_is_not_there_is_named(log, use):
    with pytest.raises(NotFound, match="topic 'nobody-made-it' does not exist"):
        use(log, "nobody-made-it")
    assert "nobody-made-it" not in log.topics()


def test_topics_are_made_once(log):
    log.create_topics()
    assert log.create_topics() == []
    assert set(TOPICS) <= set(log.topics())
    assert all(len(log.end_offsets(topic)) == PARTITIONS for topic in TOPICS)


def test_a_burst_of_ten_thousand(log, topic):
    sent = messages(10_000, size=500)
    places = log.append(topic, sent)
    assert len(set(places)) == len(sent)
    records = read_all(log, topic, limit=2_500)
    assert len(records) == len(sent)
    assert {(record.partition, record.offset): record.message.value for record in records} == {
        place: message.value for place, message in zip(places, sent, strict=True)
    }


@pytest.mark.parametrize("limit", [1, 5, 7, 100])
def test_a_limit_is_kept_and_nothing_is_lost_by_it(log, topic, limit):
    log.append(topic, messages(30))
    assert len(log.read(topic, {}, limit=limit, budget_s=10)) == min(limit, 30)
    if limit > 1:  # one at a time takes Kafka seconds and shows nothing more
        assert len(read_all(log, topic, limit=limit)) == 30


def test_a_full_partition_does_not_hide_the_others(log, topic):
    log.append(topic, [Message(key_of(0), b"many")] * 500)
    log.append(topic, [Message(key_of(partition), b"few") for partition in range(1, PARTITIONS)])
    records = log.read(topic, {}, limit=50, budget_s=10)
    assert {record.partition for record in records} == set(range(PARTITIONS))
    assert len(records) == 50


def test_a_limit_below_the_number_of_partitions_starves_none(log, topic):
    log.append(topic, [Message(key_of(partition), b"v") for partition in range(PARTITIONS) for _ in range(3)])
    at: dict[int, int] = {}
    for _ in range(2 * PARTITIONS):
        (record,) = log.read(topic, at, limit=1, budget_s=10)
        at[record.partition] = record.offset + 1
        log.append(topic, [Message(key_of(0), b"more")])
    assert len(at) == PARTITIONS or min(log.end_offsets(topic)[partition] - at.get(partition, 0) for partition in range(1, PARTITIONS)) < 3


def test_a_read_returns_within_its_budget_and_does_not_wait_for_records_to_come(log, topic):
    log.append(topic, messages(10))
    ends = log.end_offsets(topic)
    started = time.monotonic()
    assert log.read(topic, ends, limit=10, budget_s=30) == []
    assert time.monotonic() - started < 5
    started = time.monotonic()
    log.read(topic, {}, limit=10, budget_s=0)
    assert time.monotonic() - started < 5


def test_order_inside_a_partition_is_the_order_of_appending(log, topic):
    for number in range(30):
        log.append(topic, [Message(b"one-video", str(number).encode())])
    assert [int(record.message.value) for record in read_all(log, topic, limit=7)] == list(range(30))


def test_several_processes_append_at_once(backend, log, topic):
    code = "for number in range(100): log.append(sys.argv[1], [Message(f'{sys.argv[2]}-{number}'.encode(), f'{sys.argv[2]} {number}'.encode())])"
    children = [backend.child(code, topic, str(writer)) for writer in range(3)]
    for child in children:
        child.communicate(timeout=120)
    assert [child.returncode for child in children] == [0, 0, 0]
    records = read_all(log, topic)
    assert sorted(record.message.value for record in records) == sorted(f"{writer} {number}".encode() for writer in range(3) for number in range(100))
    places = sorted((record.partition, record.offset) for record in records)
    ends = log.end_offsets(topic)
    assert places == [(partition, offset) for partition in range(PARTITIONS) for offset in range(ends[partition])]


def test_what_was_acknowledged_survives_a_kill_of_its_writer(backend, log, topic):
    code = """
import json
for number in range(100_000):
    print(json.dumps([number, log.append(sys.argv[1], [Message(b"k", str(number).encode())])[0]]), flush=True)
"""
    child = backend.child(code, topic)
    assert child.stdout
    acknowledged = [json.loads(child.stdout.readline()) for _ in range(40)]
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=60)
    acknowledged += [json.loads(line) for line in rest.splitlines() if line.endswith("]")]
    stored = {(record.partition, record.offset): int(record.message.value) for record in read_all(log, topic)}
    assert {tuple(place): number for number, place in acknowledged}.items() <= stored.items()
    assert sorted(stored.values()) == list(range(len(stored)))
    assert log.append(topic, [Message(b"k", b"0")]) == [(partition_of(b"k", PARTITIONS), len(stored))]


def test_a_restart_keeps_everything_and_the_same_object_goes_on(backend, log, topic):
    log.append(topic, messages(20))
    identity, ends = log.topic_id(topic), log.end_offsets(topic)
    backend.restart()
    assert (log.topic_id(topic), log.end_offsets(topic)) == (identity, ends)
    (place,) = log.append(topic, [Message(b"k", b"after")])
    assert place == (partition_of(b"k", PARTITIONS), ends[partition_of(b"k", PARTITIONS)])
    with backend.open() as another:
        assert len(read_all(another, topic)) == 21


def test_the_log_says_what_it_is(log):
    assert any(word in log.check() for word in ("SQLite 3", "Kafka at 127.0.0.1"))


def test_a_closed_embedded_log_is_unavailable(tmp_path):
    with Backend({"VIDEO_PLATFORM_HOME": str(tmp_path)}, lambda: None).open() as log:
        log.close()
        with pytest.raises(LogUnavailable, match="was closed"):
            log.topics()
