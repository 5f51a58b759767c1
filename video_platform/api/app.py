"""The API as one application, ready to be mounted at `/api`."""

from fastapi import Depends, FastAPI

import video_platform
from video_platform.api import alerts, backfills, days, health, history, media, metrics, problems, reference, rules, search, videos
from video_platform.api.gate import Gate
from video_platform.api.guard import Guard
from video_platform.api.permits import permit
from video_platform.api.queries import known_query
from video_platform.api.services import Services
from video_platform.api.signing import open_signer
from video_platform.signing_in import Doors

DESCRIPTION = (
    "Videos, what was made of them, alerts and rules. Times are seconds from the first frame, instants have a time zone, positions are fractions of the "
    "upright picture. Errors are application/problem+json (RFC 9457)."
)


def create_api(services: Services, doors: Doors | None = None) -> FastAPI:
    """The API over `services`, with its checks of person, role, host, origin and size; mount it at `/api`.

    `doors` say who asks (those of the services' settings when not given). Whoever opened the services closes them.
    The signing key of the home is made here when there is none.
    """
    # Swagger UI and ReDoc load scripts from other hosts; the page of `reference` loads none.
    api = FastAPI(
        title="Video platform API",
        version=video_platform.__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses=problems.DOCUMENTED,
        dependencies=[Depends(permit), Depends(known_query)],
    )
    api.state.services = services
    api.state.signer = open_signer(services.platform.settings)
    problems.register(api)
    found = (videos, media, days, alerts, search, rules, history, backfills, health, metrics, reference)
    for router in (module.router for module in found):
        api.include_router(router)
    api.add_middleware(Gate, doors=doors or Doors(services.platform.settings, services.platform.db))
    api.add_middleware(Guard, settings=services.platform.settings)
    return api
