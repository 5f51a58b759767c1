"""Which step of a run makes which asset."""

from video_platform.layout import DETECTIONS, PROCESSED_VIDEO, SCENES

ONE_PASS = "one_pass"
"""The step that makes everything that needs pixels."""


def step_of(asset: str) -> str:
    """The key of the step that makes `asset`."""
    return ONE_PASS if asset in (PROCESSED_VIDEO, DETECTIONS, SCENES) else asset
