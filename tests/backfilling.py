"""Backfills worked off in this process: the real sensors ticked by hand, and every run they ask for executed."""

from contextlib import contextmanager

import dagster as dg
from graphs import Ticking, materialised, states

from sensors import backfills_sensor, batches_sensor
from video_platform.access import ANYONE
from video_platform.catalog import Catalog
from video_platform.deeds import Deeds
from video_platform.definitions import build
from video_platform.pipeline.resources import Workplace

MOST_TICKS = 50


@contextmanager
def ticking(settings, sensor):
    """One of the sensors, as a tick of the daemon sees it."""
    made = Ticking(settings, sensor)
    try:
        yield made
    finally:
        made.close()


def asked(settings):
    """The runs that one tick of both sensors asks for; what Dagster has already by its key is left out, as the daemon does."""
    found = []
    for sensor in (backfills_sensor, batches_sensor):
        with ticking(settings, sensor) as at:
            result = at.tick()
            requests = result.run_requests or [] if isinstance(result, dg.SensorResult) else []
            for request in requests:
                if not at.instance.get_runs_count(dg.RunsFilter(tags={"vp/request": request.tags["vp/request"]})):
                    found.append(request)
    return found


def execute(graph, request):
    """One asked run, here; what it made or handed on: (asset, video id) -> "made" or "reused"."""
    with ticking(graph.settings, backfills_sensor) as at:
        workplace = Workplace(graph.settings)
        try:
            result = (
                build(workplace)
                .resolve_job_def(request.job_name or "judge_videos")
                .execute_in_process(
                    instance=at.instance,
                    partition_key=request.partition_key,
                    asset_selection=list(request.asset_selection) if request.asset_selection else None,
                    tags=request.tags,
                    run_config=request.run_config,
                    raise_on_error=False,
                )
            )
        finally:
            workplace.close()
    return {(asset, partition or request.partition_key): state for asset, partition, state in materialised(result)}


def work_off(graph):
    """Until nobody asks for anything: all that was made or handed on, and how many runs it took."""
    found, runs = {}, 0
    for _ in range(MOST_TICKS):
        requests = asked(graph.settings)
        if not requests:
            return found, runs
        for request in requests:
            found |= execute(graph, request)
            runs += 1
    raise AssertionError(f"still asked for after {MOST_TICKS} ticks")


def deeds(platform):
    """Deeds of somebody who may do everything."""
    return Deeds(platform, Catalog(platform.settings, platform.db, platform.store), ANYONE)


def worked_off(graph, cause, *beside):
    """What the plan names for this cause, and what a backfill of it makes; there are no others than those `beside` it."""
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert {each.cause for each in plan.causes} == {cause, *beside}
        planned = set(plan.cause(cause).assets)
        deeds(platform).start_backfill(cause)
    done, _ = work_off(graph)
    return planned, {asset for (asset, _), state in done.items() if state == "made"}


__all__ = ["asked", "deeds", "execute", "states", "ticking", "work_off", "worked_off"]
