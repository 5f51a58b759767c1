"""What only the folder store has: files that can be half written, full disks, and leftovers of killed writers."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from video_platform.errors import InputError, ObjectNotFound, StoreUnavailable
from video_platform.services.folder_store import FolderStore
from video_platform.services.object_store import RESERVED

ROOT = Path(__file__).parents[2]
START = """
import sys
from pathlib import Path
from video_platform.services.folder_store import FolderStore
"""


@pytest.fixture
def store(tmp_path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_key_is_the_path(store):
    store.put_bytes("videos/x/manifest.json", b"{}", media_type="application/json")
    assert store.local_path("videos/x/manifest.json") == store.root / "videos/x/manifest.json"
    assert files(store.root) == ["videos/x/manifest.json"]


def test_emptied_folders_go(store):
    store.put_bytes("videos/x/alerts/a.jpg", b"x", media_type="image/jpeg")
    store.put_bytes("videos/y/a.jpg", b"x", media_type="image/jpeg")
    store.delete_prefix("videos/x/")
    assert sorted(path.name for path in (store.root / "videos").iterdir()) == ["y"]


def test_moving_inside_the_store_copies_nothing(store):
    arriving = store.incoming / "upload"
    arriving.write_bytes(b"footage")
    inode = arriving.stat().st_ino
    store.put_file("videos/x/a.mp4", arriving, media_type="video/mp4", move=True)
    assert (store.root / "videos/x/a.mp4").stat().st_ino == inode
    assert (store.root / "videos/x/a.mp4").stat().st_nlink == 1


def test_leftovers_are_swept_when_they_are_old_and_only_then(store):
    old, fresh = store.incoming / "1-old", store.incoming / "2-fresh"
    for path in (old, fresh):
        path.write_bytes(b"half a video")
    os.utime(old, (1, 1))
    FolderStore(store.root)
    assert files(store.incoming) == ["2-fresh"]
    assert list(store.list("")) == []


def test_a_killed_writer_leaves_the_old_object_or_the_new_one(store, tmp_path):
    code = """
import os, threading
store = FolderStore(Path(sys.argv[1]))
threading.Timer(float(sys.argv[2]), lambda: os.kill(os.getpid(), 9)).start()
number = 0
while True:
    number = (number + 1) % 200
    store.put_bytes("a/manifest.json", bytes([number]) * 200_000, media_type="application/json")
"""
    for moment_s in (0.05, 0.11, 0.18, 0.26):
        subprocess.run([sys.executable, "-c", START + code, str(store.root), str(moment_s)], cwd=ROOT, check=False, timeout=60)
        assert [info.key for info in store.list("")] in ([], ["a/manifest.json"])
        for info in store.list(""):
            data = store.get_bytes(info.key)
            assert len(data) == 200_000
            assert len(set(data)) == 1
    FolderStore(store.root, leftover_age_s=0)
    assert files(store.incoming) == []


@pytest.mark.parametrize("move", [False, True])
def test_a_full_disk_leaves_nothing_behind_and_the_source_in_place(small_disk, tmp_path, move):
    mounted, small = small_disk
    source = tmp_path / "source.mp4"
    source.write_bytes(b"x" * 3_000_000)
    code = """
from video_platform.errors import StoreFull
store = FolderStore(Path(sys.argv[1]) / "objects")
store.put_bytes("a/small.json", b"{}", media_type="application/json")
for attempt in (lambda: store.put_file("a/b.mp4", Path(sys.argv[2]), media_type="video/mp4", move=sys.argv[3] == "True"),
                lambda: store.put_bytes("a/b.mp4", b"x" * 3_000_000, media_type="video/mp4")):
    try:
        attempt()
    except StoreFull as error:
        print(error.message[:40], [info.key for info in store.list("")], list(store.incoming.iterdir()), Path(sys.argv[2]).stat().st_size)
print(store.put_bytes("a/later.json", b"{}", media_type="application/json"))
"""
    command = [*mounted, sys.executable, "-c", START + code, str(small), str(source), str(move)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    said = "no space is left for objects in " + f"{small}/objects"[:8]
    assert done.stdout.splitlines() == [f"{said} ['a/small.json'] [] 3000000"] * 2 + ["True"], done.stderr


def test_a_key_below_an_object_is_refused_in_words(store):
    store.put_bytes("a/b", b"x", media_type="video/mp4")
    with pytest.raises(InputError, match="named like its folder or below it"):
        store.put_bytes("a/b/c.mp4", b"x", media_type="video/mp4")
    store.put_bytes("d/e.mp4", b"x", media_type="video/mp4")
    with pytest.raises(InputError, match="named like its folder or below it"):
        store.put_bytes("d", b"x", media_type="video/mp4")
    assert files(store.root) == ["a/b", "d/e.mp4"]


def test_links_lead_nowhere(store, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (store.root / "a").mkdir()
    (store.root / "a/link.mp4").symlink_to(tmp_path / "secret")
    os.mkfifo(store.root / "a/pipe.mp4")
    assert list(store.list("")) == []
    for key in ("a/link.mp4", "a/pipe.mp4"):
        with pytest.raises(ObjectNotFound):
            store.stat(key)
        with pytest.raises(ObjectNotFound), store.open(key):
            pass


def test_a_file_system_without_hard_links_still_has_one_winner(store, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert store.put_bytes("a/b.json", b"first", media_type="application/json", if_absent=True) is True
    assert store.put_bytes("a/b.json", b"second", media_type="application/json", if_absent=True) is False
    assert store.get_bytes("a/b.json") == b"first"
    assert files(store.root) == [f"{RESERVED}/lock", "a/b.json"]


def test_a_root_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((StoreUnavailable, InputError), match="cannot be used"):
        FolderStore(tmp_path / "file" / "objects")


def test_a_missing_root_is_made(tmp_path):
    assert FolderStore(tmp_path / "a" / "b").check().startswith("folder ")
    assert files(tmp_path) == []


def test_a_folder_that_a_delete_takes_away_is_made_again(store):
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads meet between any two looks at the folder

    def work(number):
        for _ in range(300):
            store.put_bytes(f"videos/x/{number}.json", b"x", media_type="application/json")
            store.delete([f"videos/x/{number}.json"])

    try:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
    finally:
        sys.setswitchinterval(before)
    assert list(store.list("")) == []
