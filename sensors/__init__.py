"""What watches the outside and starts runs.

video_events        topic video-events: one run of process_video per event
processed_videos    topic processed-videos: one run of describe_video per event
digests             days whose footage changed: one run of make_digest for each
inbox_uploads       topic s3-events, and the inbox itself: one run of ingest_object per object
run_outcomes        runs that died or were cancelled: the state that the page shows
configuration       rules, detector and prompts: observed when they change
backfills           what is made again over the past: asked for, behind everything else
backfill_batches    its videos that are judged together: one run of judge_videos for many
reconcile           what a kill or an outage left undone: reported, requested again, cleaned up
upkeep              records of runs and events that are old enough: forgotten
"""

from sensors.backfills import backfills_sensor, batches_sensor
from sensors.configuration import configuration
from sensors.digests import digests_sensor
from sensors.inbox_uploads import inbox_uploads
from sensors.processed_videos import processed_videos
from sensors.reconcile import reconcile
from sensors.run_outcomes import cancelled_runs, failed_runs
from sensors.upkeep import upkeep
from sensors.video_events import video_events

ALL = [
    video_events,
    processed_videos,
    inbox_uploads,
    failed_runs,
    cancelled_runs,
    configuration,
    backfills_sensor,
    batches_sensor,
    digests_sensor,
    reconcile,
    upkeep,
]

__all__ = [
    "ALL",
    "backfills_sensor",
    "batches_sensor",
    "cancelled_runs",
    "configuration",
    "digests_sensor",
    "failed_runs",
    "inbox_uploads",
    "processed_videos",
    "reconcile",
    "upkeep",
    "video_events",
]
