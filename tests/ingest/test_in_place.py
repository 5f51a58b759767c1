"""Footage that is taken in where it lies: referred to, never copied, moved or deleted."""

import os
from pathlib import Path

import pytest
from intake import MP4, announced, leftovers, objects

from video_platform import events
from video_platform.errors import FootageAway, UploadRefused
from video_platform.ingest import Ingest
from video_platform.platform import Platform
from video_platform.records import VideoRecord, VideoState
from video_platform.services import references
from video_platform.services.database import refusals, videos

FOOTAGE = MP4 + b"picture" * 1000


def footage_objects(platform: Platform) -> list[str]:
    return [key for key in objects(platform) if "/raw_video/" in key]


def same_file(path: Path) -> tuple[int, int, int, bytes]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_mode, path.read_bytes()


def now(platform: Platform, video_id: str) -> VideoRecord:
    found = videos.get(platform.db, video_id)
    assert found is not None
    return found


class TestTakingIn:
    def test_it_is_recorded_and_announced_and_nothing_is_copied(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage("front door.mp4")
        before = same_file(path)
        result = ingest.ingest_path(path, camera="gate-1", in_place=True)
        record = result.record
        assert (result.created, record.camera, record.original_name, record.size_bytes) == (True, "gate-1", "front door.mp4", path.stat().st_size)
        assert (record.reference_path, record.reference_modified_ns) == (str(path), path.stat().st_mtime_ns)
        assert footage_objects(platform) == []
        assert leftovers(platform) == []
        assert same_file(path) == before
        [event] = announced(platform)
        assert (event.type, event.subject) == (events.VIDEO_INGESTED, record.video_id)
        assert references.locate(record) == path

    def test_the_same_id_as_a_copy(self, ingest: Ingest, footage) -> None:
        assert ingest.ingest_path(footage("a.mp4"), in_place=True).video_id == ingest.ingest_path(footage("b.mp4")).video_id

    def test_links_are_resolved_when_it_is_taken_in(self, ingest: Ingest, footage, tmp_path: Path) -> None:
        path = footage("a.mp4")
        (tmp_path / "link.mp4").symlink_to(path)
        (tmp_path / "linked").symlink_to(path.parent)
        assert ingest.ingest_path(tmp_path / "link.mp4", in_place=True).record.reference_path == str(path)
        assert ingest.ingest_path(tmp_path / "linked" / ".." / "linked" / "a.mp4", in_place=True).record.reference_path == str(path)

    def test_relative_paths_are_recorded_whole(self, ingest: Ingest, footage, monkeypatch) -> None:
        path = footage("a.mp4")
        monkeypatch.chdir(path.parent)
        assert ingest.ingest_path("a.mp4", in_place=True).record.reference_path == str(path)


class TestRefusing:
    def refused(self, platform: Platform, ingest: Ingest, path: Path, code: str) -> str:
        with pytest.raises(UploadRefused) as raised:
            ingest.ingest_path(path, in_place=True)
        assert raised.value.code == code
        assert [refusal.code for refusal in refusals.page(platform.db)] == [code]
        return raised.value.message

    def test_an_empty_file(self, platform, ingest, footage) -> None:
        self.refused(platform, ingest, footage(content=b""), "empty")

    def test_what_is_not_there(self, platform, ingest, tmp_path) -> None:
        self.refused(platform, ingest, tmp_path / "nothing.mp4", "unreadable")

    def test_a_file_that_is_written(self, platform, ingest, footage) -> None:
        path = footage()
        with path.open("ab"):
            self.refused(platform, ingest, path, "changing")

    def test_a_path_that_cannot_be_written_down(self, platform, ingest, footage) -> None:
        path = footage()
        odd = Path(os.fsdecode(os.fsencode(path.parent) + b"/caf\xe9.mp4"))
        path.rename(odd)
        assert "without --in-place" in self.refused(platform, ingest, odd, "bad_name")

    def test_a_file_of_the_platform_itself(self, platform, ingest) -> None:
        path = platform.settings.home / "objects" / "x.mp4"
        path.write_bytes(FOOTAGE)
        self.refused(platform, ingest, path, "bad_name")


class TestReading:
    @pytest.fixture
    def taken(self, platform, ingest, footage) -> tuple[Path, VideoRecord]:
        path = footage("a.mp4", FOOTAGE)
        return path, ingest.ingest_path(path, in_place=True).record

    def away(self, record: VideoRecord, code: str) -> str:
        assert references.standing(record) == code
        with pytest.raises(FootageAway) as raised, references.reading(record):
            pass
        assert (raised.value.facts["code"], raised.value.path) == (code, record.reference_path)
        assert not raised.value.retriable
        return raised.value.message

    def test_any_part_of_it(self, taken) -> None:
        _, record = taken
        with references.reading(record) as chunks:
            assert b"".join(chunks) == FOOTAGE
        with references.reading(record, offset=10, length=20) as chunks:
            assert b"".join(chunks) == FOOTAGE[10:30]
        with references.reading(record, offset=10**9) as chunks:
            assert b"".join(chunks) == b""

    def test_gone_and_back(self, taken, tmp_path) -> None:
        path, record = taken
        path.rename(tmp_path / "elsewhere.mp4")
        message = self.away(record, "moved")
        assert str(path) in message
        assert "--in-place" in message
        (tmp_path / "elsewhere.mp4").rename(path)
        assert references.standing(record) == "there"

    def test_its_folder_is_gone(self, taken) -> None:
        path, record = taken
        path.unlink()
        path.parent.rmdir()
        self.away(record, "moved")

    def test_a_link_in_its_place_is_not_followed(self, taken, tmp_path) -> None:
        path, record = taken
        path.rename(tmp_path / "elsewhere.mp4")
        path.symlink_to(tmp_path / "elsewhere.mp4")
        assert "link" in self.away(record, "moved")

    def test_a_link_for_its_folder_is_not_followed(self, taken, tmp_path) -> None:
        path, record = taken
        path.parent.rename(tmp_path / "other")
        path.parent.symlink_to(tmp_path / "other")
        assert "link" in self.away(record, "moved")

    @pytest.mark.parametrize("kind", ["folder", "pipe"])
    def test_something_else_in_its_place(self, taken, kind: str) -> None:
        path, record = taken
        path.unlink()
        path.mkdir() if kind == "folder" else os.mkfifo(path)
        self.away(record, "moved")

    def test_other_bytes_of_another_length(self, taken) -> None:
        path, record = taken
        path.write_bytes(FOOTAGE + b"more")
        self.away(record, "changed")
        with pytest.raises(FootageAway):
            references.confirm(record)

    def test_other_bytes_of_the_same_length_are_told_by_the_hash(self, taken) -> None:
        path, record = taken
        path.write_bytes(FOOTAGE[:-1] + b"X")
        assert "touched" in self.away(record, "changed")
        with pytest.raises(FootageAway, match="bytes are others"):
            references.confirm(record)

    def test_a_touched_file_is_confirmed_by_its_hash(self, platform, taken) -> None:
        path, record = taken
        os.utime(path, (1, 1))
        self.away(record, "changed")
        videos.confirm_reference(platform.db, record.video_id, str(path), references.confirm(record))
        assert references.standing(now(platform, record.video_id)) == "there"

    def test_what_is_read_is_the_file_that_was_opened(self, taken, tmp_path) -> None:
        path, record = taken
        with references.reading(record) as chunks:
            path.rename(tmp_path / "elsewhere.mp4")
            path.write_bytes(b"another" * 1000)
            assert b"".join(chunks) == FOOTAGE


class TestBoth:
    """The same bytes by both ways."""

    def test_copied_afterwards_it_needs_the_file_no_longer(self, platform, ingest, footage) -> None:
        path = footage("a.mp4")
        video_id = ingest.ingest_path(path, in_place=True).video_id
        ingest.ingest_path(footage("b.mp4"))
        record = now(platform, video_id)
        assert (record.reference_path, record.reference_modified_ns) == (None, None)
        path.unlink()
        assert platform.store.get_bytes(record.object_key) == FOOTAGE

    def test_copied_before_it_stays_copied(self, platform, ingest, footage) -> None:
        video_id = ingest.ingest_path(footage("a.mp4")).video_id
        result = ingest.ingest_path(footage("b.mp4"), in_place=True)
        assert (result.created, result.record.reference_path) == (False, None)
        assert len(footage_objects(platform)) == 1
        assert now(platform, video_id).reference_path is None

    def test_copied_before_and_lost_the_file_takes_its_place(self, platform, ingest, footage) -> None:
        record = ingest.ingest_path(footage("a.mp4")).record
        platform.store.delete([record.object_key])
        path = footage("b.mp4")
        assert ingest.ingest_path(path, in_place=True).record.reference_path == str(path)

    def test_a_second_place_counts_once_the_first_is_gone(self, platform, ingest, footage) -> None:
        first, second = footage("a.mp4"), footage("b.mp4")
        video_id = ingest.ingest_path(first, in_place=True).video_id
        ingest.ingest_path(second, in_place=True)
        assert now(platform, video_id).reference_path == str(first)
        first.unlink()
        ingest.ingest_path(second, in_place=True)
        assert now(platform, video_id).reference_path == str(second)

    def test_a_video_that_is_ready_is_looked_at_again_when_it_lies_elsewhere(self, platform, ingest, footage) -> None:
        video_id = ingest.ingest_path(footage("a.mp4"), in_place=True).video_id
        make_ready(platform, video_id)
        ingest.ingest_path(footage("b.mp4"))
        ingest.ingest_path(footage("c.mp4"))
        asked = [event.type for event in announced(platform) if event.topic == events.TOPIC_VIDEO_EVENTS]
        assert asked == [events.VIDEO_INGESTED, events.PROCESS_REQUESTED]

    def test_a_failed_one_is_processed_anew_from_its_new_place(self, platform, ingest, footage, tmp_path) -> None:
        path = footage("a.mp4")
        video_id = ingest.ingest_path(path, in_place=True).video_id
        videos.failed(platform.db, video_id, None, "moved", "gone")
        path.rename(tmp_path / "new.mp4")
        result = ingest.ingest_path(tmp_path / "new.mp4", in_place=True)
        assert (result.again, result.record.state, result.record.generation) == (True, VideoState.RECEIVED, 2)
        assert result.record.reference_path == str(tmp_path / "new.mp4")


class TestDeleting:
    def test_the_file_stays(self, platform, ingest, footage) -> None:
        path = footage("a.mp4")
        before = same_file(path)
        video_id = ingest.ingest_path(path, in_place=True).video_id
        assert ingest.delete(video_id, "somebody").objects >= 0
        assert same_file(path) == before
        record = now(platform, video_id)
        assert (record.state, record.reference_path) == (VideoState.DELETED, None)
        assert ingest.ingest_path(path, in_place=True).created

    def test_a_deleted_one_comes_back_as_a_copy(self, platform, ingest, footage) -> None:
        path = footage("a.mp4")
        video_id = ingest.ingest_path(path, in_place=True).video_id
        ingest.delete(video_id, "somebody")
        assert ingest.ingest_path(path).record.reference_path is None
        assert len(footage_objects(platform)) == 1


def make_ready(platform: Platform, video_id: str) -> None:
    from intake import with_alert

    with_alert(platform, video_id)
    videos.finished(platform.db, video_id, "run")
    assert now(platform, video_id).state is VideoState.READY
