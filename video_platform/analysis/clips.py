"""Cutting clips out of a video: one MP4 per span.

A piece is copied, without decoding, where the video is H.264 that browsers play and a key frame stands shortly before the wanted start; otherwise it is
encoded. Sound is kept either way.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform.analysis import media
from video_platform.analysis.media import Limits, OpenVideo, frames_of
from video_platform.analysis.outputs import writing_to
from video_platform.analysis.pictures import ProxyPictureMaker
from video_platform.analysis.proxy import CannotRemux, Encoder, ProxyParameters, Remuxer, proxy_size, remuxable
from video_platform.analysis.seeking import REORDER_S, packets_from

if TYPE_CHECKING:
    import av

COPY_EARLIER_S = 1.5
"""A copied piece may begin this much before the wanted start; the proxy has a key frame about every second."""

ENCODED = ProxyParameters(height=720, frame_rate=30.0, crf=24)
COPYABLE = ProxyParameters(height=2160, frame_rate=60.0)
"""Bounds of what is copied: everything that a browser plays, whatever its size."""

SOUND_LATER_S = 1.0
"""Sound of a moment may stand this much after its picture in the file."""

SLACK_S = 1e-3

Progress = Callable[[float, str], None]
Span = tuple[float, float]


@dataclass(frozen=True)
class Wanted:
    """One clip, from `start_s` to `end_s`; what lies outside the video is left out."""

    id: str
    start_s: float
    end_s: float


def make(
    path: Path,
    out_dir: Path,
    wanted: Sequence[Wanted],
    *,
    limits: Limits | None = None,
    threads: int = 2,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Cut the wanted clips out of the video in `path` into `out_dir`.

    Returns `clips` (id -> path, or `{"error": why}`), `spans` (id -> `[start_s, end_s]` that the clip really shows) and `copied` (how many files were made
    without encoding).
    """
    cutter = _Cutter(path, limits or Limits(), threads)
    clips: dict[str, Any] = {}
    spans: dict[str, list[float]] = {}
    copied = 0
    with writing_to(out_dir):
        for done, each in enumerate(wanted):
            target = out_dir / f"clip-{hashlib.sha256(each.id.encode()).hexdigest()[:24]}.mp4"
            piece = cutter.cut(target, (each.start_s, each.end_s))
            clips[each.id] = str(target) if piece else {"error": f"the video shows nothing from {each.start_s:.1f} to {each.end_s:.1f} s"}
            if piece:
                spans[each.id], copied = list(piece.span), copied + piece.copied
            if on_progress:
                on_progress((done + 1) / len(wanted), f"clip {done + 1} of {len(wanted)}")
    return {"clips": clips, "spans": spans, "copied": copied}


@dataclass(frozen=True)
class _Piece:
    """What a written file shows of the source, and whether it was copied."""

    span: Span
    copied: bool


class _Cutter:
    """Cuts files out of one source."""

    def __init__(self, path: Path, limits: Limits, threads: int) -> None:
        self._path, self._limits, self._threads = path, limits, threads

    def cut(self, target: Path, span: Span) -> _Piece | None:
        """Write the span to `target`; None when the video shows nothing of it."""
        span = max(0.0, span[0]), span[1]
        if span[1] <= span[0]:
            return None
        with media.open_video(self._path, self._limits, threads=self._threads) as video:
            start = self._copy_start(video, span[0])
            if start is not None:
                piece = _copy(video, target, start, span[1])
                if piece is not None:
                    return piece
        with media.open_video(self._path, self._limits, threads=self._threads) as video:
            return _encode(video, target, span, self._threads)

    def _copy_start(self, video: OpenVideo, start_s: float) -> float | None:
        """The key frame at which a copied piece would begin; None when it is too far from where it is wanted."""
        if not remuxable(video, COPYABLE):
            return None
        found = _keyframe_before(video, start_s)
        return None if found is None or start_s - found > COPY_EARLIER_S else found


def _keyframe_before(video: OpenVideo, at_s: float) -> float | None:
    """The time of the last key frame at or before `at_s`, None when none is found."""
    for back_s in (0.0, REORDER_S, 2.0):  # a seek goes by the order of storing, in which a key frame stands before its time
        for packet in packets_from(video, at_s - back_s):
            if packet.stream.index != video.stream.index or packet.pts is None:
                continue
            time_s = video.frame_time_s(packet.pts)
            if packet.is_keyframe and time_s <= at_s + SLACK_S:
                return time_s
            break
    return None


def _copy(video: OpenVideo, target: Path, start: float, end: float) -> _Piece | None:
    """Copy packets from the key frame at `start`; None when their time stamps are no good for an MP4."""
    writer = Remuxer(target, video)
    try:
        writer.join(_clock(video, start))
        end_s = _copy_span(video, writer, start, end)
        if not writer.frames:
            raise CannotRemux("the span holds no packet")
        writer.close()
    except CannotRemux:
        writer.abandon()
        return None
    except BaseException:
        writer.abandon()
        raise
    return _Piece((start, end_s), True)


def _copy_span(video: OpenVideo, writer: Remuxer, start: float, end: float) -> float:
    """Copy one span that starts at a key frame; returns where its last frame ends."""
    shown_to = start
    ahead: list[av.Packet] = []
    picture_done = False
    for packet in packets_from(video, start):
        if not packet.size or packet.pts is None or packet.dts is None:
            continue
        stored_s = _seconds(video, packet.dts, packet)
        if packet.stream.index == video.stream.index:
            if stored_s >= end:  # what is shown before `end` is stored before it
                picture_done = True
            elif not picture_done and video.frame_time_s(packet.pts) >= start - SLACK_S:  # an earlier one belongs to the piece before
                ahead.append(packet)
                if video.frame_time_s(packet.pts) < end - SLACK_S:  # what is shown after `end` stays only where something before it needs it
                    shown_to = max(shown_to, min(video.frame_time_s(packet.pts + (packet.duration or 0)), end))
                    for each in ahead:
                        writer.picture(each)
                    ahead.clear()
        elif start <= stored_s and _seconds(video, packet.dts + (packet.duration or 0), packet) <= end:
            writer.sound(packet)
        if picture_done and (video.audio is None or stored_s >= end + SOUND_LATER_S):
            break
    return shown_to


def _encode(video: OpenVideo, target: Path, span: Span, threads: int) -> _Piece | None:
    writer = Encoder(target, video, proxy_size(video, ENCODED), ENCODED, threads=threads)
    picture = ProxyPictureMaker(proxy_size(video, ENCODED), video.orientation)
    try:
        writer.rebase_sound(_clock(video, span[0]))
        shown = _encode_span(video, writer, picture, *span)
        if shown is None:
            writer.abandon()
            target.unlink(missing_ok=True)
            return None
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return _Piece(shown, False)


def _encode_span(video: OpenVideo, writer: Encoder, picture: ProxyPictureMaker, start: float, end: float) -> Span | None:
    """Encode one span; returns what is shown of the source, None when nothing is."""
    interval = 1.0 / (video.probe.frame_rate or 25.0)
    first = last = None
    for packet in packets_from(video, start - REORDER_S):
        if packet.stream.index != video.stream.index:
            if packet.pts is not None and start <= _seconds(video, packet.pts, packet) and _seconds(video, packet.pts + (packet.duration or 0), packet) <= end:
                writer.sound(packet)
            continue
        for frame in frames_of(packet) or ():
            time_s = video.frame_time_s(frame.pts) if frame.pts is not None else (last or start) + interval
            if time_s >= end:
                return None if first is None or last is None else (first, min(end, last + interval))
            if time_s >= start - interval / 2:
                first = time_s if first is None else first
                last = time_s
                writer.frame(picture(frame), max(0.0, time_s - start))  # type: ignore[arg-type]
    return None if first is None or last is None else (first, min(end, last + interval))


def _clock(video: OpenVideo, time_s: float) -> Fraction:
    """Seconds from the first frame as a time on the container's clock."""
    return video.first_pts * video.time_base + Fraction(time_s).limit_denominator(1_000_000)


def _seconds(video: OpenVideo, stamp: int, packet: "av.Packet") -> float:
    """A time stamp of `packet`, of whichever stream, as seconds from the first frame."""
    return float(stamp * (packet.time_base or 0) - video.first_pts * video.time_base)
