"""Tracks as rules see them: by track, with what several rules ask of them worked out once. Those of one video, or of many that are judged together."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import geometry
from video_platform.analysis.bridging import Pieces, chains
from video_platform.analysis.states import Held, carried, held
from video_platform.analysis.tables import Samples, Tracks
from video_platform.analysis.timeline import Timeline
from video_platform.records import Point
from video_platform.rules import CameraRules, Mask, Rule

ON_LINE = 1e-4
"""Fraction of the frame within which a foot point is on a line, and so still on the side where it was: what a content hash does not see."""

SCORE_TOLERANCE = 1e-6
"""Scores are stored as float32: 0.45 is 0.44999999."""

SIZE_TOLERANCE = 1e-6
"""Boxes too."""

MOVED_WIDTHS = 0.5
"""An object has moved once its tested point was this many widths of its box away from where it was first seen: the box of a parked car jitters less."""

FIRST_ROWS = 3
"""Samples whose mean is where a track was first seen."""

SPEED_HALF_S = 0.4
"""Speed at a sample is measured from this long before it to this long after: over one sample, a jitter of 1 % of the frame would be 5 % a second."""

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Observed:
    """The tracks of some videos in order of video, track, then time, with what several rules ask of them computed once.

    Track-wise arrays are indexed by a track's position, row-wise ones by row; `ids[track]` is the id that people see, `ids_of` all of them, `video[track]` the
    position of its video in the timeline. `aspect` is width / height of the picture.
    """

    def __init__(
        self,
        tracks: Tracks,
        samples: Samples | Timeline,
        names: Sequence[str],
        rules: CameraRules,
        aspect: float = 1.0,
        *,
        video: NDArray[np.int32] | None = None,
        sample: Rows | None = None,
    ) -> None:
        """`video` (N,) is the position of each row's video where there are several, `sample` (N,) the row's sample in the timeline where that is known."""
        ids = tracks.track_id
        key = ids if video is None else video.astype(np.int64) << 32 | ids  # an id is below 2**31
        order = _by_track(key)
        order = order[ids[order] > 0]  # an untracked box (-1) is not an object
        self.names, self.rules, self.aspect = names, rules, aspect
        self.samples = samples if isinstance(samples, Timeline) else Timeline([samples])
        self._tracks, self._video, self._sample = tracks, video, sample
        self._feet = geometry.foot_points(tracks.boxes)
        if rules.masks:
            order = order[~_ignored(tracks, self._feet, names, rules.masks)[order]]
        self._index(order, np.diff(key[order], prepend=-1) != 0, {})
        self._bridged: dict[float, Observed] = {}

    def _index(self, order: Rows, track_starts: Flags, also: Mapping[int, tuple[int, ...]]) -> None:
        """Take the rows of the tracks in this order; `also` names the ids of tracks that are made of several."""
        tracks = self._tracks
        self._order, self.track_starts, self._also = order, track_starts, also
        self.time_s = tracks.time_s[order]
        self.x, self.y = (column[order] for column in self._feet)
        self.first = np.flatnonzero(track_starts)
        self.last = np.append(self.first[1:], len(order)) - 1 if len(order) else self.first
        self.track = np.cumsum(track_starts) - 1
        self.ids = tracks.track_id[order[self.first]]
        self.class_id = tracks.class_id[order[self.first]]
        self.video = np.zeros(len(self.first), np.int64) if self._video is None else self._video[order[self.first]].astype(np.int64)
        self.score = self._median(tracks.score[order])
        self._held: dict[tuple[str, str], Held] = {}
        self._of_class: dict[tuple[str, ...], Flags] = {}
        self._matching: dict[tuple[object, ...], Flags] = {}

    def __len__(self) -> int:
        return len(self.time_s)

    def ids_of(self, track: int) -> tuple[int, ...]:
        """The ids of the tracks that are this object."""
        return self._also.get(track, (int(self.ids[track]),))

    def bridged(self, max_gap_s: float | None) -> "Observed":
        """The same rows as objects that may be out of sight for `max_gap_s`: what is longer cuts a track, what is shorter joins two (see `bridging`)."""
        if max_gap_s is None or not len(self):
            return self
        if max_gap_s not in self._bridged:
            self._bridged[max_gap_s] = self._bridge(max_gap_s)
        return self._bridged[max_gap_s]

    def _bridge(self, max_gap_s: float) -> "Observed":
        starts = self.track_starts.copy()
        starts[1:] |= np.diff(self.time_s) > max_gap_s + SCORE_TOLERANCE
        first = np.flatnonzero(starts)
        last = np.append(first[1:], len(self)) - 1
        track = self.track[first]
        y = self.y / self.aspect
        ends = (self.time_s[first], self.time_s[last], self.x[first], y[first], self.x[last], y[last])
        pieces = Pieces(self.video[track], track, self.class_id[track], *ends)
        chain = chains(pieces, max_gap_s)
        by_chain = np.lexsort((pieces.start_s, chain))
        length = (last - first + 1)[by_chain]
        offset = np.cumsum(length) - length
        rows = np.repeat(first[by_chain] - offset, length) + np.arange(len(self))
        new = np.diff(chain[by_chain], prepend=-1) != 0
        track_starts = np.zeros(len(self), bool)
        track_starts[offset[new]] = True
        ids, begin = self.ids[track[by_chain]], np.append(np.flatnonzero(new), len(new))
        several = np.flatnonzero(np.diff(begin) > 1)
        also = {int(n): tuple(sorted({int(id_) for id_ in ids[begin[n] : begin[n + 1]]})) for n in several}
        view = object.__new__(Observed)
        view.names, view.rules, view.samples, view.aspect = self.names, self.rules, self.samples, self.aspect
        view._tracks, view._video, view._sample, view._feet, view._bridged = self._tracks, self._video, self._sample, self._feet, {}
        view._index(self._order[rows], track_starts, also)
        return view

    def of_class(self, classes: tuple[str, ...]) -> Flags:
        """Which tracks have one of these classes."""
        if classes not in self._of_class:
            wanted = np.array([name in classes for name in self.names], bool)
            self._of_class[classes] = wanted[self.class_id] if len(wanted) else np.zeros(len(self.ids), bool)
        return self._of_class[classes]

    def sure(self, rule: Rule) -> Flags:
        """Which tracks are of the rule's classes with a median score that reaches what it wants of their class."""
        found = self.of_class(rule.classes) & (self.score >= rule.min_score - SCORE_TOLERANCE)
        for name, least in rule.class_scores:
            of_it = self.of_class((name,))
            found = np.where(of_it, self.score >= least - SCORE_TOLERANCE, found)
        return found

    def matching(self, rule: Rule) -> Flags:
        """Which tracks a rule sees: its classes and scores, and its filters against false alarms."""
        key = (rule.classes, rule.min_score, rule.class_scores, rule.min_frames, rule.min_size, rule.max_size, rule.moving)
        if key not in self._matching:
            found = self.sure(rule)
            if rule.min_frames > 1:
                found = found & (self.last - self.first + 1 >= rule.min_frames)
            if rule.min_size > 0.0:
                found = found & (self.size >= rule.min_size - SIZE_TOLERANCE)
            if rule.max_size < 1.0:
                found = found & (self.size <= rule.max_size + SIZE_TOLERANCE)
            if rule.moving is not None:
                found = found & (self.moved == rule.moving)
            self._matching[key] = found
        return self._matching[key]

    @cached_property
    def sample(self) -> Rows:
        """The index of each row's sample in the timeline."""
        if self._sample is not None:
            return self._sample[self._order]
        return self.samples.at(self.video[self.track], self.time_s)

    @cached_property
    def size(self) -> NDArray[np.float64]:
        """The median area of each track's boxes, as a fraction of the picture."""
        boxes = self._tracks.boxes[self._order]
        return self._median(np.clip((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 0.0, 1.0))

    @cached_property
    def moved(self) -> Flags:
        """Which tracks were ever `MOVED_WIDTHS` away from where they were first seen, for as long as a state must be held."""
        boxes = self._tracks.boxes[self._order]
        width = self._median(np.clip(boxes[:, 2] - boxes[:, 0], 0.0, 1.0))
        early = [np.minimum(self.first + n, self.last) for n in range(FIRST_ROWS)]
        from_x, from_y = (np.mean([column[rows] for rows in early], axis=0) for column in (self.x, self.y))
        away = np.hypot(self.x - from_x[self.track], (self.y - from_y[self.track]) / self.aspect)
        runs = held(away > MOVED_WIDTHS * width[self.track], self.time_s, self.track, self.track_starts)
        found = np.zeros(len(self.ids), bool)
        found[runs.track[runs.value]] = True
        return found

    @cached_property
    def speed(self) -> NDArray[np.float64]:
        """Frame widths per second at each row, over `SPEED_HALF_S` before and after it, or what there is of that; 0 where that is less than one half."""
        shift = np.maximum(1, np.rint(SPEED_HALF_S * self.samples.rates).astype(np.int64))[self.video][self.track]
        row = np.arange(len(self))
        before, after = np.maximum(row - shift, self.first[self.track]), np.minimum(row + shift, self.last[self.track])
        took_s = self.time_s[after] - self.time_s[before]
        way = np.hypot(self.x[after] - self.x[before], (self.y[after] - self.y[before]) / self.aspect)
        return np.where(took_s >= SPEED_HALF_S / 2, way / np.maximum(took_s, SCORE_TOLERANCE), 0.0)

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

    def stays(self, rule: Rule) -> tuple[Rows, Rows, Rows]:
        """First row, last row and track of each stay in the rule's zone (or in the picture) of the tracks that it sees."""
        first, last, track = (self.in_zone(rule.when.zone) if rule.when.zone else self.present).stays()
        seen = self.matching(rule)[track]
        return first[seen], last[seen], track[seen]

    def rows(self, rule: Rule) -> Flags:
        """Which rows lie in a stay of the rule; without a zone, all of the tracks that it sees."""
        if rule.when.zone is None:
            return self.matching(rule)[self.track]
        first, last, _ = self.stays(rule)
        change = np.zeros(len(self) + 1, np.int64)
        np.add.at(change, first, 1)
        np.add.at(change, last + 1, -1)
        return np.cumsum(change[:-1]) > 0

    def place(self, row: int) -> Point:
        """The tested point of a row."""
        return round(float(self.x[row]), 4), round(float(self.y[row]), 4)

    def _median(self, column: NDArray[Any]) -> NDArray[np.float64]:
        """The median over each track's rows of a column of values 0-1: one sort of all rows, keyed so that tracks stay apart."""
        ordered = np.sort(self.track * 2.0 + column)
        low, high = (self.first + self.last) // 2, (self.first + self.last + 1) // 2
        return (ordered[low] + ordered[high]) / 2 - 2.0 * np.arange(len(self.first))


def together(seen: Observed, first: Rows, last: Rows) -> Rows:
    """How many stays each sample lies in; `first` and `last` are their rows."""
    change = np.zeros(len(seen.samples) + 1, np.int64)
    np.add.at(change, seen.sample[first], 1)
    np.add.at(change, seen.sample[last] + 1, -1)
    return np.cumsum(change[:-1])


def _by_track(key: NDArray[Any]) -> Rows:
    """The order of rows by key, those of one key as they stand."""
    if not len(key) or bool((key[1:] >= key[:-1]).all()):
        return np.arange(len(key))
    small = int(key.min()) >= 0 and int(key.max()) < 2**16
    return np.argsort(key.astype(np.uint16) if small else key, kind="stable")  # 16-bit integers sort by radix, ten times faster


def _ignored(tracks: Tracks, feet: tuple[geometry.Column, geometry.Column], names: Sequence[str], masks: Mapping[str, Mask]) -> Flags:
    """Which boxes stand in a mask that speaks of their class."""
    found = np.zeros(len(tracks), bool)
    for mask in masks.values():
        standing = geometry.inside(mask.polygon, *feet)
        if mask.classes:
            standing &= np.array([name in mask.classes for name in names], bool)[tracks.class_id]
        found |= standing
    return found
