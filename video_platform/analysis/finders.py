"""What each kind of rule finds in the tracks of a video. Every finder cuts what it finds to the schedule itself; the spans it may get are sorted.

What an end of the video cuts is found by `dwells`, `counts` and `absences` whatever its length: `continuing` judges whether it lasted long enough.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import nearness
from video_platform.analysis.hits import Hit
from video_platform.analysis.observed import Observed, together
from video_platform.analysis.schedules import Interval, all_within, clipped, within
from video_platform.analysis.states import HOLD_S, TOLERANCE_S, Held, held
from video_platform.rules import Rule

MERGE_S = 2.0
"""Spans of one `appears` rule that follow each other within this are one episode, unless the rule says `merge`; alerts are matched across the same gap."""

Spans = Sequence[Interval] | None
Finder = Callable[[Observed, Rule, Spans], Iterator[Hit]]


def at_an_end(seen: Observed, start_s: float, end_s: float) -> bool:
    """Whether the start or the end of the video may have cut a span, so that it is to be found whatever its length (see `continuing`)."""
    return from_the_start(seen, start_s) or to_the_end(seen, end_s)


def from_the_start(seen: Observed, start_s: float) -> bool:
    """Whether what began here may have begun before the video: no other state was held before it."""
    return start_s - float(seen.samples.time_s[0]) < HOLD_S - TOLERANCE_S


def to_the_end(seen: Observed, end_s: float) -> bool:
    """Whether what ended here may go on after the video."""
    return float(seen.samples.time_s[-1]) - end_s < HOLD_S - TOLERANCE_S


def zone_events(seen: Observed, rule: Rule, spans: Spans) -> Iterator[Hit]:
    """Tracks that were outside and then inside, or the other way round for `leaves`."""
    runs = seen.in_zone(rule.when.zone or "")
    _before, after = runs.changes()
    wanted = (runs.value[after] == (rule.kind == "enters")) & seen.matching(rule)[runs.track[after]]
    for run in after[wanted]:
        yield from _event(seen, runs, int(run), {"zone": rule.when.zone}, spans)


def crossings(seen: Observed, rule: Rule, spans: Spans) -> Iterator[Hit]:
    """Tracks that changed sides through the segment: an odd number of passages between the two sides that were held."""
    runs = seen.left_of(rule.when.line or "")
    before, after = runs.changes()
    wanted = ((runs.flips[after] - runs.flips[before]) % 2 == 1) & seen.matching(rule)[runs.track[after]]
    if rule.when.direction != "any":
        wanted &= runs.value[before] == (rule.when.direction == "left_to_right")
    for run, left_before in zip(after[wanted], runs.value[before[wanted]], strict=True):
        facts = {"line": rule.when.line, "direction": "left_to_right" if left_before else "right_to_left"}
        yield from _event(seen, runs, int(run), facts, spans)


def _event(seen: Observed, runs: Held, run: int, facts: dict[str, object], spans: Spans) -> Iterator[Hit]:
    first, last = int(runs.first[run]), int(runs.last[run])
    if spans is not None and not within(float(seen.time_s[first]), spans):
        return
    counted = first + int(np.searchsorted(seen.time_s[first:last], seen.time_s[first] + HOLD_S - TOLERANCE_S))
    yield Hit(float(seen.time_s[first]), float(seen.time_s[counted]), (int(runs.track[run]),), first, facts)


def _cut_stays(seen: Observed, rule: Rule, spans: Spans) -> Iterator[tuple[float, float, int, int]]:
    """(start, end, track, row at the start) of each stay, cut to the schedule."""
    for first, last, track in zip(*seen.stays(rule), strict=True):
        start_s, end_s = float(seen.time_s[first]), float(seen.time_s[last])
        if spans is None:
            yield start_s, end_s, int(track), int(first)
            continue
        for cut_start_s, cut_end_s in clipped(start_s, end_s, spans):
            row = int(np.searchsorted(seen.time_s[first : last + 1], cut_start_s)) + int(first)
            if row <= last and seen.time_s[row] <= cut_end_s:
                yield float(seen.time_s[row]), cut_end_s, int(track), row


def appearances(seen: Observed, rule: Rule, spans: Spans) -> Iterator[Hit]:
    """Spans in which at least one object is there; those that follow each other soon are one."""
    facts: dict[str, object] = {"zone": rule.when.zone} if rule.when.zone else {}
    merge_s = MERGE_S if rule.merge_s is None else rule.merge_s
    group: list[tuple[float, float, int, int]] = []
    end_s = -np.inf
    for stay in sorted(_cut_stays(seen, rule, spans)):
        if group and stay[0] > end_s + merge_s:
            yield Hit(group[0][0], end_s, tuple(sorted({one[2] for one in group})), group[0][3], facts)
            group = []
        end_s = max(end_s, stay[1]) if group else stay[1]
        group.append(stay)
    if group:
        yield Hit(group[0][0], end_s, tuple(sorted({one[2] for one in group})), group[0][3], facts)


def dwells(seen: Observed, rule: Rule, spans: Spans) -> Iterator[Hit]:
    """Stays of one object that are long enough."""
    wanted_s = rule.when.for_s or 0.0
    for start_s, end_s, track, row in _cut_stays(seen, rule, spans):
        if end_s - start_s >= wanted_s - TOLERANCE_S or at_an_end(seen, start_s, end_s):
            yield Hit(start_s, end_s, (track,), row, {"zone": rule.when.zone, "stayed_s": round(end_s - start_s, 2), "wanted_s": wanted_s})


def counts(seen: Observed, rule: Rule, spans: Spans) -> Iterator[Hit]:
    """Spans in which at least so many were there at once, held for as long as the rule wants."""
    first, last, track = seen.stays(rule)
    at_s, count, wanted = seen.samples.time_s, together(seen, first, last), rule.when.at_least or 1
    for begin, end in sample_spans(count >= wanted, at_s, spans):
        start_s, end_s = float(at_s[begin]), float(at_s[end])
        if end_s - start_s < (rule.when.for_s or 0.0) - TOLERANCE_S and not at_an_end(seen, start_s, end_s):
            continue
        there = (seen.time_s[first] <= end_s) & (seen.time_s[last] >= start_s)
        at_start = np.flatnonzero(there & (seen.time_s[first] <= start_s))
        row = int(first[at_start[0]]) + int(np.searchsorted(seen.time_s[first[at_start[0]] : last[at_start[0]] + 1], start_s))
        facts: dict[str, object] = {"count": int(count[begin : end + 1].max()), "wanted": wanted, "held_s": round(end_s - start_s, 2)}
        if rule.when.zone:
            facts["zone"] = rule.when.zone
        yield Hit(start_s, end_s, tuple(sorted({int(t) for t in track[there]})), row, facts)


def absences(seen: Observed, rule: Rule, spans: Spans) -> Iterator[Hit]:
    """Spans in which no such object was there, held for as long as the rule wants; the start and the end of the video bound them."""
    at_s, wanted_s = seen.samples.time_s, rule.when.for_s or 0.0
    for begin, end in absent_spans(seen, rule, spans):
        start_s, end_s = float(at_s[begin]), float(at_s[end])
        if end_s - start_s >= wanted_s - TOLERANCE_S or at_an_end(seen, start_s, end_s):
            facts: dict[str, object] = {"absent": list(rule.when.classes), "absent_s": round(end_s - start_s, 2), "wanted_s": wanted_s}
            yield Hit(start_s, end_s, (), None, {**facts, "zone": rule.when.zone} if rule.when.zone else facts)


def absent_spans(seen: Observed, rule: Rule, spans: Spans) -> list[tuple[int, int]]:
    """First and last sample of each span without such an object."""
    first, last, _ = seen.stays(rule)
    return sample_spans(together(seen, first, last) == 0, seen.samples.time_s, spans)


def sample_spans(state: NDArray[np.bool_], at_s: NDArray[np.float64], spans: Spans) -> list[tuple[int, int]]:
    """First and last sample of each span over which a state of the whole picture was held, within the schedule."""
    if spans is not None:
        state = state & all_within(at_s, spans)
    begins, ends, _ = held(state, at_s, np.zeros(len(at_s), np.int64), np.arange(len(at_s)) == 0).stays()
    return [(int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)]


def too_fast(seen: Observed, rule: Rule, spans: Spans) -> Iterator[Hit]:
    """Spans over which one object moved faster than the rule allows, held for as long as it wants."""
    above = rule.when.above or 0.0
    state = (seen.speed > above) & seen.rows(rule)
    if spans is not None:
        state &= all_within(seen.samples.time_s, spans)[seen.sample]
    for begin, end, track in zip(*held(state, seen.time_s, seen.track, seen.track_starts).stays(), strict=True):
        start_s, end_s = float(seen.time_s[begin]), float(seen.time_s[end])
        if end_s - start_s < (rule.when.for_s or 0.0) - TOLERANCE_S:
            continue
        facts: dict[str, object] = {"speed": round(float(seen.speed[begin : end + 1].max()), 3), "above": above, "held_s": round(end_s - start_s, 2)}
        yield Hit(start_s, end_s, (int(track),), int(begin), {**facts, "zone": rule.when.zone} if rule.when.zone else facts)


FINDERS: dict[str, Finder] = {
    "appears": appearances,
    "enters": zone_events,
    "leaves": zone_events,
    "crosses": crossings,
    "dwells": dwells,
    "count": counts,
    "absent": absences,
    "near": nearness.near,
    "speed": too_fast,
}
"""What finds each kind that looks at tracks."""
