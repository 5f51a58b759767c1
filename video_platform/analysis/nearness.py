"""Objects that come close to each other: pairs of tested points within a distance, held like any other state."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.hits import Hit
from video_platform.analysis.observed import Observed
from video_platform.analysis.schedules import OpenTimes
from video_platform.analysis.states import TOLERANCE_S, sparse_stays
from video_platform.rules import Rule

ROUNDING = 1e-6
"""Positions are float32: what is exactly as far away as the rule says is near."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Moments at which two objects were near each other, in order of pair, then time.

    `one` and `other` are rows of the `Observed`, of the first and the second class of the rule; `pair` numbers the two tracks, `sample` is the sample's index,
    `distance` is in frame widths.
    """

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    pair: NDArray[np.int64]
    sample: NDArray[np.int64]
    distance: NDArray[np.float64]


def near(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Iterator[Hit]:
    """Spans over which two objects were near each other, one for each pair."""
    pairs, at_s = near_pairs(seen, rule, rule.when.within or 0.0, spans), seen.samples.time_s
    for first, last in zip(*sparse_stays(pairs.pair, pairs.sample, at_s), strict=True):
        start_s, end_s = float(at_s[pairs.sample[first]]), float(at_s[pairs.sample[last]])
        if end_s - start_s < (rule.when.for_s or 0.0) - TOLERANCE_S:
            continue
        one, other = int(pairs.one[first]), int(pairs.other[first])
        facts: dict[str, object] = {
            "closest": round(float(pairs.distance[first : last + 1].min()), 4),
            "within": rule.when.within,
            "held_s": round(end_s - start_s, 2),
            **({"zone": rule.when.zone} if rule.when.zone else {}),
        }
        yield Hit(start_s, end_s, (int(seen.track[one]), int(seen.track[other])), one, facts, int(seen.samples.video[pairs.sample[first]]))


def near_pairs(seen: Observed, rule: Rule, within: float, spans: OpenTimes | None) -> Pairs:
    """All pairs of the rule's two classes at most `within` frame widths apart, of objects that it sees.

    The rows of each sample are sorted by x, so a row is compared with the next, the one after … only while those are within reach in x: a crowd costs its
    neighbours, not its square.
    """
    sides = [seen.of_class((name,))[seen.track] for name in rule.when.near or ("", "")]
    rows = np.flatnonzero((sides[0] | sides[1]) & seen.rows(rule))
    sample = seen.sample[rows]
    if spans is not None:
        inside = spans.samples[sample]
        rows, sample = rows[inside], sample[inside]
    order = np.argsort(sample * 4.0 + seen.x[rows], kind="stable")
    rows, sample = rows[order], sample[order]
    x, y, reach = seen.x[rows], seen.y[rows] / seen.aspect, within + ROUNDING
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    at, step = np.arange(len(rows)), 1
    while len(at):
        at = at[at + step < len(rows)]
        at = at[(sample[at + step] == sample[at]) & (x[at + step] - x[at] <= reach)]
        distance = np.hypot(x[at + step] - x[at], y[at + step] - y[at])
        close = distance <= reach
        found.append((at[close], at[close] + step, distance[close]))
        step += 1
    none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    one, other, distance = zip(none, *found, strict=True)
    return _ordered(seen, sides, rows, sample, np.concatenate(one), np.concatenate(other), np.concatenate(distance))


def _ordered(
    seen: Observed,
    sides: Sequence[NDArray[np.bool_]],
    rows: NDArray[np.int64],
    sample: NDArray[np.int64],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    distance: NDArray[np.float64],
) -> Pairs:
    """Pairs of the right classes, the first class first (of one class: the earlier track), in order."""
    left, right = rows[one], rows[other]
    straight, turned = sides[0][left] & sides[1][right], sides[1][left] & sides[0][right]
    turn = turned & (~straight | (seen.track[left] > seen.track[right]))
    left, right = np.where(turn, right, left), np.where(turn, left, right)
    fit = (straight | turned) & (seen.track[left] != seen.track[right])
    left, right, at, distance = left[fit], right[fit], sample[one][fit], distance[fit]
    pair = seen.track[left] * len(seen.ids) + seen.track[right]
    order = np.lexsort((at, pair))
    return Pairs(left[order], right[order], pair[order], at[order], distance[order])
