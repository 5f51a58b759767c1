"""From scores to scenes: what is one transition, what leads back to the same view, and that every frame is told of once and in order."""

import numpy as np
import pytest

from video_platform.analysis.transitions import BLANK_S, Transitions
from video_platform.analysis.views import SAME_VIEW, likeness, of_planes, of_rgb

FPS = 25
SHAPE = (27, 48, 3)


def view(seed: int) -> np.ndarray:
    """A picture unlike those of other seeds."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 6, 0), 6, 1)[: SHAPE[0], : SHAPE[1]]


ONE, OTHER, THIRD = view(1), view(2), view(3)
BLACK = np.zeros(SHAPE, np.uint8)


def begin_s(*parts: tuple[int, np.ndarray, float], min_scene_s: float = 0.5) -> list[float]:
    """When scenes begin in a video of such parts (frames, picture, score); the same is told of the frames, once each."""
    frames = [(picture, score) for count, picture, score in parts for _ in range(count)]
    transitions = Transitions(min_scene_s)
    told: list[bool] = []
    for index, (picture, score) in enumerate(frames):
        told += transitions.judge(score, picture, index / FPS)
        assert len(told) <= index + 1
    told += transitions.finish()
    assert len(told) == len(frames)
    assert [index / FPS for index, begins in enumerate(told) if begins] == transitions.starts_s
    return transitions.starts_s


def blend(part: float) -> np.ndarray:
    return (ONE * (1 - part) + OTHER * part).astype(np.uint8)


def test_a_hard_cut_begins_a_scene_with_the_frame_after_it() -> None:
    assert begin_s((49, ONE, 0.0), (1, ONE, 0.9), (50, OTHER, 0.0)) == [0.0, 2.0]


def test_a_score_as_the_threshold_is_none() -> None:
    assert begin_s((49, ONE, 0.0), (1, ONE, 0.5), (50, OTHER, 0.0)) == [0.0]


def test_a_dissolve_begins_when_it_is_over_although_its_ends_are_unsure() -> None:
    """The views that are compared lie beyond the unsure frames: blends of both would be alike."""
    ends = [(3, blend(part), 0.3) for part in (0.2, 0.8)]
    assert begin_s((50, ONE, 0.1), ends[0], (4, blend(0.5), 0.8), ends[1], (50, OTHER, 0.1)) == [0.0, 2.4]


@pytest.mark.parametrize("black", [1, 4, 25, 45])
def test_a_fade_is_one_cut_however_long_it_stays_black(black: int) -> None:
    halves = [(6, (picture * 0.5).astype(np.uint8), 0.8) for picture in (ONE, OTHER)]
    assert begin_s((50, ONE, 0.0), halves[0], (black, BLACK, 0.1), halves[1], (50, OTHER, 0.0)) == [0.0, pytest.approx((62 + black) / FPS)]


def test_what_stays_black_is_a_scene() -> None:
    dark = round((BLANK_S + 1) * FPS)
    assert begin_s((50, ONE, 0.0), (5, ONE, 0.8), (dark, BLACK, 0.0), (5, BLACK, 0.8), (50, OTHER, 0.0)) == [0.0, 2.2, pytest.approx((60 + dark) / FPS)]


@pytest.mark.parametrize("light", [0.2, 0.5, 1.0])
def test_light_that_changes_is_no_cut(light: float) -> None:
    changed = (ONE * light).astype(np.uint8)
    assert begin_s((50, ONE, 0.0), (8, ONE, 0.8), (50, changed, 0.0)) == [0.0]
    assert begin_s((50, changed, 0.0), (1, changed, 0.9), (50, ONE, 0.0)) == [0.0]


def test_what_passes_between_two_pictures_of_one_view_is_no_cut() -> None:
    assert begin_s((50, ONE, 0.0), (1, ONE, 0.9), (3, OTHER, 0.0), (1, OTHER, 0.9), (50, ONE, 0.0)) == [0.0]


def test_a_cut_soon_after_what_was_none_is_found() -> None:
    assert begin_s((50, ONE, 0.0), (5, ONE, 0.8), (10, (ONE * 0.5).astype(np.uint8), 0.0), (1, ONE, 0.8), (50, OTHER, 0.0)) == [0.0, pytest.approx(66 / FPS)]


def test_no_scene_is_shorter_than_was_asked_for() -> None:
    parts = ((49, ONE, 0.0), (1, ONE, 0.9), (9, OTHER, 0.0), (1, OTHER, 0.9), (50, THIRD, 0.0))
    assert begin_s(*parts, min_scene_s=0.3) == [0.0, 2.0, 2.4]
    assert begin_s(*parts) == [0.0, 2.0]


def test_a_video_may_begin_and_end_amid_a_transition() -> None:
    assert begin_s((3, ONE, 0.9), (50, OTHER, 0.0), (2, OTHER, 0.9)) == [0.0]
    assert begin_s((50, ONE, 0.0), (1, ONE, 0.9), (2, OTHER, 0.0)) == [0.0, pytest.approx(51 / FPS)]
    assert begin_s((1, ONE, 0.9)) == [0.0]
    assert begin_s() == []


def test_a_score_that_never_rests_keeps_no_frames_back() -> None:
    transitions = Transitions(0.5)
    scores = [0.0] * 25 + [0.9] + [0.0] + [0.9, 0.3] * 500
    known = [len(list(transitions.judge(score, ONE, index / FPS))) for index, score in enumerate(scores)]
    waiting = np.arange(1, len(scores) + 1) - np.cumsum(known)
    assert waiting.max() <= BLANK_S * FPS + 1


def test_views_are_alike_in_any_light_and_bars_above_and_below_tell_nothing() -> None:
    noise = np.random.default_rng(4).integers(-6, 7, SHAPE)
    again = np.clip(ONE.astype(int) + noise, 0, 255).astype(np.uint8)
    assert likeness(of_rgb(ONE), of_rgb((again * 0.3).astype(np.uint8))) > 0.95
    assert likeness(of_rgb(ONE), of_rgb(OTHER)) < 0.5
    barred = [picture.copy() for picture in (ONE, OTHER)]
    for picture in barred:
        picture[:5] = picture[-5:] = 0
    assert likeness(*(of_rgb(picture) for picture in barred)) < 0.5
    red, green = np.full(SHAPE, (190, 30, 30), np.uint8), np.full(SHAPE, (40, 170, 40), np.uint8)
    assert likeness(of_rgb(red), of_rgb(green)) < SAME_VIEW
    assert likeness(of_rgb(BLACK), of_rgb(BLACK)) == 0.0
    assert likeness(of_rgb(red), of_rgb((red * 0.5).astype(np.uint8))) > SAME_VIEW


def test_planes_and_colours_give_the_same_view() -> None:
    import cv2

    planes = cv2.split(cv2.cvtColor(ONE, cv2.COLOR_RGB2YCrCb))
    np.testing.assert_allclose(of_planes([planes[0], planes[2], planes[1]]), of_rgb(ONE), atol=1.5)
