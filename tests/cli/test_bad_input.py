"""Bad input through the public doors: for each kind of file its named state, one clear line, a status other than 0, the rest done, nothing left behind."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import clips
import httpx
import psutil
import pytest
from loopback import noting
from running import Up, wait
from serving import serving

from video_platform.errors import StoreFull
from video_platform.platform import open_platform
from video_platform.services.database import refusals
from video_platform.settings import Settings

SAMPLE = Path(__file__).parents[2] / "samples" / "crossing.mp4"
RUN = "import sys; from video_platform import cli; sys.exit(cli.main(sys.argv[1:]))"


@pytest.fixture
def canary():
    """An address that notes who asks: `(url, requests)`."""
    with noting() as (url, asked):
        yield f"{url}/x.ts", asked


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def sound_only(path: Path) -> bytes:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.planes[0].update(bytes(4 * 1024))
        frame.sample_rate, frame.pts = 16_000, 0
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return path.read_bytes()


def without_pictures(data: bytes) -> bytes:
    """The video with its coded pictures zeroed; the index stays."""
    start = data.index(b"mdat") + 4
    return data[:start] + bytes(len(data) - start)


def bad_files(folder: Path, url: str) -> dict[str, tuple[bytes, set[str]]]:
    """Name -> (content, codes that fit)."""
    plain = clips.make(folder / "plain.mp4", frames=40).path.read_bytes()
    fast = clips.make(folder / "fast.mp4", frames=40, container_options={"movflags": "+faststart"}).path.read_bytes()
    refused = {"format_refused"}
    return {
        "text.mp4": (b"hello, no video\n" * 40, {"not_a_video"}),
        "zip.mp4": (b"PK\x03\x04" + bytes(500), refused),
        "picture.mp4": (b"\x89PNG\r\n\x1a\n" + bytes(500), {"not_a_video"}),
        "document.mp4": (b"%PDF-1.7\n%%EOF\n", refused),
        "index-missing.mp4": (cut(plain, 0.4), {"truncated"}),
        "pictures-cut.mp4": (fast[: fast.index(b"mdat") + 4], {"no_frames", "truncated"}),
        "pictures-zero.mp4": (without_pictures(fast), {"no_frames"}),
        "sound.mp4": (sound_only(folder / "sound.m4a"), {"no_video_stream"}),
        "playlist.mp4": (f"#EXTM3U\n#EXTINF:1,\n{url}\n#EXTINF:1,\nplain.mp4\n#EXT-X-ENDLIST\n".encode(), refused),
        "session.mp4": (b"v=0\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n", refused),
        "list.mp4": (f"ffconcat version 1.0\nfile plain.mp4\nfile {url}\n".encode(), refused),
    }


def leftovers(home: Path) -> list[Path]:
    return [path for folder in ("spool", "scratch", "objects/.incoming", "locks") for path in (home / folder).rglob("*")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_folder_of_bad_files_is_named_file_by_file_and_the_good_one_is_done(vp, home, tmp_path, canary):
    url, asked = canary
    (tmp_path / "made").mkdir()
    bad = bad_files(tmp_path / "made", url)
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name, (content, _) in bad.items():
        (folder / name).write_bytes(content)
    (folder / "empty.mp4").touch()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "notes.txt").write_text("about the footage")
    good = "zz \n;$(reboot) 🎬.mp4"
    clips.make(folder / good, frames=15)

    ran = vp("process", folder)

    assert ran.status == 1
    assert "Traceback" not in ran.out + ran.err
    assert f"{len(bad) + 2} of {len(bad) + 3} could not be processed" in ran.err
    assert not asked
    assert leftovers(home) == []
    assert [child for child in psutil.Process().children(recursive=True) if "analysis.worker" in " ".join(child.cmdline())] == []
    shown = {video["original_name"]: video for video in vp("videos", "--json").json}
    assert shown[good.replace(" \n", " ")]["state"] == "ready"
    for name, (_, codes) in bad.items():
        video = shown[name]
        assert (video["state"], video["failure_code"] in codes) == ("failed", True), (name, video["failure_code"])
        assert f"error: {name} ({video['video_id']}): {video['failure_code']}: {video['failure_message']}" in ran.err
        assert len(video["failure_message"].split(". ")) >= 2, "what happened alone is half a message"
    assert "empty.mp4: record or copy it again" in ran.err
    assert "pipe.mp4 is a pipe; give a file" in ran.err
    with serving(tmp_path) as served:
        page = served.client.get("/api/videos", params={"state": "failed", "limit": 100}).json()
        assert {item["original_name"] for item in page["items"]} == set(bad)
        assert {(each.name, each.code) for each in refusals.page(served.platform.db)} == {("empty.mp4", "empty"), ("pipe.mp4", "unreadable")}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing.mp4", "No such file"),
        ("dangling.mp4", "No such file"),
        ("pipe.mp4", "is a pipe; give a file"),
        ("socket.mp4", "is a socket; give a file"),
        ("empty.mp4", "no bytes"),
        ("x" * 300 + ".mp4", "File name too long"),
        ("concat:a|b", "No such file"),
        ("http://127.0.0.1:1/x.mp4", "addresses are not fetched"),
        ("rtsp://camera/stream", "addresses are not fetched"),
        ("/dev/zero", "is a device"),
    ],
)
@pytest.mark.parametrize("command", ["ingest", "process", "dry run"])
def test_a_path_that_cannot_be_taken_is_one_line_that_says_it_once(vp, home, tmp_path, monkeypatch, command, path, words):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.mp4")
    Path("empty.mp4").touch()
    Path("dangling.mp4").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.mp4")
        ran = vp(*(["ingest", "--dry-run"] if command == "dry run" else [command]), path)
    assert ran.status == 1
    lines = ran.err.splitlines()
    assert (len(lines), lines[0].startswith("error: ")) == (2 if command == "process" else 1, True), ran.err
    assert words in lines[0]
    assert lines[0].count(Path(path).name) == 1
    assert leftovers(home) == []


def test_a_name_that_looks_like_an_option_gets_a_hint(vp):
    ran = vp("ingest", "-rf")
    assert ran.status == 2
    assert "a file whose name begins with - goes after --" in ran.err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes a file")
def test_a_file_that_somebody_writes_is_left_until_it_is_done(vp, tmp_path):
    path = clips.make(tmp_path / "recording.mp4", frames=10).path
    with path.open("ab"):
        ran = vp("ingest", path)
    assert ran.status == 1
    assert "still being written" in ran.err
    assert "try again when its writer is done" in ran.err
    assert vp("videos", "--json").json == []
    assert vp("ingest", path).status == 0


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WEB__PROT": "1"}, "no setting reads VIDEO_PLATFORM_WEB__PROT"),
        ({"WEB__PORT": "many", "PROXY__CRF": "99"}, "VIDEO_PLATFORM_WEB__PORT"),
        ({"MEDIA__MAX_PIXELS": "-1"}, "VIDEO_PLATFORM_MEDIA__MAX_PIXELS"),
        ({"OBJECTS__KIND": "s3"}, "kind s3 needs endpoint"),
        ({"HOME": "/dev/null/x"}, "set VIDEO_PLATFORM_HOME to a folder you may write"),
        ({"DATABASE__URL": "nonsense"}, "VIDEO_PLATFORM_DATABASE__URL: it is not a database URL"),
        ({"DAGSTER__STORAGE_URL": "nonsense"}, "VIDEO_PLATFORM_DAGSTER__STORAGE_URL: it is not a database URL"),
        ({"DETECTION__MODEL": "unheard-of"}, "VIDEO_PLATFORM_DETECTION__MODEL"),
        ({"RULES": "/nowhere/rules.yaml"}, "mend the path, or unset it"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line_before_anything_is_taken_in(vp, home, monkeypatch, variables, words):
    for name, value in variables.items():
        monkeypatch.setenv(f"VIDEO_PLATFORM_{name}", value)
    ran = vp("process", SAMPLE)
    assert ran.status == 1
    assert len(ran.err.splitlines()) == 1
    assert words in ran.err
    assert not list((home / "objects").rglob("*.mp4"))


def test_an_empty_variable_is_an_unset_one(vp, tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", "")
    assert vp("videos").status == 0
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"version: 1\nrules: [\n", "line 3, column 1: this is not YAML"),
        (b"a: &a [x]\nb: [*a, *a]\n", "anchors"),
        (b"!!python/object/apply:os.abort []\n", "tags (!) are not read"),
        (b"version: 1\nrules:\n  - {name: x, when: {apears: person}}\n", "line 3, column 21"),
    ],
)
def test_rules_with_mistakes_are_refused_at_every_door(vp, home, tmp_path, monkeypatch, text, words):
    file = tmp_path / "rules.yaml"
    file.write_bytes(text)
    for command in ("check", "apply"):
        ran = vp("rules", command, file)
        assert ran.status == 1
        assert words in ran.err
    shutil.rmtree(home)
    monkeypatch.setenv("VIDEO_PLATFORM_RULES", str(file))
    for arguments in (["process", SAMPLE], ["up"]):
        ran = vp(*arguments)
        assert (ran.status, "rules.yaml" in ran.err, "Traceback" in ran.err) == (1, True, False)
    monkeypatch.delenv("VIDEO_PLATFORM_RULES")
    assert [rule["name"] for rule in vp("rules", "list", "--json").json["rules"]] == ["person"]


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own, and a way to give it another size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root")

    def resize(size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    yield folder, resize
    subprocess.run(["umount", "-l", str(folder)], check=True)


END_S = 90
"""A run that meets a full disk ends within the time of what it was doing, a few seconds; a machine that is busy with other things needs some more."""

FILL_BYTES = (1024 * 1024, 64 * 1024, 4096, 1)
FILL_EVERY_S = 0.01


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Somebody else takes all the room of a file system, also what becomes free, until the block ends."""
    done = threading.Event()

    def fill() -> None:
        with (folder / "ballast").open("ab", buffering=0) as ballast:
            while not done.wait(FILL_EVERY_S):
                for size in FILL_BYTES:
                    try:
                        while ballast.write(bytes(size)) == size:
                            pass
                    except OSError:
                        continue

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        (folder / "ballast").unlink()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("line", ["taken in", "raw_video: made", "scenes: made"])
def test_a_disk_that_fills_up_under_a_run_ends_it_in_one_line_and_the_next_completes_it(disk, vp, monkeypatch, line):
    folder, resize = disk
    resize("40m")
    home = folder / "home"
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(home))
    with subprocess.Popen([sys.executable, "-c", RUN, "process", str(SAMPLE)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert any(line in said for said in running.stdout)
        with filled(folder):
            _, err = running.communicate(timeout=END_S)
    assert running.returncode == 1
    said, count = err.splitlines()
    assert said.startswith("error: crossing.mp4")
    assert "no space is left" in said
    assert "free some" in said
    assert count == "1 of 1 could not be processed"
    assert leftovers(home) == []
    ran = vp("process", SAMPLE)
    assert (ran.status, ran.err) == (0, "")
    assert len(vp("alerts", "--json").json) == 1
    again = vp("process", SAMPLE, "--json").json["videos"][0]
    assert {step["state"] for step in again["steps"]} == {"reused"}


def test_any_command_on_a_full_disk_says_so_and_needs_no_second_try(disk, vp, monkeypatch):
    folder, resize = disk
    resize("8m")
    home = folder / "home"
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(home))
    assert vp("ingest", SAMPLE).status == 0
    with filled(folder):
        for arguments in (["process", SAMPLE], ["ingest", SAMPLE], ["videos"], ["up"]):
            ran = vp(*arguments)
            assert ran.status == 1, arguments
            assert "no space is left" in ran.err, arguments
            assert "free some" in ran.err, arguments
        with pytest.raises(StoreFull):  # not retriable: "disk I/O error" is what SQLite says of it
            open_platform(Settings(home=home))
        advised = {found["what"]: found["advice"] for found in vp("doctor", "--json").json if found["state"] == "bad"}
        assert advised.keys() >= {"database", "objects", "events", "rules"}
        assert all("there is no room on its disk" in advice for advice in advised.values()), advised
    assert len(vp("videos", "--json").json) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_vp_up_outlives_a_full_disk_and_finishes_what_it_met_when_there_is_room_again(disk, vp, monkeypatch):
    folder, resize = disk
    resize("60m")
    home = folder / "home"
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(home))
    with Up(home) as running:
        parts = {name: [each.pid for each in found] for name, found in running.members().items() if name in ("web", "daemon", "relay")}
        video_id = vp("ingest", SAMPLE, "--json").json[0]["video_id"]
        wait(lambda: running.members()["child"], END_S, "the run decodes")
        with filled(folder):
            wait(lambda: not running.members()["child"] and not running.members()["run"], END_S, "the run ends")
            with httpx.Client(base_url=running.addresses["web"], timeout=20) as client:
                assert client.get("/api/videos").json()["total"] == 1
                refused = client.post("/api/videos", content=SAMPLE.read_bytes() + b"x")
                assert (refused.status_code, refused.json()["title"]) == (507, "StoreFull")
        wait(lambda: vp("show", video_id, "--json").json["state"] in ("ready", "failed"), 4 * END_S, "the video is done or has failed")
        if vp("show", video_id, "--json").json["state"] == "failed":
            assert "free some" in vp("show", video_id, "--json").json["failure_message"]
            assert vp("retry", video_id).status == 0
            wait(lambda: vp("show", video_id, "--json").json["state"] == "ready", 4 * END_S, "the video is ready")
        assert {name: [each.pid for each in found] for name, found in running.members().items() if name in parts} == parts
        assert len(vp("alerts", "--json").json) == 1
    assert leftovers(home) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_disk_is_said_leaves_nothing_half_and_more_room_completes_it(disk, monkeypatch):
    folder, resize = disk
    home = folder / "home"
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(home))

    def process(*more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, "-c", RUN, "process", str(SAMPLE), *more], capture_output=True, text=True, check=False, timeout=400)

    for size in ("1m", "1500k", "3m"):
        resize(size)
        ran = process()
        assert (ran.returncode, "Traceback" in ran.stderr) == (1, False), (size, ran.stderr)
        assert "no space is left" in ran.stderr, size
        assert "free some" in ran.stderr, size
        assert all(said.startswith("error: ") or said.endswith("could not be processed") for said in ran.stderr.splitlines()), (size, ran.stderr)
        assert leftovers(home) == [], size
    resize("80m")
    ran = process()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ": failed" not in ran.stdout


def test_an_upload_onto_a_full_disk_is_refused_in_words_and_fits_later(disk):
    folder, resize = disk
    with serving(folder) as served:
        answer = served.client.post("/api/videos", content=SAMPLE.read_bytes(), params={"name": "x" * 300 + ".mp4"})
        assert (answer.status_code, answer.json()["title"]) == (507, "StoreFull")
        assert "free some" in answer.json()["detail"]
        assert served.client.get("/api/videos").json()["total"] == 0
        assert leftovers(folder / "home") == []
        resize("20m")
        answer = served.client.post("/api/videos", content=SAMPLE.read_bytes(), params={"name": "x" * 300 + ".mp4"})
        assert answer.status_code == 201
        assert len(answer.json()["video"]["original_name"]) <= 200
