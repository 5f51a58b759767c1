"""Homes full of stored tracks, made by hand: for rules over the past, without decoding anything; and what such a home then says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from seeded import apply, ingest, store_file, store_manifest

from video_platform import layout, recipes, rules
from video_platform.analysis import continuing, tables
from video_platform.analysis.evaluate import evaluate
from video_platform.fingerprints import canonical, content_hash, fingerprint
from video_platform.platform import Platform, open_platform
from video_platform.records import FileEntry, Lane, Lifecycle, Manifest, VideoRecord
from video_platform.services.database import footage, ledger, reconciliation, rulesets, videos
from video_platform.services.database.tables import metadata
from video_platform.settings import NotifySettings, Settings

WIDTH, HEIGHT = 768, 576
PARQUET = "application/vnd.apache.parquet"


@contextmanager
def opened(folder: Path, text: str) -> Iterator[Platform]:
    """A fresh home in `folder` whose active rules are `text`; footage of any age counts as fresh, so that its first evaluation notifies."""
    with open_platform(Settings(home=folder / "home", notify=NotifySettings(fresh_hours=24 * 365 * 100))) as platform:
        apply(platform, text)
        yield platform


def store_tracks(
    platform: Platform,
    video_id: str,
    folder: Path,
    found: tables.Tracks,
    samples: tables.Samples,
    names: Sequence[str],
    *,
    more: Sequence[FileEntry] = (),
) -> str:
    """The asset `tracks` as its step writes it, with `more` files; returns its content hash."""
    files = []
    for role in ("tracks", "samples"):
        path = folder / f"{role}.parquet"
        if role == "tracks":
            tables.write_tracks(path, found, names=names, digest="0" * 64)
        else:
            tables.write_samples(path, samples)
        files.append(store_file(platform, video_id, layout.TRACKS, role, path.read_bytes(), "parquet", PARQUET))
        path.unlink()
    digest = content_hash({"tracks": tables.content(found), "samples": tables.content(samples), "names": list(names), "best_guess": None})
    store_manifest(platform, video_id, layout.TRACKS, [*files, *more], content_hash=digest)
    return digest


def add(
    platform: Platform,
    folder: Path,
    number: int,
    found: tables.Tracks,
    samples: tables.Samples,
    names: Sequence[str],
    *,
    camera: str = "gate",
    recorded_at: datetime | None = None,
) -> VideoRecord:
    """A video with stored tracks that no rules have judged yet."""
    record = ingest(platform, folder, f"footage {camera} {number}".encode() * 10, name=f"{camera}-{number}.mp4", camera=camera, recorded_at=recorded_at)
    store_tracks(platform, record.video_id, folder, found, samples, names)
    videos.set_media(platform.db, record.video_id, float(samples.time_s[-1]) if len(samples) else 0.0, WIDTH, HEIGHT)
    found_record = videos.get(platform.db, record.video_id)
    assert found_record is not None
    return found_record


def judge(platform: Platform, record: VideoRecord, now: datetime | None = None, *, lane: Lane = Lane.LIVE) -> reconciliation.LedgerChange:
    """What the step `alerts` does to the ledger with the active rules, one video by itself."""
    version = rulesets.active(platform.db)
    assert version is not None
    camera_rules: rules.CameraRules = version.rule_set.for_camera(record.camera)
    manifest = Manifest.model_validate_json(platform.store.get_bytes(layout.manifest_key(record.video_id, layout.TRACKS)))
    paths = {role: platform.store.local_path(entry.key) for role in ("tracks", "samples") if (entry := manifest.file(role))}
    tracks, names, _ = tables.read_tracks(paths["tracks"])
    samples = tables.read_samples(paths["samples"])
    earlier = continuing.counted(camera_rules, record.recorded_at, footage.before(platform.db, record))
    found = evaluate(tracks, samples, names, camera_rules, recorded_at=record.recorded_at, earlier=earlier, explain=False, aspect=record.aspect or 1.0)
    configuration = {name: canonical(value) for name, value in recipes.alerts(camera_rules, record, earlier).items()}
    return reconciliation.reconcile(
        platform.db,
        reconciliation.EvaluationInput(
            video_id=record.video_id,
            asset=layout.ALERTS,
            fingerprint=fingerprint(recipes.CODE_VERSIONS[layout.ALERTS], configuration, {layout.TRACKS: manifest.content_hash}),
            content_hash=content_hash(found.episodes),
            tracks_hash=manifest.content_hash,
            rules_version=str(version.id),
            episodes=found.episodes,
            open_states=found.open,
            rule_facts={rule.name: (rule.severity, rule.channels) for rule in camera_rules.rules},
            lane=lane,
            run_id="run-1",
            now=now or datetime.now(UTC),
            processed_key=f"{record.generation}:{manifest.content_hash}",
        ),
    )


def crowd(seed: int, seconds: float, *, objects: int = 4, rate: int = 5) -> tuple[tables.Tracks, tables.Samples]:
    """People and cars who walk and stand about in (768, 576)."""
    random = np.random.default_rng(seed)
    count = int(seconds * rate)
    rows = []
    for number in range(objects * 2):
        begin = int(random.integers(0, max(1, count - rate)))
        end = min(count, begin + int(random.exponential(8 * rate)) + rate)
        start, target = random.random(2), random.random(2)
        for at in range(begin, end):
            x, y = start + (target - start) * (at - begin) / max(1, end - begin - 1) + random.normal(0, 0.002, 2)
            rows.append((at / rate, int(number % 4 == 3), 0.8, (x - 0.03, y - 0.15, x + 0.03, y), number + 1))
    at_s, class_id, score, boxes, ids = zip(*rows, strict=True)
    columns = (np.array(class_id, np.int16), np.array(score, np.float32), np.array(boxes, np.float32), np.array(ids, np.int32))
    return tables.Tracks(np.array(at_s, float), *columns).ordered(), tables.Samples(np.arange(count) / rate, np.arange(count) * 6)


def rows(platform):
    """Everything that the database holds."""
    with platform.db.read() as connection:
        return {table.name: connection.execute(sa.select(table)).all() for table in metadata.sorted_tables}


def active(platform):
    return {alert.id: alert for alert in ledger.page(platform.db, lifecycle=Lifecycle.ACTIVE, limit=10_000)[0]}


def told(found, platform):
    return {what: {alert.id: alert for alert in found.alerts(platform, what)} for what in ("added", "removed", "unchanged")}


def said(alert):
    """What an alert says, but for when that was written."""
    return alert.model_dump(exclude={"raised_at", "updated_at"})


def outbox(platform, kind):
    with platform.db.read() as connection:
        found = connection.execute(sa.select(metadata.tables["outbox"]).where(metadata.tables["outbox"].c.kind == kind)).all()
    return [dict(row.headers).get("ce_type") if kind == "event" else row.alert_id for row in found]
