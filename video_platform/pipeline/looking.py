"""The second look at the alerts of one video: what is asked, what is kept of the answers, and when the ledger and waiting notifications hear of them.

Each outcome goes to the ledger as soon as it is there, and lets the notifications of its alert go in the same transaction. A run that is killed anywhere is
gone on with: answers are kept before outcomes, outcomes before the manifest, and the same outcome again changes nothing and tells nobody. What never comes to
be here is waited for no longer than `outbox.LONGEST_SECOND_LOOK`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from video_platform import keeping, recipes
from video_platform.errors import MediaError, NotFound, ObjectNotFound, WorkerError
from video_platform.fingerprints import canonical, content_hash
from video_platform.layout import ALERTS, SECOND_LOOK, TRACKS
from video_platform.pipeline import answers, checks, judging
from video_platform.pipeline.failures import MAX_RETRIES
from video_platform.pipeline.made import Handle, Made, NewFile, Plan, read_manifest
from video_platform.pipeline.steps import Step
from video_platform.records import AlertRecord, Lifecycle, Manifest, SecondLook

if TYPE_CHECKING:
    from video_platform.analysis.second_look import Claim, Looked, Looker, Picture
    from video_platform.analysis.tables import Tracks
    from video_platform.second_looking import SecondLooker

MOST_ALERTS = 100_000
"""Active alerts of one video that are read; no rule that says anything raises as many."""

Row = dict[str, Any]


def look(at: Step, tracks: Handle, raw_video: Handle) -> Made:
    """The outcomes of one video: the stored ones where nothing they are made from has changed."""
    from video_platform import second_looking

    looker = second_looking.choose(at.desk.settings)
    alerts = Handle(at.desk.platform.store, at.desk.scratch / "inputs", at.video_id, ALERTS)
    stored = read_manifest(at.desk.platform.store, at.video_id, SECOND_LOOK)
    configuration = _counted(looker, stored)
    inputs = {ALERTS: alerts, TRACKS: tracks}
    plan = at.plan(SECOND_LOOK, configuration, {name: inputs[name] for name in recipes.of_second_look(configuration)})
    if plan.stored is None:
        return _made(at, plan, looker, stored, alerts, tracks, raw_video)
    if looker.eyes is not None:  # the ledger may have forgotten them, and a run may have been killed after the manifest
        _note(at, _looks(_rows(at, plan.stored)))
        answers.forget(at.desk.platform.store, at.video_id, SECOND_LOOK)
    return at.reused(plan)


def _counted(looker: "SecondLooker", stored: Manifest | None) -> dict[str, object]:
    """What counts in the fingerprint. The weights of a model that is away are taken to be those that made what is stored: its outcomes stay meanwhile."""
    if looker.away and stored is not None and stored.configuration.get("model") == looker.configuration["model"]:
        return {**looker.configuration, "digest": stored.configuration.get("digest")}
    return looker.configuration


def _made(at: Step, plan: Plan, looker: "SecondLooker", stored: Manifest | None, alerts: Handle, tracks: Handle, raw_video: Handle) -> Made:
    found = _of_sheet(at, alerts) if looker.eyes is not None else []
    asker = _asker(at, plan, looker, stored)
    if asker is not None:
        rows = _asked(at, asker, found, tracks, raw_video)
    else:
        rows = [_row(alert, _unasked(looker.eyes.reason if looker.eyes else "")) for alert in found]
    _note(at, _looks(rows))
    path = at.folder / "second_look.json"
    path.write_text(json.dumps(canonical({"looks": rows}, digits=6), ensure_ascii=False), encoding="utf-8")
    away = asker.away if asker else None
    made = at.made(
        plan,
        content_hash=content_hash(rows),
        verdict=checks.verdict(each_outcome_has_a_reason=all(row["look"]["reason"] for row in rows)),
        files=[NewFile("second_look", path, "application/json")],
        facts=_facts(looker, rows, asker),
        degraded=away,
        duration_s=at.record.duration_s,
        tokens=asker.tokens if asker else 0,
        before_manifest=lambda _: _keep(at),
    )
    if away:  # what was answered before the model went away is there for the next run
        return made
    return replace(made, after_manifest=lambda: answers.forget(at.desk.platform.store, at.video_id, SECOND_LOOK))


def _asker(at: Step, plan: Plan, looker: "SecondLooker", stored: Manifest | None) -> "Looker | None":
    """Who is asked, and knows what was answered already; None where nobody is there to be asked, now or in a minute."""
    from video_platform.analysis.second_look import Answer, Gone, Looker

    eyes = looker.eyes
    if eyes is None or (eyes.model is None and not eyes.away):
        return None
    rows = _rows(at, stored) if stored is not None and not at.desk.forces(SECOND_LOOK) else []
    known = {row["key"]: Answer(answer=row["answer"], reason=row["look"]["reason"]) for row in rows if row["answer"]}
    kept = answers.StoredAnswers(at.desk.platform.store, at.video_id, SECOND_LOOK, Answer, known)
    if eyes.model is not None:
        return Looker(eyes.model, kept)
    return Looker(Gone(eyes.name, str(plan.configuration.get("digest") or ""), eyes.reason), kept, away=eyes.reason)


def _of_sheet(at: Step, alerts: Handle) -> list[AlertRecord]:
    """The alerts that the evaluation named, as the ledger has them, in order of time."""
    from video_platform.services.database import ledger

    named = {each["id"] for each in alerts.read_json("alerts")["alerts"]}
    records, _ = ledger.page(at.desk.platform.db, video_id=at.video_id, asset=ALERTS, lifecycle=Lifecycle.ACTIVE, limit=MOST_ALERTS)
    return judging.in_order([alert for alert in records if alert.id in named])


# ---- asking --------------------------------------------------------------------------------------------------------------------------------------------


def _asked(at: Step, asker: "Looker", found: Sequence[AlertRecord], source: Handle, raw_video: Handle) -> list[Row]:
    """A row for each alert, the ledger told of each outcome as it comes."""
    from video_platform.analysis import second_look, tables

    if not found:
        return []
    most, tracks = at.desk.settings.second_look.max_alerts, tables.read_tracks(source.path("tracks"))[0]
    boxes = {alert.id: _boxes(tracks, alert) for alert in found[:most]}
    claims = {alert.id: second_look.claim_of(alert, boxes[alert.id]) for alert in found[:most]}
    wanted = [alert for alert in found[:most] if not isinstance(claims[alert.id], str)]
    pictures = _pictures(at, wanted, boxes, raw_video)
    rows = []
    for number, alert in enumerate(found):
        claim = claims.get(alert.id, f"no more than {most} alerts of a video are asked about")
        if isinstance(claim, str):
            rows.append(_row(alert, _unasked(claim)))
        else:
            picture = pictures[alert.id]
            rows.append(_row(alert, asker.look(alert.start_s, claim, picture), claim, picture.digest))
        _tell(at, alert.id, SecondLook.model_validate(rows[-1]["look"]))
        at.progress((number + 1) / len(found), f"alert {number + 1} of {len(found)}")
    return rows


def _boxes(tracks: "Tracks", alert: AlertRecord) -> dict[int, list[float]]:
    """The box of each track that the alert names and that is followed at its moment, by its id; `[x1, y1, x2, y2]`, 0-1."""
    import numpy as np

    from video_platform.analysis import second_look

    found: dict[int, list[float]] = {}
    for track_id in second_look.named_tracks(alert):
        rows = np.flatnonzero((tracks.track_id == track_id) & (np.abs(tracks.time_s - alert.start_s) <= judging.NEAR_S))
        if len(rows):
            nearest = rows[np.argmin(np.abs(tracks.time_s[rows] - alert.start_s))]
            found[track_id] = [round(float(value), 5) for value in tracks.boxes[nearest]]
    return found


def _pictures(at: Step, wanted: Sequence[AlertRecord], boxes: Mapping[str, Mapping[int, list[float]]], raw_video: Handle) -> "dict[str, Picture]":
    """The frame of each alert's moment with the boxes of its objects and without words: a name beside a box would answer the question."""
    from video_platform.analysis.second_look import Picture

    def draw(alert: AlertRecord) -> Row:
        return {"id": alert.id, "at_s": alert.start_s, "boxes": [{"box": box} for box in boxes[alert.id].values()], "zones": {}, "lines": {}}

    try:
        paths, notes = judging.snapshots(at, wanted, draw, raw_video)
    except (MediaError, WorkerError) as error:
        if error.retriable and at.context.retry_number < MAX_RETRIES:
            raise
        return {alert.id: Picture(None, reason=error.message) for alert in wanted}
    why = {note.partition(":")[0].removeprefix("no snapshot of alert "): note.partition(": ")[2] for note in notes}
    found = {}
    for alert in wanted:
        jpeg = paths[alert.id].read_bytes() if alert.id in paths else None
        found[alert.id] = Picture(jpeg, hashlib.sha256(jpeg).hexdigest()) if jpeg else Picture(None, reason=why.get(alert.id, "there is no picture of it"))
    return found


# ---- what is kept --------------------------------------------------------------------------------------------------------------------------------------


def _rows(at: Step, stored: Manifest) -> list[Row]:
    """What the stored version says of each alert; nothing where that cannot be read."""
    entry = stored.file("second_look")
    try:
        return json.loads(at.desk.platform.store.get_bytes(entry.key))["looks"] if entry else []
    except (ObjectNotFound, ValueError):
        return []


def _row(alert: AlertRecord, said: "Looked", claim: "Claim | None" = None, digest: str = "") -> Row:
    """What the file says of one alert."""
    asked = {"claim": claim, "digest": digest, "key": said.key, "answer": said.answer.answer if said.answer else None}
    return {"alert": alert.id, "rule": alert.rule, "at_s": round(alert.start_s, 3), **asked, "look": said.look.model_dump()}


def _unasked(reason: str) -> "Looked":
    from video_platform.analysis.second_look import Looked, unverified

    return Looked(unverified(reason))


def _looks(rows: Sequence[Row]) -> dict[str, SecondLook]:
    return {row["alert"]: SecondLook.model_validate(row["look"]) for row in rows}


def _note(at: Step, looks: Mapping[str, SecondLook]) -> None:
    """Bring the ledger to these outcomes: those of other active alerts are of a setting or an evaluation that is past."""
    from video_platform.services.database import ledger

    for alert_id in ledger.looked_at(at.desk.platform.db, at.video_id):
        if alert_id not in looks:
            _tell(at, alert_id, None)
    for alert_id, said in looks.items():
        _tell(at, alert_id, said)


def _keep(at: Step) -> None:
    """What the ledger now says is kept among the objects before the manifest counts."""
    keeping.keep(at.desk.platform.db, at.desk.platform.store, at.video_id)


def _tell(at: Step, alert_id: str, said: SecondLook | None) -> None:
    from video_platform.services.database import ledger

    try:
        ledger.set_second_look(at.desk.platform.db, alert_id, said)
    except NotFound:
        at.context.log.warning(f"alert {alert_id} went with its video; nothing is noted of it")


def _facts(looker: "SecondLooker", rows: Sequence[Row], asker: "Looker | None") -> dict[str, object]:
    """`state` says how far alerts were looked at, `reason` why not further."""
    outcomes = [row["look"]["outcome"] for row in rows]
    answered = sum(bool(row["answer"]) for row in rows)
    state = "looked_at" if answered == len(rows) else "partly_looked_at" if answered else "not_looked_at"
    if not rows:
        state = "no_alerts" if looker.eyes is not None else "off"
    reasons = dict.fromkeys(row["look"]["reason"] for row in rows if not row["answer"])
    return {
        "state": state,
        "reason": "; ".join(reasons)[:1000] or None,
        "alerts": len(rows),
        **{outcome: outcomes.count(outcome) for outcome in ("confirmed", "rejected", "unverified")},
        "asked": asker.asked if asker else 0,
        "kept": asker.kept if asker else 0,
    }
