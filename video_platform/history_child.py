"""Rules over all that is stored, in a process of its own (`history` starts it): what a draft would change, and making the ledger what the active rules say.

Camera by camera and day by day, the stored tracks are judged as columns (`track_packs`, `analysis.batch_evaluation`), then what is seen and said
(`history_described`); what becomes of each alert is decided as reconciliation decides it. `python -m video_platform.history_child` is the child's side. One
video alone (`of_one`) is judged in the process that asks.
"""

import io
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform import recipes, rules
from video_platform.errors import PlatformError
from video_platform.fingerprints import hash_of_text, text_of, text_of_mapping
from video_platform.history_described import DescribedPast
from video_platform.history_told import UNCHANGED, Tally, Told
from video_platform.history_writing import DONE, Writing, facts
from video_platform.layout import ALERTS, DESCRIBED_ALERTS, TRACKS
from video_platform.records import Lifecycle, VideoRecord
from video_platform.services.database import archive, rulesets
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

        judge = batch_evaluation.Camera(self.rule_set.for_camera(camera).on_tracks, passed_over=settled)
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
        self.tally.count(video)
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
        told, described = Told(lines), DescribedPast(platform, past.rule_set, past.tally)
        since = datetime.fromisoformat(payload["since"]) if payload.get("since") else None
        cameras = [camera for camera in archive.cameras(platform.db) if fnmatchcase(camera, payload.get("camera") or "*")]
        for number, camera in enumerate(cameras):
            past.say(number, len(cameras), camera)
            _compare(past, camera, since, told)
            _compare_described(past, described, camera, since, told)
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
    hours = sum(each.record.duration_s or 0.0 for each in judged_of) / 3600 * sum(rule.name not in settled for rule in camera_rules.on_tracks.rules)
    if hours > most_hours:
        return "there is too much footage, or there are too many rules, to count it at once"
    told = Told(io.StringIO())
    for each, judged in past.judged(camera, judged_of, {each.record.video_id for each in judged_of}, settled, few=True):
        if each is video:
            past.count(video, judged)
            ledger = _Ledger.of(past, camera, settled)
            told.compare(video, judged.evaluation.episodes, ledger.of_video(video), facts(camera_rules), settled=ledger.of_settled(video))
    if record.video_id in dict(past.tally.left_out):
        return dict(past.tally.left_out)[record.video_id]
    only = [each for each in archive.evaluated(platform.db, camera, DESCRIBED_ALERTS) if each.record.video_id == record.video_id]
    _tell_described(past, DescribedPast(platform, rule_set, past.tally, ask=False), camera, only, 1 - len(only), told)
    for rule in camera_rules.rules:
        told.counts.setdefault((rule.name, camera), Counter())
    return {**past.tally.as_json(), "rules": [{"rule": rule, "camera": camera, **told.of(rule, camera)} for rule, _ in told.counts]}


@dataclass(frozen=True)
class _Ledger:
    """What the ledger has of a camera, by video: rows to be matched, and rule and id of active alerts of settled rules, which nothing can change."""

    rows: Mapping[str, list[Any]]
    settled: Mapping[str, list[tuple[str, str]]]

    @classmethod
    def of(cls, past: Past, camera: str, settled: Collection[str]) -> "_Ledger":
        return cls(archive.ledger(past.platform.db, camera, settled), archive.standing(past.platform.db, camera, settled) if settled else {})

    def of_video(self, video: Evaluated) -> list[Any]:
        """The rows of one video."""
        return self.rows.get(video.record.video_id, [])

    def of_settled(self, video: Evaluated) -> list[tuple[str, str]]:
        """Rule and id of what nothing can change in it."""
        return self.settled.get(video.record.video_id, [])


def _compare(past: Past, camera: str, since: datetime | None, told: Told) -> None:
    known = archive.evaluated(past.platform.db, camera)
    shown = {each.record.video_id for each in known if since is None or _ended(each) >= since}
    severities, settled = facts(past.rule_set.for_camera(camera)), _settled(past, camera, known)
    ledger = _Ledger.of(past, camera, settled)
    for video, judged in past.judged(camera, known, shown | _gone_on_from(known, shown), settled):
        if video.record.video_id in shown:
            past.count(video, judged)
            told.compare(video, judged.evaluation.episodes, ledger.of_video(video), severities, settled=ledger.of_settled(video))


def _compare_described(past: Past, described: DescribedPast, camera: str, since: datetime | None, told: Told) -> None:
    """The same for rules over what is seen and said, of the videos that they have judged; how many they have not is said."""
    shown = {each.record.video_id for each in archive.evaluated(past.platform.db, camera) if since is None or _ended(each) >= since}
    known = [each for each in archive.evaluated(past.platform.db, camera, DESCRIBED_ALERTS) if each.record.video_id in shown]
    _tell_described(past, described, camera, known, len(shown) - len(known), told)


def _tell_described(past: Past, described: DescribedPast, camera: str, known: list[Evaluated], lacking: int, told: Told) -> None:
    """Of one camera: `known` videos are judged where their rules of these kinds differ; `lacking` is how many have not been judged by any."""
    rule_facts = facts(past.rule_set.for_camera(camera).on_description)
    described.not_yet(camera, lacking)
    changed = described.changed(camera, known)
    rows = archive.ledger(past.platform.db, camera, asset=DESCRIBED_ALERTS)
    settled = {each.record.video_id for each in known} - {each.record.video_id for each in changed}
    for video_id in sorted(settled & rows.keys()):
        told.known(UNCHANGED, camera, [(row.rule, row.id) for row in rows[video_id] if row.lifecycle == Lifecycle.ACTIVE])
    for judged in described.judged(camera, changed):
        mine = rows.get(judged.video.record.video_id, [])
        told.compare(judged.video, judged.found.episodes, mine, rule_facts, asset=DESCRIBED_ALERTS, unjudged=judged.found.unjudged)


def _settled(past: Past, camera: str, known: list[Evaluated]) -> frozenset[str]:
    """The rules of a camera that say what they said when its alerts were made, so that judging them again would find the same.

    None, where anything else than rules may have changed since: then the fingerprint of some video is not that of its rules, camera, time and tracks.
    """
    from video_platform.analysis.continuing import counted

    before: dict[str, rules.CameraRules] = {}
    for name in {each.rules_version for each in known}:
        try:
            text = rules.DEFAULT_TEXT if name == rulesets.DEFAULT_VERSION else rulesets.get(past.platform.db, int(name)).text
            before[name] = rules.parse(text).for_camera(camera).on_tracks
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


def reconcile(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Bring the ledger to what the active rules say of the videos whose alerts come from other rules."""
    with _platform() as platform:
        version = rulesets.active(platform.db)
        if version is None:
            return {**Tally().as_json(), **dict.fromkeys(DONE, 0)}
        past = Past(platform, version.rule_set, progress)
        described = DescribedPast(platform, past.rule_set, past.tally)
        outdated, outdated_described = (set(rulesets.outdated(platform.db, asset=asset)) for asset in (ALERTS, DESCRIBED_ALERTS))
        writing = Writing(platform, past.rule_set, past.tally, version.id, notify=bool(payload.get("notify")))
        cameras = archive.cameras(platform.db)
        for number, camera in enumerate(cameras):
            past.say(number, len(cameras), camera)
            known = archive.evaluated(platform.db, camera)
            mine = {each.record.video_id for each in known} & outdated
            for video, judged in past.judged(camera, known, mine | _gone_on_from(known, mine)) if mine else ():
                if video.record.video_id in mine and writing.on_tracks(video, judged):
                    past.tally.cannot_evaluate.update(judged.evaluation.cannot_evaluate)
            by_words = [each for each in archive.evaluated(platform.db, camera, DESCRIBED_ALERTS) if each.record.video_id in outdated_described]
            for said in described.judged(camera, by_words):
                writing.on_description(said)
        past.trim()
    return {**past.tally.as_json(), **writing.done}


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
