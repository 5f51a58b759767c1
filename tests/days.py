"""Digests of days, as the asset leaves them."""

import hashlib
from datetime import date, datetime

from video_platform import digests, layout
from video_platform.analysis import digest
from video_platform.fingerprints import content_hash
from video_platform.platform import Platform
from video_platform.records import FileEntry, Manifest, Verdict
from video_platform.services.database import digests as rows


def make(platform: Platform, day: date, now: datetime) -> None:
    """The digest of a day of this home, of the footage and alerts that it has."""
    zone, zone_name = digests.zone_of(platform.settings)
    known = digests.wanted(platform.db, platform.settings)
    fingerprint, _ = known[day]
    rows.want(platform.db, known, now)
    footage = [digest.Footage(one.camera, one.recorded_at, one.duration_s) for one in rows.judged(platform.db)]
    first, after = digest.bounds(day, zone)
    found = digest.compose(day, zone, zone_name, footage, [digest.Raised(*each) for each in rows.raised(platform.db, first, after)])
    data = found.model_dump_json().encode()
    sha256 = hashlib.sha256(data).hexdigest()
    key = layout.digest_key(day.isoformat(), sha256)
    platform.store.put_bytes(key, data, media_type="application/json")
    manifest = Manifest(
        asset="daily_digest",
        video_id=day.isoformat(),
        files=[FileEntry(role="digest", key=key, size_bytes=len(data), sha256=sha256, media_type="application/json")],
        fingerprint=fingerprint,
        content_hash=content_hash(found),
        code_version="1",
        verdict=Verdict(passed=True),
        created_at=now,
    )
    platform.store.put_bytes(layout.digest_manifest_key(day.isoformat()), manifest.model_dump_json().encode(), media_type="application/json")
    rows.made(platform.db, day, fingerprint, now)
