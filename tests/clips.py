"""Synthetic clips with known truth, made in code with PyAV; no file of footage is needed.

Every frame shows its own index as sixteen black or white cells along the bottom edge, a dark background whose colour tells the scene, and one bright yellow
box that moves from left to right: `read_index` and `BoxDetector` read them back from any copy of a frame. The picture is drawn upright and stored turned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

CELLS = 16
STRIP = 0.125
"""Height of the strip with the index, as a part of the frame."""

SCENE_COLOURS = ((90, 30, 30), (30, 90, 30), (30, 30, 100), (80, 20, 80), (20, 80, 80), (70, 70, 20))
"""BGR, dark: far apart in the histogram of colours, and nothing like the box."""

YELLOW = (0, 230, 230)
BOX_W, BOX_H, BOX_Y = 0.15, 0.25, 0.35
TICKS_PER_S = 90_000
BEEP_S = 0.1
"""The sound beeps for this long at each whole second of the picture's time, and is silent otherwise."""


@dataclass(frozen=True)
class Clip:
    """A clip and its truth: presentation times from the first frame, boxes `x1 y1 x2 y2` 0-1 of the upright frame, first frames of scenes."""

    path: Path
    size: tuple[int, int]
    times_s: list[float]
    boxes: list[tuple[float, float, float, float]]
    scene_starts: list[int] = field(default_factory=lambda: [0])

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last, which lasts as long as the one before it."""
        return self.times_s[-1] + (self.times_s[-1] - self.times_s[-2] if len(self.times_s) > 1 else 0.0)


def box_at(part: float) -> tuple[float, float, float, float]:
    """The box when `part` (0-1) of the frames has gone by."""
    left = 0.05 + part * (0.9 - BOX_W)
    return left, BOX_Y, left + BOX_W, BOX_Y + BOX_H


def picture(index: int, size: tuple[int, int], box: tuple[float, float, float, float] | None, scene: int = 0) -> NDArray[np.uint8]:
    """The upright BGR picture (H, W, 3) of frame `index`."""
    width, height = size
    bgr = np.empty((height, width, 3), np.uint8)
    bgr[:] = SCENE_COLOURS[scene % len(SCENE_COLOURS)]
    if box is not None:
        x1, y1, x2, y2 = (round(side * length) for side, length in zip(box, (width, height, width, height), strict=True))
        bgr[y1:y2, x1:x2] = YELLOW
    top = height - round(STRIP * height)
    for cell in range(CELLS):
        bgr[top:, cell * width // CELLS : (cell + 1) * width // CELLS] = 255 if index >> cell & 1 else 0
    return bgr


def read_index(bgr: NDArray[np.uint8]) -> int:
    """The index that a copy of a frame shows."""
    height, width = bgr.shape[:2]
    row = bgr[height - max(1, round(STRIP * height / 2))].astype(int).mean(axis=1)
    return sum(1 << cell for cell in range(CELLS) if row[int((cell + 0.5) * width / CELLS)] > 127)


def make(
    path: Path,
    *,
    frames: int = 60,
    size: tuple[int, int] = (320, 240),
    fps: float = 30.0,
    times_s: Sequence[float] | None = None,
    first_pts_s: float = 0.0,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    gop: int = 30,
    b_frames: int = 0,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    scene_starts: Sequence[int] = (0,),
    with_box: bool = True,
    audio: str | None = None,
    audio_rate: int = 48_000,
    audio_starts_s: float = 0.0,
    draw: Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    container_options: dict[str, str] | None = None,
) -> Clip:
    """Write a clip to `path`; the container follows from the suffix.

    `size` is that of the upright picture. `rotation` (clockwise, 90 180 270) and `mirrored` are stored as a display matrix with the pixels turned the other
    way. `times_s` replaces the even times of `fps`; `first_pts_s` moves picture and sound alike on the container's clock. `draw` may change each picture.
    """
    times = [index / fps for index in range(frames)] if times_s is None else [float(each) for each in times_s]
    boxes = [box_at(index / max(1, len(times) - 1)) for index in range(len(times))]
    output = av.open(str(path), "w", options=container_options or {})
    video = output.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
    video.width, video.height = size if rotation in (0, 180) else size[::-1]
    video.pix_fmt = pixel_format
    video.codec_context.gop_size, video.codec_context.max_b_frames = gop, b_frames
    video.options = {**({"preset": "ultrafast", "crf": "20", "bf": str(b_frames)} if codec == "libx264" else {}), **(options or {})}
    if pixel_aspect is not None:
        video.codec_context.sample_aspect_ratio = pixel_aspect
    if path.suffix in (".avi", ".mpg") or codec == "mpeg4":
        video.codec_context.time_base = Fraction(1) / Fraction(fps).limit_denominator(1001)
    else:
        video.codec_context.time_base = Fraction(1, TICKS_PER_S)
    if rotation or mirrored:
        video.set_display_rotation(-rotation, mirrored)
    sound = _Sound(output, audio, audio_rate, times[-1] + 1 / fps, first_pts_s, audio_starts_s) if audio else None
    base = video.codec_context.time_base
    for index, time_s in enumerate(times):
        bgr = picture(index, size, boxes[index] if with_box else None, sum(start <= index for start in scene_starts) - 1)
        if draw is not None:
            bgr = draw(index, bgr)
        frame = av.VideoFrame.from_ndarray(stored(bgr, rotation, mirrored), "bgr24")
        frame.pts, frame.time_base = round((first_pts_s + time_s) / base), base
        output.mux(video.encode(frame))
        if sound:
            sound.write_until(time_s)
    output.mux(video.encode(None))
    if sound:
        sound.finish()
    output.close()
    return Clip(path, size, times, boxes, list(scene_starts))


def stored(bgr: NDArray[np.uint8], rotation: int, mirrored: bool) -> NDArray[np.uint8]:
    """The picture as it lies in the file when it is to be turned by `rotation` clockwise and then flipped left-right if `mirrored`."""
    return np.ascontiguousarray(np.rot90(bgr[:, ::-1] if mirrored else bgr, rotation // 90))


def beeps(times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """The sound at these times of the picture."""
    return np.where(times_s % 1.0 < BEEP_S, 0.6 * np.sin(2 * np.pi * 880 * times_s), 0.0).astype(np.float32)


def beep_starts_s(path: Path) -> list[float]:
    """When beeps begin in the sound of `path`, on the clock of the container."""
    blocks, times = [], []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000)
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                values = part.to_ndarray().ravel()
                blocks.append(values)
                times.append(part.time + np.arange(len(values)) / 48_000)
    loud = np.abs(np.concatenate(blocks)) > 0.2
    loud_s = np.concatenate(times)[loud]
    return [float(each) for each in loud_s[np.diff(loud_s, prepend=-1.0) > 0.5]]


class _Sound:
    """A mono track that beeps."""

    def __init__(self, output: "av.container.OutputContainer", codec: str, rate: int, end_s: float, first_pts_s: float, starts_s: float) -> None:
        self._output, self._rate, self._end_s, self._first_s, self._starts_s = output, rate, end_s, first_pts_s, starts_s
        self._stream = output.add_stream(codec, rate=rate, layout="mono")
        self._format = self._stream.codec_context.format.name if self._stream.codec_context.format else "fltp"
        self._written = 0

    def write_until(self, time_s: float) -> None:
        """Sound up to `time_s` of the picture."""
        block = 1024
        while self._starts_s + (self._written + block) / self._rate <= min(time_s, self._end_s):
            times = self._starts_s + (self._written + np.arange(block)) / self._rate
            values = beeps(times)
            frame = av.AudioFrame.from_ndarray(values[None], "fltp", "mono")
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._written + round((self._first_s + self._starts_s) * self._rate)
            for part in av.AudioResampler(format=self._format, layout="mono", rate=self._rate).resample(frame):
                part.pts = frame.pts
                self._output.mux(self._stream.encode(part))
            self._written += block

    def finish(self) -> None:
        """The rest."""
        self.write_until(self._end_s)
        self._output.mux(self._stream.encode(None))


class BoxDetector:
    """A detector that finds the yellow box exactly; a real implementation of the protocol of `analysis.detect`."""

    name = "yellow-box"
    names = ("box",)
    digest = "0" * 64
    batch = 1
    ran_on = "numpy"

    def detect_many(self, pictures: Sequence[NDArray[np.uint8]]) -> list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int16]]]:
        """The same for several pictures."""
        return [self.detect(picture) for picture in pictures]

    def detect(self, bgr: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int16]]:
        """One box of class 0 where the picture is yellow."""
        height, width = bgr.shape[:2]
        blue, green, red = (bgr[: round(height * (1 - STRIP)), :, channel].astype(int) for channel in range(3))
        rows, columns = np.nonzero((green > 150) & (red > 150) & (blue < 110))
        if not len(rows):
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int16)
        box = [columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height]
        return np.array([box], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int16)
