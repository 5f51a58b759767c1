import os

import clips
import pytest

from video_platform.cli.opening import platform
from video_platform.services.database import videos


@pytest.fixture
def footage(tmp_path):
    """A folder with two videos, one of them under a nasty name, and things that are none."""
    folder = tmp_path / "footage"
    folder.mkdir()
    clips.make(folder / "a.mp4", frames=12)
    clips.make(folder / "b.mp4", frames=18).path.rename(folder / "-rf \x1b[31m\n🎬.mp4")
    (folder / "notes.txt").write_text("not a video")
    (folder / "empty.mp4").touch()
    return folder


def test_a_mixed_folder_is_taken_as_far_as_it_can_be(vp, footage):
    ran = vp("ingest", footage, "--camera", "gate", "--json")
    states = {os.path.basename(row["path"]): row["state"] for row in ran.json}  # noqa: PTH119
    assert states["a.mp4"] == "taken"
    assert states["-rf \x1b[31m\n🎬.mp4"] == "taken"
    assert states["notes.txt"] == "skipped"
    assert states["empty.mp4"] in ("skipped", "refused")
    assert {video["camera"] for video in vp("videos", "--json").json} == {"gate"}
    assert vp("ingest", footage / "a.mp4").out.endswith("already there\n")


def test_footage_that_had_failed_is_said_to_be_processed_anew(vp, footage):
    (row,) = vp("ingest", footage / "a.mp4", "--json").json
    with platform() as opened:
        videos.failed(opened.db, row["video_id"], None, "not_a_video", "This file is not a video.")
    assert vp("ingest", footage / "a.mp4").out.endswith("already there, had failed; it is processed anew\n")
    assert vp("videos", "--json").json[0]["state"] == "received"


def test_names_cannot_act_on_the_terminal(vp, footage):
    ran = vp("ingest", footage)
    assert "\x1b" not in ran.out + ran.err
    assert "\\x1b[31m\\x0a🎬.mp4" in ran.out


def test_a_name_like_an_option_goes_after_two_dashes(vp, footage, monkeypatch):
    monkeypatch.chdir(footage)
    ran = vp("ingest", "--", next(path.name for path in footage.iterdir() if path.name.startswith("-rf")))
    assert ran.status == 0


def test_bad_paths_are_named_and_the_rest_is_done(vp, footage):
    ran = vp("ingest", footage / "missing.mp4", footage / "a.mp4", footage / "empty.mp4")
    assert ran.status == 1
    assert "missing.mp4" in ran.err
    assert "empty.mp4" in ran.err
    assert len(vp("videos", "--json").json) == 1


def test_a_dry_run_takes_nothing(vp, footage):
    ran = vp("ingest", footage, "--dry-run")
    assert "a.mp4: would be taken" in ran.out
    assert vp("videos", "--json").json == []


def test_waiting_needs_somebody_to_wait_for(vp, footage):
    ran = vp("ingest", footage / "a.mp4", "--wait")
    assert ran.status == 2
    assert "start `vp up`, or use `vp process`" in ran.err
    assert vp("videos", "--json").json == []


def test_nobody_processing_is_said(vp, footage):
    assert "nothing processes on this home now" in vp("ingest", footage / "a.mp4").err


def test_lane_and_time_are_kept(vp, footage):
    vp("ingest", footage / "a.mp4", "--lane", "backfill", "--recorded-at", "2026-11-01T10:00+02:00")
    record = vp("videos", "--json").json[0]
    assert (record["lane"], record["recorded_at"]) == ("backfill", "2026-11-01T08:00:00Z")
    with platform() as opened:
        assert sum(opened.log.end_offsets("video-events").values()) == 1
