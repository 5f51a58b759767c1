"""What the digest of a day says: each camera with its footage, its gaps, what was followed and what was raised."""

from datetime import date, datetime

from video_platform.records import Stored


class Gap(Stored):
    """A span of a day in which a camera gave no footage, between two videos of it."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end - self.start).total_seconds()


class CameraDay(Stored):
    """One camera on one day: `footage_s` seconds from `first` to `last`, what was followed by class, active alerts by rule.

    `objects_by_hour` and `alerts_by_hour` have 24 entries, by the hour of the wall clock in which they began.
    """

    camera: str
    videos: int
    footage_s: float
    first: datetime
    last: datetime
    objects: dict[str, int]
    alerts: dict[str, int]
    objects_by_hour: list[int]
    alerts_by_hour: list[int]
    gaps: list[Gap]

    @property
    def busiest_hours(self) -> list[int]:
        """The hours in which most began to be followed, at most three, in the order of the day; none where nothing was."""
        most = sorted(range(len(self.objects_by_hour)), key=lambda hour: (-self.objects_by_hour[hour], hour))[:3]
        return sorted(hour for hour in most if self.objects_by_hour[hour])


class Digest(Stored):
    """What happened on one day, camera by camera; `timezone` is that of the clock that the day is of."""

    day: date
    timezone: str
    cameras: list[CameraDay]
