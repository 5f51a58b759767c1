"""The mode fast on clips whose cuts are known: what changes the colours for a moment, or only the light, is no cut."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import clips
import cv2
import numpy as np
import pytest

from video_platform.analysis import one_pass
from video_platform.analysis.one_pass import Order
from video_platform.analysis.scenes import SceneParameters

FPS = 30
SIZE = (320, 240)
Picture = np.ndarray


def view(seed: int) -> Picture:
    """A picture unlike those of other seeds, in shape and colours."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 120, (5, 7, 3)) + rng.integers(0, 130, 3)
    return cv2.resize(coarse.astype(np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)


ONE, OTHER, THIRD = view(1), view(2), view(4)
BLACK = np.zeros_like(ONE)


def scenes_of(folder: Path, pictures: Sequence[Picture], **parameters: float) -> list[dict[str, object]]:
    """The scenes of a clip of these pictures, each with the number of the frame in its thumbnail."""

    def draw(index: int, bgr: Picture) -> Picture:
        return pictures[index]

    clip = clips.make(folder / "a.mp4", frames=len(pictures), size=SIZE, fps=FPS, draw=draw, gop=250)
    order = Order(("scenes",), scenes=SceneParameters(**parameters))  # type: ignore[arg-type]
    made = one_pass.run(clip.path, folder, order)["scenes"]
    return json.loads(Path(made["scenes"]).read_text())


def starts(folder: Path, pictures: Sequence[Picture], **parameters: float) -> list[float]:
    return [each["start_s"] for each in scenes_of(folder, pictures, **parameters)]  # type: ignore[misc]


def lighter(picture: Picture, by: float) -> Picture:
    return cv2.convertScaleAbs(picture, alpha=1.0, beta=by)


def darker(picture: Picture, light: float) -> Picture:
    return (picture * light).astype(np.uint8)


def covered(picture: Picture, left: int) -> Picture:
    made = picture.copy()
    cv2.rectangle(made, (left, 0), (left + 220, SIZE[1]), (40, 160, 90), -1)
    return made


@pytest.mark.parametrize(
    "between",
    [
        lambda: [lighter(ONE, 140)] * 2,
        lambda: [covered(ONE, left) for left in range(-220, 320, 45)],
        lambda: [darker(ONE, light) for light in (*np.linspace(1, 0.3, 10), *[0.3] * 15, *np.linspace(0.3, 1, 10))],
        lambda: [OTHER] * 2,
    ],
    ids=["flash", "passer-by", "cloud", "two frames"],
)
def test_what_is_over_at_once_is_no_cut(tmp_path: Path, between: Callable[[], list[Picture]]) -> None:
    assert starts(tmp_path, [*[ONE] * 45, *between(), *[ONE] * 45]) == [0.0]


def test_a_light_that_is_switched_off_is_no_cut_and_the_next_cut_is_one(tmp_path: Path) -> None:
    found = starts(tmp_path, [*[ONE] * 45, *[darker(ONE, 0.4)] * 45, *[OTHER] * 45])
    np.testing.assert_allclose(found, [0, 3], atol=0.07)


def test_a_cut_begins_with_its_first_frame_and_shows_it(tmp_path: Path) -> None:
    marked = [OTHER.copy() for _ in range(45)]
    for picture in marked[:2]:  # the decoder may leave out one of two
        picture[:60, :60] = 255
    found = scenes_of(tmp_path, [*[ONE] * 46, *marked])
    np.testing.assert_allclose([each["start_s"] for each in found], [0, 46 / FPS], atol=0.04)
    shown = cv2.imread(str(tmp_path / str(found[1]["thumbnail"])))
    assert shown[10:50, 10:50].mean() > 240


@pytest.mark.parametrize("black", [0, 12, 40])
def test_a_fade_is_one_cut_however_long_it_stays_black(tmp_path: Path, black: int) -> None:
    ramp = np.linspace(0.9, 0.1, 9)
    fade = [*(darker(ONE, light) for light in ramp), *[BLACK] * black, *(darker(OTHER, light) for light in ramp[::-1])]
    found = starts(tmp_path, [*[ONE] * 45, *fade, *[OTHER] * 45])
    assert len(found) == 2
    assert 1.5 <= found[1] <= (45 + len(fade)) / FPS + 0.3


def test_a_cut_in_the_last_frames_is_one(tmp_path: Path) -> None:
    np.testing.assert_allclose(starts(tmp_path, [*[ONE] * 45, *[OTHER] * 3]), [0, 1.5], atol=0.07)


def test_no_scene_is_shorter_than_was_asked_for(tmp_path: Path) -> None:
    pictures = [*[ONE] * 45, *[OTHER] * 24, *[THIRD] * 45]
    np.testing.assert_allclose(starts(tmp_path, pictures), [0, 1.5, 2.3], atol=0.07)
    np.testing.assert_allclose(starts(tmp_path, pictures, min_scene_s=1.0), [0, 1.5], atol=0.07)
