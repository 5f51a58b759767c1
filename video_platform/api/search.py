"""Search: moments of all videos by what was said of them."""

from typing import Annotated

from fastapi import APIRouter, Query

from video_platform.api import shapes
from video_platform.api.services import Ours
from video_platform.search import Filters

router = APIRouter(prefix="/search", tags=["search"])

MAX_QUERY = 10_000
"""Characters that are taken; only the first `search.MAX_QUESTION` are looked for."""


@router.get("", operation_id="search")
def search(
    ours: Ours,
    q: Annotated[str, Query(max_length=MAX_QUERY, description="words or a sentence; any text, none of it is syntax")],
    camera: shapes.Text | None = None,
    since: shapes.Instant | None = None,
    until: shapes.Instant | None = None,
    class_name: Annotated[shapes.Text | None, Query(alias="class", description="only while something of this class was followed")] = None,
    alert: Annotated[shapes.Text | None, Query(description="only during active alerts of this rule; `*` for any")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> shapes.SearchOut:
    """Moments whose passages match, the best first: by words, and by meaning too where a sentence model is installed."""
    filters = Filters(person=ours.person, camera=camera or None, since=since, until=until, class_name=class_name or None, alert=alert or None)
    found = ours.search.find(q, filters, limit=limit)
    return shapes.SearchOut(
        items=[shapes.hit(each, ours.url(each.thumbnail)) for each in found.hits],
        mode=found.mode.value,
        note=found.note,
        indexed=found.indexed,
        videos=found.videos,
    )
