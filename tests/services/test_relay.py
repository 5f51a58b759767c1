import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from video_platform import events, layout
from video_platform.errors import EventError, LogRefused, LogUnavailable, PlatformError, SettingsError
from video_platform.events import Message
from video_platform.records import Lane
from video_platform.services.database import Database, outbox
from video_platform.services.event_log import EventLog, open_log
from video_platform.services.relay import Relay, worker_name
from video_platform.settings import Settings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def event_log(settings: Settings, db: Database) -> Iterator[EventLog]:
    log = open_log(settings)
    yield log
    log.close()


def announce(db: Database, *numbers: int, at: datetime = NOW, start: int = 0) -> list[str]:
    """Write one event per number, which says of which video it is; returns their ids."""
    made = []
    for position, number in enumerate(numbers):
        sha256 = f"{number:064x}"[::-1]
        video_id = layout.video_id_of(sha256)
        body = events.ProcessedBody(video_id=video_id, bucket=layout.BUCKET, camera="gate", lane=Lane.LIVE, alerts=position, tracks_hash="t")
        made.append(events.Event(events.event_id(events.VIDEO_PROCESSED, video_id, start + position), events.VIDEO_PROCESSED, at, video_id, body))
    with db.write() as connection:
        outbox.add_events(connection, made, at)
    return [event.id for event in made]


def arrived(log: EventLog, topic: str = events.TOPIC_PROCESSED) -> list[str]:
    """The ids of the events on a topic, of each video in its order."""
    records = log.read(topic, {}, limit=10_000, budget_s=10)
    return [events.decode(record.message).id for record in records]


def until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


class Flaky:
    """A real log behind a door that can be closed."""

    def __init__(self, log: EventLog) -> None:
        self.log, self.calls = log, 0
        self.away: bool | PlatformError = False
        self.refused: set[bytes] = set()

    def append(self, topic: str, messages: Sequence[Message]) -> list[tuple[int, int]]:
        self.calls += 1
        if isinstance(self.away, PlatformError):
            raise self.away
        if self.away:
            raise LogUnavailable("no broker answers at 127.0.0.1:9092")
        if any(message.key in self.refused for message in messages):
            raise EventError("oversize", "the log refuses this record")
        return self.log.append(topic, messages)

    def __getattr__(self, name: str) -> object:
        return getattr(self.log, name)


def test_drain_sends_what_waits_and_nothing_twice(db: Database, event_log: EventLog) -> None:
    ids = announce(db, 1, 2, 1, 3)
    relay = Relay(db, event_log, None, worker_name())
    assert relay.drain(NOW) == 4
    assert relay.drain(NOW) == 0
    assert sorted(arrived(event_log)) == sorted(ids)
    assert outbox.pending(db).waiting == 0


def test_events_of_a_video_keep_their_order(db: Database, event_log: EventLog) -> None:
    ids = announce(db, *([1] * 450))
    assert Relay(db, event_log, None, "a").drain(NOW) == 450
    assert arrived(event_log) == ids


def test_a_limit_is_kept(db: Database, event_log: EventLog) -> None:
    announce(db, *range(1, 31))
    assert Relay(db, event_log, None, "a").drain(NOW, limit=10) == 10
    assert outbox.pending(db).events == 20


def test_a_killed_relay_is_replaced_when_its_lease_has_run_out(db: Database, event_log: EventLog) -> None:
    ids = announce(db, 1, 1)
    outbox.claim(db, "killed", 10, outbox.LEASE_S, NOW)
    relay = Relay(db, event_log, None, "b")
    assert relay.drain(NOW) == 0
    assert relay.drain(NOW + timedelta(seconds=outbox.LEASE_S)) == 2
    assert arrived(event_log) == ids


def test_a_clock_that_is_set_back_while_the_log_was_away_lengthens_no_pause(db: Database, event_log: EventLog) -> None:
    flaky = Flaky(event_log)
    relay = Relay(db, flaky, None, "a")  # type: ignore[arg-type]
    ids = announce(db, 1)
    flaky.away = True
    assert relay.drain(NOW + timedelta(hours=5)) == 0
    flaky.away = False
    assert relay.drain(NOW) == 1
    assert arrived(event_log) == ids


def test_a_fault_of_the_program_in_notifications_holds_up_no_event(db: Database, event_log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def drain(self, worker: str, now: datetime) -> int:
            raise KeyError("a fault")

    stop = threading.Event()
    relay = Relay(db, event_log, Broken(), "a")  # type: ignore[arg-type]
    running = threading.Thread(target=relay.run, args=(stop,))
    running.start()
    try:
        until(lambda: "a fault" in caplog.text)
        ids = announce(db, 1)
        until(lambda: arrived(event_log) == ids)
    finally:
        stop.set()
        running.join()


def test_a_kill_between_send_and_record_repeats_the_same_id(db: Database, event_log: EventLog) -> None:
    [event_id] = announce(db, 1)
    [row] = outbox.claim(db, "killed", 1, outbox.LEASE_S, NOW)
    event_log.append(str(row.topic), [row.message])
    Relay(db, event_log, None, "b").drain(NOW + timedelta(seconds=outbox.LEASE_S))
    assert arrived(event_log) == [event_id, event_id]


def test_missing_topics_are_made(db: Database, event_log: EventLog) -> None:
    event_log.delete_topic(events.TOPIC_PROCESSED)
    ids = announce(db, 1, 2)
    assert Relay(db, event_log, None, "a").drain(NOW) == 2
    assert sorted(arrived(event_log)) == sorted(ids)


class TestLogAway:
    def test_events_wait_and_leave_in_order_when_it_is_back(self, db: Database, event_log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
        ids = announce(db, 1, 1, 2)
        door = Flaky(event_log)
        relay = Relay(db, door, None, "a")  # type: ignore[arg-type]
        door.away = True
        now = NOW
        with caplog.at_level(logging.INFO):
            for _ in range(5):
                assert relay.drain(now) == 0
                now += timedelta(minutes=2)
            assert outbox.pending(db).retrying == 3
            assert "no broker" in str(outbox.pending(db).last_error)
            door.away = False
            assert relay.drain(now) == 3
        assert sorted(arrived(event_log)) == sorted(ids)
        assert [record.levelname for record in caplog.records if record.name.endswith("relay")] == ["WARNING", "INFO"]

    @pytest.mark.parametrize("why", [LogRefused("the password is wrong"), SettingsError("the file of certificates cannot be read")])
    def test_a_log_that_refuses_this_client_loses_no_event(self, db: Database, event_log: EventLog, why: PlatformError) -> None:
        ids = announce(db, 1, 1, 2)
        door = Flaky(event_log)
        relay = Relay(db, door, None, "a")  # type: ignore[arg-type]
        door.away, now = why, NOW
        for _ in range(20):
            assert relay.drain(now) == 0
            now += timedelta(minutes=2)
        assert outbox.dead(db) == []
        door.away = False
        assert relay.drain(now) == 3
        assert sorted(arrived(event_log)) == sorted(ids)

    def test_it_is_not_asked_at_every_look(self, db: Database, event_log: EventLog) -> None:
        announce(db, *range(1, 500))
        door = Flaky(event_log)
        door.away = True
        relay = Relay(db, door, None, "a")  # type: ignore[arg-type]
        for step in range(100):
            relay.drain(NOW + timedelta(milliseconds=step))
        assert door.calls == 1

    def test_what_waited_longest_leaves_soon_after_it_is_back(self, db: Database, event_log: EventLog) -> None:
        announce(db, 1)
        door = Flaky(event_log)
        door.away = True
        relay = Relay(db, door, None, "a")  # type: ignore[arg-type]
        now = NOW
        for _ in range(10):
            relay.drain(now)
            now += timedelta(seconds=61)
        door.away = False
        announce(db, 2, at=now)
        now += timedelta(seconds=31)
        assert relay.drain(now) >= 1
        assert relay.drain(now) + outbox.pending(db).events <= 1
        assert outbox.pending(db).events == 0


class TestPoison:
    def test_a_refused_event_holds_back_its_own_video_only_and_is_then_given_up(self, db: Database, event_log: EventLog) -> None:
        ids = announce(db, 1, 1, 2)
        door = Flaky(event_log)
        first = outbox.waiting(db)[0]
        relay = Relay(db, door, None, "a")  # type: ignore[arg-type]
        door.refused = {first.message.key}
        now = NOW
        assert relay.drain(now) == 1
        assert arrived(event_log) == [ids[2]]
        for _ in range(20):
            now += timedelta(minutes=2)
            relay.drain(now)
        assert {row.id for row in outbox.dead(db)} == set(ids[:2])
        assert all("refuses" in str(row.error) for row in outbox.dead(db))
        door.refused = set()
        outbox.revive(db, ids[:2], now)
        relay.drain(now)
        assert arrived(event_log).count(ids[0]) == 1


class TestRun:
    def test_it_sends_what_comes_until_it_is_stopped(self, db: Database, event_log: EventLog) -> None:
        stop = threading.Event()
        runner = threading.Thread(target=Relay(db, event_log, None, "a").run, args=(stop,))
        runner.start()
        try:
            for number in range(3):
                announce(db, number + 1, at=datetime.now(UTC))
                until(lambda: outbox.pending(db).waiting == 0)
        finally:
            stop.set()
            runner.join(10)
        assert not runner.is_alive()
        assert len(arrived(event_log)) == 3

    def test_it_forgets_what_left_long_ago(self, db: Database, event_log: EventLog) -> None:
        announce(db, 1, at=NOW)
        Relay(db, event_log, None, "a").drain(NOW)
        with db.write() as connection:
            connection.exec_driver_sql("update outbox set sent_at = '2020-01-01 00:00:00.000000'")
        stop = threading.Event()
        runner = threading.Thread(target=Relay(db, event_log, None, "a").run, args=(stop,))
        runner.start()

        def rows() -> int:
            with db.read() as connection:
                return connection.exec_driver_sql("select count(*) from outbox").scalar_one()

        try:
            until(lambda: rows() == 0)
        finally:
            stop.set()
            runner.join(10)

    def test_idling_is_cheap(self, db: Database, event_log: EventLog) -> None:
        stop = threading.Event()
        runner = threading.Thread(target=Relay(db, event_log, None, "a").run, args=(stop,))
        runner.start()
        before = time.process_time()
        stop.wait(3.0)
        used = time.process_time() - before
        stop.set()
        runner.join(10)
        assert used < 0.5


class TestProcess:
    def start(self, settings: Settings) -> subprocess.Popen[str]:
        environment = {**os.environ, "VIDEO_PLATFORM_HOME": str(settings.home)}
        command = [sys.executable, "-m", "video_platform.services.relay"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def test_it_says_ready_sends_and_ends_cleanly(self, settings: Settings, db: Database, event_log: EventLog) -> None:
        process = self.start(settings)
        try:
            assert process.stderr is not None
            assert "ready" in process.stderr.readline()
            ids = announce(db, 1, 2, at=datetime.now(UTC))
            until(lambda: outbox.pending(db).waiting == 0)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.communicate()
        assert sorted(arrived(event_log)) == sorted(ids)

    def test_killed_at_any_moment_nothing_is_lost(self, settings: Settings, db: Database, event_log: EventLog) -> None:
        written: list[str] = []
        for turn in range(4):
            process = self.start(settings)
            try:
                assert process.stderr is not None
                process.stderr.readline()
                before = len(arrived(event_log))
                written += announce(db, *range(1, 200), at=datetime.now(UTC), start=turn * 1000)
                until(lambda before=before: len(arrived(event_log)) > before)
            finally:
                process.kill()
                process.communicate()
        late = datetime.now(UTC) + timedelta(seconds=outbox.LEASE_S + 1)
        Relay(db, event_log, None, "last").drain(late)
        assert set(arrived(event_log)) == set(written)
        assert outbox.pending(db).waiting == 0

    def test_wrong_settings_are_one_line_and_an_error_code(self, settings: Settings) -> None:
        environment = {**os.environ, "VIDEO_PLATFORM_HOME": str(settings.home), "VIDEO_PLATFORM_WEB__PORT": "many"}
        command = [sys.executable, "-m", "video_platform.services.relay"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "VIDEO_PLATFORM_WEB__PORT" in done.stderr
        assert "Traceback" not in done.stderr
