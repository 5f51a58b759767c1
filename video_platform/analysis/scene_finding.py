"""Scenes within the one pass, in two modes of one form: `fast` tells by the colours of a frame, `accurate` asks a network.

Both are shown every decoded frame, write the thumbnails, and give the same result.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.media import OpenVideo
from video_platform.analysis.sampling import Due
from video_platform.analysis.scenes import CutFinder, SceneParameters, scenes_between
from video_platform.analysis.stages import Stage
from video_platform.analysis.thumbnails import Thumbnails
from video_platform.analysis.transitions import Transitions
from video_platform.analysis.transnet import HEIGHT, WIDTH, Scoring, TransNet
from video_platform.records import Scene
from video_platform.scene_model import SceneModel

if TYPE_CHECKING:
    import av

FAST_FPS = 8.0
"""Frames a second that cuts are looked for in by colours, at least."""

ACCURATE_FPS = 25.0
"""The same for the network, which learned from films and programmes of 24 to 30 frames a second: 60 may become 30, but 30 not 15, where it missed 1 cut of
15."""

ACCURATE_MOST_FPS = 30.0
"""More it is not shown: at 60 a dissolve would last twice as many frames as those it learned from, at twice the cost."""

PICTURES_WAITING = 16
"""Pictures (at most 0.3 MB each) between decoding and the network, which keeps 125 more until it knows what they are, and up to two seconds after
a transition until it is known where that leads."""


class SceneFinder(Protocol):
    """What the pass shows its frames to."""

    thumbnails: Thumbnails
    facts: dict[str, Any]
    """How they were looked for; known once `finish` has returned."""

    def see(self, frame: "av.VideoFrame", time_s: float) -> None:
        """Look at the next decoded frame."""
        ...

    def finish(self, end_s: float) -> list[Scene]:
        """All scenes of the video, which ends at `end_s`, with the names of their thumbnails."""
        ...

    def abort(self) -> None:
        """Let everything go; never raises."""
        ...


def needed_fps(parameters: SceneParameters) -> float:
    """Frames a second that must come out of the decoder."""
    return ACCURATE_FPS if parameters.mode == "accurate" else FAST_FPS


def scene_finder(video: OpenVideo, out_dir: Path, parameters: SceneParameters, model: SceneModel | None) -> SceneFinder:
    """The one that the mode asks for; thumbnails go into `out_dir`.

    Raises:
        ValueError: mode accurate without a `model`.
        SettingsError: torch is not installed. IntegrityError: its files are not those of the model.
    """
    if parameters.mode == "fast":
        return FastScenes(video, out_dir, parameters)
    if parameters.mode != "accurate" or model is None:
        raise ValueError(f"mode {parameters.mode!r} with model {model}; fast needs none, accurate needs one")
    return AccurateScenes(video, out_dir, parameters, TransNet(model))


class FastScenes:
    """By colours, on the thread that decodes; see `CutFinder`."""

    def __init__(self, video: OpenVideo, out_dir: Path, parameters: SceneParameters) -> None:
        self._cuts = CutFinder(parameters)
        self._maybe: NDArray[np.uint8] | None = None
        self.thumbnails = Thumbnails(video, out_dir, parameters.thumbnail_every_s)
        self.facts: dict[str, Any] = {"mode": parameters.mode}

    def see(self, frame: "av.VideoFrame", time_s: float) -> None:
        """See `SceneFinder`."""
        begins_s = self._cuts.see(frame, time_s)
        if self._cuts.maybe_s == time_s:
            self._maybe = self.thumbnails.picture(frame)
        elif begins_s is not None and begins_s < time_s:
            self._begin(begins_s)
        elif self._cuts.maybe_s is None:
            self.thumbnails.see(frame, time_s, begins_scene=begins_s is not None)

    def finish(self, end_s: float) -> list[Scene]:
        """See `SceneFinder`."""
        begins_s = self._cuts.finish()
        if begins_s is not None:
            self._begin(begins_s)
        return self.thumbnails.named(self._cuts.scenes(end_s))

    def _begin(self, begins_s: float) -> None:
        """The frame that was kept is the first of a scene."""
        if self._maybe is not None:
            self.thumbnails.keep(self._maybe, begins_s, begins_scene=True)

    def abort(self) -> None:
        """Nothing is held."""


class AccurateScenes:
    """By the network, on a thread of its own. A scene begins with the first frame after a transition to another view; see `Transitions`.

    What a scene begins with is known up to 75 frames and two seconds after it was decoded. So each frame is made as small as a thumbnail at once, the
    network's is made from that, and the small ones are kept until it is known whether they become thumbnails.
    """

    def __init__(self, video: OpenVideo, out_dir: Path, parameters: SceneParameters, network: TransNet) -> None:
        self.thumbnails = Thumbnails(video, out_dir, parameters.thumbnail_every_s)
        self.facts: dict[str, Any] = {"mode": parameters.mode, "model": network.name, "model_sha256": network.digest, "ran_on": network.ran_on}
        self._scoring = Scoring(network)
        self._transitions = Transitions(parameters.min_scene_s)
        self._due = Due(ACCURATE_MOST_FPS)
        self._unscored: deque[tuple[NDArray[np.uint8], float]] = deque()
        self._unknown: deque[tuple[NDArray[np.uint8], float]] = deque()
        self._stage: Stage[tuple[NDArray[np.uint8], float]] = Stage("scenes", self._look, room=PICTURES_WAITING)

    def see(self, frame: "av.VideoFrame", time_s: float) -> None:
        """See `SceneFinder`."""
        if self._due(time_s):
            self._stage.put((self.thumbnails.picture(frame), time_s))

    def finish(self, end_s: float) -> list[Scene]:
        """See `SceneFinder`."""
        self._stage.finish()
        for score in self._scoring.finish():
            self._judge(score)
        self._keep(self._transitions.finish())
        return self.thumbnails.named(scenes_between(self._transitions.starts_s, end_s))

    def abort(self) -> None:
        """Stop the thread."""
        self._stage.abort()

    def _look(self, seen: tuple[NDArray[np.uint8], float]) -> None:
        picture, time_s = seen
        small = network_frame(picture)
        self._unknown.append(seen)
        self._unscored.append((small, time_s))
        for score in self._scoring.add(small):
            self._judge(score)

    def _judge(self, score: float) -> None:
        """The frame that has waited longest got its score."""
        small, time_s = self._unscored.popleft()
        self._keep(self._transitions.judge(score, small, time_s))

    def _keep(self, known: Iterable[bool]) -> None:
        """Of the frames that have waited longest it is known whether they begin a scene."""
        for begins in known:
            picture, time_s = self._unknown.popleft()
            self.thumbnails.keep(picture, time_s, begins_scene=begins)


def network_frame(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) as the network sees it: (27, 48, 3) RGB, stretched to that shape whatever its own."""
    import cv2

    small = cv2.resize(bgr, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[:, :, ::-1], np.uint8)
