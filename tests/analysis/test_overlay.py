import numpy as np
import pytest

from video_platform.analysis import overlay

GREY = np.full((540, 960, 3), 90, np.uint8)


def changed(drawn):
    return (drawn != GREY).any(axis=2)


def test_the_picture_given_is_left_alone():
    before = GREY.copy()
    overlay.draw(GREY, boxes=[(0.1, 0.1, 0.3, 0.6)], labels=["person 1"], zones={"z": [(0, 0), (1, 0), (1, 1)]}, lines={"l": [(0, 0), (1, 1)]})
    assert np.array_equal(GREY, before)


def test_a_box_is_drawn_where_it_is():
    drawn = changed(overlay.draw(GREY, boxes=[(0.25, 0.5, 0.5, 0.75)]))
    rows, columns = np.nonzero(drawn)
    assert (columns.min(), columns.max()) == (pytest.approx(240, abs=4), pytest.approx(479, abs=4))
    assert (rows.min(), rows.max()) == (pytest.approx(270, abs=4), pytest.approx(404, abs=4))
    assert not drawn[300:380, 260:460].any()


def test_the_inside_of_a_zone_is_tinted_and_its_outside_is_not():
    drawn = changed(overlay.draw(GREY, zones={"": [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]}))
    assert drawn[200:400, 300:700].all()
    assert not drawn[:90].any()


def test_left_stands_on_the_left_of_a_line_that_goes_down_the_picture():
    line = {"": [(0.5, 0.1), (0.5, 0.9)]}
    drawn = changed(overlay.draw(GREY, lines=line))
    left_hand, right_hand = drawn[240:300, 485:520], drawn[240:300, 440:475]  # the picture's right side is on the left hand
    assert left_hand.any()
    assert right_hand.any()
    assert left_hand.sum() < right_hand.sum()  # an L has less ink than an R


@pytest.mark.parametrize("box", [(0, 0, 0.01, 0.01), (0.99, 0, 1, 0.01), (0.99, 0.99, 1, 1), (0, 0, 1, 1)])
@pytest.mark.parametrize("label", ["", "person 12", "Straße 東京", "x" * 500, "two\nlines\x00"])
def test_labels_stay_in_the_picture(box, label):
    drawn = overlay.draw(GREY, boxes=[box], labels=[label])
    assert drawn.shape == GREY.shape
    assert changed(drawn).any()


@pytest.mark.parametrize("shape", [(1, 1, 3), (16, 4000, 3), (2160, 3840, 3)])
def test_any_size_of_picture(shape):
    marks = {"boxes": [(0.1, 0.1, 0.9, 0.9)], "labels": ["a"], "zones": {"z": [(0, 0), (1, 0), (1, 1)]}, "lines": {"l": [(0, 0), (1, 1)]}}
    assert overlay.draw(np.zeros(shape, np.uint8), **marks).shape == shape
