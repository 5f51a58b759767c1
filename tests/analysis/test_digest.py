"""The digest of a day: what lies in it counts, by the clock of its zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from video_platform.analysis.digest import Footage, Raised, beginnings, bounds, compose
from video_platform.analysis.tables import Tracks

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 23)
MIDNIGHT = datetime(2026, 11, 22, 23, tzinfo=UTC)


def at(hours, **more):
    return MIDNIGHT + timedelta(hours=hours, **more)


def test_a_day_of_changed_clocks_has_23_or_25_hours():
    hours = {day: (end - start).total_seconds() / 3600 for day in (date(2026, 3, 29), date(2026, 10, 25), DAY) for start, end in [bounds(day, BERLIN)]}
    starts = {day: bounds(day, BERLIN)[0].astimezone(UTC) for day in hours}
    ends = {day: bounds(day, BERLIN)[1].astimezone(UTC) for day in hours}
    assert [(ends[day] - starts[day]).total_seconds() / 3600 for day in hours] == [23, 25, 24]


def test_counts_hours_gaps_and_alerts_of_each_camera():
    footage = [
        Footage("gate", at(8), 600, [("person", at(8, minutes=1)), ("car", at(8, minutes=2))]),
        Footage("gate", at(8, minutes=10, seconds=30), 600, [("person", at(8, minutes=12))]),
        Footage("gate", at(12), 60),
        Footage("yard", at(9), 60),
    ]
    alerts = [Raised("gate", "enters", at(8, minutes=1)), Raised("gate", "enters", at(12)), Raised("elsewhere", "enters", at(12))]
    gate, yard = compose(DAY, BERLIN, "Europe/Berlin", footage, alerts).cameras
    assert (gate.camera, gate.videos, gate.footage_s) == ("gate", 3, 1260)
    assert gate.objects == {"car": 1, "person": 2}
    assert gate.alerts == {"enters": 2}
    assert {hour: count for hour, count in enumerate(gate.objects_by_hour) if count} == {8: 3}
    assert {hour: count for hour, count in enumerate(gate.alerts_by_hour) if count} == {8: 1, 12: 1}
    assert gate.busiest_hours == [8]
    assert [(gap.start, gap.end) for gap in gate.gaps] == [(at(8, minutes=20, seconds=30), at(12))]
    assert (yard.gaps, yard.busiest_hours) == ([], [])


def test_of_a_video_over_midnight_each_day_has_its_part():
    footage = [Footage("gate", at(-1), 7200, [("person", at(-0.5)), ("person", at(0.5))])]
    before = compose(DAY - timedelta(days=1), BERLIN, "z", footage, []).cameras[0]
    after = compose(DAY, BERLIN, "z", footage, []).cameras[0]
    assert [(each.footage_s, each.objects) for each in (before, after)] == [(3600, {"person": 1})] * 2
    assert compose(DAY + timedelta(days=1), BERLIN, "z", footage, []).cameras == []


def test_footage_that_overlaps_counts_once():
    footage = [Footage("gate", at(8), 3600), Footage("gate", at(8.5), 600), Footage("gate", at(9), 600)]
    camera = compose(DAY, BERLIN, "z", footage, []).cameras[0]
    assert (camera.footage_s, camera.gaps) == (4200, [])


def test_a_track_begins_with_its_first_box_in_whatever_order_they_lie():
    box = np.zeros((4, 4), np.float32)
    tracks = Tracks(
        time_s=np.array([3.0, 1.0, 2.0, 0.5]),
        class_id=np.array([0, 0, 1, 1], np.int16),
        score=np.ones(4, np.float32),
        boxes=box,
        track_id=np.array([7, 7, 9, 9], np.int32),
    )
    assert beginnings(tracks, ("person", "car"), at(8)) == [("person", at(8, seconds=1)), ("car", at(8, seconds=0.5))]
