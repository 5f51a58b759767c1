"""Finding single frames of a video by time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from video_platform.analysis.media import OpenVideo, frames_of, packets

if TYPE_CHECKING:
    import av

DECODE_ON_S = 4.0
"""A wanted frame that is at most this far ahead is reached by decoding on: a seek goes back to a key frame, often further away than that."""

BACK_OFF_S = (0.0, 2.0, 10.0, 60.0)
"""Where the first frame after a seek is too late (key frames are found by guessing in MPEG streams), the seek is repeated this much earlier."""

SLACK_S = 0.0005
"""Times that were written with three or four decimals still name their frame."""

REORDER_S = 0.3
"""Key frames are stored up to this much before they are shown."""


def packets_from(video: OpenVideo, at_s: float) -> "Iterator[av.Packet]":
    """Packets of picture and sound from the key frame at or before `at_s` on, to the end of what can be read."""
    from av.error import FFmpegError

    streams = [video.stream, *([video.audio] if video.audio is not None else [])]
    for back_s in BACK_OFF_S:
        target = video.first_pts + round(max(0.0, at_s - back_s) / float(video.time_base))
        try:
            video.container.seek(target, stream=video.stream)
            break
        except FFmpegError:
            continue
    yield from packets(video.container, streams)


class Seeker:
    """Frames of one open video at given times; ask in ascending order, then nothing is decoded twice."""

    def __init__(self, video: OpenVideo) -> None:
        self._video = video
        self._frames: Iterator[tuple[av.VideoFrame, float]] = self._from_here()
        self._before: tuple[av.VideoFrame, float] | None = None
        self._next: tuple[av.VideoFrame, float] | None = None
        self._ended = False

    def at(self, at_s: float) -> "tuple[av.VideoFrame, float] | None":
        """The last frame shown at or before `at_s`, and its time; the first frame for an earlier time, None when nothing decodes there."""
        if not self._near(at_s):
            self._seek(at_s)
        while True:
            if self._next is None and not self._advance():
                return self._before
            assert self._next is not None
            if self._next[1] > at_s + SLACK_S:
                return self._before or self._next
            self._before, self._next = self._next, None

    def _near(self, at_s: float) -> bool:
        """Whether decoding on from here reaches `at_s` soon."""
        if self._before is not None and at_s + SLACK_S < self._before[1]:
            return False
        here = self._next or self._before
        position = here[1] if here is not None else 0.0
        return at_s <= position + DECODE_ON_S or self._ended

    def _advance(self) -> bool:
        self._next = next(self._frames, None)
        self._ended = self._next is None
        return not self._ended

    def _seek(self, at_s: float) -> None:
        """Go to a key frame at or before `at_s`; to the beginning where that cannot be had."""
        from av.error import FFmpegError

        for back_s in BACK_OFF_S:
            wanted = max(0.0, at_s - back_s)
            target = self._video.first_pts + round(wanted / float(self._video.time_base))
            try:
                self._video.container.seek(target, stream=self._video.stream)
            except FFmpegError:
                continue
            self._restart()
            if self._advance() and self._next is not None and self._next[1] <= at_s + SLACK_S:
                return
        self._rewind()

    def _rewind(self) -> None:
        from av.error import FFmpegError

        for target in (min(0, self._video.first_pts), self._video.first_pts):
            try:
                self._video.container.seek(target, stream=self._video.stream)
            except FFmpegError:
                continue
            break
        self._restart()

    def _restart(self) -> None:
        self._frames = self._from_here()
        self._before = self._next = None
        self._ended = False

    def _from_here(self) -> "Iterator[tuple[av.VideoFrame, float]]":
        """Frames in presentation order; damaged packets are stepped over."""
        for packet in packets(self._video.container, [self._video.stream]):
            for frame in frames_of(packet) or ():
                if frame.pts is not None:
                    yield frame, self._video.frame_time_s(frame.pts)
