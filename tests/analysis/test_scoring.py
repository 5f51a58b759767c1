"""Figures of scripted boxes, worked out by hand."""

import numpy as np
import pytest

from video_platform.analysis import scoring
from video_platform.analysis.scoring import InFrame
from video_platform.analysis.tables import Tracks

LEFT, RIGHT = (0.0, 0.0, 0.1, 0.2), (0.5, 0.0, 0.6, 0.2)
HALF_OFF = (0.05, 0.0, 0.15, 0.2)
"""Shares a third with `LEFT`."""

SHIFTED = (0.02, 0.0, 0.12, 0.2)
"""Shares two thirds with `LEFT`."""


def frames(*given):
    """Each frame as {id: box}."""
    return [InFrame(np.array(list(each), np.int64), np.array(list(each.values()), float).reshape(-1, 4)) for each in given]


def test_overlap_is_intersection_over_union():
    first, second = np.array([LEFT, RIGHT]), np.array([LEFT, HALF_OFF, SHIFTED])
    assert scoring.iou(first, second) == pytest.approx(np.array([[1, 1 / 3, 2 / 3], [0, 0, 0]]))
    assert scoring.iou(np.zeros((0, 4)), second).shape == (0, 3)
    assert scoring.iou(np.array([[0.1, 0.1, 0.1, 0.1]]), np.array([[0.1, 0.1, 0.1, 0.1]])).tolist() == [[0.0]]


def test_what_is_found_without_fault_has_figures_of_one():
    truth = frames({1: LEFT, 2: RIGHT}, {1: LEFT, 2: RIGHT})
    found = scoring.figures(truth, frames({8: LEFT, 9: RIGHT}, {8: LEFT, 9: RIGHT}))
    assert (found.precision, found.recall, found.mota, found.idf1, found.hota) == pytest.approx((1, 1, 1, 1, 1))
    assert (found.annotated_boxes, found.found_boxes, found.objects, found.tracks, found.id_switches) == (4, 4, 2, 2, 0)


def test_misses_false_boxes_and_a_switch_are_counted():
    """Ten frames of one object: missed in the first two, another id from the seventh on, and a false box beside it in the last."""
    truth = frames(*[{1: LEFT}] * 10)
    found = scoring.figures(truth, frames({}, {}, *[{5: LEFT}] * 4, *[{6: LEFT}] * 3, {6: LEFT, 7: RIGHT}))
    assert (found.missed_boxes, found.false_boxes, found.id_switches) == (2, 1, 1)
    assert found.precision == pytest.approx(8 / 9)
    assert found.recall == pytest.approx(8 / 10)
    assert found.mota == pytest.approx(1 - (2 + 1 + 1) / 10)
    assert found.idf1 == pytest.approx(2 * 4 / (10 + 9)), "one of the two ids of four boxes each is the object's"
    # Boxes overlap wholly, so all thresholds agree: DetA = 8 / (8 + 2 + 1); each of the 8 has AssA 4 / (10 + 4 - 4).
    assert (found.det_a, found.ass_a) == pytest.approx((8 / 11, 4 / 10))
    assert found.hota == pytest.approx((8 / 11 * 4 / 10) ** 0.5)


def test_hota_goes_down_with_the_overlap_where_the_others_do_not():
    """Two thirds of overlap pass 13 of the 19 thresholds from .05 to .95."""
    found = scoring.figures(frames({1: LEFT}, {1: LEFT}), frames({5: SHIFTED}, {5: SHIFTED}))
    assert (found.mota, found.idf1) == (1, 1)
    assert found.hota == pytest.approx(13 / 19)


def test_nothing_found_and_nothing_there():
    nothing = scoring.figures(frames({1: LEFT}), frames({}))
    assert (nothing.precision, nothing.recall, nothing.mota, nothing.idf1, nothing.hota, nothing.missed_boxes) == (None, 0, 0, 0, 0, 1)
    assert scoring.figures(frames({}), frames({1: LEFT})).mota is None


def test_boxes_lie_on_a_line_between_samples_and_end_with_them():
    box = np.array([[0, 0, 0.1, 0.1], [0.4, 0, 0.5, 0.1]], np.float32)
    tracks = Tracks(np.array([0.2, 0.6]), np.zeros(2, np.int16), np.ones(2, np.float32), box, np.array([3, 3], np.int32))
    found = scoring.interpolated(tracks, np.arange(10) / 10, 0)
    assert [frame.ids.tolist() for frame in found] == [[], [], [3], [3], [3], [3], [3], [], [], []]
    assert [float(frame.boxes[0, 0]) for frame in found[2:7]] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert not any(len(frame.ids) for frame in scoring.interpolated(tracks, np.arange(10) / 10, 1))


def test_a_gap_in_the_annotation_stays_a_gap():
    box = np.array([LEFT, LEFT], np.float32)
    tracks = Tracks(np.array([0.1, 0.3]), np.zeros(2, np.int16), np.ones(2, np.float32), box, np.array([3, 3], np.int32))
    assert [len(frame.ids) for frame in scoring.annotated(tracks, np.arange(5) / 10, 0)] == [0, 1, 0, 1, 0]


def test_what_lies_best_on_something_ignored_is_left_out():
    truth, ignored = frames({1: LEFT}), frames({2: SHIFTED, 3: RIGHT})
    (kept,) = scoring.without_ignored(frames({7: LEFT, 8: RIGHT, 9: (0.8, 0, 0.9, 0.2)}), truth, ignored)
    assert kept.ids.tolist() == [7, 9]


def test_spans_without_a_box_are_told_longest_first():
    times = np.arange(8) / 2
    truth = frames({1: LEFT}, {1: LEFT}, {1: LEFT, 2: RIGHT}, {2: RIGHT}, {2: RIGHT}, {1: LEFT}, {1: LEFT}, {1: LEFT})
    found = frames({}, {}, {8: RIGHT}, {}, {}, {}, {9: LEFT}, {})
    assert scoring.unmatched(truth, found, times, 0.5) == [(0.0, 1.0, 1), (1.5, 2.0, 2)]
    assert scoring.unmatched(truth, found, times, 0.0) == [(0.0, 1.0, 1), (1.5, 2.0, 2), (2.5, 2.5, 1), (3.5, 3.5, 1)]


@pytest.mark.parametrize(
    ("expected", "found", "pairs"),
    [
        ([(1, 1.4)], [(2, 2.4)], [(0, 0)]),
        ([(1, 1.4)], [(2.1, 2.5)], []),
        ([(0, 10)], [(8, 9)], [(0, 0)]),
        ([(0, 10)], [(2, 3), (6, 7)], [(0, 0)]),
        ([(1, 1.4), (1.5, 1.9)], [(1.6, 2.0)], [(1, 0)]),
        ([(1, 1.4), (2, 2.4)], [(1.9, 2.3), (2.9, 3.3)], [(0, 0), (1, 1)]),
        ([], [(1, 2)], []),
        ([(1, 2)], [], []),
    ],
    ids=["starts within a second", "too far", "overlap", "only one of two", "the nearer one", "as many as can be", "none expected", "none found"],
)
def test_episodes_are_matched_one_to_one(expected, found, pairs):
    assert scoring.match_episodes(expected, found) == pairs
