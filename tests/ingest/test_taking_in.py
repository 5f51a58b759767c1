"""Footage becomes a video: stored, recorded, announced, once."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from intake import MP4, NOW, announced, leftovers, objects
from pydantic import SecretStr

from scripts.services import S3Server
from video_platform import events, layout
from video_platform.errors import InputError, IntegrityError, ObjectNotFound, PlatformError, StateError, UploadRefused
from video_platform.ingest import Ingest
from video_platform.platform import Platform, open_platform
from video_platform.records import Lane, VideoState
from video_platform.services.database import outbox, videos
from video_platform.settings import ObjectSettings, Settings
from video_platform.units import MIB


class TestTakingIn:
    def test_it_is_stored_recorded_and_announced(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage("front door.mp4")
        result = ingest.ingest_path(path, camera="gate-1", recorded_at=NOW, lane=Lane.BACKFILL)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        record = result.record
        assert (result.video_id, result.created, result.again) == (sha256[:16], True, False)
        assert (record.sha256, record.original_name, record.camera, record.recorded_at) == (sha256, "front door.mp4", "gate-1", NOW)
        assert (record.size_bytes, record.media_type, record.lane, record.state) == (path.stat().st_size, "video/mp4", Lane.BACKFILL, VideoState.RECEIVED)
        assert platform.store.get_bytes(record.object_key) == path.read_bytes()
        [event] = announced(platform)
        assert (event.type, event.id) == (events.VIDEO_INGESTED, events.event_id(events.VIDEO_INGESTED, record.video_id, 1))
        assert isinstance(event.body, events.VideoBody)
        assert (event.body.object_key, event.body.sha256, event.body.lane) == (record.object_key, sha256, Lane.BACKFILL)
        assert leftovers(platform) == []
        assert path.exists()

    def test_the_same_bytes_are_one_video(self, platform: Platform, ingest: Ingest, footage) -> None:
        first = ingest.ingest_path(footage("a.mp4"), camera="gate")
        second = ingest.ingest_path(footage("b.mov"), camera="yard")
        assert (second.video_id, second.created, second.again) == (first.video_id, False, False)
        assert (second.record.original_name, second.record.camera) == ("a.mp4", "gate")
        assert len(announced(platform)) == 1
        assert len(objects(platform)) == 1
        assert leftovers(platform) == []

    def test_what_was_taken_in_quietly_is_announced_by_a_repeat(self, platform: Platform, ingest: Ingest, footage) -> None:
        ingest.ingest_path(footage(), announce=False)
        assert announced(platform) == []
        ingest.ingest_path(footage())
        ingest.ingest_path(footage())
        assert len(announced(platform)) == 1

    def test_a_failed_video_is_processed_again_under_a_new_generation(self, platform: Platform, ingest: Ingest, footage) -> None:
        first = ingest.ingest_path(footage(), camera="gate", recorded_at=NOW)
        videos.failed(platform.db, first.video_id, "run", "truncated", "cut")
        again = ingest.ingest_path(footage("other.mp4"))
        assert (again.created, again.again, again.record.generation, again.record.state) == (False, True, 2, VideoState.RECEIVED)
        assert (again.record.camera, again.record.original_name, again.record.recorded_at) == ("gate", "a.mp4", NOW)
        assert again.record.failure_code is None
        videos.failed(platform.db, first.video_id, "run", "truncated", "cut")
        named = ingest.ingest_path(footage(), camera="yard", name="renamed.mp4")
        assert (named.record.camera, named.record.original_name, named.record.generation) == ("yard", "renamed.mp4", 3)
        assert len({event.id for event in announced(platform)}) == 3

    def test_many_at_once_are_one_video(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage(content=MP4 + os.urandom(MIB))
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: ingest.ingest_path(path), range(16)))
        assert sorted(result.created for result in results) == [False] * 15 + [True]
        assert len(announced(platform)) == 1
        assert len(objects(platform)) == 1
        assert leftovers(platform) == []
        assert list((platform.settings.home / "locks").iterdir()) == []

    def test_events_leave_at_once_on_the_embedded_log(self, platform: Platform, footage) -> None:
        platform.ingest.ingest_path(footage())
        assert sum(platform.log.end_offsets(events.TOPIC_VIDEO_EVENTS).values()) == 1
        assert outbox.pending(platform.db).waiting == 0

    def test_the_file_may_be_a_link_that_somebody_names(self, ingest: Ingest, footage, tmp_path: Path) -> None:
        link = tmp_path / "link.mp4"
        link.symlink_to(footage())
        assert ingest.ingest_path(link).created


class TestStreams:
    def test_pieces_become_a_video_and_later_words_win(self, platform: Platform, ingest: Ingest) -> None:
        incoming = ingest.begin_stream("upload", "gate")
        for piece in (MP4, bytearray(b"abc"), memoryview(b"def")):
            incoming.write(piece)
        assert incoming.size_bytes == len(MP4) + 6
        result = incoming.finish(name="real name.mp4", camera="yard", recorded_at=NOW, lane=Lane.BACKFILL)
        assert platform.store.get_bytes(result.record.object_key) == MP4 + b"abcdef"
        assert (result.record.original_name, result.record.camera, result.record.recorded_at) == ("real name.mp4", "yard", NOW)
        with pytest.raises(StateError):
            incoming.write(b"more")

    def test_an_aborted_stream_leaves_nothing(self, platform: Platform, ingest: Ingest) -> None:
        with ingest.begin_stream("upload") as incoming:
            incoming.write(MP4)
            assert len(leftovers(platform)) == 1
        assert leftovers(platform) == []
        assert objects(platform) == []

    def test_an_empty_stream_is_refused(self, platform: Platform, ingest: Ingest) -> None:
        with pytest.raises(UploadRefused) as raised:
            ingest.begin_stream("upload.mp4").finish()
        assert raised.value.code == "empty"
        assert leftovers(platform) == []


class Harmful:
    """The real store, with one method that does harm once."""

    def __init__(self, store: object, harm: Callable[[str], None]) -> None:
        self.store, self.harm = store, harm

    def put_file(self, key: str, path: Path, **given: object) -> bool:
        placed = self.store.put_file(key, path, **given)  # type: ignore[attr-defined]
        self.harm(key)
        return placed

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


class TestIntegrity:
    def test_a_store_that_keeps_other_bytes_is_caught(self, platform: Platform, footage) -> None:
        def harm(key: str) -> None:
            path = platform.store.local_path(key)
            assert path is not None
            path.write_bytes(b"other")

        ingest = Ingest(platform.settings, platform.db, Harmful(platform.store, harm))  # type: ignore[arg-type]
        with pytest.raises(IntegrityError):
            ingest.ingest_path(footage())
        assert objects(platform) == []
        assert videos.page(platform.db)[1] == 0

    def test_a_damaged_object_without_a_row_is_replaced(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        platform.store.put_bytes(layout.file_key(sha256[:16], layout.RAW_VIDEO, sha256, "mp4"), b"torn", media_type="video/mp4")
        record = ingest.ingest_path(path).record
        assert platform.store.get_bytes(record.object_key) == path.read_bytes()

    def test_a_lost_object_is_restored_by_a_repeat(self, platform: Platform, ingest: Ingest, footage) -> None:
        record = ingest.ingest_path(footage()).record
        platform.store.delete([record.object_key])
        assert not ingest.ingest_path(footage()).created
        assert platform.store.stat(record.object_key).size_bytes == record.size_bytes

    def test_a_kill_between_object_and_row_is_completed_by_a_repeat(self, platform: Platform, ingest: Ingest, footage) -> None:
        def harm(_: str) -> None:
            raise KeyboardInterrupt

        cut = Ingest(platform.settings, platform.db, Harmful(platform.store, harm))  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            cut.ingest_path(footage())
        assert len(objects(platform)) == 1
        assert videos.page(platform.db)[1] == 0
        assert ingest.ingest_path(footage()).created
        assert len(announced(platform)) == 1

    def test_or_taken_up_by_adoption(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        key = layout.file_key(sha256[:16], layout.RAW_VIDEO, sha256, "mp4")
        platform.store.put_file(key, path, media_type="video/mp4")
        result = ingest.adopt(key)
        assert (result.created, result.record.size_bytes, result.record.media_type) == (True, path.stat().st_size, "video/mp4")
        assert not ingest.adopt(key).created
        assert len(announced(platform)) == 1
        other = layout.file_key("f" * 16, layout.RAW_VIDEO, "f" * 64, "mp4")
        platform.store.put_bytes(other, b"not what the name says", media_type="video/mp4")
        with pytest.raises(IntegrityError):
            ingest.adopt(other)
        with pytest.raises(InputError):
            ingest.adopt(layout.file_key(sha256[:16], layout.SCENES, sha256, "jpg"))


@pytest.mark.s3
def test_footage_goes_into_an_s3_store_and_out_again(tmp_path: Path, footage, s3_server: S3Server) -> None:
    given = s3_server.environment
    kept = ObjectSettings(
        kind="s3",
        endpoint=given["VIDEO_PLATFORM_OBJECTS__ENDPOINT"],
        access_key=SecretStr(given["VIDEO_PLATFORM_OBJECTS__ACCESS_KEY"]),
        secret_key=SecretStr(given["VIDEO_PLATFORM_OBJECTS__SECRET_KEY"]),
    )
    path = footage(content=MP4 + os.urandom(20 * MIB))
    with open_platform(Settings(home=tmp_path / "home", objects=kept)) as platform:
        first = platform.ingest.ingest_path(path)
        assert first.created
        assert not platform.ingest.ingest_path(path).created
        with platform.store.open(first.record.object_key) as chunks:
            assert hashlib.sha256(b"".join(chunks)).hexdigest() == first.record.sha256
        assert leftovers(platform) == []
        assert platform.ingest.delete(first.video_id, "kim").objects == 1
        assert platform.ingest.ingest_path(path).record.generation == 2
        platform.ingest.delete(first.video_id, "kim")


def test_the_database_away_is_one_clear_error(platform: Platform, ingest: Ingest, footage) -> None:
    path = footage()
    with platform.db.write() as connection:
        connection.exec_driver_sql("drop table deliveries")
        connection.exec_driver_sql("alter table videos rename to gone")
    with pytest.raises(PlatformError, match="no such table"):
        ingest.ingest_path(path)
    assert leftovers(platform) == []
    with pytest.raises(ObjectNotFound):
        platform.store.stat("videos/none")
