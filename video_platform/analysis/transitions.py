"""From a network's scores to scenes: which frames are one transition, whether it leads to another view, and with which frame the next scene begins.

The network says of every frame how surely it belongs to a transition. That is not yet a cut: a lamp that is switched on, a cloud, a flash or somebody who
walks past the lens change a picture as a fade does, and then the same view is there again. So what a camera shows before and after is compared, whatever the
light: only another view begins a scene.
"""

from collections import deque
from collections.abc import Iterator
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.views import SAME_VIEW, View, likeness, of_rgb

TRANSITION_SCORE = 0.5
"""A transition has a frame with more than this: the threshold of the paper, which its figures were measured with."""

LINGERING_SCORE = 0.2
"""... and lasts as long as frames have more than this. With 0.1 to 0.4 the same cuts are found; the views before and after are blends with more."""

ONE_CHANGE_S = 0.2
"""Transitions closer than this are one: the two halves of a fade."""

BLANK_SPREAD = 12.0
"""A picture whose levels (0-255) spread less than this in each colour, as standard deviation, shows nothing: black or white amid a fade."""

BLANK_S = 2.0
"""Fades hold black that long at most; a blank picture that stays is a scene of its own, and no decision waits longer."""

FRAMES_BEFORE = 2
"""The view before a transition is taken so many frames before it: the network is sometimes late by one."""

Small = NDArray[np.uint8]


class Transitions:
    """Tells of every frame, in order and some frames later, whether a scene begins with it."""

    def __init__(self, min_scene_s: float) -> None:
        self._min_scene_s = min_scene_s
        self._calm: deque[Small] = deque(maxlen=FRAMES_BEFORE)
        self._before: View | None = None
        self._likest = -1.0
        self._highest = 0.0
        self._begins_s: float | None = None
        self._calm_since_s = 0.0
        self._waiting = 0
        self.starts_s: list[float] = []

    def judge(self, score: float, small: Small, time_s: float) -> Iterator[bool]:
        """Show the next frame (H, W, 3), few pixels of it; yields whether a scene begins with them for the frames of which that is known now."""
        self._waiting += 1
        if not self.starts_s:
            self.starts_s.append(time_s)
            yield from self._known(begins=True)
        if score > LINGERING_SCORE:
            if self._before is None:
                self._before = of_rgb(self._calm[0] if self._calm else small)
            self._highest = max(self._highest, score)
            if self._highest > TRANSITION_SCORE:
                self._begins_s = None  # what seemed to begin is a part of this transition
        elif self._before is not None:
            if self._highest > TRANSITION_SCORE:
                yield from self._known(begins=False, keep=1)
                self._begins_s, self._calm_since_s, self._likest = time_s, time_s, -1.0
            elif self._begins_s is None:
                self._before = None
            self._highest = 0.0
        if self._begins_s is None:
            if self._before is None:
                self._calm.append(small)
            yield from self._known(begins=False)
            return
        if score > LINGERING_SCORE or is_blank(small):
            self._calm_since_s = time_s
        elif self._before is not None:
            self._likest = max(self._likest, likeness(self._before, of_rgb(small)))
        if time_s - self._calm_since_s >= ONE_CHANGE_S or time_s - self._begins_s >= BLANK_S:
            yield from self._decide(self._begins_s)

    def finish(self) -> Iterator[bool]:
        """The same of the frames that are left."""
        if self._begins_s is not None:
            yield from self._decide(self._begins_s)

    def _decide(self, begins_s: float) -> Iterator[bool]:
        """What the transition led to has been seen: a scene began with the frame that has waited longest, or the one before goes on."""
        begins = begins_s - self.starts_s[-1] >= self._min_scene_s and self._likest < SAME_VIEW
        if begins:
            self.starts_s.append(begins_s)
        self._begins_s = self._before = None
        self._calm.clear()
        yield from self._known(begins=begins)

    def _known(self, *, begins: bool, keep: int = 0) -> Iterator[bool]:
        """The frames that wait, but for the last `keep`; `begins` is said of the first."""
        count, self._waiting = self._waiting - keep, keep
        if count > 0:
            yield begins
            yield from repeat(False, count - 1)


def is_blank(picture: Small) -> bool:
    """Whether a picture (H, W, 3) shows nothing."""
    return bool((picture.std((0, 1)) < BLANK_SPREAD).all())
