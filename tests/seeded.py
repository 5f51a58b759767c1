"""A home with videos whose results are written by hand, through the records and the stores, as a pipeline would have left them.

`store_…` write one asset of any content; `ingest`, `process` and `evaluate` make the small video that the tests of API, catalogue and CLI look at.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from video_platform import layout
from video_platform.analysis import passages, speech, tables
from video_platform.analysis.subtitles import vtt
from video_platform.catalog import Catalog
from video_platform.platform import Platform, open_platform
from video_platform.records import (
    AlertRecord,
    Caption,
    Captions,
    Cost,
    Engine,
    Episode,
    Evidence,
    FileEntry,
    Manifest,
    Sentence,
    Severity,
    Summary,
    TrackLine,
    TrackSheet,
    Transcript,
    Verdict,
    VideoRecord,
)
from video_platform.services.database import ledger, rulesets, search, videos
from video_platform.settings import Settings, WebSettings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WIDTH, HEIGHT, SECONDS = 640, 360, 4.0
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
RUN = "run-1"
NAMES = ("person", "bicycle")
RATE = 5
"""Looked-at frames per second of the hand-made results; the source has 30."""


def open_home(folder: Path, groups: Mapping[str, object] | None = None, **web: object) -> tuple[Platform, Catalog]:
    """A fresh embedded home in `folder`; `groups` are further groups of settings."""
    settings = Settings(home=folder / "home", web=WebSettings(**web), **(groups or {}))  # type: ignore[arg-type]
    platform = open_platform(settings)
    return platform, Catalog(settings, platform.db, platform.store)


def apply(platform: Platform, text: str) -> rulesets.RuleVersion:
    """Make these rules the active ones, now."""
    return rulesets.apply(platform.db, text, source="test", who="test", why="test", now=datetime.now(UTC))


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


def store_picture(platform: Platform, video_id: str, asset: str, role: str, data: bytes) -> FileEntry:
    """Put a JPEG where the asset's files lie."""
    return store_file(platform, video_id, asset, role, data, "jpg", "image/jpeg")


def store_json(platform: Platform, video_id: str, asset: str, role: str, text: str) -> FileEntry:
    """Put JSON where the asset's files lie."""
    return store_file(platform, video_id, asset, role, text.encode(), "json", "application/json")


def store_manifest(
    platform: Platform,
    video_id: str,
    asset: str,
    files: Sequence[FileEntry],
    *,
    facts: Mapping[str, object] | None = None,
    configuration: Mapping[str, object] | None = None,
    version: str = "1",
    content_hash: str | None = None,
    inputs: Mapping[str, str] | None = None,
) -> str:
    """Write the manifest of an asset, as the last thing; its content hash. Another `version` is another fingerprint, and another content unless that is
    given.
    """
    digest = hashlib.sha256((version + "".join(entry.sha256 for entry in files)).encode()).hexdigest()
    manifest = Manifest(
        asset=asset,
        video_id=video_id,
        files=list(files),
        fingerprint=digest,
        content_hash=content_hash or digest,
        inputs=dict(inputs or {}),
        code_version=version,
        verdict=Verdict(passed=True, checks={"there": True}),
        cost=Cost(wall_s=1.25, cpu_s=2.0, real_time_factor=9.6),
        facts=dict(facts or {}),
        configuration=dict(configuration or {}),
        run_id=RUN,
        created_at=NOW,
    )
    platform.store.put_bytes(layout.manifest_key(video_id, asset), manifest.model_dump_json().encode(), media_type="application/json")
    return manifest.content_hash


def store_playable(platform: Platform, record: VideoRecord, media: bytes, poster: bytes, duration_s: float) -> None:
    """The assets `raw_video` and `processed_video`."""
    video_id = record.video_id
    raw = FileEntry(role="video", key=record.object_key, size_bytes=record.size_bytes, sha256=record.sha256, media_type=record.media_type)
    store_manifest(platform, video_id, layout.RAW_VIDEO, [raw], facts={"probe": {"audio_codec": None}})
    proxy = store_file(platform, video_id, layout.PROCESSED_VIDEO, "video", media, "mp4", "video/mp4")
    picture = store_picture(platform, video_id, layout.PROCESSED_VIDEO, "poster", poster)
    store_manifest(platform, video_id, layout.PROCESSED_VIDEO, [proxy, picture], facts={"duration_s": duration_s})
    videos.set_media(platform.db, video_id, duration_s, WIDTH, HEIGHT)


def store_scenes(platform: Platform, video_id: str, cuts_s: Sequence[float], picture_at: Callable[[float], bytes]) -> None:
    """The asset `scenes`: one between each two cuts, with its thumbnail."""
    files, rows = [], []
    for index, (start_s, end_s) in enumerate(pairwise(cuts_s)):
        files.append(store_picture(platform, video_id, layout.SCENES, f"thumbnail:{index}", picture_at(start_s)))
        rows.append({"index": index, "start_s": start_s, "end_s": end_s, "thumbnail": files[-1].name})
    store_manifest(platform, video_id, layout.SCENES, [store_json(platform, video_id, layout.SCENES, "scenes", json.dumps(rows)), *files])


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
    store_manifest(platform, video_id, layout.TRACKS, [rows, store_json(platform, video_id, layout.TRACKS, "player", sheet.model_dump_json())])
    path.unlink()


def process(platform: Platform, record: VideoRecord, folder: Path, *, media: bytes = b"proxy" * 1000, title: str = "A person walks") -> list[str]:
    """All results of one video; the ids of its alerts."""
    store_playable(platform, record, media, JPEG, SECONDS)
    store_tracks(platform, record.video_id, folder)
    store_scenes(platform, record.video_id, [0.0, SECONDS], lambda _: JPEG)
    seen = Caption(id="0", at_s=1.9, start_s=0, end_s=3.8, text="A person in a yard.", digest="a" * 64)
    store_captions(platform, record.video_id, Captions(state="described", captions=[seen]))
    sentence = Sentence(text="A person walks.", state="supported", evidence=[Evidence(kind="track", id="1", start_s=0, end_s=3.8)])
    engine = Engine(name="template", reason="no model")
    describe(platform, record, Summary(title=title, overview="A person walks.", concern=0, engine=engine, sentences=[sentence]))
    return evaluate(platform, record)


def store_captions(platform: Platform, video_id: str, found: Captions) -> None:
    """The asset `captions`."""
    entry = store_json(platform, video_id, layout.CAPTIONS, "captions", found.model_dump_json())
    store_manifest(platform, video_id, layout.CAPTIONS, [entry], facts={"state": found.state, "reason": found.reason})


def describe(platform: Platform, record: VideoRecord, summary: Summary) -> None:
    """The assets `transcript` (of footage without sound), `llm_summary` and `search_index`."""
    heard = transcribe(platform, record, Transcript(state="no_audio", reason=speech.NO_SOUND))
    entry = store_json(platform, record.video_id, layout.LLM_SUMMARY, "summary", summary.model_dump_json())
    store_manifest(platform, record.video_id, layout.LLM_SUMMARY, [entry], facts={"title": summary.title}, configuration={"engine": summary.engine.name})
    videos.described(platform.db, record.video_id, summary.title)
    found = passages.collect([passages.of_summary(summary, SECONDS)], [])
    rows = json.dumps({"model": None, "passages": [each.model_dump() for each in found.passages]})
    entry = store_json(platform, record.video_id, layout.SEARCH_INDEX, "passages", rows)
    store_manifest(platform, record.video_id, layout.SEARCH_INDEX, [entry], facts={"passages": len(found.passages)}, inputs={layout.TRANSCRIPT: heard})
    search.index(platform.db, record.video_id, entry.sha256, found.passages, model=None, vectors=None)


def transcribe(platform: Platform, record: VideoRecord, transcript: Transcript) -> str:
    """The asset `transcript`, with subtitles where somebody speaks; its content hash."""
    files = [store_json(platform, record.video_id, layout.TRANSCRIPT, "transcript", transcript.model_dump_json())]
    found = json.dumps([each.model_dump() for each in speech.passages(transcript, SECONDS)])
    files.append(store_json(platform, record.video_id, layout.TRANSCRIPT, "passages", found))
    if transcript.segments:
        data = vtt(transcript.segments).encode()
        files.append(store_file(platform, record.video_id, layout.TRANSCRIPT, "subtitles", data, "vtt", "text/vtt"))
    return store_manifest(platform, record.video_id, layout.TRANSCRIPT, files, facts={"state": transcript.state, "reason": transcript.reason})


def evaluate(platform: Platform, record: VideoRecord, episodes: Sequence[Episode] | None = None, *, fingerprint: str = "f" * 64) -> list[str]:
    """The asset `alerts`: by default one episode, one near miss, one rule that cannot be evaluated; the ids of the active alerts."""
    found = [Episode("person", "appears", 0.5, 3.0, (1,), (0.15, 0.6), 0.9, {"class": "person"})] if episodes is None else episodes
    body = {
        "episodes": [],
        "near_misses": [{"rule": "crowd", "text": "1 person in plaza, rule wants 4", "at_s": 1.0}],
        "cannot_evaluate": [{"rule": "fire-call", "reason": "there is no transcript"}],
    }
    severities = {"person": Severity.CRITICAL, "crowd": Severity.INFO}
    alerts = store_alerts(platform, record, found, severities, body, lambda alert: JPEG + alert.id.encode(), fingerprint=fingerprint)
    return [alert.id for alert in alerts]


def store_alerts(
    platform: Platform,
    record: VideoRecord,
    found: Sequence[Episode],
    severities: Mapping[str, Severity],
    body: Mapping[str, object],
    picture_of: Callable[[AlertRecord], bytes],
    *,
    fingerprint: str,
    now: datetime = NOW,
    tracks_hash: str = "t" * 64,
) -> list[AlertRecord]:
    """The asset `alerts`, through the ledger, `body` as its file; the active alerts."""
    video_id = record.video_id
    change = ledger.reconcile(
        platform.db,
        ledger.EvaluationInput(
            video_id=video_id,
            asset=layout.ALERTS,
            fingerprint=fingerprint,
            content_hash=fingerprint,
            tracks_hash=tracks_hash,
            rules_version="1",
            episodes=list(found),
            rule_facts={rule: (severities.get(rule, Severity.INFO), []) for rule in {*severities, *(each.rule for each in found)}},
            lane=record.lane,
            run_id=RUN,
            now=now,
            processed_key=fingerprint,
        ),
    )
    files = [store_json(platform, video_id, layout.ALERTS, "alerts", json.dumps(body))]
    for alert in change.alerts:
        files.append(store_picture(platform, video_id, layout.ALERTS, f"snapshot:{alert.id}", picture_of(alert)))
        ledger.set_media(platform.db, alert.id, snapshot=files[-1].key)
    store_manifest(platform, video_id, layout.ALERTS, files, version=fingerprint[0])
    return change.alerts
