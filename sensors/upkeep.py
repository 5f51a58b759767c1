"""Forgets what is no result and old enough, a little with each tick: see `pipeline.retention` and the settings `retention`."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from video_platform.errors import LogUnavailable
from video_platform.pipeline import retention
from video_platform.pipeline.resources import Desk

INTERVAL_S = 60

RUNS_S = 20.0
"""Time for deleting runs in a tick, which has 60 s: some hundred."""

LOGS_S = 5.0


@dg.sensor(
    name="upkeep",
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Forgets records of runs and events that are older than the settings want to keep.",
)
def upkeep(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SkipReason:
    """One tick."""
    now, wanted = datetime.now(UTC), desk.settings.retention
    runs = timedelta(days=wanted.runs_days)
    gone = {
        "runs": retention.forget_runs(context.instance, now, runs, RUNS_S),
        "logs of ticks": retention.forget_tick_logs(desk.settings, now, runs, LOGS_S),
    }
    if desk.settings.event_log.kind == "sqlite":
        try:
            gone["events"] = retention.forget_events(context.instance, desk.platform.log, now, timedelta(days=wanted.events_days))
        except LogUnavailable as error:
            return dg.SkipReason(f"{error.message} (the next tick tries again)")
    said = ", ".join(f"{count} {what}" for what, count in gone.items() if count)
    return dg.SkipReason(f"forgotten: {said}" if said else "nothing is old enough to be forgotten")
