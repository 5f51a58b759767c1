import os
import signal
import subprocess
import sys

import clips
import pytest

from video_platform.cli.watch import RETRY_S, SETTLED_S, Journal, Watch, camera_of


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "home" / "watch.db")
    yield opened
    opened.close()


def names(watching, now):
    return [path.name for path, _ in watching.settled(now)]


def test_a_file_counts_once_it_stopped_changing(tmp_path, journal):
    folder = tmp_path / "in"
    folder.mkdir()
    watching = Watch(folder, journal)
    file = folder / "a.mp4"
    file.write_bytes(b"x")
    assert names(watching, 0) == []
    assert names(watching, SETTLED_S - 1) == []
    file.write_bytes(b"xy")
    assert names(watching, SETTLED_S) == []
    assert names(watching, 2 * SETTLED_S - 1) == []
    assert names(watching, 2 * SETTLED_S) == ["a.mp4"]


def test_what_was_dealt_with_stays_so_over_a_restart_until_it_changes(tmp_path, journal):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"x")
    watching = Watch(folder, journal, settled_s=0)
    ((path, seen),) = watching.settled(0)
    journal.record(path, seen, "0123456789abcdef")
    assert names(Watch(folder, journal, settled_s=0), 0) == []
    assert watching.unsettled(0) == 0
    path.write_bytes(b"another recording")
    assert names(Watch(folder, journal, settled_s=0), 0) == ["a.mp4"]


def test_a_passing_failure_is_tried_again_later(tmp_path, journal):
    (tmp_path / "a.mp4").write_bytes(b"x")
    watching = Watch(tmp_path, journal)
    watching.settled(0)
    ((path, _),) = watching.settled(SETTLED_S)
    watching.wait_again(path, SETTLED_S)
    assert names(watching, SETTLED_S + RETRY_S - 1) == []
    assert names(watching, SETTLED_S + RETRY_S) == ["a.mp4"]


def test_who_waits_for_all_files_once_does_not_wait_for_the_one_that_failed(tmp_path, journal):
    (tmp_path / "a.mp4").write_bytes(b"x")
    watching = Watch(tmp_path, journal)
    watching.settled(0)
    (tmp_path / "b.mp4").write_bytes(b"x")
    ((failed, _),) = watching.settled(SETTLED_S)
    watching.wait_again(failed, SETTLED_S)
    assert watching.unsettled(SETTLED_S) == 1
    ((other, seen),) = watching.settled(2 * SETTLED_S)
    journal.record(other, seen, "refused: no video")
    assert watching.unsettled(2 * SETTLED_S) == 0


@pytest.mark.parametrize("name", [".hidden.mp4", "a.mp4.part", "a.mp4.crdownload", "a.tmp", "notes.txt", ".cache/a.mp4"])
def test_unfinished_and_foreign_files_are_passed_over(tmp_path, journal, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    assert names(Watch(tmp_path, journal, settled_s=0), 0) == []


def test_links_are_not_followed(tmp_path, journal):
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").symlink_to(tmp_path / "secret")
    assert names(Watch(folder, journal, settled_s=0), 0) == []


@pytest.mark.parametrize(
    ("below", "camera"),
    [("a.mp4", "default"), ("gate-1/a.mp4", "gate-1"), ("gate-1/2026-11-23/a.mp4", "gate-1"), ("Tür \x1b 1/a.mp4", "T-r-1"), ("…/a.mp4", "default")],
)
def test_the_camera_is_the_first_folder(tmp_path, below, camera):
    assert camera_of(tmp_path, tmp_path / below, "default") == camera


def test_watching_takes_what_is_there_and_what_comes_and_ends_with_ctrl_c(vp, tmp_path):
    folder = tmp_path / "in"
    (folder / "gate").mkdir(parents=True)
    clips.make(folder / "gate" / "a.mp4", frames=12)
    code = "import sys; from video_platform import cli; sys.exit(cli.main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "watch", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ}
    )
    try:
        for line in process.stdout:
            if "taken in, camera gate" in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert [video["camera"] for video in vp("videos", "--json").json] == ["gate"]
