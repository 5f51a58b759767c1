"""The reel of a day: its alerts and busiest moments over all cameras, cut from the browser copies in the child process.

One picture is held at a time. Where the store is no folder, the copies that are needed are fetched into the folder of this run, up to a limit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from video_platform import digests, layout, recipes
from video_platform.budgets import media_limits, worker_budget
from video_platform.errors import IntegrityError, MediaError, NotFound, ObjectNotFound, WorkerError
from video_platform.fingerprints import content_hash
from video_platform.layout import DAILY_DIGEST, PROCESSED_VIDEO, TRACKS
from video_platform.pipeline.io_managers import hash_file
from video_platform.pipeline.made import Handle
from video_platform.pipeline.resources import Desk
from video_platform.records import FileEntry, Manifest, ReelPiece

if TYPE_CHECKING:
    from video_platform.analysis.reel_day import Moment
    from video_platform.analysis.tables import Tracks
    from video_platform.services.database.digests import Judged

REEL, PIECES, CHAPTERS = "reel", "pieces", "chapters"
"""Roles of its files: the film, what it shows (a list of `records.ReelPiece`), its chapters (WebVTT)."""

BUSIEST = 3
"""Moments of activity of one video that may be chosen."""

MAX_FETCHED_BYTES = 8 * 1024**3
"""What is fetched for one reel, where the store is no folder; moments of videos beyond it are left out, and a note says so."""


@dataclass(frozen=True)
class DayReel:
    """The files of a reel, what the manifest says of it, and what went wrong; without files there is nothing to show."""

    files: Sequence[FileEntry] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()
    trouble: str | None = None


def busiest(one: "Judged", tracks: "Tracks", names: Sequence[str]) -> "list[Moment]":
    """The busiest moments of one video."""
    from video_platform.analysis import reel_day, reel_plan

    return [
        reel_day.Moment(one.video_id, one.camera, one.recorded_at, reel_plan.active(tracks, names, span), "activity", boxes / (span[1] - span[0]))
        for span, boxes in reel_plan.windows(tracks, one.duration_s)[:BUSIEST]
    ]


def alerts(one: "Judged", found: Sequence[Any]) -> "list[Moment]":
    """Moments of the alerts of one video (`digests.Moment` rows); one of several rules has the rank of the most severe."""
    from video_platform.analysis import reel_day, reel_plan

    pieces = reel_plan.of_alerts([(each.rule, each.start_s, each.end_s) for each in found], one.duration_s, float("inf"))
    moments = []
    for piece in pieces:
        severities = {each.severity for each in found if piece.anchor_s <= each.start_s < piece.anchor_s + reel_plan.SHORTEST_S}
        rank = next((rank for rank in reel_day.RANKS if rank in severities), "info")
        moments.append(reel_day.Moment(one.video_id, one.camera, one.recorded_at, piece, rank))
    return moments


def make(context: dg.AssetExecutionContext, desk: Desk, day: date, videos: "Sequence[Judged]", moments: "Sequence[Moment]", before: Manifest | None) -> DayReel:
    """The reel of `day` from the moments that may be shown; the stored one where it would show the same. A film that cannot be made is said, not raised."""
    from video_platform.analysis import reel_day

    first, after = _bounds(day, desk)
    chosen = reel_day.choose([moment for moment in moments if first <= moment.at < after], desk.settings.reels.day_max_s)
    sources, notes = _sources(desk, videos, chosen)
    chosen = [moment for moment in chosen if moment.video_id in sources]
    if not chosen:
        return DayReel(notes=notes)
    looks = [(moment.video_id, sources[moment.video_id]["looks"], moment.piece.start_s, moment.piece.end_s, moment.piece.title) for moment in chosen]
    made_of = content_hash({"code_version": digests.CODE_VERSION, "pieces": looks})
    if before is not None and not desk.forces(DAILY_DIGEST) and (kept := _kept(desk, before, made_of)):
        facts = {name: value for name, value in before.facts.items() if name.startswith("reel")}
        return DayReel(kept, facts, notes)
    try:
        return _filmed(context, desk, day, chosen, sources, made_of, notes)
    except (MediaError, WorkerError) as error:  # the digest of the day stands without its film
        context.log.warning(f"the reel of {day} could not be made: {error.message}")
        return DayReel(notes=notes, trouble=f"its reel could not be made: {error.message}")


def _bounds(day: date, desk: Desk) -> tuple[datetime, datetime]:
    from video_platform.analysis import digest

    return digest.bounds(day, digests.zone_of(desk.settings)[0])


def _kept(desk: Desk, before: Manifest, made_of: str) -> list[FileEntry]:
    """The stored files, where they show the same and are all there."""
    if before.facts.get("reel_made_of") != made_of:
        return []
    entries = [entry for role in (REEL, PIECES, CHAPTERS) if (entry := before.file(role))]
    try:
        whole = all(desk.platform.store.stat(entry.key).size_bytes == entry.size_bytes for entry in entries)
    except ObjectNotFound:
        return []
    return entries if whole else []


def _sources(desk: Desk, videos: "Sequence[Judged]", chosen: "Sequence[Moment]") -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Video id -> what the film needs of it; a video whose copy is not there, or too large to fetch with the others, is noted and left out."""
    from video_platform.services.database import videos as rows

    store, known = desk.platform.store, {one.video_id: one for one in videos}
    found: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    left_bytes = MAX_FETCHED_BYTES
    for video_id in dict.fromkeys(moment.video_id for moment in chosen):
        copy, tracks = (Handle(store, desk.scratch / "inputs", video_id, asset) for asset in (PROCESSED_VIDEO, TRACKS))
        record = rows.get(desk.platform.db, video_id)
        try:
            entry = copy.entry("video")
            if store.local_path(entry.key) is None:
                if entry.size_bytes > left_bytes:
                    notes.append(f"video {video_id} is not in the reel: its copy has {entry.size_bytes} bytes, which is more than may still be fetched for it")
                    continue
                left_bytes -= entry.size_bytes
            paths = {"path": str(copy.path("video")), "tracks": str(tracks.path("tracks"))}
            looks = [copy.content_hash, tracks.content_hash]
        except (NotFound, IntegrityError) as error:
            notes.append(f"video {video_id} is not in the reel: {error.message}")
            continue
        one = known[video_id]
        zone = recipes.zone_name(desk.settings, record) if record is not None else ""
        where = {"camera": one.camera, "recorded_at": one.recorded_at.isoformat(), "zone": zone}
        found[video_id] = {"payload": {**paths, **where}, "looks": [*looks, where], "duration_s": one.duration_s}
    return found, notes


def _filmed(
    context: dg.AssetExecutionContext,
    desk: Desk,
    day: date,
    chosen: "Sequence[Moment]",
    sources: Mapping[str, Mapping[str, Any]],
    made_of: str,
    notes: list[str],
) -> DayReel:
    from video_platform.analysis import worker

    settings, folder = desk.settings, desk.scratch / "day"
    folder.mkdir(parents=True, exist_ok=True)
    places = {video_id: index for index, video_id in enumerate(sources)}
    payload = {
        "out_dir": str(folder),
        "sources": [source["payload"] for source in sources.values()],
        "reel": [
            {"source": places[moment.video_id], "start_s": moment.piece.start_s, "end_s": moment.piece.end_s, "title": _title(moment, sources)}
            for moment in chosen
        ],
        "limits": asdict(media_limits(settings)),
    }
    budget = worker_budget(settings, settings.reels.day_max_s + sum(source["duration_s"] for source in sources.values()))
    made = worker.run("reel", payload, limits=budget, on_progress=lambda _, text: context.log.debug(f"reel of {day}: {text}"))["reel"]
    notes += [f"not in the reel: {_title(chosen[int(index)], sources)}: {why}" for index, why in made["missed"].items()]
    if not made["path"]:
        return DayReel(notes=notes)
    pieces = []
    for each in made["pieces"]:
        moment = chosen[each["index"]]
        title = _title(moment, sources)
        pieces.append(ReelPiece(video_id=moment.video_id, camera=moment.camera, title=title, start_s=each["start_s"], at_s=each["at_s"], end_s=each["end_s"]))
    path = folder / "pieces.json"
    path.write_text(json.dumps([piece.model_dump(mode="json") for piece in pieces], ensure_ascii=False), encoding="utf-8")
    kept = ((REEL, Path(made["path"]), "video/mp4"), (PIECES, path, "application/json"), (CHAPTERS, Path(made["chapters"]), "text/vtt"))
    files = [_stored(desk, day, role, file, media_type) for role, file, media_type in kept]
    facts = {"reel": True, "reel_s": round(made["seconds"], 3), "reel_pieces": len(pieces), "reel_sound": made["sound"], "reel_made_of": made_of}
    return DayReel(files, facts, notes)


def _title(moment: "Moment", sources: Mapping[str, Mapping[str, Any]]) -> str:
    """`08:30:05 gate: person-enters`, by the clock of the camera."""
    from zoneinfo import ZoneInfo

    from video_platform.analysis.reel_picture import Clock

    zone = sources[moment.video_id]["payload"]["zone"]
    clock = Clock(moment.recorded_at, ZoneInfo(zone) if zone else None)
    return f"{clock.short(moment.piece.start_s)} {moment.camera}: {moment.piece.title}"


def _stored(desk: Desk, day: date, role: str, path: Path, media_type: str) -> FileEntry:
    sha256, size_bytes = hash_file(path)
    key = layout.digest_key(day.isoformat(), sha256, path.suffix.removeprefix("."))
    desk.platform.store.put_file(key, path, media_type=media_type)
    return FileEntry(role=role, key=key, size_bytes=size_bytes, sha256=sha256, media_type=media_type)
