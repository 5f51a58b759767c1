"""Topic `video-events`: footage was taken in, or somebody asks for it to be processed again."""

import dagster as dg

from sensors.consuming import INTERVAL_S, consume, run_key
from video_platform.events import PROCESS_REQUESTED, TOPIC_VIDEO_EVENTS, VIDEO_INGESTED, Event, VideoBody
from video_platform.pipeline import tags
from video_platform.pipeline.jobs import process_video
from video_platform.pipeline.resources import Desk
from video_platform.records import VideoRecord


@dg.sensor(
    name="video_events",
    job=process_video,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts process_video for every event of topic video-events.",
)
def video_events(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SensorResult | dg.SkipReason:
    """One tick."""
    return consume(context, desk, TOPIC_VIDEO_EVENTS, (VIDEO_INGESTED, PROCESS_REQUESTED), _run)


def _run(event: Event, video: VideoRecord, common: dict[str, str]) -> dg.RunRequest:
    assert isinstance(event.body, VideoBody)
    lane = event.body.lane
    own = {tags.LANE: lane.value, tags.PRIORITY: str(tags.PROCESS_PRIORITY[lane])}
    if event.body.force:
        own[tags.FORCE] = "true"
    return dg.RunRequest(run_key=run_key(event), partition_key=video.video_id, tags={**common, **own})
