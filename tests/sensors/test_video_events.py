import json
from datetime import UTC, datetime

import dagster as dg
import pytest
from stack import embedded_only

from sensors import processed_videos, video_events
from video_platform import dead_letters, events
from video_platform.errors import LogUnavailable
from video_platform.records import Lane
from video_platform.services.database import ledger, videos
from video_platform.services.sqlite_log import SqliteLog


@pytest.fixture
def sensor(ticking):
    return ticking(video_events)


@pytest.fixture
def ingest(sensor, tmp_path):
    def take_in(n, **given):
        path = tmp_path / f"{n}.mp4"
        path.write_bytes(b"footage %d" % n)
        return sensor.workplace.platform.ingest.ingest_path(path, **given).video_id

    return take_in


def test_a_run_per_video_with_its_lane_and_priority(sensor, ingest):
    live, backfill = ingest(1, camera="gate"), ingest(2, lane=Lane.BACKFILL)
    result = sensor.tick()
    runs = {request.partition_key: request for request in result.run_requests}
    assert set(runs) == {live, backfill}
    assert runs[live].tags["vp/lane"] == "live"
    assert runs[live].tags["dagster/priority"] == "30"
    assert runs[live].tags["vp/camera"] == "gate"
    assert runs[live].tags["vp/topic"] == "video-events"
    assert runs[backfill].tags["dagster/priority"] == "-10"
    assert runs[live].run_key == f"{live}@{events.event_id(events.VIDEO_INGESTED, live, 1)}"
    assert set(result.dynamic_partitions_requests[0].partition_keys) == {live, backfill}
    assert isinstance(sensor.tick().skip_reason, dg.SkipReason)


def test_a_request_may_force(sensor, ingest):
    video_id = ingest(1)
    sensor.tick()
    sensor.workplace.platform.ingest.request_processing(video_id, lane=Lane.REQUEST, force=True)
    [request] = sensor.tick().run_requests
    assert (request.tags["vp/force"], request.tags["dagster/priority"]) == ("true", "20")


def test_the_same_event_twice_in_a_tick_is_one_run(sensor, ingest):
    ingest(1)
    log = sensor.workplace.platform.log
    [record] = log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=10, budget_s=5)
    log.append(events.TOPIC_VIDEO_EVENTS, [record.message, record.message])
    assert len(sensor.tick().run_requests) == 1


def test_what_cannot_be_used_goes_to_the_dead_letters_and_the_cursor_moves(sensor, ingest):
    video_id = ingest(1)
    log = sensor.workplace.platform.log
    [good] = [record.message for record in log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=10, budget_s=5)]
    headers = dict(good.headers)
    body = json.loads(good.value)
    foreign = json.dumps(body | {"bucket": "elsewhere"}).encode()
    unknown_id = "0" * 16
    unknown_key = f"videos/{unknown_id}/raw_video/{'0' * 64}.mp4"
    unknown = json.dumps(body | {"video_id": unknown_id, "sha256": "0" * 64, "object_key": unknown_key}).encode()
    log.append(
        events.TOPIC_VIDEO_EVENTS,
        [
            events.Message(b"k", b"\xff\xfe", good.headers),
            events.Message(b"k", good.value, ()),
            events.Message(b"k", foreign, good.headers),
            events.Message(b"k", unknown, good.headers),
            events.Message(b"k", b" " * (events.MAX_BODY_BYTES + 1), good.headers),
            events.Message(b"k", good.value, tuple((headers | {"ce_type": b"video.other.v9"}).items())),
        ],
    )
    result = sensor.tick()
    assert [request.partition_key for request in result.run_requests] == [video_id]
    told = [dead_letters.about(letter) for letter in sensor.letters()]
    assert sorted(each["dlq_reason"] for each in told) == ["foreign_bucket", "malformed", "missing_header", "oversize", "unknown_type", "unknown_video"]
    assert all(each["dlq_topic"] == "video-events" and each["dlq_offset"].isdigit() for each in told)
    sensor.tick()
    assert len(sensor.letters()) == 6


def test_an_event_of_a_deleted_video_starts_nothing(sensor, ingest):
    video_id = ingest(1)
    sensor.workplace.platform.ingest.delete(video_id, "test")
    result = sensor.tick()
    assert not result.run_requests
    assert "deleted" in result.skip_reason.skip_message
    assert sensor.letters() == []


def test_a_full_queue_stops_reading_and_loses_nothing(sensor, ingest):
    for n in range(10):
        ingest(n)
    first = sensor.tick()
    assert len(first.run_requests) == 8
    queued = [enqueue(sensor, request) for request in first.run_requests]
    skipped = sensor.tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "queue is full" in skipped.skip_message
    sensor.instance.delete_run(queued[0])
    assert len(sensor.tick().run_requests) == 1


def enqueue(sensor, request):
    @dg.job
    def waiting():
        pass

    run = sensor.instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.NOT_STARTED, tags=request.tags)
    with sensor.instance.run_storage.connect() as connection:
        from dagster._core.storage.runs.schema import RunsTable

        connection.execute(RunsTable.update().where(RunsTable.c.run_id == run.run_id).values(status="QUEUED"))
    return run.run_id


class Away(SqliteLog):
    """A log that is not reachable, for reading, writing or both."""

    reading = True

    def append(self, topic, messages):
        raise LogUnavailable("the log does not answer", topic=topic)

    def read(self, topic, next_offsets, *, limit, budget_s):
        if self.reading:
            return super().read(topic, next_offsets, limit=limit, budget_s=budget_s)
        raise LogUnavailable("the log does not answer", topic=topic)


@embedded_only
def test_a_log_that_is_away_is_a_skip_and_the_position_is_kept(sensor, settings, ingest):
    ingest(1)
    sensor.tick()
    before = sensor.cursor
    away = Away(settings.event_log_file)
    away.reading = False
    real, sensor.workplace.platform.log = sensor.workplace.platform.log, away
    result = sensor.tick()
    assert isinstance(result, dg.SkipReason)
    assert sensor.cursor == before
    away.close()
    sensor.workplace.platform.log = real


@embedded_only
def test_when_the_dead_letter_cannot_be_written_the_tick_fails_and_is_replayed(sensor, settings, ingest):
    ingest(1)
    sensor.workplace.platform.log.append(events.TOPIC_VIDEO_EVENTS, [events.Message(b"", b"?")])
    away = Away(settings.event_log_file)
    real, sensor.workplace.platform.log = sensor.workplace.platform.log, away
    with pytest.raises(LogUnavailable):
        sensor.tick()
    away.close()
    sensor.workplace.platform.log = real
    assert sensor.cursor is None
    assert len(sensor.tick().run_requests) == 1


def test_a_processed_video_is_described_below_its_lane(ticking, ingest, sensor):
    video_id = ingest(1)
    body = events.ProcessedBody(video_id=video_id, bucket="video-platform", camera="gate", lane=Lane.LIVE, alerts=0, tracks_hash="t")
    event = events.Event(events.event_id(events.VIDEO_PROCESSED, video_id, "t"), events.VIDEO_PROCESSED, datetime.now(UTC), video_id, body)
    sensor.workplace.platform.log.append(events.TOPIC_PROCESSED, [events.encode(event)])
    [request] = ticking(processed_videos).tick().run_requests
    assert (request.partition_key, request.tags["dagster/priority"]) == (video_id, "25")
    assert "vp/lane" not in request.tags


def test_a_summary_that_failed_is_asked_for_alone_or_with_the_video(sensor, ticking, ingest):
    """A run that finds nothing new to evaluate announces nothing: the request itself has to reach the sensor of summaries."""
    platform, describe = sensor.workplace.platform, ticking(processed_videos)
    video_id = ingest(1, announce=False)
    ledger.reconcile(
        platform.db,
        ledger.EvaluationInput(video_id, "alerts", "f", "c", "t", "1", [], {}, Lane.LIVE, None, datetime.now(UTC), "1"),
    )
    platform.relay.drain(datetime.now(UTC), 100)
    assert [request.partition_key for request in describe.tick().run_requests] == [video_id]
    videos.summary_failed(platform.db, video_id, "over_budget", "it took longer than 60 s")
    platform.ingest.retry(video_id)
    [request] = describe.tick().run_requests
    assert (request.partition_key, request.tags["dagster/priority"]) == (video_id, "15")
    assert isinstance(sensor.tick().skip_reason, dg.SkipReason)
    videos.summary_failed(platform.db, video_id, "over_budget", "it took longer than 60 s")
    platform.ingest.request_processing(video_id)
    assert [len(each.tick().run_requests) for each in (sensor, describe)] == [1, 1]
    platform.ingest.retry(video_id)
    assert len(sensor.tick().run_requests) == 1
    assert not describe.tick().run_requests
