"""Single frames of a video as JPEG, with boxes, zones and lines drawn over them where asked."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from video_platform.analysis import media
from video_platform.analysis.media import Limits, OpenVideo
from video_platform.analysis.outputs import writing_to
from video_platform.analysis.pictures import PictureMaker, fitted, jpeg, square_size
from video_platform.analysis.seeking import Seeker
from video_platform.errors import MediaError

MAX_WIDTH = 1280
"""Snapshots are looked at on a page and sent in messages; a wider picture only takes longer to load."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Wanted:
    """One snapshot.

    `boxes` are `(x1, y1, x2, y2)`, 0-1 of the upright frame, with one label each; `zones` map a name to a polygon, `lines` to two points.
    """

    id: str
    at_s: float
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    labels: tuple[str, ...] = ()
    zones: Mapping[str, Any] = field(default_factory=dict, hash=False)
    lines: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Wanted":
        """From the JSON form `{id, at_s, boxes: [{box, label}], zones, lines}`."""
        boxes = entry.get("boxes") or ()
        return cls(
            entry["id"],
            float(entry["at_s"]),
            tuple(tuple(each["box"]) for each in boxes),
            tuple(str(each.get("label") or "") for each in boxes),
            entry.get("zones") or {},
            entry.get("lines") or {},
        )


def make(
    path: Path, out_dir: Path, wanted: Sequence[Wanted], *, max_width: int = MAX_WIDTH, limits: Limits | None = None, on_progress: Progress | None = None
) -> dict[str, str | dict[str, str]]:
    """Write the wanted snapshots of the video in `path` into `out_dir`; id -> path of a JPEG, or `{"error": why}` for one that could not be had.

    The frame is the last one shown at or before the wanted time. The video is opened once and read forwards.
    """
    results: dict[str, str | dict[str, str]] = {}
    with writing_to(out_dir), media.open_video(path, limits) as video:
        seeker = Seeker(video)
        picture = _picture_maker(video, max_width)
        for done, each in enumerate(sorted(wanted, key=lambda one: one.at_s)):
            found = seeker.at(each.at_s)
            if found is None:
                results[each.id] = {"error": f"no frame could be decoded at {each.at_s:.2f} s"}
                continue
            target = out_dir / f"snapshot-{hashlib.sha256(each.id.encode()).hexdigest()[:24]}.jpg"
            target.write_bytes(jpeg(_drawn(picture(found[0]), each)))
            results[each.id] = str(target)
            if on_progress:
                on_progress((done + 1) / len(wanted), f"snapshot {done + 1} of {len(wanted)}")
    return results


def one(path: Path, at_s: float, out_path: Path, *, max_width: int | None = None, limits: Limits | None = None) -> dict[str, Any]:
    """Write the frame at `at_s` as JPEG to `out_path`; returns `{at_s, width, height}` of what was written.

    Raises:
        MediaError: `no_frames` when nothing decodes there.
    """
    with writing_to(out_path.parent), media.open_video(path, limits) as video:
        found = Seeker(video).at(at_s)
        if found is None:
            raise MediaError("no_frames", f"Nothing decodes at {at_s:.2f} s.", at_s=at_s)
        bgr = _picture_maker(video, max_width)(found[0])
        out_path.write_bytes(jpeg(bgr))
        return {"at_s": found[1], "width": bgr.shape[1], "height": bgr.shape[0]}


def _picture_maker(video: OpenVideo, max_width: int | None) -> PictureMaker:
    size = square_size(video.probe.width, video.probe.height, video.pixel_aspect)
    return PictureMaker(fitted(*size, max_width=max_width), video.orientation, "AREA")


def _drawn(bgr: Any, wanted: Wanted) -> Any:
    if not (wanted.boxes or wanted.zones or wanted.lines):
        return bgr
    from video_platform.analysis import overlay

    return overlay.draw(bgr, boxes=wanted.boxes, labels=wanted.labels, zones=wanted.zones, lines=wanted.lines)
