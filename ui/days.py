"""What the page of days reads, with the cameras that who looks may see."""

from collections.abc import Sequence
from datetime import date

from ui import opened, rights
from video_platform import digests, reels
from video_platform.digests import Shown
from video_platform.reels import Reel
from video_platform.services.database.digests import Day

MOST_DAYS = 1000


def listed() -> Sequence[Day]:
    """Days with a digest of anything that who looks may see, newest first."""
    platform = opened.services().platform
    return [day for day in digests.listed(platform.db, platform.settings, rights.person(), limit=MOST_DAYS) if day.made is not None]


def read(day: date) -> Shown:
    """The digest of a day. Raises NotFound when there is none."""
    platform = opened.services().platform
    return digests.read(platform.db, platform.store, day, rights.person())


def reel(day: date) -> Reel | None:
    """The reel of a day, None where there is none for who looks."""
    platform = opened.services().platform
    return reels.of_day(platform.db, platform.store, day, rights.person())


def reel_path(day: date, found: Reel, download: str | None = None) -> str:
    """The signed path of its film; `download` is the name to save it under."""
    return opened.signer().day_url(day, found.film.name, rights.person(), download=download)
