"""Decoding a video once, from beginning to end: every frame with an honest time, whatever the container's clock does.

Times are presentation times in seconds from the first frame. The presentation index of a frame counts the coded pictures of the file in the order in
which they are shown; it is exact even where half of the frames are never decoded, because every packet's time stamp is seen as it goes by.
"""

import heapq
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.media import Limits, OpenVideo, frames_of, open_video
from video_platform.analysis.references import References
from video_platform.errors import MediaError

if TYPE_CHECKING:
    import av

log = logging.getLogger(__name__)

REFERENCES_ONLY_FROM_FPS = 20.0
"""Below this rate half of the frames would be too few; recordings at 10 frames/s need all of theirs."""

REFERENCES_ONLY_CODECS = ("h264", "hevc")
"""Codecs whose unreferenced frames can be left undecoded without touching the others (measured: bit-identical, 0.62 of the time)."""

REORDERED_BY_COUNT = ("avi",)
"""Containers without presentation times: their stamps follow the order of coding."""

CHECK_FIRST_PACKETS = 64
"""After this many packets it is known how many frames come out when unreferenced ones are left out; x264's pyramid gives half, some cameras none."""

CHECK_EVERY_PACKETS = 512

ENOUGH = 0.9
"""Part of the wanted rate that must come out."""

MAX_DEMUX_ERRORS = 20
"""Damaged places in a row, without a packet between them, after which the rest of a file is given up."""

TRUNCATED_BELOW = 0.98
"""A video of which less than this part of the stated duration decodes counts as truncated."""

TRUNCATED_ABOVE_S = 1.0
"""... unless less than this is missing: containers round, and sound may be longer than the picture."""

MAX_PAUSE_S = 3600.0
"""A longer step between two frames is a clock that was set, or a counter of 33 bits that ran over, not a pause."""

EPOCH = 1 << 48
"""More than any time stamp: 33 bits in MPEG, microseconds over years elsewhere."""

GROWTH = 1.5
"""Arrays that grow are enlarged by this factor, so that appending stays cheap and at most half is spare."""


class Growing:
    """Columns that grow, row by row, without a Python object per row."""

    def __init__(self, **columns: tuple[Any, int]) -> None:
        """`columns` maps a name to its dtype and its width (0 for a flat column)."""
        self._arrays = {name: np.empty((1024, width) if width else 1024, dtype) for name, (dtype, width) in columns.items()}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, count: int, **values: Any) -> None:
        """Add `count` rows; a scalar fills all of them."""
        needed = self._rows + count
        for name, array in self._arrays.items():
            if needed > len(array):
                larger = np.empty((max(needed, int(len(array) * GROWTH)), *array.shape[1:]), array.dtype)
                larger[: self._rows] = array[: self._rows]
                self._arrays[name] = array = larger
            array[self._rows : needed] = values[name]
        self._rows = needed

    def column(self, name: str) -> NDArray[Any]:
        """The rows so far; a copy of its own."""
        return self._arrays[name][: self._rows].copy()


class Clock:
    """Time stamps as seconds from the first frame that never run backwards.

    A stamp that does not advance (a camera's clock was set, parts were joined) continues one frame interval after the frame before, and so does one that is
    more than `MAX_PAUSE_S` ahead; smaller jumps forward are kept, because a pause in a recording is real.
    """

    def __init__(self, video: OpenVideo) -> None:
        self._time_base = video.time_base
        self._origin = video.first_pts
        self._interval_s = 1.0 / (video.probe.frame_rate or 25.0)
        self.last_s: float | None = None
        self.resets = 0

    def time_s(self, pts: int | None) -> float:
        """Seconds from the first frame of the next frame in presentation order; `pts` None means unknown."""
        time_s = self._expected() if pts is None else float((pts - self._origin) * self._time_base)
        if self.last_s is not None and not self.last_s < time_s <= self.last_s + MAX_PAUSE_S:
            time_s = self._expected()
            if pts is not None:
                self._origin = pts - round(time_s / self._time_base)
                self.resets += 1
        self.last_s = max(0.0, time_s)
        return self.last_s

    def _expected(self) -> float:
        return 0.0 if self.last_s is None else self.last_s + self._interval_s


class Epochs:
    """Time stamps as numbers that sort in the order of showing, also across a clock that was set back."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._epoch = 0

    def key(self, stamp: int, order: int | None) -> int:
        """The number of a stamp; `order` rises from one call to the next unless the clock was set back."""
        if order is not None:
            self._epoch += self._last is not None and order < self._last
            self._last = order
        return self._epoch * EPOCH + stamp


@dataclass(frozen=True)
class Coverage:
    """How much of a video was seen.

    `decoded_s` runs from the first frame to the end of the last; `stated_s` is what the container promised, None when nothing; `errors` counts packets that
    could not be read or decoded; `frames` counts coded pictures, `decoded_frames` those that were decoded.
    """

    decoded_s: float
    stated_s: float | None
    frames: int
    decoded_frames: int
    errors: int
    truncated: bool
    notes: tuple[str, ...]


class Decoding:
    """One pass over all frames of an open video; iterate once."""

    def __init__(
        self,
        video: OpenVideo,
        limits: Limits,
        *,
        needed_fps: float | None,
        sampled_fps: float | None = None,
        keyframes_only: bool = False,
        on_packet: "Callable[[av.Packet], None] | None" = None,
        with_audio: bool = False,
    ) -> None:
        """`needed_fps` is the rate of frames that is wanted, None for every frame, `sampled_fps` that of frames for which `sampled` is true; `on_packet` gets
        each packet, of sound too where `with_audio`.
        """
        self._video, self._limits = video, limits
        self._needed_fps = needed_fps
        self._on_packet = on_packet
        self._streams = [video.stream, *([video.audio] if with_audio and video.audio is not None else [])]
        self._stamps = Growing(pts=(np.int64, 0))
        self._stored, self._shown = Epochs(), Epochs()
        self._unstamped = self._current = 0
        self._by_count = video.container.format.name in REORDERED_BY_COUNT and video.stream.codec_context.has_b_frames
        self._waiting: list[int] = []
        self._clock = Clock(video)
        self._packets = self.decoded_frames = self.errors = 0
        self._last_duration_s = 0.0
        self._packets_end: int | None = None
        self._partial = keyframes_only
        self._demux_error = ""
        self._sampled_fps = sampled_fps or 0.0
        self._thinning = sampled_fps is not None and self._may_skip(sampled_fps)
        self._references = References(video.probe.codec, video.stream.codec_context.extradata)
        self._referenced = 0
        self._unsampled: set[int] = set()
        self.sampled = True
        """Whether samples may be taken from the frame that was yielded last. Where enough others remain they are not taken from those that may be left out,
        also where these are decoded because something else needs them: what is sampled does not depend on what else is made in the same pass."""
        self.skipping = needed_fps is not None and self._may_skip(needed_fps)
        if keyframes_only:
            video.stream.codec_context.skip_frame = "NONKEY"
        elif self.skipping:
            video.stream.codec_context.skip_frame = "NONREF"
            self._partial = True

    def __iter__(self) -> "Iterator[tuple[av.VideoFrame, float]]":
        """`(frame, time_s)` in presentation order.

        Raises:
            MediaError: `too_large` past the limits.
        """
        for packet in self._demuxed():
            if packet.stream.index == self._video.stream.index:
                self._note(packet)
                frames = frames_of(packet)
                self.errors += frames is None
            else:
                frames = None
            if self._on_packet is not None and packet.size:
                self._on_packet(packet)
            for frame in frames or ():
                pts = self._stamp_of(frame)
                time_s = self._clock.time_s(pts)
                self.decoded_frames += 1
                self._last_duration_s = self._duration(frame)
                self._check(time_s)
                self.sampled = frame.pts not in self._unsampled
                self._unsampled.discard(frame.pts)
                yield frame, time_s

    def indices(self, pts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Presentation indices, from 0, of frames with these time stamps (see `stamp`)."""
        if self._unstamped:
            return np.asarray(pts, np.int64)  # see `_stamp_of`: counted, not stamped
        known = np.unique(self._stamps.column("pts"))
        return np.searchsorted(known, pts).astype(np.int64)

    @property
    def stamp(self) -> int:
        """What `indices` knows the frame by that was yielded last."""
        return self._current

    @property
    def position(self) -> float:
        """How much of the file's bytes have been read, 0-1."""
        return min(1.0, self._video.file.position / max(1, self._video.size_bytes))

    def coverage(self) -> Coverage:
        """What was seen, once the iteration has ended."""
        stated = self._video.probe.duration_s
        decoded = self._end_s()
        missing = (stated or 0.0) - decoded
        truncated = bool(stated) and decoded < TRUNCATED_BELOW * (stated or 0.0) and missing > TRUNCATED_ABOVE_S
        notes = []
        if truncated:
            notes.append(f"The recording is cut off or damaged: {decoded:.1f} s of {stated:.1f} s could be decoded.")
        if self.errors:
            notes.append(f"{self.errors} of {self._packets} packets could not be decoded{f' ({self._demux_error})' if self._demux_error else ''}.")
        if self._clock.resets:
            notes.append(f"The recording's clock was set {self._clock.resets} times; times continue as if it had not been.")
        return Coverage(decoded, stated, self._packets, self.decoded_frames, self.errors, truncated, tuple(notes))

    def _end_s(self) -> float:
        """Where the last frame ends; where frames were left out on purpose and nothing failed, the last packet tells."""
        end_s = (self._clock.last_s or 0.0) + self._last_duration_s
        if self._partial and not self.errors and not self._clock.resets and self._packets_end is not None:
            end_s = max(end_s, self._video.frame_time_s(self._packets_end))
        return end_s

    def _may_skip(self, needed_fps: float) -> bool:
        rate = self._video.probe.frame_rate or 0.0
        codec = self._video.probe.codec in REFERENCES_ONLY_CODECS and not self._by_count and self._video.container.format.name not in REORDERED_BY_COUNT
        return codec and rate >= REFERENCES_ONLY_FROM_FPS and rate / 2 >= needed_fps

    def _demuxed(self) -> "Iterator[av.Packet]":
        """Packets to the end of what can be read; damaged places are stepped over."""
        from av.error import FFmpegError

        errors = 0
        while errors <= MAX_DEMUX_ERRORS:
            try:
                for packet in self._video.container.demux(self._streams):
                    errors = 0
                    yield packet
                return
            except FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                errors += 1
                self.errors += 1
                self._demux_error = str(error.strerror or error)[:100]
        yield _flush(self._video)

    def _note(self, packet: "av.Packet") -> None:
        """Remember the packet's time stamp and keep to the budget of frames."""
        if not packet.size:
            return
        self._packets += 1
        if self._packets > self._limits.max_frames:
            raise MediaError("too_large", f"It has more than {self._limits.max_frames} frames.", max_frames=self._limits.max_frames)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            self._unstamped += 1
        elif not packet.is_discard:
            self._stamps.append(1, pts=self._stored.key(stamp, packet.dts))
            self._packets_end = max(self._packets_end or stamp, stamp + (packet.duration or 0))
            if self._by_count:
                heapq.heappush(self._waiting, stamp)
        unreferenced = self._thinning and self._references.unreferenced(bytes(packet))
        self._referenced += not unreferenced
        if (self.skipping or self._thinning) and (self._packets == CHECK_FIRST_PACKETS or self._packets % CHECK_EVERY_PACKETS == 0):
            self._reconsider()
        if self._thinning and unreferenced and not self.skipping and packet.pts is not None:  # what the decoder leaves out need not be remembered
            self._unsampled.add(packet.pts)

    def _reconsider(self) -> None:
        """Decode everything from here on when leaving out unreferenced frames leaves too few, and sample from everything when it leaves too few samples."""
        rate = self._video.probe.frame_rate or 0.0
        remains = rate * self._referenced / self._packets
        if remains < ENOUGH * self._sampled_fps:
            self._thinning = False
        delay = self._video.stream.codec_context.thread_count + 4  # frames still inside the decoder
        rate *= self.decoded_frames / self._packets
        if self.skipping and min(remains, rate * (1 + delay / self._packets)) < ENOUGH * (self._needed_fps or 0.0):
            self.skipping = False
            self._video.stream.codec_context.skip_frame = "DEFAULT"
            log.debug("only %.1f frames/s come out; all are decoded from here", rate)

    def _stamp_of(self, frame: "av.VideoFrame") -> int | None:
        pts = heapq.heappop(self._waiting) if self._by_count and self._waiting else frame.pts
        self._current = self.decoded_frames if pts is None or self._unstamped else self._shown.key(pts, pts)
        return pts

    def _duration(self, frame: "av.VideoFrame") -> float:
        duration = getattr(frame, "duration", 0) or 0
        seconds = float(duration * self._video.time_base)
        return seconds if 0 < seconds < 10 else 1.0 / (self._video.probe.frame_rate or 25.0)

    def _check(self, time_s: float) -> None:
        if time_s > self._limits.max_duration_s:
            raise MediaError("too_large", f"It lasts longer than {self._limits.max_duration_s:.0f} s.", max_duration_s=self._limits.max_duration_s)


def times(path: Path, limits: Limits, *, on_progress: Callable[[float, str], None] | None = None, threads: int = 1) -> dict[str, Any]:
    """`{time_s, width, height}` of a video: when every coded picture is shown, by its presentation index, and the size of the upright picture in pixels.

    A picture that cannot be decoded has a time between its neighbours.

    Raises:
        MediaError: the footage cannot be decoded.
    """
    with open_video(path, limits, threads=threads) as video:
        decoding = Decoding(video, limits, needed_fps=None)
        shown = Growing(stamp=(np.int64, 0), time_s=(np.float64, 0))
        for _, time_s in decoding:
            shown.append(1, stamp=decoding.stamp, time_s=time_s)
            if on_progress:
                on_progress(decoding.position, f"{time_s:.0f} s")
        if not len(shown):
            raise MediaError("no_frames")
        at_s, index = shown.column("time_s"), decoding.indices(shown.column("stamp"))
        every = np.interp(np.arange(int(index.max()) + 1), index, at_s)
        return {"time_s": every.tolist(), "width": video.probe.width, "height": video.probe.height}


def _flush(video: OpenVideo) -> "av.Packet":
    """An empty packet: the decoder gives what it still holds."""
    import av

    packet = av.Packet()
    packet.stream = video.stream
    return packet
