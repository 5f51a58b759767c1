"""Reels as they are read: of a video and of a day, with their chapters and with what is said in them.

Subtitles are put together when a reel is read, from the transcripts that are there then: no reel waits for a transcript, and none is made again for one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import ValidationError

from video_platform import digests, layout
from video_platform.access import ANYONE, Person
from video_platform.analysis.reel_words import Cue, cues_of, shown
from video_platform.errors import IntegrityError, NotFound, ObjectNotFound
from video_platform.records import FileEntry, Manifest, ReelPiece, VideoRecord, VideoState
from video_platform.services.database import Database, troubles
from video_platform.services.object_store import ObjectStore
from video_platform.settings import Settings

TRANSCRIPT, SUBTITLES = "transcript", "subtitles"
"""The asset that holds what is said in a video, and the role of its WebVTT file, which is there where anything is said."""

MAX_SUBTITLES_BYTES = 8 * 1024**2
"""A larger file is no subtitles: a day of speech has about two megabytes."""


@dataclass(frozen=True)
class Reel:
    """A film, what it shows in order, and what is said meanwhile, on the film's clock; `timelapse` is that of the video, where there is one."""

    film: FileEntry
    seconds: float
    pieces: Sequence[ReelPiece]
    subtitles: Sequence[Cue]
    timelapse: FileEntry | None = None


def of_video(store: ObjectStore, manifest: Manifest | None) -> Reel | None:
    """The reel of a video from the manifest of its highlights, None where there is none: nothing is to be seen in it, or an earlier version made it."""
    return None if manifest is None else _read(store, manifest)


def of_day(db: Database, store: ObjectStore, day: date, person: Person = ANYONE) -> Reel | None:
    """The reel of a day, None where nothing of it is to be shown.

    A film cannot be shown in part: for somebody who may not see every camera in it there is none.

    Raises:
        NotFound: nothing was recorded on that day, or its digest was not made yet.
    """
    digests.read(db, store, day, person)
    manifest = digests.manifest(store, day)
    found = None if manifest is None else _read(store, manifest)
    return found if found is not None and _may_be_seen(db, found, person) else None


def _may_be_seen(db: Database, found: Reel, person: Person) -> bool:
    """Whether all that a reel shows is there and may be seen, by the cameras of now: one may have been corrected since."""
    known = troubles.records(db, list({piece.video_id for piece in found.pieces}))
    records = [known.get(piece.video_id) for piece in found.pieces]
    if any(record is None or record.state is VideoState.DELETED or not person.may_see(record.camera) for record in records):
        return False
    return all(person.may_see(piece.camera) for piece in found.pieces)


def forget(store: ObjectStore, settings: Settings, record: VideoRecord | None) -> None:
    """Remove the films of days that show a video which is deleted; those days have new ones made, without it."""
    if record is None or record.recorded_at is None:
        return
    zone, _ = digests.zone_of(settings)
    ended_at = record.recorded_at + timedelta(seconds=record.duration_s or 0.0)
    first, last = record.recorded_at.astimezone(zone).date(), ended_at.astimezone(zone).date()
    for number in range((last - first).days + 1):
        _forget_day(store, first + timedelta(days=number), record.video_id)


def _forget_day(store: ObjectStore, day: date, video_id: str) -> None:
    manifest = digests.manifest(store, day)
    told = manifest.file("pieces") if manifest else None
    if manifest is None or told is None:
        return
    try:
        shown = json.loads(store.get_bytes(told.key))
    except (ObjectNotFound, ValueError):
        shown = [{"video_id": video_id}]  # whatever it shows, nobody can be told: it is made again
    if any(each.get("video_id") == video_id for each in shown):
        store.delete([entry.key for entry in manifest.files if entry.role != "digest"])


def file_of_day(db: Database, store: ObjectStore, day: date, name: str, person: Person = ANYONE) -> FileEntry:
    """The file of a day's reel that is called `name`; NotFound for any other, and for who may not see the reel."""
    reel = of_day(db, store, day, person)
    manifest = digests.manifest(store, day)
    entry = next((each for each in manifest.files if each.name == name and each.role != "digest"), None) if reel and manifest else None
    if entry is None:
        raise NotFound(f"{day} has no such file now; reload the page for its new version", day=day.isoformat())
    return entry


def _read(store: ObjectStore, manifest: Manifest) -> Reel | None:
    film, told, seconds = manifest.file("reel"), manifest.file("pieces"), manifest.facts.get("reel_s")
    if film is None or told is None or not isinstance(seconds, int | float):
        return None
    try:
        pieces = [ReelPiece.model_validate(each) for each in json.loads(store.get_bytes(told.key))]
    except ObjectNotFound:  # removed with a video that it showed
        return None
    except (ValueError, ValidationError) as error:
        raise IntegrityError(f"{told.key} does not say what a reel shows; make it again", key=told.key) from error
    return Reel(film, float(seconds), pieces, _subtitles(store, pieces), manifest.file("timelapse"))


def _subtitles(store: ObjectStore, pieces: Sequence[ReelPiece]) -> list[Cue]:
    """What is said in the pieces, where a transcript of their video is there."""
    said = {video_id: _said(store, video_id) for video_id in {piece.video_id for piece in pieces}} if TRANSCRIPT in layout.ASSETS else {}
    found: list[Cue] = []
    for piece in pieces:
        found += shown(said.get(piece.video_id, ()), piece.start_s, piece.start_s + piece.end_s - piece.at_s, piece.at_s)
    return found


def _said(store: ObjectStore, video_id: str) -> list[Cue]:
    try:
        manifest = Manifest.model_validate_json(store.get_bytes(layout.manifest_key(video_id, TRANSCRIPT)))
        entry = manifest.file(SUBTITLES)
        if entry is None or entry.size_bytes > MAX_SUBTITLES_BYTES:
            return []
        return cues_of(store.get_bytes(entry.key).decode("utf-8", "replace"))
    except (ObjectNotFound, ValidationError):
        return []
