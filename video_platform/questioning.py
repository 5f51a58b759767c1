"""What counts of who answers questions about frames: one answer for the step that asks, for plans, and for drafts over the past."""

from typing import TYPE_CHECKING

from video_platform import recipes

if TYPE_CHECKING:
    from video_platform.services.vision import Eyes


def configuration(eyes: "Eyes | None") -> dict[str, object] | None:
    """What counts in the fingerprint; None where nobody looked who is there."""
    from video_platform.analysis import seen

    if eyes is None:
        return None
    return seen.configuration(eyes.model) if eyes.model else recipes.unseeing(eyes.name, eyes.lack or "")
