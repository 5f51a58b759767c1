"""Looking at a few frames a second: which ones, and what a detector finds in them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import tables
from video_platform.analysis.detect import DetectionParameters, Detector, Found, load_detector
from video_platform.analysis.frames import Growing
from video_platform.analysis.media import OpenVideo
from video_platform.analysis.pictures import PictureMaker, fitted
from video_platform.analysis.stages import Stage
from video_platform.detectors import KnownDetector

if TYPE_CHECKING:
    import av

DETECTION_SIDE = 832
"""Longest side of the pictures that the detector gets: about twice its input, so that one cheap conversion leaves it pixels to average over.

Of 145 people found in 25 full 1080p frames 143 are found at this size by area means, 140 by the fast bilinear filter, which costs as much."""

PICTURES_WAITING = 4
"""Pictures (1.2 MB each) between decoding and detecting."""

GUESS_SCORE_FACTOR = 0.5
"""Detections down to this part of the store score are looked at for the best guess of a video in which nothing was found; they are not stored."""

TIME_SLACK = 1e-6
"""Of an interval: time stamps are rounded to their time base."""


class Due:
    """Which frames to take for a wanted rate: the first at or after each multiple of the interval. By time, so it holds for variable frame rates."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._slot = -1

    def __call__(self, time_s: float) -> bool:
        """Whether the frame shown at `time_s` is taken; ask once per frame, in order."""
        slot = int(time_s * self._rate + TIME_SLACK)
        taken, self._slot = slot > self._slot, max(slot, self._slot)
        return taken


class Detecting:
    """The detection stage: pictures in, rows out."""

    def __init__(self, video: OpenVideo, parameters: DetectionParameters, known: KnownDetector | None, detector: Detector | None) -> None:
        self._parameters = parameters
        self._known = known or parameters.model
        self._detector = detector
        self._gathered: list[tuple[NDArray[np.uint8], float]] = []
        size = fitted(video.probe.width, video.probe.height, max_width=DETECTION_SIDE, max_height=DETECTION_SIDE)
        self._picture = PictureMaker(size, video.orientation, "AREA")
        self._due = Due(parameters.samples_per_s)
        self._samples = Growing(time_s=(np.float64, 0), pts=(np.int64, 0))
        self._rows = Growing(time_s=(np.float64, 0), class_id=(np.int16, 0), score=(np.float32, 0), boxes=(np.float32, 4))
        self._best: tuple[float, int, float] | None = None
        self._stage: Stage[tuple[NDArray[np.uint8], float]] = Stage("detect", self._detect, room=PICTURES_WAITING)

    def see(self, frame: "av.VideoFrame", time_s: float, stamp: int) -> None:
        """Hand the frame to the detector if a sample is due."""
        if self._due(time_s):
            self._samples.append(1, time_s=time_s, pts=stamp)
            self._stage.put((self._picture(frame), time_s))

    def finish(self, out_dir: Path, indices: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> dict[str, Any]:
        """Wait for the detector, write the files, and say what was found."""
        self._stage.finish()
        self._look()
        detector = self._loaded()
        samples = tables.Samples(self._samples.column("time_s"), indices(self._samples.column("pts")))
        rows = self._rows
        found = tables.Detections(rows.column("time_s"), rows.column("class_id"), rows.column("score"), rows.column("boxes")).ordered()
        paths = {"detections": out_dir / "detections.parquet", "samples": out_dir / "samples.parquet"}
        tables.write_detections(paths["detections"], found, names=detector.names, digest=detector.digest)
        tables.write_samples(paths["samples"], samples)
        counts = {detector.names[class_id]: int(count) for class_id, count in zip(*np.unique(found.class_id, return_counts=True), strict=True)}
        return {
            **{role: str(path) for role, path in paths.items()},
            "frames_looked_at": len(samples),
            "count": len(found),
            "classes": counts,
            "model": detector.name,
            "model_sha256": detector.digest,
            "ran_on": detector.ran_on,
            "best_guess": self._guess(detector),
        }

    def abort(self) -> None:
        """Stop the thread."""
        self._stage.abort()

    def _loaded(self) -> Detector:
        if self._detector is None:
            parameters = self._parameters
            floor = parameters.store_score * GUESS_SCORE_FACTOR
            self._detector = load_detector(self._known, min_score=floor, second_scale=parameters.second_scale)
        return self._detector

    def _detect(self, item: tuple[NDArray[np.uint8], float]) -> None:
        self._gathered.append(item)
        if len(self._gathered) >= self._loaded().batch:
            self._look()

    def _look(self) -> None:
        """Show the detector what was gathered; all pictures of a pass have one shape."""
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        for (_, time_s), found in zip(gathered, self._loaded().detect_many([picture for picture, _ in gathered]), strict=True):
            self._keep(found, time_s)

    def _keep(self, found: Found, time_s: float) -> None:
        boxes, scores, class_ids = found
        if not len(scores):
            return
        best = int(np.argmax(scores))
        if self._best is None or scores[best] > self._best[0]:
            self._best = float(scores[best]), int(class_ids[best]), time_s
        kept = scores >= self._parameters.store_score
        if kept.any():
            self._rows.append(int(kept.sum()), time_s=time_s, class_id=class_ids[kept], score=scores[kept], boxes=boxes[kept])

    def _guess(self, detector: Detector) -> dict[str, Any] | None:
        """What came closest to being an object, whatever its score."""
        if self._best is None:
            return None
        score, class_id, time_s = self._best
        return {"class": detector.names[class_id], "score": round(score, 4), "at_s": round(time_s, 4)}
