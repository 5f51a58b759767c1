"""One partition per video."""

import dagster as dg

VIDEOS = dg.DynamicPartitionsDefinition(name="videos")
"""The key is the video id; anything else never becomes a key (see `layout.is_video_id`)."""
