"""Runs that ended without saying so: killed, failed before their first step, or cancelled. The page shows what happened and what to do."""

import dagster as dg

from video_platform.layout import is_video_id
from video_platform.pipeline import tags
from video_platform.pipeline.failures import CANCELLED, INTERRUPTED, MESSAGES
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.pipeline.resources import Desk
from video_platform.records import VideoState

UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""Runs that may still do something."""

INTERVAL_S = 5


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    name="run_outcomes_failed",
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes the failed state of videos whose run died.",
)
def failed_runs(context: dg.RunStatusSensorContext, desk: dg.ResourceParam[Desk]) -> dg.SkipReason | None:
    """One run that ended in failure."""
    run = context.dagster_run
    if tags.asked(run.tags, tags.WILL_RETRY):
        return dg.SkipReason(f"run {run.run_id} is retried")
    failures = context.for_run_failure().get_step_failure_events()
    if not failures:
        return _settle(context, desk, INTERRUPTED, MESSAGES[INTERRUPTED])
    error = failures[0].step_failure_data.error
    text = (error.message.strip().splitlines() or ["unknown"])[0] if error else "unknown"
    return _settle(context, desk, "StepFailed", f"Step {failures[0].step_key} failed: {text[:1000]}. The run's log has the details.")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    name="run_outcomes_cancelled",
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes the state of videos whose run was cancelled.",
)
def cancelled_runs(context: dg.RunStatusSensorContext, desk: dg.ResourceParam[Desk]) -> dg.SkipReason | None:
    """One run that was cancelled."""
    return _settle(context, desk, CANCELLED, MESSAGES[CANCELLED])


def _settle(context: dg.RunStatusSensorContext, desk: Desk, code: str, message: str) -> dg.SkipReason | None:
    """Writes the state unless the video is in other hands, or stands already: what the step itself wrote is more precise."""
    from video_platform.services.database import videos

    run = context.dagster_run
    video_id = run.tags.get(tags.VIDEO, "")
    record = videos.get(desk.platform.db, video_id) if is_video_id(video_id) else None
    if record is None or record.state not in (VideoState.RECEIVED, VideoState.PROCESSING) or run.job_name == DESCRIBE_VIDEO:
        return dg.SkipReason(f"run {run.run_id}: nothing to write for {video_id or 'a run without a partition'}")
    others = context.instance.get_runs_count(dg.RunsFilter(statuses=UNDER_WAY, tags={tags.VIDEO: video_id}))
    if others or record.run_id not in (None, run.run_id, run.parent_run_id, run.root_run_id):
        return dg.SkipReason(f"run {run.run_id}: another run has video {video_id}")
    videos.failed(desk.platform.db, video_id, None, code, message)
    return None
