"""What came closest for a rule that raised nothing, as a sentence and the moment it speaks of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import geometry
from video_platform.analysis.observed import Observed, together
from video_platform.analysis.schedules import Interval, within
from video_platform.analysis.states import HOLD_S
from video_platform.records import NearMiss
from video_platform.rules import Rule

PLURALS = {"person": "people", "bus": "buses", "mouse": "mice", "knife": "knives", "sheep": "sheep", "skis": "skis", "scissors": "scissors"}
ENDINGS = ("ss", "ch", "sh")


def explain(seen: Observed, rule: Rule, spans: Sequence[Interval] | None, aspect: float) -> NearMiss:
    """What came closest to what the rule waits for."""
    text, at_s = _nothing_to_see(seen, rule, spans) or _closest(seen, rule, spans, aspect)
    return NearMiss(rule.name, text, None if at_s is None else round(at_s, 3))


def many(count: int, classes: Sequence[str]) -> str:
    """A count with its noun: "1 person", "2 people", "2 cars or trucks"."""
    return f"{count} {' or '.join(name if count == 1 else _plural(name) for name in classes)}"


def _plural(name: str) -> str:
    if name in PLURALS:
        return PLURALS[name]
    return f"{name}es" if name.endswith(ENDINGS) else f"{name}s"


def _nothing_to_see(seen: Observed, rule: Rule, spans: Sequence[Interval] | None) -> tuple[str, float | None] | None:
    """The sentence when the rule had nothing to look at: no frames, no object of its class, scores too low, or never in its schedule."""
    what = " or ".join(rule.when.classes)
    if not len(seen.samples):
        return "no frame was looked at", None
    if spans is not None and not spans:
        return "the video lies outside the rule's schedule", None
    of_class = np.flatnonzero(seen.of_class(rule.when.classes))
    if not len(of_class):
        return f"no {what} was seen; {len(seen.samples)} frames looked at", None
    if not seen.matching(rule).any():
        best = int(of_class[np.argmax(seen.score[of_class])])
        at_s = float(seen.time_s[seen.first[best]])
        return f"the surest {what} scored {_floor(seen.score[best])}; the rule wants {rule.min_score:.2f}", at_s
    return None


def _closest(seen: Observed, rule: Rule, spans: Sequence[Interval] | None, aspect: float) -> tuple[str, float | None]:
    rows = np.flatnonzero(seen.matching(rule)[seen.track])
    if rule.kind == "count":
        return _fewer(seen, rule, spans)
    if rule.kind == "crosses":
        return _not_crossed(seen, rule, rows, aspect)
    if rule.when.zone is None:
        longest = int(np.argmax(np.where(seen.matching(rule), seen.time_s[seen.last] - seen.time_s[seen.first], -1.0)))
        stay_s = float(seen.time_s[seen.last[longest]] - seen.time_s[seen.first[longest]])
        start_s = float(seen.time_s[seen.first[longest]])
        if spans is not None and stay_s >= HOLD_S:
            return f"{many(_tracks(seen, rows), rule.when.classes)} seen, not within the rule's schedule", start_s
        return f"the longest sight of a {' or '.join(rule.when.classes)} lasted {stay_s:.1f} s; it counts from {HOLD_S} s", start_s
    return _zone_missed(seen, rule, rows, spans, aspect)


def _zone_missed(seen: Observed, rule: Rule, rows: NDArray[np.int64], spans: Sequence[Interval] | None, aspect: float) -> tuple[str, float | None]:
    zone, classes = rule.when.zone or "", rule.when.classes
    polygon = seen.rules.zones[zone]
    was_in = rows[geometry.inside(polygon, seen.x[rows], seen.y[rows])]
    if not len(was_in):
        distance = geometry.distance_to_polygon(polygon, seen.x[rows], seen.y[rows], aspect)
        nearest = int(np.argmin(distance))
        text = f"{many(_tracks(seen, rows), classes)} seen, none in {zone}; the closest came within {distance[nearest]:.2f} frame widths of it"
        return text, float(seen.time_s[rows[nearest]])
    first, last, _ = seen.stays(rule)
    if not len(first):
        return f"{many(_tracks(seen, was_in), classes)} in {zone}, each for less than the {HOLD_S} s from which it counts", float(seen.time_s[was_in[0]])
    stay_s = seen.time_s[last] - seen.time_s[first]
    longest = int(np.argmax(stay_s))
    start_s = float(seen.time_s[first[longest]])
    if rule.kind == "dwells" and stay_s[longest] < (rule.when.for_s or 0.0):
        return f"the longest stay in {zone} was {_floor(stay_s[longest], 1)} s; the rule wants {rule.when.for_s:g} s", start_s
    if spans is not None and not any(within(float(t), spans) for t in seen.time_s[was_in]):
        return f"{many(_tracks(seen, was_in), classes)} in {zone}, not within the rule's schedule", start_s
    if rule.kind == "leaves":
        return f"{many(_tracks(seen, was_in), classes)} in {zone}, and none was seen outside afterwards", start_s
    return f"{many(_tracks(seen, was_in), classes)} in {zone}, and none was seen outside before", start_s


def _not_crossed(seen: Observed, rule: Rule, rows: NDArray[np.int64], aspect: float) -> tuple[str, float | None]:
    line, classes = rule.when.line or "", rule.when.classes
    start, end = seen.rules.lines[line]
    runs = seen.left_of(line)
    before, after = runs.changes()
    wanted = seen.matching(rule)[runs.track[after]]
    through = (runs.flips[after] - runs.flips[before]) % 2 == 1
    other = np.flatnonzero(wanted & through)
    if len(other):
        direction = (rule.when.direction or "any").replace("_", " ")
        text = f"{many(len(np.unique(runs.track[after[other]])), classes)} crossed {line}, but not {direction}"
        return (text if rule.when.direction != "any" else f"{text}: outside the rule's schedule"), float(seen.time_s[runs.first[after[other[0]]]])
    beyond = np.flatnonzero(wanted & ~through)
    if len(beyond):
        text = f"{many(len(np.unique(runs.track[after[beyond]])), classes)} changed sides beyond the ends of {line}, not through it"
        return text, float(seen.time_s[runs.first[after[beyond[0]]]])
    distance = geometry.distance_to_segment(start, end, seen.x[rows], seen.y[rows], aspect)
    nearest = int(np.argmin(distance))
    text = f"{many(_tracks(seen, rows), classes)} seen, none changed sides; the closest came within {distance[nearest]:.2f} frame widths of {line}"
    return text, float(seen.time_s[rows[nearest]])


def _fewer(seen: Observed, rule: Rule, spans: Sequence[Interval] | None) -> tuple[str, float | None]:
    first, last, _ = seen.stays(rule)
    count, at_s = together(seen, first, last), seen.samples.time_s
    if spans is not None:
        count = np.where([within(float(t), spans) for t in at_s], count, 0)
    most, wanted = int(count.max()), rule.when.at_least or 1
    where = f" in {rule.when.zone}" if rule.when.zone else ""
    at = float(at_s[int(np.argmax(count))]) if most else None
    if most < wanted:
        return f"{many(most, rule.when.classes)}{where} at most; the rule wants {wanted}", at
    return f"{many(most, rule.when.classes)}{where}, but never {wanted} for {max(rule.when.for_s or 0.0, HOLD_S):g} s", at


def _tracks(seen: Observed, rows: NDArray[np.int64]) -> int:
    return len(np.unique(seen.track[rows]))


def _floor(value: float, digits: int = 2) -> str:
    """A number that fell short, never rounded up to what was wanted."""
    return f"{np.floor(value * 10**digits + 1e-6) / 10**digits:.{digits}f}"
