"""The one web service: Streamlit's pages, and the API at /api. `vp up` starts it as `python -m ui.server`; it prints the address at which
this machine reaches it, which asks for a sign-in where people sign in (`vp up --share` prints the links), and nothing else.
"""

import contextlib
import importlib
import socket
import sys
import threading
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.routing import Mount
from streamlit import config as streamlit_config

from ui import opened
from video_platform import health, logs
from video_platform import settings as platform_settings
from video_platform.api import create_api
from video_platform.api.gate import Gate
from video_platform.api.guard import Guard
from video_platform.api.sign_in import SignIn
from video_platform.errors import PlatformError, SettingsError
from video_platform.hosts import url_of
from video_platform.layout import API_PREFIX
from video_platform.settings import Settings

HERE = Path(__file__).parent
CONFIG = HERE / ".streamlit" / "config.toml"

NO_VIDEO = "0" * 16
"""Asking for the runs of this video answers nothing and opens what is needed to answer."""

SHUTDOWN_S = 2
"""How long open answers may go on after SIGTERM: a paused player holds its connection for ever, and `vp up` waits five seconds."""


def options(settings: Settings) -> dict[str, Any]:
    """Streamlit's options by dotted name: those of config.toml, whatever the working directory is, and the address of the settings."""
    with CONFIG.open("rb") as file:
        found = dict(_flat(tomllib.load(file)))
    return found | {"server.address": settings.web.host, "server.port": settings.web.port}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def build(settings: Settings) -> st.App:
    """The application: pages at /, API at /api, both behind the guard against other sites and other host names, and behind the sign-in."""
    streamlit_config.get_config_options(force_reparse=True, options_from_flags=options(settings))

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        threading.Thread(target=_warm, name="warm", daemon=True).start()
        try:
            yield
        finally:
            opened.close()

    services, doors = opened.services(), opened.doors()
    return st.App(
        HERE / "app.py",
        routes=[Mount(API_PREFIX, app=create_api(services, doors)), *SignIn(doors, services.catalog).routes()],
        middleware=[
            Middleware(partial(Guard, settings=settings, added={"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}, max_body_bytes=None)),
            Middleware(partial(Gate, doors=doors)),
        ],
        lifespan=lifespan,
    )


def _warm() -> None:
    """Import and open what the first page of a video and the first question after health need, while nobody waits: the clients of all servers, pandas for
    tables, Dagster for runs (1.5 cpu seconds).
    """
    importlib.import_module("pandas")
    services = opened.services()
    with contextlib.suppress(PlatformError):
        services.catalog.runs(NO_VIDEO)
    health.check(services.platform, services.catalog.dagster)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket: whoever reads the printed address may connect at once and is answered when the pages are ready.

    Raises:
        SettingsError: the port is taken, or the host is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"the web app cannot listen on {host}:{port}: {error.strerror}; set VIDEO_PLATFORM_WEB__PORT to a free port, or 0 for any"
        ) from error
    return listener


def main() -> int:
    """Serve until SIGTERM or Ctrl-C."""
    try:
        settings = platform_settings.load()
        logs.configure(settings, "web", take_over=["streamlit"])
        settings.check_exposure()
        listener = bind(settings.web.host, settings.web.port)
        app = build(settings)
    except PlatformError as error:
        print(error.message, file=sys.stderr)
        return 2
    print(url_of(settings.web.host, listener.getsockname()[1]), flush=True)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
            ws="websockets-sansio",
            server_header=False,
            proxy_headers=bool(settings.access.trusted_proxies),
            forwarded_allow_ips=list(settings.access.trusted_proxies),
        )
    )
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
