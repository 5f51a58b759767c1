"""Whether the platform can do its work, part by part."""

from fastapi import APIRouter, Response

import video_platform
from video_platform import health as parts_of
from video_platform.api import shapes
from video_platform.api.gate import NOBODY
from video_platform.api.services import Ours

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="health", responses={503: {"model": shapes.HealthOut, "description": "database, objects or event log do not answer"}})
def health(ours: Ours, response: Response) -> shapes.HealthOut:
    """Every server and process, for who is signed in; details for who sees all cameras. 503 when one is away that the web app needs, else 200."""
    parts = parts_of.check(ours.platform, ours.catalog.dagster)
    up = parts_of.is_up(parts)
    response.status_code = 200 if up else 503
    status = "unavailable" if not up else "ok" if all(part.ok for part in parts.values()) else "degraded"
    if ours.person == NOBODY:
        # Probes need the answer only; versions and paths are for people.
        return shapes.HealthOut(status=status, version="", parts={})
    # Details count runs and quote errors, of whatever camera.
    shown = {name: shapes.HealthPart(ok=part.ok, needed=part.needed, detail=part.detail if ours.person.sees_all else "") for name, part in parts.items()}
    return shapes.HealthOut(status=status, version=video_platform.__version__, parts=shown)
