import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform.analysis import geometry

SQUARE = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
ARROWHEAD = ((0.1, 0.1), (0.9, 0.1), (0.5, 0.9), (0.5, 0.4))

unit = st.floats(0, 1, width=32)
points = st.lists(st.tuples(unit, unit), min_size=1, max_size=30)


def columns(places):
    return tuple(np.array(column, np.float64) for column in zip(*places, strict=True))


def ray_casting(polygon, x, y):
    odd = False
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y < y1) != (y < y2) and x < x1 + (x2 - x1) * (y - y1) / (y2 - y1):
            odd = not odd
    return odd


@given(points, st.lists(st.tuples(unit, unit), min_size=3, max_size=8))
def test_inside_agrees_with_casting_one_ray_at_a_time(places, polygon):
    x, y = columns(places)
    expected = [ray_casting(polygon, float(a), float(b)) for a, b in zip(x, y, strict=True)]
    edges = [geometry.distance_to_segment(polygon[i - 1], polygon[i], x, y) for i in range(len(polygon)) if polygon[i - 1] != polygon[i]]
    clear = np.min(edges, axis=0) > 1e-6 if edges else np.ones(len(x), bool)
    assert np.array_equal(geometry.inside(polygon, x, y)[clear], np.array(expected)[clear])


@given(points, st.integers(0, 3), st.booleans())
def test_where_a_polygon_begins_and_which_way_it_runs_does_not_matter(places, turn, backwards):
    x, y = columns(places)
    turned = (ARROWHEAD[turn:] + ARROWHEAD[:turn])[:: -1 if backwards else 1]
    away = geometry.distance_to_segment(ARROWHEAD[-1], ARROWHEAD[0], x, y)
    for i in range(3):
        away = np.minimum(away, geometry.distance_to_segment(ARROWHEAD[i], ARROWHEAD[i + 1], x, y))
    clear = away > 1e-9
    assert np.array_equal(geometry.inside(turned, x, y)[clear], geometry.inside(ARROWHEAD, x, y)[clear])


def test_a_dent_in_a_polygon_is_outside():
    assert geometry.inside(ARROWHEAD, *columns([(0.4, 0.5), (0.55, 0.5), (0.3, 0.2)])).tolist() == [False, True, True]


def test_neighbouring_zones_share_no_point_and_leave_none_out():
    left, right = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)), ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
    x, y = columns([(0.5, 0.25), (0.5, 0.5), (0.25, 0.5), (0.75, 0.5)])
    assert (geometry.inside(left, x, y) ^ geometry.inside(right, x, y)).all()


@pytest.mark.parametrize(
    ("start", "end", "left_point"),
    [
        ((0.5, 0.2), (0.5, 0.9), (0.8, 0.5)),  # down the picture: left is the picture's right
        ((0.5, 0.9), (0.5, 0.2), (0.2, 0.5)),  # up: left is the picture's left
        ((0.2, 0.5), (0.9, 0.5), (0.5, 0.2)),  # to the right: left is the picture's top
        ((0.9, 0.5), (0.2, 0.5), (0.5, 0.8)),  # to the left: left is the picture's bottom
    ],
)
def test_left_is_as_seen_when_walking_along_the_line_with_y_downward(start, end, left_point):
    x, y = columns([left_point, (start[0] * 2 - left_point[0], start[1] * 2 - left_point[1])])
    assert (geometry.cross(start, end, x, y) < 0).tolist() == [True, False]


@given(st.tuples(unit, unit), st.tuples(unit, unit), st.floats(0.05, 0.95), st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_a_path_made_through_a_point_of_the_line_meets_it_there(start, end, along, before, after):
    if np.hypot(end[0] - start[0], end[1] - start[1]) < 0.05:
        return
    dx, dy = end[0] - start[0], end[1] - start[1]
    meet = start[0] + dx * along, start[1] + dy * along
    x1, y1 = columns([(meet[0] - dy * before, meet[1] + dx * before)])
    x2, y2 = columns([(meet[0] + dy * after, meet[1] - dx * after)])
    assert geometry.fraction_along(start, end, x1, y1, x2, y2)[0] == pytest.approx(along, abs=1e-6)


@given(points)
def test_the_distance_to_a_zone_is_zero_exactly_inside(places):
    x, y = columns(places)
    distance = geometry.distance_to_polygon(SQUARE, x, y)
    assert ((distance == 0) | ~geometry.inside(SQUARE, x, y)).all()
    straight_down = np.clip(np.maximum(np.maximum(0.2 - x, x - 0.8), np.maximum(0.2 - y, y - 0.8)), 0, None)
    assert (distance >= straight_down - 1e-9).all()


def test_distances_are_frame_widths_when_the_frame_is_wide():
    x, y = columns([(0.5, 1.0)])
    assert geometry.distance_to_segment((0.0, 0.5), (1.0, 0.5), x, y, aspect=2.0)[0] == pytest.approx(0.25)


def test_the_foot_point_is_the_middle_of_the_bottom_edge():
    x, y = geometry.foot_points(np.array([[0.2, 0.1, 0.4, 0.7]], np.float32))
    assert (x[0], y[0]) == (pytest.approx(0.3), pytest.approx(0.7))
