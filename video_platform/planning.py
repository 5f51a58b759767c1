"""What would be made again now, why, and what it would take: stored results compared with the recipes of now.

Only what was really made from something else counts: a rule of another camera, a comment or a severity outdates nothing. What follows from an outdated result
is part of the plan, although it is left alone in the end where the new content equals the old: a plan is the most that may be done.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from video_platform import recipes, rules
from video_platform.access import ANYONE, Person
from video_platform.catalog_results import ResultReader
from video_platform.fingerprints import canonical
from video_platform.layout import (
    ALERTS,
    ASSETS,
    DESCRIBED_ALERTS,
    DETECTIONS,
    HIGHLIGHTS,
    LLM_SUMMARY,
    PROCESSED_VIDEO,
    RAW_VIDEO,
    SCENES,
    SEARCH_INDEX,
    TRACKS,
)
from video_platform.planning_costs import MEASURED_VIDEOS, Held, RunCost, run_cost, seconds_of
from video_platform.records import Manifest, VideoRecord, VideoState
from video_platform.services.database import Database, ledger, rulesets, troubles, videos
from video_platform.services.object_store import ObjectStore
from video_platform.settings import Settings

CHUNK = 200
"""Videos whose manifests are held at once: some megabytes."""


class Cause(StrEnum):
    """Why results are outdated; each is a row of the table in docs/backfills.md."""

    RULES = "rules"
    RECORDING = "recording"
    TRACKER = "tracker"
    DETECTOR = "detector"
    PROXY = "proxy"
    SCENES = "scenes"
    SUMMARY = "summary"
    VISION = "vision"
    SEARCH = "search"
    PROGRAM = "program"
    UNFINISHED = "unfinished"


CAUSE_WORDS: Mapping[Cause, str] = {
    Cause.RULES: "rules, zones, lines or cooldowns changed",
    Cause.RECORDING: "camera or recording time was corrected",
    Cause.TRACKER: "tracker settings changed",
    Cause.DETECTOR: "the detector or its settings changed",
    Cause.PROXY: "settings of the browser copy changed",
    Cause.SCENES: "settings of scenes changed",
    Cause.SUMMARY: "the model that writes summaries, or its prompt, changed",
    Cause.VISION: "the model that is shown frames, its prompt, or how often it is asked, changed",
    Cause.SEARCH: "the model that search by meaning uses changed, came or went",
    Cause.PROGRAM: "this version of the program makes them otherwise",
    Cause.UNFINISHED: "missing, a stand-in, or made from other inputs than there are now",
}

OF_ASSET: Mapping[str, Cause] = {
    PROCESSED_VIDEO: Cause.PROXY,
    DETECTIONS: Cause.DETECTOR,
    SCENES: Cause.SCENES,
    TRACKS: Cause.TRACKER,
    LLM_SUMMARY: Cause.SUMMARY,
    SEARCH_INDEX: Cause.SEARCH,
}
"""The cause that another configuration of an asset stands for; alerts of both kinds have several, footage and clips have none."""

ASKED_FOR = frozenset({Cause.SUMMARY, Cause.VISION, Cause.UNFINISHED})
"""Causes that only the language-model server can tell of: what it has now, and whether what waits for it can be made."""

NO_CAUSE = frozenset({"aspect", "earlier", "duration_s"})
"""Fields of a configuration that follow from other results, not from anybody's wish."""

OF_RECORDING = frozenset({"camera", "recorded_at"})


@dataclass(frozen=True)
class Writer:
    """Who would write summaries now, or answer questions about frames: what counts of it in a fingerprint, or, in `doubt`, why that cannot be told."""

    configuration: Mapping[str, object] | None
    doubt: str = ""


NOT_ASKED = Writer(None, "not asked")
"""Where it does not count who writes."""


@dataclass(frozen=True)
class Present:
    """What results would be made with now."""

    settings: Settings
    rule_set: rules.RuleSet
    writer: Writer
    seer: Writer = NOT_ASKED

    @classmethod
    def for_causes(cls, settings: Settings, db: Database, causes: Collection[Cause]) -> "Present":
        """As `of`; the language-model server is asked only for what these causes need to know."""
        writer = None if Cause.SUMMARY in causes else NOT_ASKED
        seer = None if {Cause.VISION, Cause.UNFINISHED}.intersection(causes) else NOT_ASKED
        return cls.of(settings, db, writer, seer)

    @classmethod
    def of(cls, settings: Settings, db: Database, writer: Writer | None = None, seer: Writer | None = None) -> "Present":
        """As settings and database say; the language-model server is asked for what is not given, which takes some seconds at most.

        Raises:
            RulesError: this version of the program cannot read the active rules.
            SettingsError: the settings name an unknown detector.
        """
        active = rulesets.active(db)
        rule_set = rules.parse(rules.DEFAULT_TEXT) if active is None else active.rule_set
        return cls(settings, rule_set, _writer(settings) if writer is None else writer, _seer(settings, rule_set) if seer is None else seer)

    def configurations(self, record: VideoRecord) -> dict[str, Mapping[str, object]]:
        """Asset -> what it would be configured with, in canonical form; without what the footage before a video hands on, which its own step looks after."""
        found: dict[str, Mapping[str, object]] = {
            RAW_VIDEO: recipes.raw_video(record),
            **recipes.one_pass(self.settings),
            TRACKS: recipes.tracks(self.settings, record),
            ALERTS: recipes.alerts(self.rule_set.for_camera(record.camera), record, None),
            HIGHLIGHTS: recipes.highlights(record),
            DESCRIBED_ALERTS: recipes.described_alerts(self.settings, self.rule_set.for_camera(record.camera), record, _plain(self.seer.configuration)),
            SEARCH_INDEX: recipes.search_index(self.settings),
        }
        if self.writer.configuration is not None:
            found[LLM_SUMMARY] = self.writer.configuration
        return {asset: {name: canonical(value) for name, value in configuration.items()} for asset, configuration in found.items()}


@dataclass(frozen=True)
class Outdated:
    """What of one video is outdated: cause -> the assets that are so themselves. `seconds` is what making each asset took the last time, where known."""

    record: VideoRecord
    causes: Mapping[Cause, Sequence[str]]
    seconds: Mapping[str, float | None]

    def assets(self, causes: Collection[Cause] = tuple(Cause)) -> list[str]:
        """What would be made for these causes, with what follows, in the order of the graph."""
        return recipes.following({asset for cause, direct in self.causes.items() if cause in causes for asset in direct})


@dataclass(frozen=True)
class PlannedVideo:
    """One video of a plan: what would be made of it, in about how many seconds of one slot."""

    video_id: str
    assets: Sequence[str]
    seconds: float


@dataclass(frozen=True)
class CausePlan:
    """What one cause outdates; `videos` are newest first."""

    cause: Cause
    videos: Sequence[PlannedVideo]

    @property
    def assets(self) -> dict[str, int]:
        """Asset -> in how many videos it would be made, in the order of the graph."""
        counted = Counter(asset for video in self.videos for asset in video.assets)
        return {asset: counted[asset] for asset in ASSETS if asset in counted}

    @property
    def seconds(self) -> float:
        """About how long it would take with one slot."""
        return sum(video.seconds for video in self.videos)


@dataclass(frozen=True)
class Plan:
    """What each cause outdates, those without videos left out; `unknown` says of a cause why it cannot be told, `current` counts videos with nothing to do.

    `seconds` is for all causes together: what two of them outdate is made once. `run` is what it counts for each run that is needed.
    """

    causes: Sequence[CausePlan]
    videos: int
    current: int
    seconds: float
    run: RunCost
    unknown: Mapping[Cause, str] = field(default_factory=dict)

    def cause(self, cause: Cause) -> CausePlan:
        """The plan of one cause, empty where it outdates nothing."""
        return next((each for each in self.causes if each.cause is cause), CausePlan(cause, []))


def make(
    db: Database,
    store: ObjectStore,
    present: Present,
    held: Held,
    *,
    causes: Collection[Cause] = tuple(Cause),
    person: Person = ANYONE,
    among: Collection[str] | None = None,
) -> Plan:
    """The plan over all ready videos that `person` may see, or those `among` them, newest first. What is being processed, or failed, is left out.

    Reads every manifest: about 8 small objects a video. `held` tells how long runs took.
    """
    found, current, doubted = [], 0, False
    ready = [record for record in _ready(db, among) if person.may_see(record.camera)]
    for outdated in outdated_of(db, store, present, ready):
        doubted = doubted or Cause.SUMMARY in outdated.causes
        kept = {cause: assets for cause, assets in outdated.causes.items() if cause in causes and not (cause is Cause.SUMMARY and present.writer.doubt)}
        if kept:
            found.append(Outdated(outdated.record, kept, outdated.seconds))
        else:
            current += 1
    usual = _usual(found)
    run = run_of(db, store, held, present.settings)
    each = {cause: [_planned(one, [cause], usual, run.seconds) for one in found if cause in one.causes] for cause in Cause}
    plans = [CausePlan(cause, planned) for cause, planned in each.items() if planned]
    seconds = sum(_planned(one, causes, usual, run.seconds).seconds for one in found)
    unknown = {Cause.SUMMARY: present.writer.doubt} if doubted and present.writer.doubt and Cause.SUMMARY in causes else {}
    if present.seer.doubt and Cause.VISION in causes and _asks(present.rule_set):
        unknown[Cause.VISION] = present.seer.doubt
    return Plan(plans, len(ready), current, seconds, run, unknown)


def outdated_of(db: Database, store: ObjectStore, present: Present, records: Sequence[VideoRecord]) -> Iterator[Outdated]:
    """What of each of these videos is outdated, in their order; nothing of a video leaves its `causes` empty."""
    reader = ResultReader(store)
    for start in range(0, len(records), CHUNK):
        chunk = records[start : start + CHUNK]
        manifests = reader.manifests([(record.video_id, asset) for record in chunk for asset in ASSETS])
        evaluated = {asset: ledger.fingerprints(db, [record.video_id for record in chunk], asset) for asset in (ALERTS, DESCRIBED_ALERTS)}
        for record in chunk:
            mine = {asset: manifest for asset in ASSETS if (manifest := manifests.get((record.video_id, asset)))}
            causes = _causes(present, record, mine, {asset: known.get(record.video_id) for asset, known in evaluated.items()})
            seconds = {asset: mine[asset].cost.wall_s if asset in mine else None for asset in ASSETS}
            yield Outdated(record, causes, seconds)


def run_of(db: Database, store: ObjectStore, held: Held, settings: Settings) -> RunCost:
    """What a run takes beside its steps here, by the runs of the newest ready videos."""
    newest = videos.ids(db, (VideoState.READY,))[-MEASURED_VIDEOS:]
    manifests = ResultReader(store).manifests([(video_id, asset) for video_id in newest for asset in ASSETS])
    made = [{asset: found for asset in ASSETS if (found := manifests.get((video_id, asset)))} for video_id in newest]
    return run_cost(made, held, settings.runs.launcher)


def again(db: Database, store: ObjectStore, settings: Settings, held: Held, record: VideoRecord, asset: str) -> PlannedVideo:
    """What making one asset of a video again, although nothing changed, would take at most: what follows is made where its content changes."""
    (known,) = outdated_of(db, store, Present.of(settings, db, NOT_ASKED, NOT_ASKED), [record])
    assets = [each for each in recipes.following([asset]) if each not in recipes.IN_WORDS or asset in recipes.IN_WORDS]
    return PlannedVideo(record.video_id, assets, seconds_of(assets, known.seconds, {}, 0.0) + run_of(db, store, held, settings).seconds)


def records_of(db: Database, video_ids: Sequence[str]) -> list[VideoRecord]:
    """The records of these videos, as far as there are any, in the given order."""
    known: dict[str, VideoRecord] = {}
    for start in range(0, len(video_ids), CHUNK):
        known |= troubles.records(db, video_ids[start : start + CHUNK])
    return [known[video_id] for video_id in video_ids if video_id in known]


def _ready(db: Database, among: Collection[str] | None) -> list[VideoRecord]:
    """The ready videos, newest first."""
    chosen = None if among is None else set(among)
    return records_of(db, [video_id for video_id in videos.ids(db, (VideoState.READY,))[::-1] if chosen is None or video_id in chosen])


def _writer(settings: Settings) -> Writer:
    from video_platform.analysis import summary
    from video_platform.services import ollama

    choice = ollama.choose(settings.language_model)
    unsure = choice.model is None and settings.language_model.engine != "template"
    return Writer(None if choice.degraded else summary.configuration(choice.model), f"{choice.reason}" if unsure else "")


def _asks(rule_set: rules.RuleSet) -> bool:
    return any(rule.kind == "sees" for rule in rule_set.rules)


def _seer(settings: Settings, rule_set: rules.RuleSet) -> Writer:
    """Nobody is asked where no rule asks."""
    if not _asks(rule_set):
        return Writer(None)
    from video_platform.analysis import seen
    from video_platform.services import vision

    eyes = vision.choose(settings.language_model)
    if eyes.model is None:
        return Writer(None, eyes.reason) if eyes.away else Writer(recipes.unseeing(eyes.name, eyes.lack or ""))
    return Writer(seen.configuration(eyes.model))


def _plain(configuration: Mapping[str, object] | None) -> dict[str, object] | None:
    return None if configuration is None else dict(configuration)


def _causes(present: Present, record: VideoRecord, manifests: Mapping[str, Manifest], evaluated: Mapping[str, str | None]) -> dict[Cause, list[str]]:
    wanted = present.configurations(record)
    found: dict[Cause, list[str]] = {}
    for asset in ASSETS:
        doubt = {LLM_SUMMARY: present.writer.doubt, DESCRIBED_ALERTS: present.seer.doubt}.get(asset)  # a stand-in would be written by the same stand-in again
        for cause in _causes_of(asset, manifests, wanted.get(asset), stand_in_counts=not doubt):
            found.setdefault(cause, []).append(asset)
    for asset, fingerprint in evaluated.items():
        stored = manifests.get(asset)
        if stored is not None and not stored.degraded and fingerprint != stored.fingerprint and not any(asset in assets for assets in found.values()):
            found.setdefault(Cause.UNFINISHED, []).append(asset)
    return found


def _causes_of(asset: str, manifests: Mapping[str, Manifest], wanted: Mapping[str, object] | None, *, stand_in_counts: bool) -> list[Cause]:
    """Why this asset is outdated itself; what only follows from others has no cause of its own."""
    stored = manifests.get(asset)
    if stored is None:
        return [Cause.UNFINISHED]
    found = [Cause.PROGRAM] if stored.code_version != recipes.CODE_VERSIONS[asset] else []
    if wanted is not None:
        found += _differing(asset, stored.configuration, wanted)
    moved = any(name in manifests and manifests[name].content_hash != used for name, used in stored.inputs.items())
    moved = moved or any(name in manifests and name not in stored.inputs for name in recipes.waited_for(asset, stored.configuration))
    if not found and (moved or (stored.degraded and stand_in_counts)):
        found = [Cause.UNFINISHED]
    return found


def _differing(asset: str, before: Mapping[str, object], now: Mapping[str, object]) -> list[Cause]:
    if asset == DESCRIBED_ALERTS:
        return _differing_described(before, now)
    names = {name for name in before.keys() | now.keys() if name != "earlier" and before.get(name) != now.get(name)}
    found = []
    if asset == ALERTS and names & OF_RECORDING:
        found.append(Cause.RECORDING)
    wished = names - NO_CAUSE - (OF_RECORDING if asset == ALERTS else frozenset())
    if wished:
        found.append(Cause.RULES if asset == ALERTS else OF_ASSET.get(asset, Cause.UNFINISHED))
    return found or ([Cause.UNFINISHED] if names else [])


def _differing_described(before: Mapping[str, object], now: Mapping[str, object]) -> list[Cause]:
    """Who is asked, and how often, counts where rules ask: with other rules it comes and goes. Where it cannot be told, it is taken for what it was."""
    names = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    if now.get("seeing") is None:
        names.discard("seeing")
    recording = [Cause.RECORDING] if names & OF_RECORDING and before.keys() & now.keys() >= OF_RECORDING else []
    if "rules" in names:
        return [*recording, Cause.RULES]
    return [*recording, *([Cause.VISION] if names - OF_RECORDING else [])]


def _usual(found: Sequence[Outdated]) -> dict[str, float]:
    """Asset -> what making it usually takes, for videos whose own cost is not known."""
    known = {asset: [each for one in found if (each := one.seconds.get(asset)) is not None] for asset in ASSETS}
    return {asset: median(costs) if costs else 0.0 for asset, costs in known.items()}


def _planned(outdated: Outdated, causes: Collection[Cause], usual: Mapping[str, float], run_s: float) -> PlannedVideo:
    assets = outdated.assets(causes)
    return PlannedVideo(outdated.record.video_id, assets, seconds_of(assets, outdated.seconds, usual, run_s))
