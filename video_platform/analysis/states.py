"""States held long enough to count: who is in a zone, or on a side of a line, and when that changed.

A sample alone decides nothing: a box jitters, a foot is covered for a moment. A state counts once it was held for `HOLD_S`; shorter ones are passed over,
as if the state before had gone on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOLD_S = 0.4
"""How long a state must be held to count: three samples at five a second."""

TOLERANCE_S = 0.05
"""How much of a time may be missing: samples are frames, and frames of a 30 frames/s video lie up to 33 ms from where they should."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Held:
    """Runs of one state held long enough, in row order.

    `first` and `last` are rows (both inside), `value` the state, `track` the index of the track; `flips` counts the marked changes of state (see `held`)
    in all rows up to the first.
    """

    first: Rows
    last: Rows
    value: NDArray[np.bool_]
    track: Rows
    flips: Rows

    def changes(self) -> tuple[Rows, Rows]:
        """Indices of runs before and after each change of a track's state."""
        after = np.flatnonzero((self.track[1:] == self.track[:-1]) & (self.value[1:] != self.value[:-1])) + 1
        return after - 1, after

    def stays(self) -> tuple[Rows, Rows, Rows]:
        """First row, last row and track of each span over which the state was true; short interruptions do not end it."""
        joins = np.zeros(len(self.first), bool)
        joins[1:] = (self.track[1:] == self.track[:-1]) & (self.value[1:] == self.value[:-1])
        starts = np.flatnonzero(~joins)
        ends = np.append(starts[1:], len(self.first)) - 1
        true = self.value[starts] if len(starts) else np.zeros(0, bool)
        return self.first[starts[true]], self.last[ends[true]], self.track[starts[true]]


def held(state: NDArray[np.bool_], time_s: NDArray[np.float64], track: Rows, track_starts: NDArray[np.bool_], marked: NDArray[np.bool_] | None = None) -> Held:
    """The runs of `state` held for `HOLD_S`, each within one track.

    All arrays are (N,) in order of track, then time; `track_starts` marks each track's first row. `marked`, if given, says for each row whether a change of
    state at it is to be counted in `flips`.
    """
    begins = track_starts.copy()
    begins[1:] |= state[1:] != state[:-1]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(state)) - 1
    long = time_s[last] - time_s[first] >= HOLD_S - TOLERANCE_S if len(first) else np.zeros(0, bool)
    flips = np.cumsum(marked[first] & ~track_starts[first], dtype=np.int64) if marked is not None else np.zeros(len(first), np.int64)
    return Held(first[long], last[long], state[first[long]], track[first[long]], flips[long])


def sparse_stays(group: Rows, sample: Rows, at_s: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """First and last row of each span over which a state was true, where rows exist only for the samples at which it is.

    `group` and `sample` are (N,) in order of group, then sample; `at_s` is the time of every sample. The spans are those of `held` and `Held.stays` over a
    column that has a row for every sample: a true run counts once held for `HOLD_S`, and only a false one held as long ends a span.
    """
    if not len(group):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    begins = np.ones(len(group), bool)
    begins[1:] = (group[1:] != group[:-1]) | (sample[1:] != sample[:-1] + 1)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(group)) - 1
    ends = np.ones(len(first), bool)
    between_s = at_s[sample[first[1:]] - 1] - at_s[np.minimum(sample[last[:-1]] + 1, len(at_s) - 1)]
    ends[1:] = (group[first[1:]] != group[last[:-1]]) | (between_s >= HOLD_S - TOLERANCE_S)
    span = np.cumsum(ends)
    long = np.flatnonzero(at_s[sample[last]] - at_s[sample[first]] >= HOLD_S - TOLERANCE_S)
    starts = np.flatnonzero(np.diff(span[long], prepend=-1))
    return first[long[starts]], last[long[np.append(starts[1:], len(long)) - 1]] if len(long) else first[:0]


def carried(sign: NDArray[np.float64], track_starts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each row is on the negative side; a row exactly on the line is still on the side where its track was before (or, at first, will be)."""
    negative = sign < 0
    row = np.arange(len(sign))
    on_line = np.flatnonzero(sign == 0)
    if len(on_line):
        begin = np.maximum.accumulate(np.where(track_starts, row, 0))
        before = np.maximum.accumulate(np.where(sign != 0, row, -1))
        after = np.minimum.accumulate(np.where(sign != 0, row, len(sign))[::-1])[::-1]
        same = np.append(begin, -1)[after[on_line]] == begin[on_line]
        ahead = np.append(negative, False)[after[on_line]] & same
        negative[on_line] = np.where(before[on_line] >= begin[on_line], negative[before[on_line]], ahead)
    return negative
