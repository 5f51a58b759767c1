"""Single frames of a video as they are shown to a model: small JPEG files, each with the digest of its pixels."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import media
from video_platform.analysis.media import Limits
from video_platform.analysis.outputs import writing_to
from video_platform.analysis.pictures import PictureMaker, fitted, jpeg, square_size
from video_platform.analysis.seeking import Seeker
from video_platform.analysis.snapshots import Progress

SIDE = 768
"""Longest side in pixels: vision models cut pictures into tiles of about this size, and a larger one costs them several times the tokens."""


@dataclass(frozen=True)
class Wanted:
    """One frame: the last one shown at or before `at_s`."""

    id: str
    at_s: float


def make(
    path: Path, out_dir: Path, wanted: Sequence[Wanted], *, side: int = SIDE, limits: Limits | None = None, on_progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Write the wanted frames of the video in `path` into `out_dir`; id -> `{path, digest, at_s}`, or `{"error": why}` for one that could not be had.

    Equal pictures are one file, named by its digest. The video is opened once and read forwards.
    """
    results: dict[str, dict[str, Any]] = {}
    with writing_to(out_dir), media.open_video(path, limits) as video:
        seeker = Seeker(video)
        size = square_size(video.probe.width, video.probe.height, video.pixel_aspect)
        picture = PictureMaker(fitted(*size, max_width=side, max_height=side), video.orientation, "AREA")
        for done, each in enumerate(sorted(wanted, key=lambda one: one.at_s)):
            found = seeker.at(each.at_s)
            if found is None:
                results[each.id] = {"error": f"no frame could be decoded at {each.at_s:.2f} s"}
                continue
            frame, at_s = found
            bgr = picture(frame)
            digest = digest_of(bgr)
            target = out_dir / f"still-{digest}.jpg"
            if not target.exists():
                target.write_bytes(jpeg(bgr))
            results[each.id] = {"path": str(target), "digest": digest, "at_s": at_s}
            if on_progress:
                on_progress((done + 1) / len(wanted), f"frame {done + 1} of {len(wanted)}")
    return results


def digest_of(bgr: NDArray[np.uint8]) -> str:
    """SHA-256 (64 hex digits) of a picture (H, W, 3): of its pixels, because the bytes of a JPEG differ between versions of the encoder."""
    return hashlib.sha256(f"{bgr.shape}".encode() + np.ascontiguousarray(bgr).tobytes()).hexdigest()
