"""What each kind of rule finds in the tracks of some videos. Every finder cuts what it finds to the schedule itself.

What an end of a video cuts is found by `dwells`, `counts` and `absences` whatever its length: `continuing` judges whether it lasted long enough.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import nearness
from video_platform.analysis.hits import Hit
from video_platform.analysis.observed import Flags, Observed, Rows, together
from video_platform.analysis.schedules import OpenTimes
from video_platform.analysis.states import HOLD_S, TOLERANCE_S, held
from video_platform.rules import Rule

MERGE_S = 2.0
"""Spans of one `appears` rule that follow each other within this are one episode, unless the rule says `merge`; alerts are matched across the same gap."""

Seconds = NDArray[np.float64]
Finder = Callable[[Observed, Rule, OpenTimes | None], Iterator[Hit]]


class Stays(NamedTuple):
    """Stays of tracks as columns: when they begin and end, of which video and track, and the row at the start."""

    start_s: Seconds
    end_s: Seconds
    video: Rows
    track: Rows
    row: Rows

    def take(self, rows: Rows | Flags) -> "Stays":
        """Those of an index or mask, in that order."""
        return Stays(self.start_s[rows], self.end_s[rows], self.video[rows], self.track[rows], self.row[rows])


def at_an_end(seen: Observed, video: Rows, start_s: Seconds, end_s: Seconds) -> Flags:
    """Which spans the start or the end of their video may have cut, so that they are to be found whatever their length (see `continuing`)."""
    begun, ends = start_s - seen.samples.first_s[video], seen.samples.last_s[video] - end_s
    return (begun < HOLD_S - TOLERANCE_S) | (ends < HOLD_S - TOLERANCE_S)


def from_the_start(seen: Observed, video: int, start_s: float) -> bool:
    """Whether what began here may have begun before the video: no other state was held before it."""
    return start_s - float(seen.samples.first_s[video]) < HOLD_S - TOLERANCE_S


def to_the_end(seen: Observed, video: int, end_s: float) -> bool:
    """Whether what ended here may go on after the video."""
    return float(seen.samples.last_s[video]) - end_s < HOLD_S - TOLERANCE_S


def zone_events(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Iterator[Hit]:
    """Tracks that were outside and then inside, or the other way round for `leaves`."""
    runs = seen.in_zone(rule.when.zone or "")
    _before, after = runs.changes()
    wanted = (runs.value[after] == (rule.kind == "enters")) & seen.matching(rule)[runs.track[after]]
    facts: dict[str, object] = {"zone": rule.when.zone}
    for first, counted_s, track in _events(seen, runs.first[after[wanted]], runs.last[after[wanted]], runs.track[after[wanted]]):
        if spans is None or spans.within(int(seen.video[track]), float(seen.time_s[first])):
            yield Hit(float(seen.time_s[first]), counted_s, (track,), first, facts, int(seen.video[track]))


def crossings(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Iterator[Hit]:
    """Tracks that changed sides through the segment: an odd number of passages between the two sides that were held."""
    runs = seen.left_of(rule.when.line or "")
    before, after = runs.changes()
    wanted = ((runs.flips[after] - runs.flips[before]) % 2 == 1) & seen.matching(rule)[runs.track[after]]
    if rule.when.direction != "any":
        wanted &= runs.value[before] == (rule.when.direction == "left_to_right")
    events = _events(seen, runs.first[after[wanted]], runs.last[after[wanted]], runs.track[after[wanted]])
    for (first, counted_s, track), left_before in zip(events, runs.value[before[wanted]], strict=True):
        if spans is None or spans.within(int(seen.video[track]), float(seen.time_s[first])):
            facts: dict[str, object] = {"line": rule.when.line, "direction": "left_to_right" if left_before else "right_to_left"}
            yield Hit(float(seen.time_s[first]), counted_s, (track,), first, facts, int(seen.video[track]))


def _events(seen: Observed, first: Rows, last: Rows, track: Rows) -> Iterator[tuple[int, float, int]]:
    """(first row of the new state, when it counted, track) of each of these runs."""
    counts_s = seen.time_s[first] + HOLD_S - TOLERANCE_S
    counted = first.copy()
    while len(early := np.flatnonzero((counted < last) & (seen.time_s[counted] < counts_s))):
        counted[early] += 1
    yield from zip(first.tolist(), seen.time_s[counted].tolist(), track.tolist(), strict=True)


def _cut_stays(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Stays:
    """Each stay, cut to the schedule."""
    first, last, track = seen.stays(rule)
    whole = Stays(seen.time_s[first], seen.time_s[last], seen.video[track], track, first)
    if spans is None:
        return whole
    found: list[tuple[float, float, int]] = []
    for at, (start_s, end_s, video) in enumerate(zip(whole.start_s.tolist(), whole.end_s.tolist(), whole.video.tolist(), strict=True)):
        found += [(cut_start_s, cut_end_s, at) for cut_start_s, cut_end_s in spans.clipped(video, start_s, end_s)]
    cut: list[tuple[float, float, int, int, int]] = []
    for start_s, end_s, at in found:
        row = int(first[at]) + int(np.searchsorted(seen.time_s[first[at] : last[at] + 1], start_s))
        if row <= last[at] and seen.time_s[row] <= end_s:
            cut.append((float(seen.time_s[row]), end_s, int(whole.video[at]), int(track[at]), row))
    start, end, *rest = (np.array(column) for column in zip(*cut, strict=True)) if cut else (np.zeros(0), np.zeros(0), *[np.zeros(0, np.int64)] * 3)
    return Stays(start, end, *rest)


def appearances(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Iterator[Hit]:
    """Spans in which at least one object is there; those that follow each other soon are one."""
    facts: dict[str, object] = {"zone": rule.when.zone} if rule.when.zone else {}
    stays = _cut_stays(seen, rule, spans)
    stays = stays.take(np.lexsort((stays.row, stays.track, stays.end_s, stays.start_s, stays.video)))
    if not len(stays.row):
        return
    until_s = _latest_so_far(stays)
    begins = np.ones(len(stays.row), bool)
    merge_s = MERGE_S if rule.merge_s is None else rule.merge_s
    begins[1:] = (stays.video[1:] != stays.video[:-1]) | (stays.start_s[1:] > until_s[:-1] + merge_s)
    bounds = [*np.flatnonzero(begins).tolist(), len(begins)]
    tracks = stays.track.tolist()
    for begin, end in pairwise(bounds):
        there = (tracks[begin],) if end == begin + 1 else tuple(sorted(set(tracks[begin:end])))
        yield Hit(float(stays.start_s[begin]), float(until_s[end - 1]), there, int(stays.row[begin]), facts, int(stays.video[begin]))


def _latest_so_far(stays: Stays) -> Seconds:
    """For each of these stays, in order of video and start, the latest end of those of its video up to it."""
    by_end = np.lexsort((stays.end_s, stays.video))
    rank = np.empty(len(by_end), np.int64)
    rank[by_end] = np.arange(len(by_end))
    return stays.end_s[by_end[np.maximum.accumulate(rank)]]


def dwells(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Iterator[Hit]:
    """Stays of one object that are long enough."""
    wanted_s = rule.when.for_s or 0.0
    stays = _cut_stays(seen, rule, spans)
    stays = stays.take((stays.end_s - stays.start_s >= wanted_s - TOLERANCE_S) | at_an_end(seen, stays.video, stays.start_s, stays.end_s))
    for start_s, end_s, video, track, row in zip(*(column.tolist() for column in stays), strict=True):
        yield Hit(start_s, end_s, (track,), row, {"zone": rule.when.zone, "stayed_s": round(end_s - start_s, 2), "wanted_s": wanted_s}, video)


def counts(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Iterator[Hit]:
    """Spans in which at least so many were there at once, held for as long as the rule wants."""
    first, last, track = seen.stays(rule)
    at_s, count, wanted = seen.samples.time_s, together(seen, first, last), rule.when.at_least or 1
    by_start = np.argsort(seen.sample[first], kind="stable")
    start_sample, end_sample = seen.sample[first][by_start], seen.sample[last][by_start]
    longest = int((end_sample - start_sample).max(initial=0))
    for begin, end in _long_enough(seen, count >= wanted, rule, spans):
        start_s, end_s = float(at_s[begin]), float(at_s[end])
        near = slice(*np.searchsorted(start_sample, (begin - longest, end + 1)))  # what began earlier than the longest stay lasts is over
        there = np.sort(by_start[near][end_sample[near] >= begin])
        row = _row_at(seen, there, first, last, begin, start_s)
        facts: dict[str, object] = {"count": int(count[begin : end + 1].max()), "wanted": wanted, "held_s": round(end_s - start_s, 2)}
        if rule.when.zone:
            facts["zone"] = rule.when.zone
        yield Hit(start_s, end_s, tuple(sorted(set(track[there].tolist()))), row, facts, int(seen.samples.video[begin]))


def _row_at(seen: Observed, stays: Rows, first: Rows, last: Rows, sample: int, at_s: float) -> int:
    """The row of the first of these stays that has begun by this sample, at it or after."""
    stay = stays[seen.sample[first[stays]] <= sample][0]
    return int(first[stay]) + int(np.searchsorted(seen.time_s[first[stay] : last[stay] + 1], at_s))


def absences(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Iterator[Hit]:
    """Spans in which no such object was there, held for as long as the rule wants; the start and the end of the video bound them."""
    at_s, wanted_s = seen.samples.time_s, rule.when.for_s or 0.0
    first, last, _ = seen.stays(rule)
    for begin, end in _long_enough(seen, together(seen, first, last) == 0, rule, spans):
        start_s, end_s = float(at_s[begin]), float(at_s[end])
        facts: dict[str, object] = {"absent": list(rule.when.classes), "absent_s": round(end_s - start_s, 2), "wanted_s": wanted_s}
        yield Hit(start_s, end_s, (), None, {**facts, "zone": rule.when.zone} if rule.when.zone else facts, int(seen.samples.video[begin]))


def absent_spans(seen: Observed, rule: Rule, spans: OpenTimes | None) -> list[tuple[int, int]]:
    """First and last sample of each span without such an object."""
    first, last, _ = seen.stays(rule)
    begins, ends = _sample_spans(seen, together(seen, first, last) == 0, spans)
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _long_enough(seen: Observed, state: Flags, rule: Rule, spans: OpenTimes | None) -> Iterator[tuple[int, int]]:
    """First and last sample of each span over which a state of the whole picture was held for as long as the rule wants, or that an end may have cut."""
    begins, ends = _sample_spans(seen, state, spans)
    start_s, end_s = seen.samples.time_s[begins], seen.samples.time_s[ends]
    long = (end_s - start_s >= (rule.when.for_s or 0.0) - TOLERANCE_S) | at_an_end(seen, seen.samples.video[begins], start_s, end_s)
    yield from zip(begins[long].tolist(), ends[long].tolist(), strict=True)


def _sample_spans(seen: Observed, state: Flags, spans: OpenTimes | None) -> tuple[Rows, Rows]:
    """First and last sample of each span over which a state of the whole picture was held, within the schedule."""
    if spans is not None:
        state = state & spans.samples
    samples = seen.samples
    begins, ends, _ = held(state, samples.time_s, samples.video, samples.video_starts).stays()
    return begins, ends


def too_fast(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Iterator[Hit]:
    """Spans over which one object moved faster than the rule allows, held for as long as it wants."""
    above = rule.when.above or 0.0
    state = (seen.speed > above) & seen.rows(rule)
    if spans is not None:
        state &= spans.samples[seen.sample]
    begins, ends, tracks = held(state, seen.time_s, seen.track, seen.track_starts).stays()
    long = seen.time_s[ends] - seen.time_s[begins] >= (rule.when.for_s or 0.0) - TOLERANCE_S
    for begin, end, track in zip(begins[long].tolist(), ends[long].tolist(), tracks[long].tolist(), strict=True):
        start_s, end_s = float(seen.time_s[begin]), float(seen.time_s[end])
        facts: dict[str, object] = {"speed": round(float(seen.speed[begin : end + 1].max()), 3), "above": above, "held_s": round(end_s - start_s, 2)}
        yield Hit(start_s, end_s, (track,), begin, {**facts, "zone": rule.when.zone} if rule.when.zone else facts, int(seen.video[track]))


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
