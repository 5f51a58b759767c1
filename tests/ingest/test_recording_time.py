"""The recording time of footage that nobody told: from its name, unless somebody did tell, or does later."""

from datetime import UTC, datetime

import pytest
from intake import NOW

from video_platform.ingest import Ingest
from video_platform.platform import Platform
from video_platform.services.database import videos
from video_platform.settings import RecordingSettings

NAME = "gate 2025-11-23T08-30-00.mp4"
LOCAL = datetime(2025, 11, 23, 7, 30, tzinfo=UTC)
OTHER = datetime(2025, 11, 23, 8, 30, tzinfo=UTC)


@pytest.fixture
def named(platform: Platform):
    def with_settings(**values: object) -> Ingest:
        recording = RecordingSettings.model_validate({"timezone": "Europe/Berlin", **values})
        return Ingest(platform.settings.model_copy(update={"recording": recording}), platform.db, platform.store)

    return with_settings


def test_the_name_tells(named, footage):
    assert named().ingest_path(footage(NAME)).record.recorded_at == LOCAL


def test_what_was_said_counts_more(named, footage):
    assert named().ingest_path(footage(NAME), recorded_at=NOW).record.recorded_at == NOW


def test_each_camera_may_have_its_zone(named, footage):
    ingest = named(timezones="gate-*=UTC, yard=Asia/Kolkata")
    assert ingest.ingest_path(footage(NAME), camera="gate-2").record.recorded_at == OTHER
    other = ingest.ingest_path(footage("b 2025-11-23T08-30-00.mp4", b"\x00\x00\x00\x18ftypmp42other"), camera="elsewhere")
    assert other.record.recorded_at == LOCAL


def test_it_can_be_switched_off_and_a_name_without_a_time_is_unknown(named, footage):
    assert named(from_name=False).ingest_path(footage(NAME)).record.recorded_at is None
    assert named().ingest_path(footage("door.mp4", b"\x00\x00\x00\x18ftypmp42door")).record.recorded_at is None


def test_an_upload_is_named_when_it_ends(named):
    stream = named().begin_stream("upload")
    stream.write(b"\x00\x00\x00\x18ftypmp42stream")
    assert stream.finish(name=NAME).record.recorded_at == LOCAL


def test_the_same_bytes_again_under_another_name_keep_their_time(named, footage, platform):
    first = named().ingest_path(footage("door.mp4"))
    again = named().ingest_path(footage(NAME))
    assert (again.video_id, again.record.recorded_at) == (first.video_id, None)
    named().correct(first.video_id, recorded_at=NOW)
    found = videos.get(platform.db, first.video_id)
    assert found
    assert found.recorded_at == NOW


def test_what_the_container_says_is_noted_only_where_nothing_is_known(named, footage, platform):
    known, unknown = named().ingest_path(footage(NAME)), named().ingest_path(footage("door.mp4", b"\x00\x00\x00\x18ftypmp42door"))
    assert videos.note_recorded_at(platform.db, known.video_id, NOW) is False
    assert videos.note_recorded_at(platform.db, unknown.video_id, NOW) is True
    assert videos.note_recorded_at(platform.db, "0" * 16, NOW) is False
    records = [videos.get(platform.db, each.video_id) for each in (known, unknown)]
    assert [record.recorded_at for record in records if record] == [LOCAL, NOW]
