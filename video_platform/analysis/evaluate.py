"""Rules over tracks: a pure function from the tracks of one video to episodes, near misses and rules that cannot be answered.

The tested point of a box is the middle of its bottom edge. A state (in a zone, on a side of a line, together with others) counts once held for 0.4 s
(`states`); a rule sees only tracks whose median score reaches its `min_score`. What each kind finds:

- `appears`: spans in which an object of the class is there (in the zone); spans that overlap or follow within 2 s are one episode.
- `enters`, `leaves`, `crosses`: each event is an episode, from the first sample of the new state to the one at which it counted.
- `dwells`: each long enough stay of a track is an episode.
- `count`: each span in which enough objects are there at once is an episode.

`cooldown` acts per rule: after an episode, others of the rule that start within it are not reported but counted in its `why`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from video_platform.analysis import near_misses
from video_platform.analysis.observed import Observed, together
from video_platform.analysis.schedules import Interval, clipped, open_intervals, within
from video_platform.analysis.states import HOLD_S, TOLERANCE_S, Held, held
from video_platform.analysis.tables import Samples, Tracks
from video_platform.records import Episode, NearMiss
from video_platform.rules import CameraRules, Rule

MERGE_S = 2.0
"""Spans of one `appears` rule that follow each other within this are one episode; alerts are matched across the same gap."""

MAX_WHY_TRACKS = 20
"""Tracks that the facts of one episode describe; all of them stand in `track_ids`."""


SAME_MOMENT_S = 1e-6
"""Sums of sample times differ by rounding; what starts at the very end of a cooldown is reported."""


@dataclass(frozen=True)
class Evaluation:
    """Episodes in time order, what came closest for each rule without one, and (rule, reason) of those that cannot be evaluated."""

    episodes: list[Episode]
    near_misses: list[NearMiss]
    cannot_evaluate: list[tuple[str, str]]


@dataclass(frozen=True)
class Hit:
    """One thing that a rule found, before cooldown. `row` is a row of the `Observed` at its start; `facts` are kind-specific."""

    start_s: float
    end_s: float
    tracks: tuple[int, ...]
    row: int
    facts: dict[str, object]


def evaluate(
    tracks: Tracks,
    samples: Samples,
    names: Sequence[str],
    rules: CameraRules,
    *,
    recorded_at: datetime | None = None,
    explain: bool = True,
    aspect: float = 1.0,
) -> Evaluation:
    """What the rules of one camera find in the tracks of one video.

    `recorded_at` is the wall-clock time of second 0; rules with a schedule need it. `explain=False` leaves near misses out, as over a whole archive.
    `aspect` (width / height) only makes the distances in near misses true.
    """
    seen = Observed(tracks, samples, names, rules)
    episodes: list[Episode] = []
    missed: list[NearMiss] = []
    unanswered: list[tuple[str, str]] = []
    for rule in rules.rules:
        reason = _why_not(rule, names, recorded_at)
        if reason:
            unanswered.append((rule.name, reason))
            continue
        duration_s = float(samples.time_s[-1]) if len(samples) else 0.0
        spans = open_intervals(rule.schedule, recorded_at, duration_s) if rule.schedule and recorded_at else None
        found = after_cooldown(sorted(_hits(seen, rule, spans), key=lambda hit: (hit.start_s, hit.tracks)), rule.cooldown_s)
        episodes += [_episode(seen, rule, hit) for hit in found]
        if explain and not found:
            missed.append(near_misses.explain(seen, rule, spans, aspect))
    episodes.sort(key=lambda episode: (episode.start_s, episode.rule, episode.track_ids))
    return Evaluation(episodes, missed, unanswered)


def after_cooldown(hits: Sequence[Hit], cooldown_s: float) -> list[Hit]:
    """Those of one rule's hits, in time order, that start no sooner than `cooldown_s` after the last one kept; that one counts the others."""
    kept: list[Hit] = []
    more: list[int] = []
    for hit in hits:
        if kept and hit.start_s < kept[-1].start_s + cooldown_s - SAME_MOMENT_S:
            more[-1] += 1
        else:
            kept.append(hit)
            more.append(0)
    return [replace(hit, facts={**hit.facts, "more_within_cooldown": n}) if n else hit for hit, n in zip(kept, more, strict=True)]


def _why_not(rule: Rule, names: Sequence[str], recorded_at: datetime | None) -> str | None:
    if rule.why_not:
        return rule.why_not
    lacking = [name for name in rule.when.classes if name not in names]
    if lacking and len(lacking) == len(rule.when.classes):
        return f"the detector that made these tracks has no class {', '.join(lacking)}"
    if rule.schedule and recorded_at is None:
        return "the rule has a schedule, and the recording time of this video is unknown; set it with `vp set VIDEO --recorded-at TIME`"
    return None


def _hits(seen: Observed, rule: Rule, spans: Sequence[Interval] | None) -> list[Hit]:
    if not len(seen):
        return []
    found = {"appears": _appears, "dwells": _dwells, "count": _count, "enters": _zone_events, "leaves": _zone_events, "crosses": _crossings}[rule.kind]
    hits = list(found(seen, rule, spans))
    if spans is None or rule.kind in ("appears", "dwells", "count"):  # these cut their spans themselves
        return hits
    return [hit for hit in hits if within(hit.start_s, spans)]


def _zone_events(seen: Observed, rule: Rule, _: Sequence[Interval] | None) -> Iterator[Hit]:
    """Tracks that were outside and then inside, or the other way round for `leaves`."""
    runs = seen.in_zone(rule.when.zone or "")
    _before, after = runs.changes()
    wanted = (runs.value[after] == (rule.kind == "enters")) & seen.matching(rule)[runs.track[after]]
    for run in after[wanted]:
        yield _event(seen, runs, int(run), {"zone": rule.when.zone})


def _crossings(seen: Observed, rule: Rule, _: Sequence[Interval] | None) -> Iterator[Hit]:
    """Tracks that changed sides through the segment: an odd number of passages between the two sides that were held."""
    runs = seen.left_of(rule.when.line or "")
    before, after = runs.changes()
    wanted = ((runs.flips[after] - runs.flips[before]) % 2 == 1) & seen.matching(rule)[runs.track[after]]
    if rule.when.direction != "any":
        wanted &= runs.value[before] == (rule.when.direction == "left_to_right")
    for run, left_before in zip(after[wanted], runs.value[before[wanted]], strict=True):
        yield _event(seen, runs, int(run), {"line": rule.when.line, "direction": "left_to_right" if left_before else "right_to_left"})


def _event(seen: Observed, runs: Held, run: int, facts: dict[str, object]) -> Hit:
    first, last = int(runs.first[run]), int(runs.last[run])
    counted = first + int(np.searchsorted(seen.time_s[first:last], seen.time_s[first] + HOLD_S - TOLERANCE_S))
    return Hit(float(seen.time_s[first]), float(seen.time_s[counted]), (int(runs.track[run]),), first, facts)


def _cut_stays(seen: Observed, rule: Rule, spans: Sequence[Interval] | None) -> Iterator[tuple[float, float, int, int]]:
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


def _appears(seen: Observed, rule: Rule, spans: Sequence[Interval] | None) -> Iterator[Hit]:
    facts: dict[str, object] = {"zone": rule.when.zone} if rule.when.zone else {}
    group: list[tuple[float, float, int, int]] = []
    end_s = -np.inf
    for stay in sorted(_cut_stays(seen, rule, spans)):
        if group and stay[0] > end_s + MERGE_S:
            yield Hit(group[0][0], end_s, tuple(sorted({one[2] for one in group})), group[0][3], facts)
            group = []
        end_s = max(end_s, stay[1]) if group else stay[1]
        group.append(stay)
    if group:
        yield Hit(group[0][0], end_s, tuple(sorted({one[2] for one in group})), group[0][3], facts)


def _dwells(seen: Observed, rule: Rule, spans: Sequence[Interval] | None) -> Iterator[Hit]:
    wanted_s = rule.when.for_s or 0.0
    for start_s, end_s, track, row in _cut_stays(seen, rule, spans):
        if end_s - start_s >= wanted_s - TOLERANCE_S:
            yield Hit(start_s, end_s, (track,), row, {"zone": rule.when.zone, "stayed_s": round(end_s - start_s, 2), "wanted_s": wanted_s})


def _count(seen: Observed, rule: Rule, spans: Sequence[Interval] | None) -> Iterator[Hit]:
    """Spans in which at least so many were there at once, held for as long as the rule wants."""
    first, last, track = seen.stays(rule)
    at_s, count, wanted = seen.samples.time_s, together(seen, first, last), rule.when.at_least or 1
    enough = count >= wanted
    if spans is not None:
        enough &= np.array([within(float(t), spans) for t in at_s], bool)
    runs = held(enough, at_s, np.zeros(len(at_s), np.int64), np.arange(len(at_s)) == 0)
    for begin, end, _track in zip(*runs.stays(), strict=True):
        start_s, end_s = float(at_s[begin]), float(at_s[end])
        if end_s - start_s < (rule.when.for_s or 0.0) - TOLERANCE_S:
            continue
        there = (seen.time_s[first] <= end_s) & (seen.time_s[last] >= start_s)
        at_start = np.flatnonzero(there & (seen.time_s[first] <= start_s))
        row = int(first[at_start[0]]) + int(np.searchsorted(seen.time_s[first[at_start[0]] : last[at_start[0]] + 1], start_s))
        facts: dict[str, object] = {"count": int(count[begin : end + 1].max()), "wanted": wanted, "held_s": round(end_s - start_s, 2)}
        if rule.when.zone:
            facts["zone"] = rule.when.zone
        yield Hit(start_s, end_s, tuple(sorted({int(t) for t in track[there]})), row, facts)


def _episode(seen: Observed, rule: Rule, hit: Hit) -> Episode:
    who = [{"id": int(seen.ids[t]), "class": seen.names[int(seen.class_id[t])], "score": round(float(seen.score[t]), 3)} for t in hit.tracks[:MAX_WHY_TRACKS]]
    why: dict[str, object] = {"rule": rule.name, "at_s": round(hit.start_s, 3), "tracks": who, "min_score": rule.min_score, **hit.facts}
    score = float(max(seen.score[list(hit.tracks)]))
    ids = tuple(sorted(int(seen.ids[t]) for t in hit.tracks))
    return Episode(rule.name, rule.kind, hit.start_s, hit.end_s, ids, seen.place(hit.row), round(score, 3), why)
