"""Points against polygons and segments, for whole columns at once.

Everything is in fractions of the frame with y downward. Where a distance is asked for, `aspect` (width / height) makes both axes one unit: frame widths.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from video_platform.records import Point

Column = NDArray[np.float64]


def foot_points(boxes: NDArray[np.float32]) -> tuple[Column, Column]:
    """X and y (N,) of the tested point of each box: the middle of its bottom edge, where a person stands."""
    return (boxes[:, 0].astype(np.float64) + boxes[:, 2]) * 0.5, boxes[:, 3].astype(np.float64)


def inside(polygon: Sequence[Point], x: Column, y: Column) -> NDArray[np.bool_]:
    """Whether each point lies in the polygon (even-odd rule; an edge belongs to the zone on one of its sides)."""
    xs, ys = zip(*polygon, strict=True)
    found = np.zeros(len(x), bool)
    near = np.flatnonzero((x >= min(xs)) & (x <= max(xs)) & (y >= min(ys)) & (y <= max(ys)))
    x, y = x[near], y[near]
    odd = np.zeros(len(x), bool)
    for i, (x1, y1) in enumerate(polygon):
        x2, y2 = polygon[i - 1]
        if y1 != y2:
            odd ^= ((y < y1) != (y < y2)) & (x < (x2 - x1) * ((y - y1) / (y2 - y1)) + x1)
    found[near] = odd
    return found


def cross(start: Point, end: Point, x: Column, y: Column) -> Column:
    """Negative left of the line through `start` and `end` as seen when walking from one to the other, positive right, 0 on it.

    With y downward, who walks down the picture has the picture's right side on the left hand.
    """
    return (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0])


def fraction_along(start: Point, end: Point, x1: Column, y1: Column, x2: Column, y2: Column) -> Column:
    """Where each path from (x1, y1) to (x2, y2), its ends on different sides, meets the line: 0 at `start`, 1 at `end`, outside beyond them."""
    before, after = np.abs(cross(start, end, x1, y1)), np.abs(cross(start, end, x2, y2))
    part = before / np.maximum(before + after, np.finfo(np.float64).tiny)
    meet_x, meet_y = x1 + (x2 - x1) * part, y1 + (y2 - y1) * part
    dx, dy = end[0] - start[0], end[1] - start[1]
    return ((meet_x - start[0]) * dx + (meet_y - start[1]) * dy) / (dx * dx + dy * dy)


def distance_to_segment(start: Point, end: Point, x: Column, y: Column, aspect: float = 1.0) -> Column:
    """Frame widths between each point and the segment."""
    sx, sy, dx, dy = start[0], start[1] / aspect, end[0] - start[0], (end[1] - start[1]) / aspect
    px, py = x - sx, y / aspect - sy
    along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    return np.hypot(px - along * dx, py - along * dy)


def distance_to_polygon(polygon: Sequence[Point], x: Column, y: Column, aspect: float = 1.0) -> Column:
    """Frame widths between each point and the polygon; 0 inside."""
    edges = [distance_to_segment(polygon[i - 1], polygon[i], x, y, aspect) for i in range(len(polygon))]
    return np.where(inside(polygon, x, y), 0.0, np.min(edges, axis=0))
