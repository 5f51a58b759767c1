from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform.analysis.schedules import all_within, clipped, open_intervals, within
from video_platform.rules import Schedule

BERLIN = "Europe/Berlin"
ALL_DAYS = tuple(range(7))
HOUR = 3600.0


def local(*args: int) -> datetime:
    return datetime(*args, tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)  # type: ignore[misc]


def hours(schedule, recorded_at, duration_h):
    return [(start / HOUR, end / HOUR) for start, end in open_intervals(schedule, recorded_at, duration_h * HOUR)]


def test_a_span_of_the_day():
    assert hours(Schedule(ALL_DAYS, 480, 1080, BERLIN), local(2026, 7, 1, 6), 24) == [(2, 12)]


def test_a_span_past_midnight_belongs_to_the_day_on_which_it_began():
    friday_night = Schedule((4,), 22 * 60, 6 * 60, BERLIN)
    assert hours(friday_night, local(2026, 7, 4, 0), 12) == [(0, 6)]  # Saturday
    assert hours(friday_night, local(2026, 7, 3, 0), 12) == []  # Friday before dawn belongs to Thursday


def test_whole_days_that_follow_each_other_are_one_span():
    assert hours(Schedule((0, 1, 2, 3, 4), 0, 1440, BERLIN), local(2026, 7, 3, 12), 48) == [(0, 12)]
    assert hours(Schedule(ALL_DAYS, 0, 1440, BERLIN), local(2026, 7, 3, 12), 48) == [(0, 48)]


@pytest.mark.parametrize(("day", "length_h"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 7, 1), 24)])
def test_days_on_which_clocks_are_set_are_shorter_or_longer(day, length_h):
    ((start, end),) = hours(Schedule((datetime(*day).weekday(),), 0, 1440, BERLIN), local(*day, 0) - timedelta(hours=2), 60)
    assert (start, end - start) == (2, length_h)


def utc(*args: int) -> datetime:
    return datetime(*args, tzinfo=UTC)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("zone", "span", "recorded_at", "expected_min"),
    [
        # Europe: 02:00 -> 03:00 at 01:00 UTC in March, 03:00 -> 02:00 at 01:00 UTC in October
        (BERLIN, ("01:00", "02:00"), utc(2026, 3, 29), [(0, 60)]),
        (BERLIN, ("01:30", "03:30"), utc(2026, 3, 29), [(30, 90)]),  # two hours of the clock are one
        (BERLIN, ("02:00", "03:00"), utc(2026, 3, 29), []),  # an hour that does not come
        (BERLIN, ("02:30", "04:00"), utc(2026, 3, 29), [(90, 120)]),  # from 03:30: as if clocks had not been set yet
        (BERLIN, ("02:30", "03:15"), utc(2026, 3, 29), []),
        (BERLIN, ("01:30", "03:30"), utc(2026, 10, 24, 22), [(90, 270)]),  # two hours of the clock are three
        (BERLIN, ("02:00", "03:00"), utc(2026, 10, 24, 22), [(120, 240)]),  # from the first 02:00 to the only 03:00
        (BERLIN, ("02:15", "02:45"), utc(2026, 10, 24, 22), [(135, 165)]),  # the first of the two
        (BERLIN, ("22:00", "06:00"), utc(2026, 10, 24, 19), [(60, 600)]),  # a night of nine hours
        (BERLIN, ("22:00", "06:00"), utc(2026, 3, 28, 20), [(60, 480)]),  # and one of seven
        # New York: 02:00 -> 03:00 at 07:00 UTC on 8 March, 02:00 -> 01:00 at 06:00 UTC on 1 November
        ("America/New_York", ("01:30", "03:30"), utc(2026, 3, 8, 6), [(30, 90)]),
        ("America/New_York", ("01:00", "02:00"), utc(2026, 11, 1, 4), [(60, 180)]),
        # Lord Howe sets its clocks by half an hour: 02:00 -> 02:30 on 4 October at 15:30 UTC of the day before
        ("Australia/Lord_Howe", ("01:30", "03:00"), utc(2026, 10, 3, 15), [(0, 60)]),
        # half and quarter hours, and the other side of the date line
        ("Asia/Kolkata", ("08:00", "09:00"), utc(2026, 7, 1, 2), [(30, 90)]),
        ("Asia/Kathmandu", ("08:00", "09:00"), utc(2026, 7, 1, 2), [(15, 75)]),
        ("Pacific/Kiritimati", ("00:00", "01:00"), utc(2026, 6, 30, 9), [(60, 120)]),
        ("UTC", ("23:59", "00:01"), utc(2026, 12, 31, 23), [(59, 61)]),
    ],
)
def test_the_hours_in_which_clocks_are_set_and_far_zones_exactly(zone, span, recorded_at, expected_min):
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in span)
    found = open_intervals(Schedule(ALL_DAYS, start, end, zone), recorded_at, 11 * HOUR)
    assert [(begin / 60, stop / 60) for begin, stop in found] == expected_min


@given(st.lists(st.floats(0, 50), max_size=20), st.lists(st.tuples(st.floats(0, 50), st.floats(0, 20)), max_size=4))
def test_a_column_of_moments_is_inside_as_each_alone_is(moments, given_spans):
    at_s = np.array(sorted(moments))
    spans = [(start, start + length) for start, length in given_spans]
    assert all_within(at_s, spans).tolist() == [within(float(t), spans) for t in at_s]


def test_the_same_local_time_is_another_instant_in_winter():
    morning = Schedule(ALL_DAYS, 480, 540, BERLIN)
    assert hours(morning, datetime(2026, 7, 1, tzinfo=UTC), 12) == [(6, 7)]
    assert hours(morning, datetime(2026, 12, 1, tzinfo=UTC), 12) == [(7, 8)]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)), st.integers(0, 1439), st.integers(1, 1440), st.floats(0, 72), st.floats(0, 72))
def test_a_moment_is_inside_exactly_when_the_local_clock_says_so(recorded, start, end, duration_h, at_h):
    """Away from the hours in which clocks are set."""
    schedule = Schedule(ALL_DAYS, start, end, "Asia/Kolkata")  # no daylight saving
    recorded_at = recorded.replace(tzinfo=UTC)
    at_s = min(at_h, duration_h) * HOUR
    clock = (recorded_at + timedelta(seconds=at_s)).astimezone(ZoneInfo("Asia/Kolkata"))
    minute = clock.hour * 60 + clock.minute + clock.second / 60 + clock.microsecond / 6e7
    if min(abs(minute - edge) for edge in (start, end, end % 1440)) < 0.01 or start == end:
        return
    expected = start <= minute < end if start < end else minute >= start or minute < end
    assert within(at_s, open_intervals(schedule, recorded_at, duration_h * HOUR)) == expected


def test_spans_are_cut_to_the_schedule():
    assert clipped(2.0, 9.0, [(0.0, 3.0), (5.0, 6.0), (8.0, 20.0), (30.0, 40.0)]) == [(2.0, 3.0), (5.0, 6.0), (8.0, 9.0)]
