"""`vp digest`: days of a home, before and after their digests are made."""

from datetime import date

import days
from seeded import NOW

from video_platform import settings
from video_platform.platform import open_platform

DAY = NOW.date()


def make(monkeypatch):
    """The digest of the day of the seeded video, as the asset leaves it."""
    monkeypatch.setenv("VIDEO_PLATFORM_RECORDING__TIMEZONE", "UTC")
    with open_platform(settings.load()) as platform:
        days.make(platform, DAY, NOW)


def test_before_the_first_digest_it_says_who_makes_them(vp, filled):
    assert "`vp up` makes one" in vp("digest").out
    assert vp("digest", "--json").json is None
    assert "nothing was recorded on it" in vp("digest", "2020-01-01").err
    assert vp("digest", "yesterday").status == 2


def test_a_day_is_shown_camera_by_camera(vp, filled, monkeypatch):
    make(monkeypatch)
    ran = vp("digest")
    assert f"{DAY} (UTC): 1 video" in ran.out
    assert "gate" in ran.out
    assert "person 1" in ran.out
    assert ran.err == ""
    told = vp("digest", DAY.isoformat(), "--json").json
    assert (told["current"], told["cameras"][0]["alerts"]) == (True, {"person": 1})
    (listed,) = vp("digest", "--list", "--json").json
    assert (date.fromisoformat(listed["day"]), listed["videos"], listed["current"]) == (DAY, 1, True)
    assert "current" in vp("digest", "--list").out
