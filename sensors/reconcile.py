"""What a kill, an outage or a lost object left undone: found by comparing the database, the objects and Dagster's catalogue, and mended.

* A video whose run died or found the store away or full, or whose event never became a run, is requested again under a new event id, once that may help;
  after some attempts it is quarantined.
* A version whose manifest was written but whose event was not (killed in between) is reported to Dagster's catalogue, without a run.
* A summary that is missing or was made from other tracks or scenes is written again.
* A deleted video keeps no partition and no objects; footage whose object was stored but whose row was not is taken up.
* What only the database knows is kept among the objects; a video that only the objects remember, because the database was lost, comes back silently.
"""

from contextlib import suppress
from datetime import UTC, datetime

import dagster as dg

from sensors.reconcile_leftovers import clear_scratch, finish_deletions, keep_copies, look_through_store
from sensors.reconcile_ready import mend_ready
from sensors.reconcile_tick import Memory, Tick
from sensors.reconcile_unfinished import mend_unfinished
from sensors.run_outcomes import UNDER_WAY
from video_platform import errors, layout
from video_platform.pipeline import tags
from video_platform.pipeline.jobs import describe_video
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.resources import Desk
from video_platform.services import object_store

INTERVAL_S = 30


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
    mend_unfinished(tick)
    mend_ready(tick)
    gone = finish_deletions(tick)
    look_through_store(tick)
    clear_scratch(tick, {run.run_id for run in runs})
    keep_copies(tick)
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
