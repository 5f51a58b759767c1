from datetime import timedelta

import pytest
from graphs import CROSSING, Graph
from reconciling import age, read_all, requests

from sensors.reconcile_unfinished import MAX_ATTEMPTS
from video_platform import events, layout
from video_platform.pipeline.failures import CANCELLED, QUARANTINED
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.pipeline.made import read_manifest
from video_platform.records import VideoState
from video_platform.services.database import videos


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


def test_what_a_killed_run_left_unfindable_is_asked_for_until_it_is_given_up(unasked, sensor, platform, settings):
    assert Graph(settings).run(unasked, [layout.LLM_SUMMARY], job=DESCRIBE_VIDEO).success
    keys = set()
    for _ in range(MAX_ATTEMPTS + 2):
        age(platform, unasked)
        keys.update(request.run_key for request in sensor.tick().run_requests or [])
    assert len(keys) == MAX_ATTEMPTS
    assert all("reconcile:index" in key for key in keys)
    assert Graph(settings).run(unasked, [layout.SEARCH_INDEX], job=DESCRIBE_VIDEO).success
    age(platform, unasked)
    assert not sensor.tick().run_requests  # given up, although what is seen and said is lacking too
    assert Graph(settings).run(unasked, [layout.DESCRIBED_ALERTS], job=DESCRIBE_VIDEO).success
    age(platform, unasked)
    assert not sensor.tick().run_requests
    assert videos.get(platform.db, unasked).summary_failure_code is None


def test_a_summary_from_before_there_was_search_is_left_to_a_backfill(unasked, sensor, platform, settings):
    assert Graph(settings).run(unasked, [layout.LLM_SUMMARY], job=DESCRIBE_VIDEO).success
    summary = read_manifest(platform.store, unasked, layout.LLM_SUMMARY)
    older = summary.model_copy(update={"created_at": summary.created_at - timedelta(days=2)})
    platform.store.put_bytes(layout.manifest_key(unasked, layout.LLM_SUMMARY), older.model_dump_json().encode(), media_type="application/json")
    age(platform, unasked)
    assert not sensor.tick().run_requests


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
