"""Boxes, zones and lines drawn over a picture, for snapshots and for looking at rules."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_platform.records import Point

BOX_BGR = ((80, 220, 80), (60, 160, 255), (255, 160, 60), (200, 100, 255), (220, 220, 60), (100, 100, 255))
"""Colours of boxes in turn, so that labels of neighbours can be told apart."""

ZONE_BGR = (0, 190, 255)
LINE_BGR = (255, 220, 0)
DARK_BGR = (24, 24, 24)
ZONE_OPACITY = 0.18

REFERENCE_HEIGHT = 540
"""Picture height in pixels at which lines are 2 wide and text is 15 high; both grow with the picture."""

TEXT_SIZE = 15
TEXT_WEIGHT = 500
MAX_LABEL = 60
"""Characters of a label that are drawn."""

Area = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels."""


def draw(
    bgr: NDArray[np.uint8],
    *,
    boxes: Sequence[Sequence[float]] = (),
    labels: Sequence[str] = (),
    zones: Mapping[str, Sequence[Point]] | None = None,
    lines: Mapping[str, Sequence[Point]] | None = None,
    turns: Sequence[int] = (),
) -> NDArray[np.uint8]:
    """A copy of the picture (H, W, 3) with boxes `x1 y1 x2 y2`, zones (polygons) and lines (from, to), all 0-1; `labels` go with `boxes`.

    A line is an arrow with L and R on its sides, as seen when walking along it. `turns` gives each box the turn of its colour (a track keeps its own from
    picture to picture); without it they follow each other.
    """
    picture = _Picture(bgr.copy())
    picture.keep_clear([(*picture.pixel(box[:2]), *picture.pixel(box[2:4])) for box in boxes])
    for name, polygon in (zones or {}).items():
        picture.zone(name, polygon)
    for name, ends in (lines or {}).items():
        picture.line(name, ends[0], ends[1])
    for i, box in enumerate(boxes):
        picture.box(box, labels[i] if i < len(labels) else "", BOX_BGR[(turns[i] if turns else i) % len(BOX_BGR)])
    return picture.bgr


def _shared(a: Area, b: Area) -> int:
    """Pixels that two areas share."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


class _Picture:
    """The picture being drawn on; positions come in as fractions."""

    def __init__(self, bgr: NDArray[np.uint8]) -> None:
        import cv2

        self.cv2: Any = cv2
        self.bgr = np.ascontiguousarray(bgr)
        self.height, self.width = bgr.shape[:2]
        self.scale = max(self.height / REFERENCE_HEIGHT, 0.5)
        self.thickness = max(1, round(2 * self.scale))
        self.text_size = max(9, round(TEXT_SIZE * self.scale))
        self.font: Any = cv2.FontFace("sans")
        self._clear: list[Area] = []
        self._plates: list[Area] = []

    def keep_clear(self, areas: Sequence[Area]) -> None:
        """Plates of labels stand beside these areas where they can."""
        self._clear = list(areas)

    def pixel(self, point: Sequence[float]) -> tuple[int, int]:
        return round(point[0] * (self.width - 1)), round(point[1] * (self.height - 1))

    def box(self, box: Sequence[float], label: str, colour: tuple[int, int, int]) -> None:
        self.cv2.rectangle(self.bgr, self.pixel(box[:2]), self.pixel(box[2:4]), colour, self.thickness, self.cv2.LINE_AA)
        self.label(label, self.pixel(box[:2]), colour, around=self.pixel(box[2:4]))

    def zone(self, name: str, polygon: Sequence[Point]) -> None:
        corners = np.array([self.pixel(point) for point in polygon], np.int32)
        filled = self.bgr.copy()
        self.cv2.fillPoly(filled, [corners], ZONE_BGR)
        self.bgr = np.asarray(self.cv2.addWeighted(filled, ZONE_OPACITY, self.bgr, 1 - ZONE_OPACITY, 0), np.uint8)
        self.cv2.polylines(self.bgr, [corners], isClosed=True, color=ZONE_BGR, thickness=self.thickness, lineType=self.cv2.LINE_AA)
        left_top = corners[np.argmin(corners.sum(axis=1))]
        self.label(name, (int(left_top[0]), int(left_top[1])), ZONE_BGR)

    def line(self, name: str, start: Point, end: Point) -> None:
        a, b = self.pixel(start), self.pixel(end)
        self.cv2.arrowedLine(self.bgr, a, b, LINE_BGR, self.thickness, self.cv2.LINE_AA, tipLength=0.06)
        length = max(np.hypot(b[0] - a[0], b[1] - a[1]), 1.0)
        to_left = np.array([(b[1] - a[1]) / length, -(b[0] - a[0]) / length])  # y is downward: walking down, left is the picture's right
        middle = (np.array(a) + np.array(b)) / 2
        for letter, side in (("L", 1), ("R", -1)):
            x, y = middle + to_left * side * self.text_size * 1.2
            self.text(letter, (round(x - self.text_size * 0.3), round(y + self.text_size * 0.4)), LINE_BGR)
        self.label(name, a, LINE_BGR)

    def label(self, text: str, at: tuple[int, int], colour: tuple[int, int, int], around: tuple[int, int] | None = None) -> None:
        """Dark text on a coloured plate above `at`, moved as far as the picture needs; of a box from `at` to `around`, where it hides least."""
        text = " ".join(text.split())[:MAX_LABEL]
        if not text:
            return
        _, _, text_width, _ = self.cv2.getTextSize((self.width, self.height), text, (0, 0), self.font, self.text_size, TEXT_WEIGHT)
        plate_w, plate_h = text_width + self.text_size // 2, round(self.text_size * 1.5)
        places = [(at[0], at[1] - plate_h)]
        if around is not None:
            right = around[0] - plate_w
            places += [(right, at[1] - plate_h), (at[0], around[1] + 1), (right, around[1] + 1), (around[0] + 1, at[1]), (at[0] - plate_w - 1, at[1])]
        fitting = [(max(0, min(x, self.width - plate_w)), max(0, min(y, self.height - plate_h))) for x, y in places]
        x, y = min(fitting, key=lambda place: self._hidden((*place, place[0] + plate_w, place[1] + plate_h)))
        self._plates.append((x, y, x + plate_w, y + plate_h))
        self.cv2.rectangle(self.bgr, (x, y), (x + plate_w, y + plate_h), colour, self.cv2.FILLED)
        self.text(text, (x + self.text_size // 4, y + round(self.text_size * 1.1)), DARK_BGR)

    def _hidden(self, plate: Area) -> int:
        """Pixels of other labels and of boxes that a plate would stand on."""
        return sum(_shared(plate, other) for other in (*self._plates, *self._clear))

    def text(self, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
        self.cv2.putText(self.bgr, text, at, colour, self.font, self.text_size, TEXT_WEIGHT)
