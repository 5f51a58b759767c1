"""Notifications and the scan of the inbox become runs, one per object, and the runs become videos."""

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote_plus

import dagster as dg
import pytest
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.storage.tags import RUN_KEY_TAG
from graphs import Ticking
from intake import MP4
from stack import embedded_only

from sensors.consuming import Position
from sensors.inbox_uploads import FIRST_RETRY, LONGEST_RETRY, MAX_PAST_RUNS, Memory, inbox_uploads, tick
from video_platform import dead_letters
from video_platform.definitions import build
from video_platform.errors import LogUnavailable, StoreUnavailable
from video_platform.events import TOPIC_S3_EVENTS, Message
from video_platform.inbox import identity
from video_platform.layout import BUCKET
from video_platform.pipeline import tags
from video_platform.pipeline.inbox import INGEST_OBJECT, TAKE_IN, run_config
from video_platform.pipeline.resources import Desk
from video_platform.services.database import refusals, videos

FOOTAGE = MP4 + b"picture" * 1000


def notification(*keys, bucket=BUCKET, event="s3:ObjectCreated:Put"):
    records = [{"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "size": 1, "eTag": "e"}}} for key in keys]
    return Message(f"{bucket}/{keys[0]}".encode(), json.dumps({"EventName": event, "Key": f"{bucket}/{keys[0]}", "Records": records}).encode())


class Inbox(Ticking):
    """The sensor with its home, and Dagster's own memory of the runs that it asked for."""

    def __init__(self, settings):
        super().__init__(settings, inbox_uploads)
        self.now = datetime.now(UTC)

    @property
    def platform(self):
        return self.workplace.platform

    def drop(self, key, data=FOOTAGE, age_s=60.0):
        path = self.platform.settings.objects_folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        then = self.now.timestamp() - age_s
        os.utime(path, (then, then))
        return path

    def hear(self, *messages):
        self.platform.log.append(TOPIC_S3_EVENTS, messages)

    def tick(self):
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources={"desk": Desk(self.workplace, None, False)}) as context:
            result = tick(context, Desk(self.workplace, None, False), self.now)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
        return result

    def scan(self, now=None):
        """A tick in which the scan is due: after the time that lies between two looks, or at `now`."""
        self.now = now or self.now + timedelta(seconds=self.platform.settings.objects.scan_s + 1)
        if self.cursor and now:
            self.cursor = replace(Memory.parse(self.cursor), scan_after=0.0).dump()
        return self.requests()

    def requests(self):
        return list(self.tick().run_requests or [])

    def run(self, request):
        job = build(self.workplace).resolve_job_def(INGEST_OBJECT)
        return job.execute_in_process(instance=self.instance, run_config=request.run_config, tags=request.tags, raise_on_error=False)

    def wait(self, request, *, queued=False):
        """The run is there and has not begun, as after Dagster has taken the request; those that count as queued can only be counted."""
        job = build(self.workplace).resolve_job_def(INGEST_OBJECT)
        run = self.instance.create_run_for_job(job, run_config=request.run_config, tags=request.tags, status=dg.DagsterRunStatus.NOT_STARTED)
        if not queued:
            return
        with self.instance.run_storage.connect() as connection:  # Dagster makes queued runs only for a code server
            connection.execute(RunsTable.update().where(RunsTable.c.run_id == run.run_id).values(status="QUEUED"))


@pytest.fixture
def inbox(settings):
    made = Inbox(settings)
    yield made
    made.close()


def keys_of(requests):
    return [request.run_config["ops"][TAKE_IN]["config"]["key"] for request in requests]


@embedded_only
class TestNotifications:
    def test_one_run_per_object(self, inbox):
        inbox.drop("inbox/gate-1/a b.mp4", age_s=0)
        inbox.hear(notification("inbox/gate-1/a b.mp4"))
        [request] = inbox.requests()
        info = inbox.platform.store.stat("inbox/gate-1/a b.mp4")
        assert request.run_key == f"{BUCKET}/{identity(info)}"
        assert (request.tags[tags.INBOX], request.partition_key) == (identity(info), None)
        assert keys_of([request]) == ["inbox/gate-1/a%20b.mp4"]
        assert tags.LANE not in request.tags
        assert inbox.run(request).success
        [record] = videos.page(inbox.platform.db)[0]
        assert (record.camera, record.original_name) == ("gate-1", "a b.mp4")
        assert inbox.requests() == []

    def test_repeated_notifications_are_one_run(self, inbox):
        inbox.drop("inbox/a/1.mp4", age_s=0)
        inbox.hear(notification("inbox/a/1.mp4"), notification("inbox/a/1.mp4", "inbox/a/1.mp4"))
        [first] = inbox.requests()
        inbox.hear(notification("inbox/a/1.mp4"))
        [again] = inbox.requests()
        assert again.run_key == first.run_key

    def test_an_overwrite_is_another_run(self, inbox):
        inbox.drop("inbox/a/1.mp4", age_s=0)
        inbox.hear(notification("inbox/a/1.mp4"))
        [first] = inbox.requests()
        inbox.drop("inbox/a/1.mp4", FOOTAGE + b"more", age_s=0)
        inbox.hear(notification("inbox/a/1.mp4"))
        [second] = inbox.requests()
        assert second.run_key != first.run_key

    def test_what_is_only_claimed_costs_no_run(self, inbox):
        inbox.hear(notification("inbox/a/never there.mp4"), notification("inbox/a/also\\not.mp4"))
        assert inbox.requests() == []
        assert inbox.letters() == []

    def test_what_cannot_be_used_becomes_a_letter_and_the_rest_goes_on(self, inbox):
        inbox.drop("inbox/a/1.mp4", age_s=0)
        hostile = [
            Message(b"", b"no json"),
            notification("inbox/../videos/0123456789abcdef/raw_video/x.mp4"),
            notification("inbox/a/1.mp4", bucket="somebody-elses"),
            notification("videos/0123456789abcdef/raw_video/x.mp4"),
            notification("inbox/a/1.mp4", event="s3:ObjectRemoved:Delete"),
            Message(b"", b"[" * 70_000),
        ]
        inbox.hear(*hostile, notification("inbox/a/1.mp4"))
        assert len(inbox.requests()) == 1
        reasons = sorted(dead_letters.about(letter)[dead_letters.REASON] for letter in inbox.letters())
        assert reasons == ["foreign_bucket", "foreign_key", "foreign_key", "malformed", "oversize", "unknown_type"]
        assert all(dead_letters.about(letter)[dead_letters.TOPIC] == TOPIC_S3_EVENTS for letter in inbox.letters())
        assert inbox.requests() == []
        assert len(inbox.letters()) == len(hostile)

    def test_when_the_letter_cannot_be_written_nothing_moves(self, inbox, monkeypatch):
        inbox.hear(Message(b"", b"no json"))

        def away(*_):
            raise LogUnavailable("the log does not answer")

        monkeypatch.setattr(inbox.platform.log, "append", away)
        with pytest.raises(LogUnavailable):
            inbox.tick()
        monkeypatch.undo()
        inbox.tick()
        assert len(inbox.letters()) == 1

    def test_while_the_store_is_away_the_position_is_kept(self, inbox, monkeypatch):
        inbox.drop("inbox/a/1.mp4", age_s=0)
        inbox.hear(notification("inbox/a/1.mp4"))

        def away(*_):
            raise StoreUnavailable("the store does not answer")

        monkeypatch.setattr(inbox.platform.store, "stat", away)
        assert inbox.requests() == []
        monkeypatch.undo()
        assert len(inbox.requests()) == 1

    def test_a_burst_is_read_in_ticks_that_fit_the_queue(self, inbox):
        names = [f"inbox/a/{n}.mp4" for n in range(20)]
        for n, name in enumerate(names):
            inbox.drop(name, FOOTAGE + bytes([n]), age_s=0)
        inbox.hear(*map(notification, names))
        found = []
        for _ in range(3):
            found += inbox.requests()
        assert len({request.run_key for request in found}) == 20
        assert len(inbox.requests()) == 0

    def test_a_full_queue_leaves_everything_where_it_is(self, inbox):
        inbox.drop("inbox/a/1.mp4")
        [request] = inbox.scan()
        for _ in range(inbox.platform.settings.runs.max_queued):
            inbox.wait(request, queued=True)
        inbox.hear(notification("inbox/a/1.mp4"))
        assert isinstance(inbox.tick(), dg.SkipReason)


@embedded_only
class TestScan:
    def test_it_finds_what_no_notification_spoke_of(self, inbox):
        inbox.drop("inbox/gate-1/a.mp4")
        [request] = inbox.scan()
        assert inbox.run(request).success
        assert [record.camera for record in videos.page(inbox.platform.db)[0]] == ["gate-1"]
        assert inbox.scan() == []

    def test_notification_and_scan_are_one_run(self, inbox):
        inbox.drop("inbox/a/1.mp4")
        inbox.hear(notification("inbox/a/1.mp4"))
        [request] = inbox.scan()
        inbox.wait(request)
        assert inbox.scan() == []
        inbox.hear(notification("inbox/a/1.mp4"))
        assert [again.run_key for again in inbox.requests()] == [request.run_key]

    def test_it_looks_only_every_so_often(self, inbox):
        inbox.requests()
        inbox.drop("inbox/a/1.mp4")
        assert inbox.requests() == []
        assert len(inbox.scan()) == 1

    def test_a_clock_that_was_set_back_does_not_stop_it(self, inbox):
        inbox.requests()
        inbox.now -= timedelta(days=1)
        inbox.drop("inbox/a/1.mp4")
        assert len(inbox.requests()) == 1

    def test_it_goes_on_while_the_log_is_away(self, inbox, monkeypatch):
        def away(*_, **__):
            raise LogUnavailable("the log does not answer")

        monkeypatch.setattr(inbox.platform.log, "read", away)
        inbox.drop("inbox/a/1.mp4")
        assert len(inbox.scan()) == 1

    def test_what_failed_is_asked_for_again_later_and_later(self, inbox, monkeypatch):
        inbox.drop("inbox/a/1.mp4")
        monkeypatch.setattr("shutil.disk_usage", lambda _path: os.terminal_size((0, 0)) and type("Usage", (), {"free": 0})())
        [request] = inbox.scan()
        assert not inbox.run(request).success
        [note] = refusals.page(inbox.platform.db)
        assert (note.code, note.camera) == ("StoreFull", "a")
        assert inbox.scan(datetime.now(UTC) + FIRST_RETRY - timedelta(seconds=10)) == []
        for failures in (1, 2, 3):
            [request] = inbox.scan(datetime.now(UTC) + min(FIRST_RETRY * 2 ** (failures - 1), LONGEST_RETRY) + timedelta(seconds=1))
            assert request.run_key.endswith(f"/{failures + 1}")
            if failures < 3:
                assert not inbox.run(request).success
        monkeypatch.undo()
        assert inbox.run(request).success
        assert refusals.page(inbox.platform.db) == []

    def test_what_failed_more_often_than_is_looked_at_is_asked_for_all_the_same(self, inbox):
        """Under a key that no run has: Dagster makes no second run of a key, and the file would lie there for good."""
        inbox.drop("inbox/a/1.mp4")
        [request] = inbox.scan()
        job = build(inbox.workplace).resolve_job_def(INGEST_OBJECT)
        keys = {request.run_key, *(f"{request.run_key}/{attempt}" for attempt in range(2, MAX_PAST_RUNS + 3))}
        for key in sorted(keys, key=len):
            own = {**request.tags, RUN_KEY_TAG: key}
            inbox.instance.create_run_for_job(job, run_config=request.run_config, tags=own, status=dg.DagsterRunStatus.FAILURE)
        [again] = inbox.scan(datetime.now(UTC) + LONGEST_RETRY + timedelta(seconds=1))
        assert again.run_key not in keys

    def test_the_same_file_put_there_again_is_taken_away_again(self, inbox):
        inbox.drop("inbox/a/1.mp4")
        [first] = inbox.scan()
        info = inbox.platform.store.stat("inbox/a/1.mp4")
        assert inbox.run(first).success
        path = inbox.drop("inbox/a/1.mp4")
        os.utime(path, (info.modified_at.timestamp(), info.modified_at.timestamp()))
        [second] = inbox.scan()
        assert inbox.run(second).success
        assert not path.exists()
        assert videos.page(inbox.platform.db)[1] == 1

    def test_what_was_refused_is_not_asked_for_again(self, inbox):
        inbox.drop("inbox/a/notes.txt", b"milk, bread" * 1000)
        inbox.drop("inbox/bad camera/a.mp4")
        requests = inbox.scan()
        assert all(inbox.run(request).success for request in requests)
        assert sorted(note.code for note in refusals.page(inbox.platform.db)) == ["bad_camera", "not_a_video"]
        inbox.now += timedelta(days=1)
        assert inbox.scan() == []

    def test_more_than_one_tick_takes_is_reached(self, inbox):
        for n in range(20):
            inbox.drop(f"inbox/a/{n:02d}.mp4", FOOTAGE + bytes([n]))
        seen = set()
        found = inbox.scan()
        for _ in range(4):
            seen |= set(keys_of(found))
            found = inbox.requests()
        assert len(seen) == 20

    def test_names_that_only_a_file_system_knows(self, inbox):
        folder = inbox.platform.settings.objects_folder / "inbox" / "a"
        folder.mkdir(parents=True)
        odd = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.mp4"))
        odd.write_bytes(b"milk" * 5000)
        then = time.time() - 60
        os.utime(odd, (then, then))
        [request] = inbox.scan()
        assert inbox.run(request).success
        assert not odd.exists()
        assert [note.code for note in refusals.page(inbox.platform.db)] == ["bad_name"]


@embedded_only
class TestTheJob:
    def test_a_key_outside_the_inbox_fails_in_words(self, inbox):
        request = dg.RunRequest(run_config=run_config("videos/0123456789abcdef/raw_video/x.mp4"), tags={tags.INBOX: "x.y"})
        assert not inbox.run(request).success
        assert videos.page(inbox.platform.db)[1] == 0


class TestMemory:
    def test_any_reader_of_positions_reads_it(self):
        memory = Memory(Position("topic", {0: 17, 3: 4}), 12.5, 7)
        assert Memory.parse(memory.dump()) == memory
        assert Position.parse(memory.dump()) == memory.position

    def test_the_cursor_of_a_plain_reader_is_a_beginning(self):
        assert Memory.parse(Position("topic", {0: 17}).dump()) == Memory(Position("topic", {0: 17}))

    @pytest.mark.parametrize("cursor", ["nonsense", '{"v":2}', "[]"])
    def test_a_foreign_cursor_is_an_error(self, cursor):
        with pytest.raises(ValueError, match=r".*"):
            Memory.parse(cursor)
