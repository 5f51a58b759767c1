"""What would be made again now, why, and what it would take: stored results compared with the recipes of now.

Only what was really made from something else counts: a rule of another camera, a comment or a severity outdates nothing. What follows from an outdated result
is part of the plan, although it is left alone in the end where the new content equals the old: a plan is the most that may be done.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from video_platform import recipes
from video_platform.access import ANYONE, Person
from video_platform.catalog_results import ResultReader
from video_platform.layout import (
    ALERTS,
    ASSETS,
    CAPTIONS,
    DESCRIBED_ALERTS,
    DETECTIONS,
    HIGHLIGHTS,
    LLM_SUMMARY,
    PROCESSED_VIDEO,
    SCENES,
    SEARCH_INDEX,
    SECOND_LOOK,
    TRACKS,
    TRANSCRIPT,
)
from video_platform.planning_causes import EVERY, OF_ONE_MODEL, Cause
from video_platform.planning_costs import MEASURED_VIDEOS, Held, RunCost, run_cost, seconds_of
from video_platform.planning_present import NOT_ASKED, Present
from video_platform.records import Manifest, VideoRecord, VideoState
from video_platform.services.database import Database, ledger, troubles, videos
from video_platform.services.object_store import ObjectStore
from video_platform.settings import Settings

CHUNK = 200
"""Videos whose manifests are held at once: some megabytes."""


OF_ASSET: Mapping[str, Cause] = {
    PROCESSED_VIDEO: Cause.PROXY,
    DETECTIONS: Cause.DETECTOR,
    SCENES: Cause.SCENES,
    TRACKS: Cause.TRACKER,
    TRANSCRIPT: Cause.SPEECH,
    CAPTIONS: Cause.CAPTIONS,
    DESCRIBED_ALERTS: Cause.VISION,
    SECOND_LOOK: Cause.VISION,
    LLM_SUMMARY: Cause.SUMMARY,
    SEARCH_INDEX: Cause.SEARCH,
    HIGHLIGHTS: Cause.REELS,
}
"""The cause that another configuration of an asset stands for; alerts, clips and what is seen and said have several, footage has none."""

NO_CAUSE = frozenset({"aspect", "earlier", "duration_s"})
"""Fields of a configuration that follow from other results, not from anybody's wish."""

OF_RECORDING = frozenset({"camera", "recorded_at", "zone"})
"""Fields that say where and when footage was recorded, of `WRITTEN_ON`."""

WRITTEN_ON = frozenset({ALERTS, HIGHLIGHTS})
"""Assets that camera and time of recording count for: alerts by their schedules, reels because both are written on them."""

TEMPLATE = "template"
UNDESCRIBED = frozenset({"not_described", "partly_described", "not_transcribed", "not_evaluated", "partly_evaluated"})
"""The engine of a summary, and the states of captions, transcripts and what is seen and said, that no model was there for."""


@dataclass(frozen=True)
class Outdated:
    """What of one video is outdated: cause -> the assets that are so themselves. `seconds` is what making each asset took the last time, where known. `off` is
    what is switched off and follows from nothing.
    """

    record: VideoRecord
    causes: Mapping[Cause, Sequence[str]]
    seconds: Mapping[str, float | None]
    off: Collection[str] = ()

    def assets(self, causes: Collection[Cause] = tuple(Cause)) -> list[str]:
        """What would be made for these causes, with what follows, in the order of the graph."""
        return recipes.following({asset for cause, direct in self.causes.items() if cause in causes for asset in direct}, self.off)


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
    causes: Collection[Cause] = EVERY,
    person: Person = ANYONE,
    among: Collection[str] | None = None,
) -> Plan:
    """The plan over all ready videos that `person` may see, or those `among` them, newest first. What is being processed, or failed, is left out.

    Reads every manifest: about 8 small objects a video. `held` tells how long runs took.
    """
    found, current, doubted = [], 0, set[Cause]()
    ready = [record for record in _ready(db, among) if person.may_see(record.camera)]
    for outdated in outdated_of(db, store, present, ready):
        doubted.update(cause for cause in outdated.causes if cause in causes and present.doubt(cause))
        kept = {cause: assets for cause, assets in outdated.causes.items() if cause in causes and not present.doubt(cause)}
        if kept:
            found.append(replace(outdated, causes=kept))
        else:
            current += 1
    usual = _usual(found)
    run = run_of(db, store, held, present.settings)
    each = {cause: [_planned(one, [cause], usual, run.seconds) for one in found if cause in one.causes] for cause in Cause}
    plans = [CausePlan(cause, planned) for cause, planned in each.items() if planned]
    seconds = sum(_planned(one, causes, usual, run.seconds).seconds for one in found)
    to_hear = any(TRANSCRIPT in one.causes.get(Cause.WAITING, ()) for one in found)
    unknown = _unknown(present, causes, doubted, to_hear=to_hear) if ready else {}
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
            off = _off(present, mine)
            causes = _causes(present, record, mine, {asset: known.get(record.video_id) for asset, known in evaluated.items()}, off)
            seconds = {asset: mine[asset].cost.wall_s if asset in mine else None for asset in ASSETS}
            yield Outdated(record, causes, seconds, off)


def run_of(db: Database, store: ObjectStore, held: Held, settings: Settings) -> RunCost:
    """What a run takes beside its steps here, by the runs of the newest ready videos."""
    newest = videos.ids(db, (VideoState.READY,))[-MEASURED_VIDEOS:]
    manifests = ResultReader(store).manifests([(video_id, asset) for video_id in newest for asset in ASSETS])
    made = [{asset: found for asset in ASSETS if (found := manifests.get((video_id, asset)))} for video_id in newest]
    return run_cost(made, held, settings.runs.launcher)


def again(db: Database, store: ObjectStore, settings: Settings, held: Held, record: VideoRecord, asset: str) -> PlannedVideo:
    """What making one asset of a video again, although nothing changed, would take at most: what follows is made where its content changes."""
    (known,) = outdated_of(db, store, Present.of(settings, db, NOT_ASKED, NOT_ASKED, NOT_ASKED), [record])
    assets = [each for each in recipes.following([asset], known.off) if each not in recipes.IN_WORDS or asset in recipes.IN_WORDS]
    return PlannedVideo(record.video_id, assets, seconds_of(assets, known.seconds, {}, 0.0) + run_of(db, store, held, settings).seconds)


def records_of(db: Database, video_ids: Sequence[str]) -> list[VideoRecord]:
    """The records of these videos, as far as there are any, in the given order."""
    known: dict[str, VideoRecord] = {}
    for start in range(0, len(video_ids), CHUNK):
        known |= troubles.records(db, video_ids[start : start + CHUNK])
    return [known[video_id] for video_id in video_ids if video_id in known]


def _unknown(present: Present, causes: Collection[Cause], doubted: Collection[Cause], *, to_hear: bool) -> dict[Cause, str]:
    """Why it cannot be told what these causes outdate: who counts for one is away and nothing is known of it, or nobody wants its work by the stand-in.

    What waits for the model that listens, `to_hear`, asks no server: it is told although that is away.
    """
    found: dict[Cause, str] = {}
    for cause in causes:
        who = present.who(cause)
        if who is not None and who.doubt and (cause in doubted or who.configuration is None):
            found[cause] = who.doubt
    doubts = [who.doubt for cause in OF_ONE_MODEL if (who := present.who(cause)) and who.doubt]
    if Cause.WAITING in causes and doubts and not to_hear:
        found[Cause.WAITING] = doubts[0]
    return found


def _ready(db: Database, among: Collection[str] | None) -> list[VideoRecord]:
    """The ready videos, newest first."""
    chosen = None if among is None else set(among)
    return records_of(db, [video_id for video_id in videos.ids(db, (VideoState.READY,))[::-1] if chosen is None or video_id in chosen])


def _off(present: Present, manifests: Mapping[str, Manifest]) -> frozenset[str]:
    """What nobody wants made, and of which nothing is left to be taken back: a second look that is switched off."""
    made = manifests.get(SECOND_LOOK)
    return frozenset() if present.settings.second_look.enabled or (made is not None and made.configuration) else frozenset({SECOND_LOOK})


def _causes(
    present: Present, record: VideoRecord, manifests: Mapping[str, Manifest], evaluated: Mapping[str, str | None], off: Collection[str]
) -> dict[Cause, list[str]]:
    wanted = present.configurations(record)
    found: dict[Cause, list[str]] = {}
    for asset in [each for each in ASSETS if each not in off]:
        hopeless = asset in OF_ASSET and bool(present.doubt(OF_ASSET[asset]))  # a stand-in would be written by the same stand-in again
        of_asset = _causes_of(asset, manifests, wanted.get(asset), stand_in_counts=not hopeless)
        waits = bool(of_asset) and not hopeless and _waits(asset, manifests.get(asset), wanted.get(asset))
        for cause in [*of_asset, *([Cause.WAITING] if waits else [])]:
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
        before = stored.configuration
        if found and before:  # what came or went with the program nobody changed
            before, wanted = ({name: each[name] for name in before.keys() & wanted.keys()} for each in (before, wanted))
        found += _differing(asset, before, wanted)
    moved = any(name in manifests and manifests[name].content_hash != used for name, used in stored.inputs.items())
    moved = moved or any(name in manifests and name not in stored.inputs for name in recipes.waited_for(asset, stored.configuration))
    if not found and (moved or (stored.degraded and stand_in_counts)):
        found = [Cause.UNFINISHED]
    return found


def _waits(asset: str, stored: Manifest | None, wanted: Mapping[str, object] | None) -> bool:
    """Whether an outdated result is one that waits for a model: missing, a stand-in, or made where there was none."""
    if asset not in recipes.IN_WORDS or asset == SEARCH_INDEX:
        return False
    if asset == TRANSCRIPT and (wanted is None or wanted.get("model") is None):
        return False  # nobody could listen now either
    if stored is None or stored.degraded:
        return True
    if asset == LLM_SUMMARY:
        return stored.configuration.get("engine") == TEMPLATE and wanted is not None and wanted.get("engine") != TEMPLATE
    if asset == DESCRIBED_ALERTS and not _sees(wanted):
        return False
    if asset == SECOND_LOOK:
        return bool(wanted and wanted.get("model")) and stored.configuration.get("lack") is not None
    return stored.facts.get("state") in UNDESCRIBED


def _sees(wanted: Mapping[str, object] | None) -> bool:
    """Whether there is a model that questions of rules would be put to."""
    seeing = wanted.get("seeing") if wanted is not None else None
    return isinstance(seeing, Mapping) and seeing.get("model") is not None


def _differing(asset: str, before: Mapping[str, object], now: Mapping[str, object]) -> list[Cause]:
    if asset == DESCRIBED_ALERTS:
        return _differing_described(before, now)
    names = {name for name in before.keys() | now.keys() if name != "earlier" and before.get(name) != now.get(name)}
    found = []
    if asset in WRITTEN_ON and names & OF_RECORDING:
        found.append(Cause.RECORDING)
    wished = names - NO_CAUSE - (OF_RECORDING if asset in WRITTEN_ON else frozenset())
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
