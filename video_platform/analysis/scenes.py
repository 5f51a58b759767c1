"""Cuts between scenes by colours, seen in the frames that the one pass decodes anyway: the mode `fast`.

A cut may be where the colours of a picture change at once: the distance between two neighbouring histograms of the three planes, 32 bins each, is above a
threshold. A fade or dissolve changes less from frame to frame, or goes on changing. So it is decided once the picture is calm again: it is compared with the
last calm one (the twin comparison of Zhang, Kankanhalli and Smoliar, "Automatic partitioning of full-motion video", 1993). After a flash, or when what passed
the lens is gone, that has the same colours; when it became lighter or darker, it shows the same view. benchmarks/RESULTS.md has what is found of known cuts;
it costs under 3 % of the decoding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.pictures import Scaler
from video_platform.analysis.views import SAME_VIEW, View, likeness, of_planes
from video_platform.records import Scene

if TYPE_CHECKING:
    import av

PLANAR_8_BIT = {f"yuv{j}{layout}p" for j in ("", "j") for layout in ("420", "422", "444", "411", "440")}
"""Pixel formats whose planes can be read as they lie."""

BINS = 32
BIN_SHIFT = 3
"""256 levels in 32 bins: 8 levels each."""

CALM = 0.1
"""Distance below which neighbouring frames show one state: what moves and shakes stays below 0.05, a dissolve of half a second above. With 0.2 one more of
ten dissolves is missed."""

CALM_FRAMES = 3
"""So many calm frames in a row are a state that others are compared with; 2 do as well."""

RESTLESS_S = 0.5
"""A picture that does not become calm for so long after a change is compared as it is: quick pans, films with much movement."""

EVEN, EVEN_BINS = 0.95, 2
"""A picture shows nothing where this part of its brightness lies in so many neighbouring bins."""

EVEN_S = 2.0
"""Fades hold black that long at most; what stays so is a scene of its own."""

COLUMNS, ROWS = 64, 36
"""So many pixels of a plane are looked at; more change nothing."""


@dataclass(frozen=True)
class Look:
    """What is remembered of a picture: `colours`, 96 fractions, 32 per plane, and its `view`."""

    colours: NDArray[np.float64]
    view: View

    def is_even(self) -> bool:
        """Whether it shows nothing: black or white amid a fade."""
        return bool(np.convolve(self.colours[:BINS], np.ones(EVEN_BINS)).max() > EVEN)

    def distance(self, other: "Look") -> float:
        """Mean over the planes of the L1 distance (0-2) between two histograms."""
        return float(np.abs(self.colours - other.colours).sum()) / 3

    def shows_what(self, other: "Look") -> bool:
        """Whether both show one view."""
        return likeness(self.view, other.view) >= SAME_VIEW


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
    """Tells, frame by frame, where a scene begins, up to half a second later (two where the picture is black)."""

    def __init__(self, parameters: SceneParameters) -> None:
        self._parameters = parameters
        self._before: Look | None = None
        self._calm: Look | None = None
        self._calm_frames = 0
        self._even_since_s: float | None = None
        self._small: Scaler | None = None
        self.maybe_s: float | None = None
        """When the frame was shown with which a scene may begin, as long as that is not decided."""
        self.starts_s: list[float] = []

    def see(self, frame: "av.VideoFrame", time_s: float) -> float | None:
        """Look at the next frame; the time of the frame, this one or `maybe_s`, of which is known now that it begins a scene. The first frame always does."""
        now = self._look(frame)
        before, self._before = self._before, now
        if before is None or self._calm is None:
            self._calm = now
            self.starts_s.append(time_s)
            return time_s
        distance = now.distance(before)
        self._calm_frames = self._calm_frames + 1 if distance <= CALM else 0
        if distance > self._parameters.threshold:
            self.maybe_s = time_s
        if not now.is_even():
            self._even_since_s = None
        elif self._even_since_s is None:
            self._even_since_s = time_s
        restless = self.maybe_s is not None and time_s - self.maybe_s >= RESTLESS_S
        showing = self._even_since_s is None or time_s - self._even_since_s >= EVEN_S
        return self._decided(now, time_s) if showing and (restless or self._calm_frames >= CALM_FRAMES) else None

    def finish(self) -> float | None:
        """As `see`, when there is no other frame: what has changed until now is not known to change back."""
        return self._decided(self._before, self.maybe_s) if self._before is not None and self.maybe_s is not None else None

    def _decided(self, now: Look, time_s: float) -> float | None:
        """Whether this picture differs from the last calm one: then a scene began where it changed at once, or else here."""
        begins_s = time_s if self.maybe_s is None else self.maybe_s
        differs = self._calm is not None and now.distance(self._calm) > self._parameters.threshold and not now.shows_what(self._calm)
        self._calm, self.maybe_s = now, None
        if not differs or begins_s - self.starts_s[-1] < self._parameters.min_scene_s:
            return None
        self.starts_s.append(begins_s)
        return begins_s

    def scenes(self, end_s: float) -> list[Scene]:
        """All scenes of a video that ends at `end_s`."""
        return scenes_between(self.starts_s, end_s)

    def _look(self, frame: "av.VideoFrame") -> Look:
        if frame.format.name not in PLANAR_8_BIT:
            self._small = self._small or Scaler(COLUMNS, ROWS, "yuv444p")
            frame = self._small(frame)
        planes = []
        for plane in frame.planes:
            pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            rows, columns = np.arange(ROWS) * plane.height // ROWS, np.arange(COLUMNS) * plane.width // COLUMNS
            planes.append(pixels[rows[:, None], columns])
        parts = [np.bincount((pixels >> BIN_SHIFT).ravel(), minlength=BINS) / pixels.size for pixels in planes]
        return Look(np.concatenate(parts), of_planes(planes))


def scenes_between(starts_s: Sequence[float], end_s: float) -> list[Scene]:
    """The scenes that begin at these times, each up to the next one, of a video that ends at `end_s`."""
    ends = [*starts_s[1:], max(end_s, starts_s[-1])] if starts_s else []
    return [Scene(index, start, end) for index, (start, end) in enumerate(zip(starts_s, ends, strict=True))]
