"""A home with videos whose results are written by hand, through the records and the stores, as a pipeline would have left them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from video_platform import layout
from video_platform.analysis import tables
from video_platform.catalog import Catalog
from video_platform.platform import Platform, open_platform
from video_platform.records import (
    Engine,
    Episode,
    Evidence,
    FileEntry,
    Lane,
    Manifest,
    Sentence,
    Severity,
    Summary,
    TrackLine,
    TrackSheet,
    Verdict,
    VideoRecord,
)
from video_platform.services.database import ledger, videos
from video_platform.settings import Settings, WebSettings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WIDTH, HEIGHT, SECONDS = 640, 360, 4.0
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
NAMES = ("person", "bicycle")
RATE = 5
"""Looked-at frames per second of the hand-made results; the source has 30."""


def open_home(folder: Path, **web: object) -> tuple[Platform, Catalog]:
    """A fresh embedded home in `folder`."""
    settings = Settings(home=folder / "home", web=WebSettings(**web))  # type: ignore[arg-type]
    platform = open_platform(settings)
    return platform, Catalog(settings, platform.db, platform.store)


def ingest(
    platform: Platform, folder: Path, content: bytes = b"", *, name: str = "crossing.mp4", camera: str = "gate", recorded_at: datetime | None = NOW
) -> VideoRecord:
    """Footage of any bytes, as a video of the platform."""
    path = folder / "footage.mp4"
    path.write_bytes(content or b"\x00\x00\x00\x18ftypisom" + name.encode() * 100)
    try:
        return platform.ingest.ingest_path(path, camera=camera, recorded_at=recorded_at, name=name).record
    finally:
        path.unlink(missing_ok=True)


def store_file(platform: Platform, video_id: str, asset: str, role: str, data: bytes, extension: str, media_type: str) -> FileEntry:
    """Put `data` where the asset's files lie."""
    sha256 = hashlib.sha256(data).hexdigest()
    key = layout.file_key(video_id, asset, sha256, extension)
    platform.store.put_bytes(key, data, media_type=media_type, if_absent=True)
    return FileEntry(role=role, key=key, size_bytes=len(data), sha256=sha256, media_type=media_type)


def store_manifest(
    platform: Platform, video_id: str, asset: str, files: Sequence[FileEntry], *, facts: Mapping[str, object] | None = None, run_id: str = "run-1"
) -> Manifest:
    """Write the manifest of an asset, as the last thing."""
    digest = hashlib.sha256("".join(entry.sha256 for entry in files).encode()).hexdigest()
    manifest = Manifest(
        asset=asset,
        video_id=video_id,
        files=list(files),
        fingerprint=digest,
        content_hash=digest,
        code_version="1",
        verdict=Verdict(passed=True, checks={"there": True}),
        facts=dict(facts or {}),
        run_id=run_id,
        created_at=NOW,
    )
    platform.store.put_bytes(layout.manifest_key(video_id, asset), manifest.model_dump_json().encode(), media_type="application/json")
    return manifest


def samples() -> tables.Samples:
    """Every sixth frame of 30 a second."""
    index = np.arange(int(SECONDS * RATE), dtype=np.int64)
    return tables.Samples(time_s=index / RATE, frame=index * (30 // RATE))


def tracks() -> tables.Tracks:
    """Two objects over all samples: a person walking right from x = 0.1, a bicycle that stands."""
    looked = samples()
    count = len(looked)
    walk = np.linspace(0.1, 0.5, count, dtype=np.float32)
    person = np.stack([walk, np.full(count, 0.2), walk + 0.1, np.full(count, 0.6)], axis=1).astype(np.float32)
    bicycle = np.tile(np.array([0.7, 0.5, 0.8, 0.75], np.float32), (count, 1))
    order = np.argsort(np.tile(np.arange(count), 2), kind="stable")
    return tables.Tracks(
        time_s=np.tile(looked.time_s, 2)[order],
        class_id=np.repeat(np.array([0, 1], np.int16), count)[order],
        score=np.repeat(np.array([0.9, 0.8], np.float32), count)[order],
        boxes=np.concatenate([person, bicycle])[order],
        track_id=np.repeat(np.array([1, 2], np.int32), count)[order],
    )


def store_tracks(platform: Platform, video_id: str, folder: Path, found: tables.Tracks | None = None) -> None:
    """The assets `detections` and `tracks`."""
    path = folder / "table.parquet"
    tables.write_samples(path, samples())
    looked = store_file(platform, video_id, layout.DETECTIONS, "samples", path.read_bytes(), "parquet", "application/vnd.apache.parquet")
    store_manifest(platform, video_id, layout.DETECTIONS, [looked])
    tables.write_tracks(path, tracks() if found is None else found, names=NAMES, digest="0" * 64)
    rows = store_file(platform, video_id, layout.TRACKS, "tracks", path.read_bytes(), "parquet", "application/vnd.apache.parquet")
    line = TrackLine(id=1, class_name="person", score=0.9, start_s=0, end_s=3.8, times_s=[0.0, 0.2], boxes=[(0.1, 0.2, 0.2, 0.6), (0.12, 0.2, 0.22, 0.6)])
    sheet = TrackSheet(sample_rate=RATE, samples=int(SECONDS * RATE), tracks=[line])
    player = store_file(platform, video_id, layout.TRACKS, "player", sheet.model_dump_json().encode(), "json", "application/json")
    store_manifest(platform, video_id, layout.TRACKS, [rows, player])
    path.unlink()


def process(platform: Platform, record: VideoRecord, folder: Path, *, media: bytes = b"proxy" * 1000, title: str = "A person walks") -> list[str]:
    """All results of one video; the ids of its alerts."""
    video_id = record.video_id
    raw = FileEntry(role="video", key=record.object_key, size_bytes=record.size_bytes, sha256=record.sha256, media_type=record.media_type)
    store_manifest(platform, video_id, layout.RAW_VIDEO, [raw])
    proxy = store_file(platform, video_id, layout.PROCESSED_VIDEO, "video", media, "mp4", "video/mp4")
    poster = store_file(platform, video_id, layout.PROCESSED_VIDEO, "poster", JPEG, "jpg", "image/jpeg")
    store_manifest(platform, video_id, layout.PROCESSED_VIDEO, [proxy, poster])
    videos.set_media(platform.db, video_id, SECONDS, WIDTH, HEIGHT)
    store_tracks(platform, video_id, folder)
    thumbnail = store_file(platform, video_id, layout.SCENES, "thumbnail:0", JPEG, "jpg", "image/jpeg")
    rows = [{"index": 0, "start_s": 0.0, "end_s": SECONDS, "thumbnail": thumbnail.name}]
    scenes = store_file(platform, video_id, layout.SCENES, "scenes", json.dumps(rows).encode(), "json", "application/json")
    store_manifest(platform, video_id, layout.SCENES, [scenes, thumbnail])
    sentence = Sentence(text="A person walks.", state="supported", evidence=[Evidence(kind="track", id="1", start_s=0, end_s=3.8)])
    summary = Summary(title=title, overview="A person walks.", concern=0, engine=Engine(name="template", reason="no model"), sentences=[sentence])
    entry = store_file(platform, video_id, layout.LLM_SUMMARY, "summary", summary.model_dump_json().encode(), "json", "application/json")
    store_manifest(platform, video_id, layout.LLM_SUMMARY, [entry], facts={"title": title})
    videos.described(platform.db, video_id, title)
    return evaluate(platform, record)


def evaluate(platform: Platform, record: VideoRecord, episodes: Sequence[Episode] | None = None, *, fingerprint: str = "f" * 64) -> list[str]:
    """The asset `alerts`: by default one episode, one near miss, one rule that cannot be evaluated; the ids of the active alerts."""
    found = [Episode("person", "appears", 0.5, 3.0, (1,), (0.15, 0.6), 0.9, {"class": "person"})] if episodes is None else list(episodes)
    body = {
        "episodes": [],
        "near_misses": [{"rule": "crowd", "text": "1 person in plaza, rule wants 4", "at_s": 1.0}],
        "cannot_evaluate": [{"rule": "fire-call", "reason": "there is no transcript"}],
    }
    change = ledger.reconcile(
        platform.db,
        ledger.EvaluationInput(
            video_id=record.video_id,
            asset=layout.ALERTS,
            fingerprint=fingerprint,
            content_hash=fingerprint,
            tracks_hash="t" * 64,
            rules_version="1",
            episodes=found,
            rule_facts={"person": (Severity.CRITICAL, []), "crowd": (Severity.INFO, [])},
            lane=Lane.LIVE,
            run_id="run-1",
            now=NOW,
            processed_key=fingerprint,
        ),
    )
    files = [store_file(platform, record.video_id, layout.ALERTS, "alerts", json.dumps(body).encode(), "json", "application/json")]
    for alert in change.alerts:
        snapshot = store_file(platform, record.video_id, layout.ALERTS, f"snapshot:{alert.id}", JPEG + alert.id.encode(), "jpg", "image/jpeg")
        ledger.set_media(platform.db, alert.id, snapshot=snapshot.key)
        files.append(snapshot)
    store_manifest(platform, record.video_id, layout.ALERTS, files)
    return [alert.id for alert in change.alerts]
