"""Rules over many videos of one camera at once: the same episodes as judging each alone, at the cost of a few long videos.

What NumPy costs, it costs a call; judged one by one, six thousand files of a minute would pay for that six thousand times. So the tracks of many videos are
columns of one evaluation, in which no state goes from one video to the next. What does go on is what a camera's next file takes up (`continuing`): the videos
are judged in the order in which they were recorded, each with what the one before it handed on under the same rules.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import continuing
from video_platform.analysis.evaluate import Evaluation, Found
from video_platform.analysis.observed import Observed
from video_platform.analysis.tables import Samples, Tracks
from video_platform.analysis.timeline import Timeline
from video_platform.records import EarlierFootage, OpenState
from video_platform.rules import CameraRules

MAX_ROWS = 400_000
"""Boxes that are judged at once: columns that a processor's cache nearly holds; ten times as many are no faster and take ten times the memory."""


@dataclass(frozen=True)
class Judge:
    """What besides its tracks decides the alerts of a video.

    `earlier` is the camera's footage before it, with the open states that the ledger has of it; what was judged before in the same batch counts instead.
    """

    video_id: str
    recorded_at: datetime | None = None
    aspect: float | None = None
    earlier: EarlierFootage | None = None


@dataclass(frozen=True, eq=False)
class Columns:
    """Tracks of several videos made by one detector, one video after the other.

    `video` (N,) is the position of each row's video, `sample` (N,) that of its sample among all samples of these videos.
    """

    tracks: Tracks
    video: NDArray[np.int32]
    sample: NDArray[np.int64]
    samples: Sequence[Samples]
    names: tuple[str, ...]

    def of(self, videos: Sequence[int]) -> "Columns":
        """Those of some of the videos, given in ascending order."""
        position = np.full(len(self.samples), -1, np.int32)
        position[list(videos)] = np.arange(len(videos))
        lengths = np.array([len(samples) for samples in self.samples], np.int64)
        chosen = np.where(position >= 0, lengths, 0)
        moved = (np.cumsum(chosen) - chosen) - (np.cumsum(lengths) - lengths)
        rows = np.flatnonzero(position[self.video] >= 0)
        video = self.video[rows]
        return Columns(self.tracks.take(rows), position[video], self.sample[rows] + moved[video], [self.samples[at] for at in videos], self.names)


@dataclass(frozen=True, eq=False)
class Footage:
    """One video: what decides its alerts, and its tracks."""

    judge: Judge
    tracks: Tracks
    samples: Samples
    names: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """The evaluation of one video; `earlier` is what of the footage before it counted, as its fingerprint wants it."""

    video_id: str
    evaluation: Evaluation
    earlier: EarlierFootage | None


def evaluate(footage: Iterable[Footage], rules: CameraRules, *, explain: bool = True) -> Iterator[Judged]:
    """What the rules of a camera find in its videos, given in the order in which they were recorded; `explain` as for `evaluate.evaluate`.

    Lazy: at most `MAX_ROWS` boxes, or one video, are held at a time.
    """
    camera = Camera(rules, explain=explain)
    batch: list[Footage] = []
    rows = 0
    for one in footage:
        if batch and (rows + len(one.tracks) > MAX_ROWS or one.names != batch[0].names):
            yield from camera.judge(joined(batch), [each.judge for each in batch])
            batch, rows = [], 0
        batch.append(one)
        rows += len(one.tracks)
    if batch:
        yield from camera.judge(joined(batch), [each.judge for each in batch])


def joined(footage: Sequence[Footage]) -> Columns:
    """The columns of several videos, all made by one detector, in order of video, track and time."""
    timeline = Timeline([one.samples for one in footage])
    parts = [one.tracks.take(_by_track(one.tracks)) for one in footage]
    video = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    tracks = Tracks(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("time_s", "class_id", "score", "boxes", "track_id")))
    return Columns(tracks, video, timeline.at(video.astype(np.int64), tracks.time_s), [one.samples for one in footage], footage[0].names)


def _by_track(tracks: Tracks) -> NDArray[np.int64]:
    return np.lexsort((tracks.time_s, tracks.track_id))


class Camera:
    """The rules of one camera and what its videos so far hand on to those after them."""

    def __init__(self, rules: CameraRules, *, explain: bool = False, passed_over: Collection[str] = ()) -> None:
        """Of rules `passed_over` only is told whether they can be evaluated; `explain` is for all."""
        self._rules, self._explain, self._passed_over = rules, explain, passed_over
        self._open: dict[str, tuple[OpenState, ...]] = {}

    def judge(self, columns: Columns, videos: Sequence[Judge]) -> list[Judged]:
        """The evaluations of the videos of these columns, in their order, which is that of recording."""
        found: dict[int, tuple[Found, int]] = {}
        for aspect in sorted({video.aspect or 1.0 for video in videos}):
            at = [position for position, video in enumerate(videos) if (video.aspect or 1.0) == aspect]
            part = columns if len(at) == len(videos) else columns.of(at)
            of_them = Found(self._observed(part, aspect), [videos[position].recorded_at for position in at], self._passed_over)
            found |= {position: (of_them, n) for n, position in enumerate(at)}
        return [self._one(columns, position, video, *found[position]) for position, video in enumerate(videos)]

    def _observed(self, columns: Columns, aspect: float) -> Observed:
        timeline = Timeline(columns.samples)
        return Observed(columns.tracks, timeline, columns.names, self._rules, aspect, video=columns.video, sample=columns.sample)

    def _one(self, columns: Columns, position: int, video: Judge, found: Found, n: int) -> Judged:
        earlier = video.earlier
        if earlier is not None and earlier.video_id in self._open:
            earlier = replace(earlier, open=self._open[earlier.video_id])
        earlier = continuing.counted(self._rules, video.recorded_at, earlier)
        evaluation = found.judge(n, earlier)
        self._open[video.video_id] = tuple(evaluation.open)
        if self._explain:
            alone = Found(self._observed(columns.of([position]), video.aspect or 1.0), [video.recorded_at])
            evaluation = replace(evaluation, near_misses=alone.near_misses(earlier))
        return Judged(video.video_id, evaluation, earlier)
