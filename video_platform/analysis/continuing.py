"""Spans that the end of a file cuts off: one camera's next file, where it starts soon enough, goes on with them.

A camera writes files of some minutes; who loiters does not know. So a span that lasts to the last sample is handed on as an open state, and a span from the
first sample of the next file takes it up: it has lasted as long as both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from video_platform.analysis.bridging import REACH
from video_platform.analysis.finders import from_the_start, to_the_end
from video_platform.analysis.hits import CONTINUED_FROM, CONTINUES, Hit
from video_platform.analysis.observed import Observed
from video_platform.analysis.states import TOLERANCE_S
from video_platform.records import EarlierFootage, OpenState
from video_platform.rules import CameraRules, Rule

JOIN_S = 2.0
"""The next file starts at most this long after (or, as clocks go, before) the end of the one before."""

LASTING = {"appears": None, "dwells": "stayed_s", "count": "held_s", "absent": "absent_s"}
"""Kinds whose spans go on in the next file, and the fact that says how long they lasted."""


@dataclass(frozen=True)
class Judged:
    """The hits of one rule that lasted long enough, and the states that still held at the last sample."""

    hits: list[Hit]
    open: list[OpenState]


def counted(rules: CameraRules, recorded_at: datetime | None, earlier: EarlierFootage | None) -> EarlierFootage | None:
    """What of the earlier footage decides the alerts of a video under these rules, for its fingerprint and for `evaluate`; None when nothing does."""
    if earlier is None or recorded_at is None or not rules.rules:
        return None
    known = {rule.name: rule_hash(rules, rule) for rule in rules.rules if rule.kind in LASTING}
    still_open = tuple(state for state in earlier.open if known.get(state.rule) == state.rule_hash) if _joins(recorded_at, earlier) else ()
    if not still_open and not any(rule.kind == "silent" for rule in rules.rules):
        return None
    return replace(earlier, open=still_open)


def rule_hash(rules: CameraRules, rule: Rule) -> str:
    """What decides a rule's alerts on its camera: a state that was held under another condition, or in a zone of another shape, goes on with nothing."""
    return rules.hashes[rule.name][:16]


def judge(seen: Observed, rule: Rule, hits: Sequence[Hit], recorded_at: datetime | None, earlier: EarlierFootage | None) -> Judged:
    """Those of a rule's hits in one video, in time order, that lasted long enough with what earlier footage hands on; and what is open at the end."""
    if rule.kind not in LASTING:
        return Judged(list(hits), [])
    waiting = [state for state in earlier.open if state.rule == rule.name] if earlier and recorded_at else []
    judged = Judged([], [])
    for hit in hits:
        origin = _taken(seen, hit, waiting) if from_the_start(seen, hit.video, hit.start_s) else None
        if origin:
            waiting.remove(origin)
        lasted_s = hit.end_s - hit.start_s + (_handed_on_s(origin, hit, recorded_at, earlier) if origin and recorded_at and earlier else 0.0)
        long = lasted_s >= (rule.when.for_s or 0.0) - TOLERANCE_S
        cut = to_the_end(seen, hit.video, hit.end_s)
        if long:
            judged.hits.append(replace(hit, facts=_facts(rule, hit, lasted_s, origin, earlier, cut)) if origin or cut else hit)
        if cut:
            judged.open.append(_open(seen, rule, hit, lasted_s, reported=long))
    return judged


def _joins(recorded_at: datetime, earlier: EarlierFootage) -> bool:
    return earlier.ended_at is not None and abs((recorded_at - earlier.ended_at).total_seconds()) <= JOIN_S


def _taken(seen: Observed, hit: Hit, waiting: Sequence[OpenState]) -> OpenState | None:
    """The open state that a span from the first sample goes on with: for one object the nearest of its class within `REACH`."""
    if not hit.tracks or hit.row is None or not any(state.place for state in waiting):
        return next(iter(waiting), None)
    name, x, y = seen.names[int(seen.class_id[hit.tracks[0]])], float(seen.x[hit.row]), float(seen.y[hit.row])
    same = [(n, state.place) for n, state in enumerate(waiting) if state.place and state.class_name == name]
    distance, nearest = min(((float(np.hypot(at[0] - x, (at[1] - y) / seen.aspect)), n) for n, at in same), default=(np.inf, 0))
    return waiting[nearest] if distance <= REACH else None


def _handed_on_s(origin: OpenState, hit: Hit, recorded_at: datetime, earlier: EarlierFootage) -> float:
    """How long the state had held before this span's start, the time between the files included."""
    between = recorded_at + timedelta(seconds=hit.start_s) - (earlier.recorded_at + timedelta(seconds=origin.until_s))
    return origin.lasted_s + max(0.0, between.total_seconds())


def _facts(rule: Rule, hit: Hit, lasted_s: float, origin: OpenState | None, earlier: EarlierFootage | None, cut: bool) -> dict[str, object]:
    facts, length = dict(hit.facts), LASTING[rule.kind]
    if origin and earlier:
        before_s = round(lasted_s - (hit.end_s - hit.start_s), 2)
        facts[CONTINUED_FROM] = {"video_id": earlier.video_id, "lasted_s": before_s, "reported": origin.reported}
        if length:
            facts[length] = round(lasted_s, 2)
    if cut:
        facts[CONTINUES] = True
    return facts


def _open(seen: Observed, rule: Rule, hit: Hit, lasted_s: float, *, reported: bool) -> OpenState:
    state = OpenState(rule.name, rule_hash(seen.rules, rule), round(hit.end_s, 3), round(lasted_s, 3), reported)
    if rule.kind != "dwells":
        return state
    track = hit.tracks[0]
    rows = slice(int(seen.first[track]), int(seen.last[track]) + 1)
    last = rows.start + int(np.searchsorted(seen.time_s[rows], hit.end_s, side="right")) - 1
    return replace(state, class_name=seen.names[int(seen.class_id[track])], place=seen.place(last))
