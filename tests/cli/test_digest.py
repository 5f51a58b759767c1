"""`vp digest`: days of a home, before and after their digests are made."""

from datetime import date

import days
import reels_stored
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


def test_a_reel_that_there_is_not_is_a_failure_also_before_the_first_digest(vp, home, tmp_path):
    ran = vp("digest", "--reel", tmp_path / "day.mp4")
    assert (ran.status, (tmp_path / "day.mp4").exists()) == (1, False)
    assert "no day has a digest yet" in ran.err


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


def test_the_reel_of_a_day_is_written_to_a_file(vp, filled, monkeypatch, tmp_path):
    make(monkeypatch)
    target = tmp_path / "day.mp4"
    missing = vp("digest", DAY.isoformat(), "--reel", target)
    assert (missing.status, target.exists()) == (1, False)
    assert "has no reel" in missing.err
    with open_platform(settings.load()) as platform:
        shown = reels_stored.pieces(filled[0], (0.0, 3.0, "enters"), (3.0, 1.0, "leaves"))
        reels_stored.of_day(platform, DAY, b"film" * 100, shown)
    assert "2 chapters" in vp("digest", DAY.isoformat(), "--reel", target).out
    assert target.read_bytes() == b"film" * 100
