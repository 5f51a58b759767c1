"""What is drawn on a reel: boxes and names over the footage, and a strip below it with what and when. Nothing that is written covers the picture."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import overlay
from video_platform.analysis.passages import plain
from video_platform.analysis.tables import Tracks

BRIDGED_S = 0.6
"""Between two boxes of a track that are this close in time, its box is where a straight way would have it."""

HELD_S = 0.15
"""Elsewhere a box is shown for this long around its sample."""

STRIP_BGR = (28, 28, 28)
TITLE_BGR = (245, 245, 245)
TIME_BGR = (190, 190, 190)

TEXT_OF_HEIGHT = 0.032
TEXT_MIN = 13
"""Height of the letters: this part of the picture's height, in pixels never less."""

STRIP_LINES = 3.2
"""Height of the strip in heights of its letters: two lines and some air."""

MIN_WIDTH = 320
"""A strip is at least this wide, so that a date fits; a narrower picture stands in the middle above it."""

TEXT_WEIGHT = 500


class Boxes:
    """The tracks of a video, asked for the boxes of one moment."""

    def __init__(self, tracks: Tracks, names: Sequence[str]) -> None:
        order = np.lexsort((tracks.time_s, tracks.track_id))
        self._times, self._boxes = tracks.time_s[order], tracks.boxes[order]
        self._ids, self._begin = np.unique(tracks.track_id[order], return_index=True)
        self._end = np.append(self._begin[1:], len(order))
        self._labels = [f"{names[int(tracks.class_id[order[begin]])]} {track}" for track, begin in zip(self._ids, self._begin, strict=True)]
        self._from = self._times[self._begin] - HELD_S if len(order) else np.zeros(0)
        self._to = self._times[self._end - 1] + HELD_S if len(order) else np.zeros(0)

    def at(self, time_s: float) -> tuple[list[list[float]], list[str], list[int]]:
        """Boxes `x1 y1 x2 y2` (0-1), their labels (class and track), and the ids of their tracks."""
        boxes, labels, ids = [], [], []
        for index in np.flatnonzero((self._from <= time_s) & (self._to >= time_s)):
            box = self._box(int(self._begin[index]), int(self._end[index]), time_s)
            if box is not None:
                boxes.append(box.tolist())
                labels.append(self._labels[index])
                ids.append(int(self._ids[index]))
        return boxes, labels, ids

    def _box(self, begin: int, end: int, time_s: float) -> NDArray[np.float32] | None:
        after = begin + int(np.searchsorted(self._times[begin:end], time_s))
        before = max(begin, after - 1)
        after = min(after, end - 1)
        gap = float(self._times[after] - self._times[before])
        if 0 < gap <= BRIDGED_S:
            part = min(max((time_s - float(self._times[before])) / gap, 0.0), 1.0)
            return self._boxes[before] * (1 - part) + self._boxes[after] * part
        nearest = before if abs(self._times[before] - time_s) <= abs(self._times[after] - time_s) else after
        return self._boxes[nearest] if abs(self._times[nearest] - time_s) <= HELD_S + 1e-6 else None


class Clock:
    """Says when a moment of a video was: by the clock on the wall where its recording time is known, else its place in the video."""

    def __init__(self, recorded_at: datetime | None, zone: tzinfo | None) -> None:
        """`zone` None is this machine's."""
        self._recorded_at, self._zone = recorded_at, zone

    def words(self, time_s: float) -> str:
        """`2026-11-23 08:30:05 +01:00` or `0:05 of the video`; whole seconds."""
        if self._recorded_at is None:
            return f"{position(time_s)} of the video"
        instant = (self._recorded_at + timedelta(seconds=time_s)).astimezone(self._zone)
        offset = instant.strftime("%z")
        return f"{instant:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"

    def short(self, time_s: float) -> str:
        """`08:30:05` or `0:05`, for titles of chapters."""
        if self._recorded_at is None:
            return position(time_s)
        return f"{(self._recorded_at + timedelta(seconds=time_s)).astimezone(self._zone):%H:%M:%S}"


def position(time_s: float) -> str:
    """`0:05` or `1:02:03`."""
    whole = int(max(0.0, time_s))
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Canvas:
    """Pictures of one size with a strip below them; `picture_size` (width, height) is the largest picture that is put on it, sides even."""

    def __init__(self, picture_size: tuple[int, int]) -> None:
        import cv2

        self._cv2: Any = cv2
        self._font: Any = cv2.FontFace("sans")
        self._width, self._height = max(MIN_WIDTH, picture_size[0]), picture_size[1]
        self._text = max(TEXT_MIN, round(self._height * TEXT_OF_HEIGHT))
        self._strip_height = round(self._text * STRIP_LINES / 2) * 2
        self._strips: dict[tuple[str, str], NDArray[np.uint8]] = {}

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the whole."""
        return self._width, self._height + self._strip_height

    def compose(self, bgr: NDArray[np.uint8], found: tuple[list[list[float]], list[str], list[int]], title: str, when: str) -> NDArray[np.uint8]:
        """The picture (H, W, 3) with its boxes, in the middle of a canvas of `size`, and the strip below."""
        boxes, labels, ids = found
        drawn = overlay.draw(bgr, boxes=boxes, labels=labels, turns=ids) if boxes else bgr
        height, width = drawn.shape[:2]
        whole = np.empty((self._height + self._strip_height, self._width, 3), np.uint8)
        if (width, height) != (self._width, self._height):
            whole[: self._height] = 0
        left, top = (self._width - width) // 2, (self._height - height) // 2
        whole[top : top + height, left : left + width] = drawn
        whole[self._height :] = self._strip(title, when)
        return whole

    def _strip(self, title: str, when: str) -> NDArray[np.uint8]:
        """The strip, drawn once for each second of a piece; only the last one is kept."""
        found = self._strips.get((title, when))
        if found is None:
            found = np.empty((self._strip_height, self._width, 3), np.uint8)
            found[:] = STRIP_BGR
            self._line(found, title, round(self._text * 1.35), TITLE_BGR)
            self._line(found, when, round(self._text * 2.75), TIME_BGR)
            self._strips = {(title, when): found}
        return found

    def _line(self, strip: NDArray[np.uint8], text: str, baseline: int, colour: tuple[int, int, int]) -> None:
        margin = self._text // 2
        text = self._shortened(plain(text), self._width - 2 * margin)
        self._cv2.putText(strip, text, (margin, baseline), colour, self._font, self._text, TEXT_WEIGHT)

    def _shortened(self, text: str, width: int) -> str:
        """The text, or as much of its beginning as fits, with an ellipsis."""
        if self._wide(text) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._wide(text[:middle].rstrip() + "…") <= width else (low, middle - 1)
        return text[:low].rstrip() + "…"

    def _wide(self, text: str) -> int:
        return int(self._cv2.getTextSize((self._width, self._strip_height), text, (0, 0), self._font, self._text, TEXT_WEIGHT)[2])
