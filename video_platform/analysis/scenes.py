"""Cuts between scenes by colours, seen in the frames that the one pass decodes anyway: the mode `fast`.

A cut is where the colours of a picture change at once: the distance between two neighbouring histograms of the three planes, 32 bins each, is above a
threshold. A fade or dissolve changes less from frame to frame, or goes on changing: frames that follow each other so closely are one change, and once the
picture is calm again it is compared with the last one that was (the twin comparison of Zhang, Kankanhalli and Smoliar, "Automatic partitioning of full-motion
video", 1993). benchmarks/RESULTS.md has what is found of 30 known cuts; it costs under 3 % of the decoding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.pictures import Scaler
from video_platform.records import Scene

if TYPE_CHECKING:
    import av

PLANAR_8_BIT = {f"yuv{j}{layout}p" for j in ("", "j") for layout in ("420", "422", "444", "411", "440")}
"""Pixel formats whose planes can be read as they lie."""

BINS = 32
BIN_SHIFT = 3
"""256 levels in 32 bins: 8 levels each."""

ONE_CHANGE_S = 0.2
"""Changes that follow each other within this are one: the two halves of a fade, with black between them."""

CALM = 0.1
"""Distance below which neighbouring frames show one state: what moves and shakes stays below 0.05, a dissolve of half a second above. With 0.2 one more of
ten dissolves is missed."""

CALM_FRAMES = 3
"""So many calm frames in a row are a state that others are compared with; 2 do as well."""

COLUMNS, ROWS = 64, 36
"""About as many pixels of a plane as are looked at; more change nothing."""


@dataclass(frozen=True)
class SceneParameters:
    """What counts as a cut; field names as in the settings group `scenes`.

    `threshold` is the mean over the planes of the L1 distance (0-2) between two histograms; it counts in mode `fast`, `model` in mode `accurate`.
    """

    mode: str = "fast"
    model: str = "transnetv2"
    threshold: float = 0.35
    min_scene_s: float = 0.5
    thumbnail_every_s: float = 10.0


class CutFinder:
    """Tells, frame by frame, where a scene begins."""

    def __init__(self, parameters: SceneParameters) -> None:
        self._parameters = parameters
        self._before: NDArray[np.float64] | None = None
        self._calm: NDArray[np.float64] | None = None
        self._calm_s = self._changed_s = float("-inf")
        self._calm_frames = 0
        self._small: Scaler | None = None
        self.starts_s: list[float] = []

    def begins(self, frame: "av.VideoFrame", time_s: float) -> bool:
        """Whether a scene begins with this frame, at `time_s`; the first frame always begins one."""
        now = self._histogram(frame)
        before, self._before = self._before, now
        if before is None or self._calm is None:
            self._calm, self._calm_s = now, time_s
            self.starts_s.append(time_s)
            return True
        distance = _distance(now, before)
        self._calm_frames = self._calm_frames + 1 if distance <= CALM else 0
        begins = False
        if distance > self._parameters.threshold:
            begins = time_s - self._changed_s >= ONE_CHANGE_S
            self._changed_s = time_s
        elif self._calm_frames >= CALM_FRAMES:
            nothing_since = self.starts_s[-1] <= self._calm_s
            begins = nothing_since and _distance(now, self._calm) > self._parameters.threshold
            self._calm, self._calm_s = now, time_s
        if not begins or time_s - self.starts_s[-1] < self._parameters.min_scene_s:
            return False
        self.starts_s.append(time_s)
        return True

    def scenes(self, end_s: float) -> list[Scene]:
        """All scenes of a video that ends at `end_s`."""
        return scenes_between(self.starts_s, end_s)

    def _histogram(self, frame: "av.VideoFrame") -> NDArray[np.float64]:
        """96 fractions: 32 per plane."""
        if frame.format.name not in PLANAR_8_BIT:
            self._small = self._small or Scaler(COLUMNS, ROWS, "yuv444p")
            frame = self._small(frame)
        parts = []
        for plane in frame.planes:
            pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            pixels = pixels[:: max(1, plane.height // ROWS), : plane.width : max(1, plane.width // COLUMNS)]
            parts.append(np.bincount((pixels >> BIN_SHIFT).ravel(), minlength=BINS) / pixels.size)
        return np.concatenate(parts)


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean over the planes of the L1 distance (0-2) between two histograms."""
    return float(np.abs(one - other).sum()) / 3


def scenes_between(starts_s: Sequence[float], end_s: float) -> list[Scene]:
    """The scenes that begin at these times, each up to the next one, of a video that ends at `end_s`."""
    ends = [*starts_s[1:], max(end_s, starts_s[-1])] if starts_s else []
    return [Scene(index, start, end) for index, (start, end) in enumerate(zip(starts_s, ends, strict=True))]
