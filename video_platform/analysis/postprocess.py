"""What only recorded footage allows, because it looks ahead: joining broken tracks, filling gaps, smoothing."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

INTERPOLATE_GAP_S = 2.0
"""Longest gap between two boxes of a track that is filled; over longer ones people turn."""

VELOCITY_SPAN_S = 1.0
"""How much of a track's end tells how fast it moves."""

STITCH_ERROR = 0.5
"""How far from where it should be a track may continue, in box heights."""

STITCH_SIZE = 1.5
"""How much higher or lower a track may continue; a person does not grow in two seconds, two people differ."""


@dataclass(frozen=True, eq=False)
class Paths:
    """Boxes of tracks sorted by track, then sample.

    `track_id` int64 (N,), `sample` int64 (N,) index into the samples, `class_id` int16 (N,), `score` float32 (N,), `boxes` float64 (N, 4).
    """

    track_id: NDArray[np.int64]
    sample: NDArray[np.int64]
    class_id: NDArray[np.int16]
    score: NDArray[np.float32]
    boxes: NDArray[np.float64]

    def __post_init__(self) -> None:
        order = np.lexsort((self.sample, self.track_id))
        for column in fields(self):
            object.__setattr__(self, column.name, getattr(self, column.name)[order])

    def __len__(self) -> int:
        return len(self.track_id)

    def take(self, rows: NDArray[Any]) -> "Paths":
        """The rows of an index or mask."""
        return Paths(self.track_id[rows], self.sample[rows], self.class_id[rows], self.score[rows], self.boxes[rows])

    def bounds(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and the row after the last, of each track."""
        starts = np.flatnonzero(np.diff(self.track_id, prepend=-1))
        return starts, np.append(starts[1:], len(self))


def without_short(paths: Paths, least: int) -> Paths:
    """Without the tracks of fewer than `least` boxes."""
    starts, ends = paths.bounds()
    return paths.take(np.repeat(ends - starts >= least, ends - starts))


def stitched(paths: Paths, time_s: NDArray[np.float64], *, max_gap_s: float, aspect: float) -> Paths:
    """Broken tracks joined: of one class, a gap of at most `max_gap_s`, each end where constant speed brings the other, sizes alike.

    The likeliest pair is joined first; a track is continued, and continues, at most once. A joined track keeps the earlier id.
    """
    starts, ends = paths.bounds()
    if len(starts) < 2 or max_gap_s <= 0:
        return paths
    pairs = _pairs(paths, time_s, starts, ends, max_gap_s)
    error = _errors(paths, time_s, starts, ends, pairs, aspect)
    continued = np.full(len(starts), -1)
    has_earlier = np.zeros(len(starts), bool)
    for k in np.argsort(error, kind="stable"):
        before, after = pairs[:, k]
        if error[k] > STITCH_ERROR:
            break
        if continued[before] < 0 and not has_earlier[after]:
            continued[before], has_earlier[after] = after, True
    heads = paths.track_id[starts]
    for track in np.argsort(paths.sample[starts], kind="stable"):  # in time order, so that a chain takes its first id all along
        if continued[track] >= 0:
            heads[continued[track]] = heads[track]
    return Paths(np.repeat(heads, ends - starts), paths.sample, paths.class_id, paths.score, paths.boxes)


def _pairs(paths: Paths, time_s: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64], max_gap_s: float) -> NDArray[np.int64]:
    """(2, P) tracks that could be one: the second starts after the first ended, in time, with the same class."""
    begin, end = time_s[paths.sample[starts]], time_s[paths.sample[ends - 1]]
    by_begin = np.argsort(begin, kind="stable")
    low = np.searchsorted(begin[by_begin], end, side="right")
    high = np.searchsorted(begin[by_begin], end + max_gap_s + 1e-6, side="right")
    first = np.repeat(np.arange(len(starts)), high - low)
    within = np.arange(len(first)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
    second = by_begin[np.repeat(low, high - low) + within]
    same = paths.class_id[starts[first]] == paths.class_id[starts[second]]
    return np.stack([first[same], second[same]])


def _errors(
    paths: Paths, time_s: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64], pairs: NDArray[np.int64], aspect: float
) -> NDArray[np.float64]:
    """How badly each pair fits, in box heights: the mean of the forward and the backward prediction's error; infinite where sizes differ."""
    first, second = pairs
    last_row, next_row = ends[first] - 1, starts[second]
    centre = np.stack([(paths.boxes[:, 0] + paths.boxes[:, 2]) / 2 * aspect, (paths.boxes[:, 1] + paths.boxes[:, 3]) / 2], axis=1)  # in frame heights
    velocity = np.array([_velocity(centre, time_s[paths.sample], a, b) for a, b in zip(starts, ends, strict=True)])  # (tracks, 2 ends, 2)
    gap_s = (time_s[paths.sample[next_row]] - time_s[paths.sample[last_row]])[:, None]
    moved = centre[next_row] - centre[last_row]
    forward = np.linalg.norm(moved - velocity[first, 1] * gap_s, axis=1)
    backward = np.linalg.norm(moved - velocity[second, 0] * gap_s, axis=1)
    heights = np.stack([paths.boxes[last_row, 3] - paths.boxes[last_row, 1], paths.boxes[next_row, 3] - paths.boxes[next_row, 1]])
    low, high = np.maximum(heights.min(axis=0), 1e-6), heights.max(axis=0)
    return np.where(high <= STITCH_SIZE * low, (forward + backward) / 2 / ((low + high) / 2), np.inf)


def _velocity(centre: NDArray[np.float64], at_s: NDArray[np.float64], start: int, end: int) -> NDArray[np.float64]:
    """(2, 2): frame heights per second at the beginning and at the end of the rows `start` to `end`."""
    head = start + max(1, int(np.searchsorted(at_s[start:end], at_s[start] + VELOCITY_SPAN_S, side="right")) - 1)
    tail = start + min(end - start - 2, int(np.searchsorted(at_s[start:end], at_s[end - 1] - VELOCITY_SPAN_S)))
    if end - start < 2:
        return np.zeros((2, 2))
    return np.stack([(centre[head] - centre[start]) / (at_s[head] - at_s[start]), (centre[end - 1] - centre[tail]) / (at_s[end - 1] - at_s[tail])])


def interpolated(paths: Paths, time_s: NDArray[np.float64]) -> Paths:
    """A box at every sample between two boxes of a track that are at most `INTERPOLATE_GAP_S` apart, linear in time."""
    before = np.flatnonzero((np.diff(paths.track_id) == 0) & (np.diff(paths.sample) > 1))
    near = time_s[paths.sample[before + 1]] - time_s[paths.sample[before]] <= INTERPOLATE_GAP_S + 1e-6
    before = before[near]
    missing = paths.sample[before + 1] - paths.sample[before] - 1
    row = np.repeat(before, missing)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    sample = paths.sample[row] + nth
    start_s, end_s = time_s[paths.sample[row]], time_s[paths.sample[row + 1]]
    part = ((time_s[sample] - start_s) / (end_s - start_s))[:, None]
    boxes = paths.boxes[row] * (1 - part) + paths.boxes[row + 1] * part
    score = np.minimum(paths.score[row], paths.score[row + 1])
    return Paths(
        np.concatenate([paths.track_id, paths.track_id[row]]),
        np.concatenate([paths.sample, sample]),
        np.concatenate([paths.class_id, paths.class_id[row]]),
        np.concatenate([paths.score, score]),
        np.concatenate([paths.boxes, boxes]),
    )


def smoothed(paths: Paths, span: int) -> Paths:
    """Boxes averaged over `span` neighbouring samples of their track, fewer at its ends and beside gaps, so that no box is pulled inwards."""
    if span < 2 or not len(paths):
        return paths
    run = np.cumsum(np.diff(paths.track_id, prepend=-1).astype(bool) | (np.diff(paths.sample, prepend=-2) != 1))
    first = np.searchsorted(run, run, side="left")
    last = np.searchsorted(run, run, side="right") - 1
    row = np.arange(len(paths))
    reach = np.minimum(np.minimum(row - first, last - row), span // 2)
    total = np.concatenate([np.zeros((1, 4)), np.cumsum(paths.boxes, axis=0)])
    boxes = (total[row + reach + 1] - total[row - reach]) / (2 * reach + 1)[:, None]
    return Paths(paths.track_id, paths.sample, paths.class_id, paths.score, boxes)
