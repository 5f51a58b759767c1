"""Objects that are out of sight for a moment: which track goes on another one, of a class, from the place where that one was lost."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.timeline import APART_S

REACH = 0.1
"""Frame widths between the last sight of one track and the first of the next: who loiters stays about there, and two people side by side are not one."""

SAME_MOMENT_S = 1e-6

WIDER_S = 1e-3
"""How much more of the time before is looked through than counts: with many videos in one column, times are exact to microseconds only."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Spans over which a track was seen without a longer gap, as columns: its video, track and class, when and where it begins and ends.

    Positions are in frame widths.
    """

    video: NDArray[np.int64]
    track: NDArray[np.int64]
    class_id: NDArray[np.int16]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    start_x: NDArray[np.float64]
    start_y: NDArray[np.float64]
    end_x: NDArray[np.float64]
    end_y: NDArray[np.float64]


def chains(pieces: Pieces, max_gap_s: float) -> NDArray[np.int64]:
    """For each piece the index of the first piece of its object; a piece that goes on no other is its own.

    A piece goes on the nearest of those of its class that ended at most `max_gap_s` before it began and at most `REACH` away, each at most once.
    """
    before, after, distance = _candidates(pieces, max_gap_s)
    follows: dict[int, int] = {}
    taken: set[int] = set()
    for at in np.lexsort((before, distance, pieces.start_s[after])):
        one, other = int(before[at]), int(after[at])
        if one not in taken and other not in follows:
            follows[other] = one
            taken.add(one)
    chain = np.arange(len(pieces.track))
    for piece in sorted(follows, key=lambda piece: float(pieces.start_s[piece])):
        chain[piece] = chain[follows[piece]]
    return chain


def _candidates(pieces: Pieces, max_gap_s: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of pieces that may be one object, and how far apart the end of the first is from the beginning of the second."""
    apart_s = pieces.video * APART_S
    by_end = np.argsort(apart_s + pieces.end_s, kind="stable")
    ends = (apart_s + pieces.end_s)[by_end]
    low = np.searchsorted(ends, apart_s + pieces.start_s - max_gap_s - WIDER_S)
    high = np.searchsorted(ends, apart_s + pieces.start_s)
    number = np.maximum(high - low, 0)
    after = np.repeat(np.arange(len(number)), number)
    before = by_end[np.repeat(low - (np.cumsum(number) - number), number) + np.arange(len(after))]
    distance = np.hypot(pieces.end_x[before] - pieces.start_x[after], pieces.end_y[before] - pieces.start_y[after])
    soon = pieces.end_s[before] >= pieces.start_s[after] - max_gap_s - SAME_MOMENT_S
    fit = soon & (pieces.class_id[before] == pieces.class_id[after]) & (pieces.track[before] != pieces.track[after]) & (distance <= REACH)
    return before[fit], after[fit], distance[fit]
