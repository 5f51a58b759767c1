"""When a rule with a schedule holds, in seconds of a video's own time. Daylight saving is that of the named time zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.timeline import Timeline
from video_platform.rules import Schedule

Interval = tuple[float, float]


def open_intervals(schedule: Schedule, recorded_at: datetime, duration_s: float) -> list[Interval]:
    """Sorted, disjoint spans of 0 to `duration_s` in which the schedule holds; `recorded_at` is the instant of second 0."""
    zone = ZoneInfo(schedule.timezone)
    last = (recorded_at + timedelta(seconds=duration_s)).astimezone(zone).date()
    day = recorded_at.astimezone(zone).date() - timedelta(days=1)
    found: list[Interval] = []
    while day <= last:
        if day.weekday() in schedule.days:
            start, end = _instant(day, schedule.from_minute, zone), _instant(day, schedule.to_minute, zone)
            if schedule.to_minute <= schedule.from_minute:
                end = _instant(day + timedelta(days=1), schedule.to_minute, zone)
            begin_s = max(0.0, (start - recorded_at).total_seconds())
            end_s = min(duration_s, (end - recorded_at).total_seconds())
            if found and begin_s <= found[-1][1] < end_s:
                found[-1] = found[-1][0], end_s
            elif begin_s < end_s or (begin_s == end_s == 0.0 and start <= recorded_at < end):
                found.append((begin_s, end_s))
        day += timedelta(days=1)
    return found


@dataclass(frozen=True)
class OpenTimes:
    """When a rule's schedule holds in each video of a timeline, as sorted, disjoint spans of its own seconds."""

    timeline: Timeline
    spans: Sequence[Sequence[Interval]]

    @cached_property
    def samples(self) -> NDArray[np.bool_]:
        """At which samples it holds."""
        found = [all_within(self.timeline.of(video).time_s, spans) for video, spans in enumerate(self.spans)]
        return np.concatenate(found) if found else np.zeros(0, bool)

    def within(self, video: int, at_s: float) -> bool:
        """Whether it holds at a moment of a video."""
        return within(at_s, self.spans[video])

    def clipped(self, video: int, start_s: float, end_s: float) -> list[Interval]:
        """The parts of a span of a video in which it holds."""
        return clipped(start_s, end_s, self.spans[video])


def within(at_s: float, intervals: Sequence[Interval]) -> bool:
    """Whether a moment lies in one of the spans; a span holds its start and its end."""
    return any(start <= at_s <= end for start, end in intervals)


def all_within(at_s: NDArray[np.float64], intervals: Sequence[Interval]) -> NDArray[np.bool_]:
    """`within` for a sorted column of moments."""
    found = np.zeros(len(at_s), bool)
    for start, end in intervals:
        found[np.searchsorted(at_s, start) : np.searchsorted(at_s, end, side="right")] = True
    return found


def clipped(start_s: float, end_s: float, intervals: Sequence[Interval]) -> list[Interval]:
    """The parts of a span that lie in the spans."""
    return [(max(start_s, start), min(end_s, end)) for start, end in intervals if start <= end_s and end >= start_s]


def _instant(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """The instant at which a local clock shows this minute of this day; minute 1440 is midnight at its end."""
    midnight = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    return midnight.replace(tzinfo=zone).astimezone(UTC)
