"""Making a reel or a time-lapse: pieces of one or several videos, decoded one after the other, drawn on, and encoded as H.264 and AAC in one MP4.

One picture is held at a time, whatever the length of the footage. Nothing is generated: every picture is a frame of the footage, with what is known of it
drawn over it and written below it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from video_platform.analysis import media, tables, x264
from video_platform.analysis.media import Limits, OpenVideo, frames_of
from video_platform.analysis.outputs import writing_to
from video_platform.analysis.pictures import PictureMaker, fitted, square_size
from video_platform.analysis.proxy import TIME_BASE
from video_platform.analysis.reel_picture import Boxes, Canvas, Clock
from video_platform.analysis.reel_sound import ReelSound
from video_platform.analysis.reel_words import Cue, vtt
from video_platform.analysis.seeking import REORDER_S, Seeker, packets_from
from video_platform.analysis.sound import is_usable
from video_platform.errors import MediaError

if TYPE_CHECKING:
    import av

RATE = 15.0
"""Pictures a second: those of the browser copy."""

CRF = 24
KEYFRAME_EVERY_S = 2.0
MAX_WIDTH, MAX_HEIGHT = 1280, 720
"""The largest picture; the strip stands below it."""

THIN_SLACK_S = 0.004
"""A frame that is this much before its turn is taken: 30 frames a second are thinned to 15 whatever their rounding."""

COMMENT = "Boxes, names, times and captions were drawn over the footage; nothing else was changed."

COLOURS = 6
"""SMPTE 170M, the matrix of `ITU601` below; said in the file, whatever its size."""

SOUND_LATER_S = 1.0
"""Sound of a moment may stand this much after its picture in the file."""

NO_BOXES: tuple[list[list[float]], list[str], list[int]] = ([], [], [])

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Source:
    """A video that pieces are taken from; `tracks` is its Parquet file, `zone` the name of the time zone of its clock, empty for this machine's."""

    path: Path
    tracks: Path | None = None
    camera: str = ""
    recorded_at: str | None = None
    zone: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Source":
        """From the JSON form: the same fields, paths as texts."""
        tracks = entry.get("tracks")
        return cls(Path(entry["path"]), Path(tracks) if tracks else None, entry.get("camera", ""), entry.get("recorded_at"), entry.get("zone", ""))

    @cached_property
    def clock(self) -> Clock:
        """What time its moments were."""
        recorded_at = datetime.fromisoformat(self.recorded_at) if self.recorded_at else None
        return Clock(recorded_at, ZoneInfo(self.zone) if self.zone else None)

    def boxes(self) -> Boxes | None:
        """Its tracks; read anew each time, so that those of one video are held."""
        if self.tracks is None:
            return None
        found, names, _ = tables.read_tracks(self.tracks)
        return Boxes(found, names)


@dataclass(frozen=True)
class Wanted:
    """A span of the source with this index, and what is written below it."""

    source: int
    start_s: float
    end_s: float
    title: str


def reel(target: Path, sources: Sequence[Source], wanted: Sequence[Wanted], *, limits: Limits | None, threads: int, on_progress: Progress) -> dict[str, Any]:
    """Write the reel to `target`, its chapters beside it as `chapters.vtt`.

    Returns `path`, `chapters`, `seconds`, `sound` (whether there is any), `pieces` (`{index, at_s, end_s, start_s}` of what is really shown, `start_s` in its
    own video) and `missed` (index -> why nothing of it is shown); `path` is None when nothing is shown at all.
    """
    with writing_to(target.parent):
        sizes, sound, closed = _look(sources, limits)
        missed = {str(index): closed[piece.source] for index, piece in enumerate(wanted) if piece.source in closed}
        wanted_now = [(index, piece) for index, piece in enumerate(wanted) if piece.source not in closed]
        if not wanted_now:
            return {"path": None, "chapters": None, "seconds": 0.0, "sound": False, "pieces": [], "missed": missed}
        canvas = Canvas((max(width for width, _ in sizes), max(height for _, height in sizes)))
        film = _Film(target.with_name("undone.mp4"), canvas, sound=sound, threads=threads)
        shown: list[dict[str, Any]] = []
        try:
            for index, piece in wanted_now:
                tell = partial(on_progress, index / len(wanted), f"piece {index + 1} of {len(wanted)}")
                began = film.length_s
                try:
                    first_s = _piece(film, canvas, sources[piece.source], piece, limits, threads, tell)
                except MediaError as error:
                    missed[str(index)], first_s = error.message, None
                if first_s is None:
                    missed.setdefault(str(index), f"the video shows nothing from {piece.start_s:.1f} to {piece.end_s:.1f} s")
                else:
                    shown.append({"index": index, "at_s": round(began, 3), "end_s": round(film.length_s, 3), "start_s": round(first_s, 3)})
            film.close()
        except BaseException:
            film.abandon()
            raise
        if not shown:
            film.path.unlink(missing_ok=True)
            return {"path": None, "chapters": None, "seconds": 0.0, "sound": False, "pieces": [], "missed": missed}
        chapters = [Cue(each["at_s"], each["end_s"], wanted[each["index"]].title) for each in shown]
        _finish(film.path, target, chapters)
        words = target.with_name("chapters.vtt")
        words.write_text(vtt(chapters), encoding="utf-8")
    return {"path": str(target), "chapters": str(words), "seconds": film.length_s, "sound": sound, "pieces": shown, "missed": missed}


def lapse(
    target: Path, source: Source, moments_s: Sequence[float], speed: float, *, limits: Limits | None, threads: int, on_progress: Progress
) -> dict[str, Any]:
    """Write a time-lapse to `target`: the frame of each moment, `RATE` a second, without sound. Returns `path` (None when nothing decodes) and `seconds`."""
    with writing_to(target.parent), media.open_video(source.path, limits, threads=threads) as video:
        canvas = Canvas(_size(video))
        picture = PictureMaker(_size(video), video.orientation)
        boxes, seeker = source.boxes(), Seeker(video)
        film = _Film(target.with_name("undone.mp4"), canvas, sound=False, threads=threads)
        try:
            for index, moment in enumerate(moments_s):
                found = seeker.at(moment)
                if found is not None:
                    title = f"{source.camera} · {speed:.0f} times faster" if source.camera else f"{speed:.0f} times faster"
                    drawn = boxes.at(found[1]) if boxes else NO_BOXES
                    film.picture(canvas.compose(picture(found[0]), drawn, title, source.clock.words(found[1])), index / RATE)
                if index % int(RATE) == 0:
                    on_progress(index / len(moments_s), f"time-lapse, {index} of {len(moments_s)} pictures")
            film.close()
        except BaseException:
            film.abandon()
            raise
        if not film.frames:
            film.path.unlink(missing_ok=True)
            return {"path": None, "seconds": 0.0}
        _finish(film.path, target, [])
    return {"path": str(target), "seconds": film.length_s}


def _look(sources: Sequence[Source], limits: Limits | None) -> tuple[list[tuple[int, int]], bool, dict[int, str]]:
    """Sizes of the sources, whether any has sound, and index -> why of those that cannot be opened."""
    sizes, sound, closed = [], False, {}
    for index, source in enumerate(sources):
        try:
            with media.open_video(source.path, limits) as video:
                sizes.append(_size(video))
                sound = sound or is_usable(video.audio)
        except MediaError as error:
            closed[index] = error.message
    return sizes, sound, closed


def _size(video: OpenVideo) -> tuple[int, int]:
    size = square_size(video.probe.width, video.probe.height, video.pixel_aspect)
    return fitted(*size, max_width=MAX_WIDTH, max_height=MAX_HEIGHT, even=True)


def _piece(film: "_Film", canvas: Canvas, source: Source, piece: Wanted, limits: Limits | None, threads: int, tell: Callable[[], None]) -> float | None:
    """Add one piece; the time in its video at which it really begins, None when nothing of it could be shown."""
    boxes = source.boxes()
    with media.open_video(source.path, limits, threads=threads) as video:
        picture = PictureMaker(_size(video), video.orientation)
        origin_s = float(video.first_pts * video.time_base)
        at_s, first_s, due_s, last_s = film.length_s, None, piece.start_s, piece.start_s
        step_s = 1.0 / min(RATE, video.probe.frame_rate or RATE)
        film.sound_of(video, origin_s + piece.start_s, piece.end_s - piece.start_s)
        for packet in packets_from(video, piece.start_s - REORDER_S):
            if packet.stream.index != video.stream.index:
                film.sound(packet)
                continue
            ended = False
            for frame in frames_of(packet) or ():
                time_s = video.frame_time_s(frame.pts) if frame.pts is not None else last_s + step_s
                ended = time_s >= piece.end_s
                if ended or time_s < due_s - THIN_SLACK_S:
                    continue
                first_s = time_s if first_s is None else first_s
                if film.frames % int(RATE) == 0:
                    tell()
                due_s, last_s = max(due_s + step_s, time_s - step_s + 2 * THIN_SLACK_S), time_s
                drawn = boxes.at(time_s) if boxes else NO_BOXES
                where = f"{source.camera} · {source.clock.words(time_s)}" if source.camera else source.clock.words(time_s)
                film.picture(canvas.compose(picture(frame), drawn, piece.title, where), at_s + time_s - piece.start_s)
            if ended and not film.wants_sound_until(packet, video, piece.end_s):
                break
    if first_s is not None:
        film.end_piece(at_s + min(last_s + step_s, piece.end_s) - piece.start_s)
    return first_s


class _Film:
    """Pictures and sound going into one file; `length_s` is how long it is so far."""

    def __init__(self, path: Path, canvas: Canvas, *, sound: bool, threads: int) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self.path = path
        self.length_s = 0.0
        self.frames = 0
        self._output = av.open(str(path.absolute()), "w", format="mp4")
        self._stream = self._output.add_stream("libx264", rate=Fraction(RATE).limit_denominator(1000))
        self._stream.width, self._stream.height, self._stream.pix_fmt = *canvas.size, "yuv420p"
        self._stream.options = x264.options(CRF, g=str(round(KEYFRAME_EVERY_S * RATE)))
        context = self._stream.codec_context
        context.time_base, context.thread_count = TIME_BASE, threads
        context.colorspace = context.color_primaries = context.color_trc = COLOURS
        context.color_range = 1
        self._sound = ReelSound(self._output) if sound else None
        self._reformat = VideoReformatter().reformat
        self._last_pts = -1

    def picture(self, bgr: Any, at_s: float) -> None:
        """One picture of the canvas's size, to be shown from `at_s` on."""
        import av
        from av.video.frame import PictureType
        from av.video.reformatter import Colorspace

        pts = round(at_s / TIME_BASE)
        if pts <= self._last_pts:
            return
        made = self._reformat(av.VideoFrame.from_ndarray(bgr, "bgr24"), format="yuv420p", dst_colorspace=Colorspace.ITU601, threads=1)
        made.pts, made.time_base, made.pict_type = pts, TIME_BASE, PictureType.NONE
        self._output.mux(self._stream.encode(made))
        self._last_pts = pts
        self.frames += 1
        self.length_s = at_s + 1 / RATE

    def sound_of(self, video: OpenVideo, origin_s: float, length_s: float) -> None:
        """Packets of sound that come next are of `video`, whose clock says `origin_s` where the film is now."""
        if self._sound is not None:
            self._sound.begin(video.audio, origin_s=origin_s, at_s=self.length_s, end_s=self.length_s + length_s)

    def sound(self, packet: "av.Packet") -> None:
        """One packet of sound."""
        if self._sound is not None:
            self._sound.write(packet)

    def wants_sound_until(self, packet: "av.Packet", video: OpenVideo, end_s: float) -> bool:
        """Whether sound of the piece may still come after this packet of pictures: it is stored a little later."""
        if self._sound is None or not is_usable(video.audio) or packet.dts is None:
            return False
        return video.frame_time_s(packet.dts) < end_s + SOUND_LATER_S

    def end_piece(self, at_s: float) -> None:
        """A piece is over."""
        self.length_s = max(self.length_s, at_s)
        if self._sound is not None:
            self._sound.end(self.length_s)

    def close(self) -> None:
        """Finish the file."""
        self._output.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.finish()
        self._output.close()

    def abandon(self) -> None:
        """Close without caring for the result."""
        import contextlib

        with contextlib.suppress(Exception):
            self._output.close()


def _finish(path: Path, target: Path, chapters: Sequence[Cue]) -> None:
    """Copy the film in `path` to `target` with its chapters, the index first, and remove it: chapters are known only when everything is encoded."""
    import av

    with av.open(str(path)) as source, av.open(str(target.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        output.metadata["comment"] = COMMENT
        streams = {stream.index: output.add_stream_from_template(stream) for stream in source.streams if stream.type in ("video", "audio")}
        output.set_chapters(
            [
                {
                    "id": index,
                    "start": round(each.start_s * 1000),
                    "end": round(each.end_s * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": each.text},
                }
                for index, each in enumerate(chapters)
            ]
        )
        for packet in source.demux(list(source.streams)):
            if packet.dts is not None and packet.stream.index in streams:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    path.unlink()
