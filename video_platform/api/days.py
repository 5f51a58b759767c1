"""Days: which there are, what happened on one, its reel."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from video_platform import digests, reels
from video_platform.api import shapes_reels as shapes
from video_platform.api.media import serve
from video_platform.api.services import Ours
from video_platform.layout import api_day_media

router = APIRouter(prefix="/days", tags=["days"])

MAX_DAYS = 1000


@router.get("", operation_id="list_days")
def list_days(ours: Ours, limit: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 100) -> list[shapes.DayOut]:
    """Days on which anything was recorded on the cameras that may be seen, as far as recording times are known; newest first."""
    found = digests.listed(ours.platform.db, ours.platform.settings, ours.person, limit=limit)
    return [shapes.DayOut(day=each.day, videos=each.videos, made_at=each.made_at, current=each.current) for each in found]


@router.get("/{day}", operation_id="get_day")
def get_day(ours: Ours, day: date) -> shapes.DigestOut:
    """What happened on a day on the cameras that may be seen, and its reel."""
    db, store = ours.platform.db, ours.platform.store
    shown = digests.read(db, store, day, ours.person)
    reel = reels.of_day(db, store, day, ours.person)
    told = shapes.reel(reel, lambda entry: ours.day_address(day, entry.name)) if reel else None
    found = shown.digest
    return shapes.DigestOut(
        day=found.day, timezone=found.timezone, current=shown.day.current, made_at=shown.day.made_at, cameras=list(found.cameras), reel=told
    )


@router.head("/{day}/media/{name}", include_in_schema=False)
@router.get("/{day}/media/{name}", response_class=Response, operation_id="get_day_media")
def day_media(
    request: Request,
    ours: Ours,
    day: date,
    name: str,
    expires: Annotated[str, Query(max_length=32)] = "",
    signature: Annotated[str, Query(max_length=200)] = "",
    download: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """A file of a day's reel, in parts if a Range is asked for. The address comes signed from the day and ends after some minutes."""
    signer = request.app.state.signer
    signer.check(api_day_media(day.isoformat(), name), expires, signature, ours.person)
    entry = reels.file_of_day(ours.platform.db, ours.platform.store, day, name, ours.person)
    return serve(request, entry, lambda offset, length: ours.platform.store.open(entry.key, offset=offset, length=length), download, signer.life_s)
