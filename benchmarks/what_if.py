"""A draft over 100 hours of stored tracks: CPU seconds, wall time and peak memory of `vp rules what-if`, from the tracks of real footage.

    python -m benchmarks.what_if FOOTAGE... [--hours 100] [--store folder|minio] [--files minutes|long] [--keep FOLDER]

The tracks of the footage (two clips or more) are shifted, mirrored and jittered into an archive, five samples a second and about eight objects at a time:
once as videos of one minute, once as ten long ones. Each archive is judged by its rules first, as stored alerts are what a draft is compared with (that is
`vp rules promote` over everything), then two drafts are tried: one rule changed, and every rule changed. Cold: no pack is there and all is read from the
store; warm: the packs are there.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from benchmarks import measure
from benchmarks.counters import tracked
from benchmarks.rules_over_archive import ALL_KINDS
from video_platform import history, layout, settings
from video_platform.analysis import tables
from video_platform.fingerprints import content_hash
from video_platform.platform import Platform, open_platform
from video_platform.records import FileEntry, Lane, Manifest, Verdict, VideoState
from video_platform.services.database import rulesets
from video_platform.services.database.tables import evaluations, videos

RATE = 5
OBJECTS = 8
CAMERAS = 4
START = datetime(2026, 7, 1, tzinfo=UTC)
LONG_FILES = 10
JITTER = 0.002
"""Fraction of the frame by which every box is moved: no two videos have equal tracks."""

RULES = ALL_KINDS.replace("silent: x", "silent: cam-0")
ONE_CHANGED = RULES.replace("dwells: plaza, class: person, for: 10s", "dwells: plaza, class: person, for: 8s")
ALL_CHANGED = RULES.replace("rules:\n", "defaults: {min_score: 0.52}\nrules:\n", 1)
PARQUET = "application/vnd.apache.parquet"


class Clip:
    """The tracks of a clip as one column per sample index, to be repeated from any moment on."""

    def __init__(self, tracks: tables.Tracks, samples: tables.Samples, names: tuple[str, ...]) -> None:
        self.names, self.length = names, len(samples)
        self.sample = np.searchsorted(samples.time_s, tracks.time_s)
        self.tracks = tracks

    @property
    def objects(self) -> float:
        """At a time, on average."""
        return len(self.tracks) / self.length


def made(clips: list[Clip], count: int, random: np.random.Generator) -> tables.Tracks:
    """`count` samples of about `OBJECTS` objects."""
    parts, first_id, objects = [], 1, 0.0
    while objects < OBJECTS - 0.1:
        clip = clips[int(random.integers(len(clips)))]
        kept = random.random(int(clip.tracks.track_id.max()) + 1) < (OBJECTS - objects) / clip.objects
        offset, ids = int(random.integers(clip.length)), int(clip.tracks.track_id.max())
        mirrored, shift = bool(random.integers(2)), random.normal(0, 0.05, 2)
        for lap in range((count + offset) // clip.length + 1):
            at = clip.sample + lap * clip.length - offset
            rows = np.flatnonzero((at >= 0) & (at < count) & kept[clip.tracks.track_id])
            boxes = clip.tracks.boxes[rows].astype(np.float64)
            if mirrored:
                boxes[:, [0, 2]] = 1 - boxes[:, [2, 0]]
            boxes += np.tile(random.normal(0, JITTER, (len(rows), 2)) + shift, 2)
            parts.append(
                (at[rows] / RATE, clip.tracks.class_id[rows], clip.tracks.score[rows], boxes.astype(np.float32), clip.tracks.track_id[rows] + first_id)
            )
            first_id += ids + 1
        objects += min(clip.objects, OBJECTS - objects)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return tables.Tracks(columns[0], columns[1], columns[2], columns[3], columns[4].astype(np.int32)).ordered()


def fill(platform: Platform, clips: list[Clip], hours: float, length_s: float, folder: Path) -> int:
    """An archive of files of this length, one after the other on each camera; how many boxes it has."""
    count, number = round(length_s * RATE), round(hours * 3600 / length_s)
    samples = tables.Samples(np.arange(count) / RATE, np.arange(count) * 6)
    tables.write_samples(folder / "samples.parquet", samples)
    looked = (folder / "samples.parquet").read_bytes()
    rows, boxes = [], 0
    for n in range(number):
        found = made(clips, count, np.random.default_rng(n))
        boxes += len(found)
        video_id = hashlib.sha256(f"{length_s} {n}".encode()).hexdigest()
        tables.write_tracks(folder / "tracks.parquet", found, names=clips[0].names, digest="0" * 64)
        tracks_hash = store(platform, video_id[:16], (folder / "tracks.parquet").read_bytes(), looked, found)
        rows.append((video_id, f"cam-{n % CAMERAS}", START + timedelta(seconds=(length_s + 0.2) * (n // CAMERAS)), tracks_hash))
    now = datetime.now(UTC)
    with platform.db.write() as connection:
        for video_id, camera, recorded_at, tracks_hash in rows:
            known = {"video_id": video_id[:16], "sha256": video_id, "original_name": f"{video_id[:8]}.mp4", "camera": camera, "recorded_at": recorded_at}
            footage = {
                "size_bytes": 1,
                "media_type": "video/mp4",
                "object_key": f"videos/{video_id[:16]}/raw_video/{video_id}.mp4",
                "width": 768,
                "height": 576,
            }
            state = {"lane": str(Lane.LIVE), "generation": 1, "state": str(VideoState.READY), "duration_s": length_s, "ingested_at": now, "updated_at": now}
            connection.execute(sa.insert(videos).values(**known, **footage, **state))
            judged = {"fingerprint": "none", "content_hash": "none", "tracks_hash": tracks_hash, "rules_version": "none", "first_at": now, "evaluated_at": now}
            connection.execute(sa.insert(evaluations).values(video_id=video_id[:16], asset=layout.ALERTS, **judged))
    return boxes


def store(platform: Platform, video_id: str, tracks: bytes, samples: bytes, found: tables.Tracks) -> str:
    """The asset `tracks` of one video; its content hash."""
    entries = []
    for role, data in (("tracks", tracks), ("samples", samples)):
        sha256 = hashlib.sha256(data).hexdigest()
        key = layout.file_key(video_id, layout.TRACKS, sha256, "parquet")
        platform.store.put_bytes(key, data, media_type=PARQUET)
        entries.append(FileEntry(role=role, key=key, size_bytes=len(data), sha256=sha256, media_type=PARQUET))
    digest = content_hash(tables.content(found))
    manifest = Manifest(
        asset=layout.TRACKS,
        video_id=video_id,
        files=entries,
        fingerprint=digest,
        content_hash=digest,
        code_version="1",
        verdict=Verdict(passed=True),
        created_at=datetime.now(UTC),
    )
    platform.store.put_bytes(layout.manifest_key(video_id, layout.TRACKS), manifest.model_dump_json().encode(), media_type="application/json")
    return digest


def tried(home: Path, text: str, environment: dict[str, str], *, cold: bool) -> measure.Usage:
    """One `vp rules what-if`."""
    if cold:
        shutil.rmtree(home / "packs", ignore_errors=True)
    draft = home / "draft.yaml"
    draft.write_text(text)
    vp = [sys.executable, "-c", "import sys; from video_platform import cli; sys.exit(cli.main(sys.argv[1:]))"]
    return measure.command([*vp, "rules", "what-if", str(draft)], env={"VIDEO_PLATFORM_HOME": str(home), **environment})


def archived(home: Path, clips: list[Clip], hours: float, length_s: float, folder: Path, what: str) -> None:
    """The archive, with the alerts of its rules in the ledger."""
    with open_platform(settings.load(home=home)) as platform:
        began = time.monotonic()
        boxes = fill(platform, clips, hours, length_s, folder)
        print(f"{what}: {boxes / 1e6:.1f} M boxes ({boxes / hours / 3600 / RATE:.1f} at a time) written in {time.monotonic() - began:.0f} s", flush=True)
        rulesets.apply(platform.db, RULES, source="benchmark", who="benchmark", why="benchmark", now=datetime.now(UTC))
        began = time.monotonic()
        done = history.reconcile(platform)
        print(f"{what}: promoted over {done.videos} videos, {done.raised:,} alerts raised, in {time.monotonic() - began:.0f} s", flush=True)


def rows(clips: list[Clip], hours: float, files: str, folder: Path, environment: dict[str, str], store_name: str) -> Iterator[str]:
    """Lines of the table for one archive."""
    length_s = 60.0 if files == "minutes" else hours * 3600 / LONG_FILES
    os.environ.update(environment)
    home = folder / f"{files}-{store_name}-{hours:g}h"
    what = f"{round(hours * 3600 / length_s):,} videos of {length_s / 60:g} min, {store_name}"
    if home.exists():
        print(f"{what}: the archive of an earlier run in {home}", flush=True)
    else:
        archived(home, clips, hours, length_s, folder, what)
    for label, text, cold in (("one rule", ONE_CHANGED, True), ("one rule", ONE_CHANGED, False), ("every rule", ALL_CHANGED, False)):
        used = tried(home, text, environment, cold=cold)
        state = "cold" if cold else "warm"
        took = f"{used.cpu_s:.1f} s CPU, {used.wall_s:.1f} s"
        line = f"| draft, {label} of 15 changed, {hours:g} h as {what}, {state} | <= 10 s | {took} | peak {used.peak_mb:.0f} MB |"
        print(line, flush=True)
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("footage", type=Path, nargs="+")
    parser.add_argument("--hours", type=float, default=100.0)
    parser.add_argument("--store", choices=("folder", "minio"), default="folder")
    parser.add_argument("--files", choices=("minutes", "long"), default="minutes")
    parser.add_argument("--keep", type=Path, help="a folder for the archives; one that is there already, of the same hours, is tried again")
    given = parser.parse_args()
    clips = []
    for path in given.footage:
        tracks, samples, names, _, _ = tracked(path)
        clips.append(Clip(tracks, samples, names))
        print(f"{path.name}: {clips[-1].objects:.1f} objects at a time")
    folder = given.keep or Path(tempfile.mkdtemp(prefix="what-if-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if given.store == "folder":
            list(rows(clips, given.hours, given.files, folder, {}, "folder"))
        else:
            from scripts.services import MinioServer

            server = MinioServer(folder / "minio")
            server.start(ends_with_parent=True)
            try:
                list(rows(clips, given.hours, given.files, folder, server.environment, "MinIO"))
            finally:
                server.stop(kill=True)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
