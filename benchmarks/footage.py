"""Footage made from the sample: one minute of 1080p30 H.264 with light noise, as a camera gives it; and two hours as it is."""

import os
import subprocess
from pathlib import Path

from benchmarks.measure import ffmpeg

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "crossing.mp4"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "video-platform" / "benchmarks"
SECONDS = 60
HOURS = 2


def full_hd() -> Path:
    """A 60 s clip, 1920x1080, 30 frames/s, H.264 medium at about 6 Mb/s, one key frame in 250; made once and kept in the cache."""
    target = CACHE / "1080p30.mp4"
    if not target.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = target.with_suffix(".part.mp4")
        picture = "minterpolate=fps=30:mi_mode=blend,scale=1920:1440:flags=bicubic,crop=1920:1080,noise=alls=4:allf=t"
        encode = ["-c:v", "libx264", "-preset", "medium", "-b:v", "6M", "-maxrate", "8M", "-bufsize", "12M", "-g", "250", "-pix_fmt", "yuv420p"]
        argv = [ffmpeg(), "-v", "error", "-nostdin", "-y", "-stream_loop", "1", "-i", str(SAMPLE), "-t", str(SECONDS), "-vf", picture]
        subprocess.run([*argv, *encode, "-movflags", "+faststart", str(made)], check=True)
        made.rename(target)
    return target


def two_hours() -> Path:
    """The sample over and over for two hours, 768x576, 10 frames/s: copied, not encoded, so it takes seconds; made once and kept in the cache."""
    target = CACHE / f"{HOURS}-hours.mp4"
    if not target.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = target.with_suffix(".part.mp4")
        argv = [ffmpeg(), "-v", "error", "-nostdin", "-y", "-stream_loop", "-1", "-i", str(SAMPLE), "-t", str(HOURS * 3600), "-c", "copy"]
        subprocess.run([*argv, "-movflags", "+faststart", str(made)], check=True)
        made.rename(target)
    return target
