"""What a kill, an outage or a lost object left undone: found by comparing the database, the objects and Dagster's catalogue, and mended.

* A video whose run died or found the store away or full, or whose event never became a run, is requested again under a new event id, once that may help;
  after some attempts it is quarantined.
* A version whose manifest was written but whose event was not (killed in between) is reported to Dagster's catalogue, without a run.
* A summary that is missing or was made from other tracks or scenes is written again.
* A deleted video keeps no partition and no objects; footage whose object was stored but whose row was not is taken up.
* What only the database knows is kept among the objects; a video that only the objects remember, because the database was lost, comes back silently.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType

from sensors import consuming
from sensors.run_outcomes import UNDER_WAY
from video_platform import errors, layout
from video_platform.events import TOPIC_PROCESSED, TOPIC_VIDEO_EVENTS
from video_platform.pipeline import tags
from video_platform.pipeline.failures import CANCELLED, INTERRUPTED, MESSAGES, QUARANTINED, SUMMARY_MESSAGES
from video_platform.pipeline.io_managers import event_metadata
from video_platform.pipeline.jobs import PROCESS_ASSETS, describe_video
from video_platform.pipeline.made import read_manifest, speaks_of
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.resources import Desk
from video_platform.records import Manifest, VideoRecord, VideoState
from video_platform.services import object_store

INTERVAL_S = 30
PAGE = 50
"""Ready videos that one tick looks at: eight small objects each, and one query per asset for all of them."""

MAX_REQUESTS = 20
"""Videos that one tick requests again: enough to catch up, few enough that a broken machine does not fill the queue."""

MAX_ATTEMPTS = 3
"""Requests for one video that did not lead to a result; then a person has to look."""

QUIET = timedelta(seconds=60)
"""A video that changed later than this is in somebody's hands: a retry of its run, or a step that is just publishing."""

UNREAD = timedelta(minutes=10)
"""A request whose run left no word for this long is lost; and so is a summary that nobody asked for."""

FULL = errors.StoreFull.__name__

STUCK = "No run has it in hand, and none that was started said what became of it."

RETRIABLE_CODES = frozenset(
    {INTERRUPTED} | {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PlatformError) and kind.retriable}
)
"""Failed states that say nothing about the footage: the same request may succeed now."""

SHARDS = 256
"""The store is looked through by the first two digits of the video id, one share a tick: all of it in about two hours."""

READERS = {TOPIC_VIDEO_EVENTS: "video_events", TOPIC_PROCESSED: "processed_videos"}
"""The sensors that make runs of requests, by topic; their cursors tell which they have not seen."""

MAX_UNREAD = 1000
"""Unread events that are looked at; when there are more, whoever reads them is far behind, and every video counts as on its way."""

KEEP_S = 5.0
"""Time for writing copies of rows in a tick, which has 60 s; those of an installation that never had any take some hours."""

HISTORY = 40
"""Materialisations per video and asset that are read to find the newest of each."""


@dataclass
class Memory:
    """The sensor's cursor: where the round over ready videos and that over all objects go on, and the attempts for each video, or summary, that is not well.

    `lost` are events that seem to have become no run, by video: those that still do at the next tick are. Runs of a sensor's tick come after its cursor.
    """

    after: str = ""
    shard: int = 0
    attempts: dict[str, int] = field(default_factory=dict)
    summaries: dict[str, int] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, cursor: str | None) -> "Memory":
        """The memory in a cursor; one that cannot be read starts afresh."""
        try:
            stored = json.loads(cursor or "")
            attempts, summaries = ({str(key): int(value) for key, value in stored.get(name, {}).items()} for name in ("attempts", "summaries"))
            lost = {str(key): str(value) for key, value in stored.get("lost", {}).items()}
            return cls(str(stored["after"]), int(stored["shard"]), attempts, summaries, lost)
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def dump(self) -> str:
        """As a cursor."""
        return json.dumps({"v": 1, **vars(self)}, separators=(",", ":"))


@dataclass
class Tick:
    """What one tick found; everything that changes Dagster leaves in its one result."""

    context: dg.SensorEvaluationContext
    desk: Desk
    memory: Memory
    now: datetime
    busy: set[str]
    partitions: set[str]
    coming: dict[str, Callable[[str], bool]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    runs: list[dg.RunRequest] = field(default_factory=list)
    add: set[str] = field(default_factory=set)
    events: list[dg.AssetMaterialization] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    requested: int = 0

    @cached_property
    def has_room(self) -> bool:
        """Whether the store takes anything."""
        return object_store.has_room(self.desk.platform.store)

    def say(self, text: str) -> None:
        """To the tick's log and its summary."""
        self.context.log.info(text)
        self.words.append(text)

    def quiet(self, record: VideoRecord, span: timedelta = QUIET) -> bool:
        """Whether nobody has this video in hand; one that changed in the future did so before the clock was set back."""
        age = self.now - record.updated_at
        return record.video_id not in self.busy and (age >= span or age < -QUIET)

    def on_its_way(self, video_id: str, topic: str) -> bool:
        """Whether a request of a video on this topic has still to be read."""
        if topic not in self.coming:
            self.coming[topic] = _on_its_way(self.context.instance, self.desk, topic)
        return self.coming[topic](video_id)

    def is_lost(self, video_id: str, topic: str) -> bool:
        """Whether the newest event of a video on this topic became no run: it was read, or its topic lost it. Certain at the second look."""
        from video_platform.services.database import outbox

        event = outbox.newest_event(self.desk.platform.db, video_id, topic)
        if event is not None and self.context.instance.get_runs_count(dg.RunsFilter(tags={tags.VIDEO: video_id, tags.EVENT: event})):
            return False
        key = f"{video_id}@{topic}"
        if len(self.lost) < MAX_UNREAD:
            self.lost[key] = str(event)
        return self.memory.lost.get(key) == str(event)


@dg.sensor(
    name="reconcile",
    job=describe_video,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Mends what a kill or an outage left undone.",
)
def reconcile(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SensorResult | dg.SkipReason:
    """One tick."""
    try:
        return _tick(context, desk, datetime.now(UTC))
    except (errors.DatabaseUnavailable, errors.StoreUnavailable, errors.LogUnavailable) as error:
        return dg.SkipReason(f"{error.message} (the next tick tries again)")


def _tick(context: dg.SensorEvaluationContext, desk: Desk, now: datetime) -> dg.SensorResult:
    _ask_the_store(desk)
    runs = context.instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))
    busy = {run.tags.get(tags.VIDEO, "") for run in runs}
    partitions = set(context.instance.get_dynamic_partitions(str(VIDEOS.name)))
    tick = Tick(context, desk, Memory.parse(context.cursor), now, busy, partitions)
    _unfinished(tick)
    _ready(tick)
    gone = _deleted(tick)
    _orphans(tick)
    _scratch(tick, {run.run_id for run in runs})
    _kept(tick)
    tick.memory.lost = tick.lost
    requests = [VIDEOS.build_add_request(sorted(tick.add))] if tick.add else []
    return dg.SensorResult(
        run_requests=tick.runs or None,
        skip_reason=None if tick.runs else dg.SkipReason("; ".join(tick.words)[:2000] or "nothing to mend"),
        dynamic_partitions_requests=[*requests, *([VIDEOS.build_delete_request(gone)] if gone else [])],
        asset_events=tick.events,
        cursor=tick.memory.dump(),
    )


def _ask_the_store(desk: Desk) -> None:
    """Raises StoreUnavailable while the store is away: what is requested then only fails again, and uses up its attempts."""
    with suppress(errors.ObjectNotFound):
        desk.platform.store.stat(layout.manifest_key(object_store.NOBODY, layout.RAW_VIDEO))


def _unfinished(tick: Tick) -> None:
    """Videos that ought to have a result and have none."""
    from video_platform.services.database import videos

    ids = videos.ids(tick.desk.platform.db, (VideoState.RECEIVED, VideoState.PROCESSING, VideoState.FAILED))
    for video_id in ids:
        if tick.requested >= MAX_REQUESTS:
            break
        record = videos.get(tick.desk.platform.db, video_id)
        if record is None or not tick.quiet(record):
            continue
        if record.state is VideoState.FAILED:
            if record.failure_code in RETRIABLE_CODES or _is_back(record) or (record.failure_code == FULL and tick.has_room):
                _again(tick, record, str(record.failure_message))
        elif not tick.on_its_way(video_id, TOPIC_VIDEO_EVENTS):
            lost = record.state is VideoState.RECEIVED and tick.is_lost(video_id, TOPIC_VIDEO_EVENTS)
            if lost or record.state is VideoState.PROCESSING or tick.quiet(record, UNREAD):
                _again(tick, record, STUCK)


def _is_back(record: VideoRecord) -> bool:
    """Whether footage that was not where it had been taken in lies there again, as far as can be seen from here."""
    from video_platform.services import references

    return record.failure_code in ("moved", "changed") and record.reference_path is not None and references.standing(record) == "there"


def _on_its_way(instance: dg.DagsterInstance, desk: Desk, topic: str) -> Callable[[str], bool]:
    """Whether the request for a video waits in the outbox or lies unread on its topic; then another one would not be quicker, only one more run."""
    from video_platform.services.database import outbox

    waiting = outbox.waiting_videos(desk.platform.db, topic)
    try:
        unread = _unread(instance, desk, topic)
    except (errors.LogUnavailable, ValueError):  # nobody can read it now, or the reader stumbles over its own cursor and says so
        unread = None
    except errors.NotFound:
        unread = set()
    return (lambda _video_id: True) if unread is None else (waiting | unread).__contains__


def _unread(instance: dg.DagsterInstance, desk: Desk, topic: str) -> set[str] | None:
    """The videos of the events that the sensor of this topic has not read yet; None when there are too many to look at, or too slow to come."""
    states = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    cursors = [getattr(state.instigator_data, "cursor", None) for state in states if state.instigator_name == READERS[topic]]
    unread: set[str] | None = None
    for cursor in cursors or [None]:  # a code location that was renamed leaves the state of its sensors behind: the one that is ahead counts
        began_s = time.monotonic()
        records = consuming.read(desk.platform.log, topic, consuming.Position.parse(cursor), MAX_UNREAD).records
        if len(records) < MAX_UNREAD and time.monotonic() - began_s < consuming.BUDGET_S:  # a reading that its budget ended may have seen a part
            found = {record.message.key.decode(errors="replace") for record in records}
            unread = found if unread is None else unread & found
    return unread


def _again(tick: Tick, record: VideoRecord, why: str) -> None:
    """Requests a video under a new event id, or gives it up; `why` is what keeps it from being done, in a sentence."""
    from video_platform.services.database import videos

    attempt = tick.memory.attempts.get(record.video_id, 0) + 1
    if attempt > MAX_ATTEMPTS:
        videos.failed(tick.desk.platform.db, record.video_id, None, QUARANTINED, MESSAGES[QUARANTINED].format(attempts=MAX_ATTEMPTS, why=why))
        tick.memory.attempts.pop(record.video_id)
        tick.say(f"{record.video_id} is quarantined after {MAX_ATTEMPTS} attempts")
        return
    # the same request id when this tick is replayed, another one for the next attempt
    request_id = f"reconcile:{record.generation}:{record.run_id}:{attempt}"
    tick.desk.platform.ingest.request_processing(record.video_id, lane=record.lane, request_id=request_id)
    tick.memory.attempts[record.video_id] = attempt
    tick.requested += 1
    tick.say(f"{record.video_id} ({record.failure_code or record.state}) is requested again, attempt {attempt}")


def _ready(tick: Tick) -> None:
    """The next page of ready videos: partition, manifests, catalogue, summary."""
    from video_platform.services.database import videos

    ids = sorted(videos.ids(tick.desk.platform.db, (VideoState.READY,)))
    following = [video_id for video_id in ids if video_id > tick.memory.after][:PAGE]
    tick.memory.after = following[-1] if len(following) == PAGE else ""
    records = [record for record in (videos.get(tick.desk.platform.db, video_id) for video_id in following) if record is not None and tick.quiet(record)]
    catalogued = _catalogued(tick.context.instance, [record.video_id for record in records])
    for record in records:
        _ready_one(tick, record, catalogued)


def _ready_one(tick: Tick, record: VideoRecord, catalogued: dict[tuple[str, str], str]) -> None:
    store, video_id = tick.desk.platform.store, record.video_id
    manifests = {asset: manifest for asset in layout.ASSETS if (manifest := read_manifest(store, video_id, asset)) is not None}
    if video_id not in tick.partitions:
        tick.add.add(video_id)
        tick.say(f"{video_id}: its partition was missing")
    missing = [asset for asset in PROCESS_ASSETS if asset not in manifests]
    if missing and tick.requested < MAX_REQUESTS and not tick.on_its_way(video_id, TOPIC_VIDEO_EVENTS):
        tick.say(f"{video_id}: no manifest of {', '.join(missing)}")
        _again(tick, record, f"No result of {', '.join(missing)} is left when it has run.")
    for asset, manifest in manifests.items():
        if catalogued.get((asset, video_id)) != manifest.content_hash:
            tick.events.append(_report(manifest))
            tick.say(f"{video_id}: {asset} was made, but Dagster was not told")
    asked_for_summary = not missing and _summary(tick, record, manifests)
    if not missing:
        tick.memory.attempts.pop(video_id, None)
        if not asked_for_summary:
            tick.memory.summaries.pop(video_id, None)


def _summary(tick: Tick, record: VideoRecord, manifests: dict[str, Manifest]) -> bool:
    """Asks for the summary when it is missing or speaks of other tracks or scenes and nobody else will; whether it is."""
    from video_platform.services.database import videos

    sources = {asset: manifests[asset] for asset in (layout.TRACKS, layout.SCENES)}
    if speaks_of(manifests.get(layout.LLM_SUMMARY), sources):
        return False
    if tick.on_its_way(record.video_id, TOPIC_PROCESSED) or not (tick.is_lost(record.video_id, TOPIC_PROCESSED) or tick.quiet(record, UNREAD)):
        return True
    attempt = tick.memory.summaries.get(record.video_id, 0) + 1
    if attempt > MAX_ATTEMPTS or record.summary_failure_code == CANCELLED:
        if record.summary_failure_code is None:
            videos.summary_failed(tick.desk.platform.db, record.video_id, QUARANTINED, SUMMARY_MESSAGES[QUARANTINED].format(attempts=MAX_ATTEMPTS))
        return True
    tick.memory.summaries[record.video_id] = attempt
    key = f"{record.video_id}@reconcile:{'-'.join(manifest.content_hash[:16] for manifest in sources.values())}:{attempt}"
    own = {tags.PRIORITY: str(tags.DESCRIBE_PRIORITY[record.lane]), tags.CAMERA: record.camera}
    tick.runs.append(dg.RunRequest(run_key=key, partition_key=record.video_id, tags=own))
    tick.add.add(record.video_id)
    tick.say(f"{record.video_id}: its summary is asked for, attempt {attempt}")
    return True


def _catalogued(instance: dg.DagsterInstance, video_ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """`(asset, video_id)` -> data version of the newest materialisation that Dagster knows."""
    found: dict[tuple[str, str], str] = {}
    for asset in layout.ASSETS if video_ids else ():
        filter_ = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=list(video_ids))
        for record in instance.fetch_materializations(filter_, limit=HISTORY * len(video_ids)).records:
            materialization = record.asset_materialization
            if materialization is not None and record.partition_key is not None:
                found.setdefault((asset, record.partition_key), (materialization.tags or {}).get("dagster/data_version", ""))
    return found


def _report(manifest: Manifest) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=manifest.asset,
        partition=manifest.video_id,
        description="Reported by the reconcile sensor: the version was published, its run ended before it could say so.",
        metadata=event_metadata(manifest, reused=False),
        tags={"dagster/data_version": manifest.content_hash},
    )


def _deleted(tick: Tick) -> list[str]:
    """Finishes half-done deletions; the partitions that have to go."""
    from video_platform.services.database import videos

    db = tick.desk.platform.db
    tombstones = videos.ids(db, (VideoState.DELETED,))
    gone = sorted(tick.partitions.intersection(tombstones) - tick.busy)
    for video_id in tick.desk.platform.ingest.finish_deletes(gone):  # a run that was still ending may have written after the deletion
        tick.say(f"{video_id}: what a deletion left was removed")
    if gone:
        tick.say(f"{len(gone)} partitions of deleted videos go")
    return gone


def _orphans(tick: Tick) -> None:
    """One share of the store: footage that no row knows (killed between object and row) is taken up, objects of deleted videos go.

    Where the database was lost no row knows any of it: what was made of it comes back without a run, or every alert would be raised again.
    """
    from video_platform.services.database import videos

    prefix = f"videos/{tick.memory.shard:02x}"
    tick.memory.shard = (tick.memory.shard + 1) % SHARDS
    left: dict[str, str | None] = {}
    for info in tick.desk.platform.store.list(prefix):
        video_id, _, rest = info.key.removeprefix("videos/").partition("/")
        if tick.now - info.modified_at >= UNREAD:
            is_footage = rest.startswith(f"{layout.RAW_VIDEO}/") and not rest.endswith(".json")
            left[video_id] = info.key if is_footage else left.get(video_id)
    suspects = []
    for video_id, footage in left.items():
        known = videos.get(tick.desk.platform.db, video_id)
        if known is None and layout.is_video_id(video_id):
            _adopt(tick, video_id, footage)
        elif known is not None and known.state is VideoState.DELETED and tick.quiet(known):
            suspects.append(video_id)
    for video_id in tick.desk.platform.ingest.finish_deletes(suspects):
        tick.say(f"{video_id}: objects that came after its deletion were removed")


def _adopt(tick: Tick, video_id: str, footage: str | None) -> None:
    from video_platform import rebuilding

    try:
        if rebuilding.restore_video(tick.desk.platform.db, tick.desk.platform.store, video_id):
            tick.say(f"{video_id}: the database had lost it, and it came back from the objects")
        elif footage is not None:
            tick.desk.platform.ingest.adopt(footage)
            tick.say(f"{video_id}: its footage lay in the store without a row and was taken up")
    except (errors.InputError, errors.IntegrityError) as error:
        tick.say(f"{footage or video_id} is left alone: {error.message}")


def _kept(tick: Tick) -> None:
    """Copies of rows that a kill or an outage left out, and of what changes without one."""
    from video_platform import keeping

    db, store = tick.desk.platform.db, tick.desk.platform.store
    try:
        keeping.keep_rules(db, store)
        if written := keeping.keep_stale(db, store, tick.now - QUIET, KEEP_S):
            tick.say(f"{written} copies of rows were written")
    except errors.StoreFull as error:  # what else this tick mends needs no room
        tick.say(f"copies of rows wait: {error.message}")


def _scratch(tick: Tick, live: Iterable[str]) -> None:
    """Folders of runs that have ended without clearing up, and uploads whose process was killed."""
    if swept := tick.desk.platform.ingest.sweep():
        tick.say(f"{swept} unfinished uploads of processes that were killed are removed")
    folder = tick.desk.settings.scratch
    for entry in folder.iterdir() if folder.is_dir() else ():
        run = tick.context.instance.get_run_by_id(entry.name) if entry.name not in live else None
        if run is not None and run.is_finished:
            shutil.rmtree(entry, ignore_errors=True)
