"""Footage of a camera that did not come: the time before a video, and holes in it. What has not come yet shows when the next video does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from video_platform.analysis.hits import Hit
from video_platform.analysis.schedules import clipped, open_intervals
from video_platform.analysis.states import TOLERANCE_S
from video_platform.analysis.tables import Samples
from video_platform.records import EarlierFootage, NearMiss
from video_platform.rules import Rule, Schedule

LEAST_HOLE_S = 2.0
"""Samples further apart than this are a hole in the footage; ten at five a second."""


@dataclass(frozen=True)
class Hole:
    """A span without footage: `start_s` and `end_s` in seconds of the video that comes after it; negative before its first frame."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """Seconds."""
        return self.end_s - self.start_s


def why_unknown(recorded_at: datetime | None, earlier: EarlierFootage | None) -> str | None:
    """Why nobody can say how long there was no footage before a video; None when it can be said."""
    if recorded_at is None:
        return "it asks when footage came, and the recording time of this video is unknown; set it with `vp set VIDEO --recorded-at TIME`"
    if earlier is not None and earlier.ended_at is None:
        return f"the length of video {earlier.video_id}, recorded before this one, is not known yet; `vp retry VIDEO` evaluates this one again"
    return None


def silences(rule: Rule, samples: Samples, recorded_at: datetime, earlier: EarlierFootage | None) -> list[Hit]:
    """Holes that last as long as the rule wants, each where the footage goes on."""
    wanted_s = rule.when.for_s or 0.0
    found = []
    for hole in holes(rule.schedule, samples, recorded_at, earlier):
        if hole.length_s >= wanted_s - TOLERANCE_S:
            since = recorded_at + timedelta(seconds=hole.start_s)
            at_s = max(0.0, hole.end_s)
            facts: dict[str, object] = {"camera": rule.when.camera, "silent_s": round(hole.length_s, 2), "wanted_s": wanted_s, "since": since.isoformat()}
            found.append(Hit(at_s, at_s, (), None, facts))
    return found


def holes(schedule: Schedule | None, samples: Samples, recorded_at: datetime, earlier: EarlierFootage | None) -> list[Hole]:
    """The time since the camera's earlier footage, and between samples; only what lies in the schedule counts, in its longest part."""
    found = [Hole((earlier.ended_at - recorded_at).total_seconds(), 0.0)] if earlier and earlier.ended_at and earlier.ended_at < recorded_at else []
    found += [Hole(float(samples.time_s[at]), float(samples.time_s[at + 1])) for at in np.flatnonzero(np.diff(samples.time_s) >= LEAST_HOLE_S)]
    if schedule is None:
        return found
    return [cut for hole in found if (cut := _in_schedule(schedule, hole, recorded_at)) is not None]


def _in_schedule(schedule: Schedule, hole: Hole, recorded_at: datetime) -> Hole | None:
    begin = recorded_at + timedelta(seconds=hole.start_s)
    parts: Sequence[tuple[float, float]] = clipped(0.0, hole.length_s, open_intervals(schedule, begin, hole.length_s))
    longest = max(parts, key=lambda part: part[1] - part[0], default=None)
    return None if longest is None else Hole(hole.start_s + longest[0], hole.start_s + longest[1])


def near_miss(rule: Rule, samples: Samples, recorded_at: datetime, earlier: EarlierFootage | None) -> NearMiss:
    """How long there was no footage at most."""
    found = holes(rule.schedule, samples, recorded_at, earlier)
    if not found:
        text = f"this is the first footage of {rule.when.camera} with a recording time" if earlier is None else "footage came without a hole in the rule's time"
        return NearMiss(rule.name, text, None)
    longest = max(found, key=lambda hole: hole.length_s)
    text = f"no footage for {_floor(longest.length_s)} s at most; the rule wants {rule.when.for_s:g} s"
    return NearMiss(rule.name, text, round(max(0.0, longest.end_s), 3))


def _floor(seconds: float) -> str:
    return f"{np.floor(seconds * 10 + 1e-6) / 10:.1f}"
