"""Backfills: asks for the runs of what is made again over the past, and keeps the books of what became of them.

What is asked for is written into the database first, under an id that follows from backfill, videos and attempt, and is the key of its run: a tick that is
killed anywhere is repeated by the next one, and Dagster makes one run of it. A backfill has slots of its own and a short queue, so that it never stands
before a live video, and stops at once when it is paused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from sensors.run_outcomes import ENDED, UNDER_WAY
from video_platform import errors, planning
from video_platform.catalog_results import ResultReader
from video_platform.layout import DESCRIBED_ALERTS, SECOND_LOOK
from video_platform.pipeline import jobs, tags
from video_platform.pipeline.failures import RETRIABLE_CODES
from video_platform.pipeline.judging_many import JUDGE_VIDEOS, run_config
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.resources import Desk
from video_platform.planning import Outdated
from video_platform.planning_causes import ASKED_OF_MODELS, Cause
from video_platform.planning_costs import BATCHED
from video_platform.planning_present import Present
from video_platform.recipes import BY_MODELS, IN_WORDS, following
from video_platform.records import VideoRecord, VideoState
from video_platform.services.database import backfills
from video_platform.services.database.backfills import Backfill, Item, ItemState, State

INTERVAL_S = 2

MAX_QUEUED = 100
"""Runs of backfills that wait in the queue at most."""

AHEAD = 10
"""Runs that wait per slot: enough for the time between two ticks, few enough that a pause, or the end of a budget, is felt at once."""

MAX_ASKED = 20
"""Runs that one tick asks for: Dagster makes them one by one, and other sensors want their turn."""

BATCH = 50
"""Videos that are judged in one run: Dagster's log of a run gets slow beyond a thousand events."""

MAX_FAILURES = 3
"""Runs for one video that ended without a result; then a person has to look."""

UNANNOUNCED: Mapping[str, frozenset[str]] = {Cause.RULES: frozenset({DESCRIBED_ALERTS, SECOND_LOOK}), Cause.RECORDING: frozenset({SECOND_LOOK})}
"""Made in words in the same run as the alerts: no event follows these causes, because the tracks are what they were."""

QUEUED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]

ORDINARY = (State.RUNNING,)


@dataclass
class Tick:
    """What one tick found and asks for."""

    context: dg.SensorEvaluationContext
    desk: Desk
    now: datetime
    runs: list[dg.RunRequest] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    present: Present | None = None

    def say(self, text: str) -> None:
        """To the tick's log and its summary."""
        self.context.log.info(text)
        self.words.append(text)

    def settle(self, item: Item, state: ItemState, *, spent_s: float = 0.0, made: Sequence[str] = (), message: str | None = None, failed: bool = False) -> None:
        """What became of one video."""
        backfills.settle(self.desk.platform.db, item, state, now=self.now, spent_s=spent_s, made=made, message=message, failed=failed)

    def outdated(self, cause: str, records: Sequence[VideoRecord]) -> dict[str, Outdated]:
        """What of these videos is outdated now; the language-model server is asked only where what its models would do counts for the cause."""
        if self.present is None or cause in ASKED_OF_MODELS:
            self.present = Present.for_causes(self.desk.settings, self.desk.platform.db, [Cause(cause)])
        found = planning.outdated_of(self.desk.platform.db, self.desk.platform.store, self.present, records)
        return {each.record.video_id: each for each in found}


@dg.sensor(
    name="backfills",
    jobs=[jobs.process_video, jobs.describe_video, jobs.process_and_describe],
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the runs of backfills, behind live footage and requests.",
)
def backfills_sensor(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SensorResult | dg.SkipReason:
    """One tick."""
    try:
        return look(context, desk, datetime.now(UTC))
    except (errors.ServiceError, errors.RulesError, errors.SettingsError) as error:
        return dg.SkipReason(f"{error.message} (the next tick tries again)")


@dg.sensor(
    name="backfill_batches",
    job_name=JUDGE_VIDEOS,  # the job itself here would make Dagster copy the sensor, with a warning
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts judge_videos for the videos that a backfill has chosen to be judged together.",
)
def batches_sensor(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SensorResult | dg.SkipReason:
    """One tick: what `backfills` has written down and is no run yet."""
    try:
        return dg.SensorResult(run_requests=_batches(context, desk))
    except errors.ServiceError as error:
        return dg.SkipReason(f"{error.message} (the next tick tries again)")


def _batches(context: dg.SensorEvaluationContext, desk: Desk) -> list[dg.RunRequest]:
    wanted: list[dg.RunRequest] = []
    for backfill in backfills.page(desk.platform.db, states=ORDINARY, limit=MAX_QUEUED):
        by_request = _asked(desk, backfill)
        known = _runs_of(context.instance, list(by_request))
        for request, items in by_request.items():
            if request not in known and _together(backfill, items):
                config = run_config([item.video_id for item in items])
                wanted.append(dg.RunRequest(run_key=request, run_config=config, tags=_tags(backfill, request)))
    return wanted


def look(context: dg.SensorEvaluationContext, desk: Desk, now: datetime) -> dg.SensorResult:
    """One tick at `now`."""
    at = Tick(context, desk, now)
    for backfill in backfills.unsettled(desk.platform.db):
        _settle(at, backfill)
        current = backfills.get(desk.platform.db, backfill.id)
        if current.state is State.RUNNING and _over_budget(current):
            reason = f"the budget of {current.budget_s:.0f} s is spent"
            current = backfills.turn(desk.platform.db, current.id, State.ENDED, now=now, reason=reason)
            at.say(f"backfill {current.id}: {reason}")
        if current.state is not State.RUNNING:
            _take_back(at, current)
        elif not current.left:
            backfills.turn(desk.platform.db, current.id, State.DONE, now=now)
            at.say(f"backfill {current.id}: done")
        else:
            _ask(at, current)
    partitions = sorted({str(run.partition_key) for run in at.runs if run.partition_key})
    return dg.SensorResult(
        run_requests=at.runs or None,
        skip_reason=None if at.runs else dg.SkipReason("; ".join(at.words)[:2000] or "no backfill wants anything"),
        dynamic_partitions_requests=[VIDEOS.build_add_request(partitions)] if partitions else None,
    )


def _over_budget(backfill: Backfill) -> bool:
    return backfill.budget_s is not None and backfill.spent_s >= backfill.budget_s


# ---- what became of what was asked for -----------------------------------------------------------------------------------------------------------------


def _settle(at: Tick, backfill: Backfill) -> None:
    """Keeps the books; a request without a run (a tick was killed before Dagster made it) is asked for again under its key."""
    by_request = _asked(at.desk, backfill)
    records = _runs_of(at.context.instance, list(by_request))
    for request, items in by_request.items():
        newest = records.get(request)
        if newest is None:
            if backfill.state is not State.RUNNING:
                _back(at, backfill, items, "taken back")
            elif not _together(backfill, items) and len(items) > 1:  # more was asked for of one of them meanwhile
                _back(at, backfill, items, "chosen anew")
            else:
                at.runs += [] if _together(backfill, items) else [_run(backfill, request, items[0])]
        elif newest.dagster_run.status in ENDED and not tags.asked(newest.dagster_run.tags, tags.WILL_RETRY):
            _ended(at, backfill, newest, items)


def _asked(desk: Desk, backfill: Backfill) -> dict[str, list[Item]]:
    """Request id -> the videos that a run was asked for and nobody has settled."""
    found: dict[str, list[Item]] = {}
    for item in backfills.listed(desk.platform.db, backfill.id, states=[ItemState.ASKED], limit=MAX_QUEUED * BATCH):
        found.setdefault(str(item.request_id), []).append(item)
    return found


def _runs_of(instance: dg.DagsterInstance, requests: Sequence[str]) -> dict[str, dg.RunRecord]:
    """Request id -> the newest run for it: one that died may have been started again by Dagster."""
    if not requests:
        return {}
    found: dict[str, dg.RunRecord] = {}
    for record in instance.get_run_records(dg.RunsFilter(tags={tags.REQUEST: list(requests)})):  # newest first
        found.setdefault(record.dagster_run.tags[tags.REQUEST], record)
    return found


def _ended(at: Tick, backfill: Backfill, record: dg.RunRecord, items: Sequence[Item]) -> None:
    run = record.dagster_run
    if tags.asked(run.tags, tags.TAKEN_BACK):
        _back(at, backfill, items, "its run was taken out of the queue")
        return
    if run.status is dg.DagsterRunStatus.CANCELED:
        for item in items:
            at.settle(item, ItemState.FAILED, message="its run was cancelled on Dagster's page")
        return
    if run.job_name == JUDGE_VIDEOS:  # it said of each video what became of it; what is left it did not come to
        _back(at, backfill, items, "its run ended before its turn", failed=run.status is dg.DagsterRunStatus.FAILURE)
        return
    spent_s = _spent_s(at, record)
    (item,) = items
    video = next(iter(planning.records_of(at.desk.platform.db, [item.video_id])), None)
    if run.status is dg.DagsterRunStatus.SUCCESS:
        made = _made(at, item)
        at.settle(item, ItemState.DONE if made else ItemState.REUSED, spent_s=spent_s, made=made)
    elif video is None or video.state is VideoState.DELETED:
        at.settle(item, ItemState.FAILED, spent_s=spent_s, message="the video was deleted")
    elif video.state is VideoState.FAILED and video.failure_code not in RETRIABLE_CODES:
        at.settle(item, ItemState.FAILED, spent_s=spent_s, message=video.failure_message)
    elif run.job_name == jobs.DESCRIBE_VIDEO and video.summary_failure_message:
        at.settle(item, ItemState.FAILED, spent_s=spent_s, message=video.summary_failure_message)
    else:
        _back(at, backfill, [item], "its run ended without a result", spent_s=spent_s, failed=True)


def _spent_s(at: Tick, record: dg.RunRecord) -> float:
    """How long a run held its slot."""
    run_id = record.dagster_run.run_id
    begun = at.context.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING, limit=1).records
    start = begun[0].timestamp if begun else record.start_time
    return max(0.0, record.end_time - start) if start and record.end_time else 0.0


def _made(at: Tick, item: Item) -> list[str]:
    """What the runs for this request made and did not only hand on: one that died may have published some of it before Dagster started it again."""
    runs = {run.run_id for run in at.context.instance.get_runs(dg.RunsFilter(tags={tags.REQUEST: str(item.request_id)}))}
    manifests = ResultReader(at.desk.platform.store).manifests([(item.video_id, asset) for asset in item.assets])
    return [asset for asset in item.assets if (manifest := manifests.get((item.video_id, asset))) and manifest.run_id in runs]


def _back(at: Tick, backfill: Backfill, items: Sequence[Item], why: str, *, spent_s: float = 0.0, failed: bool = False) -> None:
    """Videos wait again; of a cancelled backfill they are cancelled."""
    for item in items:
        if backfill.state is State.CANCELLED:
            at.settle(item, ItemState.CANCELLED, spent_s=spent_s, message=why)
        else:
            at.settle(item, ItemState.WAITING, spent_s=spent_s, message=why, failed=failed)


def _take_back(at: Tick, backfill: Backfill) -> None:
    """Ends the runs of a backfill that have not begun; those under way come to their end, one that judges many videos after the next of them.

    One that waits to go on where a process died is under way: its video is half made, and nobody else has it in hand.
    """
    queued = at.context.instance.get_runs(dg.RunsFilter(tags={tags.HISTORY: backfill.id}, statuses=QUEUED))
    waiting = [run for run in queued if tags.PARENT not in run.tags]
    for run in waiting:
        at.context.instance.add_run_tags(run.run_id, {tags.TAKEN_BACK: "true"})
        at.context.instance.run_coordinator.cancel_run(run.run_id)
    if waiting:
        at.say(f"backfill {backfill.id} is {backfill.state}: {len(waiting)} runs taken out of the queue")


# ---- what is asked for ---------------------------------------------------------------------------------------------------------------------------------


def _ask(at: Tick, backfill: Backfill) -> None:
    """Asks for the next videos, as far as queue and budget have room."""
    room = min(_room(at, backfill), MAX_ASKED - len(at.runs))
    if room <= 0:
        return
    waiting = backfills.listed(at.desk.platform.db, backfill.id, states=[ItemState.WAITING], limit=2 * BATCH)
    free = _free(at, backfill, waiting)
    chosen = _within_budget(backfill, free)
    alone = [item for item in chosen if not _together(backfill, [item])]
    together = [item for item in chosen if item not in alone]
    requests = {_request(backfill, [item]): [item] for item in alone[:room]}
    for start in range(0, len(together), BATCH) if room > len(requests) else ():
        if len(requests) >= room:
            break
        some = together[start : start + BATCH]
        requests[_request(backfill, some)] = some
    written = backfills.ask(at.desk.platform.db, backfill.id, {request: [item.video_id for item in items] for request, items in requests.items()}, now=at.now)
    at.runs += [_run(backfill, request, items[0]) for request, items in requests.items() if request in written and not _together(backfill, items)]
    if written:
        at.say(f"backfill {backfill.id}: {sum(map(len, written.values()))} videos asked for in {len(written)} runs")


def _room(at: Tick, backfill: Backfill) -> int:
    """How many runs more may wait in the queue; never so many that the sensors of live footage find it full."""
    runs = at.desk.settings.runs
    others = sum(run.tags[tags.HISTORY] == backfill.id for run in at.runs)
    ids = [each.id for each in backfills.page(at.desk.platform.db, states=ORDINARY, limit=MAX_QUEUED)]
    queued = at.context.instance.get_runs_count(dg.RunsFilter(tags={tags.HISTORY: ids}, statuses=QUEUED))
    return min(MAX_QUEUED, AHEAD * runs.backfill_slots, max(1, runs.max_queued // 2)) - queued - others


def _free(at: Tick, backfill: Backfill, waiting: Sequence[Item]) -> list[Item]:
    """Those that can be made now and still have to be; what needs nothing any more is settled without a run."""
    records = {record.video_id: record for record in planning.records_of(at.desk.platform.db, [item.video_id for item in waiting])}
    ready = [record for record in records.values() if record.state is VideoState.READY]
    outdated = {} if backfill.force else at.outdated(backfill.cause, ready)
    elsewhere = backfills.busy_elsewhere(at.desk.platform.db, backfill.id, list(records))
    busy = {run.tags.get(tags.VIDEO, "") for run in at.context.instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))}
    found = []
    for item in waiting:
        record = records.get(item.video_id)
        if record is None or record.state is VideoState.DELETED:
            at.settle(item, ItemState.FAILED, message="the video was deleted")
        elif item.failures >= MAX_FAILURES:
            at.settle(item, ItemState.FAILED, message=f"given up after {MAX_FAILURES} runs: {item.message}")
        elif record.state is VideoState.FAILED and record.failure_code not in RETRIABLE_CODES:
            at.settle(item, ItemState.FAILED, message=f"the video failed before its turn: {record.failure_message}")
        elif record.state is not VideoState.READY or item.video_id in busy | elsewhere:
            continue  # whoever has it in hand, or `reconcile`, makes it as things stand now; it is looked at again afterwards
        elif backfill.force or backfill.cause in outdated[item.video_id].causes:
            found.append(item)
        else:
            at.settle(item, ItemState.REUSED)
    return found


def _within_budget(backfill: Backfill, items: Sequence[Item]) -> list[Item]:
    """As many as the budget has room for, by the estimates and what those before really took; one at least, because estimates may be wrong."""
    if backfill.budget_s is None:
        return list(items)
    ratio = backfill.spent_s / backfill.estimated_ended_s if backfill.estimated_ended_s else 1.0
    under_way = backfill.counts[ItemState.ASKED]
    committed_s = backfill.spent_s + ratio * backfill.estimated_left_s * under_way / max(1, backfill.left)
    chosen: list[Item] = []
    for item in items:
        committed_s += ratio * item.estimated_s
        if committed_s > backfill.budget_s and (chosen or under_way):
            break
        chosen.append(item)
    return chosen


def _request(backfill: Backfill, items: Sequence[Item]) -> str:
    return backfills.request_id(backfill.id, [item.video_id for item in items], max(item.attempt for item in items) + 1)


def _together(backfill: Backfill, items: Sequence[Item]) -> bool:
    """Whether one run is for several videos. Pixels and words are made in a run of their own, and so is what a run died of: it must not end the others."""
    return not backfill.force and all(not item.failures and set(item.assets) <= set(BATCHED) for item in items)


def _tags(backfill: Backfill, request: str) -> dict[str, str]:
    lane = backfill.lane
    return {tags.HISTORY: backfill.id, tags.REQUEST: request, tags.LANE: lane.value, tags.PRIORITY: str(tags.PROCESS_PRIORITY[lane])}


def _run(backfill: Backfill, request: str, item: Item) -> dg.RunRequest:
    """The run for one video."""
    own = _tags(backfill, request)
    forced = {tags.FORCE_ASSET: backfill.force} if backfill.force else {}
    if set(item.assets) <= set(IN_WORDS):
        if BY_MODELS.intersection(item.assets):
            own[tags.ASKED_LANE] = own.pop(tags.LANE)  # these wait for a slot of pool llm, not for one of a lane
        own[tags.PRIORITY] = str(tags.DESCRIBE_PRIORITY[backfill.lane])
        return _selecting(jobs.DESCRIBE_VIDEO, request, item.video_id, following(item.assets), {**own, **forced})
    if UNANNOUNCED.get(backfill.cause, frozenset()).intersection(item.assets):
        return _selecting(jobs.PROCESS_AND_DESCRIBE, request, item.video_id, item.assets, {**own, **forced})
    selected = [asset for asset in item.assets if asset not in IN_WORDS]  # what is made in words follows by the event of its tracks
    return _selecting(jobs.PROCESS_VIDEO, request, item.video_id, selected, {**own, **forced})


def _selecting(job: str, request: str, video_id: str, assets: Sequence[str], own: dict[str, str]) -> dg.RunRequest:
    selected = [dg.AssetKey(asset) for asset in assets]
    return dg.RunRequest(run_key=request, job_name=job, partition_key=video_id, asset_selection=selected, tags=own)
