import shutil
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from graphs import CROSSING, Graph
from stack import embedded_only

from sensors import consuming, reconcile
from sensors.reconcile import MAX_ATTEMPTS
from video_platform import events, layout
from video_platform.errors import StoreFull, StoreUnavailable
from video_platform.ingest import Ingest
from video_platform.pipeline.failures import CANCELLED, INTERRUPTED, QUARANTINED
from video_platform.pipeline.made import read_manifest
from video_platform.records import VideoState
from video_platform.services.database import outbox, videos
from video_platform.services.database.tables import videos as table


@pytest.fixture
def sensor(ticking):
    return ticking(reconcile)


@pytest.fixture
def platform(sensor):
    return sensor.workplace.platform


def footage(platform, tmp_path, n=1):
    path = tmp_path / f"{n}.mp4"
    path.write_bytes(b"footage %d" % n)
    return platform.ingest.ingest_path(path, announce=False).video_id


def age(platform, video_id, minutes=30):
    with platform.db.write() as connection:
        then = datetime.now(UTC) - timedelta(minutes=minutes)
        connection.execute(sa.update(table).where(table.c.video_id == video_id).values(updated_at=then))


def requests(platform):
    records = platform.log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=100, budget_s=5)
    return [events.decode(record.message) for record in records]


def read_all(sensor, platform, reader, topic):
    """As if the sensor that reads this topic had read all that is there or waits in the outbox, and made no run of it."""
    platform.announce()
    state = SensorInstigatorData(cursor=consuming.read(platform.log, topic, consuming.Position(), 100).position.dump())
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__").get_instigator_origin(reader)
    sensor.instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, state))


def test_a_video_in_somebodys_hands_is_left_alone(sensor, platform, tmp_path):
    footage(platform, tmp_path)
    sensor.tick()
    assert requests(platform) == []


def test_an_event_that_became_no_run_is_asked_for_again(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    age(platform, video_id)
    sensor.tick()
    assert [(event.type, event.subject) for event in requests(platform)] == [(events.PROCESS_REQUESTED, video_id)]


def test_an_event_that_nobody_has_read_yet_is_not_repeated(sensor, platform, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"footage")
    video_id = platform.ingest.ingest_path(path).video_id
    age(platform, video_id)
    for _ in range(MAX_ATTEMPTS + 2):
        sensor.tick()
    assert [event.type for event in requests(platform)] == [events.VIDEO_INGESTED]
    assert videos.get(platform.db, video_id).state is VideoState.RECEIVED


def test_an_event_that_was_read_and_became_no_run_is_repeated_once(sensor, platform, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"footage")
    video_id = platform.ingest.ingest_path(path).video_id
    age(platform, video_id)
    read_all(sensor, platform, "video_events", events.TOPIC_VIDEO_EVENTS)
    for _ in range(MAX_ATTEMPTS + 2):
        sensor.tick()
    assert [event.type for event in requests(platform)].count(events.PROCESS_REQUESTED) == 1
    assert videos.get(platform.db, video_id).state is VideoState.RECEIVED


def test_what_waits_in_the_outbox_is_not_repeated(sensor, platform, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"footage")
    ingest = Ingest(platform.settings, platform.db, platform.store)  # its events wait for a relay
    video_id = ingest.ingest_path(path).video_id
    age(platform, video_id)
    for _ in range(MAX_ATTEMPTS + 2):
        sensor.tick()
    assert [row.topic for row in outbox.waiting(platform.db)] == [events.TOPIC_VIDEO_EVENTS]
    assert videos.get(platform.db, video_id).state is VideoState.RECEIVED


def test_an_interrupted_video_is_asked_for_under_new_ids_and_then_quarantined(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    for attempt in range(MAX_ATTEMPTS + 1):
        videos.failed(platform.db, video_id, f"run-{attempt}" if attempt == 0 else None, INTERRUPTED, "the process was ended")
        age(platform, video_id)
        sensor.tick()
    asked = requests(platform)
    assert len(asked) == len({event.id for event in asked}) == MAX_ATTEMPTS
    after = videos.get(platform.db, video_id)
    assert (after.state, after.failure_code) == (VideoState.FAILED, QUARANTINED)
    sensor.tick()
    assert len(requests(platform)) == MAX_ATTEMPTS


def test_quarantine_says_what_kept_failing(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    for _ in range(MAX_ATTEMPTS + 1):
        videos.failed(platform.db, video_id, None, "StoreUnavailable", "the S3 store at 10.0.0.7:9000 does not answer")
        age(platform, video_id)
        sensor.tick()
    after = videos.get(platform.db, video_id)
    assert (after.failure_code, "10.0.0.7:9000 does not answer" in after.failure_message) == (QUARANTINED, True)
    platform.ingest.retry(video_id)
    assert videos.get(platform.db, video_id).state is VideoState.RECEIVED
    videos.failed(platform.db, video_id, None, INTERRUPTED, "ended")
    age(platform, video_id)
    sensor.tick()
    assert videos.get(platform.db, video_id).state is VideoState.RECEIVED, "a person's retry begins the count anew"


def test_while_the_store_is_away_no_attempt_is_used_up(sensor, platform, tmp_path, monkeypatch):
    video_id = footage(platform, tmp_path)
    videos.failed(platform.db, video_id, None, "StoreUnavailable", "it does not answer")

    def away(*_):
        raise StoreUnavailable("it does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(platform.store, "stat", away)
        for _ in range(MAX_ATTEMPTS + 2):
            age(platform, video_id)
            assert isinstance(sensor.tick(), dg.SkipReason)
    assert (requests(platform), videos.get(platform.db, video_id).failure_code) == ([], "StoreUnavailable")
    sensor.tick()
    assert len(requests(platform)) == 1


def test_what_found_the_store_full_is_asked_for_once_there_is_room(sensor, platform, tmp_path, monkeypatch):
    video_id = footage(platform, tmp_path)
    videos.failed(platform.db, video_id, None, "StoreFull", "no space is left")

    def full(*_, **__):
        raise StoreFull("no space is left")

    with monkeypatch.context() as patch:
        patch.setattr(platform.store, "put_bytes", full)
        for _ in range(MAX_ATTEMPTS + 2):
            age(platform, video_id)
            sensor.tick()
    assert (requests(platform), videos.get(platform.db, video_id).failure_code) == ([], "StoreFull")
    before = {info.key for info in platform.store.list("")}
    sensor.tick()
    assert [event.subject for event in requests(platform)] == [video_id]
    assert {info.key for info in platform.store.list("videos/")} <= before, "the question leaves nothing"


@pytest.mark.parametrize("lost", ["recreated", "trimmed"])
def test_an_event_that_its_topic_lost_is_asked_for_within_two_looks(sensor, platform, tmp_path, lost):
    video_id = footage(platform, tmp_path)
    platform.ingest.request_processing(video_id)
    if lost == "recreated":
        platform.log.delete_topic(events.TOPIC_VIDEO_EVENTS)
        platform.log.create_topics()
    else:
        platform.log.trim(events.TOPIC_VIDEO_EVENTS, platform.log.end_offsets(events.TOPIC_VIDEO_EVENTS))
    age(platform, video_id, minutes=2)
    sensor.tick()
    assert requests(platform) == []
    sensor.tick()
    assert [event.subject for event in requests(platform)] == [video_id]


def test_a_topic_that_was_not_read_to_its_end_in_time_loses_nothing(sensor, platform, tmp_path, monkeypatch):
    video_id = footage(platform, tmp_path)
    platform.ingest.request_processing(video_id)
    platform.announce()
    age(platform, video_id, minutes=30)
    monkeypatch.setattr(consuming, "BUDGET_S", 0.0)
    for _ in range(MAX_ATTEMPTS + 2):
        sensor.tick()
    assert len(requests(platform)) == 1
    assert videos.get(platform.db, video_id).state is VideoState.RECEIVED


def test_a_video_that_changed_before_the_clock_was_set_back_is_not_left_alone(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    videos.failed(platform.db, video_id, "run-1", INTERRUPTED, "the process was ended")
    age(platform, video_id, minutes=-90)
    sensor.tick()
    assert len(requests(platform)) == 1


def test_a_tick_that_is_replayed_asks_once(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    videos.failed(platform.db, video_id, "run-1", INTERRUPTED, "the process was ended")
    age(platform, video_id)
    sensor.tick()
    videos.failed(platform.db, video_id, None, INTERRUPTED, "the process was ended")
    age(platform, video_id)
    sensor.cursor = None
    sensor.tick()
    assert len({event.id for event in requests(platform)}) == 1


def test_bad_footage_is_not_tried_again(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    videos.failed(platform.db, video_id, "run-1", "not_a_video", "This file is not a video.")
    age(platform, video_id)
    sensor.tick()
    assert requests(platform) == []


def test_footage_in_place_that_was_away_is_asked_for_once_it_is_back(sensor, platform, tmp_path):
    path = tmp_path / "archive.mp4"
    path.write_bytes(b"footage")
    video_id = platform.ingest.ingest_path(path, announce=False, in_place=True).video_id
    path.rename(tmp_path / "elsewhere.mp4")
    videos.failed(platform.db, video_id, None, "moved", "it is not there")
    age(platform, video_id)
    sensor.tick()
    assert requests(platform) == []
    (tmp_path / "elsewhere.mp4").rename(path)
    sensor.tick()
    assert [event.subject for event in requests(platform)] == [video_id]
    assert videos.get(platform.db, video_id).state is VideoState.RECEIVED


def test_a_deleted_video_loses_its_partition_and_its_objects(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    sensor.instance.add_dynamic_partitions("videos", [video_id])
    key = videos.get(platform.db, video_id).object_key
    platform.ingest.delete(video_id, "test")
    platform.store.put_bytes(key, b"left by a kill", media_type="video/mp4")
    with platform.db.write() as connection:
        connection.execute(sa.update(table).where(table.c.video_id == video_id).values(objects_removed_at=None))
    result = sensor.tick()
    assert [list(request.partition_keys) for request in result.dynamic_partitions_requests] == [[video_id]]
    assert list(platform.store.list(layout.video_prefix(video_id))) == []


def test_what_a_dying_run_wrote_after_the_deletion_goes_with_the_partition(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    sensor.instance.add_dynamic_partitions("videos", [video_id])
    platform.ingest.delete(video_id, "test")
    platform.store.put_bytes(layout.manifest_key(video_id, layout.TRACKS), b"{}", media_type="application/json")
    sensor.tick()
    assert list(platform.store.list(layout.video_prefix(video_id))) == []


@pytest.fixture
def processed(settings):
    graph = Graph(settings)
    with graph.platform() as platform:
        video_id = platform.ingest.ingest_path(CROSSING, announce=False).video_id
    assert graph.run(video_id, [layout.RAW_VIDEO, layout.PROCESSED_VIDEO, layout.DETECTIONS, layout.SCENES, layout.TRACKS, layout.ALERTS]).success
    assert graph.run(video_id, [layout.HIGHLIGHTS]).success
    return video_id


@pytest.fixture
def unasked(processed, sensor, platform):
    """A video whose summary nobody will write: the event that asks for it was read and became no run."""
    read_all(sensor, platform, "processed_videos", events.TOPIC_PROCESSED)
    return processed


def test_a_version_that_dagster_was_not_told_of_is_reported_without_a_run(processed, sensor, platform):
    key = layout.manifest_key(processed, layout.TRACKS)
    newer = read_manifest(platform.store, processed, layout.TRACKS).model_copy(update={"content_hash": "f" * 64})
    platform.store.put_bytes(key, newer.model_dump_json().encode(), media_type="application/json")
    age(platform, processed, minutes=5)
    result = sensor.tick()
    assert [event.asset_key.path[-1] for event in result.asset_events] == [layout.TRACKS]
    assert result.asset_events[0].tags["dagster/data_version"] == "f" * 64
    sensor.instance.report_runless_asset_event(result.asset_events[0])
    age(platform, processed, minutes=5)
    assert sensor.tick().asset_events == []


def test_a_missing_summary_is_asked_for_and_a_lost_partition_comes_back(unasked, sensor, platform):
    sensor.instance.delete_dynamic_partition("videos", unasked)
    age(platform, unasked)
    result = sensor.tick()
    [request] = result.run_requests
    assert (request.partition_key, "reconcile" in request.run_key) == (unasked, True)
    assert [list(each.partition_keys) for each in result.dynamic_partitions_requests] == [[unasked]]
    again = sensor.tick().run_requests
    assert again[0].run_key != request.run_key


def test_a_summary_that_never_comes_is_given_up_with_a_word(unasked, sensor, platform):
    for _ in range(MAX_ATTEMPTS):
        age(platform, unasked)
        assert sensor.tick().run_requests
    assert videos.get(platform.db, unasked).summary_failure_code is None
    age(platform, unasked)
    assert not sensor.tick().run_requests
    record = videos.get(platform.db, unasked)
    assert (record.state, record.summary_failure_code) == (VideoState.READY, QUARANTINED)
    assert f"{MAX_ATTEMPTS} times" in record.summary_failure_message


def test_a_summary_that_somebody_cancelled_is_not_asked_for(unasked, sensor, platform):
    videos.summary_failed(platform.db, unasked, CANCELLED, "Writing it was cancelled.")
    age(platform, unasked)
    assert not sensor.tick().run_requests


def test_a_summary_whose_event_is_still_to_be_read_is_not_asked_for(processed, sensor, platform):
    age(platform, processed)
    assert not sensor.tick().run_requests
    platform.announce()
    age(platform, processed)
    assert not sensor.tick().run_requests


def test_a_summary_whose_event_was_lost_is_asked_for_within_two_looks(unasked, sensor, platform):
    age(platform, unasked, minutes=2)
    assert not sensor.tick().run_requests
    age(platform, unasked, minutes=2)
    [request] = sensor.tick().run_requests
    assert request.partition_key == unasked


def test_attempts_for_the_video_and_for_its_summary_are_two_numbers(unasked, sensor, platform):
    for _ in range(MAX_ATTEMPTS):
        age(platform, unasked)
        assert sensor.tick().run_requests
    manifest = layout.manifest_key(unasked, layout.HIGHLIGHTS)
    kept = platform.store.get_bytes(manifest)
    platform.store.delete([manifest])
    age(platform, unasked)
    sensor.tick()
    assert [event.type for event in requests(platform)] == [events.PROCESS_REQUESTED]
    platform.store.put_bytes(manifest, kept, media_type="application/json")
    age(platform, unasked)
    assert not sensor.tick().run_requests
    assert videos.get(platform.db, unasked).summary_failure_code == QUARANTINED


def test_a_lost_manifest_asks_for_the_video_again(processed, sensor, platform):
    platform.store.delete([layout.manifest_key(processed, layout.HIGHLIGHTS)])
    age(platform, processed, minutes=5)
    sensor.tick()
    assert [event.subject for event in requests(platform)] == [processed]
    for _ in range(MAX_ATTEMPTS + 2):  # while that request has still to be read, another would only use up its attempts
        age(platform, processed, minutes=5)
        sensor.tick()
    assert len(requests(platform)) == 1
    assert videos.get(platform.db, processed).state is VideoState.READY


@embedded_only
def test_footage_without_a_row_is_taken_up(sensor, platform, tmp_path, settings):
    video_id = footage(platform, tmp_path)
    key = videos.get(platform.db, video_id).object_key
    with platform.db.write() as connection:
        connection.execute(sa.delete(table))
    platform.store.delete([layout.record_key(video_id)])
    path = platform.store.local_path(key)
    old = datetime.now(UTC).timestamp() - 3600
    import os

    path.chmod(0o644)
    os.utime(path, (old, old))
    for _ in range(256):
        sensor.tick()
        if videos.get(platform.db, video_id) is not None:
            break
    assert [event.subject for event in requests(platform)] == [video_id]


def test_scratch_of_ended_runs_goes(sensor, settings):
    @dg.job
    def nothing():
        pass

    ended = sensor.instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.FAILURE)
    live = sensor.instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    for run in (ended, live):
        (settings.scratch / run.run_id).mkdir(parents=True)
    sensor.tick()
    assert [entry.name for entry in settings.scratch.iterdir()] == [live.run_id]
    shutil.rmtree(settings.scratch)
