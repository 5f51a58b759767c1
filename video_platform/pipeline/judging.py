"""How the active rules judge one video: evaluated over its tracks, reconciled with the ledger, with a snapshot of each alert.

One way for the step of one video and for the batch that judges many.

Order: ledger transaction, then manifest, then Dagster's event. The step counts as done only when the ledger records its fingerprint, so a kill anywhere in
between makes it run again, and reconciling the same episodes again raises nothing twice.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform import recipes, rules
from video_platform.budgets import media_limits, worker_budget
from video_platform.fingerprints import canonical, content_hash
from video_platform.layout import ALERTS, TRACKS
from video_platform.pipeline import checks, tags
from video_platform.pipeline.made import Handle, Made, NewFile, Plan, read_manifest
from video_platform.pipeline.resources import Desk
from video_platform.pipeline.steps import Step
from video_platform.records import AlertRecord, EarlierFootage, FileEntry, VideoRecord

if TYPE_CHECKING:
    from video_platform.analysis.evaluate import Evaluation
    from video_platform.analysis.tables import Tracks
    from video_platform.services.database.reconciliation import LedgerChange

SNAPSHOT = "snapshot:"
"""Role of a snapshot: this and the alert's id."""

MAX_SNAPSHOTS = 1000
"""Pictures per evaluation: each is a seek and some frames of decoding; a rule that fires more often than this in one video needs another rule."""

NEAR_S = 0.5
"""A track is in the picture of a moment when it has a sample so near to it; an episode may name others, which came later."""


@dataclass(frozen=True)
class ActiveRules:
    """The rule set in force and the name of its version."""

    rule_set: rules.RuleSet
    version: str

    @property
    def data_version(self) -> str:
        """What Dagster compares: all of the set that decides alerts over tracks, of any camera."""
        return content_hash(self.rule_set.on_tracks.evaluation)

    @property
    def described_version(self) -> str:
        """The same of what asset `described_alerts` judges."""
        return content_hash(self.rule_set.on_description.evaluation)


def active_rules(desk: Desk, before: ActiveRules | None = None) -> ActiveRules:
    """The rules in force now; a home that never had any gets the default. Those that were `before` are not read again."""
    from video_platform.services.database import rulesets

    version = rulesets.active(desk.platform.db)
    if before is not None and before.version == (rulesets.DEFAULT_VERSION if version is None else str(version.id)):
        return before
    if version is None:
        return ActiveRules(rules.parse(rules.DEFAULT_TEXT), rulesets.DEFAULT_VERSION)
    return ActiveRules(version.rule_set, str(version.id))


def judge(at: Step, active: ActiveRules, tracks: Handle, raw_video: Handle) -> Made:
    """The alerts of one video by these rules: the stored ones where nothing they are made from has changed and the ledger has them."""
    earlier = _earlier(at, at.record, active)
    plan = at.plan(ALERTS, _settings(at.record, active, earlier), {TRACKS: tracks})
    if plan.stored and not in_ledger(at, plan):
        plan = replace(plan, stored=None)
    made = at.reused(plan) if plan.stored else _evaluate(at, plan, active, earlier, tracks, raw_video)
    _ask_for_newer_rules(at, active)
    _ask_for_neighbours(at, active, earlier)
    return made


def _settings(record: VideoRecord, active: ActiveRules, earlier: EarlierFootage | None) -> dict[str, object]:
    """What alerts are made from besides tracks."""
    return recipes.alerts(active.rule_set.for_camera(record.camera), record, earlier)


def _earlier(at: Step, record: VideoRecord, active: ActiveRules) -> EarlierFootage | None:
    """What of the camera's footage before a video decides its alerts."""
    from video_platform.analysis import continuing
    from video_platform.services.database import footage

    camera_rules = active.rule_set.for_camera(record.camera).on_tracks
    return continuing.counted(camera_rules, record.recorded_at, footage.before(at.desk.platform.db, record))


def _ask_for_newer_rules(at: Step, used: ActiveRules) -> None:
    """Asks for this video again where other rules became active while it was judged: whoever promoted them left it to this run."""
    now = active_rules(at.desk, used)
    if now is not used and canonical(_settings(at.record, now, None)) != canonical(_settings(at.record, used, None)):
        _ask_for(at, at.record, now, f"version {now.version} of the rules became active while version {used.version} judged it")


def _ask_for_neighbours(at: Step, active: ActiveRules, used: EarlierFootage | None) -> None:
    """Asks for what was evaluated with another end of the video before it than that has now: files do not always arrive, or finish, in their order.

    That may be the camera's next video, or this one, where the one before was evaluated meanwhile. Whoever of two neighbours commits last sees it.
    """
    from video_platform.services.database import footage

    if canonical(_earlier(at, at.record, active)) != canonical(used):
        _ask_for(at, at.record, active, "the video before it was evaluated meanwhile")
    following = footage.after(at.desk.platform.db, at.record)
    stored = read_manifest(at.desk.platform.store, following.video_id, ALERTS) if following else None
    if following is None or stored is None:
        return
    now = canonical(_settings(following, active, _earlier(at, following, active)))
    assert isinstance(now, dict)
    before = dict(stored.configuration)
    changed = before.pop("earlier", None) != now.pop("earlier", None)
    if changed and before == now:  # one that other rules judged keeps its alerts until somebody asks
        _ask_for(at, following, active, "it goes on where this video ends")


def _ask_for(at: Step, record: VideoRecord, active: ActiveRules, why: str) -> None:
    """Has a video processed again; the request's id follows from what its alerts are to be made from, and from when that came to be: the same change asks once.

    What its alerts are to be made from alone would not do. A neighbour that is corrected and corrected back makes it what it was before, for the second time.
    """
    from video_platform.services.database import footage

    at.context.log.info(f"alerts of video {record.video_id} are to be made again: {why}")
    db = at.desk.platform.db
    earlier = footage.before(db, record)
    since = (active.version, footage.evaluated_at(db, record.video_id), footage.evaluated_at(db, earlier.video_id) if earlier else None)
    wanted = content_hash((_settings(record, active, _earlier(at, record, active)), since))
    request_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{record.video_id}\n{record.generation}\n{wanted}"))
    at.desk.platform.ingest.request_processing(record.video_id, lane=at.lane, request_id=request_id)


def in_ledger(at: Step, plan: Plan) -> bool:
    """Whether the ledger reflects what this plan would evaluate."""
    from video_platform.services.database import ledger

    return ledger.evaluated(at.desk.platform.db, at.video_id, plan.asset) == plan.fingerprint


def _evaluate(at: Step, plan: Plan, active: ActiveRules, earlier: EarlierFootage | None, source: Handle, raw_video: Handle) -> Made:
    from video_platform.analysis import evaluate, tables

    at.begin()
    tracks, names, _ = tables.read_tracks(source.path("tracks"))
    samples = tables.read_samples(source.path("samples"))
    camera_rules = active.rule_set.for_camera(at.record.camera).on_tracks
    when = {"recorded_at": at.record.recorded_at, "earlier": earlier}
    evaluation = evaluate.evaluate(tracks, samples, names, camera_rules, **when, aspect=at.record.aspect or 1.0)
    change = _reconcile(at, plan, active, source.content_hash, evaluation)
    sheet = _sheet(evaluation, change.alerts)
    path = at.folder / "alerts.json"
    path.write_text(json.dumps(canonical(sheet, digits=6), ensure_ascii=False))
    pictures, notes = snapshots(at, change.alerts, lambda alert: _wanted(alert, tracks, camera_rules), raw_video)
    return at.made(
        plan,
        content_hash=content_hash(sheet),
        verdict=checks.verdict(*notes, every_episode_is_in_the_ledger=len(change.alerts) >= len(evaluation.episodes)),
        files=[NewFile("alerts", path, "application/json"), *(NewFile(f"{SNAPSHOT}{id_}", file, "image/jpeg") for id_, file in pictures.items())],
        facts={
            "alerts": len(change.alerts),
            "raised": len(change.raised),
            "superseded": len(change.superseded),
            "kept": len(change.kept),
            "near_misses": len(evaluation.near_misses),
            "cannot_evaluate": len(evaluation.cannot_evaluate),
            "rules_version": active.version,
        },
        duration_s=at.record.duration_s,
        thumbnail=next(iter(pictures.values()), None),
        before_manifest=lambda entries: show(at, entries),
    )


def _reconcile(at: Step, plan: Plan, active: ActiveRules, tracks_hash: str, evaluation: "Evaluation") -> "LedgerChange":
    from video_platform import second_looking
    from video_platform.services.database import reconciliation

    evaluated = active.rule_set.for_camera(at.record.camera).on_tracks.rules
    given = reconciliation.EvaluationInput(
        video_id=at.video_id,
        asset=ALERTS,
        fingerprint=plan.fingerprint,
        content_hash=content_hash(evaluation.episodes),
        tracks_hash=tracks_hash,
        rules_version=active.version,
        episodes=list(evaluation.episodes),
        open_states=evaluation.open,
        rule_facts={rule.name: (rule.severity, rule.channels) for rule in evaluated},
        notify=tags.asked(at.run_tags, tags.NOTIFY),
        fresh_hours=at.desk.settings.notify.fresh_hours,
        lane=at.lane,
        run_id=at.context.run.run_id,
        now=datetime.now(UTC),
        processed_key=f"{at.record.generation}:{tracks_hash}" + (f":{at.context.run.run_id}" if at.desk.forces(ALERTS) else ""),
        second_look_s=second_looking.wait_s(at.desk.settings),
    )
    return reconciliation.reconcile(at.desk.platform.db, given)


def _sheet(evaluation: "Evaluation", active: Sequence[AlertRecord]) -> dict[str, object]:
    """What the file of this asset says; `alerts` names the ledger's rows, which is what clips are made for."""
    return {
        "episodes": [asdict(episode) for episode in evaluation.episodes],
        "near_misses": [asdict(miss) for miss in evaluation.near_misses],
        "cannot_evaluate": [{"rule": rule, "reason": reason} for rule, reason in evaluation.cannot_evaluate],
        "open": [asdict(state) for state in evaluation.open],
        "alerts": [{"id": alert.id, "rule": alert.rule, "start_s": alert.start_s, "end_s": alert.end_s} for alert in in_order(active)],
    }


def in_order(active: Sequence[AlertRecord]) -> list[AlertRecord]:
    """In the order in which they are listed and drawn."""
    return sorted(active, key=lambda alert: (alert.start_s, alert.rule, alert.id))


def snapshots(at: Step, active: Sequence[AlertRecord], draw: Callable[[AlertRecord], dict[str, Any]], raw_video: Handle) -> tuple[dict[str, Path], list[str]]:
    """The picture of each alert by its id, from the footage in the child process, and what to say of those that are missing.

    `draw` says when, and what over it. An alert whose picture cannot be made stays.
    """
    from video_platform.analysis import worker

    if not active:
        return {}, []
    settings = at.desk.settings
    wanted = [draw(alert) for alert in in_order(active)[:MAX_SNAPSHOTS]]
    payload = {"path": str(raw_video.path("video")), "out_dir": str(at.folder), "wanted": wanted, "limits": asdict(media_limits(settings))}
    result = worker.run("snapshots", payload, limits=worker_budget(settings, at.record.duration_s), on_progress=at.progress)
    found = {each["id"]: result.get(each["id"], {"error": "no answer"}) for each in wanted}
    failed = {id_: made["error"] for id_, made in found.items() if not isinstance(made, str)}
    notes = [f"no snapshot of alert {id_}: {error}" for id_, error in failed.items()]
    if len(active) > MAX_SNAPSHOTS:
        notes.append(f"{len(active)} alerts, snapshots of the first {MAX_SNAPSHOTS}")
    for note in notes:
        at.context.log.warning(note)
    return {id_: Path(made) for id_, made in found.items() if isinstance(made, str)}, notes


def _wanted(alert: AlertRecord, tracks: "Tracks", camera_rules: rules.CameraRules) -> dict[str, Any]:
    """What to draw for one alert: its tracks at its first moment, and the zone or line of its rule."""
    rule = next((rule for rule in camera_rules.rules if rule.name == alert.rule), None)
    zone, line = (rule.when.zone, rule.when.line) if rule else (None, None)
    return {
        "id": alert.id,
        "at_s": alert.start_s,
        "boxes": _boxes(tracks, alert.track_ids, alert.start_s, f"{alert.rule}"),
        "zones": {name: points for name, points in camera_rules.zones.items() if name == zone},
        "lines": {name: points for name, points in camera_rules.lines.items() if name == line},
    }


def _boxes(tracks: "Tracks", track_ids: Sequence[int], at_s: float, label: str) -> list[Mapping[str, Any]]:
    """The box of each track at its sample nearest to `at_s`; none of a track that is not followed then, because nobody stands there in that picture."""
    import numpy as np

    found = []
    now = np.abs(tracks.time_s - at_s) <= NEAR_S
    for track_id in track_ids:
        rows = np.flatnonzero((tracks.track_id == track_id) & now)
        if len(rows):
            nearest = rows[np.argmin(np.abs(tracks.time_s[rows] - at_s))]
            found.append({"box": [round(float(value), 5) for value in tracks.boxes[nearest]], "label": f"{label} #{track_id}"})
    return found


def show(at: Step, entries: Sequence[FileEntry]) -> None:
    """Snapshots appear on the alerts as soon as their files are stored; what the ledger now says is kept before the manifest counts."""
    from video_platform import keeping
    from video_platform.services.database import ledger

    db, store = at.desk.platform.db, at.desk.platform.store
    for entry in entries:
        if entry.role.startswith(SNAPSHOT):
            ledger.set_media(db, entry.role.removeprefix(SNAPSHOT), snapshot=entry.key)
    keeping.keep(db, store, at.video_id)
    keeping.keep_rules(db, store)
