"""The API on a real server on loopback, over a real home: what the fixtures and a child process of a test start."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import uvicorn
from seeded import open_home
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from video_platform.api import Services, create_api
from video_platform.api.gate import Gate, person_of
from video_platform.api.guard import Guard
from video_platform.api.problems import problem
from video_platform.api.sign_in import SignIn
from video_platform.catalog import Catalog
from video_platform.platform import Platform
from video_platform.signing_in import Doors

START_DEADLINE_S = 20


@dataclass(frozen=True)
class Served:
    """A running server and what it serves."""

    url: str
    client: httpx.Client
    platform: Platform
    catalog: Catalog

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rsplit(":", 1)[1])


def until(look: Callable[[], object], what: str, deadline_s: float = START_DEADLINE_S) -> None:
    """Look until there is something true."""
    end = time.monotonic() + deadline_s
    while not look():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline_s} s")
        time.sleep(0.01)


async def _not_here(_request: Request, _error: Exception) -> Response:
    """What no route takes, such as a path with a line end in it, is answered as the API answers."""
    return problem(404, "Not Found", "there is nothing here")


async def _who(request: Request) -> PlainTextResponse:
    person = person_of(request.scope)
    return PlainTextResponse("nobody" if person is None else person.name)


@contextmanager
def serving(folder: Path, groups: Mapping[str, object] | None = None, **web: object) -> Iterator[Served]:
    """Uvicorn in a thread on a free port of loopback: the API, the sign-in pages, and a page that says who looks, behind guard and gate as in the web app."""
    platform, catalog = open_home(folder, groups, **web)
    doors = Doors(platform.settings, platform.db)
    app = Starlette(
        routes=[Mount("/api", create_api(Services(platform, catalog), doors)), *SignIn(doors, catalog).routes(), Route("/video", _who)],
        middleware=[
            Middleware(partial(Guard, settings=platform.settings, added={}, max_body_bytes=None)),
            Middleware(partial(Gate, doors=doors)),
        ],
        exception_handlers={404: _not_here},
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        until(lambda: server.started, "the server")
        with httpx.Client(base_url=url, timeout=30) as client:
            yield Served(url, client, platform, catalog)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        catalog.close()
        platform.close()
