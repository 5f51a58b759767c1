"""Opening footage safely, and saying what it is.

Footage is hostile until shown otherwise. The only bytes that the demuxer can reach are those of the one file that was opened here: FFmpeg is handed a
Python object without a name, no protocol is allowed, so that no playlist, reference or URL inside a file is ever followed. Container formats and decoders
are the ones listed below; picture sizes are bounded in the demuxer, in the decoder and before both. See docs/media.md.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform.analysis.pictures import Orientation
from video_platform.analysis.sniff import index_is_cut, sniff, why_unopened
from video_platform.errors import MediaError
from video_platform.records import VideoProbe

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream
    from av.container.input import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg"
"""Demuxers, as FFmpeg names them. None of them opens a second file (`mov` can by reference, which is off unless asked for)."""

VIDEO_DECODERS = (
    *("h264", "hevc", "libdav1d", "av1", "vp8", "libvpx", "vp9", "libvpx-vp9", "mpeg4", "msmpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "h263", "h263p"),
    *("mpeg1video", "mpeg2video", "mpegvideo", "mjpeg", "jpeg2000", "png", "prores", "dnxhd", "dvvideo", "rawvideo", "ffv1", "huffyuv", "ffvhuff"),
    *("utvideo", "wmv1", "wmv2", "wmv3", "vc1", "flv", "theora", "cinepak", "svq3", "qtrle"),
)
"""Decoders that footage may use: what cameras, phones, recorders and editors write. Each further one is more code that meets hostile bytes."""

AUDIO_DECODERS = (
    *("aac", "aac_latm", "mp3", "mp3float", "mp2", "mp2float", "mp1", "mp1float", "ac3", "eac3", "opus", "libopus", "vorbis", "libvorbis", "flac", "alac"),
    *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_u8", "pcm_alaw", "pcm_mulaw", "amrnb", "libopencore_amrnb"),
    *("amrwb", "adpcm_ima_wav", "adpcm_ms", "adpcm_g726", "wmav1", "wmav2"),
)

READ_BYTES = 256 * 1024
"""One read of the demuxer; larger than FFmpeg's 32 KiB because each crosses into Python."""

FIRST_FRAME_PACKETS = 3000
"""Packets that may go by before the first frame: a stream cut out of the middle starts with up to one group of pictures that cannot be decoded."""

MAX_FRAME_RATE = 1000.0
"""Stated frame rates above this are a clock's rate, not a picture's, and count as unknown."""


LIKE_A_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]{5,16}(Z|[+-]\d\d:?\d\d)?")

GUESSED_DURATIONS = ("mpegts", "mpeg")
"""Containers that state no duration; FFmpeg takes the distance between the first and the last time stamp, which a clock that was set makes absurd."""

PLAUSIBLE_BIT_RATE = 2000
"""Bits per second below which such a guess is one of those."""


@dataclass(frozen=True)
class Limits:
    """What a video may cost; field names as in the settings group `media`."""

    max_pixels: int = 8192 * 4608
    max_duration_s: float = 24 * 3600.0
    max_frames: int = 24 * 3600 * 120


@dataclass(frozen=True, eq=False)
class OpenVideo:
    """A video opened at its beginning.

    `first_pts` is the time stamp of the first frame in units of the stream's time base; `pixel_aspect` is the width of a pixel over its height in the
    upright picture; `size_bytes` is the file's size.
    """

    container: "InputContainer"
    stream: "VideoStream"
    audio: "AudioStream | None"
    probe: VideoProbe
    orientation: Orientation
    pixel_aspect: Fraction | None
    first_pts: int
    size_bytes: int
    file: "FileBytes"

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of a time stamp of the picture stream."""
        return self.stream.time_base or Fraction(1, 90_000)

    def frame_time_s(self, pts: int) -> float:
        """Seconds from the first frame of a time stamp of the picture stream."""
        return float((pts - self.first_pts) * self.time_base)


class FileBytes:
    """A regular file as the demuxer sees it: read, seek, tell, and no name that could be read as a protocol or a format."""

    def __init__(self, path: Path) -> None:
        self._file = _opened(path)
        self.size_bytes = os.fstat(self._file.fileno()).st_size
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from where the file stands."""
        data = self._file.read(size)
        self.position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; see `io.IOBase.seek`."""
        self.position = self._file.seek(offset, whence)
        return self.position

    def tell(self) -> int:
        """Where the file stands."""
        return self.position

    def head(self, size: int) -> bytes:
        """The first bytes; the position is kept."""
        return os.pread(self._file.fileno(), size, 0)

    def fileno(self) -> int:
        """The descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


@contextmanager
def open_video(path: Path | str, limits: Limits | None = None, *, threads: int = 1) -> Iterator[OpenVideo]:
    """Open the video in the file `path`, positioned at its beginning, with the decoder not yet started.

    The first frame is decoded once on the way, because only it knows the time and the orientation for certain.

    Raises:
        MediaError: with the code of the failed state; see `errors.MEDIA_CODES`.
    """
    limits = limits or Limits()
    path = Path(path)
    file = FileBytes(path)
    try:
        sniff(file)
        first, first_pts = _first_frame(file, limits)
        with _container(file, limits) as container:
            stream = _video_stream(container, file, limits)
            _bound(stream, limits, threads)
            audio = _audio_stream(container)
            orientation = Orientation.of(first)
            aspect = _upright_aspect(stream, orientation)
            probe = _probe(container, stream, audio, first, orientation, file.size_bytes)
            if probe.duration_s and probe.duration_s > limits.max_duration_s:  # what says less than it holds is stopped while decoding
                raise MediaError("too_large", f"It says that it lasts {probe.duration_s:.0f} s; the limit is {limits.max_duration_s:.0f} s.")
            yield OpenVideo(container, stream, audio, probe, orientation, aspect, first_pts, file.size_bytes, file)
    finally:
        file.close()


def probe(path: Path | str, limits: Limits | None = None) -> VideoProbe:
    """What the container says of the video in `path`; MediaError as for `open_video`."""
    with open_video(path, limits) as video:
        return video.probe


def packets(container: "InputContainer", streams: "Sequence[Stream]") -> "Iterator[av.Packet]":
    """Packets of the streams from where the container stands, to the end of what can be read; at the end one empty packet per stream."""
    from av.error import FFmpegError

    try:
        yield from container.demux(streams)
    except FFmpegError as error:
        if isinstance(error, MemoryError):
            raise


def frames_of(packet: "av.Packet") -> "list[av.VideoFrame] | None":
    """The frames that the decoder gives for a packet of pictures; None when it finds the packet damaged."""
    return decoded(packet.stream.codec_context, packet)


def decoded(context: Any, packet: "av.Packet | None") -> list[Any] | None:
    """The frames that a decoder gives for a packet, none at its end; None where the packet is damaged. A packet None asks for what it still holds."""
    from av.error import EOFError, FFmpegError

    try:
        return context.decode(packet)
    except EOFError:
        return []
    except FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        return None


def _opened(path: Path) -> Any:
    """The regular file at `path`, open for unbuffered reading."""
    shown = str(path)[:200]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0))  # a FIFO would otherwise block for ever
    except ValueError as error:
        raise MediaError("unreadable", f"{shown!r} is not a file name: {error}.", path=shown) from error
    except OSError as error:
        raise MediaError("unreadable", f"{shown}: {error.strerror}.", path=shown) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise MediaError("unreadable", f"{shown} is {kind}.", path=shown)
    if status.st_size == 0:
        os.close(descriptor)
        raise MediaError("empty", path=shown)
    return os.fdopen(descriptor, "rb", buffering=0)


@contextmanager
def _container(file: FileBytes, limits: Limits | None) -> "Iterator[InputContainer]":
    """The demuxer over `file` from its beginning; without `limits` it may not decode anything, and tells sizes that would be over them."""
    import av
    from av.error import FFmpegError

    options = {
        "format_whitelist": FORMATS,
        "codec_whitelist": ",".join((*VIDEO_DECODERS, *AUDIO_DECODERS)) if limits else "none",
        "protocol_whitelist": "",  # matches none: nothing can be opened from inside the file
        **({"max_pixels": str(limits.max_pixels)} if limits else {}),
    }
    file.seek(0)
    try:
        container = av.open(file, "r", options=options, buffer_size=READ_BYTES, metadata_errors="replace")
    except MemoryError:
        raise
    except (FFmpegError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            raise MediaError("unreadable", "The disk reports an input error.") from error
        raise why_unopened(file, FORMATS) from error
    with container:
        yield container


def _video_stream(container: "InputContainer", file: FileBytes, limits: Limits) -> "VideoStream":
    """The main picture stream: a cover of a song is none."""
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        if not len(container.streams) or index_is_cut(file):
            raise why_unopened(file, FORMATS)
        raise MediaError("no_video_stream", "Give footage that a camera recorded.")
    stream = max(streams, key=lambda each: (bool(each.disposition & Disposition.default), _pixels(each)))
    context = stream.codec_context
    if context is None or context.name not in VIDEO_DECODERS:
        raise MediaError("format_refused", f"Its pictures are coded as {_codec_name(stream)}, which is not accepted.")
    width, height = (context.width, context.height) if _pixels(stream) > 0 else _stated_size(file, stream.index)
    if width <= 0 or height <= 0:
        raise MediaError("bad_dimensions", f"It says that its pictures are {width}x{height}.", width=width, height=height)
    if width * height > limits.max_pixels:
        detail = f"Its pictures are {width}x{height}; the limit is {limits.max_pixels} pixels (VIDEO_PLATFORM_MEDIA__MAX_PIXELS)."
        raise MediaError("too_large", detail, width=width, height=height)
    return stream


def _stated_size(file: FileBytes, index: int) -> tuple[int, int]:
    """The size that the container says, where the demuxer forgot it because it is over the limit."""
    with _container(file, None) as container:
        context = container.streams[index].codec_context if index < len(container.streams) else None
        return (int(getattr(context, "width", 0)), int(getattr(context, "height", 0)))


def _pixels(stream: "VideoStream") -> int:
    return stream.codec_context.width * stream.codec_context.height if stream.codec_context is not None else 0


def _codec_name(stream: "VideoStream") -> str:
    return stream.codec_context.name if stream.codec_context is not None else "something that no decoder here knows"


def _audio_stream(container: "InputContainer") -> "AudioStream | None":
    usable = [each for each in container.streams.audio if each.codec_context is not None and each.codec_context.name in AUDIO_DECODERS]
    return max(usable, key=lambda each: each.codec_context.channels, default=None)


def _bound(stream: "VideoStream", limits: Limits, threads: int) -> None:
    """Limits of the decoder itself: it inherits none of the container's."""
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels), "codec_whitelist": ",".join(VIDEO_DECODERS)}
    stream.thread_type = "AUTO"  # type: ignore[assignment]
    stream.codec_context.thread_count = threads


def _first_frame(file: FileBytes, limits: Limits) -> "tuple[av.VideoFrame, int]":
    """The first frame and its time stamp; the container is closed again, because seeking back is not exact in every format."""
    with _container(file, limits) as container:
        stream = _video_stream(container, file, limits)
        _bound(stream, limits, 1)
        stamps: list[int] = []
        for count, packet in enumerate(packets(container, [stream])):
            stamps += [stamp for stamp in (packet.pts, packet.dts) if stamp is not None][:1]
            for frame in frames_of(packet) or ():
                return frame, frame.pts if frame.pts is not None else min(stamps, default=0)
            if count > FIRST_FRAME_PACKETS:
                break
    raise MediaError("no_frames", "Its pictures are missing or damaged; copy or export it again.")


def _upright_aspect(stream: "VideoStream", orientation: Orientation) -> Fraction | None:
    aspect = stream.sample_aspect_ratio
    if not aspect or aspect == 1:
        return None
    return 1 / aspect if orientation.transposed else aspect


def _probe(
    container: "InputContainer", stream: "VideoStream", audio: "AudioStream | None", first: "av.VideoFrame", orientation: Orientation, size_bytes: int
) -> VideoProbe:
    duration_s = _stated_duration(container, stream, size_bytes)
    width, height = orientation.size(first.width, first.height)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return VideoProbe(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=first.format.name,
        width=width,
        height=height,
        rotation_deg=orientation.rotation_deg,
        duration_s=duration_s,
        frame_rate=rate if 0 < rate < MAX_FRAME_RATE else None,
        first_pts_s=float((first.pts or 0) * (stream.time_base or 0)),
        bit_rate=int(size_bytes * 8 / duration_s) if duration_s else None,
        audio_codec=audio.codec_context.codec.canonical_name if audio is not None else None,
        created=_created(container, stream),
    )


def _created(container: "InputContainer", stream: "VideoStream") -> str | None:
    """The creation time in the metadata; Apple's own tag first, which knows the time zone. Anything that does not look like a time is no time."""
    told = (container.metadata.get("com.apple.quicktime.creationdate"), container.metadata.get("creation_time"), stream.metadata.get("creation_time"))
    return next((text for text in told if text and LIKE_A_TIME.fullmatch(text)), None)


def _stated_duration(container: "InputContainer", stream: "VideoStream", size_bytes: int) -> float | None:
    """Seconds of picture that the container promises; None when it says nothing, or what cannot be."""
    if container.format.name in GUESSED_DURATIONS and size_bytes * 8 < PLAUSIBLE_BIT_RATE * (container.duration or 0) / 1_000_000:
        return None
    if stream.duration and stream.time_base and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / 1_000_000
    return None
