"""How clips are cut: one of each alert and one reel per video, from the browser-playable copy. One way for the step of one video and for the batch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from video_platform import recipes
from video_platform.budgets import media_limits, worker_budget
from video_platform.fingerprints import content_hash
from video_platform.layout import ALERTS, HIGHLIGHTS, PROCESSED_VIDEO
from video_platform.pipeline import checks
from video_platform.pipeline.made import Handle, Made, NewFile, Plan
from video_platform.pipeline.steps import Step
from video_platform.recipes import AFTER_S, BEFORE_S, MAX_CLIP_S, REEL_MAX_S, REEL_SPAN_S
from video_platform.records import FileEntry

CLIP = "clip:"
"""Role of a clip: this and the alert's id."""

MAX_CLIPS = 500
"""Clips per video; alerts beyond them have their snapshot and the video itself."""


def cut(at: Step, alerts: Handle, processed_video: Handle) -> Made:
    """The clips of one video's alerts: the stored ones where nothing they are made from has changed."""
    plan = at.plan(HIGHLIGHTS, recipes.highlights(at.record), {ALERTS: alerts, PROCESSED_VIDEO: processed_video})
    if plan.stored:
        show(at, plan.stored.files)  # the ledger may have forgotten them: it does when an alert's span moves there and back
    return at.reused(plan) if plan.stored else _cut(at, plan, alerts, processed_video)


def _cut(at: Step, plan: Plan, alerts: Handle, processed_video: Handle) -> Made:
    at.begin()
    sheet = alerts.read_json("alerts")
    found, duration_s = sheet["alerts"], at.record.duration_s
    wanted = [_span(alert, duration_s) for alert in found[:MAX_CLIPS]]
    cut = _clips(at, processed_video, wanted, _reel_spans(found, duration_s)) if wanted else {"clips": {}, "reel": None}
    clips = {id_: Path(result) for id_, result in cut["clips"].items() if isinstance(result, str)}
    reel = [NewFile("reel", Path(cut["reel"]), "video/mp4")] if cut["reel"] else []
    notes = [f"no clip of alert {id_}: {result['error']}" for id_, result in cut["clips"].items() if not isinstance(result, str)]
    if len(found) > MAX_CLIPS:
        notes.append(f"{len(found)} alerts, clips of the first {MAX_CLIPS}")
    return at.made(
        plan,
        content_hash=content_hash({"inputs": plan.inputs, "configuration": plan.configuration, "code_version": plan.code_version}),
        verdict=checks.verdict(*notes, clips_have_bytes=all(path.stat().st_size > 0 for path in clips.values())),
        files=[*(NewFile(f"{CLIP}{id_}", path, "video/mp4") for id_, path in clips.items()), *reel],
        facts={"clips": len(clips), "reel": bool(reel), "alerts": len(found)},
        duration_s=duration_s,
        before_manifest=lambda entries: show(at, entries),
    )


def _clips(at: Step, processed_video: Handle, wanted: list[dict[str, Any]], spans: list[list[float]]) -> dict[str, Any]:
    from video_platform.analysis import worker

    settings = at.desk.settings
    payload = {
        "path": str(processed_video.path("video")),
        "out_dir": str(at.folder),
        "wanted": wanted,
        "reel": {"spans": spans, "max_s": REEL_MAX_S},
        "limits": asdict(media_limits(settings)),
    }
    return worker.run("clips", payload, limits=worker_budget(settings, at.record.duration_s), on_progress=at.progress)


def _span(alert: Mapping[str, Any], duration_s: float | None) -> dict[str, Any]:
    start_s = max(0.0, alert["start_s"] - BEFORE_S)
    end_s = min(alert["end_s"] + AFTER_S, start_s + MAX_CLIP_S, duration_s or float("inf"))
    return {"id": alert["id"], "start_s": start_s, "end_s": max(end_s, start_s)}


def _reel_spans(found: Sequence[Mapping[str, Any]], duration_s: float | None) -> list[list[float]]:
    """The beginnings of the alerts in order of time, overlapping ones joined."""
    spans: list[list[float]] = []
    for alert in sorted(found, key=lambda alert: alert["start_s"]):
        start_s = max(0.0, alert["start_s"] - REEL_SPAN_S / 2)
        end_s = min(start_s + REEL_SPAN_S, duration_s or float("inf"))
        if spans and start_s <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], end_s)
        else:
            spans.append([start_s, end_s])
    return spans


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
    cut = _clips(at, processed_video, wanted, [])["clips"] if wanted else {}
    notes = [f"no clip of alert {id_}: {result['error']}" for id_, result in cut.items() if not isinstance(result, str)]
    if len(alerts) > MAX_CLIPS:
        notes.append(f"{len(alerts)} alerts, clips of the first {MAX_CLIPS}")
    return {id_: Path(result) for id_, result in cut.items() if isinstance(result, str)}, notes
