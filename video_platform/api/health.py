"""Whether the platform can do its work, part by part."""

import concurrent.futures
from collections.abc import Callable

from fastapi import APIRouter, Response

import video_platform
from video_platform.api import shapes
from video_platform.api.services import Ours
from video_platform.errors import PlatformError

router = APIRouter(tags=["health"])

CHECK_S = 3.0
"""How long one part may take to answer; a probe of an orchestrator waits about five seconds."""


@router.get("/healthz", operation_id="health", responses={503: {"model": shapes.HealthOut, "description": "database, objects or event log do not answer"}})
def health(ours: Ours, response: Response) -> shapes.HealthOut:
    """What is reachable, with versions. 503 when a part is away that the web app cannot do without."""
    platform = ours.platform
    checks: dict[str, Callable[[], str]] = {
        "database": platform.db.check,
        "objects": platform.store.check,
        "events": lambda: platform.log.check(),
    }
    parts = _all(checks)
    ok = all(part.ok for part in parts.values())
    response.status_code = 200 if ok else 503
    return shapes.HealthOut(status="ok" if ok else "unavailable", version=video_platform.__version__, parts=parts)


def _all(checks: dict[str, Callable[[], str]]) -> dict[str, shapes.HealthPart]:
    """Every check at once; one that does not end in time counts as away and is left behind."""
    pool = concurrent.futures.ThreadPoolExecutor(len(checks), thread_name_prefix="health")
    try:
        running = {name: pool.submit(check) for name, check in checks.items()}
        return {name: _part(future) for name, future in running.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _part(future: concurrent.futures.Future[str]) -> shapes.HealthPart:
    try:
        return shapes.HealthPart(ok=True, detail=future.result(timeout=CHECK_S))
    except concurrent.futures.TimeoutError:
        return shapes.HealthPart(ok=False, detail=f"no answer within {CHECK_S:g} s")
    except PlatformError as error:
        return shapes.HealthPart(ok=False, detail=error.message)
