"""Key frames: nothing that lasts is between two of them, the cap is kept and said, and no frame stands for two scenes."""

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from video_platform.analysis import key_frames
from video_platform.records import Scene, TrackLine

EXACT = 1e-5


def track(start_s: float, end_s: float, id_: int = 1) -> TrackLine:
    return TrackLine(id=id_, class_name="person", score=0.9, start_s=start_s, end_s=end_s, times_s=[start_s, end_s], boxes=[(0, 0, 1, 1)] * 2)


def scenes(*starts_s: float, end_s: float) -> list[Scene]:
    return [Scene(index, start, end) for index, (start, end) in enumerate(zip(starts_s, [*starts_s[1:], end_s], strict=True))]


def moments(choice: key_frames.Choice) -> list[float]:
    return [frame.at_s for frame in choice.frames]


def longest_unseen(active: Sequence[tuple[float, float]], at_s: Sequence[float]) -> float:
    """The longest piece of activity without a moment."""
    longest = 0.0
    for start_s, end_s in active:
        edges = [start_s, *(at for at in at_s if start_s <= at <= end_s), end_s]
        longest = max([longest, *(after - before for before, after in pairwise(edges))])
    return longest


def test_a_quiet_video_has_one_frame_in_the_middle_of_each_scene():
    choice = key_frames.choose([], scenes(0, 10, 16, end_s=20))
    assert [(frame.id, frame.at_s, frame.start_s, frame.end_s, frame.kind) for frame in choice.frames] == [
        ("0", 5, 0, 10, "scene"),
        ("1", 13, 10, 16, "scene"),
        ("2", 18, 16, 20, "scene"),
    ]
    assert choice.left_out == 0


def test_a_video_without_frames_has_no_key_frame():
    assert key_frames.choose([], []) == key_frames.Choice((), 0)


def test_activity_has_a_frame_a_second_and_its_spans_leave_nothing_out():
    choice = key_frames.choose([track(2, 5.5), track(5, 6, 2)], scenes(0, end_s=7))
    assert moments(choice) == [2.5, 3.5, 4.5, 5.5]
    assert [(frame.start_s, frame.end_s) for frame in choice.frames] == [(2, 3), (3, 4), (4, 5), (5, 6)]
    assert {frame.kind for frame in choice.frames} == {"activity"}


def test_a_track_of_one_sample_has_its_frame():
    assert moments(key_frames.choose([track(3.2, 3.2)], scenes(0, end_s=5))) == [3.2]


def test_a_long_quiet_part_beside_activity_is_looked_at_once():
    choice = key_frames.choose([track(10, 11), track(40, 41, 2)], scenes(0, end_s=60))
    assert [(frame.at_s, frame.start_s, frame.end_s, frame.kind) for frame in choice.frames] == [
        (10.5, 10, 11, "activity"),
        (25.5, 11, 40, "scene"),
        (40.5, 40, 41, "activity"),
    ]


def test_no_frame_stands_for_two_scenes():
    choice = key_frames.choose([track(0.5, 3.1)], scenes(0, 2.2, end_s=3.2))
    assert [(frame.start_s, frame.end_s) for frame in choice.frames] == [(0.5, pytest.approx(1.35)), (pytest.approx(1.35), 2.2), (2.2, 3.1)]


def test_activity_that_ends_with_a_cut_is_of_the_scene_before():
    choice = key_frames.choose([track(0, 2)], scenes(0, 2, end_s=4))
    assert [(frame.at_s, frame.kind) for frame in choice.frames] == [(0.5, "activity"), (1.5, "activity"), (3, "scene")]


def test_more_frames_a_second_where_the_settings_want_them():
    assert len(key_frames.choose([track(0, 4)], scenes(0, end_s=4), per_second=2.5).frames) == 10


@pytest.mark.parametrize("seed", range(20))
def test_no_activity_over_a_second_is_without_a_frame(seed):
    script = random.Random(seed)
    tracks = [track(start := round(script.uniform(0, 300), 2), round(start + script.expovariate(1 / 4), 2), number) for number in range(60)]
    cuts = [0, *sorted({round(script.uniform(0.5, 300), 2) for _ in range(script.randrange(12))})]
    choice = key_frames.choose(tracks, scenes(*cuts, end_s=330), max_frames=2_000)
    assert choice.left_out == 0
    assert longest_unseen(key_frames.activity(tracks), moments(choice)) <= 1 + EXACT
    for scene in scenes(*cuts, end_s=330):
        assert any(scene.start_s <= at <= scene.end_s for at in moments(choice))
    for frame in choice.frames:
        assert frame.start_s <= frame.at_s <= frame.end_s
        assert not any(frame.start_s < cut < frame.end_s for cut in cuts)
    assert moments(choice) == sorted(moments(choice))
    assert [frame.id for frame in choice.frames] == [str(number) for number in range(len(choice.frames))]


def test_a_cap_thins_all_spans_alike_and_says_how_many_are_left_out():
    tracks = [track(0, 60), track(100, 130, 2), track(200, 200.4, 3)]
    whole = key_frames.choose(tracks, scenes(0, end_s=200.4))
    few = key_frames.choose(tracks, scenes(0, end_s=200.4), max_frames=20)
    assert len(few.frames) <= 20
    assert few.left_out == len(whole.frames) - len(few.frames) > 0
    active = [frame for frame in few.frames if frame.kind == "activity"]
    first, second, third = ([frame for frame in active if low <= frame.at_s <= high] for low, high in ((0, 60), (100, 130), (200, 201)))
    assert len(first) == 2 * len(second)
    assert len(third) == 1
    assert longest_unseen(key_frames.activity(tracks), moments(few)) < 6


def test_with_more_spans_than_frames_they_are_spread_over_the_whole_video():
    tracks = [track(2 * number, 2 * number + 0.5, number) for number in range(1_000)]
    choice = key_frames.choose(tracks, scenes(0, end_s=2_000), max_frames=10)
    assert len(choice.frames) == 10
    assert choice.left_out == 990
    assert max(after - before for before, after in pairwise(moments(choice))) <= 202


@pytest.mark.parametrize("given", [{"per_second": 0}, {"max_frames": 0}])
def test_no_frames_at_all_cannot_be_asked_for(given):
    with pytest.raises(ValueError, match="at least one frame"):
        key_frames.choose([], [], **given)
