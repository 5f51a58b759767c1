"""What other programs put into the inbox of the object store: taken in once, or moved out of the way with the reason."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from intake import MP4, announced, leftovers

from video_platform import layout
from video_platform.errors import InputError, ObjectNotFound, StoreFull, StoreUnavailable
from video_platform.inbox import Inbox, identity
from video_platform.ingest import Ingest
from video_platform.platform import Platform, open_platform
from video_platform.records import VideoState
from video_platform.services.database import refusals, videos
from video_platform.services.object_store import ObjectStore
from video_platform.services.s3_store import S3Store
from video_platform.settings import MediaSettings, ObjectSettings, Settings
from video_platform.units import GIB, MIB

FOOTAGE = MP4 + b"picture" * 1000
LATER = datetime.now(UTC) + timedelta(hours=1)


class Place:
    """An inbox with its platform, and what other programs do to it."""

    def __init__(self, platform: Platform, store: ObjectStore) -> None:
        self.platform, self.store = platform, store
        self.ingest = Ingest(platform.settings, platform.db, store)
        self.inbox = Inbox(self.ingest)

    def drop(self, key: str, data: bytes = FOOTAGE) -> str:
        self.store.put_bytes(key, data, media_type="application/octet-stream")
        return key

    def keys(self, prefix: str = "inbox") -> list[str]:
        return sorted(info.key for info in self.store.list(prefix))

    def videos(self):
        return videos.page(self.platform.db)[0]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3), pytest.param("minio", marks=pytest.mark.s3)])
def place(request, platform, tmp_path) -> Iterator[Place]:
    if request.param == "folder":
        yield Place(platform, platform.store)
        return
    server = request.getfixturevalue("s3_server" if request.param == "s3" else "minio_server")
    settings = ObjectSettings(kind="s3", endpoint=server.endpoint, access_key=server.access_key, secret_key=server.secret_key)
    yield Place(platform, S3Store(settings, bucket=f"inbox-{uuid.uuid4().hex[:12]}"))


@pytest.fixture
def folder(platform) -> Place:
    return Place(platform, platform.store)


class TestTakingIn:
    def test_an_object_becomes_a_video_of_its_camera_and_leaves_the_inbox(self, place: Place) -> None:
        key = place.drop("inbox/gate-1/morning of the 1st.mp4")
        outcome = place.inbox.take(key)
        assert outcome.what == "taken in"
        [record] = place.videos()
        assert (record.video_id, record.camera, record.original_name) == (outcome.video_id, "gate-1", "morning of the 1st.mp4")
        assert (record.size_bytes, record.media_type, record.state) == (len(FOOTAGE), "video/mp4", VideoState.RECEIVED)
        assert place.store.get_bytes(record.object_key) == FOOTAGE
        assert place.keys() == []
        assert [event.subject for event in announced(place.platform)] == [record.video_id]
        assert leftovers(place.platform) == []

    def test_deeper_folders_belong_to_the_camera(self, place: Place) -> None:
        place.inbox.take(place.drop("inbox/gate-1/2026/11/a.mp4"))
        assert [(record.camera, record.original_name) for record in place.videos()] == [("gate-1", "a.mp4")]

    def test_what_lies_in_the_inbox_itself_has_no_camera_of_its_own(self, place: Place) -> None:
        place.inbox.take(place.drop("inbox/a.mp4"))
        assert [record.camera for record in place.videos()] == ["default"]

    def test_the_same_bytes_twice_are_one_video(self, place: Place) -> None:
        first, second = place.inbox.take(place.drop("inbox/a/1.mp4")), place.inbox.take(place.drop("inbox/b/2.mp4"))
        assert (first.what, second.what, second.video_id) == ("taken in", "known", first.video_id)
        assert (len(place.videos()), place.keys(), len(announced(place.platform))) == (1, [], 1)

    def test_other_bytes_under_the_same_name_are_another_video(self, place: Place) -> None:
        place.inbox.take(place.drop("inbox/a/1.mp4"))
        place.inbox.take(place.drop("inbox/a/1.mp4", FOOTAGE + b"more"))
        assert len(place.videos()) == 2

    def test_what_is_gone_already_is_no_error(self, place: Place) -> None:
        assert place.inbox.take("inbox/a/1.mp4").what == "gone"
        assert refusals.page(place.platform.db) == []

    def test_hostile_names_are_shown_safely(self, place: Place) -> None:
        place.inbox.take(place.drop("inbox/gate-1/<img src=x>\u202egpj.mp4"))
        assert [record.original_name for record in place.videos()] == ["<img src=x>_gpj.mp4"]

    def test_an_overwrite_while_it_is_taken_in_is_not_taken_away(self, place: Place, monkeypatch) -> None:
        key = place.drop("inbox/a/1.mp4")
        newer = FOOTAGE + b"newer"
        take_away = place.store.take_away

        def overwritten_first(info):
            place.drop(key, newer)
            return take_away(info)

        monkeypatch.setattr(place.store, "take_away", overwritten_first)
        outcome = place.inbox.take(key)
        monkeypatch.undo()
        assert outcome.what == "unfinished"
        assert place.store.get_bytes(key) == newer
        assert place.inbox.take(key).what == "taken in"
        assert sorted(record.size_bytes for record in place.videos()) == [len(FOOTAGE), len(newer)]

    def test_an_overwrite_while_it_is_read_is_seen(self, place: Place, monkeypatch) -> None:
        key = place.drop("inbox/a/1.mp4")
        finish = place.ingest.begin_stream

        def overwritten(*arguments):
            incoming = finish(*arguments)
            place.drop(key, MP4 + b"another" * 999)
            return incoming

        monkeypatch.setattr(place.ingest, "begin_stream", overwritten)
        assert place.inbox.take(key).what == "unfinished"
        monkeypatch.undo()
        assert place.videos() == []
        assert place.keys() == [key]

    def test_nothing_outside_the_inbox_is_touched(self, place: Place) -> None:
        key = place.drop("videos/0123456789abcdef/raw_video/x.mp4")
        with pytest.raises(InputError, match="does not lie below"):
            place.inbox.take(key)
        for hostile in ("inbox/../" + key, "inbox/a/../../" + key):
            with pytest.raises(InputError):
                place.inbox.take(hostile)
        assert place.keys("videos") == [key]
        assert place.videos() == []


class TestRefusing:
    def refused(self, place: Place, key: str, code: str, target: str) -> None:
        outcome = place.inbox.take(key)
        assert (outcome.what, outcome.video_id) == ("refused", None)
        [refusal] = refusals.page(place.platform.db)
        assert (refusal.code, refusal.times) == (code, 1)
        assert target in refusal.message
        assert place.keys("inbox/") == []
        assert place.keys("inbox-refused/") == [target]
        assert place.videos() == []
        assert leftovers(place.platform) == []
        assert list(place.inbox.waiting(LATER)) == []

    def test_what_is_no_video(self, place: Place) -> None:
        self.refused(place, place.drop("inbox/gate-1/notes.txt", b"milk, bread" * 1000), "not_a_video", "inbox-refused/gate-1/notes.txt")

    def test_an_empty_object(self, place: Place) -> None:
        self.refused(place, place.drop("inbox/gate-1/a.mp4", b""), "empty", "inbox-refused/gate-1/a.mp4")

    @pytest.mark.parametrize("camera", ["-rf", "küche", "a b", "x" * 65, "<script>", "${HOME}"])
    def test_a_name_that_no_camera_can_have(self, place: Place, camera: str) -> None:
        outcome = place.inbox.take(place.drop(f"inbox/{camera}/a.mp4"))
        [refusal] = refusals.page(place.platform.db)
        assert (outcome.what, refusal.code, place.keys("inbox/")) == ("refused", "bad_camera", [])
        assert len(place.keys("inbox-refused/")) == 1

    def test_one_that_is_too_large(self, place: Place) -> None:
        settings = place.platform.settings.model_copy(update={"media": MediaSettings(max_bytes=100)})
        place.ingest.settings = settings
        place.inbox = Inbox(place.ingest)
        self.refused(place, place.drop("inbox/gate-1/a.mp4"), "too_large", "inbox-refused/gate-1/a.mp4")

    def test_put_back_it_is_looked_at_again(self, place: Place) -> None:
        key = place.drop("inbox/gate-1/a", b"milk, bread" * 1000)
        place.inbox.take(key)
        place.drop(key, FOOTAGE)
        assert place.inbox.take(key).what == "taken in"

    @pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"back\\slash.mp4", b"new\nline.txt"])
    def test_names_that_only_a_file_system_knows(self, folder: Place, name: bytes) -> None:
        path = folder.platform.settings.objects_folder / "inbox" / "gate-1"
        path.mkdir(parents=True)
        Path(os.fsdecode(os.fsencode(path) + b"/" + name)).write_bytes(b"milk, bread" * 1000)
        [info] = folder.inbox.waiting(LATER)
        assert folder.inbox.take(info.key).what == "refused"
        [target] = folder.keys("inbox-refused/")
        assert target.isprintable()
        assert folder.keys("inbox/") == []


class TestTrouble:
    def test_a_store_that_is_away_leaves_it_there(self, place: Place, monkeypatch) -> None:
        key = place.drop("inbox/a/1.mp4")

        def away(*_arguments, **_more):
            raise StoreUnavailable("the store does not answer")

        monkeypatch.setattr(place.store, "put_file", away)
        with pytest.raises(StoreUnavailable):
            place.inbox.take(key)
        monkeypatch.undo()
        assert (place.keys("inbox/"), place.videos(), leftovers(place.platform)) == ([key], [], [])
        assert place.inbox.take(key).what == "taken in"

    def test_without_room_nothing_is_read(self, place: Place, monkeypatch) -> None:
        key = place.drop("inbox/a/1.mp4")
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 10, 10))
        with pytest.raises(StoreFull):
            place.inbox.take(key)
        assert place.keys("inbox/") == [key]

    def test_it_is_noted_and_forgotten_once_it_is_in(self, place: Place) -> None:
        key = place.drop("inbox/a/1.mp4")
        for _ in range(2):
            place.inbox.trouble(key, "StoreFull", "no space is left.")
        [note] = refusals.page(place.platform.db)
        assert (note.name, note.camera, note.times) == ("1.mp4", "a", 2)
        assert "tried again" in note.message
        place.inbox.take(key)
        assert refusals.page(place.platform.db) == []

    def test_killed_after_the_row_it_is_the_same_video(self, place: Place, monkeypatch) -> None:
        key = place.drop("inbox/a/1.mp4")

        def killed(_info):
            raise KeyboardInterrupt

        monkeypatch.setattr(place.store, "take_away", killed)
        with pytest.raises(KeyboardInterrupt):
            place.inbox.take(key)
        monkeypatch.undo()
        assert place.keys("inbox/") == [key]
        assert place.inbox.take(key).what == "known"
        assert (len(place.videos()), len(announced(place.platform)), place.keys("inbox/")) == (1, 1, [])


class TestWaiting:
    def waiting(self, place: Place, now: datetime = LATER) -> list[str]:
        return sorted(info.key for info in place.inbox.waiting(now))

    def test_what_is_young_is_left_to_its_notification(self, place: Place) -> None:
        key = place.drop("inbox/a/1.mp4")
        modified = place.store.stat(key).modified_at
        assert self.waiting(place, modified + timedelta(seconds=5)) == []
        assert self.waiting(place, modified + timedelta(seconds=11)) == [key]

    def test_a_clock_that_runs_ahead_hides_nothing(self, place: Place) -> None:
        key = place.drop("inbox/a/1.mp4")
        assert self.waiting(place, place.store.stat(key).modified_at - timedelta(days=1)) == [key]

    def test_listing_and_look_agree_on_which_object_it_is(self, place: Place) -> None:
        key = place.drop("inbox/a/ä +.mp4", FOOTAGE * 100)
        [listed] = place.inbox.waiting(LATER)
        assert identity(listed) == identity(place.store.stat(key))
        place.drop(key, FOOTAGE + b"other")
        changed = place.store.stat(key)
        assert identity(changed) != identity(listed)
        assert identity(changed).partition(".")[0] == identity(listed).partition(".")[0]

    def test_a_file_that_is_still_written_is_not_offered(self, folder: Place) -> None:
        key = folder.drop("inbox/a/1.mp4")
        path = folder.store.local_path(key)
        assert path is not None
        with path.open("ab") as writer:
            assert self.waiting(folder) == []
            assert folder.inbox.take(key).what == "unfinished"
            writer.write(b"the rest")
        assert self.waiting(folder) == [key]
        folder.inbox.take(key)
        assert [record.size_bytes for record in folder.videos()] == [len(FOOTAGE) + len(b"the rest")]

    @pytest.mark.parametrize("name", ["a.mp4.part", ".a.mp4", "a.mp4.tmp"])
    def test_names_of_unfinished_files_are_passed_over(self, folder: Place, name: str) -> None:
        folder.drop(f"inbox/a/{name}")
        assert self.waiting(folder) == []

    def test_links_are_not_followed(self, folder: Place, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "mine.mp4").write_bytes(FOOTAGE)
        inbox = folder.platform.settings.objects_folder / "inbox"
        (inbox / "a").mkdir(parents=True)
        (inbox / "linked").symlink_to(outside)
        (inbox / "a" / "1.mp4").symlink_to(outside / "mine.mp4")
        assert self.waiting(folder) == []
        assert folder.inbox.take("inbox/linked/mine.mp4").what == "unfinished"
        assert folder.inbox.take("inbox/a/1.mp4").what == "gone"
        assert (outside / "mine.mp4").exists()
        assert folder.videos() == []

    def test_the_folder_of_a_camera_stays(self, folder: Place) -> None:
        folder.inbox.take(folder.drop("inbox/gate-1/1.mp4"))
        folder.inbox.take(folder.drop("inbox/gate-1/2.txt", b"milk" * 2000))
        assert (folder.platform.settings.objects_folder / "inbox" / "gate-1").is_dir()


class TestStores:
    def test_taking_away_what_is_not_there(self, place: Place) -> None:
        key = place.drop("inbox/a/1.mp4")
        info = place.store.stat(key)
        assert place.store.take_away(info)
        assert not place.store.take_away(info)

    def test_moving_what_is_not_there(self, place: Place) -> None:
        with pytest.raises(ObjectNotFound):
            place.store.move("inbox/a/1.mp4", "inbox-refused/a/1.mp4")

    def test_moving_replaces(self, place: Place) -> None:
        place.drop("inbox-refused/a/1.mp4", b"old")
        place.store.move(place.drop("inbox/a/1.mp4", b"new"), "inbox-refused/a/1.mp4")
        assert place.store.get_bytes("inbox-refused/a/1.mp4") == b"new"

    @pytest.mark.parametrize("key", ["videos/0123456789abcdef/x", "inbox/../x", "inbox/./x", "inbox/a\0b"])
    def test_only_what_lies_in_the_inbox_moves(self, place: Place, key: str) -> None:
        with pytest.raises(InputError):
            place.store.move(key, "inbox-refused/x")


PEAK_GROWTH = 150 * MIB
"""What taking in an object of any size may cost in memory."""

MEASURE = """
import sys
from video_platform.inbox import Inbox
from video_platform.platform import open_platform
from video_platform.settings import load
def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
with open_platform(load()) as platform:
    inbox = Inbox(platform.ingest)
    print(inbox.take("inbox/a/small.mp4").what)
    idle = peak()
    print(inbox.take("inbox/a/large.mp4").what, peak() - idle)
"""


class TestLarge:
    @pytest.mark.parametrize("size_bytes", [GIB // 4, pytest.param(3 * GIB, marks=pytest.mark.slow)])
    def test_little_memory_in_a_folder(self, tmp_path: Path, size_bytes: int) -> None:
        home = tmp_path / "home"
        camera = home / "objects" / "inbox" / "a"
        camera.mkdir(parents=True)
        self.make(camera, size_bytes)
        self.measure({"VIDEO_PLATFORM_HOME": str(home)})
        assert list(camera.iterdir()) == []
        shutil.rmtree(home)

    @pytest.mark.s3
    @pytest.mark.parametrize("size_bytes", [GIB // 4, pytest.param(3 * GIB, marks=pytest.mark.slow)])
    def test_little_memory_in_s3(self, tmp_path: Path, minio_server, size_bytes: int) -> None:
        self.make(tmp_path, size_bytes)
        environment = {"VIDEO_PLATFORM_HOME": str(tmp_path / "home"), **minio_server.environment}
        settings = ObjectSettings(kind="s3", endpoint=minio_server.endpoint, access_key=minio_server.access_key, secret_key=minio_server.secret_key)
        store = S3Store(settings, bucket=layout.BUCKET)
        for name in ("small.mp4", "large.mp4"):
            store.put_file(f"inbox/a/{name}", tmp_path / name, media_type="video/mp4")
        try:
            self.measure(environment)
        finally:
            store.delete([info.key for info in store.list("")])

    def make(self, folder: Path, size_bytes: int) -> None:
        (folder / "small.mp4").write_bytes(MP4 + b"small")
        with (folder / "large.mp4").open("wb") as file:
            file.write(MP4)
            file.truncate(size_bytes)

    def measure(self, environment: dict[str, str]) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("VIDEO_PLATFORM_")}
        done = subprocess.run([sys.executable, "-c", MEASURE], env={**clean, **environment}, capture_output=True, text=True, timeout=290, check=False)
        assert done.returncode == 0, done.stderr
        first, second, growth = done.stdout.split("\n", 1)[0], *done.stdout.split("\n", 1)[1].rsplit(maxsplit=1)
        assert (first, second) == ("taken in", "taken in")
        assert int(growth) < PEAK_GROWTH


def test_the_inbox_is_there_for_people_to_find(tmp_path: Path) -> None:
    from video_platform.supervisor.prepare import prepare

    with open_platform(Settings(home=tmp_path / "home")) as platform:
        lines = prepare(platform)
        assert (platform.settings.objects_folder / "inbox").is_dir()
    assert any(line.startswith("inbox: ") and "objects/inbox" in line for line in lines)
