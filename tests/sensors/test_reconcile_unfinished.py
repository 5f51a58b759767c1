from datetime import UTC, datetime

import dagster as dg
import pytest
import sqlalchemy as sa
from reconciling import age, footage, read_all, requests

from sensors import consuming
from sensors.reconcile_tick import Memory, Tick
from sensors.reconcile_unfinished import MAX_ATTEMPTS, mend_unfinished
from video_platform import events
from video_platform.errors import StoreFull, StoreUnavailable
from video_platform.ingest import Ingest
from video_platform.pipeline.failures import INTERRUPTED, QUARANTINED
from video_platform.pipeline.resources import Desk
from video_platform.records import VideoState
from video_platform.services.database import outbox, videos
from video_platform.services.database.tables import videos as table


def test_a_video_in_somebodys_hands_is_left_alone(sensor, platform, tmp_path):
    footage(platform, tmp_path)
    sensor.tick()
    assert requests(platform) == []


def test_many_videos_that_failed_for_good_cost_few_questions_and_do_not_hide_the_others(sensor, platform, tmp_path):
    first, last = footage(platform, tmp_path, 1), footage(platform, tmp_path, 2)
    videos.failed(platform.db, first, None, "not_a_video", "This file is not a video.")
    for video_id in (first, last):
        age(platform, video_id)
    with platform.db.write() as connection:
        row = connection.execute(sa.select(table).where(table.c.video_id == first)).one()._asdict()
        connection.execute(sa.insert(table), [{**row, "video_id": f"{number:016x}"} for number in range(1000)])
    asked = []

    def note(_connection, _cursor, statement, *_more):
        asked.append(statement)

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
    try:
        with dg.build_sensor_context(instance=sensor.instance) as context:
            mend_unfinished(Tick(context, Desk(sensor.workplace, None, False), Memory(), datetime.now(UTC), set(), set()))
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)
    assert sum("FROM videos" in statement for statement in asked) < 50
    assert [event.subject for event in requests(platform)] == [last]


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
