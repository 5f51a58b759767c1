"""The asset graph: one partition per video, one file per step, and what is configured as source assets.

Bodies decide what to make; `analysis` makes it, in a child process where pixels are touched.
"""

from video_platform.pipeline.assets.alerts import alerts
from video_platform.pipeline.assets.captions import captions
from video_platform.pipeline.assets.configuration import configuration
from video_platform.pipeline.assets.daily_digest import daily_digest, footage_of_the_day
from video_platform.pipeline.assets.described_alerts import described_alerts
from video_platform.pipeline.assets.highlights import highlights
from video_platform.pipeline.assets.llm_summary import llm_summary
from video_platform.pipeline.assets.one_pass import one_pass
from video_platform.pipeline.assets.raw_video import raw_video
from video_platform.pipeline.assets.search_index import search_index
from video_platform.pipeline.assets.second_look import second_look
from video_platform.pipeline.assets.tracks import tracks
from video_platform.pipeline.assets.transcript import transcript

ALL = [
    raw_video,
    one_pass,
    tracks,
    alerts,
    highlights,
    second_look,
    transcript,
    captions,
    described_alerts,
    llm_summary,
    search_index,
    configuration,
    footage_of_the_day,
    daily_digest,
]

__all__ = [
    "ALL",
    "alerts",
    "captions",
    "configuration",
    "daily_digest",
    "described_alerts",
    "footage_of_the_day",
    "highlights",
    "llm_summary",
    "one_pass",
    "raw_video",
    "search_index",
    "second_look",
    "tracks",
    "transcript",
]
