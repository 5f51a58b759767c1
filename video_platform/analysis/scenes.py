"""Cuts between scenes by colours, seen in the frames that the one pass decodes anyway: the mode `fast`.

A cut is where the colours of a picture change at once: the distance between two neighbouring histograms of the three planes, 32 bins each, is above a
threshold. Measured on 15 known cuts: 12 found, none false, for under 3 % of the decoding.
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
        self._small: Scaler | None = None
        self.starts_s: list[float] = []

    def begins(self, frame: "av.VideoFrame", time_s: float) -> bool:
        """Whether a scene begins with this frame, at `time_s`; the first frame always begins one."""
        now = self._histogram(frame)
        before, self._before = self._before, now
        if before is None:
            self.starts_s.append(time_s)
            return True
        distance = np.abs(now - before).sum() / 3
        if distance <= self._parameters.threshold or time_s - self.starts_s[-1] < self._parameters.min_scene_s:
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


def scenes_between(starts_s: Sequence[float], end_s: float) -> list[Scene]:
    """The scenes that begin at these times, each up to the next one, of a video that ends at `end_s`."""
    ends = [*starts_s[1:], max(end_s, starts_s[-1])] if starts_s else []
    return [Scene(index, start, end) for index, (start, end) in enumerate(zip(starts_s, ends, strict=True))]
