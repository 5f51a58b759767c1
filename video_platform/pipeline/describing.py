"""How `sees` and `says` rules judge one video: a model is asked about its frames, its transcript is read, and what they find is reconciled with the ledger.

The order is that of `judging`: ledger transaction, then manifest, then Dagster's event. What an alert shows is made here too, its picture and its clip:
`highlights` is made before, with what tracks raise, and waits for no model.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform import questioning, recipes
from video_platform.errors import ObjectNotFound
from video_platform.fingerprints import canonical, content_hash
from video_platform.layout import DESCRIBED_ALERTS, PROCESSED_VIDEO, SCENES, TRACKS, TRANSCRIPT
from video_platform.pipeline import answers, checks, cutting, judging, stills, tags
from video_platform.pipeline.cutting import CLIP
from video_platform.pipeline.judging import SNAPSHOT, ActiveRules
from video_platform.pipeline.made import Handle, Made, NewFile, Plan, read_manifest
from video_platform.pipeline.steps import Step
from video_platform.records import AlertRecord, FileEntry, Scene, TrackSheet, Transcript
from video_platform.rules import CameraRules

if TYPE_CHECKING:
    from video_platform.analysis.asking import Asker
    from video_platform.analysis.described import Described, Heard
    from video_platform.analysis.seen import Answer
    from video_platform.services.database.reconciliation import LedgerChange
    from video_platform.services.vision import Eyes

SEES, SAYS = "sees", "says"


@dataclass(frozen=True)
class Sources:
    """What a video is judged on: `eyes` where a rule asks about frames, `transcript` where one asks what is said and there is one."""

    tracks: Handle
    scenes: Handle
    raw_video: Handle
    transcript: Handle | None
    eyes: "Eyes | None"

    def counted(self, names: Sequence[str]) -> dict[str, Handle]:
        """Those inputs that count, by name."""
        found = {TRACKS: self.tracks, SCENES: self.scenes, **({TRANSCRIPT: self.transcript} if self.transcript else {})}
        return {name: handle for name, handle in found.items() if name in names}


@dataclass(frozen=True)
class Asked:
    """Rule -> answers, and what asking took: `asker` is None where nobody was asked, `left_out` moments were above the cap."""

    answers: dict[str, list["Answer"]]
    asker: "Asker | None" = None
    left_out: int = 0


def judge(at: Step, active: ActiveRules, tracks: Handle, scenes: Handle, raw_video: Handle) -> Made:
    """The alerts of one video by these rules: the stored ones where nothing they are made from has changed and the ledger has them."""
    from video_platform.services import vision

    rules = active.rule_set.for_camera(at.record.camera).on_description
    kinds = {rule.kind for rule in rules.rules}
    eyes = vision.choose(at.desk.settings.language_model) if SEES in kinds else None
    sources = Sources(tracks, scenes, raw_video, _transcript(at) if SAYS in kinds else None, eyes)
    configuration = recipes.described_alerts(at.desk.settings, rules, at.record, questioning.configuration(eyes))
    needed = recipes.of_described({name: canonical(value) for name, value in configuration.items()})
    plan = at.plan(DESCRIBED_ALERTS, configuration, sources.counted(needed))
    if plan.stored and not judging.in_ledger(at, plan):
        plan = replace(plan, stored=None)
    if plan.stored:
        cutting.show(at, plan.stored.files)  # as `highlights` does: the ledger may have forgotten them
        answers.forget(at.desk.platform.store, at.video_id, DESCRIBED_ALERTS)  # a run may have been killed after the manifest
    return at.reused(plan) if plan.stored else _evaluate(at, plan, active, rules, sources)


def _transcript(at: Step) -> Handle | None:
    """The transcript, as far as it exists: nobody may have made it yet."""
    store = at.desk.platform.store
    if read_manifest(store, at.video_id, TRANSCRIPT) is None:
        return None
    return Handle(store, at.desk.scratch / "inputs", at.video_id, TRANSCRIPT)


def _evaluate(at: Step, plan: Plan, active: ActiveRules, rules: CameraRules, sources: Sources) -> Made:
    from video_platform.analysis import described

    scenes = [Scene(**scene) for scene in sources.scenes.read_list("scenes")]
    duration_s = scenes[-1].end_s if scenes else 0.0
    heard = _heard(sources.transcript)
    asked = _ask(at, rules, sources, scenes, duration_s, heard)
    eyes, away, asks = sources.eyes, _away(sources.eyes, asked), {rule.name for rule in rules.rules if rule.kind == SEES}
    found = described.evaluate(
        rules,
        duration_s=duration_s,
        recorded_at=at.record.recorded_at,
        heard=heard,
        unseen=eyes.reason if eyes and eyes.model is None else None,
        answers=asked.answers,
        waiting=lambda rule: away is not None and rule in asks,
        model=eyes.name if eyes else "",
    )
    change = _reconcile(at, plan, active, rules, found, provisional=away is not None)
    sheet = _sheet(found, asked, rules, eyes, change)
    path = at.folder / "alerts.json"
    path.write_text(json.dumps(canonical(sheet, digits=6), ensure_ascii=False))
    pictures, notes = judging.snapshots(at, change.alerts, _picture, sources.raw_video)
    clips, more = _clips(at, change.alerts)
    left_out = [f"{asked.left_out} moments were not asked about: there are more than questions.max_frames"] if asked.left_out else []
    made = at.made(
        plan,
        content_hash=content_hash(sheet),
        verdict=checks.verdict(*notes, *more, *left_out, every_episode_is_in_the_ledger=len(change.alerts) >= len(found.episodes)),
        files=[
            NewFile("alerts", path, "application/json"),
            *(NewFile(f"{SNAPSHOT}{id_}", file, "image/jpeg") for id_, file in pictures.items()),
            *(NewFile(f"{CLIP}{id_}", file, "video/mp4") for id_, file in clips.items()),
        ],
        facts=_facts(found, asked, change, active, rules, away),
        degraded=away,
        duration_s=duration_s,
        tokens=asked.asker.tokens if asked.asker else 0,
        thumbnail=next(iter(pictures.values()), None),
        before_manifest=lambda entries: _show(at, entries),
    )
    if away:  # what was answered before the model went away is there for the next run
        return made
    return replace(made, after_manifest=lambda: answers.forget(at.desk.platform.store, at.video_id, DESCRIBED_ALERTS))


# ---- what is asked and heard ---------------------------------------------------------------------------------------------------------------------------


def _heard(transcript: Handle | None) -> "Heard":
    from video_platform.analysis.described import Heard

    if transcript is None:
        return Heard(None)
    return Heard(Transcript.model_validate(transcript.read_json("transcript")))


def _known(at: Step) -> dict[str, bool]:
    """The answers that the stored version holds; none when they cannot be read: they are asked for again then."""
    store = at.desk.platform.store
    stored = read_manifest(store, at.video_id, DESCRIBED_ALERTS)
    entry = stored.file("alerts") if stored else None
    try:
        rows = json.loads(store.get_bytes(entry.key)).get("questions", ()) if entry else ()
        return {row["key"]: row["answer"] == "yes" for row in rows if row["answer"]}
    except (ObjectNotFound, ValueError, KeyError):
        return {}


def _ask(at: Step, rules: CameraRules, sources: Sources, scenes: Sequence[Scene], duration_s: float, heard: "Heard") -> Asked:
    """Asks what the `sees` rules want to know, of the frames in their schedules."""
    from video_platform.analysis import described, key_frames, seen
    from video_platform.analysis.asking import Asker, Question

    if sources.eyes is None or sources.eyes.model is None:
        return Asked({})
    recorded_at, settings = at.record.recorded_at, at.desk.settings.questions
    questions = [
        Question(rule.name, rule.when.question or "", described.open_spans(rule, recorded_at, duration_s))
        for rule in rules.rules
        if rule.kind == SEES and not described.why_not(rule, recorded_at, heard, None)
    ]
    choice = key_frames.choose(TrackSheet.model_validate(sources.tracks.read_json("player")).tracks, scenes, max_frames=settings.max_frames)
    moments, left_out = seen.moments(choice, duration_s, quiet_every_s=settings.quiet_every_s, at_most=settings.max_frames)
    kept = answers.StoredAnswers(at.desk.platform.store, at.video_id, DESCRIBED_ALERTS, bool, _known(at))
    asker = Asker(sources.eyes.model, kept)
    given = asker.all(questions, moments, lambda wanted: stills.made(at, sources.raw_video, wanted), scenes, at.progress)
    return Asked(given, asker, left_out)


def _away(eyes: "Eyes | None", asked: Asked) -> str | None:
    """Why a model that the settings name could not be asked for all, None when it could."""
    if eyes is not None and eyes.away:
        return eyes.reason
    return asked.asker.away if asked.asker else None


# ---- what becomes of it --------------------------------------------------------------------------------------------------------------------------------


def _reconcile(at: Step, plan: Plan, active: ActiveRules, rules: CameraRules, found: "Described", *, provisional: bool) -> "LedgerChange":
    from video_platform.services.database import reconciliation
    from video_platform.services.database.matching import TRACKED_BY_NOBODY

    given = reconciliation.EvaluationInput(
        video_id=at.video_id,
        asset=DESCRIBED_ALERTS,
        fingerprint=plan.fingerprint,
        content_hash=content_hash(found.episodes),
        tracks_hash=TRACKED_BY_NOBODY,
        rules_version=active.version,
        episodes=list(found.episodes),
        rule_facts={rule.name: (rule.severity, rule.channels) for rule in rules.rules},
        notify=tags.asked(at.run_tags, tags.NOTIFY),
        fresh_hours=at.desk.settings.notify.fresh_hours,
        lane=at.lane,
        run_id=at.context.run.run_id,
        now=datetime.now(UTC),
        processed_key="",
        unjudged=found.unjudged,
        provisional=provisional,
    )
    return reconciliation.reconcile(at.desk.platform.db, given)


def _sheet(found: "Described", asked: Asked, rules: CameraRules, eyes: "Eyes | None", change: "LedgerChange") -> dict[str, object]:
    """What the file of this asset says: as that of `alerts`, and every question with the frame's time and its answer."""
    return {
        "episodes": [asdict(episode) for episode in found.episodes],
        "near_misses": [asdict(miss) for miss in found.near_misses],
        "cannot_evaluate": [{"rule": rule, "reason": reason} for rule, reason in found.cannot_evaluate],
        "alerts": [{"id": alert.id, "rule": alert.rule, "start_s": alert.start_s, "end_s": alert.end_s} for alert in judging.in_order(change.alerts)],
        "questions": _questions(asked, rules, eyes),
    }


def _questions(asked: Asked, rules: CameraRules, eyes: "Eyes | None") -> list[dict[str, object]]:
    from video_platform.analysis import seen

    if eyes is None or eyes.model is None:
        return []
    texts, rows = {rule.name: rule.when.question or "" for rule in rules.rules}, []
    for rule, given in asked.answers.items():
        for answer in given:
            said = {"answer": None if answer.seen is None else "yes" if answer.seen else "no", "reason": answer.reason}
            key = seen.key_of(answer.digest, eyes.model, texts[rule])
            rows.append({"rule": rule, "question": texts[rule], "at_s": round(answer.at_s, 3), "digest": answer.digest, "key": key, **said})
    return rows


def _facts(found: "Described", asked: Asked, change: "LedgerChange", active: ActiveRules, rules: CameraRules, away: str | None) -> dict[str, object]:
    """`state` says how far the rules could be judged, `reason` why not further."""
    reasons: list[str] = list(dict.fromkeys([*([away] if away else []), *(reason for _, reason in found.cannot_evaluate)]))
    lacking = len(found.cannot_evaluate)
    state = "no_rules" if not rules.rules else "evaluated" if not reasons else "not_evaluated" if lacking == len(rules.rules) else "partly_evaluated"
    given = [answer for each in asked.answers.values() for answer in each]
    return {
        "state": state,
        "reason": "; ".join(reasons)[:1000] or None,
        "alerts": len(change.alerts),
        "raised": len(change.raised),
        "superseded": len(change.superseded),
        "kept": len(change.kept),
        "near_misses": len(found.near_misses),
        "cannot_evaluate": lacking,
        "questions": len(given),
        "unanswered": sum(answer.seen is None for answer in given),
        "asked": asked.asker.asked if asked.asker else 0,
        "rules_version": active.version,
    }


def _picture(alert: AlertRecord) -> dict[str, Any]:
    """The frame at its first moment; no track says where to draw a box."""
    return {"id": alert.id, "at_s": alert.start_s, "boxes": [], "zones": {}, "lines": {}}


def _clips(at: Step, active: Sequence[AlertRecord]) -> tuple[dict[str, Path], list[str]]:
    store = at.desk.platform.store
    if not active or read_manifest(store, at.video_id, PROCESSED_VIDEO) is None:
        return {}, ["no clips: there is no browser copy of the video"] if active else []
    copy = Handle(store, at.desk.scratch / "inputs", at.video_id, PROCESSED_VIDEO)
    return cutting.clips_of(at, copy, [{"id": alert.id, "start_s": alert.start_s, "end_s": alert.end_s} for alert in judging.in_order(active)])


def _show(at: Step, entries: Sequence[FileEntry]) -> None:
    """Pictures and clips appear on the alerts as soon as their files are stored."""
    cutting.show(at, entries)
    judging.show(at, entries)
