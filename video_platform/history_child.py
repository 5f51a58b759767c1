"""Rules over all that is stored, in a process of its own (`history` starts it): what a draft would change, and making the ledger what the active rules say.

Camera by camera and day by day, the stored tracks are judged as columns (`track_packs`, `analysis.batch_evaluation`); what becomes of each alert is decided
as reconciliation decides it. `python -m video_platform.history_child` is the child's side. One video alone (`of_one`) is judged in the process that asks.
"""

import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from video_platform import recipes, rules
from video_platform.errors import PlatformError
from video_platform.fingerprints import canonical, content_hash, fingerprint, hash_of_text, text_of, text_of_mapping
from video_platform.layout import ALERTS, TRACKS
from video_platform.records import AlertRecord, Lane, Lifecycle, Mark, VideoRecord, VideoState
from video_platform.services.database import archive, decisions, ledger_rows, reconciliation, rulesets, videos
from video_platform.services.database.archive import Evaluated
from video_platform.track_packs import TrackPacks, Wanted

if TYPE_CHECKING:
    from video_platform.analysis.batch_evaluation import Judged
    from video_platform.platform import Platform

Progress = Callable[[float, str], None]

WARM_UP = timedelta(days=1)
"""How long before `since` judging begins where one file goes on with another: what lasts longer is one day old at least."""

FEW = 20
"""Files before one video that are looked at where it goes on with them, when it is judged alone: they are read while somebody waits."""

OWN = ("camera", "recorded_at")
NO_RULES = rules.CameraRules("", (), {}, {})
"""What is of a video itself in the configuration of its alerts; the rest is the same for all that the same rules judged."""

ADDED, REMOVED, UNCHANGED = "added", "removed", "unchanged"


@dataclass
class Tally:
    """What was judged and what was not."""

    videos: int = 0
    footage_s: float = 0.0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    cannot_evaluate: Counter[tuple[str, str]] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """For the parent."""
        unanswered = [{"rule": rule, "reason": reason, "videos": number} for (rule, reason), number in sorted(self.cannot_evaluate.items())]
        left_out = [{"video_id": video_id, "reason": reason} for video_id, reason in self.left_out]
        return {"videos": self.videos, "hours": round(self.footage_s / 3600, 3), "left_out": left_out, "cannot_evaluate": unanswered}


class Past:
    """The stored tracks of a home, judged by a rule set."""

    def __init__(self, platform: "Platform", rule_set: rules.RuleSet, progress: Progress) -> None:
        self.platform, self.rule_set, self._progress = platform, rule_set, progress
        self.tally = Tally()
        settings = platform.settings
        self._packs = TrackPacks(
            settings.packs, platform.store, settings.history.cache_bytes, lambda video_id, why: self.tally.left_out.append((video_id, why))
        )

    def judged(
        self, camera: str, known: list[Evaluated], wanted: set[str], settled: Collection[str] = (), *, few: bool = False
    ) -> "Iterator[tuple[Evaluated, Judged]]":
        """The evaluations of those of a camera's videos that are `wanted`; nothing is looked for of rules that are `settled`.

        A `few` are read from the store, and nothing is kept for the next time.
        """
        from video_platform.analysis import batch_evaluation

        judge = batch_evaluation.Camera(self.rule_set.for_camera(camera), passed_over=settled)
        by_id = {each.record.video_id: each for each in known}
        for day, group in groupby(known, key=lambda each: each.day):
            of_day = list(group)
            if not any(each.record.video_id in wanted for each in of_day):
                continue
            named = [Wanted(each.record.video_id, each.tracks_hash) for each in of_day]
            parts = self._packs.read([each for each in named if each.video_id in wanted]) if few else self._packs.columns(camera, day, named)
            for ids, columns in parts:
                at = [position for position, video_id in enumerate(ids) if video_id in wanted]
                part = columns if len(at) == len(ids) else columns.of(at)
                given = [by_id[ids[position]] for position in at]
                yield from zip(given, judge.judge(part, [_judge(each) for each in given]), strict=True) if given else ()

    def count(self, video: Evaluated, judged: "Judged") -> None:
        """Note that a video was judged."""
        self.tally.videos += 1
        self.tally.footage_s += video.record.duration_s or 0.0
        self.tally.cannot_evaluate.update(judged.evaluation.cannot_evaluate)

    def say(self, done: int, of: int, camera: str) -> None:
        """How far it is."""
        self._progress(done / max(1, of), camera)

    def trim(self) -> None:
        """Keep the cache within its bound."""
        self._packs.trim()


def what_if(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """What the rules of `payload["text"]` would make of the alerts of the whole archive; the alerts, one a line, go to the file `payload["lines"]`."""
    with _platform() as platform, Path(payload["lines"]).open("w") as lines:
        past = Past(platform, rules.parse(payload["text"]), progress)
        told = _Told(lines)
        since = datetime.fromisoformat(payload["since"]) if payload.get("since") else None
        cameras = [camera for camera in archive.cameras(platform.db) if fnmatchcase(camera, payload.get("camera") or "*")]
        for number, camera in enumerate(cameras):
            past.say(number, len(cameras), camera)
            _compare(past, camera, since, told)
        past.trim()
    counts = [{"rule": rule, "camera": camera, **told.of(rule, camera)} for rule, camera in sorted(told.counts)]
    return {**past.tally.as_json(), "rules": counts}


def of_one(platform: "Platform", rule_set: rules.RuleSet, record: VideoRecord, most_hours: float) -> dict[str, Any] | str:
    """What these rules would make of the alerts of one video, as `what_if` says it of all; a sentence where it cannot be said.

    Nor is it said after more work than `most_hours`, which is hours of footage times rules that say something else than when the alerts were made. What began
    more than `FEW` files before is not followed.
    """
    camera, past = record.camera, Past(platform, rule_set, lambda done, what: None)
    known = archive.evaluated(platform.db, camera)
    video = next((each for each in known if each.record.video_id == record.video_id), None)
    if video is None:
        return "the alerts of this video were not made yet"
    earlier = _gone_on_from(known, {record.video_id})
    before = [each for each in known if each.record.video_id in earlier][-FEW:]
    judged_of = [*before, video]
    camera_rules = rule_set.for_camera(camera)
    settled = _settled(past, camera, judged_of)
    hours = sum(each.record.duration_s or 0.0 for each in judged_of) / 3600 * sum(rule.name not in settled for rule in camera_rules.rules)
    if hours > most_hours:
        return "there is too much footage, or there are too many rules, to count it at once"
    told = _Told(io.StringIO())
    for each, judged in past.judged(camera, judged_of, {each.record.video_id for each in judged_of}, settled, few=True):
        if each is video:
            past.count(video, judged)
            _tell(video, judged, _Ledger.of(past, camera, settled), _facts(camera_rules), told)
    if record.video_id in dict(past.tally.left_out):
        return dict(past.tally.left_out)[record.video_id]
    for rule in camera_rules.rules:
        told.counts.setdefault((rule.name, camera), Counter())
    return {**past.tally.as_json(), "rules": [{"rule": rule, "camera": camera, **told.of(rule, camera)} for rule, _ in told.counts]}


class _Told:
    """What is told of a draft: lines with the alerts, and the counts."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines
        self.counts: dict[tuple[str, str], Counter[str]] = {}

    def known(self, what: str, camera: str, alerts: Sequence[tuple[str, str]]) -> None:
        """Alerts of one video that the ledger has: rule and id of each, in one line."""
        for rule, number in Counter(rule for rule, _ in alerts).items():
            self.counts.setdefault((rule, camera), Counter())[what] += number
        if alerts:
            self._line({"what": what, "ids": [alert_id for _, alert_id in alerts]})

    def new(self, alert: AlertRecord) -> None:
        """One that the ledger has not."""
        self.counts.setdefault((alert.rule, alert.camera), Counter())[ADDED] += 1
        self._line({"what": ADDED, "alert": alert.model_dump(mode="json")})

    def _line(self, said: Mapping[str, Any]) -> None:
        self._lines.write(json.dumps(said, ensure_ascii=False) + "\n")

    def of(self, rule: str, camera: str) -> dict[str, int]:
        """The counts of one rule and camera."""
        return {what: self.counts[rule, camera][what] for what in (ADDED, REMOVED, UNCHANGED)}


@dataclass(frozen=True)
class _Ledger:
    """What the ledger has of a camera, by video: rows to be matched, and rule and id of active alerts of settled rules, which nothing can change."""

    rows: Mapping[str, list[Any]]
    settled: Mapping[str, list[tuple[str, str]]]

    @classmethod
    def of(cls, past: Past, camera: str, settled: Collection[str]) -> "_Ledger":
        return cls(archive.ledger(past.platform.db, camera, settled), archive.standing(past.platform.db, camera, settled) if settled else {})


def _compare(past: Past, camera: str, since: datetime | None, told: _Told) -> None:
    known = archive.evaluated(past.platform.db, camera)
    shown = {each.record.video_id for each in known if since is None or _ended(each) >= since}
    severities, settled = _facts(past.rule_set.for_camera(camera)), _settled(past, camera, known)
    ledger = _Ledger.of(past, camera, settled)
    for video, judged in past.judged(camera, known, shown | _gone_on_from(known, shown), settled):
        if video.record.video_id in shown:
            past.count(video, judged)
            _tell(video, judged, ledger, severities, told)


def _settled(past: Past, camera: str, known: list[Evaluated]) -> frozenset[str]:
    """The rules of a camera that say what they said when its alerts were made, so that judging them again would find the same.

    None, where anything else than rules may have changed since: then the fingerprint of some video is not that of its rules, camera, time and tracks.
    """
    from video_platform.analysis.continuing import counted

    before: dict[str, rules.CameraRules] = {}
    for name in {each.rules_version for each in known}:
        try:
            text = rules.DEFAULT_TEXT if name == rulesets.DEFAULT_VERSION else rulesets.get(past.platform.db, int(name)).text
            before[name] = rules.parse(text).for_camera(camera)
        except (PlatformError, ValueError):
            return frozenset()
    shared = {name: {key: text_of(value) for key, value in each.configuration(camera).items() if key not in OWN} for name, each in before.items()}
    for video in known:
        earlier = counted(before[video.rules_version], video.record.recorded_at, video.earlier)
        own = {name: text_of(value) for name, value in recipes.alerts(NO_RULES, video.record, earlier).items()}
        inputs = text_of({TRACKS: video.tracks_hash})
        configuration = text_of_mapping({**own, **shared[video.rules_version]})
        made_of = {"code_version": text_of(recipes.CODE_VERSIONS[ALERTS]), "configuration": configuration, "inputs": inputs}
        if hash_of_text(text_of_mapping(made_of)) != video.fingerprint:
            return frozenset()
    now = past.rule_set.for_camera(camera).hashes
    return frozenset(name for name, said in now.items() if before and all(each.hashes.get(name) == said for each in before.values()))


def _tell(video: Evaluated, judged: "Judged", ledger: "_Ledger", rule_facts: decisions.RuleFacts, told: _Told) -> None:
    camera, now = video.record.camera, datetime.now(UTC)
    rows = ledger.rows.get(video.record.video_id, [])
    taken = {row.id for row in rows}
    stays = list(ledger.settled.get(video.record.video_id, []))
    revived: list[tuple[str, str]] = []
    gone: list[tuple[str, str]] = []
    added: list[AlertRecord] = []
    for decision in decisions.decide(rows, judged.evaluation.episodes, video.tracks_hash):
        for row, _ in decision.kept:
            (stays if row.lifecycle == Lifecycle.ACTIVE else revived).append((decision.rule, row.id))
        gone += [(decision.rule, row.id) for row in decision.gone]
        for new in decision.new:
            alert_id = decisions.new_id(video.record, ALERTS, new.episode, taken)
            said = decisions.facts(video.record, new.episode, rule_facts)
            fixed = {"id": alert_id, "video_id": video.record.video_id, "rule": decision.rule, "split_of": new.split_of, "asset": ALERTS}
            state = {"lifecycle": Lifecycle.ACTIVE, "mark": Mark.NONE, "raised_at": now, "updated_at": now}
            added.append(ledger_rows.record_of({**said, **fixed, **state}))
    for what, alerts in ((UNCHANGED, stays), (ADDED, revived), (REMOVED, gone)):
        told.known(what, camera, alerts)
    for alert in added:
        told.new(alert)


def reconcile(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Bring the ledger to what the active rules say of the videos whose alerts come from other rules."""
    with _platform() as platform:
        version = rulesets.active(platform.db)
        if version is None:
            return {**Tally().as_json(), "raised": 0, "superseded": 0, "revived": 0, "kept": 0, "notified": 0}
        past = Past(platform, version.rule_set, progress)
        outdated = set(rulesets.outdated(platform.db))
        writing = _Writing(past, version.id, notify=bool(payload.get("notify")))
        cameras = archive.cameras(platform.db)
        for number, camera in enumerate(cameras):
            past.say(number, len(cameras), camera)
            known = archive.evaluated(platform.db, camera)
            mine = {each.record.video_id for each in known} & outdated
            for video, judged in past.judged(camera, known, mine | _gone_on_from(known, mine)) if mine else ():
                if video.record.video_id in mine:
                    writing.video(video, judged)
        past.trim()
    return {**past.tally.as_json(), **writing.done}


class _Writing:
    """Brings the ledger to what was judged, one video a transaction, for as long as `version` is the active one."""

    def __init__(self, past: Past, version: int, *, notify: bool) -> None:
        self._past, self._version, self._notify = past, version, notify
        self.done: Counter[str] = Counter(dict.fromkeys(("raised", "superseded", "revived", "kept", "notified"), 0))

    def video(self, video: Evaluated, judged: "Judged") -> None:
        """One video; one that changed meanwhile, or is in the hands of a run, is left to that run.

        Where other rules have become active meanwhile it is left out too: whoever made them so may have judged it by them already.
        """
        camera_rules = self._past.rule_set.for_camera(video.record.camera)
        configuration = {name: canonical(value) for name, value in recipes.alerts(camera_rules, video.record, judged.earlier).items()}
        made_of = fingerprint(recipes.CODE_VERSIONS[ALERTS], configuration, {TRACKS: video.tracks_hash})
        now = datetime.now(UTC)
        with self._past.platform.db.write() as connection:
            current = videos.find(connection, video.record.video_id, lock=True)
            if current is None or not _as_judged(current, video.record):
                return
            if not rulesets.still_active(connection, self._version):
                self._past.tally.left_out.append((current.video_id, f"rules newer than version {self._version} became active meanwhile"))
                return
            change = reconciliation.reconcile_locked(connection, current, self._input(video, judged, camera_rules, made_of, now))
        self._past.count(video, judged)
        for what in ("raised", "superseded", "revived", "kept", "notified"):
            self.done[what] += len(getattr(change, what))

    def _input(self, video: Evaluated, judged: "Judged", camera_rules: rules.CameraRules, made_of: str, now: datetime) -> reconciliation.EvaluationInput:
        return reconciliation.EvaluationInput(
            video_id=video.record.video_id,
            asset=ALERTS,
            fingerprint=made_of,
            content_hash=content_hash(judged.evaluation.episodes),
            tracks_hash=video.tracks_hash,
            rules_version=str(self._version),
            episodes=judged.evaluation.episodes,
            open_states=judged.evaluation.open,
            rule_facts=_facts(camera_rules),
            notify=self._notify,
            fresh_hours=self._past.platform.settings.notify.fresh_hours,
            lane=Lane.BACKFILL,
            run_id=None,
            now=now,
            processed_key=f"{video.record.generation}:{video.tracks_hash}",
        )


def _as_judged(current: VideoRecord, seen: VideoRecord) -> bool:
    same = ("camera", "recorded_at", "generation", "width", "height")
    return current.state is VideoState.READY and all(getattr(current, name) == getattr(seen, name) for name in same)


def _facts(camera_rules: rules.CameraRules) -> decisions.RuleFacts:
    return {rule.name: (rule.severity, rule.channels) for rule in camera_rules.rules}


def _ended(video: Evaluated) -> datetime:
    return video.moment + timedelta(seconds=video.record.duration_s or 0.0)


def _gone_on_from(known: list[Evaluated], wanted: set[str]) -> set[str]:
    """The videos before the wanted ones that they go on with, file after file, for as long as `WARM_UP`."""
    from video_platform.analysis.continuing import JOIN_S

    found: set[str] = set()
    first: dict[str, datetime] = {}
    for video in reversed(known):
        earlier, video_id = video.earlier, video.record.video_id
        if earlier is None or earlier.ended_at is None or video.record.recorded_at is None or (video_id not in wanted and video_id not in found):
            continue
        begins = first.get(video_id, video.record.recorded_at)
        joined = abs((video.record.recorded_at - earlier.ended_at).total_seconds()) <= JOIN_S
        if joined and earlier.video_id not in wanted and begins - earlier.recorded_at <= WARM_UP:
            found.add(earlier.video_id)
            first[earlier.video_id] = begins
    return found


def _judge(video: Evaluated) -> Any:
    from video_platform.analysis.batch_evaluation import Judge

    return Judge(video.record.video_id, video.record.recorded_at, video.record.aspect, video.earlier)


def _platform() -> "Platform":
    from video_platform.platform import open_platform

    return open_platform()


TASKS = {"what_if": what_if, "reconcile": reconcile}

if __name__ == "__main__":
    from video_platform.analysis.worker_child import main

    main(sys.argv[1:], TASKS)
