"""Runs that ended without saying so: killed, failed before their first step, or cancelled. The page shows what happened and what to do.

A run is judged some seconds after its end, when its video may long be in other hands. It has the word only when nothing is under way for the video, nobody
has asked for it since, and no other of its runs ended later.
"""

from dataclasses import dataclass

import dagster as dg

from video_platform.events import TOPIC_VIDEO_EVENTS
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

BEFORE_THE_FIRST_STEP = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

RECENT = 20
"""Ended runs of a video that are looked at for the one that ended last: it waits seconds for its judgement, in which no video has as many."""

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


@dataclass(frozen=True)
class Standing:
    """What else there is for the video of a run that has ended.

    `request` is the id of the newest event that asks for the video; `asked` says that it has not become a run yet. `live` are runs under way. `last` says
    that no other run of the video ended later.
    """

    request: str | None
    asked: bool
    live: list[dg.DagsterRun]
    last: bool

    @property
    def waits(self) -> bool:
        """Whether the video waits for a run that has not begun."""
        return (self.asked or bool(self.live)) and all(run.status in BEFORE_THE_FIRST_STEP for run in self.live)


def _standing(context: dg.RunStatusSensorContext, desk: Desk, video_id: str) -> Standing:
    """In this order: a request becomes a run and a run ends while this looks, and neither may be missed."""
    from video_platform.services.database import outbox

    instance, run = context.instance, context.dagster_run
    request = outbox.newest_event(desk.platform.db, video_id, TOPIC_VIDEO_EVENTS)
    asked = request is not None and not instance.get_runs_count(dg.RunsFilter(tags={tags.VIDEO: video_id, tags.EVENT: request}))
    live = [each for each in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags={tags.VIDEO: video_id})) if each.job_name != DESCRIBE_VIDEO]
    ended = instance.get_run_records(dg.RunsFilter(statuses=ENDED, tags={tags.VIDEO: video_id}), limit=RECENT)
    ends = {each.dagster_run.run_id: (_ended_at(each), each.storage_id) for each in ended if each.dagster_run.job_name != DESCRIBE_VIDEO}
    return Standing(request, asked, live, run.run_id in ends and ends[run.run_id] == max(ends.values()))


def _ended_at(record: dg.RunRecord) -> float:
    return record.end_time or record.update_timestamp.timestamp()


def _settle(context: dg.RunStatusSensorContext, desk: Desk, code: str, message: str) -> dg.SkipReason | None:
    """Writes the state unless the video is in other hands, or stands already: what the step itself wrote is more precise."""
    from video_platform.services.database import videos

    run = context.dagster_run
    video_id = run.tags.get(tags.VIDEO, "")
    record = videos.get(desk.platform.db, video_id) if is_video_id(video_id) else None
    if record is None or record.state not in (VideoState.RECEIVED, VideoState.PROCESSING) or run.job_name == DESCRIBE_VIDEO:
        return dg.SkipReason(f"run {run.run_id}: nothing to write for {video_id or 'a run without a partition'}")
    standing = _standing(context, desk, video_id)
    if standing.waits:
        videos.waits(desk.platform.db, record)
        return dg.SkipReason(f"run {run.run_id}: video {video_id} was asked for again and waits for its turn")
    if standing.live or not standing.last:
        return dg.SkipReason(f"run {run.run_id}: another run has video {video_id}")
    if not videos.ended(desk.platform.db, record, standing.request, run.run_id, code, message):
        return dg.SkipReason(f"run {run.run_id}: video {video_id} was taken in hand meanwhile")
    return None
