import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import av
import clips
import pytest

from video_platform import layout
from video_platform.analysis import summary
from video_platform.supervisor import lock

SAMPLE = Path(__file__).parents[2] / "samples" / "crossing.mp4"


@pytest.fixture
def clip(tmp_path):
    return clips.make(tmp_path / "a.mp4", frames=30).path


@pytest.mark.timeout(600)
def test_everything_is_made_once_and_says_what_it_lacks(vp, tmp_path):
    clip = clips.make(tmp_path / "a.mp4", frames=30, audio="aac").path
    first = vp("process", clip, "--json")
    assert first.status == 0
    (video,) = first.json["videos"]
    assert {step["asset"]: step["state"] for step in video["steps"]} == dict.fromkeys(layout.ASSETS, "made")
    assert video["title"]
    assert video["engine"] == "template"
    held = {step["asset"]: step["holds"] for step in video["steps"]}
    assert (held["transcript"], held["captions"], held["tracks"]) == ("not_transcribed", "not_described", "")
    second = vp("process", clip, video["video_id"])
    assert second.status == 0
    assert len(re.findall(rf"^{video['video_id']}  a.mp4  {len(layout.ASSETS)} reused +0 +[0-9.]+$", second.out, re.MULTILINE)) == 2, (
        "by name, also where an id was given"
    )
    assert second.out.count("reused") >= 2 * len(layout.ASSETS)
    assert ": made" not in second.out
    assert re.search(r"^  transcript: reused( in \d+\.\d s)? \(nobody listened\)$", second.out, re.MULTILINE)
    assert re.search(r"^  captions: reused( in \d+\.\d s)? \(no frame is described\)$", second.out, re.MULTILINE)
    assert re.search(r"^  tracks: reused( in \d+\.\d s)?$", second.out, re.MULTILINE)
    assert f"vp show {video['video_id']}" in second.out
    assert vp("show", video["video_id"], "--json").json["state"] == "ready"


@pytest.mark.timeout(600)
def test_a_mixed_folder_goes_on_after_bad_files(vp, clip, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    clip.rename(folder / "-good [red] \n.mp4")
    (folder / "broken.mp4").write_bytes(SAMPLE.read_bytes()[:5000])
    (folder / "playlist.mp4").write_text("#EXTM3U\nfile:///etc/passwd\n")
    (folder / "notes.txt").write_text("nothing")
    ran = vp("process", folder, "--json")
    assert ran.status == 1
    states = {video["name"]: video["success"] for video in ran.json["videos"]}
    assert states.pop("-good [red] \n.mp4") is True
    assert set(states.values()) == {False}
    assert [row["state"] for row in ran.json["files"] if row["path"].endswith("notes.txt")] == ["skipped"]
    codes = {video["original_name"]: video["failure_code"] for video in vp("videos", "--state", "failed", "--json").json}
    assert codes["playlist.mp4"] in ("format_refused", "not_a_video")
    assert "broken.mp4" in codes


def test_an_id_of_which_nothing_is_here_is_said_and_does_not_end_the_batch(vp, filled):
    processed, received, _ = filled
    for record in (processed, received):
        assert vp("delete", record.video_id, "--yes").status == 0
    ran = vp("process", processed.video_id, "0123456789abcdef", received.video_id)
    assert ran.status == 1
    assert ran.err.count("was deleted on") == 2
    assert "there is no video '0123456789abcdef'" in ran.err
    assert "3 of 3 could not be processed" in ran.err


def test_a_home_that_somebody_runs_is_left_alone(vp, clip, home):
    with lock.hold(home / "home.lock", "vp up"):
        ran = vp("process", clip)
    assert ran.status == 1
    assert f"vp up (process {os.getpid()}" in ran.err
    assert vp("videos", "--json").json == []


@pytest.mark.timeout(600)
def test_a_recording_that_is_cut_off_is_said_to_be(vp, tmp_path):
    whole = tmp_path / "whole.mkv"
    with av.open(str(SAMPLE)) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = whole.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 2 // 3])
    ran = vp("process", tmp_path / "cut.mkv")
    assert ran.status == 0
    note = re.search(r"The recording is cut off or damaged: \d+\.\d s of 30\.0 s could be decoded\.", ran.out)
    assert note
    assert ran.out.count(note[0]) == 1, "three assets come from the one decoding, and each has the note"
    [video] = vp("videos", "--json").json
    assert vp("show", video["video_id"]).out.count(f"note: {note[0]}") == 1
    shown = vp("show", video["video_id"], "--json").json
    assert shown["notes"] == [note[0]]
    first = shown["summary"]["sentences"][0]["text"]
    assert "in 20 seconds of footage" in first, f"nobody looked at more than that: {first}"


@pytest.mark.timeout(600)
def test_a_summary_that_fails_is_named_and_does_not_end_the_batch(vp, clip, tmp_path, monkeypatch):
    other = clips.make(tmp_path / "b.mp4", frames=20).path

    def fails(*_, **__):
        raise ValueError("no such key")

    monkeypatch.setattr(summary, "write", fails)
    ran = vp("process", clip, other)
    assert ran.status == 1
    assert ran.err.count("ValueError: the summary could not be written, everything else stands") == 2
    assert "interrupted" not in ran.err
    assert {video["state"] for video in vp("videos", "--json").json} == {"ready"}


@pytest.mark.timeout(600)
def test_ctrl_c_is_said_and_the_next_time_goes_on(vp, clip):
    code = "import sys; from video_platform import cli; sys.exit(cli.main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, "process", str(SAMPLE), str(clip)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if "raw_video: made" in line:
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "interrupted; run it again" in errors
    assert len(vp("videos", "--json").json) == 1, "the rest of the batch is not begun after Ctrl-C"
    assert "Traceback" not in errors
    assert vp("process", SAMPLE).status == 0
