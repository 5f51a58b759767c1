"""The tracks of one video as rules see them: by track, with what several rules ask of them worked out once."""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import geometry
from video_platform.analysis.states import Held, carried, held
from video_platform.analysis.tables import Samples, Tracks
from video_platform.records import Point
from video_platform.rules import CameraRules, Rule

ON_LINE = 1e-4
"""Fraction of the frame within which a foot point is on a line, and so still on the side where it was: what a content hash does not see."""

SCORE_TOLERANCE = 1e-6
"""Scores are stored as float32: 0.45 is 0.44999999."""


class Observed:
    """The tracks of one video in order of track, then time, with what several rules ask of them computed once.

    Track-wise arrays are indexed by a track's position, row-wise ones by row; `ids[track]` is the id that people see.
    """

    def __init__(self, tracks: Tracks, samples: Samples, names: Sequence[str], rules: CameraRules) -> None:
        ids = tracks.track_id
        small = len(ids) and int(ids.min()) >= 0 and int(ids.max()) < 2**16
        order = np.argsort(ids.astype(np.uint16) if small else ids, kind="stable")  # 16-bit integers sort by radix, ten times faster
        order = order[ids[order] > 0]  # an untracked box (-1) is not an object
        self.names, self.rules, self.samples = names, rules, samples
        self.time_s = tracks.time_s[order]
        self.x, self.y = (column[order] for column in geometry.foot_points(tracks.boxes))
        row_id = ids[order]
        self.track_starts = np.diff(row_id, prepend=-1) != 0
        self.first = np.flatnonzero(self.track_starts)
        self.last = np.append(self.first[1:], len(order)) - 1 if len(order) else self.first
        self.track = np.cumsum(self.track_starts) - 1
        self.ids = row_id[self.first]
        self.class_id = tracks.class_id[order[self.first]]
        self.score = _medians(tracks.score[order], self.track, self.first, self.last)
        self._held: dict[tuple[str, str], Held] = {}
        self._of_class: dict[tuple[str, ...], NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return len(self.time_s)

    def of_class(self, classes: tuple[str, ...]) -> NDArray[np.bool_]:
        """Which tracks have one of these classes."""
        if classes not in self._of_class:
            wanted = np.array([name in classes for name in self.names], bool)
            self._of_class[classes] = wanted[self.class_id] if len(wanted) else np.zeros(len(self.ids), bool)
        return self._of_class[classes]

    def matching(self, rule: Rule) -> NDArray[np.bool_]:
        """Which tracks a rule sees: its classes, and a median score that reaches its `min_score`."""
        return self.of_class(rule.when.classes) & (self.score >= rule.min_score - SCORE_TOLERANCE)

    def in_zone(self, zone: str) -> Held:
        """Runs inside and outside a zone."""
        if ("zone", zone) not in self._held:
            state = geometry.inside(self.rules.zones[zone], self.x, self.y)
            self._held["zone", zone] = held(state, self.time_s, self.track, self.track_starts)
        return self._held["zone", zone]

    def left_of(self, line: str) -> Held:
        """Runs left and right of a line; `flips` counts the changes of side whose path went through the segment itself."""
        if ("line", line) not in self._held:
            start, end = self.rules.lines[line]
            side = geometry.cross(start, end, self.x, self.y) / math.dist(start, end)
            side[np.abs(side) <= ON_LINE] = 0.0
            left = carried(side, self.track_starts)
            after = np.flatnonzero((left[1:] != left[:-1]) & ~self.track_starts[1:]) + 1
            along = geometry.fraction_along(start, end, self.x[after - 1], self.y[after - 1], self.x[after], self.y[after])
            through = np.zeros(len(self), bool)
            through[after[(along >= 0) & (along <= 1)]] = True
            self._held["line", line] = held(left, self.time_s, self.track, self.track_starts, through)
        return self._held["line", line]

    @cached_property
    def present(self) -> Held:
        """Runs of being there at all: one per track that is long enough."""
        return held(np.ones(len(self), bool), self.time_s, self.track, self.track_starts)

    def stays(self, rule: Rule) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """First row, last row and track of each stay in the rule's zone (or in the picture) of the tracks that it sees."""
        first, last, track = (self.in_zone(rule.when.zone) if rule.when.zone else self.present).stays()
        seen = self.matching(rule)[track]
        return first[seen], last[seen], track[seen]

    def place(self, row: int) -> Point:
        """The tested point of a row."""
        return round(float(self.x[row]), 4), round(float(self.y[row]), 4)


def together(seen: Observed, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many stays each sample lies in; `first` and `last` are their rows."""
    at_s = seen.samples.time_s
    change = np.zeros(len(at_s) + 1, np.int64)
    np.add.at(change, np.searchsorted(at_s, seen.time_s[first]), 1)
    np.add.at(change, np.searchsorted(at_s, seen.time_s[last], side="right"), -1)
    return np.cumsum(change[:-1])


def _medians(score: NDArray[np.float32], track: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median score of each track: one sort of all rows, keyed so that tracks stay apart."""
    ordered = np.sort(track * 2.0 + score)
    low, high = (first + last) // 2, (first + last + 1) // 2
    return (ordered[low] + ordered[high]) / 2 - 2.0 * np.arange(len(first))
