"""Who sends a request; plain ASGI around pages, API, web sockets and Dagster's page.

A request is let through with its person in the scope, which no client can write to. Whoever is nobody is sent to the sign-in page, or answered with 401. A
web socket is closed as soon as its person is signed out, removed, or has other rights.
"""

import asyncio
from collections.abc import Callable, Collection
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_platform.access import Person, Role
from video_platform.api.problems import RETRY_AFTER_S, problem
from video_platform.errors import ServiceError
from video_platform.signing_in import COOKIE, Doors

PERSON = "video_platform.person"
"""Key of the scope."""

NOBODY = Person("nobody", Role.VIEWER, ())
"""Whoever asks an open route without being signed in: sees nothing."""

OPEN_PATHS = frozenset({"/_stcore/health", "/api/healthz", "/sign-in", "/sign-in/link", "/sign-in/provider", "/sign-in/provider/back", "/sign-out"})
"""What is answered for anybody: probes, and the ways in and out."""

SIGN_IN = "/sign-in"

LOOK_AGAIN_S = 2.0
"""How often the person behind an open web socket is asked for anew."""

SIGNED_OUT = 1008
"""Close code of a web socket whose person is not signed in (policy violation)."""


def person_of(scope: Scope) -> Person | None:
    """Who sends this request; None for nobody."""
    return scope.get(PERSON)


def session_of(scope: Scope) -> str | None:
    """The session that the browser's cookie names."""
    cookies = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    return cookie_parser("; ".join(cookies)).get(COOKIE) if cookies else None


class Gate:
    """Wraps an application. `needs` is the role without which nothing of it is shown; `sign_in` says where the sign-in page is, when it is asked."""

    def __init__(
        self,
        app: ASGIApp,
        doors: Doors,
        *,
        open_paths: Collection[str] = OPEN_PATHS,
        needs: Role = Role.VIEWER,
        sign_in: Callable[[], str] | None = None,
    ) -> None:
        self._app, self._doors, self._open_paths, self._needs, self._sign_in = app, doors, open_paths, needs, sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, send to the sign-in page, or refuse."""
        if scope["type"] == "lifespan" or PERSON in scope:
            await self._app(scope, receive, send)
            return
        try:
            person = await self._ask(scope)
        except ServiceError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": SIGNED_OUT})
            else:
                detail = "nobody can be let in at the moment: the database does not answer"
                await problem(503, type(error).__name__, detail, headers={"retry-after": str(RETRY_AFTER_S)})(scope, receive, send)
            return
        if person is None:
            await self._stranger(scope, receive, send)
        elif not person.may(self._needs):
            await self._refuse(scope, receive, send, person)
        elif scope["type"] == "websocket" and not self._doors.open:
            await self._watched(scope, receive, send, person)
        else:
            await self._app({**scope, PERSON: person}, receive, send)

    async def _ask(self, scope: Scope) -> Person | None:
        if self._doors.open:
            return self._doors.person(None)
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        return await run_in_threadpool(self._doors.person, session_of(scope), given[0] if given else None)

    async def _stranger(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": SIGNED_OUT})
        elif path in self._open_paths:
            await self._app(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD") and _is_page(scope):
            query = scope["query_string"].decode("latin-1")
            where = f"{SIGN_IN}?next={quote(path + (f'?{query}' if query else ''), safe='')}" if self._sign_in is None else self._sign_in()
            await RedirectResponse(where, 303, headers={"cache-control": "no-store"})(scope, receive, send)
        else:
            detail = "sign in on the web app, or send a token as Authorization: Bearer (`vp users token` makes one)"
            await problem(401, "Not signed in", detail, headers={"www-authenticate": "Bearer"})(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, person: Person) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": SIGNED_OUT})
        else:
            detail = f"{person.name} ({person.role}) may not see this; it needs role {self._needs}"
            await problem(403, "NotAllowed", detail)(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send, person: Person) -> None:
        """Serve a web socket for as long as its person is who they were."""
        ended = asyncio.Event()

        async def watch() -> None:
            while await self._still(scope, person):
                await asyncio.sleep(LOOK_AGAIN_S)
            ended.set()

        async def receive_until_ended() -> Message:
            waiting = [asyncio.ensure_future(receive()), asyncio.ensure_future(ended.wait())]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if waiting[0].done():
                    return waiting[0].result()
                await send({"type": "websocket.close", "code": SIGNED_OUT})
                return {"type": "websocket.disconnect", "code": SIGNED_OUT}
            finally:
                for task in waiting:
                    task.cancel()

        async def send_until_ended(message: Message) -> None:
            if not ended.is_set():
                await send(message)

        watching = asyncio.ensure_future(watch())
        try:
            await self._app({**scope, PERSON: person}, receive_until_ended, send_until_ended)
        finally:
            watching.cancel()

    async def _still(self, scope: Scope, person: Person) -> bool:
        try:
            return await self._ask(scope) == person
        except ServiceError:
            return True  # nobody can say; whoever was let in stays until the database answers again


def _is_page(scope: Scope) -> bool:
    """Whether a browser asks for a page, and not a script or a program for data."""
    if str(scope["path"]).startswith("/api/") and str(scope["path"]) != "/api/docs":
        return False
    headers = dict(scope["headers"])
    mode = headers.get(b"sec-fetch-mode")
    return mode == b"navigate" if mode is not None else b"text/html" in headers.get(b"accept", b"")
