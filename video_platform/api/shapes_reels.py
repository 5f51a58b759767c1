"""Answers about reels and days, as the OpenAPI document shows them."""

from collections.abc import Callable
from datetime import date, datetime

from pydantic import BaseModel

from video_platform.records import FileEntry, ReelPiece
from video_platform.records_days import CameraDay
from video_platform.reels import Reel


class SubtitleOut(BaseModel):
    """What is said, on the clock of the reel."""

    start_s: float
    end_s: float
    text: str


class ReelOut(BaseModel):
    """A reel: signed addresses of the film and, of a video, of the time-lapse; `chapters` say what each piece shows and where it is in its own video."""

    url: str
    seconds: float
    size_bytes: int
    chapters: list[ReelPiece]
    subtitles: list[SubtitleOut]
    timelapse_url: str | None = None


class DayOut(BaseModel):
    """One day on which anything was recorded; `current` is false while its digest is to be made again."""

    day: date
    videos: int
    made_at: datetime | None
    current: bool


class DigestOut(BaseModel):
    """What happened on a day, camera by camera. `reel` is null where there is none, or where it shows a camera that may not be seen."""

    day: date
    timezone: str
    current: bool
    made_at: datetime | None
    cameras: list[CameraDay]
    reel: ReelOut | None


def reel(found: Reel, address: Callable[[FileEntry], str]) -> ReelOut:
    """A reel; `address` gives the signed address of a file."""
    return ReelOut(
        url=address(found.film),
        seconds=found.seconds,
        size_bytes=found.film.size_bytes,
        chapters=list(found.pieces),
        subtitles=[SubtitleOut(start_s=cue.start_s, end_s=cue.end_s, text=cue.text) for cue in found.subtitles],
        timelapse_url=address(found.timelapse) if found.timelapse else None,
    )
