import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from video_platform import events
from video_platform.records import Lane, VideoRecord
from video_platform.services.database import Database, ledger, outbox
from video_platform.services.database.outbox import Kind, Notice


def event(video: VideoRecord, n: int, now: datetime) -> events.Event:
    body = events.ProcessedBody(video_id=video.video_id, bucket="video-platform", camera="gate", lane=Lane.LIVE, alerts=n, tracks_hash="t")
    return events.Event(events.event_id(events.VIDEO_PROCESSED, video.video_id, n), events.VIDEO_PROCESSED, now, video.video_id, body)


@pytest.fixture
def announce(db: Database, add_video: Callable[..., VideoRecord], now: datetime) -> Callable[..., list[str]]:
    """Write events: `announce(1, 1, 2)` is two events of video 1 and one of video 2; returns their ids."""
    known: dict[int, VideoRecord] = {}
    count = 0

    def add(*numbers: int, at: datetime = now) -> list[str]:
        nonlocal count
        made = []
        for number in numbers:
            video = known.setdefault(number, known.get(number) or add_video(number))
            count += 1
            made.append(event(video, count, at))
        with db.write() as connection:
            outbox.add_events(connection, made, at)
        return [each.id for each in made]

    return add


def claim(db: Database, now: datetime, worker: str = "a", limit: int = 100, **given) -> list[str]:
    return [row.id for row in outbox.claim(db, worker, limit, 60, now, **given)]


def test_what_was_announced_is_not_announced_twice(db: Database, add_video, now: datetime) -> None:
    video = add_video()
    with db.write() as connection:
        assert outbox.add_event(connection, event(video, 1, now), now)
        assert not outbox.add_event(connection, event(video, 1, now), now)
    assert outbox.pending(db).events == 1


def test_a_rolled_back_transaction_announces_nothing(db: Database, add_video, now: datetime) -> None:
    video = add_video()

    def cut() -> None:
        with db.write() as connection:
            outbox.add_event(connection, event(video, 1, now), now)
            raise KeyError

    with pytest.raises(KeyError):
        cut()
    assert outbox.pending(db).waiting == 0


class TestClaim:
    def test_in_order_with_a_limit_and_never_twice(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1, 2, 3)
        assert claim(db, now, limit=2) == ids[:2]
        assert claim(db, now, "b") == ids[2:]
        assert claim(db, now, "c") == []

    def test_a_lease_runs_out(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1)
        claim(db, now)
        assert claim(db, now + timedelta(seconds=59), "b") == []
        assert claim(db, now + timedelta(seconds=60), "b") == ids

    @pytest.mark.parametrize("ahead", [timedelta(minutes=20), timedelta(days=400)])
    def test_a_lease_taken_while_the_clock_stood_ahead_holds_nothing_back(self, db: Database, announce, now: datetime, ahead: timedelta) -> None:
        ids = announce(1, 1)
        assert claim(db, now + ahead) == ids
        assert claim(db, now, "b") == ids

    @pytest.mark.parametrize("ahead", [timedelta(minutes=20), timedelta(days=400)])
    def test_a_retry_set_while_the_clock_stood_ahead_is_due(self, db: Database, announce, now: datetime, ahead: timedelta) -> None:
        ids = announce(1)
        rows = outbox.claim(db, "a", 10, 60, now + ahead)
        outbox.failed(db, rows, "away", now + ahead)
        assert claim(db, now, "b") == ids

    def test_a_clock_that_jumps_ahead_only_ends_leases_early(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1)
        claim(db, now)
        assert claim(db, now + timedelta(hours=1), "b") == ids

    def test_rows_of_a_key_wait_for_the_one_in_another_hand(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1, 1, 2)
        assert claim(db, now, limit=1) == ids[:1]
        assert claim(db, now, "b") == [ids[2]]

    def test_rows_of_a_key_wait_for_the_one_that_failed(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1, 1, 2)
        [row] = outbox.claim(db, "a", 1, 60, now)
        due = outbox.failed(db, [row], "away", now)
        assert due == now + timedelta(seconds=outbox.FIRST_RETRY_S)
        assert claim(db, now, "b") == [ids[2]]
        assert claim(db, due, "b") == ids[:2]

    def test_released_rows_are_there_at_once(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1)
        rows = outbox.claim(db, "a", 10, 60, now)
        outbox.release(db, rows, "somebody else")
        assert claim(db, now, "b") == []
        outbox.release(db, rows, "a")
        assert claim(db, now, "b") == ids

    def test_rows_can_be_put_off_and_held_longer(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1)
        later = now + timedelta(minutes=5)
        outbox.release(db, outbox.claim(db, "a", 10, 60, now), "a", until=later)
        assert claim(db, later - timedelta(seconds=1)) == []
        rows = outbox.claim(db, "a", 10, 60, later)
        outbox.renew(db, rows, "a", later + timedelta(minutes=5))
        assert claim(db, later + timedelta(minutes=2), "b") == []
        assert claim(db, later + timedelta(minutes=5), "b") == ids

    def test_kinds_are_apart(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1)
        with db.write() as connection:
            outbox.add_notifications(connection, [Notice("n", "ops", "v", "a"), Notice("m", "mail", "v", "a")], now)
        assert outbox.due_keys(db, Kind.NOTIFICATION, now) == ["mail", "ops"]
        assert claim(db, now, kind=Kind.NOTIFICATION, key="ops") == ["n"]
        assert claim(db, now, kind=Kind.EVENT) == ids

    def test_several_relays_at_once_share_the_rows(self, db: Database, announce, now: datetime) -> None:
        ids = announce(*(number % 7 for number in range(1, 140)))
        taken: list[str] = []

        def work(worker: str) -> None:
            while rows := outbox.claim(db, worker, 5, 60, now):
                taken.extend(row.id for row in rows)
                outbox.sent(db, rows, now)

        workers = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        # A worker may stop while another holds the rest of every key; one more look takes what is left.
        work("last")
        assert sorted(taken) == sorted(ids)

    def test_order_of_a_key_with_several_relays(self, db: Database, announce, now: datetime) -> None:
        ids = announce(*([1] * 60))
        order: list[str] = []
        lock = threading.Lock()
        done = threading.Event()

        def work(worker: str) -> None:
            while not done.is_set():
                rows = outbox.claim(db, worker, 7, 60, now)
                with lock:
                    order.extend(row.id for row in rows)
                    if len(order) >= len(ids):
                        done.set()
                outbox.sent(db, rows, now)

        workers = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert order == ids


class TestFailing:
    def test_the_wait_grows_to_its_limit(self, db: Database, announce, now: datetime) -> None:
        announce(1)
        waits = []
        for _ in range(9):
            [row] = outbox.claim(db, "a", 1, 60, now)
            due = outbox.failed(db, [row], "away", now)
            waits.append((due - now).total_seconds())
            now = due
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        pending = outbox.pending(db)
        assert (pending.retrying, pending.last_error) == (1, "away")

    def test_what_failed_is_hastened_when_its_service_is_back(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1)
        for _ in range(6):
            rows = outbox.claim(db, "a", 1, 60, now)
            now = outbox.failed(db, rows, "away", now)
        early = now - timedelta(seconds=30)
        assert claim(db, early) == []
        assert outbox.hasten(db, Kind.EVENT, early) == 1
        assert claim(db, early) == ids

    def test_a_dead_row_is_seen_holds_nothing_back_and_can_be_revived(self, db: Database, announce, now: datetime) -> None:
        ids = announce(1, 1)
        [row] = outbox.claim(db, "a", 1, 60, now)
        outbox.failed(db, [row], "refused", now, dead=True)
        assert [(each.id, each.error) for each in outbox.dead(db)] == [(ids[0], "refused")]
        assert outbox.pending(db).dead == 1
        later = now + timedelta(days=30)
        assert claim(db, later) == [ids[1]]
        assert outbox.prune(db, later) == 0
        assert outbox.revive(db, [ids[0]], later) == 1
        assert claim(db, later, "b") == [ids[0]]


class TestSent:
    def test_sent_rows_are_kept_and_then_forgotten(self, db: Database, announce, now: datetime) -> None:
        announce(1, 2)
        rows = outbox.claim(db, "a", 1, 60, now)
        outbox.sent(db, rows, now)
        assert outbox.pending(db).events == 1
        assert outbox.prune(db, now) == 0
        assert outbox.prune(db, now + timedelta(seconds=1)) == 1
        assert outbox.pending(db).events == 1

    def test_a_late_failure_does_not_undo_what_was_sent(self, db: Database, announce, now: datetime) -> None:
        announce(1)
        rows = outbox.claim(db, "a", 1, 60, now)
        outbox.sent(db, rows, now)
        outbox.failed(db, rows, "late", now)
        assert outbox.pending(db).waiting == 0

    def test_lag_is_the_age_of_the_oldest(self, db: Database, announce, now: datetime) -> None:
        assert outbox.pending(db).lag_s(now) == 0
        announce(1, at=now - timedelta(seconds=30))
        announce(2)
        assert outbox.pending(db).lag_s(now) == 30


def test_a_notice_given_twice_is_one_delivery(db: Database, now: datetime) -> None:
    for _ in range(2):
        with db.write() as connection:
            outbox.add_notifications(connection, [Notice("n", "ops", "v", "a")], now)
    assert [each.state for each in ledger.deliveries_of(db, "a")] == ["waiting"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # the plan is SQLite's
def test_a_look_at_an_idle_outbox_reads_one_index_entry(db: Database, announce, now: datetime) -> None:
    announce(*range(1, 30))
    while rows := outbox.claim(db, "a", 100, 60, now):
        outbox.sent(db, rows, now)
    with db.read() as connection:
        plan = connection.exec_driver_sql("explain query plan select seq from outbox where sent_at is null and dead_at is null order by seq").all()
    assert any("ix_outbox_sent_at" in str(step) for step in plan)
