"""Small pictures of a video: one at the start of each scene and at least one every so many seconds, and a poster."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.media import OpenVideo
from video_platform.analysis.pictures import PictureMaker, fitted, jpeg, square_size
from video_platform.records import Scene

if TYPE_CHECKING:
    import av

WIDTH = 320
"""Pixels across a thumbnail; a taller picture than wide is bounded by the same number in height."""

MAX_COUNT = 1000
"""Thumbnails of one video; long or flickering footage gets fewer per minute instead of a manifest of megabytes."""

POSTER_WIDTH = 960
POSTER_CANDIDATES_S = 60.0
"""The poster is the liveliest of the thumbnails of the first minute: recordings like to begin black."""

POSTER_EVERY_S = 5.0


@dataclass(frozen=True)
class Thumbnail:
    """One JPEG file; `scene` is the index of the scene that it begins, None for one in between."""

    at_s: float
    path: Path
    scene: int | None


class Thumbnails:
    """Writes thumbnails of the frames it is shown. The file name is the SHA-256 of the file's bytes."""

    def __init__(self, video: OpenVideo, folder: Path, every_s: float) -> None:
        width, height = square_size(video.probe.width, video.probe.height, video.pixel_aspect)
        self._make = PictureMaker(fitted(width, height, max_width=WIDTH, max_height=WIDTH), video.orientation, "AREA")
        self._folder = folder
        self._every_s = max(every_s, 2 * (video.probe.duration_s or 0.0) / MAX_COUNT)
        self._due_s = 0.0
        self._scenes = -1
        self.made: list[Thumbnail] = []

    def see(self, frame: "av.VideoFrame", time_s: float, *, begins_scene: bool) -> None:
        """Write a thumbnail if one is due."""
        if self._wanted(time_s, begins_scene):
            self._write(self.picture(frame), time_s, begins_scene)

    def picture(self, frame: "av.VideoFrame") -> NDArray[np.uint8]:
        """The frame (H, W, 3) as a thumbnail shows it, for `keep`; on the thread that decodes."""
        return self._make(frame)

    def keep(self, picture: NDArray[np.uint8], time_s: float, *, begins_scene: bool) -> None:
        """As `see`, for a picture that was made before; on any one thread."""
        if self._wanted(time_s, begins_scene):
            self._write(picture, time_s, begins_scene)

    def named(self, scenes: list[Scene]) -> list[Scene]:
        """The scenes with the names of their thumbnails."""
        names = {each.scene: each.path.name for each in self.made if each.scene is not None}
        return [replace(scene, thumbnail=names.get(scene.index)) for scene in scenes]

    def _wanted(self, time_s: float, begins_scene: bool) -> bool:
        self._scenes += begins_scene
        return (begins_scene or time_s >= self._due_s) and len(self.made) < MAX_COUNT

    def _write(self, picture: NDArray[np.uint8], time_s: float, begins_scene: bool) -> None:
        self._due_s = time_s + self._every_s
        data = jpeg(picture)
        path = self._folder / f"{hashlib.sha256(data).hexdigest()}.jpg"
        path.write_bytes(data)
        self.made.append(Thumbnail(time_s, path, self._scenes if begins_scene else None))


class Poster:
    """The picture that stands for a video where it is not playing."""

    def __init__(self, video: OpenVideo) -> None:
        width, height = square_size(video.probe.width, video.probe.height, video.pixel_aspect)
        self._make = PictureMaker(fitted(width, height, max_width=POSTER_WIDTH, max_height=POSTER_WIDTH), video.orientation, "AREA")
        self._due_s = 0.0
        self._best: NDArray[np.uint8] | None = None
        self._contrast = -1.0

    def see(self, frame: "av.VideoFrame", time_s: float) -> None:
        """Keep the frame if it is livelier than what is kept."""
        if time_s < self._due_s or (time_s > POSTER_CANDIDATES_S and self._best is not None):
            return
        self._due_s = time_s + POSTER_EVERY_S
        picture = self._make(frame)
        contrast = float(picture[::8, ::8].std())
        if contrast > self._contrast * 1.1:  # an equal later one is no reason to leave the beginning
            self._best, self._contrast = picture, contrast

    def write(self, path: Path) -> None:
        """Write what is kept as JPEG; ValueError when no frame was seen."""
        if self._best is None:
            raise ValueError("a poster needs a frame")
        path.write_bytes(jpeg(self._best))
