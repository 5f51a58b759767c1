"""How clips and reels are made of one video, from the browser-playable copy: a clip of each alert, one reel, one time-lapse. One way for the step of one
video and for the batch.

A reel or a time-lapse that would show the same as the stored one is kept: another rule leaves the time-lapse as it is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform import recipes
from video_platform.budgets import media_limits, worker_budget
from video_platform.errors import ObjectNotFound
from video_platform.fingerprints import content_hash
from video_platform.layout import ALERTS, HIGHLIGHTS, PROCESSED_VIDEO, TRACKS
from video_platform.pipeline import checks
from video_platform.pipeline.made import Handle, Made, NewFile, Plan, read_manifest
from video_platform.pipeline.steps import Step
from video_platform.recipes import AFTER_S, BEFORE_S, MAX_CLIP_S
from video_platform.records import FileEntry, Manifest, ReelPiece

if TYPE_CHECKING:
    from video_platform.analysis.reel_plan import Piece

CLIP = "clip:"
"""Role of a clip: this and the alert's id."""

MAX_CLIPS = 500
"""Clips per video; alerts beyond them have their snapshot and the video itself."""

REEL, PIECES, CHAPTERS, TIMELAPSE = "reel", "pieces", "chapters", "timelapse"
"""Roles: the reel, what it shows (a list of `records.ReelPiece`), its chapters (WebVTT), the time-lapse."""

SLACK_S = 0.5
"""A film may be this much longer than its budget: it ends with a whole frame, and sound comes in blocks."""


@dataclass(frozen=True)
class _Film:
    """What a reel and a time-lapse of a video would show; `of` names, by role, the hash of all that decides what they look like."""

    pieces: "Sequence[Piece]"
    moments_s: list[float]
    speed: float
    of: Mapping[str, str]
    kept: Mapping[str, list[FileEntry]] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)


def cut(at: Step, alerts: Handle, tracks: Handle, processed_video: Handle) -> Made:
    """Clips and reel of one video: the stored ones where nothing they are made from has changed."""
    configuration = recipes.highlights(at.desk.settings, at.record)
    plan = at.plan(HIGHLIGHTS, configuration, {ALERTS: alerts, TRACKS: tracks, PROCESSED_VIDEO: processed_video})
    if plan.stored:
        show(at, plan.stored.files)  # the ledger may have forgotten them: it does when an alert's span moves there and back
    return at.reused(plan) if plan.stored else _cut(at, plan, alerts, tracks, processed_video)


def _cut(at: Step, plan: Plan, alerts: Handle, tracks: Handle, processed_video: Handle) -> Made:
    at.begin()
    sheet = alerts.read_json("alerts")
    found, duration_s = sheet["alerts"], at.record.duration_s
    wanted = [_span(alert, duration_s) for alert in found[:MAX_CLIPS]]
    film = _film(at, plan, found, tracks)
    cut = _made(at, processed_video, tracks, wanted, film) if wanted or film.of.keys() - film.kept.keys() else {"clips": {}, "reel": None, "lapse": None}
    clips, notes = _clips(cut["clips"], len(found))
    films, facts = _films(at, film, cut)
    lengths = {name: facts[name] for name in ("reel_s", "timelapse_s") if name in facts}
    return at.made(
        plan,
        content_hash=content_hash({"inputs": plan.inputs, "configuration": plan.configuration, "code_version": plan.code_version}),
        verdict=checks.verdict(
            *notes,
            clips_have_bytes=all(path.stat().st_size > 0 for path in clips.values()),
            films_keep_their_budget=all(length <= _budget_s(at, name) + SLACK_S for name, length in lengths.items()),
        ),
        files=[*films, *(NewFile(f"{CLIP}{id_}", path, "video/mp4") for id_, path in clips.items())],
        kept=[entry for entries in film.kept.values() for entry in entries],
        facts={"clips": len(clips), "alerts": len(found), "reel_of": _source(film, found), **facts},
        duration_s=duration_s,
        before_manifest=lambda entries: show(at, entries),
    )


def _source(film: _Film, found: Sequence[Mapping[str, Any]]) -> str:
    return "nothing" if not film.pieces else "alerts" if found else "activity"


def _budget_s(at: Step, name: str) -> float:
    reels = at.desk.settings.reels
    return reels.max_s if name == "reel_s" else reels.timelapse_max_s


def _film(at: Step, plan: Plan, found: Sequence[Mapping[str, Any]], source: Handle) -> _Film:
    """What is to be filmed: alerts, and where there are none the busiest of the tracks; what is stored already and would be the same is kept."""
    from video_platform.analysis import reel_film, reel_plan, tables

    reels, duration_s = at.desk.settings.reels, at.record.duration_s
    tracks, names, _ = tables.read_tracks(source.path("tracks"))
    if found:
        pieces = reel_plan.of_alerts([(alert["rule"], alert["start_s"], alert["end_s"]) for alert in found], duration_s, reels.max_s)
    else:
        pieces = reel_plan.of_activity(tracks, names, reels.max_s, duration_s)
    speed, moments = reel_plan.lapse(reel_plan.activity(tracks, duration_s), reels.timelapse_max_s, reel_film.RATE)
    looks = {
        "code_version": plan.code_version,
        "inputs": {name: plan.inputs[name] for name in (TRACKS, PROCESSED_VIDEO)},
        **{name: plan.configuration[name] for name in ("camera", "recorded_at", "zone")},
    }
    of: dict[str, str] = {}
    if pieces:
        of[REEL] = content_hash({**looks, "pieces": pieces})
    if moments:
        of[TIMELAPSE] = content_hash({**looks, "speed": speed, "moments": moments})
    before = None if at.desk.forces(HIGHLIGHTS) else read_manifest(at.desk.platform.store, at.video_id, HIGHLIGHTS)
    kept = {role: entries for role, of_it in of.items() if before and (entries := _still_there(at, before, role, of_it))}
    names_of = {REEL: ("reel", "reel_s", "sound"), TIMELAPSE: ("timelapse", "timelapse_s", "speed")}
    facts = {name: before.facts[name] for role in kept for name in names_of[role] if before and name in before.facts}
    return _Film(pieces, moments, speed, of, kept, facts)


def _still_there(at: Step, before: Manifest, role: str, of: str) -> list[FileEntry]:
    """The stored files of a film that shows the same; none where it would be another, or one of its files is gone."""
    made_of = before.facts.get("made_of")
    if not isinstance(made_of, dict) or made_of.get(role) != of:
        return []
    entries = [entry for entry in before.files if entry.role in ((REEL, PIECES, CHAPTERS) if role == REEL else (TIMELAPSE,))]
    try:
        whole = all(at.desk.platform.store.stat(entry.key).size_bytes == entry.size_bytes for entry in entries)
    except ObjectNotFound:
        return []
    return entries if whole else []


def _made(at: Step, processed_video: Handle, tracks: Handle, wanted: list[dict[str, Any]], film: _Film) -> dict[str, Any]:
    settings, record = at.desk.settings, at.record
    source = {
        "path": str(processed_video.path("video")),
        "tracks": str(tracks.path("tracks")),
        "camera": record.camera,
        "recorded_at": record.recorded_at.isoformat() if record.recorded_at else None,
        "zone": recipes.zone_name(settings, record),
    }
    films: dict[str, Any] = {"sources": [source]}
    if REEL in film.of and REEL not in film.kept:
        films["reel"] = [{"source": 0, "start_s": piece.start_s, "end_s": piece.end_s, "title": piece.title} for piece in film.pieces]
    if TIMELAPSE in film.of and TIMELAPSE not in film.kept:
        films["lapse"] = {"moments_s": film.moments_s, "speed": film.speed}
    return _run(at, processed_video, wanted, films, films_s=settings.reels.max_s + settings.reels.timelapse_max_s)


def _run(at: Step, processed_video: Handle, wanted: list[dict[str, Any]], films: Mapping[str, Any] | None = None, films_s: float = 0.0) -> dict[str, Any]:
    """What the child process cuts, see task `clips`: these clips, and `films` of up to `films_s`."""
    from video_platform.analysis import worker

    settings, duration_s = at.desk.settings, at.record.duration_s
    payload = {"path": str(processed_video.path("video")), "out_dir": str(at.folder), "wanted": wanted, "limits": asdict(media_limits(settings))}
    limits = worker_budget(settings, None if duration_s is None else duration_s + films_s)
    return worker.run("clips", {**payload, **(films or {})}, limits=limits, on_progress=at.progress)


def _films(at: Step, film: _Film, cut: Mapping[str, Any]) -> tuple[list[NewFile], dict[str, Any]]:
    """The new files of reel and time-lapse, and what the manifest says of both."""
    files: list[NewFile] = []
    facts: dict[str, Any] = {"reel": False, "timelapse": False, **film.facts}
    made, lapse = cut["reel"], cut["lapse"]
    if made and made["path"]:
        pieces = [
            ReelPiece(
                video_id=at.video_id,
                camera=at.record.camera,
                title=film.pieces[each["index"]].title,
                start_s=each["start_s"],
                at_s=each["at_s"],
                end_s=each["end_s"],
            )
            for each in made["pieces"]
        ]
        path = at.folder / "pieces.json"
        path.write_text(json.dumps([piece.model_dump(mode="json") for piece in pieces], ensure_ascii=False), encoding="utf-8")
        files += [NewFile(REEL, Path(made["path"]), "video/mp4"), NewFile(PIECES, path, "application/json")]
        files.append(NewFile(CHAPTERS, Path(made["chapters"]), "text/vtt"))
        facts |= {"reel": True, "reel_s": round(made["seconds"], 3), "sound": made["sound"]}
    if lapse and lapse["path"]:
        files.append(NewFile(TIMELAPSE, Path(lapse["path"]), "video/mp4"))
        facts |= {"timelapse": True, "timelapse_s": round(lapse["seconds"], 3), "speed": round(film.speed, 2)}
    there = {REEL: facts["reel"], TIMELAPSE: facts["timelapse"]}
    return files, {**facts, "made_of": {role: of for role, of in film.of.items() if there[role]}}


def _span(alert: Mapping[str, Any], duration_s: float | None) -> dict[str, Any]:
    start_s = max(0.0, alert["start_s"] - BEFORE_S)
    end_s = min(alert["end_s"] + AFTER_S, start_s + MAX_CLIP_S, duration_s or float("inf"))
    return {"id": alert["id"], "start_s": start_s, "end_s": max(end_s, start_s)}


def show(at: Step, entries: Sequence[FileEntry]) -> None:
    """Clips appear on the alerts as soon as their files are stored."""
    from video_platform.services.database import ledger

    clips = {entry.role.removeprefix(CLIP): entry.key for entry in entries if entry.role.startswith(CLIP)}
    shown, _ = ledger.page(at.desk.platform.db, video_id=at.video_id, limit=2 * MAX_CLIPS) if clips else ([], 0)
    already = {alert.id: alert.clip for alert in shown}
    for id_, key in clips.items():
        if already.get(id_) != key:
            ledger.set_media(at.desk.platform.db, id_, clip=key)


def clips_of(at: Step, processed_video: Handle, alerts: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Path], list[str]]:
    """Clips of these alerts (`id`, `start_s`, `end_s`) in the folder of the step, by id, and what to say of those that could not be cut."""
    wanted = [_span(alert, at.record.duration_s) for alert in alerts[:MAX_CLIPS]]
    return _clips(_run(at, processed_video, wanted)["clips"] if wanted else {}, len(alerts))


def _clips(cut: Mapping[str, Any], alerts: int) -> tuple[dict[str, Path], list[str]]:
    """Clips by the ids of their alerts, of so many, and what to say of those that could not be cut."""
    notes = [f"no clip of alert {id_}: {result['error']}" for id_, result in cut.items() if not isinstance(result, str)]
    if alerts > MAX_CLIPS:
        notes.append(f"{alerts} alerts, clips of the first {MAX_CLIPS}")
    return {id_: Path(result) for id_, result in cut.items() if isinstance(result, str)}, notes
