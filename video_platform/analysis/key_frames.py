"""Which moments of a video are looked at by a model that sees: one per quiet scene, and enough of every span of activity that nothing happens between them.

Activity is every time in which any track is there. Spans end at cuts, so that no frame stands for what another scene shows.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from video_platform.records import Scene

PER_SECOND = 1.0
"""Frames per second of activity: what is there for a second is in at least one of them."""

MAX_FRAMES = 600
"""Frames of one video: ten minutes of activity, which take a small model on a graphics card about as long."""

MIN_QUIET_S = 5.0
"""A scene with activity has a frame of its longest quiet part if that lasts this long; a shorter one looks like the frames around it."""

TIME_SLACK_S = 1e-6
"""Times are sums of floats: a span of two seconds is not to have three frames for the last of its bits."""

HALVINGS = 60
"""Steps in which the spacing of a thinned choice is found: as many as a float has bits to tell apart, and a few."""


class Spanning(Protocol):
    """A track, as far as it counts here: when it was there."""

    @property
    def start_s(self) -> float:
        """Its first sample, in seconds."""
        ...

    @property
    def end_s(self) -> float:
        """Its last one."""
        ...


@dataclass(frozen=True)
class KeyFrame:
    """A moment, and the span that its frame stands for; `id` is its place in the choice, as text. `at_s` lies in the span, which lies in one scene."""

    id: str
    at_s: float
    start_s: float
    end_s: float
    kind: Literal["scene", "activity"]


@dataclass(frozen=True)
class Choice:
    """Key frames in order of time. `left_out` is how many more there would be without the cap; with 0 no activity of over `1 / per_second` s is without one."""

    frames: tuple[KeyFrame, ...]
    left_out: int


@dataclass(frozen=True)
class _Span:
    start_s: float
    end_s: float
    kind: Literal["scene", "activity"]

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s

    def count(self, every_s: float) -> int:
        """How many frames stand for it when none stands for more than `every_s`; a quiet part of a scene has one, however long."""
        return 1 if self.kind == "scene" else max(1, math.ceil((self.length_s - TIME_SLACK_S) / every_s))


def choose(tracks: Iterable[Spanning], scenes: Sequence[Scene], *, per_second: float = PER_SECOND, max_frames: int = MAX_FRAMES) -> Choice:
    """The key frames of one video; `scenes` are all of its scenes in order.

    Where that would be more than `max_frames`, all spans of activity are thinned to one wider spacing; where there are more spans than that, every so many of
    them have no frame at all.
    """
    if per_second <= 0 or max_frames < 1:
        raise ValueError(f"at least one frame, and more than none a second; got {max_frames} and {per_second}")
    spans = sorted(_spans(activity(tracks), scenes), key=lambda span: (span.start_s, span.end_s))
    wanted = sum(span.count(1 / per_second) for span in spans)
    if len(spans) > max_frames:
        spans = [spans[number * len(spans) // max_frames] for number in range(max_frames)]
    every_s = _spacing(spans, 1 / per_second, max_frames)
    moments = [moment for span in spans for moment in _moments(span, every_s)]
    return Choice(tuple(KeyFrame(str(number), *moment) for number, moment in enumerate(moments)), wanted - len(moments))


def activity(tracks: Iterable[Spanning]) -> list[tuple[float, float]]:
    """The spans in which any track is there, in order, as far apart as they are: `(start_s, end_s)`, equal for a track of one sample."""
    joined: list[tuple[float, float]] = []
    for start_s, end_s in sorted((track.start_s, track.end_s) for track in tracks):
        if joined and start_s <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end_s)
        else:
            joined.append((start_s, end_s))
    return joined


def _spans(active: Sequence[tuple[float, float]], scenes: Sequence[Scene]) -> Iterator[_Span]:
    """Activity cut into its scenes, and of each scene the longest quiet part, if that says more than the activity does."""
    cuts = [scene.start_s for scene in scenes[1:]]
    pieces = list(_cut(active, cuts))
    yield from (_Span(*piece, "activity") for piece in pieces)
    first = 0
    for scene in scenes:
        while first < len(pieces) and pieces[first][1] < scene.start_s:
            first += 1
        at_s, longest, busy = scene.start_s, (scene.start_s, scene.start_s), False
        number = first
        while number < len(pieces) and pieces[number][0] < scene.end_s:
            start_s, end_s = pieces[number]
            number += 1
            if end_s <= scene.start_s and start_s < scene.start_s:
                continue  # it ends with the cut, in the scene before
            busy = True
            longest = _longer(longest, (at_s, start_s))
            at_s = max(at_s, end_s)
        longest = _longer(longest, (at_s, scene.end_s))
        if not busy or longest[1] - longest[0] >= MIN_QUIET_S:
            yield _Span(*longest, "scene")


def _longer(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return other if other[1] - other[0] > one[1] - one[0] else one


def _cut(active: Sequence[tuple[float, float]], cuts: Sequence[float]) -> Iterator[tuple[float, float]]:
    """The spans with none over a cut: two that touch there instead."""
    number = 0
    for start_s, end_s in active:
        while number < len(cuts) and cuts[number] <= start_s:
            number += 1
        while number < len(cuts) and cuts[number] < end_s:
            yield start_s, cuts[number]
            start_s = cuts[number]
            number += 1
        yield start_s, end_s


def _spacing(spans: Sequence[_Span], every_s: float, max_frames: int) -> float:
    """The least spacing, from `every_s` up, at which these spans have no more than `max_frames` frames together; each has at least one."""

    def fits(spacing_s: float) -> bool:
        return sum(span.count(spacing_s) for span in spans) <= max_frames

    if fits(every_s):
        return every_s
    too_near, enough = every_s, max(span.length_s for span in spans)
    for _ in range(HALVINGS):
        middle = (too_near + enough) / 2
        too_near, enough = (too_near, middle) if fits(middle) else (middle, enough)
    return enough


def _moments(span: _Span, every_s: float) -> Iterator[tuple[float, float, float, Literal["scene", "activity"]]]:
    """The middles of equal parts: a frame at the edge of a span may show what is not there yet, or not any more."""
    count = span.count(every_s)
    for number in range(count):
        start_s, end_s = (span.start_s + span.length_s * part / count for part in (number, number + 1))
        yield (start_s + end_s) / 2, start_s, end_s, span.kind
