"""One behaviour suite over every object store: the folder and two real S3 servers."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from video_platform.errors import InputError, IntegrityError, ObjectNotFound
from video_platform.layout import file_key
from video_platform.services.object_store import CHUNK_BYTES, ObjectStore, check_key, open_store
from video_platform.settings import load
from video_platform.units import MIB

ROOT = Path(__file__).parents[2]
MEMORY_BYTES = 256 * MIB
MEMORY_GROWTH_BYTES = 100 * MIB


@dataclass
class Backend:
    environment: dict[str, str]

    def open(self) -> ObjectStore:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return open_store(load())


SERVERS = [pytest.param("s3_server", marks=pytest.mark.s3, id="seaweedfs"), pytest.param("minio_server", marks=pytest.mark.s3, id="minio")]


@pytest.fixture(params=["folder", *SERVERS])
def backend(request, tmp_path) -> Backend:
    home = {"VIDEO_PLATFORM_HOME": str(tmp_path / "home")}
    return Backend(home if request.param == "folder" else {**home, **request.getfixturevalue(request.param).environment})


@pytest.fixture
def store(backend) -> Iterator[ObjectStore]:
    store = backend.open()
    yield store
    store.delete([info.key for info in store.list("")])


@pytest.fixture
def clip(tmp_path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(1_000_003))
    return path


def read(store: ObjectStore, key: str, **span) -> bytes:
    with store.open(key, **span) as chunks:
        return b"".join(chunks)


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return sorted(info.key for info in store.list(prefix))


def content_key(data: bytes, asset: str = "raw_video", extension: str = "mp4") -> str:
    digest = hashlib.sha256(data).hexdigest()
    return file_key(digest[:16], asset, digest, extension)


def test_a_file_comes_back_as_it_was(store, clip):
    key = content_key(clip.read_bytes())
    assert store.put_file(key, clip, media_type="video/mp4") is True
    assert read(store, key) == clip.read_bytes()
    assert clip.exists()


def test_what_is_known_of_an_object(store, clip):
    before = datetime.now(UTC) - timedelta(seconds=5)
    store.put_file("a/clip.mp4", clip, media_type="video/mp4")
    info = store.stat("a/clip.mp4")
    assert (info.key, info.size_bytes, info.media_type) == ("a/clip.mp4", 1_000_003, "video/mp4")
    assert before < info.modified_at < datetime.now(UTC) + timedelta(seconds=5)
    (listed,) = store.list("a/")
    assert (listed.key, listed.size_bytes, listed.etag) == (info.key, info.size_bytes, info.etag)


@pytest.mark.parametrize(("name", "media_type"), [("x.json", "application/json"), ("x.jpg", "image/jpeg"), ("x.parquet", "application/vnd.apache.parquet")])
def test_the_media_types_of_the_platform_are_kept(store, name, media_type):
    store.put_bytes(f"a/{name}", b"x", media_type=media_type)
    assert store.stat(f"a/{name}").media_type == media_type


def test_put_when_absent_keeps_what_is_there(store, clip):
    assert store.put_bytes("a/b.mp4", b"first", media_type="video/mp4", if_absent=True) is True
    assert store.put_bytes("a/b.mp4", b"second", media_type="video/mp4", if_absent=True) is False
    assert store.put_file("a/b.mp4", clip, media_type="video/mp4") is False
    assert store.get_bytes("a/b.mp4") == b"first"


def test_a_put_replaces(store, clip):
    store.put_bytes("a/manifest.json", b"old", media_type="application/json")
    etag = store.stat("a/manifest.json").etag
    assert store.put_bytes("a/manifest.json", b"new!", media_type="application/json") is True
    assert store.get_bytes("a/manifest.json") == b"new!"
    assert store.stat("a/manifest.json").etag != etag
    assert store.put_file("a/manifest.json", clip, media_type="application/json", if_absent=False) is True
    assert store.stat("a/manifest.json").size_bytes == 1_000_003


def test_a_moved_file_is_gone_from_where_it_was(store, clip):
    data = clip.read_bytes()
    assert store.put_file("a/b.mp4", clip, media_type="video/mp4", move=True) is True
    assert not clip.exists()
    assert read(store, "a/b.mp4") == data
    clip.write_bytes(data)
    assert store.put_file("a/b.mp4", clip, media_type="video/mp4", move=True) is False
    assert not clip.exists()


def test_a_file_that_arrived_beside_the_store_is_moved_in(store, tmp_path):
    arriving = (store.incoming or tmp_path) / "arriving"
    arriving.write_bytes(b"footage")
    assert store.put_file("a/b.mp4", arriving, media_type="video/mp4", move=True) is True
    assert store.get_bytes("a/b.mp4") == b"footage"
    assert not arriving.exists()
    assert keys(store) == ["a/b.mp4"]


def test_a_missing_source_is_the_callers_error(store, tmp_path):
    with pytest.raises(FileNotFoundError):
        store.put_file("a/b.mp4", tmp_path / "nothing", media_type="video/mp4", move=True)
    assert keys(store) == []


def test_an_empty_object_is_an_object(store):
    store.put_bytes("a/empty.json", b"", media_type="application/json")
    assert store.get_bytes("a/empty.json") == b""
    assert store.stat("a/empty.json").size_bytes == 0
    assert keys(store) == ["a/empty.json"]


SPANS = [(0, None), (0, 0), (0, 1), (5, 10), (999_999, None), (1_000_003, None), (2_000_000, None), (2_000_000, 5), (0, 9_000_000), (1, CHUNK_BYTES + 1)]


@pytest.mark.parametrize(("offset", "length"), SPANS)
def test_a_span_is_read(store, clip, offset, length):
    store.put_file("a/b.mp4", clip, media_type="video/mp4")
    end = None if length is None else offset + length
    assert read(store, "a/b.mp4", offset=offset, length=length) == clip.read_bytes()[offset:end]


def test_chunks_are_small(store, clip):
    store.put_file("a/b.mp4", clip, media_type="video/mp4")
    with store.open("a/b.mp4") as chunks:
        sizes = [len(chunk) for chunk in chunks]
    assert max(sizes) <= CHUNK_BYTES
    assert sum(sizes) == 1_000_003


def test_a_reader_may_stop_in_the_middle(store, clip):
    store.put_file("a/b.mp4", clip, media_type="video/mp4")
    for _ in range(20):
        with store.open("a/b.mp4") as chunks:
            next(chunks)
    assert read(store, "a/b.mp4") == clip.read_bytes()


@pytest.mark.parametrize(
    "use",
    [
        lambda store, tmp: store.stat("a/nothing.mp4"),
        lambda store, tmp: store.get_bytes("a/nothing.mp4"),
        lambda store, tmp: store.open("a/nothing.mp4").__enter__(),
        lambda store, tmp: store.fetch("a/nothing.mp4", tmp),
    ],
)
def test_what_is_not_there_is_named(store, use, tmp_path):
    with pytest.raises(ObjectNotFound, match=r"no object 'a/nothing\.mp4'") as caught:
        use(store, tmp_path)
    assert caught.value.key == "a/nothing.mp4"


def test_a_folder_is_no_object(store):
    store.put_bytes("a/b/c.json", b"x", media_type="application/json")
    for key in ("a", "a/b"):
        with pytest.raises(ObjectNotFound):
            store.stat(key)
    with pytest.raises(ObjectNotFound):
        store.stat("a/b/c.json/d")


def test_large_objects_are_not_read_at_once(store):
    store.put_bytes("a/b.json", b"x" * 100, media_type="application/json")
    assert store.get_bytes("a/b.json", max_bytes=100) == b"x" * 100
    with pytest.raises(InputError, match="has 100 bytes; at most 99 are read at once"):
        store.get_bytes("a/b.json", max_bytes=99)


def test_listing_is_by_prefix(store):
    names = ["a/b.json", "a.json", "a/b/c.json", "a/b-c.json", "a-b/c.json", "ab/c.json", "b.json", "a/ü.json", "a/Z.json"]
    for name in names:
        store.put_bytes(name, b"x", media_type="application/json")
    for prefix in ("", "a", "a/", "a/b", "a/b/", "ab", "c", "a/nothing/"):
        assert keys(store, prefix) == sorted(name for name in names if name.startswith(prefix))


def test_a_long_listing_is_complete(store):
    names = [f"videos/{number:04d}.json" for number in range(1_100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put_bytes(name, b"x", media_type="application/json"), names))
    assert keys(store, "videos/") == names
    assert store.delete_prefix("videos/") == len(names)
    assert keys(store) == []


def test_deleting(store):
    for name in ("a/1.json", "a/2.json", "b/3.json"):
        store.put_bytes(name, b"x", media_type="application/json")
    assert store.delete(["a/1.json"]) == 1
    store.delete(["a/1.json", "nothing/here.json"])
    assert store.delete([]) == 0
    assert keys(store) == ["a/2.json", "b/3.json"]
    assert store.delete_prefix("a/") == 1
    assert store.delete_prefix("a/") == 0
    assert keys(store) == ["b/3.json"]


@pytest.mark.parametrize("prefix", ["", "a", "videos/1"])
def test_everything_is_never_deleted_by_accident(store, prefix):
    store.put_bytes("a/1.json", b"x", media_type="application/json")
    with pytest.raises(InputError, match="does not end with '/'"):
        store.delete_prefix(prefix)
    assert keys(store) == ["a/1.json"]


BAD_KEYS = [
    *("", "/", "/abs", "a//b", "a/", "..", "a/../b", "../../etc/passwd", "a/..", "./a", "a/.", "a\\b", "a\0b"),
    *("x" * 256, "a/" + "ü" * 128, "\udc80", ".incoming/x", "a/" * 513 + "x"),
]
ODD_NAMES = ["cam 1/a file.mp4", "ü/😀.mp4", "x/-rf", "x/new\nline.mp4", "x/%2e%2e%2f", "x/a+b&c=d?e#f.mp4", "x/" + "n" * 255, "x/..hidden"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_hostile_keys_are_refused_by_every_method(store, key, clip, tmp_path):
    uses: list[Callable[[], object]] = [
        lambda: store.put_file(key, clip, media_type="video/mp4"),
        lambda: store.put_bytes(key, b"x", media_type="video/mp4"),
        lambda: store.open(key).__enter__(),
        lambda: store.get_bytes(key),
        lambda: store.stat(key),
        lambda: store.delete([key]),
        lambda: store.local_path(key) or store.stat(key),
        lambda: store.fetch(key, tmp_path),
    ]
    for use in uses:
        with pytest.raises(InputError, match="cannot be used"):
            use()


@pytest.mark.parametrize("key", [f"inbox/{name}" for name in ODD_NAMES])
def test_odd_names_are_kept_exactly(store, key):
    store.put_bytes(key, b"footage", media_type="video/mp4")
    assert keys(store) == [key]
    assert store.get_bytes(key) == b"footage"
    assert store.delete([key]) == 1


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_text_is_refused_or_stays_inside_the_folder(tmp_path, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEO_PLATFORM_HOME", str(tmp_path / "home"))
        store = open_store(load())
    try:
        check_key(text)
    except InputError:
        return
    store.put_bytes(text, b"x", media_type="video/mp4")
    assert keys(store) == [text]
    (file,) = [path for path in (tmp_path / "home" / "objects").rglob("*") if path.is_file()]
    assert file.resolve().is_relative_to((tmp_path / "home" / "objects").resolve())
    store.delete([text])


def test_writers_that_race_for_a_key_leave_one_whole_object(backend, tmp_path):
    store = backend.open()
    data = os.urandom(300_000)
    start = threading.Barrier(16)

    def put(number: int) -> bool:
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(data)
        start.wait()
        return store.put_file(content_key(data), path, media_type="video/mp4")

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(put, range(16)))
    assert any(won)
    if store.local_path(content_key(data)):
        assert won.count(True) == 1
    assert read(store, content_key(data)) == data
    assert store.delete_prefix("videos/") == 1


def test_a_reader_sees_the_old_manifest_or_the_new_one(store):
    versions = [bytes([number]) * 50_000 for number in range(30)]
    store.put_bytes("a/manifest.json", versions[0], media_type="application/json")
    seen: list[bytes] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(store.get_bytes("a/manifest.json"))

    reader = threading.Thread(target=look)
    reader.start()
    for version in versions:
        store.put_bytes("a/manifest.json", version, media_type="application/json")
    done.set()
    reader.join()
    assert seen
    assert set(seen) <= set(versions)


def test_deleting_and_writing_beside_each_other(store):
    def work(number: int) -> None:
        for _ in range(15):
            store.put_bytes(f"videos/x/{number}.json", b"x", media_type="application/json")
            store.delete([f"videos/x/{number}.json"])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert keys(store) == []


def test_fetching_gives_a_file(store, clip, tmp_path):
    key = content_key(clip.read_bytes())
    store.put_file(key, clip, media_type="video/mp4")
    path = store.fetch(key, tmp_path)
    assert path.read_bytes() == clip.read_bytes()
    local = store.local_path(key)
    assert local == path if local else path.parent == tmp_path


@pytest.mark.parametrize("backend", SERVERS, indirect=True)  # a folder's file is used in place; whoever reads it checks it
def test_bytes_that_are_not_what_the_key_promises_are_not_handed_on(store, tmp_path):
    key = content_key(b"the real footage")
    store.put_bytes(key, b"something else..", media_type="video/mp4")
    with pytest.raises(IntegrityError, match="SHA-256"):
        store.fetch(key, tmp_path)
    assert list(tmp_path.glob("*.mp4*")) == []


def test_the_store_says_what_it_is(store):
    assert any(word in store.check() for word in ("folder", "the S3 store at 127.0.0.1"))


def test_two_objects_of_one_process_and_another_see_the_same(backend, store):
    store.put_bytes("a/b.json", b"x", media_type="application/json")
    assert backend.open().get_bytes("a/b.json") == b"x"


MEMORY_CHILD = """
import hashlib, sys
from pathlib import Path
from video_platform.services.object_store import open_store
from video_platform.settings import load
def peak():  # of this program alone: ru_maxrss starts with the size of whoever started it
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
store, source, key = open_store(load()), Path(sys.argv[1]), sys.argv[2]
store.check()
store.put_bytes("warm/up.json", b"x" * 1024, media_type="application/json")
store.get_bytes("warm/up.json")
before = peak()
store.put_file(key, source, media_type="video/mp4")
digest = hashlib.sha256()
with store.open(key) as chunks:
    for chunk in chunks:
        digest.update(chunk)
store.fetch(key, source.parent)
print(peak() - before, digest.hexdigest())
"""


def test_memory_stays_flat_for_large_footage(backend, store, tmp_path):
    source, digest = tmp_path / "large", hashlib.sha256()
    with source.open("wb") as out:
        for _ in range(MEMORY_BYTES // MIB):
            block = os.urandom(MIB)
            out.write(block)
            digest.update(block)
    key = file_key(digest.hexdigest()[:16], "raw_video", digest.hexdigest(), "mp4")
    child = [sys.executable, "-c", MEMORY_CHILD, str(source), key]
    found = subprocess.run(child, cwd=ROOT, env={**os.environ, **backend.environment}, capture_output=True, text=True, timeout=240, check=True).stdout.split()
    assert found[1] == digest.hexdigest()
    print(f"peak memory grew by {int(found[0]) / MIB:.1f} MiB")
    assert int(found[0]) < MEMORY_GROWTH_BYTES


NEAR_KEYS = st.lists(st.text(max_size=12) | st.sampled_from(["..", ".", "", "inbox", "%2e%2e", "\\..", "a\0", "ü" * 130, "-", "~"]), max_size=5).map("/".join)


@hypothesis_settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(NEAR_KEYS)
def test_any_key_is_refused_or_kept_exactly(store, key):
    """Also on a server: no text becomes another object's name, above or beside the bucket."""
    try:
        check_key(key)
    except InputError:
        with pytest.raises(InputError, match="cannot be used"):
            store.put_bytes(key, b"x", media_type="video/mp4")
        with pytest.raises(InputError, match="cannot be used"):
            store.get_bytes(key)
        return
    store.put_bytes(key, b"x", media_type="video/mp4")
    assert keys(store) == [key]
    assert store.get_bytes(key) == b"x"
    assert store.delete([key]) == 1
    assert keys(store) == []
