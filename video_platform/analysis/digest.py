"""What happened on one day, camera by camera: footage and its gaps, what was followed, alerts, and when there was most of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import groupby

import numpy as np

from video_platform.analysis.tables import Tracks
from video_platform.records_days import CameraDay, Digest, Gap

GAP_S = 60.0
"""A shorter pause between two videos of a camera is how cameras write files, not a gap."""

HOURS = 24


@dataclass(frozen=True)
class Footage:
    """One video that touches the day; `objects` are (class, instant at which a track began) of all of it."""

    camera: str
    recorded_at: datetime
    duration_s: float
    objects: Sequence[tuple[str, datetime]] = ()

    @property
    def ended_at(self) -> datetime:
        """The instant of its last frame."""
        return self.recorded_at + timedelta(seconds=self.duration_s)


@dataclass(frozen=True)
class Raised:
    """One active alert of the day."""

    camera: str
    rule: str
    at: datetime


@dataclass
class _Counted:
    by_name: Counter[str] = field(default_factory=Counter)
    by_hour: list[int] = field(default_factory=lambda: [0] * HOURS)


def bounds(day: date, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """The first instant of a day and that of the next, by the clock of `zone`; None is this machine's. A day of changed clocks has 23 or 25 hours."""
    midnights = [datetime.combine(each, time()) for each in (day, day + timedelta(days=1))]
    first, after = (each.astimezone() if zone is None else each.replace(tzinfo=zone) for each in midnights)
    return first, after


def beginnings(tracks: Tracks, names: Sequence[str], recorded_at: datetime) -> list[tuple[str, datetime]]:
    """Class and instant of the first box of each track."""
    order = np.lexsort((tracks.time_s, tracks.track_id))
    _, first = np.unique(tracks.track_id[order], return_index=True)
    return [(names[int(tracks.class_id[at])], recorded_at + timedelta(seconds=float(tracks.time_s[at]))) for at in order[first]]


def compose(day: date, zone: tzinfo | None, zone_name: str, footage: Iterable[Footage], alerts: Iterable[Raised]) -> Digest:
    """The digest of a day. Of a video that touches the day only what lies in it counts; what is raised on a camera without footage is left out."""
    first, after = bounds(day, zone)
    touching = [one for one in footage if one.ended_at > first and one.recorded_at < after]
    touching.sort(key=lambda one: (one.camera, one.recorded_at, one.duration_s))
    raised = [one for one in alerts if first <= one.at < after]
    cameras = []
    for camera, group in groupby(touching, key=lambda one: one.camera):
        cameras.append(_camera(camera, list(group), [one for one in raised if one.camera == camera], first, after, zone))
    return Digest(day=day, timezone=zone_name, cameras=cameras)


def _camera(camera: str, videos: Sequence[Footage], raised: Sequence[Raised], first: datetime, after: datetime, zone: tzinfo | None) -> CameraDay:
    spans = [(max(one.recorded_at, first), min(one.ended_at, after)) for one in videos]
    objects = _counted(((name, at) for one in videos for name, at in one.objects if first <= at < after), zone)
    alerts = _counted(((one.rule, one.at) for one in raised), zone)
    return CameraDay(
        camera=camera,
        videos=len(videos),
        footage_s=round(_covered_s(spans), 3),
        first=spans[0][0],
        last=max(end for _, end in spans),
        objects=dict(sorted(objects.by_name.items())),
        alerts=dict(sorted(alerts.by_name.items())),
        objects_by_hour=objects.by_hour,
        alerts_by_hour=alerts.by_hour,
        gaps=_gaps(spans),
    )


def _counted(found: Iterable[tuple[str, datetime]], zone: tzinfo | None) -> _Counted:
    counted = _Counted()
    for name, at in found:
        counted.by_name[name] += 1
        counted.by_hour[at.astimezone(zone).hour] += 1
    return counted


def _covered_s(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """Seconds of the day with footage; what two videos of one camera share counts once."""
    covered, reached = 0.0, spans[0][0]
    for start, end in spans:
        covered += max(0.0, (end - max(start, reached)).total_seconds())
        reached = max(reached, end)
    return covered


def _gaps(spans: Sequence[tuple[datetime, datetime]]) -> list[Gap]:
    gaps, reached = [], spans[0][1]
    for start, end in spans[1:]:
        if (start - reached).total_seconds() > GAP_S:
            gaps.append(Gap(start=reached, end=start))
        reached = max(reached, end)
    return gaps
