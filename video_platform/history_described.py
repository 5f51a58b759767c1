"""What is seen and said over the past: `sees` and `says` rules judged from stored transcripts and from answers that were given before. Nobody is asked.

Only videos are read whose rules of these kinds differ from those that their alerts come from, one after the other: whatever a promotion would leave alone
stays as it is. Steps judge the same way (`pipeline.describing`), with the same functions.
"""

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from video_platform import layout, questioning, recipes, rules
from video_platform.errors import InputError, ObjectNotFound, PlatformError
from video_platform.fingerprints import canonical, fingerprint
from video_platform.history_told import Tally
from video_platform.layout import DESCRIBED_ALERTS, SCENES, TRACKS, TRANSCRIPT
from video_platform.records import Manifest, Scene, Transcript, VideoRecord
from video_platform.services import vision
from video_platform.services.database import rulesets
from video_platform.services.database.archive import Evaluated
from video_platform.services.vision import Eyes

if TYPE_CHECKING:
    from video_platform.analysis.asking import Recalled
    from video_platform.analysis.described import Described, Heard
    from video_platform.platform import Platform

SEES, SAYS = "sees", "says"

READERS = 8
"""Videos that are read at once, as of tracks (`track_packs`)."""

SMALL_BYTES = 4 * 1024 * 1024
"""A larger file is read when its turn comes: of these there is one in memory, of smaller ones as many as are read at once. Ten hours of speech are more."""

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Largest file of ours that is read whole, as pages do."""

NOT_YET = "what is seen and said in the video was not judged yet; `vp backfill start --cause unfinished` has it done"
NOT_NOW = "nobody is asked while somebody draws; try it on what is stored, which says what is known already"


@dataclass(frozen=True)
class Judged:
    """One video: what its rules find, `made_of` what that is made from (a fingerprint); `provisional` where some of it could not be asked."""

    video: Evaluated
    found: "Described"
    made_of: str
    provisional: bool


class _Span(BaseModel):
    start_s: float
    end_s: float


class _Sheet(BaseModel):
    """Of the tracks for the player, when each was there."""

    tracks: list[_Span]


class _Unreadable(Exception):
    """What a video would be judged on cannot be had; says why."""


@dataclass
class _Stored:
    """What is stored of one video: manifests by asset, and those of their files that are small, by key."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class DescribedPast:
    """The past of a home as `sees` and `says` rules find it. `ask`: whether the language-model server may be asked what it has. Questions are put to nobody."""

    def __init__(self, platform: "Platform", rule_set: rules.RuleSet, tally: Tally, *, ask: bool = True) -> None:
        self._platform, self._rule_set, self._tally, self._ask = platform, rule_set, tally, ask
        self._eyes: Eyes | None = None
        self._said: dict[tuple[str, str], object] = {}
        self._parsed: dict[str, rules.RuleSet | None] = {}

    def changed(self, camera: str, known: Iterable[Evaluated]) -> list[Evaluated]:
        """Those of a camera's videos whose alerts come from rules that said something else; the others are not judged anew by promoting."""
        now = canonical(self._of(camera).configuration(camera))
        return [each for each in known if self._before(each.rules_version, camera) != now]

    def judged(self, camera: str, wanted: Sequence[Evaluated]) -> Iterator[Judged]:
        """The evaluations of these videos of one camera, in their order; one whose files cannot be had is told to the tally."""
        camera_rules = self._of(camera)
        for video, stored in self._read(camera_rules, wanted):
            try:
                judged = self._one(video, camera_rules, stored)
            except (_Unreadable, ObjectNotFound, ValidationError, InputError) as error:
                reason = "what it was described with cannot be read" if isinstance(error, ValidationError) else str(error)
                self._tally.left_out.append((video.record.video_id, reason))
                continue
            self._tally.cannot_evaluate.update(judged.found.cannot_evaluate)
            yield judged

    def not_yet(self, camera: str, number: int) -> None:
        """Note that so many videos of a camera have not been judged by rules of these kinds at all."""
        if number:
            self._tally.cannot_evaluate.update(Counter({(rule.name, NOT_YET): number for rule in self._of(camera).rules}))

    def _of(self, camera: str) -> rules.CameraRules:
        return self._rule_set.for_camera(camera).on_description

    def _before(self, version: str, camera: str) -> object:
        """What a version said of these kinds for a camera, None where it cannot be told."""
        if version not in self._parsed:
            try:
                text = rules.DEFAULT_TEXT if version == rulesets.DEFAULT_VERSION else rulesets.get(self._platform.db, int(version)).text
                self._parsed[version] = rules.parse(text)
            except (PlatformError, ValueError):
                self._parsed[version] = None
        rule_set = self._parsed[version]
        if (version, camera) not in self._said:
            self._said[version, camera] = None if rule_set is None else canonical(rule_set.for_camera(camera).on_description.configuration(camera))
        return self._said[version, camera]

    def _who(self) -> Eyes:
        """Who would be asked, looked up once."""
        if self._eyes is None:
            self._eyes = vision.choose(self._platform.settings.language_model) if self._ask else Eyes("", lack="not_wanted", reason=NOT_NOW)
        return self._eyes

    # ---- reading ---------------------------------------------------------------------------------------------------------------------------------------

    def _read(self, camera_rules: rules.CameraRules, wanted: Sequence[Evaluated]) -> "Iterator[tuple[Evaluated, _Stored]]":
        files = _needed(camera_rules)
        if SEES in {rule.kind for rule in camera_rules.rules} and self._who().model is None:
            files |= {TRACKS: None, DESCRIBED_ALERTS: None}  # nobody's answers can be looked up
        with ThreadPoolExecutor(READERS, thread_name_prefix="described") as readers:
            ahead: deque[tuple[Evaluated, Future[_Stored]]] = deque()
            for video in wanted:
                ahead.append((video, readers.submit(self._stored, video.record.video_id, files)))
                if len(ahead) >= READERS:
                    first, found = ahead.popleft()
                    yield first, found.result()
            for video, found in ahead:
                yield video, found.result()

    def _stored(self, video_id: str, files: Mapping[str, str | None]) -> _Stored:
        found = _Stored()
        for asset, role in files.items():
            try:
                manifest = Manifest.model_validate_json(self._platform.store.get_bytes(layout.manifest_key(video_id, asset)))
            except (ObjectNotFound, ValidationError):
                continue
            found.manifests[asset] = manifest
            entry = manifest.file(role) if role else None
            if entry is not None and entry.size_bytes <= SMALL_BYTES:
                try:
                    found.files[entry.key] = self._platform.store.get_bytes(entry.key)
                except ObjectNotFound:
                    continue  # said when it is needed
        return found

    def _file(self, stored: _Stored, asset: str, role: str) -> bytes:
        manifest = stored.manifests.get(asset)
        entry = manifest.file(role) if manifest else None
        if entry is None:
            raise _Unreadable(f"its {asset} are not there")
        return stored.files.pop(entry.key, None) or self._platform.store.get_bytes(entry.key, max_bytes=MAX_FILE_BYTES)

    # ---- judging ---------------------------------------------------------------------------------------------------------------------------------------

    def _one(self, video: Evaluated, camera_rules: rules.CameraRules, stored: _Stored) -> Judged:
        from video_platform.analysis import described

        record, kinds = video.record, {rule.kind for rule in camera_rules.rules}
        scenes = self._scenes(stored) if SCENES in _needed(camera_rules) else []
        duration_s = scenes[-1].end_s if scenes else 0.0
        heard = self._heard(stored) if SAYS in kinds else described.Heard(None)
        eyes = self._who() if SEES in kinds else None
        recalled = self._recalled(record, camera_rules, stored, scenes, duration_s, heard) if eyes and eyes.model else {}
        lacking = {rule: each.lacking for rule, each in recalled.items() if each.lacking}
        for rule, frames in lacking.items():
            self._tally.lacks(rule, frames)
        away = eyes is not None and eyes.away
        found = described.evaluate(
            camera_rules,
            duration_s=duration_s,
            recorded_at=record.recorded_at,
            heard=heard,
            unseen=eyes.reason if eyes and eyes.model is None else None,
            answers={rule: each.answers for rule, each in recalled.items()},
            waiting=lambda rule: rule in lacking,
            model=eyes.name if eyes else "",
        )
        return Judged(video, found, self._made_of(record, camera_rules, stored, eyes), away or bool(lacking))

    def _made_of(self, record: VideoRecord, camera_rules: rules.CameraRules, stored: _Stored, eyes: Eyes | None) -> str:
        """The fingerprint that the step would give this evaluation."""
        made_with = recipes.described_alerts(self._platform.settings, camera_rules, record, questioning.configuration(eyes))
        configuration = {name: canonical(value) for name, value in made_with.items()}
        inputs = {name: stored.manifests[name].content_hash for name in recipes.of_described(configuration) if name in stored.manifests}
        return fingerprint(recipes.CODE_VERSIONS[DESCRIBED_ALERTS], configuration, inputs)

    def _heard(self, stored: _Stored) -> "Heard":
        from video_platform.analysis.described import Heard

        return Heard(Transcript.model_validate_json(self._file(stored, TRANSCRIPT, "transcript")) if TRANSCRIPT in stored.manifests else None)

    def _scenes(self, stored: _Stored) -> list[Scene]:
        return [Scene(**scene) for scene in json.loads(self._file(stored, SCENES, "scenes"))]

    def _recalled(
        self, record: VideoRecord, camera_rules: rules.CameraRules, stored: _Stored, scenes: Sequence[Scene], duration_s: float, heard: "Heard"
    ) -> "dict[str, Recalled]":
        """Of each rule that asks: the answers, or how many frames would have to be asked about."""
        from video_platform.analysis import asking, described, key_frames, seen

        model, settings = self._who().model, self._platform.settings.questions
        assert model is not None
        tracks = _Sheet.model_validate_json(self._file(stored, TRACKS, "player")).tracks
        choice = key_frames.choose(tracks, scenes, max_frames=settings.max_frames)
        moments, _ = seen.moments(choice, duration_s, quiet_every_s=settings.quiet_every_s, at_most=settings.max_frames)
        rows = self._questions(stored)
        shown = {round(row["at_s"], 3): row["digest"] for row in rows}
        answers = {row["key"]: row["answer"] == "yes" for row in rows if row["answer"]}
        found = {}
        for rule in camera_rules.rules:
            if rule.kind == SEES and not described.why_not(rule, record.recorded_at, heard, None):
                text = rule.when.question or ""
                question = asking.Question(rule.name, text, described.open_spans(rule, record.recorded_at, duration_s))
                known = lambda digest, text=text: answers.get(seen.key_of(digest, model, text))  # noqa: E731
                found[rule.name] = asking.recall(question, moments, scenes, shown, known)
        return found

    def _questions(self, stored: _Stored) -> list[dict[str, Any]]:
        """What was asked of this video so far, with the answers; what asking took is told to the tally."""
        manifest = stored.manifests.get(DESCRIBED_ALERTS)
        if manifest is None:
            return []
        if asked := manifest.facts.get("asked"):
            self._tally.asked += int(str(asked))
            self._tally.asked_s += manifest.cost.wall_s
        return list(json.loads(self._file(stored, DESCRIBED_ALERTS, "alerts")).get("questions", ()))


def _needed(camera_rules: rules.CameraRules) -> dict[str, str | None]:
    """Asset -> role of the file that these rules are judged on, None where its manifest is enough. Schedules end with the last scene."""
    kinds = {rule.kind for rule in camera_rules.rules}
    files: dict[str, str | None] = {TRANSCRIPT: "transcript"} if SAYS in kinds else {}
    if SEES in kinds:
        files |= {TRACKS: "player", DESCRIBED_ALERTS: "alerts"}
    if SEES in kinds or any(rule.schedule for rule in camera_rules.rules):
        files[SCENES] = "scenes"
    return files
