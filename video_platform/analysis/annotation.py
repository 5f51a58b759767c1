"""Annotations of people, to measure against: MOTChallenge text, checked line by line.

A line is one box of one object in one frame: `frame, object, left, top, width, height[, considered[, class[, visibility]]]`; frames count from 1, boxes are
pixels of the upright picture. `considered` 0 is a box that is neither to be found nor wrong to be found. A class of -1, or none, is not given.

Lines of ten columns are those of MOT15, whose last three are coordinates of the world and not read. There a box counts whatever its seventh column says,
unless it is asked otherwise: in PETS09-S2L1, 0 marks people who are well visible, at the far edge of the ground that the three-dimensional half of that
benchmark is about.
"""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.tables import Tracks
from video_platform.errors import AnnotationError, InputError, Problem

MAX_BYTES = 256 * 1024 * 1024
"""About six million boxes: hours of a crowd. Larger files are no annotations by people."""

SHOWN_PROBLEMS = 20
"""Problems that the message spells out; a file of the wrong kind has one on every line."""

KEPT_PROBLEMS = 1000
"""Problems that are kept with the error; further ones are counted only, or a large file of another kind would fill the memory with them."""

WORLD_COLUMNS = 10
"""Columns of a MOT15 line."""

NO_CLASS = -1

LARGEST_NUMBER = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Annotation:
    """Boxes of an annotation, in the order of the file.

    `frame` int64 (N,) from 1; `object_id` int64 (N,); `boxes` float64 (N, 4), left, top, width, height in pixels; `class_number` int64 (N,), -1 where none
    is given; `considered` bool (N,); `line` int64 (N,) from 1. `counted_all_the_same` is the number of boxes of MOT15 that are marked as not to be considered.
    """

    source: str
    frame: NDArray[np.int64]
    object_id: NDArray[np.int64]
    boxes: NDArray[np.float64]
    class_number: NDArray[np.int64]
    considered: NDArray[np.bool_]
    line: NDArray[np.int64]
    counted_all_the_same: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: NDArray[Any]) -> "Annotation":
        """The rows of an index or mask, in that order."""
        taken = {name: getattr(self, name)[rows] for name in ("frame", "object_id", "boxes", "class_number", "considered", "line")}
        return replace(self, **taken)

    def tracks(self, frame_s: NDArray[np.float64], width: int, height: int, class_of: Mapping[int, int]) -> Tracks:
        """The boxes whose class number is in `class_of` (class number -> `class_id`), as tracks with score 1.

        `frame_s` is the time of every frame; boxes become fractions of `width` and `height`.
        """
        mine = self.take(np.isin(self.class_number, list(class_of)))
        corners = np.concatenate([mine.boxes[:, :2], mine.boxes[:, :2] + mine.boxes[:, 2:]], axis=1) / [width, height, width, height]
        class_id = np.array([class_of[int(number)] for number in mine.class_number], np.int16)
        score = np.ones(len(mine), np.float32)
        return Tracks(frame_s[mine.frame - 1], class_id, score, corners.astype(np.float32), mine.object_id.astype(np.int32)).ordered()

    def check(self, frames: int, width: int, height: int) -> None:
        """Refuse an annotation that cannot be of this video.

        Raises:
            AnnotationError: boxes stand in frames that it has not, or outside its picture.
        """
        left, top, box_width, box_height = self.boxes.T
        outside = (left >= width) | (top >= height) | (left + box_width <= 0) | (top + box_height <= 0)
        wrong = _Wrong()
        for line, frame, beside in zip(self.line.tolist(), self.frame.tolist(), outside.tolist(), strict=True):
            if frame > frames:
                wrong.say(f"frame {frame} of a video that has {frames}", "frame", line)
            elif beside:
                wrong.say(f"the box lies outside the picture of {width}x{height} pixels", "box", line)
        wrong.refuse(self.source, f"it is the annotation of another video, or of one of another size than {width}x{height}")


def read(path: Path, *, considered_only: bool = False) -> Annotation:
    """The annotation in a file; see `parse`.

    Raises:
        InputError: the file cannot be read.
        AnnotationError: with every line that cannot be used.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_BYTES:
            raise InputError(f"{path} has {size_bytes} bytes; an annotation may have {MAX_BYTES}", path=str(path))
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"the annotation {path} cannot be read: {reason}", path=str(path)) from error
    return parse(text, str(path), considered_only=considered_only)


def parse(text: str, source: str = "the annotation", *, considered_only: bool = False) -> Annotation:
    """The annotation in MOTChallenge text; with `considered_only`, what MOT15 marks as not to be considered is not.

    Raises:
        AnnotationError: with every line that cannot be used.
    """
    reading = _Reading(considered_only)
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):  # lines as editors count them
        if line.strip():
            reading.line(number, line)
    reading.wrong.refuse(source)
    if not reading.rows:
        raise AnnotationError(f"{source} has no boxes; a line is frame,object,left,top,width,height,1,class,visibility", problems=[])
    frame, object_id, left, top, width, height, considered, class_number, line_number = (np.array(column) for column in zip(*reading.rows, strict=True))
    boxes = np.stack([left, top, width, height], axis=1).astype(np.float64)
    whole = (column.astype(np.int64) for column in (frame, object_id, class_number, line_number))
    frame, object_id, class_number, line_number = whole
    return Annotation(source, frame, object_id, boxes, class_number, considered.astype(bool), line_number, reading.counted_all_the_same)


class _Wrong:
    """What was wrong: how much, and the first of it."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Problem] = []

    def say(self, message: str, name: str, line: int) -> None:
        """One thing that is wrong, in a column of a line."""
        self.count += 1
        if self.count <= KEPT_PROBLEMS:
            self._kept.append(Problem(message, name, line))

    def refuse(self, source: str, remedy: str = "") -> None:
        """Raise AnnotationError when anything was wrong."""
        if not self.count:
            return
        shown = [str(problem) for problem in self._kept[:SHOWN_PROBLEMS]]
        said = [*shown, *([f"and {self.count - SHOWN_PROBLEMS:,} more"] if self.count > SHOWN_PROBLEMS else []), *([remedy] if remedy else [])]
        raise AnnotationError(f"{source} cannot be used: {'; '.join(said)}", problems=self._kept, source=source)


Row = tuple[int, int, float, float, float, float, bool, int, int]


class _Reading:
    """The lines read so far, and what was wrong with them."""

    def __init__(self, considered_only: bool) -> None:
        self.counted_all_the_same = 0
        self._considered_only = considered_only
        self.rows: list[Row] = []
        self.wrong = _Wrong()
        self._seen: dict[tuple[int, int], int] = {}
        self._classes: dict[int, tuple[int, int]] = {}

    def line(self, number: int, text: str) -> None:
        """One line that is not empty."""
        columns = [column.strip() for column in text.split(",")]
        if not 6 <= len(columns) <= WORLD_COLUMNS:
            said = f"{len(columns)} values; a line has frame,object,left,top,width,height, and may go on with considered,class,visibility"
            self.wrong.say(said, "", number)
            return
        before = self.wrong.count
        frame = self._whole(number, "frame", columns[0], 1)
        object_id = self._whole(number, "object", columns[1], 0)
        left, top = (self._number(number, name, given) for name, given in (("left", columns[2]), ("top", columns[3])))
        width, height = (self._number(number, name, given, above=0.0) for name, given in (("width", columns[4]), ("height", columns[5])))
        considered = self._number(number, "considered", columns[6]) != 0 if len(columns) > 6 else True
        given_class = columns[7] if 7 < len(columns) < WORLD_COLUMNS else str(NO_CLASS)
        class_number = self._whole(number, "class", given_class, NO_CLASS)
        if self.wrong.count > before:
            return
        if not considered and len(columns) == WORLD_COLUMNS and not self._considered_only:
            considered = True
            self.counted_all_the_same += 1
        self._once(number, int(frame), int(object_id), int(class_number))
        self.rows.append((int(frame), int(object_id), left, top, width, height, considered, int(class_number), number))

    def _once(self, number: int, frame: int, object_id: int, class_number: int) -> None:
        """An object has one box in a frame, and one class."""
        earlier = self._seen.setdefault((frame, object_id), number)
        if earlier != number:
            self.wrong.say(f"object {object_id} has a box in frame {frame} on line {earlier} already", "object", number)
        known, known_on = self._classes.setdefault(object_id, (class_number, number))
        if known != class_number:
            self.wrong.say(f"object {object_id} is of class {class_number} here and of class {known} on line {known_on}", "class", number)

    def _number(self, line: int, name: str, text: str, above: float = -math.inf) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) <= LARGEST_NUMBER:
            self.wrong.say(f"{text[:40]!r} is no number", name, line)
        elif value <= above:
            self.wrong.say(f"{text[:40]} must be more than {above:g}", name, line)
        return value

    def _whole(self, line: int, name: str, text: str, least: int) -> float:
        before = self.wrong.count
        value = self._number(line, name, text)
        if self.wrong.count == before and (value != int(value) or value < least):
            self.wrong.say(f"{text[:40]} must be a whole number of at least {least}", name, line)
        return value
