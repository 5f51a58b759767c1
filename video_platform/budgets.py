"""How much time and memory the analysis child process may take, and what it may open: from the settings."""

from dataclasses import replace
from typing import TYPE_CHECKING

from video_platform import detectors
from video_platform.detectors import KnownDetector
from video_platform.model_registry import Engine
from video_platform.scene_model import SceneModel
from video_platform.settings import Settings
from video_platform.speech_model import SpeechModel

if TYPE_CHECKING:
    from video_platform.analysis.media import Limits
    from video_platform.analysis.worker import Budget

TORCH_MEMORY_BYTES = 4 * 1024**3
"""What torch, its threads and a model of a gigabyte may take besides."""

TORCH_PICTURE_S = 6.0
"""Longest look of a detector of torch at one picture: RT-DETR v2 R50 took 4.5 s on a processor of two cores."""


ACCURATE_SCENES_S = 4.0
"""Longest look for cuts by a network, per second of footage: 30 frames took 0.8 s of one busy core."""

MODEL_COPIES = 4
"""A speech model of 16-bit numbers takes its size as it is read, half of that as int8, and room to reckon in."""

PROBE_SECONDS = 0.0
"""A probe reads the container's index, not the footage: the base budget is all it gets."""

ONE_FRAME_SECONDS = 0.0
"""One frame is sought, not decoded up to: the same."""


def media_limits(settings: Settings) -> "Limits":
    """What footage may be opened."""
    from video_platform.analysis.media import Limits

    media = settings.media
    return Limits(max_pixels=media.max_pixels, max_duration_s=media.max_duration_s, max_frames=media.max_frames)


def worker_budget(settings: Settings, footage_s: float | None, detector: KnownDetector | None = None, finder: SceneModel | None = None) -> "Budget":
    """The budget of a pass over `footage_s` seconds of footage; unknown length counts as the longest allowed. A `detector` on torch and a `finder` of scenes
    get more of both.
    """
    from video_platform.analysis.worker import Budget

    media = settings.media
    length_s = media.max_duration_s if footage_s is None else footage_s
    wall_s = media.worker_base_s + media.worker_per_second * length_s
    on_torch = detector is not None and detector.engine != Engine.NANODET
    if not on_torch and finder is None:
        return Budget(memory_bytes=media.worker_memory_bytes, wall_s=wall_s)
    looking_s = (TORCH_PICTURE_S * settings.detection.samples_per_s * on_torch + ACCURATE_SCENES_S * (finder is not None)) * length_s
    return Budget(memory_bytes=media.worker_memory_bytes + TORCH_MEMORY_BYTES, wall_s=wall_s + looking_s, of_data=detectors.on_graphics_card(settings))


def speech_budget(settings: Settings, footage_s: float | None, model: SpeechModel) -> "Budget":
    """The budget of listening to `footage_s` seconds of footage: that of a pass, and what the model takes."""
    budget = worker_budget(settings, footage_s)
    return replace(budget, memory_bytes=budget.memory_bytes + MODEL_COPIES * model.size_bytes)
