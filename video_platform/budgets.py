"""How much time and memory the analysis child process may take, and what it may open: from the settings."""

from typing import TYPE_CHECKING

from video_platform.settings import Settings

if TYPE_CHECKING:
    from video_platform.analysis.media import Limits
    from video_platform.analysis.worker import Budget

PROBE_SECONDS = 0.0
"""A probe reads the container's index, not the footage: the base budget is all it gets."""

ONE_FRAME_SECONDS = 0.0
"""One frame is sought, not decoded up to: the same."""


def media_limits(settings: Settings) -> "Limits":
    """What footage may be opened."""
    from video_platform.analysis.media import Limits

    media = settings.media
    return Limits(max_pixels=media.max_pixels, max_duration_s=media.max_duration_s, max_frames=media.max_frames)


def worker_budget(settings: Settings, footage_s: float | None) -> "Budget":
    """The budget of a pass over `footage_s` seconds of footage; unknown length counts as the longest allowed."""
    from video_platform.analysis.worker import Budget

    media = settings.media
    length_s = media.max_duration_s if footage_s is None else footage_s
    return Budget(memory_bytes=media.worker_memory_bytes, wall_s=media.worker_base_s + media.worker_per_second * length_s)
