"""One partition per video, and one per day of footage."""

import dagster as dg

VIDEOS = dg.DynamicPartitionsDefinition(name="videos")
"""The key is the video id; anything else never becomes a key (see `layout.is_video_id`)."""

DAYS = dg.DynamicPartitionsDefinition(name="days")
"""The key is a day, `2026-11-23`; days on which nothing was recorded are none."""
