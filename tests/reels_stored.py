"""Reels of videos and days, as the assets leave them, around a film of any bytes."""

import hashlib
import json
from collections.abc import Sequence
from datetime import date

from seeded import store_file, store_manifest

from video_platform import digests, layout
from video_platform.platform import Platform
from video_platform.records import FileEntry, ReelPiece, VideoRecord


def pieces(record: VideoRecord, *spans: tuple[float, float, str]) -> list[ReelPiece]:
    """Pieces `(start_s, length_s, title)` of one video, one after the other."""
    found, at_s = [], 0.0
    for start_s, length_s, title in spans:
        found.append(ReelPiece(video_id=record.video_id, camera=record.camera, start_s=start_s, at_s=at_s, end_s=at_s + length_s, title=title))
        at_s += length_s
    return found


def of_video(platform: Platform, record: VideoRecord, film: bytes, shown: Sequence[ReelPiece], lapse: bytes | None = None) -> None:
    """The asset `highlights` with a reel alone, and a time-lapse if given."""
    told = json.dumps([piece.model_dump(mode="json") for piece in shown]).encode()
    files = [
        store_file(platform, record.video_id, layout.HIGHLIGHTS, "reel", film, "mp4", "video/mp4"),
        store_file(platform, record.video_id, layout.HIGHLIGHTS, "pieces", told, "json", "application/json"),
    ]
    if lapse is not None:
        files.append(store_file(platform, record.video_id, layout.HIGHLIGHTS, "timelapse", lapse, "mp4", "video/mp4"))
    facts = {"reel": True, "reel_s": shown[-1].end_s, "reel_of": "alerts", "speed": 4.0}
    store_manifest(platform, record.video_id, layout.HIGHLIGHTS, files, facts=facts)


def of_day(platform: Platform, day: date, film: bytes, shown: Sequence[ReelPiece]) -> None:
    """A reel for the digest of a day, which is there already (see `days.make`)."""
    manifest = digests.manifest(platform.store, day)
    assert manifest is not None
    told = json.dumps([piece.model_dump(mode="json") for piece in shown]).encode()
    files = []
    for role, data, extension, media_type in (("reel", film, "mp4", "video/mp4"), ("pieces", told, "json", "application/json")):
        sha256 = hashlib.sha256(data).hexdigest()
        key = layout.digest_key(day.isoformat(), sha256, extension)
        platform.store.put_bytes(key, data, media_type=media_type)
        files.append(FileEntry(role=role, key=key, size_bytes=len(data), sha256=sha256, media_type=media_type))
    changed = manifest.model_copy(update={"files": [*manifest.files, *files], "facts": {**manifest.facts, "reel": True, "reel_s": shown[-1].end_s}})
    platform.store.put_bytes(layout.digest_manifest_key(day.isoformat()), changed.model_dump_json().encode(), media_type="application/json")
