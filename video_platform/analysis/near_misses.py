"""What came closest in one video for a rule that raised nothing there, as a sentence and the moment it speaks of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import geometry
from video_platform.analysis.finders import absent_spans
from video_platform.analysis.nearness import near_pairs
from video_platform.analysis.observed import Observed, together
from video_platform.analysis.schedules import OpenTimes
from video_platform.analysis.states import HOLD_S
from video_platform.records import NearMiss
from video_platform.rules import Rule

PLURALS = {"person": "people", "bus": "buses", "mouse": "mice", "knife": "knives", "sheep": "sheep", "skis": "skis", "scissors": "scissors"}
ENDINGS = ("ss", "ch", "sh")


FRAME_WIDTHS = 2.0
"""Nothing in a picture is further apart than this, unless the picture is far taller than wide."""


def explain(seen: Observed, rule: Rule, spans: OpenTimes | None) -> NearMiss:
    """What came closest to what the rule waits for."""
    text, at_s = _nothing_to_look_at(seen, spans) or _not_long_absent(seen, rule, spans) or _nothing_to_see(seen, rule) or _closest(seen, rule, spans)
    return NearMiss(rule.name, text, None if at_s is None else round(at_s, 3))


def many(count: int, classes: Sequence[str]) -> str:
    """A count with its noun: "1 person", "2 people", "2 cars or trucks"."""
    return f"{count} {' or '.join(name if count == 1 else _plural(name) for name in classes)}"


def _plural(name: str) -> str:
    if name in PLURALS:
        return PLURALS[name]
    return f"{name}es" if name.endswith(ENDINGS) else f"{name}s"


Miss = tuple[str, float | None]


def _nothing_to_look_at(seen: Observed, spans: OpenTimes | None) -> Miss | None:
    """The sentence when no frame was looked at, or never in the rule's schedule."""
    if not len(seen.samples):
        return "no frame was looked at", None
    if spans is not None and not spans.spans[0]:
        return "the video lies outside the rule's schedule", None
    return None


def _not_long_absent(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Miss | None:
    if rule.kind != "absent":
        return None
    where, what = f" in {rule.when.zone}" if rule.when.zone else "", " or ".join(rule.when.classes)
    at_s, found = seen.samples.time_s, absent_spans(seen, rule, spans)
    if not found:
        return f"a {what} was there{where} all the time", None
    begin, end = max(found, key=lambda span: float(at_s[span[1]] - at_s[span[0]]))
    return f"no {what}{where} for {_floor(at_s[end] - at_s[begin], 1)} s at most; the rule wants {rule.when.for_s:g} s", float(at_s[begin])


def _nothing_to_see(seen: Observed, rule: Rule) -> Miss | None:
    """The sentence when there was no object of its classes, none with the score, or none that passes its filters."""
    for name in rule.classes if rule.kind == "near" else (None,):
        classes = rule.classes if name is None else (name,)
        what = " or ".join(classes)
        of_class = np.flatnonzero(seen.of_class(classes))
        if not len(of_class):
            return f"no {what} was seen; {len(seen.samples)} frames looked at", None
        wanted = np.isin(of_class, np.flatnonzero(seen.sure(rule)))
        if not wanted.any():
            best = int(of_class[np.argmax(seen.score[of_class])])
            least = rule.score_of(seen.names[int(seen.class_id[best])])
            return f"the surest {what} scored {_floor(seen.score[best])}; the rule wants {least:.2f}", float(seen.time_s[seen.first[best]])
        if not seen.matching(rule)[of_class].any():
            return _filtered(seen, rule, of_class[wanted], classes)
    return None


def _filtered(seen: Observed, rule: Rule, tracks: NDArray[np.int64], classes: Sequence[str]) -> Miss:
    """What kept the rule from seeing any of these tracks: the filter that the fewest of them pass."""
    frames = seen.last[tracks] - seen.first[tracks] + 1
    longest, at_s = int(tracks[np.argmax(frames)]), float(seen.time_s[seen.first[tracks[0]]])
    if int(frames.max()) < rule.min_frames:
        text = f"{many(len(tracks), classes)} seen, in {int(frames.max())} sampled frames at most; the rule wants {rule.min_frames}"
        return text, float(seen.time_s[seen.first[longest]])
    if rule.moving is not None and not (seen.moved[tracks] == rule.moving).any():
        return f"{many(len(tracks), classes)} seen, {'none moved' if rule.moving else 'all of them moved'}", at_s
    if float(seen.size[tracks].max()) < rule.min_size:
        largest = int(tracks[np.argmax(seen.size[tracks])])
        text = f"{many(len(tracks), classes)} seen, the largest {_floor(seen.size[largest], 4)} of the picture; the rule wants {rule.min_size:g}"
        return text, float(seen.time_s[seen.first[largest]])
    if float(seen.size[tracks].min()) > rule.max_size:
        return f"{many(len(tracks), classes)} seen, the smallest {seen.size[tracks].min():.4f} of the picture; the rule takes {rule.max_size:g} at most", at_s
    return f"{many(len(tracks), classes)} seen, none passes all of the rule's filters", at_s


def _closest(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Miss:
    rows = np.flatnonzero(seen.matching(rule)[seen.track])
    if rule.kind == "count":
        return _fewer(seen, rule, spans)
    if rule.kind == "crosses":
        return _not_crossed(seen, rule, rows)
    if rule.kind == "near":
        return _not_near(seen, rule, spans)
    if rule.kind == "speed":
        return _not_fast(seen, rule, spans)
    if rule.when.zone is None:
        longest = int(np.argmax(np.where(seen.matching(rule), seen.time_s[seen.last] - seen.time_s[seen.first], -1.0)))
        stay_s = float(seen.time_s[seen.last[longest]] - seen.time_s[seen.first[longest]])
        start_s = float(seen.time_s[seen.first[longest]])
        if spans is not None and stay_s >= HOLD_S:
            return f"{many(_tracks(seen, rows), rule.when.classes)} seen, not within the rule's schedule", start_s
        return f"the longest sight of a {' or '.join(rule.when.classes)} lasted {stay_s:.1f} s; it counts from {HOLD_S} s", start_s
    return _zone_missed(seen, rule, rows, spans)


def _not_near(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Miss:
    """How close two of them came, or how long they were near."""
    wanted, wanted_s = rule.when.within or 0.0, max(rule.when.for_s or 0.0, HOLD_S)
    where = f" in {rule.when.zone}" if rule.when.zone else ""
    first, second = rule.when.near or ("", "")
    pairs = near_pairs(seen, rule, FRAME_WIDTHS, spans)
    if not len(pairs.pair):
        return f"a {first} and a {second} were never there{where} at once", None
    closest = int(np.argmin(pairs.distance))
    at_s = float(seen.samples.time_s[pairs.sample[closest]])
    if pairs.distance[closest] > wanted:
        return f"a {first} and a {second} came within {pairs.distance[closest]:.3f} frame widths of each other{where}; the rule wants {wanted:g}", at_s
    return f"a {first} and a {second} came within {pairs.distance[closest]:.3f} frame widths{where}, but never within {wanted:g} for {wanted_s:g} s", at_s


def _not_fast(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Miss:
    """How fast the fastest was, or how long."""
    where, what, above = f" in {rule.when.zone}" if rule.when.zone else "", " or ".join(rule.when.classes), rule.when.above or 0.0
    state = seen.rows(rule)
    if spans is not None:
        state = state & spans.samples[seen.sample]
    rows = np.flatnonzero(state)
    if not len(rows):
        return f"no {what} was there{where} in the rule's time", None
    fastest = int(rows[np.argmax(seen.speed[rows])])
    speed, at_s = float(seen.speed[fastest]), float(seen.time_s[fastest])
    if speed <= above:
        return f"the fastest {what}{where} did {_floor(speed, 3)} frame widths a second; the rule wants more than {above:g}", at_s
    return f"the fastest {what}{where} did {speed:.3f} frame widths a second, but not for {max(rule.when.for_s or 0.0, HOLD_S):g} s", at_s


def _zone_missed(seen: Observed, rule: Rule, rows: NDArray[np.int64], spans: OpenTimes | None) -> Miss:
    zone, classes = rule.when.zone or "", rule.when.classes
    polygon = seen.rules.zones[zone]
    was_in = rows[geometry.inside(polygon, seen.x[rows], seen.y[rows])]
    if not len(was_in):
        distance = geometry.distance_to_polygon(polygon, seen.x[rows], seen.y[rows], seen.aspect)
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
    if spans is not None and not spans.samples[seen.sample[was_in]].any():
        return f"{many(_tracks(seen, was_in), classes)} in {zone}, not within the rule's schedule", start_s
    if rule.kind == "leaves":
        return f"{many(_tracks(seen, was_in), classes)} in {zone}, and none was seen outside afterwards", start_s
    return f"{many(_tracks(seen, was_in), classes)} in {zone}, and none was seen outside before", start_s


def _not_crossed(seen: Observed, rule: Rule, rows: NDArray[np.int64]) -> Miss:
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
    distance = geometry.distance_to_segment(start, end, seen.x[rows], seen.y[rows], seen.aspect)
    nearest = int(np.argmin(distance))
    text = f"{many(_tracks(seen, rows), classes)} seen, none changed sides; the closest came within {distance[nearest]:.2f} frame widths of {line}"
    return text, float(seen.time_s[rows[nearest]])


def _fewer(seen: Observed, rule: Rule, spans: OpenTimes | None) -> Miss:
    first, last, _ = seen.stays(rule)
    count, at_s = together(seen, first, last), seen.samples.time_s
    if spans is not None:
        count = np.where(spans.samples, count, 0)
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
