"""Stills: the frame that is shown at a moment, upright, small, and named by its pixels."""

import clips
import cv2
import pytest

from video_platform.analysis import stills, worker
from video_platform.analysis.stills import Wanted
from video_platform.analysis.worker import Budget


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def read(still):
    picture = cv2.imread(still["path"])
    assert picture is not None
    return picture


def test_the_frames_of_the_moments_are_written_and_named_by_their_pixels(tmp_path, out):
    clip = clips.make(tmp_path / "clip.mp4", frames=60, fps=30)
    made = stills.make(clip.path, out, [Wanted("late", 1.51), Wanted("early", 0.35), Wanted("again", 0.36)])
    assert {name: clips.read_index(read(still)) for name, still in made.items()} == {"early": 10, "again": 10, "late": 45}
    assert made["early"]["digest"] == made["again"]["digest"] != made["late"]["digest"]
    assert made["early"]["at_s"] == pytest.approx(10 / 30, abs=1e-3)
    assert len(list(out.iterdir())) == 2
    assert stills.make(clip.path, out, [Wanted("early", 0.35)])["early"]["digest"] == made["early"]["digest"]


@pytest.mark.parametrize(("rotation", "shape"), [(0, (432, 768)), (90, (768, 432))])
def test_a_large_picture_is_made_small_and_upright(tmp_path, out, rotation, shape):
    size = (1280, 720) if rotation == 0 else (720, 1280)
    clip = clips.make(tmp_path / "clip.mp4", frames=3, size=size, rotation=rotation)
    (still,) = stills.make(clip.path, out, [Wanted("0", 0.0)]).values()
    assert read(still).shape[:2] == shape
    assert clips.read_index(read(still)) == 0


def test_a_small_picture_stays_as_it_is(tmp_path, out):
    clip = clips.make(tmp_path / "clip.mp4", frames=3, size=(320, 240))
    assert read(stills.make(clip.path, out, [Wanted("0", 0.0)])["0"]).shape == (240, 320, 3)


def test_the_child_process_makes_them(tmp_path, out):
    clip = clips.make(tmp_path / "clip.mp4", frames=30)
    payload = {"path": str(clip.path), "out_dir": str(out), "wanted": [{"id": "0", "at_s": 0.5}]}
    made = worker.run("stills", payload, limits=Budget())
    assert clips.read_index(read(made["0"])) == 15
