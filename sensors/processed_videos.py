"""Topic `processed-videos`: tracks and alerts of a video are there, so its summary can be written."""

import dagster as dg

from sensors.consuming import INTERVAL_S, consume, run_key
from video_platform.events import TOPIC_PROCESSED, VIDEO_PROCESSED, Event, ProcessedBody
from video_platform.pipeline import tags
from video_platform.pipeline.jobs import describe_video
from video_platform.pipeline.resources import Desk
from video_platform.records import VideoRecord


@dg.sensor(
    name="processed_videos",
    job=describe_video,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts describe_video for every event of topic processed-videos.",
)
def processed_videos(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SensorResult | dg.SkipReason:
    """One tick."""
    return consume(context, desk, TOPIC_PROCESSED, (VIDEO_PROCESSED,), _run)


def _run(event: Event, video: VideoRecord, common: dict[str, str]) -> dg.RunRequest:
    """Without a lane tag: these runs wait for a slot of pool llm, not for one of a lane."""
    assert isinstance(event.body, ProcessedBody)
    own = {tags.PRIORITY: str(tags.DESCRIBE_PRIORITY[event.body.lane]), tags.ASKED_LANE: event.body.lane.value}
    return dg.RunRequest(run_key=run_key(event), partition_key=video.video_id, tags={**common, **own})
