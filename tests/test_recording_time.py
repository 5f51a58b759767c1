from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform.recording_time import from_container, from_name

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "20261123_083000.mp4",
        "20261123-083000.mp4",
        "20261123083000.mkv",
        "gate-1_20261123_083000.mp4",
        "gate-1 2026-11-23 08-30-00.mp4",
        "2026-11-23T08-30-00.mp4",
        "2026-11-23T08:30:00.mp4",
        "2026-11-23_08.30.00.avi",
        "2026_11_23__08_30_00.avi",
        "2026-11-23 08h30m00s.mov",
        "20261123T073000Z.mp4",
        "20261123_083000_20261123_084000.mp4",
        "ch01_20261123083000.mp4",
    ],
)
def test_names_that_tell_when(name):
    assert from_name(name, BERLIN, NOW) == MORNING


def test_fractions_count():
    assert from_name("20261123_083000.250.mp4", BERLIN, NOW) == MORNING.replace(microsecond=250_000)


@pytest.mark.parametrize(
    "name",
    [
        "crossing.mp4",
        "IMG_1234.mov",
        "20261123.mp4",
        "20261323_083000.mp4",
        "20261123_253000.mp4",
        "19700101_000000.mp4",
        "20290101_000000.mp4",
        "120261123083000.mp4",
        "202611230830001.mp4",
    ],
)
def test_names_that_do_not(name):
    assert from_name(name, BERLIN, NOW) is None


@pytest.mark.parametrize(("zone", "hour"), [("Europe/Berlin", 7), ("America/New_York", 13), ("Asia/Kolkata", 3), ("UTC", 8)])
def test_a_name_is_a_clock_in_the_zone_of_its_camera(zone, hour):
    told = from_name("20261123_083000.mp4", ZoneInfo(zone), NOW)
    assert told
    assert told.hour == hour


def test_summer_and_winter_are_those_of_the_date():
    assert from_name("20260701_083000.mp4", BERLIN, NOW) == datetime(2026, 7, 1, 6, 30, tzinfo=UTC)
    assert from_name("20261025_023000.mp4", BERLIN, NOW) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first of the two


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-23T07:30:00.000000Z", MORNING),
        ("2026-11-23T08:30:00+0100", MORNING),
        ("2026-11-23 07:30:00", MORNING),
        ("1904-01-01T00:00:00.000000Z", None),
        ("1970-01-01T00:00:00.000000Z", None),
        ("1970-01-01T00:00:12Z", None),
        ("1980-01-06T00:00:00Z", None),
        ("2040-02-06T06:28:15Z", None),
        ("2026-11-26T11:00:00Z", datetime(2026, 11, 26, 11, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_what_a_container_says(text, told):
    assert from_container(text, NOW) == told


@given(st.text(max_size=60))
def test_any_text_is_a_time_or_none(text):
    for told in (from_name(text, None, NOW), from_container(text, NOW)):
        assert told is None or told.tzinfo is UTC


@given(st.datetimes(datetime(1996, 1, 1), datetime(2026, 1, 1)), st.sampled_from(["%Y%m%d_%H%M%S", "%Y-%m-%dT%H-%M-%S", "%Y-%m-%d %H.%M.%S", "%Y%m%d%H%M%S"]))
def test_what_is_written_into_a_name_is_read_from_it(moment, pattern):
    assert from_name(f"cam_{moment:{pattern}}.mp4", UTC, NOW) == moment.replace(microsecond=0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_container_whose_time_is_no_time_in_utc_says_nothing(text):
    assert from_container(text, NOW) is None
