"""`vp digest`: days of a home, before and after their digests are made."""

import hashlib
from datetime import date

from seeded import NOW

from video_platform import digests, layout, settings
from video_platform.analysis import digest
from video_platform.fingerprints import content_hash
from video_platform.platform import open_platform
from video_platform.records import FileEntry, Manifest, Verdict
from video_platform.services.database import digests as rows

DAY = NOW.date()


def make(monkeypatch):
    """The digest of the day of the seeded video, as the asset leaves it."""
    monkeypatch.setenv("VIDEO_PLATFORM_RECORDING__TIMEZONE", "UTC")
    with open_platform(settings.load()) as platform:
        fingerprint, _ = digests.wanted(platform.db, platform.settings)[DAY]
        rows.want(platform.db, digests.wanted(platform.db, platform.settings), NOW)
        footage = [digest.Footage(one.camera, one.recorded_at, one.duration_s) for one in rows.judged(platform.db)]
        first, after = digest.bounds(DAY, digests.zone_of(platform.settings)[0])
        found = digest.compose(DAY, None, "UTC", footage, [digest.Raised(*each) for each in rows.raised(platform.db, first, after)])
        data = found.model_dump_json().encode()
        sha256 = hashlib.sha256(data).hexdigest()
        key = layout.digest_key(DAY.isoformat(), sha256)
        platform.store.put_bytes(key, data, media_type="application/json")
        manifest = Manifest(
            asset="daily_digest",
            video_id=DAY.isoformat(),
            files=[FileEntry(role="digest", key=key, size_bytes=len(data), sha256=sha256, media_type="application/json")],
            fingerprint=fingerprint,
            content_hash=content_hash(found),
            code_version="1",
            verdict=Verdict(passed=True),
            created_at=NOW,
        )
        platform.store.put_bytes(layout.digest_manifest_key(DAY.isoformat()), manifest.model_dump_json().encode(), media_type="application/json")
        rows.made(platform.db, DAY, fingerprint, NOW)


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
