"""Jobs over the graph. Every run is one process (`in_process_executor`): five times cheaper than a process per step, and a crash takes one video with it."""

import dagster as dg

from video_platform.layout import ALERTS, DAILY_DIGEST, DETECTIONS, HIGHLIGHTS, PROCESSED_VIDEO, RAW_VIDEO, SCENES, TRACKS
from video_platform.pipeline.inbox import ingest_object
from video_platform.pipeline.judging_many import judge_videos
from video_platform.recipes import IN_WORDS

PROCESS_VIDEO = "process_video"
DESCRIBE_VIDEO = "describe_video"
MAKE_DIGEST = "make_digest"
PROCESS_AND_DESCRIBE = "process_and_describe"

PROCESS_ASSETS = (RAW_VIDEO, PROCESSED_VIDEO, DETECTIONS, SCENES, TRACKS, ALERTS, HIGHLIGHTS)

process_video = dg.define_asset_job(
    PROCESS_VIDEO,
    selection=dg.AssetSelection.assets(*PROCESS_ASSETS),
    executor_def=dg.in_process_executor,
    description="Footage to alerts and clips, for one video.",
)

describe_video = dg.define_asset_job(
    DESCRIBE_VIDEO,
    selection=dg.AssetSelection.assets(*IN_WORDS),
    executor_def=dg.in_process_executor,
    description="What is made of one video in words, and what search finds of it, after its tracks are there; waits for a slot of pool llm.",
)

process_and_describe = dg.define_asset_job(
    PROCESS_AND_DESCRIBE,
    selection=dg.AssetSelection.assets(*PROCESS_ASSETS, *IN_WORDS),
    executor_def=dg.in_process_executor,
    description="All of it for one video in one run; `vp process` uses it.",
)

make_digest = dg.define_asset_job(
    MAKE_DIGEST,
    selection=dg.AssetSelection.assets(DAILY_DIGEST),
    executor_def=dg.in_process_executor,
    description="The digest of one day.",
)

ALL = [process_video, describe_video, process_and_describe, ingest_object, judge_videos, make_digest]
