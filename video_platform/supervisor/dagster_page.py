"""Dagster's own page, behind the guard of the web app.

Dagster's web server asks neither for the host's name nor where a request comes from, and it runs a mutation that arrives as a plain GET: any site open in
the same browser could delete runs, stop sensors or read what the catalogue knows. Where people sign in, it is for admins: it shows the results of all cameras
and can launch anything. The browser's session is that of the web app, whose cookie it sends to every port of the host.
"""

import json
import sys
from functools import partial

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from video_platform import logs
from video_platform.access import Role
from video_platform.api.gate import SIGN_IN, Gate
from video_platform.api.guard import Guard
from video_platform.catalog import ADDRESSES_FILE
from video_platform.hosts import url_of
from video_platform.services.database import open_database
from video_platform.settings import Settings, load
from video_platform.signing_in import Doors

ACTING = ("/graphql", "/report_asset")
"""Paths where a request of any method may change something; everywhere else a link from another page may lead."""

READ_ONLY = "--read-only"

OPEN_PATHS = frozenset({"/server_info"})
"""What is answered for anybody: versions, for probes and for `vp up`."""

STATEMENT_TIMEOUT_MS = 15_000
POOL_RECYCLE_S = 3600
POOL_OVERFLOW = 20
"""Dagster's own defaults for its web server on a database server."""


class GuardedPage:
    """Dagster's application with the gate and the guard before it, which is stricter where requests act. `doors` None: whoever reaches it is let in."""

    def __init__(self, app: ASGIApp, settings: Settings, doors: Doors | None = None) -> None:
        if doors is not None:
            app = Gate(app, doors, open_paths=OPEN_PATHS, needs=Role.ADMIN, sign_in=partial(sign_in_page, settings))
        self._page = Guard(app, settings, bound=settings.dagster.host, added={}, max_body_bytes=None)
        self._acting = Guard(app, settings, bound=settings.dagster.host, added={}, max_body_bytes=None, safe_methods=())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand the request on."""
        acts = str(scope.get("path", "")).startswith(ACTING)
        await (self._acting if acts else self._page)(scope, receive, send)


def sign_in_page(settings: Settings) -> str:
    """Where people sign in: on the web app."""
    web = settings.access.public_url
    if not web:
        try:
            web = str(json.loads((settings.home / ADDRESSES_FILE).read_text())["web"])
        except (OSError, ValueError, KeyError, TypeError):
            web = url_of(settings.web.host, settings.web.port)
    return f"{web.rstrip('/')}{SIGN_IN}"


def main() -> None:
    """Serve on the host and port given as arguments, over the workspace file given as the third, until SIGTERM; `--read-only` shows and changes nothing."""
    host, port, workspace, *options = sys.argv[1:]
    from dagster import DagsterInstance, __version__
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    settings = load()
    logs.configure(settings, "dagster")
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_S, POOL_OVERFLOW)
        with WorkspaceProcessContext(instance, WorkspaceFileTarget(paths=[workspace]), version=__version__, read_only=READ_ONLY in options) as context:
            app = create_app_from_workspace_process_context(context)
            uvicorn.run(GuardedPage(app, settings, Doors(settings, open_database(settings))), host=host, port=int(port), log_level="warning", log_config=None)


if __name__ == "__main__":
    main()
