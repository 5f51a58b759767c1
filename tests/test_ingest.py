import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from services_fixtures import s3_server

from scripts.services import S3Server
from video_platform import events, ingest_spool, layout
from video_platform.errors import InputError, IntegrityError, NotFound, ObjectNotFound, PlatformError, StateError, StoreFull, UploadRefused, VideoDeleted
from video_platform.ingest import Ingest, check_camera, collect
from video_platform.ingest_files import display_name, kind_of, open_footage
from video_platform.platform import Platform, open_platform
from video_platform.records import Episode, Lane, Mark, Severity, VideoState
from video_platform.services.database import ledger, outbox, refusals, videos
from video_platform.services.database.outbox import Kind
from video_platform.services.database.tables import alerts, deliveries
from video_platform.settings import GIB, MIB, MediaSettings, ObjectSettings, Settings

__all__ = ["s3_server"]

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41"

PEAK_GROWTH = 150 * MIB
"""What taking in footage of any size may cost in memory."""


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with open_platform(Settings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def ingest(platform: Platform) -> Ingest:
    """Without a relay, so that what was announced can be seen waiting."""
    return Ingest(platform.settings, platform.db, platform.store)


@pytest.fixture
def footage(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "a.mp4", content: bytes = MP4 + b"picture" * 1000) -> Path:
        path = tmp_path / "footage" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make


def announced(platform: Platform) -> list[events.Event]:
    return [events.decode(row.message) for row in outbox.waiting(platform.db, Kind.EVENT)]


def leftovers(platform: Platform) -> list[Path]:
    folders = [platform.store.incoming, platform.settings.spool]
    return [path for folder in folders if folder is not None and folder.is_dir() for path in folder.iterdir()]


def objects(platform: Platform) -> list[str]:
    return [info.key for info in platform.store.list("")]


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


class TestNames:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("a video.mp4", "a video.mp4"),
            ("../../etc/passwd.mp4", "passwd.mp4"),
            ("C:\\Users\\kim\\film.mp4", "film.mp4"),
            ("..", "unnamed"),
            ("", "unnamed"),
            ("-rf", "-rf"),
            ("two\nlines\t.mp4", "two lines .mp4"),
            ("bell\x07\x1b[31m.mp4", "bell__[31m.mp4"),
            ("👩‍👩‍👧 party.mp4", "👩‍👩‍👧 party.mp4"),
            ("evil\u202e4pm.exe", "evil_4pm.exe"),
            ("bad\udcffbytes.mp4", "bad?bytes.mp4"),
            ("é.mp4", "é.mp4"),
            ("x" * 300 + ".mp4", "x" * 195 + "….mp4"),
            ("y" * 300, "y" * 200),
        ],
    )
    def test_shown(self, name: str, shown: str) -> None:
        assert display_name(name) == shown
        assert len(shown) <= 200

    @pytest.mark.parametrize("name", ["-rf.mp4", "with space.mp4", "new\nline.mp4", "🎥.mp4", "n" * 250 + ".mp4", "..mp4", "%s{0}.mp4"])
    def test_files_of_any_name_are_taken_in(self, ingest: Ingest, footage, name: str) -> None:
        result = ingest.ingest_path(footage(name, content=MP4 + name.encode()))
        assert result.created
        assert "\n" not in result.record.original_name

    @pytest.mark.parametrize("camera", ["", "..", ".hidden", "a/b", "a b", "x" * 65, "gate\n", "-x", "cämera"])
    def test_camera_names_that_cannot_be_used(self, platform: Platform, ingest: Ingest, footage, camera: str) -> None:
        with pytest.raises(InputError, match="letters, digits"):
            ingest.ingest_path(footage(), camera=camera)
        assert objects(platform) == []
        with pytest.raises(InputError):
            check_camera(camera)

    def test_a_recording_time_needs_a_zone(self, ingest: Ingest, footage) -> None:
        with pytest.raises(InputError, match="time zone"):
            ingest.ingest_path(footage(), recorded_at=NOW.replace(tzinfo=None))

    @pytest.mark.parametrize(
        ("head", "name", "extension"),
        [
            (MP4, "x", "mp4"),
            (MP4, "x.avi", "mp4"),
            (b"\x00\x00\x00\x14ftypqt  ", "x", "mov"),
            (b"\x1a\x45\xdf\xa3....webm", "x", "webm"),
            (b"\x1a\x45\xdf\xa3....matroska", "x", "mkv"),
            (b"RIFF....AVI LIST", "x", "avi"),
            ((b"G" + b"\x00" * 187) * 4, "x", "ts"),
            (b"anything", "FILM.MPEG", "mpeg"),
            (b"anything", "notes.txt", "bin"),
            (b"", "mp4", "mp4"),
        ],
    )
    def test_kinds(self, head: bytes, name: str, extension: str) -> None:
        assert kind_of(head, name)[0] == extension


class TestRefusing:
    def refused(self, ingest: Ingest, path: Path, code: str) -> UploadRefused:
        with pytest.raises(UploadRefused) as raised:
            ingest.ingest_path(path)
        assert raised.value.code == code
        return raised.value

    def test_an_empty_file(self, platform: Platform, ingest: Ingest, footage) -> None:
        self.refused(ingest, footage(content=b""), "empty")
        [refusal] = refusals.page(platform.db)
        assert (refusal.name, refusal.code) == ("a.mp4", "empty")
        assert leftovers(platform) == []

    def test_what_is_not_there(self, ingest: Ingest, tmp_path: Path) -> None:
        assert "nothing.mp4" in str(self.refused(ingest, tmp_path / "nothing.mp4", "unreadable"))

    def test_a_folder(self, ingest: Ingest, tmp_path: Path) -> None:
        assert "a folder" in str(self.refused(ingest, tmp_path, "unreadable"))

    def test_a_pipe_does_not_block(self, ingest: Ingest, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        assert "a pipe" in str(self.refused(ingest, tmp_path / "pipe.mp4", "unreadable"))

    def test_a_socket(self, ingest: Ingest, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s.mp4")
            assert "a socket" in str(self.refused(ingest, Path("s.mp4"), "unreadable"))

    def test_a_device(self, ingest: Ingest) -> None:
        assert "a device" in str(self.refused(ingest, Path("/dev/zero"), "unreadable"))

    def test_a_name_that_no_file_can_have(self, ingest: Ingest) -> None:
        self.refused(ingest, Path("a\0b.mp4"), "unreadable")
        self.refused(ingest, Path("x" * 5000), "unreadable")

    def test_no_permission(self, footage) -> None:
        path = footage()
        path.chmod(0)
        user = os.geteuid()
        if user == 0:  # root may read everything, so ask as somebody else
            os.seteuid(65534)
        try:
            with pytest.raises(UploadRefused, match="Permission denied") as raised:
                open_footage(path, 1000)
        finally:
            os.seteuid(user)
        assert raised.value.code == "unreadable"

    def test_too_large(self, platform: Platform, footage) -> None:
        small = platform.settings.model_copy(update={"media": MediaSettings(max_bytes=100)})
        ingest = Ingest(small, platform.db, platform.store)
        assert "VIDEO_PLATFORM_MEDIA__MAX_BYTES" in str(self.refused(ingest, footage(), "too_large"))
        with ingest.begin_stream("a.mp4") as incoming:
            incoming.write(b"x" * 100)
            with pytest.raises(UploadRefused) as raised:
                incoming.write(b"x")
        assert raised.value.code == "too_large"
        assert leftovers(platform) == []

    def test_a_file_that_is_still_being_written(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage(content=MP4 + b"x" * (64 * MIB))
        stop = threading.Event()

        def grow() -> None:
            with path.open("ab") as file:
                while not stop.is_set():
                    file.write(b"more")
                    file.flush()

        writer = threading.Thread(target=grow)
        writer.start()
        try:
            self.refused(ingest, path, "changing")
        finally:
            stop.set()
            writer.join()
        assert objects(platform) == []
        assert leftovers(platform) == []

    def test_no_space(self, platform: Platform, tmp_path: Path) -> None:
        size_bytes = shutil.disk_usage(platform.settings.home).free + GIB
        path = tmp_path / "huge.mp4"
        with path.open("wb") as file:
            file.truncate(size_bytes)
        patient = platform.settings.model_copy(update={"media": MediaSettings(max_bytes=2 * size_bytes)})
        with pytest.raises(StoreFull, match="no space"):
            Ingest(patient, platform.db, platform.store).ingest_path(path)
        assert leftovers(platform) == []

    def test_a_full_disk_in_the_middle(self, platform: Platform, footage) -> None:
        """A small file system of its own, filled to the brim by the footage."""
        mount = subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True, check=False)
        if mount.returncode != 0:
            pytest.skip("no mount namespaces here")
        script = (
            "import sys, pathlib\n"
            "from video_platform.errors import StoreFull\n"
            "from video_platform.ingest_spool import SpoolFile\n"
            "spool = SpoolFile(pathlib.Path(sys.argv[1]))\n"
            "try:\n"
            "    while True: spool.write(bytes(1 << 20))\n"
            "except StoreFull as error:\n"
            "    spool.discard(); print('full', len(list(pathlib.Path(sys.argv[1]).iterdir())))\n"
        )
        folder = platform.settings.home / "small"
        folder.mkdir()
        command = f'mount -t tmpfs -o size=8m none "{folder}" && exec "{sys.executable}" -c "$0" "{folder}"'
        done = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c", command, script], capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["full", "0"], done.stderr


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


def with_alert(platform: Platform, video_id: str, *, channels: tuple[str, ...] = ()) -> str:
    facts = {"person": (Severity.WARNING, channels)}
    episodes = [Episode("person", "appears", 10, 20, (1,), None, None)]
    given = ledger.EvaluationInput(video_id, "alerts", "f", "c", "t", "r", episodes, facts, Lane.LIVE, None, datetime.now(UTC), "1")
    return ledger.reconcile(platform.db, given).raised[0]


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


class TestDeleting:
    def test_everything_goes_but_a_tombstone(self, platform: Platform, ingest: Ingest, footage) -> None:
        video_id = ingest.ingest_path(footage()).video_id
        platform.store.put_bytes(layout.manifest_key(video_id, layout.TRACKS), b"{}", media_type="application/json")
        ledger.mark(platform.db, with_alert(platform, video_id, channels=("ops",)), Mark.FALSE, "kim", NOW)
        assert outbox.pending(platform.db).notifications == 1
        events_before = len(announced(platform))
        deleted = ingest.delete(video_id, "kim", "asked by the neighbour")
        assert (deleted.objects, deleted.alerts, deleted.already) == (2, 1, False)
        assert objects(platform) == []
        assert videos.page(platform.db)[1] == 0
        assert ledger.page(platform.db)[1] == 0
        assert ledger.evaluated(platform.db, video_id, "alerts") is None
        assert outbox.pending(platform.db).notifications == 0
        assert len(announced(platform)) == events_before
        with platform.db.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one() == 0
            assert connection.execute(sa.select(sa.func.count()).select_from(alerts)).scalar_one() == 0
        stone = videos.tombstone(platform.db, video_id)
        assert stone is not None
        assert (stone.deleted_by, stone.reason) == ("kim", "asked by the neighbour")
        assert stone.objects_removed_at is not None
        assert ingest.delete(video_id, "lee").already
        assert videos.tombstone(platform.db, video_id) == stone

    def test_what_never_was(self, ingest: Ingest) -> None:
        with pytest.raises(NotFound):
            ingest.delete("f" * 16, "kim")

    def test_the_same_footage_comes_back_under_a_new_generation(self, platform: Platform, ingest: Ingest, footage) -> None:
        first = ingest.ingest_path(footage("a.mp4"), camera="gate", recorded_at=NOW)
        alert = with_alert(platform, first.video_id)
        ingest.delete(first.video_id, "kim")
        back = ingest.ingest_path(footage("b.mp4"))
        assert (back.created, back.record.generation, back.record.state) == (True, 2, VideoState.RECEIVED)
        assert (back.record.camera, back.record.original_name, back.record.recorded_at) == ("default", "b.mp4", None)
        assert videos.tombstone(platform.db, first.video_id) is None
        assert platform.store.stat(back.record.object_key).size_bytes == back.record.size_bytes
        assert with_alert(platform, first.video_id) != alert
        assert len({event.id for event in announced(platform) if event.type == events.ALERT_RAISED}) == 2

    @pytest.mark.parametrize("completed_by", ["finish_deletes", "delete", "ingest"])
    def test_a_killed_deletion_is_completed(self, platform: Platform, ingest: Ingest, footage, completed_by: str) -> None:
        video_id = ingest.ingest_path(footage()).video_id
        platform.store.put_bytes(layout.manifest_key(video_id, layout.TRACKS), b"old", media_type="application/json")

        class Cut:
            def delete_prefix(self, prefix: str) -> int:
                raise KeyboardInterrupt

            def __getattr__(self, name: str) -> object:
                return getattr(platform.store, name)

        with pytest.raises(KeyboardInterrupt):
            Ingest(platform.settings, platform.db, Cut()).delete(video_id, "kim")  # type: ignore[arg-type]
        assert len(objects(platform)) == 2
        if completed_by == "ingest":
            assert ingest.ingest_path(footage()).record.generation == 2
            assert len(objects(platform)) == 1  # the old manifest is gone, the footage is new
            return
        if completed_by == "delete":
            assert ingest.delete(video_id, "kim").objects == 2
        else:
            assert ingest.finish_deletes() == [video_id]
        assert objects(platform) == []
        assert ingest.finish_deletes() == []

    def test_deleting_and_taking_in_at_once_ends_whole(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage(content=MP4 + os.urandom(4 * MIB))
        video_id = ingest.ingest_path(path).video_id

        def turn(number: int) -> None:
            if number % 2:
                ingest.ingest_path(path)
            else:
                ingest.delete(video_id, "kim")

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(turn, range(60)))
        record = videos.get(platform.db, video_id)
        assert record is not None
        if record.state is VideoState.DELETED:
            assert objects(platform) == []
        else:
            assert platform.store.stat(record.object_key).size_bytes == path.stat().st_size


class TestSweeping:
    def test_leftovers_of_dead_processes_go_and_living_uploads_stay(self, platform: Platform, ingest: Ingest) -> None:
        folder = platform.store.incoming
        assert folder is not None
        dead = folder / "1234-dead.part"
        dead.write_bytes(b"half")
        old = time.time() - 3600
        os.utime(dead, (old, old))
        with ingest.begin_stream("upload") as living:
            living.write(MP4)
            [path] = [each for each in leftovers(platform) if each != dead]
            os.utime(path, (old, old))
            assert ingest.sweep() == 1
            assert leftovers(platform) == [path]
            assert living.finish(name="a.mp4").created

    def test_a_young_file_is_left_alone(self, platform: Platform, ingest: Ingest) -> None:
        assert platform.store.incoming is not None
        (platform.store.incoming / "1-new.part").write_bytes(b"")
        assert ingest.sweep() == 0

    def test_a_lock_waits_for_its_holder(self, tmp_path: Path) -> None:
        order: list[str] = []
        inside = threading.Event()

        def second() -> None:
            inside.wait()
            with ingest_spool.held(tmp_path / "locks", "v"):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        with ingest_spool.held(tmp_path / "locks", "v"):
            inside.set()
            with (tmp_path / "locks" / "v").open() as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            order.append("first")
        thread.join(10)
        assert order == ["first", "second"]
        assert list((tmp_path / "locks").iterdir()) == []


class TestCollecting:
    def test_a_file_is_itself(self, tmp_path: Path) -> None:
        assert collect(tmp_path / "missing.mp4").files == [tmp_path / "missing.mp4"]

    def test_a_folder_of_mixed_files(self, tmp_path: Path, footage) -> None:
        root = footage("b.mp4").parent
        footage("a/c.avi", b"no signature")
        footage("no-extension")
        footage("notes.txt", b"hello")
        footage("empty.mp4", b"")
        footage(".hidden.mp4")
        footage(".git/x.mp4")
        os.mkfifo(root / "pipe.mp4")
        outside = tmp_path / "outside.mp4"
        outside.write_bytes(MP4)
        (root / "leads-out.mp4").symlink_to(outside)
        (root / "inside.mp4").symlink_to(root / "b.mp4")
        (root / "dangling.mp4").symlink_to(root / "nothing")
        (root / "loop").symlink_to(root)
        found = collect(root)
        assert [str(path.relative_to(root)) for path in found.files] == ["b.mp4", "inside.mp4", "no-extension", "a/c.avi"]
        reasons = {path.name: code for path, code, _ in found.skipped}
        assert reasons == {
            "notes.txt": "not_a_video",
            "empty.mp4": "empty",
            "pipe.mp4": "unreadable",
            "leads-out.mp4": "unreadable",
            "dangling.mp4": "unreadable",
            "loop": "unreadable",
        }


MEASURE = """
import sys
from pathlib import Path
from video_platform.platform import open_platform
from video_platform.settings import Settings
def peak():  # of this program alone: ru_maxrss starts with the size of whoever started it
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
with open_platform(Settings(home=Path(sys.argv[1]))) as platform:
    small = Path(sys.argv[1]) / "small.mp4"
    small.write_bytes(b"small")
    platform.ingest.ingest_path(small)
    idle = peak()
    print(platform.ingest.ingest_path(Path(sys.argv[2])).record.size_bytes, peak() - idle)
"""


class TestLarge:
    @pytest.mark.slow
    def test_three_gibibytes_take_little_memory(self, tmp_path: Path) -> None:
        self.measure(tmp_path, 3 * GIB)

    def test_a_quarter_gibibyte_takes_little_memory(self, tmp_path: Path) -> None:
        self.measure(tmp_path, GIB // 4)

    def measure(self, tmp_path: Path, size_bytes: int) -> None:
        path = tmp_path / "large.mp4"
        with path.open("wb") as file:
            file.write(MP4)
            file.truncate(size_bytes)
        done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path / "home"), str(path)], capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr
        size, growth = (int(part) for part in done.stdout.split())
        shutil.rmtree(tmp_path / "home")
        assert size == size_bytes
        assert growth < PEAK_GROWTH

    def test_killed_at_any_moment_a_repeat_completes_it(self, tmp_path: Path) -> None:
        """Kills from outside at several moments; nothing half-visible in between, one video and one event in the end."""
        path = tmp_path / "video.mp4"
        path.write_bytes(MP4 + os.urandom(48 * MIB))
        settings = Settings(home=tmp_path / "home")
        script = (
            "import sys\nfrom pathlib import Path\nfrom video_platform.platform import open_platform\nfrom video_platform.settings import Settings\n"
            "p = open_platform(Settings(home=Path(sys.argv[1])))\nprint('open', flush=True)\np.ingest.ingest_path(Path(sys.argv[2]))\n"
        )
        for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
            child = subprocess.Popen([sys.executable, "-c", script, str(settings.home), str(path)], stdout=subprocess.PIPE, text=True)
            assert child.stdout is not None
            child.stdout.readline()
            threading.Event().wait(delay)
            child.send_signal(signal.SIGKILL)
            child.communicate()
            with open_platform(settings) as platform:
                for record in videos.page(platform.db)[0]:
                    assert platform.store.stat(record.object_key).size_bytes == path.stat().st_size
                for key in objects(platform):
                    assert hashlib.sha256(platform.store.get_bytes(key)).hexdigest() in key
        with open_platform(settings) as platform:
            result = platform.ingest.ingest_path(path)
            assert videos.page(platform.db)[1] == 1
            platform.relay.drain(datetime.now(UTC) + timedelta(minutes=5))
            records = platform.log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=100, budget_s=5)
            assert {events.decode(record.message).id for record in records} == {events.event_id(events.VIDEO_INGESTED, result.video_id, 1)}
            for leftover in leftovers(platform):
                os.utime(leftover, (0, 0))
            platform.ingest.sweep()
            assert leftovers(platform) == []


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
