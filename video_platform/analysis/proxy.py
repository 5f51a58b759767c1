"""The browser-playable copy of a video: H.264 and AAC in an MP4 whose index stands first.

Where a browser already plays the source and no smaller picture is wanted, its own packets are copied (a remux): 0.01 of the cost of decoding. Otherwise
frames of the one pass are encoded. Either way second 0 is the first frame, times are those of the source, and a key frame stands about every second when
encoded, so that clips can be cut without encoding again.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform.analysis import x264
from video_platform.analysis.audio import add_audio
from video_platform.analysis.media import OpenVideo
from video_platform.analysis.pictures import fitted, square_size

if TYPE_CHECKING:
    import av

TIME_BASE = Fraction(1, 90_000)
"""Of encoded pictures: fine enough for any frame rate, and what every player expects."""

KEYFRAME_EVERY_S = 1.0
KEYFRAME_SLACK_S = 1e-6

COPIED_SOUND = ("aac",)
COPIED_SOUND_REMUX = ("aac", "mp3")

PLAYABLE_PROFILES = {"Constrained Baseline", "Baseline", "Main", "High", "Progressive High", "Constrained High"}
PLAYABLE_FORMATS = {"yuv420p", "yuvj420p"}
REMUX_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts"}
"""AVI and MPEG-PS are left out: their time stamps are not good enough to copy."""

REMUX_MAX_BIT_RATE = 8_000_000
"""A source with more bits per second than this is encoded smaller: it would stutter over a usual uplink, and doubles the storage."""

MOST_HELD = 32
"""Packets at a beginning whose order of storing is not known yet; H.264 reorders at most 16."""

REMUX_MAX_RATE_FACTOR = 2.1
"""A source may have this many times the wanted frame rate: 30 frames/s are kept where 15 would be made."""


@dataclass(frozen=True)
class ProxyParameters:
    """What the proxy should be; field names as in the settings group `proxy`."""

    height: int = 720
    frame_rate: float = 15.0
    crf: int = 26
    remux: bool = True


class CannotRemux(Exception):
    """The source's packets do not make a good MP4 after all; encode instead."""


def remuxable(video: OpenVideo, parameters: ProxyParameters) -> bool:
    """Whether a browser plays the source's own packets and nothing smaller is wanted."""
    probe = video.probe
    return (
        parameters.remux
        and probe.codec == "h264"
        and (video.stream.profile in PLAYABLE_PROFILES)
        and probe.pixel_format in PLAYABLE_FORMATS
        and probe.container in REMUX_CONTAINERS
        and probe.height <= parameters.height
        and probe.width <= 16 * parameters.height // 9 + 1
        and (probe.frame_rate or 0) <= REMUX_MAX_RATE_FACTOR * parameters.frame_rate
        and (probe.bit_rate or 0) <= REMUX_MAX_BIT_RATE
        and video.pixel_aspect is None
        and not video.orientation.mirrored
    )


def proxy_size(video: OpenVideo, parameters: ProxyParameters) -> tuple[int, int]:
    """`(width, height)` of the encoded picture: square pixels, even sides, the source's shape, never larger than the source."""
    width, height = square_size(video.probe.width, video.probe.height, video.pixel_aspect)
    return fitted(width, height, max_height=parameters.height, even=True)


class _Mp4:
    """An MP4 being written; `close` finishes it, `abandon` lets it go."""

    def __init__(self, path: Path) -> None:
        import av

        self.output = av.open(str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"})

    def abandon(self) -> None:
        """Close without caring for the result."""
        import contextlib

        with contextlib.suppress(Exception):
            self.output.close()


class Encoder(_Mp4):
    """Frames in, H.264 out; sound from the source's packets. Use it from one thread."""

    def __init__(
        self, path: Path, video: OpenVideo, size: tuple[int, int], parameters: ProxyParameters, *, threads: int, origin_s: Fraction | None = None
    ) -> None:
        """`origin_s` is the time on the container's clock that becomes 0; default is the first frame."""
        super().__init__(path)
        rate = min(parameters.frame_rate, video.probe.frame_rate or parameters.frame_rate)
        self._stream = self.output.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        self._stream.width, self._stream.height, self._stream.pix_fmt = *size, "yuv420p"
        self._stream.options = x264.options(parameters.crf, flags="+cgop", g=str(max(1, round(10 * rate))))
        context = self._stream.codec_context
        context.time_base, context.thread_count = TIME_BASE, threads
        _keep_colours(context, video)
        origin = origin_s if origin_s is not None else video.first_pts * video.time_base
        self._audio = add_audio(self.output, video.audio, origin_s=origin, copy=COPIED_SOUND)
        self._last_pts = -1
        self._keyframe_s = float("-inf")
        self.frames = 0

    @property
    def has_audio(self) -> bool:
        """Whether packets of sound are wanted."""
        return self._audio is not None

    def frame(self, frame: "av.VideoFrame", time_s: float) -> None:
        """Encode one yuv420p frame of the right size, to be shown at `time_s`."""
        from av.video.frame import PictureType

        pts = round(time_s / TIME_BASE)
        if pts <= self._last_pts:
            return
        self._last_pts = pts
        frame.pts, frame.time_base, frame.pict_type = pts, TIME_BASE, PictureType.NONE
        if time_s - self._keyframe_s >= KEYFRAME_EVERY_S - KEYFRAME_SLACK_S:
            frame.pict_type = PictureType.I
            self._keyframe_s = time_s
        self.output.mux(self._stream.encode(frame))
        self.frames += 1
        if self._audio is not None:
            self._audio.reached(time_s)

    def rebase_sound(self, origin_s: Fraction) -> None:
        """From here on, `origin_s` on the source's clock is second 0 of the sound."""
        if self._audio is not None:
            self._audio.rebase(origin_s)

    def sound(self, packet: "av.Packet") -> None:
        """Keep one packet of the source's sound."""
        if self._audio is not None:
            self._audio.write(packet)

    def close(self) -> None:
        """Finish the file."""
        self.output.mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.finish()
        self.output.close()


class Remuxer(_Mp4):
    """The source's own packets, on a clock that starts at the first frame. Use it from one thread."""

    def __init__(self, path: Path, video: OpenVideo) -> None:
        super().__init__(path)
        self._stream = self.output.add_stream_from_template(video.stream)
        self._origin, self._time_base = video.first_pts, video.time_base
        self._audio = add_audio(self.output, video.audio, origin_s=video.first_pts * video.time_base, copy=COPIED_SOUND_REMUX)
        self._last_dts: int | None = None
        self._end = self._delay = 0
        self._step = 1
        self._held: list[av.Packet] = []
        self._joining = True
        self.frames = 0

    @property
    def has_audio(self) -> bool:
        """Whether packets of sound are wanted."""
        return self._audio is not None

    @property
    def end_s(self) -> Fraction:
        """Where the last frame written so far ends."""
        return self._end * self._time_base

    def join(self, start_s: Fraction) -> None:
        """What comes next begins at `start_s` on the source's clock and is shown after everything written so far."""
        late = 0 if self._last_dts is None else max(0, self._last_dts + self._step - (self._end - self._delay))
        self._origin = round(start_s / self._time_base) - self._end - late  # pictures are stored before they are shown: a join waits for that
        self._joining = True
        self._rebase_sound()

    def picture(self, packet: "av.Packet") -> None:
        """Copy one packet of the picture; CannotRemux when its time stamps are no good."""
        if self._joining and not packet.is_keyframe and not self._held:
            return
        if packet.pts is None or packet.is_corrupt:
            raise CannotRemux(f"a packet with time stamp {packet.pts}, damaged: {packet.is_corrupt}")
        if packet.dts is None:  # Matroska stores none for the first few
            if not self._joining or len(self._held) >= MOST_HELD:
                raise CannotRemux("a packet without its place in the order of storing")
            self._held.append(packet)
            return
        held, self._held = self._held, []
        step = max(1, packet.duration or 0)
        for before, each in enumerate(reversed(held), start=1):
            each.dts = packet.dts - before * step
        for each in (*held, packet):
            self._copy(each)

    def _copy(self, packet: "av.Packet") -> None:
        assert packet.pts is not None
        assert packet.dts is not None
        self._joining = False
        pts, dts = packet.pts - self._origin, packet.dts - self._origin
        if self._last_dts is not None and dts <= self._last_dts:
            raise CannotRemux(f"time stamp dts {dts} after {self._last_dts}")
        self._last_dts = dts
        self._step, self._delay = max(1, packet.duration or 0), max(self._delay, pts - dts)
        self._end = max(self._end, pts + (packet.duration or 0))
        packet.pts, packet.dts, packet.stream = pts, dts, self._stream
        self.output.mux(packet)
        self.frames += 1
        if self._audio is not None:
            self._audio.reached(float(pts * self._time_base))

    def sound(self, packet: "av.Packet") -> None:
        """Keep one packet of the source's sound."""
        if self._audio is not None:
            self._audio.write(packet)

    def close(self) -> None:
        """Finish the file."""
        if self._held:
            raise CannotRemux("no packet says its place in the order of storing")
        if self._audio is not None:
            self._audio.finish()
        self.output.close()

    def _rebase_sound(self) -> None:
        if self._audio is not None:
            self._audio.rebase(self._origin * self._time_base)


def _keep_colours(context: Any, video: OpenVideo) -> None:
    """Say which colours these are; players guess by the picture's height, which a smaller proxy would change."""
    source = video.stream.codec_context
    unspecified = 2
    high_definition = max(source.width, source.height) >= 1280
    known = source.colorspace not in (unspecified, 0)
    context.colorspace = source.colorspace if known else (1 if high_definition else 6)
    context.color_primaries = source.color_primaries if known and source.color_primaries != unspecified else context.colorspace
    context.color_trc = source.color_trc if known and source.color_trc != unspecified else context.colorspace
    context.color_range = 1
