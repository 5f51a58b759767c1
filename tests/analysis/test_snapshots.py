"""Single frames: exactly the one that is shown at the wanted moment."""

from pathlib import Path
from typing import Any

import clips
import cv2
import numpy as np
import pytest

from video_platform.analysis import snapshots
from video_platform.analysis.snapshots import Wanted
from video_platform.errors import MediaError, StoreFull


def indices(made: dict[str, Any]) -> dict[str, int]:
    return {each: clips.read_index(cv2.imread(path)) for each, path in made.items()}


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("mp4", {"b_frames": 3}),
    ("mp4", {"b_frames": 2, "first_pts_s": 5.5, "gop": 10}),
    ("mkv", {"b_frames": 2, "gop": 250}),
    ("ts", {"b_frames": 2, "first_pts_s": 3600.0}),
    ("avi", {"codec": "mpeg4", "gop": 12}),
    ("webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
]


@pytest.mark.parametrize(("suffix", "kind"), KINDS, ids=str)
def test_the_frame_at_or_just_before(tmp_path: Path, suffix: str, kind: dict[str, Any]) -> None:
    clip = clips.make(tmp_path / f"a.{suffix}", frames=450, size=(160, 120), **kind)
    wanted = [14.9, 0.0, 12.3, 7.01, 7.03, 7.04, 7.0, 0.5, 99.0]
    made = snapshots.make(clip.path, tmp_path, [Wanted(str(at_s), at_s) for at_s in wanted])
    expected = {str(at_s): max(index for index, time_s in enumerate(clip.times_s) if time_s <= at_s + 0.0012) for at_s in wanted}
    assert indices(made) == expected


def test_variable_frame_rate_holds_the_frame_before_a_gap(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", times_s=[0, 0.1, 0.2, 8.0, 8.1, 30.0, 30.1])
    made = snapshots.make(clip.path, tmp_path, [Wanted(str(at_s), at_s) for at_s in (0.15, 7.9, 8.0, 29.0, 30.05)])
    assert indices(made) == {"0.15": 1, "7.9": 2, "8.0": 3, "29.0": 4, "30.05": 5}


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_snapshots_are_upright(tmp_path: Path, rotation: int) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60, size=(320, 180), rotation=rotation)
    made = snapshots.make(clip.path, tmp_path, [Wanted("x", 1.0)])
    picture = cv2.imread(str(made["x"]))
    assert picture.shape == (180, 320, 3)
    assert clips.read_index(picture) == 30


def test_boxes_zones_and_lines_are_drawn_where_they_are(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=30, size=(640, 360), with_box=False)
    plain, drawn = (
        cv2.imread(str(snapshots.make(clip.path, tmp_path, [Wanted.of({"id": str(number), "at_s": 0.5, **extra})])[str(number)])).astype(int)
        for number, extra in enumerate(
            (
                {},
                {
                    "boxes": [{"box": [0.25, 0.25, 0.5, 0.75], "label": "person"}],
                    "zones": {"plaza": [[0.6, 0.1], [0.9, 0.1], [0.9, 0.4], [0.6, 0.4]]},
                    "lines": {"path": [[0.1, 0.2], [0.1, 0.7]]},
                },
            )
        )
    )
    changed = np.abs(plain - drawn).max(axis=2) > 60
    for x, y in ((0.25, 0.5), (0.5, 0.5), (0.4, 0.75), (0.75, 0.1), (0.9, 0.25), (0.1, 0.45)):
        column, row = round(x * 640), round(y * 360)
        assert changed[row - 3 : row + 4, column - 3 : column + 4].any(), (x, y)
    assert not changed[160:200, 200:280].any()  # inside the box


def test_a_cut_off_recording_gives_what_it_has(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=300, gop=30, container_options={"movflags": "+faststart"})
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: len(data) * 6 // 10])
    made = snapshots.make(clip.path, tmp_path, [Wanted("in", 2.0), Wanted("out", 9.5)])
    assert clips.read_index(cv2.imread(str(made["in"]))) == 60
    assert 100 < clips.read_index(cv2.imread(str(made["out"]))) < 299


def test_one_frame_to_a_path(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60)
    made = snapshots.one(clip.path, 1.02, tmp_path / "x.jpg", max_width=160)
    assert made == {"at_s": pytest.approx(1.0, abs=0.001), "width": 160, "height": 120}
    assert clips.read_index(cv2.imread(str(tmp_path / "x.jpg"))) == 30


def test_faults_are_named(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=10)
    (tmp_path / "full.jpg").symlink_to("/dev/full")
    with pytest.raises(StoreFull):
        snapshots.one(clip.path, 0.0, tmp_path / "full.jpg")
    with pytest.raises(MediaError):
        snapshots.one(tmp_path / "none.mp4", 0.0, tmp_path / "x.jpg")
