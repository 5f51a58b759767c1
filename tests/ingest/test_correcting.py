"""Processing asked for again, and words about a video corrected."""

from datetime import timedelta

import pytest
from intake import NOW, announced, with_alert

from video_platform import events
from video_platform.errors import InputError, NotFound, VideoDeleted
from video_platform.ingest import Ingest
from video_platform.platform import Platform
from video_platform.records import Lane, VideoState
from video_platform.services.database import ledger, videos


class TestRequests:
    def test_a_request_asks_once_per_id(self, platform: Platform, ingest: Ingest, footage) -> None:
        video_id = ingest.ingest_path(footage()).video_id
        ingest.request_processing(video_id, lane=Lane.BACKFILL, force=True, request_id="r1")
        ingest.request_processing(video_id, request_id="r1")
        ingest.request_processing(video_id)
        requests = [event for event in announced(platform) if event.type == events.PROCESS_REQUESTED]
        assert len({event.id for event in requests}) == len(requests) == 2
        assert isinstance(requests[0].body, events.VideoBody)
        assert (requests[0].body.lane, requests[0].body.force) == (Lane.BACKFILL, True)

    def test_a_retried_video_waits_again(self, platform: Platform, ingest: Ingest, footage) -> None:
        video_id = ingest.ingest_path(footage()).video_id
        videos.failed(platform.db, video_id, "run", "WorkerCrashed", "the child died")
        ingest.retry(video_id)
        record = videos.get(platform.db, video_id)
        assert record is not None
        assert (record.state, record.failure_code, record.generation) == (VideoState.RECEIVED, None, 1)

    def test_nothing_to_ask_of(self, ingest: Ingest, footage) -> None:
        with pytest.raises(NotFound):
            ingest.request_processing("f" * 16)
        video_id = ingest.ingest_path(footage()).video_id
        ingest.delete(video_id, "kim")
        with pytest.raises(VideoDeleted):
            ingest.retry(video_id)


class TestCorrecting:
    def test_alerts_follow_and_rules_are_evaluated_again(self, platform: Platform, ingest: Ingest, footage) -> None:
        video_id = ingest.ingest_path(footage(), camera="gate").video_id
        alert_id = with_alert(platform, video_id)
        assert ingest.correct(video_id, camera="yard", recorded_at=NOW)
        alert = ledger.get(platform.db, alert_id)
        assert alert is not None
        assert (alert.camera, alert.start_time) == ("yard", NOW + timedelta(seconds=10))
        event = announced(platform)[-1]
        assert isinstance(event.body, events.VideoBody)
        assert (event.type, event.body.camera, event.body.recorded_at) == (events.PROCESS_REQUESTED, "yard", NOW)
        count = len(announced(platform))
        assert not ingest.correct(video_id, camera="yard", recorded_at=NOW)
        assert not ingest.correct(video_id)
        assert len(announced(platform)) == count

    def test_what_is_not_processed_yet_is_only_corrected(self, platform: Platform, ingest: Ingest, footage) -> None:
        video_id = ingest.ingest_path(footage()).video_id
        assert ingest.correct(video_id, camera="yard")
        assert [event.type for event in announced(platform)] == [events.VIDEO_INGESTED]

    def test_wrong_words_change_nothing(self, ingest: Ingest, footage) -> None:
        video_id = ingest.ingest_path(footage()).video_id
        with pytest.raises(InputError):
            ingest.correct(video_id, camera="a/b")
        with pytest.raises(NotFound):
            ingest.correct("f" * 16, camera="yard")
