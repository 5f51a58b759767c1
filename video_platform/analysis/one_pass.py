"""One decoding of a video that yields everything made from its pixels: detections, scenes, thumbnails, poster and the browser-playable proxy.

Three threads, joined by bounded queues: the calling thread demuxes, decodes, looks for cuts and converts the frames that are used; one thread detects, one
encodes; a fourth asks the network for cuts, where that is the mode. A thread that fails hands its error to whoever feeds it, so the pass ends instead of
waiting. Memory does not grow with the length of the video apart from a few bytes per packet and detection.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform.analysis import media
from video_platform.analysis.detect import DetectionParameters, Detector
from video_platform.analysis.frames import Decoding
from video_platform.analysis.media import Limits, OpenVideo
from video_platform.analysis.outputs import writing_to
from video_platform.analysis.pictures import ProxyPictureMaker
from video_platform.analysis.proxy import CannotRemux, Encoder, ProxyParameters, Remuxer, proxy_size, remuxable
from video_platform.analysis.sampling import Detecting, Due
from video_platform.analysis.scene_finding import SceneFinder, scene_finder
from video_platform.analysis.scene_finding import needed_fps as scenes_fps
from video_platform.analysis.scenes import SceneParameters
from video_platform.analysis.stages import Stage
from video_platform.analysis.thumbnails import Poster
from video_platform.detectors import KnownDetector
from video_platform.errors import MediaError
from video_platform.layout import DETECTIONS, PROCESSED_VIDEO, SCENES
from video_platform.scene_model import SceneModel

if TYPE_CHECKING:
    import av

ASSETS = (PROCESSED_VIDEO, DETECTIONS, SCENES)

FRAMES_WAITING = 24
"""Frames (1.4 MB each at 720p) and packets of sound between decoding and encoding."""

PROXY_FPS_KEPT = 0.8
"""Where leaving out unreferenced frames keeps this part of the proxy's frame rate, they are left out: 25 frames/s become 12.5, which saves a third."""

SAMPLING_MARGIN = 2.0
"""Decoded frames per sample at least, so that a sample is at most half an interval late."""

COPY_MAY_MISS_S = 1.0
"""A copied proxy that is shorter than what was decoded by more than this is thrown away, and the frames are encoded instead."""

Progress = Callable[[float, str], None]
"""Called with the fraction done (0-1) and where the pass stands, once per decoded frame."""


class Proxying:
    """The encoding stage: frames or packets in, an MP4 and a poster out."""

    def __init__(self, video: OpenVideo, parameters: ProxyParameters, out_dir: Path, *, remux: bool, threads: int) -> None:
        self._path = out_dir / "proxy.mp4"
        self._poster_path = out_dir / "poster.jpg"
        self._poster = Poster(video)
        self._stream_index = video.stream.index
        self._due = Due(parameters.frame_rate)
        self._stored_size: tuple[int, int] | None = None
        self.remuxed = remux
        size = proxy_size(video, parameters)
        self._picture = ProxyPictureMaker(size, video.orientation)
        self._writer: Remuxer | Encoder
        self._writer = Remuxer(self._path, video) if remux else Encoder(self._path, video, size, parameters, threads=threads)
        self._stage: Stage[tuple[Any, float | None]] = Stage("encode", self._write, room=FRAMES_WAITING)

    @property
    def with_audio(self) -> bool:
        """Whether packets of sound are wanted."""
        return self._writer.has_audio

    def packet(self, packet: "av.Packet") -> None:
        """Hand on a packet, after it was decoded."""
        if self.remuxed or packet.stream.index != self._stream_index:
            self._stage.put((packet, None))

    def see(self, frame: "av.VideoFrame", time_s: float) -> None:
        """Hand on a frame if one is due; CannotRemux when pictures change their size, which a copy cannot show."""
        self._stored_size = self._stored_size or (frame.width, frame.height)
        if self.remuxed and (frame.width, frame.height) != self._stored_size:
            raise CannotRemux(f"the picture changes from {self._stored_size} to {frame.width}x{frame.height}")
        self._poster.see(frame, time_s)
        if not self.remuxed and self._due(time_s):
            self._stage.put((self._picture(frame), time_s))

    def finish(self) -> dict[str, Any]:
        """Finish the file and say what it is.

        Raises:
            CannotRemux: a copy was tried and does not hold what it should.
        """
        self._stage.finish()
        self._writer.close()
        self._poster.write(self._poster_path)
        made = self._probed()
        return {
            "video": str(self._path),
            "poster": str(self._poster_path),
            "remuxed": self.remuxed,
            "duration_s": made.duration_s,
            "width": made.width,
            "height": made.height,
            "frame_rate": made.frame_rate,
            "audio_codec": made.audio_codec,
            "size_bytes": self._path.stat().st_size,
        }

    def abort(self) -> None:
        """Stop the thread and let the file go."""
        self._stage.abort()
        self._writer.abandon()

    def _write(self, item: tuple[Any, float | None]) -> None:
        thing, time_s = item
        if time_s is not None:
            self._writer.frame(thing, time_s)  # type: ignore[union-attr]
        elif thing.stream.index == self._stream_index:
            self._writer.picture(thing)  # type: ignore[union-attr]
        else:
            self._writer.sound(thing)

    def _probed(self) -> Any:
        try:
            return media.probe(self._path)
        except MediaError as error:
            if self.remuxed:
                raise CannotRemux(f"the copy does not open: {error}") from error
            raise


@dataclass(frozen=True)
class Order:
    """What to make, and how; see `run`. Without a `detector` the one that ships under the name in `detection` looks; `scene_model` is for the mode accurate."""

    wanted: tuple[str, ...]
    detection: DetectionParameters = field(default_factory=DetectionParameters)
    scenes: SceneParameters = field(default_factory=SceneParameters)
    proxy: ProxyParameters = field(default_factory=ProxyParameters)
    limits: Limits = field(default_factory=Limits)
    threads: int = 2
    detector: KnownDetector | None = None
    scene_model: SceneModel | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.wanted) - set(ASSETS))
        if unknown or not self.wanted:
            raise ValueError(f"wanted must name some of {', '.join(ASSETS)}; got {', '.join(self.wanted) or 'nothing'}")


def run(path: Path, out_dir: Path, order: Order, *, detector: Detector | None = None, on_progress: Progress | None = None) -> dict[str, Any]:
    """Make the wanted assets of the video in `path` in one decoding; files go into the existing folder `out_dir`.

    `detector` replaces the one that the order names. Returns per asset its files and facts, and under `probe` and `coverage` what the video is and
    how much of it was seen.

    Raises:
        MediaError: the footage cannot be analysed.
        StoreFull: no space is left in `out_dir`.
    """
    import cv2

    cv2.setNumThreads(1)
    with writing_to(out_dir):
        try:
            return _pass(path, out_dir, order, detector, on_progress, may_remux=True)
        except CannotRemux:
            return _pass(path, out_dir, order, detector, on_progress, may_remux=False)


def _pass(path: Path, out_dir: Path, order: Order, detector: Detector | None, on_progress: Progress | None, *, may_remux: bool) -> dict[str, Any]:
    with ExitStack() as on_failure, media.open_video(path, order.limits, threads=order.threads) as video:
        remux = may_remux and PROCESSED_VIDEO in order.wanted and remuxable(video, order.proxy)
        proxying = Proxying(video, order.proxy, out_dir, remux=remux, threads=order.threads) if PROCESSED_VIDEO in order.wanted else None
        if proxying:
            on_failure.callback(proxying.abort)
        detecting = Detecting(video, order.detection, order.detector, detector) if DETECTIONS in order.wanted else None
        if detecting:
            on_failure.callback(detecting.abort)
        scenes = scene_finder(video, out_dir, order.scenes, order.scene_model) if SCENES in order.wanted else None
        if scenes:
            on_failure.callback(scenes.abort)
        decoding = Decoding(
            video,
            order.limits,
            needed_fps=_needed_fps(video, order, encode=not remux),
            sampled_fps=_sampled_fps(order) if detecting else None,
            keyframes_only=remux and order.wanted == (PROCESSED_VIDEO,),
            on_packet=proxying.packet if proxying else None,
            with_audio=proxying is not None and proxying.with_audio,
        )
        for frame, time_s in decoding:
            if scenes:
                scenes.see(frame, time_s)
            if detecting and decoding.sampled:
                detecting.see(frame, time_s, decoding.stamp)
            if proxying:
                proxying.see(frame, time_s)
            if on_progress:
                on_progress(_fraction(video, decoding, time_s), _standing(video, time_s))
        return _results(video, out_dir, decoding, detecting, proxying, scenes, on_failure)


def _results(
    video: OpenVideo,
    out_dir: Path,
    decoding: Decoding,
    detecting: Detecting | None,
    proxying: Proxying | None,
    scenes: SceneFinder | None,
    on_failure: ExitStack,
) -> dict[str, Any]:
    """Finish every stage and gather what it made."""
    if not decoding.decoded_frames:
        raise MediaError("no_frames")
    coverage = decoding.coverage()
    results: dict[str, Any] = {"probe": asdict(video.probe), "coverage": asdict(coverage)}
    if detecting:
        results[DETECTIONS] = detecting.finish(out_dir, decoding.indices)
    if proxying:
        results[PROCESSED_VIDEO] = made = proxying.finish()
        if made["remuxed"] and (made["duration_s"] or 0.0) < coverage.decoded_s - COPY_MAY_MISS_S:
            raise CannotRemux(f"the copy lasts {made['duration_s']} s of {coverage.decoded_s} s")
    if scenes:
        results[SCENES] = _write_scenes(out_dir, scenes, coverage.decoded_s)
    on_failure.pop_all()
    return results


def _write_scenes(out_dir: Path, finder: SceneFinder, end_s: float) -> dict[str, Any]:
    path = out_dir / "scenes.json"
    scenes = finder.finish(end_s)
    path.write_text(json.dumps([asdict(scene) for scene in scenes]))
    made = [{"n": n, "at_s": each.at_s, "path": str(each.path), "scene": each.scene} for n, each in enumerate(finder.thumbnails.made)]
    return {"scenes": str(path), "count": len(scenes), "thumbnails": made, **finder.facts}


def _needed_fps(video: OpenVideo, order: Order, *, encode: bool) -> float:
    """Frames a second that must come out of the decoder."""
    needed = [0.0]
    if DETECTIONS in order.wanted:
        needed.append(_sampled_fps(order))
    if SCENES in order.wanted:
        needed.append(scenes_fps(order.scenes))
    if PROCESSED_VIDEO in order.wanted and encode:
        needed.append(PROXY_FPS_KEPT * min(order.proxy.frame_rate, video.probe.frame_rate or order.proxy.frame_rate))
    return max(needed)


def _sampled_fps(order: Order) -> float:
    """Frames a second among which those are that the detector gets."""
    return SAMPLING_MARGIN * order.detection.samples_per_s


def _fraction(video: OpenVideo, decoding: Decoding, time_s: float) -> float:
    stated = video.probe.duration_s
    return min(1.0, time_s / stated) if stated else decoding.position


def _standing(video: OpenVideo, time_s: float) -> str:
    stated = video.probe.duration_s
    return f"{_clock(time_s)} of {_clock(stated)}" if stated else _clock(time_s)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02d}"
