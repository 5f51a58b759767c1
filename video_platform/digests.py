"""The digests of days: which days there are, what each is made from, and reading them. A day is one of the clock that the settings name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from video_platform import layout
from video_platform.access import ANYONE, Person
from video_platform.errors import IntegrityError, NotFound, ObjectNotFound
from video_platform.fingerprints import content_hash
from video_platform.records import Manifest
from video_platform.records_days import Digest
from video_platform.services.database import Database, digests
from video_platform.services.database.digests import Day, Judged
from video_platform.services.object_store import ObjectStore
from video_platform.settings import Settings

CODE_VERSION = "2"
"""Raise it when the same footage gives another digest or another reel."""

ALL = 1_000_000
"""More days than anybody has."""

MACHINE = "local time"
"""The name of this machine's clock, where the settings name no zone."""


@dataclass(frozen=True)
class Shown:
    """The digest of a day as somebody may see it, and how it stands."""

    digest: Digest
    day: Day


def zone_of(settings: Settings) -> tuple[ZoneInfo | None, str]:
    """The clock that days are of, None for this machine's, and its name."""
    name = settings.recording.timezone
    return (ZoneInfo(name), name) if name else (None, MACHINE)


def days_of(one: Judged, zone: ZoneInfo | None) -> list[date]:
    """The days that a video touches."""
    first, last = one.recorded_at.astimezone(zone).date(), max(one.recorded_at, one.ended_at - timedelta(microseconds=1)).astimezone(zone).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def fingerprint(day: date, videos: Sequence[Judged], settings: Settings) -> str:
    """What a day's digest is made from: its videos with their recording time, tracks and alerts, how long its reel may be, and the clocks that it shows."""
    clocks = {camera: settings.recording.zone_of(camera) for camera in {one.camera for one in videos}}
    zones = {camera: zone.key for camera, zone in clocks.items() if zone is not None}
    sorted_videos = sorted(videos, key=lambda one: one.video_id)
    of_day = {"day": day.isoformat(), "zone": zone_of(settings)[1], "zones": zones, "videos": sorted_videos}
    return content_hash({"code_version": CODE_VERSION, "reel": settings.reels.day_max_s, **of_day})


def wanted(db: Database, settings: Settings) -> Mapping[date, tuple[str, int]]:
    """Every day on which anything was recorded: the fingerprint of its digest, and how many videos touch it. Unknown recording times are of no day."""
    zone, _ = zone_of(settings)
    by_day: dict[date, list[Judged]] = {}
    for one in digests.judged(db):
        for day in days_of(one, zone):
            by_day.setdefault(day, []).append(one)
    return {day: (fingerprint(day, videos, settings), len(videos)) for day, videos in by_day.items()}


def manifest(store: ObjectStore, day: date) -> Manifest | None:
    """The manifest of a day's digest, None before it was made."""
    try:
        return Manifest.model_validate_json(store.get_bytes(layout.digest_manifest_key(day.isoformat())))
    except (ObjectNotFound, ValidationError):
        return None


def read(db: Database, store: ObjectStore, day: date, person: Person = ANYONE) -> Shown:
    """The digest of a day, with the cameras that `person` may see.

    Raises:
        NotFound: nothing was recorded on that day on cameras that may be seen, or its digest was not made yet.
        IntegrityError: what is stored is no digest.
    """
    known, stored = digests.get(db, day), manifest(store, day)
    entry = stored.file("digest") if stored else None
    if known is None or entry is None:
        raise _nothing(day, "its digest is not made yet; `vp up` makes it" if known and person.sees_all else _nothing_for(person))
    try:
        found = Digest.model_validate_json(store.get_bytes(entry.key))
    except ValidationError as error:
        raise IntegrityError(f"{entry.key} is not a digest that this version reads; it is made again when its day changes", key=entry.key) from error
    cameras = [each for each in found.cameras if person.may_see(each.camera)]
    if not cameras and not person.sees_all:  # else it would tell that others recorded something
        raise _nothing(day, _nothing_for(person))
    return Shown(found.model_copy(update={"cameras": cameras}), known)


def _nothing(day: date, reason: str) -> NotFound:
    return NotFound(f"{day}: {reason}", day=day.isoformat())


def _nothing_for(person: Person) -> str:
    """The same words whether others recorded something or nobody did."""
    unknown = "nothing was recorded on it, as far as recording times are known"
    return unknown if person.sees_all else f"{unknown}, or its digest is not made yet"


def listed(db: Database, settings: Settings, person: Person, *, limit: int) -> Sequence[Day]:
    """The days on which anything was recorded that `person` may see, newest first; `videos` counts those."""
    if person.sees_all:
        return digests.listed(db, limit=limit)
    zone, _ = zone_of(settings)
    seen = Counter(day for one in digests.judged(db) if person.may_see(one.camera) for day in days_of(one, zone))
    return [replace(day, videos=seen[day.day]) for day in digests.listed(db, limit=ALL) if seen[day.day]][:limit]


def newest(db: Database) -> date | None:
    """The last day with a digest."""
    return next((each.day for each in digests.listed(db) if each.made), None)


def over(day: date, settings: Settings) -> datetime:
    """When a day is over."""
    from video_platform.analysis import digest

    return digest.bounds(day, zone_of(settings)[0])[1]
