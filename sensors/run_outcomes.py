"""Runs that ended without saying so: killed, failed before their first step, or cancelled. The page shows what happened and what to do.

A run is judged some seconds after its end, when its video may long be in other hands. It has the word only when nothing is under way for the video, nobody
has asked for it since, and no other of its runs ended later. Runs that only write the summary have the word on that alone.
"""

from dataclasses import dataclass

import dagster as dg

from video_platform.errors import StoreUnavailable
from video_platform.events import TOPIC_PROCESSED, TOPIC_VIDEO_EVENTS
from video_platform.layout import is_video_id
from video_platform.pipeline import tags
from video_platform.pipeline.failures import CANCELLED, INTERRUPTED, MESSAGES, SUMMARY_MESSAGES
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.pipeline.made import summary_is_current
from video_platform.pipeline.resources import Desk
from video_platform.records import VideoRecord, VideoState

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
def failed_runs(context: dg.RunStatusSensorContext, desk: dg.ResourceParam[Desk]) -> None:
    """One run that ended in failure."""
    _tell(context, _judge(context, desk))


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    name="run_outcomes_cancelled",
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes the state of videos whose run was cancelled.",
)
def cancelled_runs(context: dg.RunStatusSensorContext, desk: dg.ResourceParam[Desk]) -> None:
    """One run that was cancelled. One of a backfill that began in the moment of a pause was only interrupted: nobody has to ask for its video."""
    taken_back = tags.asked(context.dagster_run.tags, tags.TAKEN_BACK)
    _tell(context, _settle(context, desk, INTERRUPTED if taken_back else CANCELLED))


def _tell(context: dg.RunStatusSensorContext, nothing_written: str | None) -> None:
    """Why nothing was written, in the log of the tick. Not as a SkipReason: Dagster ends a tick with the first of them, and fails one in which an earlier
    run was acted on, so that of many runs that died together each would take a tick of its own.
    """
    if nothing_written:
        context.log.info(nothing_written)


@dataclass(frozen=True)
class Standing:
    """What else there is for the video of a run that has ended; for a run that writes the summary, only what concerns summaries.

    `request` is the id of the newest event that asks for such a run; `asked` says that it has not become one yet. `live` are runs under way. `last` says
    that no other run ended later.
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
    request = outbox.newest_event(desk.platform.db, video_id, TOPIC_PROCESSED if run.job_name == DESCRIBE_VIDEO else TOPIC_VIDEO_EVENTS)
    asked = request is not None and not instance.get_runs_count(dg.RunsFilter(tags={tags.VIDEO: video_id, tags.EVENT: request}))
    live = [each for each in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags={tags.VIDEO: video_id})) if _alike(each, run)]
    ended = instance.get_run_records(dg.RunsFilter(statuses=ENDED, tags={tags.VIDEO: video_id}), limit=RECENT)
    ends = {each.dagster_run.run_id: (_ended_at(each), each.storage_id) for each in ended if _alike(each.dagster_run, run)}
    return Standing(request, asked, live, run.run_id in ends and ends[run.run_id] == max(ends.values()))


def _alike(one: dg.DagsterRun, other: dg.DagsterRun) -> bool:
    """Whether both write summaries, or neither does."""
    return (one.job_name == DESCRIBE_VIDEO) == (other.job_name == DESCRIBE_VIDEO)


def _ended_at(record: dg.RunRecord) -> float:
    return record.end_time or record.update_timestamp.timestamp()


def _judge(context: dg.RunStatusSensorContext, desk: Desk) -> str | None:
    """Writes what became of a failed run; why not, if nothing is to be written."""
    run = context.dagster_run
    if tags.asked(run.tags, tags.WILL_RETRY):
        return f"run {run.run_id} is retried"
    failures = context.for_run_failure().get_step_failure_events()
    if not failures:
        return _settle(context, desk, INTERRUPTED)
    error = failures[0].step_failure_data.error
    text = (error.message.strip().splitlines() or ["unknown"])[0] if error else "unknown"
    return _settle(context, desk, "StepFailed", f"Step {failures[0].step_key} failed: {text[:1000]}. The run's log has the details.")


def _settle(context: dg.RunStatusSensorContext, desk: Desk, code: str, message: str | None = None) -> str | None:
    """Writes the state unless the video is in other hands, or stands already: what the step itself wrote is more precise."""
    from video_platform.services.database import videos

    run = context.dagster_run
    video_id = run.tags.get(tags.VIDEO, "")
    record = videos.get(desk.platform.db, video_id) if is_video_id(video_id) else None
    if record is None or record.state is VideoState.DELETED:
        return f"run {run.run_id}: nothing to write for {video_id or 'a run without a partition'}"
    if run.job_name == DESCRIBE_VIDEO:
        return _settle_summary(context, desk, record, code, message or SUMMARY_MESSAGES[code])
    return _settle_video(context, desk, record, code, message or MESSAGES[code])


def _settle_video(context: dg.RunStatusSensorContext, desk: Desk, record: VideoRecord, code: str, message: str) -> str | None:
    from video_platform.services.database import videos

    run_id = context.dagster_run.run_id
    if record.state not in (VideoState.RECEIVED, VideoState.PROCESSING):
        return f"run {run_id}: video {record.video_id} is {record.state} already"
    standing = _standing(context, desk, record.video_id)
    if standing.waits:
        videos.waits(desk.platform.db, record)
        return f"run {run_id}: video {record.video_id} was asked for again and waits for its turn"
    if standing.live or not standing.last:
        return f"run {run_id}: another run has video {record.video_id}"
    if not videos.ended(desk.platform.db, record, standing.request, run_id, code, message):
        return f"run {run_id}: video {record.video_id} was taken in hand meanwhile"
    return None


def _settle_summary(context: dg.RunStatusSensorContext, desk: Desk, record: VideoRecord, code: str, message: str) -> str | None:
    from video_platform.services.database import videos

    run_id = context.dagster_run.run_id
    standing = _standing(context, desk, record.video_id)
    if record.summary_failure_code is not None or standing.asked or standing.live or not standing.last:
        return f"run {run_id}: the summary of video {record.video_id} is in other hands, or its failure is known"
    if _is_written(desk, record.video_id):
        return f"run {run_id}: the summary of video {record.video_id} is there"
    videos.summary_failed(desk.platform.db, record.video_id, code, message)
    return None


def _is_written(desk: Desk, video_id: str) -> bool:
    try:
        return summary_is_current(desk.platform.store, video_id)
    except StoreUnavailable:  # then it is not there for a reader either
        return False
