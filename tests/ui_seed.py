"""A home with one video in every state that the pages show, over real, playable footage made here; `python tests/ui_seed.py HOME` makes one to look at."""

import functools
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import archives
import av
import cv2
import numpy as np
from seeded import HEIGHT, WIDTH, describe, ingest, store_alerts, store_file, store_json, store_manifest, store_playable, store_scenes

from video_platform import layout
from video_platform.analysis import tables
from video_platform.platform import Platform, open_platform
from video_platform.records import (
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
    VideoRecord,
)
from video_platform.services.database import ledger, refusals, videos
from video_platform.settings import Settings

NOW = datetime.now(UTC)
RATE, SECONDS = 15, 12
SAMPLE_RATE = 5
HOSTILE = '<img src=x onerror="window.pwned=1"> [click](javascript:alert(1)) ![x](data:x) :red[x] www.evil.example $a$ **b** _c_.mp4'
"""A file name that tries everything."""

WALKERS = {1: (0.05, 0.45, 0.06, 0.0, SECONDS), 2: (0.9, 0.55, -0.08, 2.0, 10.0), 4: (0.4, 0.35, 0.02, 5.0, 11.5)}
"""Track id -> x and y of the box's corner at its start, speed in frame widths a second, first and last second."""

SIZE = (0.07, 0.28)
RULES = """\
version: 1
zones:
  plaza: {polygon: [[0.10, 0.35], [0.90, 0.35], [0.90, 0.95], [0.10, 0.95]]}
  gate: {polygon: [[0, 0], [0.2, 0], [0.2, 1], [0, 1]], cameras: ["gate-*"]}
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.9]}
rules:
  - {name: person-enters, when: {enters: plaza, class: person}}
  - {name: crossing, when: {crosses: path, class: person, direction: left_to_right}, severity: info}
  - {name: loitering, when: {dwells: plaza, class: person, for: 10s}, severity: critical}
  - {name: crowd, when: {count: person, in: plaza, at_least: 4, for: 2s}}
"""


@dataclass(frozen=True)
class Home:
    """The videos of a seeded home, by what they are there for."""

    platform: Platform
    ready: VideoRecord
    quiet: VideoRecord
    processing: VideoRecord
    received: VideoRecord
    failed: VideoRecord
    interrupted: VideoRecord
    hostile: VideoRecord


def box_of(track: int, at_s: float) -> tuple[float, float, float, float] | None:
    """Where a walker is, 0-1; None outside its time."""
    x, y, speed, first, last = WALKERS[track]
    if not first <= at_s <= last:
        return None
    left = min(max(x + speed * (at_s - first), 0.0), 1 - SIZE[0])
    return (left, y, left + SIZE[0], y + SIZE[1])


def footage(path: Path, shade: int, walkers: bool = True, seconds: float = SECONDS) -> None:
    """Grey ground of a `shade`, people as upright bars that walk."""
    path.write_bytes(_encoded(shade, walkers, seconds))


@functools.cache
def _encoded(shade: int, walkers: bool, seconds: float) -> bytes:
    """The footage as MP4, made once for all homes of a test session."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "footage.mp4"
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=RATE, options={"crf": "30", "preset": "ultrafast", "g": "15"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for index in range(int(seconds * RATE)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index / RATE, shade, walkers), format="bgr24")))
            container.mux(stream.encode())
        return path.read_bytes()


def picture(at_s: float, shade: int, walkers: bool = True) -> np.ndarray:
    """One frame, (H, W, 3) uint8 BGR."""
    frame = np.full((HEIGHT, WIDTH, 3), shade, np.uint8)
    frame[: HEIGHT // 3] = (shade + 60, shade + 40, shade + 20)
    cv2.line(frame, (0, HEIGHT // 3), (WIDTH, HEIGHT // 3), (shade // 2,) * 3, 2)
    for track in WALKERS if walkers else ():
        if (box := box_of(track, at_s)) is not None:
            left, top, right, bottom = (int(value * side) for value, side in zip(box, (WIDTH, HEIGHT) * 2, strict=True))
            middle = (left + right) // 2
            cv2.rectangle(frame, (left + 6, top + 22), (right - 6, bottom), (60 * track % 200, 90, 200 - 30 * track), -1)
            cv2.circle(frame, (middle, top + 12), 12, (140, 170, 220), -1)
    cv2.putText(frame, f"{at_s:05.2f}", (WIDTH - 90, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
    return frame


def jpeg(frame: np.ndarray, width: int = 320) -> bytes:
    """`frame` as a JPEG of this width."""
    small = cv2.resize(frame, (width, round(frame.shape[0] * width / frame.shape[1])), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small)[1].tobytes()


def bring(
    platform: Platform, folder: Path, name: str, shade: int, *, camera: str = "plaza", walkers: bool = True, recorded_at: datetime | None = None
) -> VideoRecord:
    """New footage, as anybody brings it."""
    return ingest(platform, folder, _encoded(shade, walkers, SECONDS), name=name, camera=camera, recorded_at=recorded_at)


def make_playable(platform: Platform, record: VideoRecord, shade: int, walkers: bool = True) -> None:
    """Assets raw_video, processed_video, detections, scenes and tracks."""
    video_id = record.video_id
    store_playable(platform, record, platform.store.get_bytes(record.object_key), jpeg(picture(6.0, shade, walkers), 640), SECONDS)
    store_scenes(platform, video_id, [0.0, 4.0, 9.0, float(SECONDS)], lambda start_s: jpeg(picture(start_s + 1, shade, walkers)))
    guess = {} if walkers else {"best_guess": {"class": "person", "score": 0.31, "at_s": 4.2}}
    table = store_file(platform, video_id, layout.DETECTIONS, "detections", b"PAR1" + bytes([shade]), "parquet", "application/vnd.apache.parquet")
    facts = {"frames_looked_at": SECONDS * SAMPLE_RATE, "model": "nanodet-g-int8", **guess}
    store_manifest(platform, video_id, layout.DETECTIONS, [table], facts=facts, configuration={"model": "nanodet-g-int8"})
    sheet = track_sheet() if walkers else TrackSheet(sample_rate=SAMPLE_RATE, samples=SECONDS * SAMPLE_RATE, tracks=[])
    player = store_json(platform, video_id, layout.TRACKS, "player", sheet.model_dump_json())
    with tempfile.TemporaryDirectory() as folder:
        archives.store_tracks(platform, video_id, Path(folder), *track_tables(sheet), ["person"], more=[player])


def track_tables(sheet: TrackSheet) -> tuple[tables.Tracks, tables.Samples]:
    """What the player shows, as the tables that rules read."""
    rows = [(at, line.id, box) for line in sheet.tracks for at, box in zip(line.times_s, line.boxes, strict=True)]
    at_s, ids = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], np.int32)
    boxes = np.array([row[2] for row in rows], np.float32).reshape(-1, 4)
    found = tables.Tracks(at_s, np.zeros(len(rows), np.int16), np.full(len(rows), 0.83, np.float32), boxes, ids)
    index = np.arange(sheet.samples, dtype=np.int64)
    return found.ordered(), tables.Samples(index / SAMPLE_RATE, index * (RATE // SAMPLE_RATE))


def track_sheet() -> TrackSheet:
    """The walkers, sampled five times a second."""
    lines = []
    for track, (_, _, _, first, last) in WALKERS.items():
        times = [index / SAMPLE_RATE for index in range(SECONDS * SAMPLE_RATE) if first <= index / SAMPLE_RATE <= last]
        boxes = [box for at in times if (box := box_of(track, at)) is not None]
        lines.append(TrackLine(id=track, class_name="person", score=0.83, start_s=times[0], end_s=times[-1], times_s=times, boxes=boxes))
    return TrackSheet(sample_rate=SAMPLE_RATE, samples=SECONDS * SAMPLE_RATE, tracks=lines)


def episodes() -> list[Episode]:
    """Three things that happen in the footage, with the facts that evaluation gives."""

    def why(rule: str, track: int, at_s: float, **more: object) -> dict[str, object]:
        return {"rule": rule, "at_s": at_s, "tracks": [{"id": track, "class": "person", "score": 0.83}], "min_score": 0.5, **more}

    return [
        Episode("person-enters", "enters", 2.2, 4.0, (2,), (0.9, 0.83), 0.83, why("person-enters", 2, 2.2, zone="plaza")),
        Episode("crossing", "crosses", 6.4, 6.8, (1,), (0.5, 0.73), 0.8, why("crossing", 1, 6.4, line="path", direction="right_to_left")),
        Episode("loitering", "dwells", 1.0, 11.0, (1,), (0.1, 0.73), 0.83, why("loitering", 1, 1.0, zone="plaza", stayed_s=10.0, wanted_s=10.0)),
    ]


def evaluate(platform: Platform, record: VideoRecord, found: Sequence[Episode], *, fingerprint: str = "a", shade: int = 90, near: bool = True) -> list[str]:
    """Assets alerts and highlights; the ids of the active alerts."""
    severities = {"person-enters": Severity.WARNING, "crossing": Severity.INFO, "loitering": Severity.CRITICAL, "crowd": Severity.WARNING}
    misses = [{"rule": "crowd", "text": "3 people in plaza at 0:06.0, rule wants 4", "at_s": 6.0}] if near else []
    missing = [{"rule": "fire-call", "reason": "there is no transcript of this video"}] if near else []
    body = {"episodes": [], "near_misses": misses, "cannot_evaluate": missing}
    now = datetime.now(UTC)
    tracks = Manifest.model_validate_json(platform.store.get_bytes(layout.manifest_key(record.video_id, layout.TRACKS)))
    alerts = store_alerts(
        platform,
        record,
        found,
        severities,
        body,
        lambda alert: jpeg(picture(alert.start_s, shade), 640),
        fingerprint=fingerprint * 64,
        now=now,
        tracks_hash=tracks.content_hash,
    )
    made: list[FileEntry] = []
    for alert in alerts:
        if alert.rule != "crossing":
            data = platform.store.get_bytes(record.object_key)
            made.append(store_file(platform, record.video_id, layout.HIGHLIGHTS, f"clip:{alert.id}", data, "mp4", "video/mp4"))
            ledger.set_media(platform.db, alert.id, clip=made[-1].key)
    if made:
        store_manifest(platform, record.video_id, layout.HIGHLIGHTS, [*made, made[0].model_copy(update={"role": "reel"})])
    return [alert.id for alert in alerts]


def summary() -> Summary:
    """Three sentences: two that rest on tracks, one that nobody could check."""
    return Summary(
        title="Three people cross a grey plaza",
        overview="Three people are seen in 12 seconds; one of them stays all the time.",
        concern=1,
        engine=Engine(name="template", reason="no language model answered at 127.0.0.1:11434"),
        sentences=[
            Sentence(
                text="A person walks from left to right through the whole video.",
                state="supported",
                evidence=[Evidence(kind="track", id="1", start_s=0, end_s=11.8)],
            ),
            Sentence(
                text="A second person comes from the right and a third appears in the middle.",
                state="supported",
                evidence=[Evidence(kind="track", id="2", start_s=2.0, end_s=10.0), Evidence(kind="track", id="4", start_s=5.0, end_s=11.4)],
            ),
            Sentence(text="They seem to know each other.", state="not_checkable"),
        ],
    )


def make_ready(platform: Platform, record: VideoRecord, shade: int, *, walkers: bool = True) -> VideoRecord:
    """All assets of one video."""
    make_playable(platform, record, shade, walkers)
    evaluate(platform, record, episodes() if walkers else [], shade=shade, near=walkers)
    if walkers:
        describe(platform, record, summary())
    else:
        empty = Summary(
            title="Nothing was seen", overview="Nothing was seen in 12 seconds.", concern=0, engine=Engine(name="template", reason="disabled"), sentences=[]
        )
        describe(platform, record, empty)
    found = videos.get(platform.db, record.video_id)
    assert found is not None
    return found


def now_of(platform: Platform, record: VideoRecord) -> VideoRecord:
    """The record as it is now."""
    found = videos.get(platform.db, record.video_id)
    assert found is not None
    return found


def seed(home: Path, scratch: Path, settings: Settings | None = None) -> Home:
    """One video in each state."""
    platform = open_platform(settings or Settings(home=home))
    scratch.mkdir(parents=True, exist_ok=True)
    hostile = make_ready(platform, bring(platform, scratch, HOSTILE, 40, camera="gate-1"), 40)
    quiet = make_ready(platform, bring(platform, scratch, "empty-yard-at-night.mp4", 20, camera="yard", walkers=False), 20, walkers=False)
    failed = bring(platform, scratch, "holiday notes.mp4", 60, camera="inbox")
    videos.failed(
        platform.db, failed.video_id, "5d0a2f6c-8f3e-4b7a-9c1d-000000000002", "not_a_video", "This file is not a video. It begins like a text document."
    )
    interrupted = bring(platform, scratch, "gate-2026-11-20-0800.mp4", 70, camera="gate-1")
    message = "The analysis process ended without an answer (signal 9) while looking at frames; try again, or raise VIDEO_PLATFORM_MEDIA__WORKER_MEMORY_BYTES."
    videos.failed(platform.db, interrupted.video_id, "5d0a2f6c-8f3e-4b7a-9c1d-000000000003", "WorkerCrashed", message)
    received = bring(platform, scratch, "a-very-long-name-of-a-camera-that-somebody-once-installed-above-the-door-" + "x" * 120 + ".mp4", 80, camera="door")
    processing = bring(platform, scratch, "market-morning.mp4", 85, camera="market")
    videos.started(platform.db, processing.video_id, "5d0a2f6c-8f3e-4b7a-9c1d-000000000004", "one_pass")
    videos.progress(platform.db, processing.video_id, "one_pass", 0.42)
    ready = make_ready(platform, bring(platform, scratch, "plaza-crossing.mp4", 90, recorded_at=NOW - timedelta(hours=3)), 90)
    refusals.add(platform.db, name="notes.txt", camera="inbox", code="not_a_video", message="This file is not a video.", now=NOW)
    kept = (ready, quiet, processing, received, failed, interrupted, hostile)
    return Home(platform, *(now_of(platform, record) for record in kept))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    rules_file = where.parent / "rules.yaml"
    where.parent.mkdir(parents=True, exist_ok=True)
    rules_file.write_text(RULES)
    home = seed(where, where.parent / "footage", Settings(home=where, rules=rules_file))
    print(home.ready.video_id)
