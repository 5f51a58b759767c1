"""The looked-at moments of one or many videos in one column, so that rules judge an archive of short files as fast as a few long ones.

Every video keeps its own seconds, so that what is found is what judging it alone would find, to the last bit; no state goes from one video to the next.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.tables import Samples

APART_S = 2.0**20
"""What keeps the times of two videos apart where both stand in one sorted column: twelve days, and with thousands of videos still exact to microseconds."""

Rows = NDArray[np.int64]


class Timeline:
    """Samples of several videos, one after the other. `time_s` is (S,) in each video's own seconds, `video` (S,) the position of the video."""

    def __init__(self, videos: Sequence[Samples]) -> None:
        lengths = np.array([len(samples) for samples in videos], np.int64)
        self.time_s = videos[0].time_s if len(videos) == 1 else np.concatenate([samples.time_s for samples in videos]) if videos else np.zeros(0)
        self.video = np.repeat(np.arange(len(videos)), lengths)
        self.begin = np.cumsum(lengths) - lengths
        self.lengths = lengths
        self._videos = videos

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def videos(self) -> int:
        """How many videos there are."""
        return len(self.lengths)

    def of(self, video: int) -> Samples:
        """The samples of one video."""
        return self._videos[video]

    @cached_property
    def video_starts(self) -> NDArray[np.bool_]:
        """Which samples are the first of their video."""
        starts = np.zeros(len(self), bool)
        starts[self.begin[self.lengths > 0]] = True
        return starts

    @cached_property
    def first_s(self) -> NDArray[np.float64]:
        """The first sample of each video; NaN where there is none."""
        return self._ends(self.begin)

    @cached_property
    def last_s(self) -> NDArray[np.float64]:
        """The last sample of each video; NaN where there is none."""
        return self._ends(self.begin + self.lengths - 1)

    @cached_property
    def rates(self) -> NDArray[np.float64]:
        """Samples a second of each video, see `Samples.rate`."""
        return np.array([samples.rate for samples in self._videos])

    def at(self, video: Rows, time_s: NDArray[np.float64]) -> Rows:
        """For each moment of a video the first of its samples that is not before it."""
        return np.searchsorted(self._keys, video * APART_S + time_s) if self.videos > 1 else np.searchsorted(self.time_s, time_s)

    @cached_property
    def _keys(self) -> NDArray[np.float64]:
        return self.video * APART_S + self.time_s

    def _ends(self, sample: Rows) -> NDArray[np.float64]:
        found = np.full(self.videos, np.nan)
        some = self.lengths > 0
        found[some] = self.time_s[sample[some]]
        return found
