"""Bringing a lost database back from the objects: videos, tombstones, alerts with their ids, what search finds, and the versions of the rule set.

Only what is missing is added; what the database knows is never changed. So it may be run on any database, be killed and run again. Nothing is announced:
restored alerts count as delivered, and the evaluations that come back with them keep everything from being evaluated anew.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from video_platform import layout, search_rows
from video_platform.errors import IntegrityError, NotFound, ObjectNotFound, RulesError, VideoDeleted
from video_platform.ingest_files import DEFAULT_CAMERA
from video_platform.records import Lane, Lifecycle, Manifest, Severity, VideoState
from video_platform.rules import RuleSet
from video_platform.services.database import Database, copies, rulesets, search
from video_platform.services.database.copies import Row, VideoCopy
from video_platform.services.database.matching import TRACKED_BY_NOBODY
from video_platform.services.object_store import ObjectStore


@dataclass
class Rebuilt:
    """What came back, or would: ids of videos and tombstones, how many alerts.

    `rules` are the versions of the rule set that the objects hold and the database too by now, `rules_differ` those whose number the database uses for another.
    `from_manifests` of the videos had no copy of their rows and came back without their names and superseded alerts. `bare` is footage that nothing is
    known of but its bytes. `unreadable` maps a video to what is wrong with its copy. `indexed` are videos, known ones too, that search finds again.
    """

    videos: list[str] = field(default_factory=list)
    tombstones: list[str] = field(default_factory=list)
    from_manifests: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    rules: list[int] = field(default_factory=list)
    rules_differ: list[int] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)
    alerts: int = 0
    known: int = 0


def rebuild(db: Database, store: ObjectStore, *, dry_run: bool = False, on_video: Callable[[int, int], None] | None = None) -> Rebuilt:
    """Bring back what the database does not know; with `dry_run` only say what would come. `on_video` hears how many of how many are done.

    Raises:
        StoreUnavailable, DatabaseUnavailable: run it again when they are back; it goes on where it was.
    """
    done = Rebuilt()
    if not dry_run:
        restore_rules(db, store)
    texts = {version.id: version.text for version in rulesets.versions(db, limit=rulesets.ALL)}
    for version in stored_rules(store):
        (done.rules if texts.get(version.id, version.text) == version.text else done.rules_differ).append(version.id)
    footage: dict[str, bool] = {}
    for info in store.list(layout.VIDEOS):
        video_id, _, rest = info.key.removeprefix(layout.VIDEOS).partition("/")
        if layout.is_video_id(video_id):
            footage[video_id] = footage.get(video_id, False) or rest.startswith(f"{layout.RAW_VIDEO}/")
    stones = {name for info in store.list(layout.TOMBSTONES) if layout.is_video_id(name := info.key.removeprefix(layout.TOMBSTONES).removesuffix(".json"))}
    there, already = sorted(footage.keys() | stones), copies.known(db)
    found = search.indexed(db)
    rule_set = _active(db)
    for count, video_id in enumerate(there, 1):
        if video_id in already:
            done.known += 1
        else:
            _one(db, store, video_id, rule_set, done, dry_run=dry_run, footage=footage.get(video_id, False))
        if video_id not in found and video_id not in done.unreadable:
            _index(db, store, video_id, done, dry_run=dry_run)
        if on_video is not None:
            on_video(count, len(there))
    return done


def restore_video(db: Database, store: ObjectStore, video_id: str) -> bool:
    """Bring back one video, or its tombstone, that the database does not know; False when there is nothing to bring back but bytes.

    Raises:
        IntegrityError: its copy cannot be read.
    """
    copy = _kept(store, video_id) or _from_manifests(store, video_id, _active(db))
    restored = copy is not None and copies.restore(db, copy)
    if restored:
        _index(db, store, video_id, Rebuilt(), dry_run=False)
    return restored


def restore_rules(db: Database, store: ObjectStore) -> list[int]:
    """Bring back the versions of the rule set whose numbers are free; those numbers."""
    found = stored_rules(store)
    return rulesets.restore(db, found) if found else []


def stored_rules(store: ObjectStore) -> list[rulesets.RuleVersion]:
    """The versions of the rule set that lie among the objects, the newest of each number; what cannot be read is passed over."""
    found: dict[int, rulesets.RuleVersion] = {}
    for info in store.list(layout.RULE_SETS):
        try:
            row = json.loads(store.get_bytes(info.key))
            version = rulesets.RuleVersion(**{**row, "applied_at": datetime.fromisoformat(row["applied_at"])})
        except (ValueError, KeyError, TypeError, ObjectNotFound):
            continue
        if version.id not in found or found[version.id].applied_at < version.applied_at:
            found[version.id] = version
    return [found[number] for number in sorted(found)]


def _one(db: Database, store: ObjectStore, video_id: str, rule_set: RuleSet | None, done: Rebuilt, *, dry_run: bool, footage: bool) -> None:
    try:
        copy = _kept(store, video_id)
        if copy is None and (copy := _from_manifests(store, video_id, rule_set)) is not None:
            done.from_manifests.append(video_id)
        if copy is None:
            if footage:
                done.bare.append(video_id)
            return
        if not dry_run and not copies.restore(db, copy):
            done.known += 1
            return
    except IntegrityError as error:
        done.unreadable[video_id] = error.message
        return
    (done.tombstones if copy.deleted else done.videos).append(video_id)
    done.alerts += len(copy.alerts)


def _index(db: Database, store: ObjectStore, video_id: str, done: Rebuilt, *, dry_run: bool) -> None:
    """What search finds of a video; an index that cannot be read is made again when the video is described again, and keeps nothing else from coming back."""
    manifest = _manifest(store, video_id, layout.SEARCH_INDEX)
    if manifest is None:
        return
    if not dry_run:
        try:
            search_rows.restore(db, store, manifest)
        except (IntegrityError, ObjectNotFound) as error:
            search.failed(db, video_id, error.message)
            return
        except (NotFound, VideoDeleted):
            return
    done.indexed.append(video_id)


def _kept(store: ObjectStore, video_id: str) -> VideoCopy | None:
    """The copy of a video or of its tombstone, whichever is of the later ingest: a deletion that was killed has left both, and it counts."""
    found = [copies.parse(data, video_id) for key in (layout.tombstone_key(video_id), layout.record_key(video_id)) if (data := _get(store, key)) is not None]
    return max(found, key=lambda copy: (copy.generation, copy.deleted), default=None)


def _get(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get_bytes(key)
    except ObjectNotFound:
        return None


def _active(db: Database) -> RuleSet | None:
    version = rulesets.active(db)
    try:
        return version.rule_set if version else None
    except RulesError:
        return None


def _from_manifests(store: ObjectStore, video_id: str, rule_set: RuleSet | None) -> VideoCopy | None:
    """What the manifests alone tell of a video that has no copy: an installation that has just come from a version without copies."""
    raw, evaluated = _manifest(store, video_id, layout.RAW_VIDEO), _manifest(store, video_id, layout.ALERTS)
    footage = raw.file("video") if raw else None
    if raw is None or footage is None:
        return None
    probe, said = raw.facts, evaluated.configuration if evaluated else {}
    camera, recorded_at = said.get("camera"), said.get("recorded_at")
    summary = _manifest(store, video_id, layout.LLM_SUMMARY)
    created_at = raw.created_at.isoformat()
    video: Row = {
        "video_id": video_id,
        "sha256": footage.sha256,
        "original_name": f"recovered-{video_id}.{footage.key.rsplit('.', 1)[-1]}",
        "camera": camera if isinstance(camera, str) else DEFAULT_CAMERA,
        "recorded_at": recorded_at if isinstance(recorded_at, str) else None,
        "size_bytes": footage.size_bytes,
        "media_type": footage.media_type,
        "object_key": footage.key,
        "reference_path": footage.reference,
        "lane": str(Lane.LIVE),
        "generation": 1,
        "state": str(VideoState.READY if evaluated else VideoState.RECEIVED),
        "run_id": raw.run_id,
        "duration_s": probe.get("duration_s"),
        "width": probe.get("width"),
        "height": probe.get("height"),
        "title": summary.facts.get("title") if summary else None,
        "ingested_at": created_at,
        "updated_at": created_at,
    }
    copy = VideoCopy(video=video)
    if evaluated is not None:
        described = _manifest(store, video_id, layout.DESCRIBED_ALERTS)
        known = [manifest for manifest in (evaluated, described) if manifest is not None]
        try:
            rows = [row for manifest in known for row in _alert_rows(store, manifest, video, rule_set)]
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"the alerts of video {video_id} cannot be read: {error!r}", expected=video_id, actual=repr(error)) from error
        copy = VideoCopy(video=video, evaluations=[_evaluation_row(manifest) for manifest in known if not manifest.degraded], alerts=rows)
    return copies.parse(copy.model_dump_json().encode(), video_id)


def _evaluation_row(manifest: Manifest) -> Row:
    at = manifest.created_at.isoformat()
    return {
        "video_id": manifest.video_id,
        "asset": manifest.asset,
        "fingerprint": manifest.fingerprint,
        "content_hash": manifest.content_hash,
        "tracks_hash": _tracks_hash(manifest),
        "rules_version": str(manifest.facts.get("rules_version", "")),
        "run_id": manifest.run_id,
        "first_at": at,
        "evaluated_at": at,
    }


def _tracks_hash(manifest: Manifest) -> str:
    """The tracks that alerts come from; what is seen and said comes from none."""
    return manifest.inputs.get(layout.TRACKS, TRACKED_BY_NOBODY) if manifest.asset == layout.ALERTS else TRACKED_BY_NOBODY


def _alert_rows(store: ObjectStore, manifest: Manifest, video: Row, rule_set: RuleSet | None) -> list[Row]:
    """The active alerts that the file of asset `alerts` or `described_alerts` names, with what their episodes say."""
    entry = manifest.file("alerts")
    data = _get(store, entry.key) if entry else None
    sheet = json.loads(data) if data else {}
    episodes = {(each["rule"], each["start_s"], each["end_s"]): each for each in sheet.get("episodes", [])}
    severities = {rule.name: rule.severity for rule in rule_set.rules} if rule_set else {}
    clips = _manifest(store, manifest.video_id, layout.HIGHLIGHTS)
    pictures = {entry.role: entry.key for found in (manifest, clips) if found for entry in found.files}
    looks = _second_looks(store, manifest.video_id) if manifest.asset == layout.ALERTS else {}
    at, rows = manifest.created_at.isoformat(), []
    recorded_at = datetime.fromisoformat(video["recorded_at"]) if video["recorded_at"] else None
    for alert in sheet.get("alerts", []):
        episode = episodes.get((alert["rule"], alert["start_s"], alert["end_s"]), {})
        place = episode.get("place") or (None, None)
        rows.append(
            {
                "id": alert["id"],
                "video_id": manifest.video_id,
                "asset": manifest.asset,
                "camera": video["camera"],
                "rule": alert["rule"],
                "kind": episode.get("kind", ""),
                "severity": str(severities.get(alert["rule"], Severity.WARNING)),
                "lifecycle": str(Lifecycle.ACTIVE),
                "start_s": alert["start_s"],
                "end_s": alert["end_s"],
                "start_time": (recorded_at + timedelta(seconds=alert["start_s"])).isoformat() if recorded_at else None,
                "track_ids": episode.get("track_ids", []),
                "tracks_hash": _tracks_hash(manifest),
                "place_x": place[0],
                "place_y": place[1],
                "score": episode.get("score"),
                "why": episode.get("why", {}),
                "rules_version": str(manifest.facts.get("rules_version", "")),
                "snapshot": pictures.get(f"snapshot:{alert['id']}"),
                "clip": pictures.get(f"clip:{alert['id']}"),
                "second_look": looks.get(alert["id"]),
                "supersedes": 0,
                "raised_at": at,
                "updated_at": at,
            }
        )
    return rows


def _second_looks(store: ObjectStore, video_id: str) -> dict[str, Row]:
    """Alert id -> what a vision model said of it."""
    manifest = _manifest(store, video_id, layout.SECOND_LOOK)
    entry = manifest.file("second_look") if manifest else None
    data = _get(store, entry.key) if entry else None
    return {row["alert"]: row["look"] for row in json.loads(data)["looks"]} if data else {}


def _manifest(store: ObjectStore, video_id: str, asset: str) -> Manifest | None:
    data = _get(store, layout.manifest_key(video_id, asset))
    try:
        return Manifest.model_validate_json(data) if data is not None else None
    except ValidationError:
        return None
