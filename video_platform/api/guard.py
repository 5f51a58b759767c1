"""What every request must satisfy before a route sees it; plain ASGI, so that bodies stream through untouched.

- *Host*: without sign-in above all, a page of another site must not reach the service under a name of its own (DNS rebinding). Loopback names, the address
  that is bound and `VIDEO_PLATFORM_WEB__HOSTS` are answered for, and no other name, on a trusted network too.
- *Origin*: requests that change something come from our own pages or from programs that are no browser (cross-site request forgery).
- *Size*: bodies that are read whole are small; only the upload route streams.
- *Lingering*: an answer given before the whole upload was read is followed by a short drain, or the client's kernel would throw the answer away.
"""

import asyncio
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from video_platform.api.problems import problem
from video_platform.hosts import host_name, is_any_address, is_loopback
from video_platform.settings import PREFIX, Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

MAX_BODY_BYTES = 1024 * 1024
"""Largest body of a route that reads it whole: a rules file of some thousand rules."""

UPLOAD_SUFFIX = "/videos"
"""Path of the one route that streams its body and keeps its own limit."""

LINGER_S = 2.0
LINGER_BYTES = 64 * 1024 * 1024
"""How much of a refused upload is read and thrown away so that the refusal arrives: what loopback delivers in about a tenth of a second, and then a little."""

POLICY_VIOLATION = 1008
"""Close code of a web socket that another site opened."""

HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "cache-control": "no-store",
}
"""Set on every answer that does not set its own."""


class Guard:
    """Wraps an application; `settings.web.hosts` are the names that it answers for beside loopback, `bound` the address that it listens on (the web app's).

    `added` are the headers set on answers that lack them; `max_body_bytes` bounds every body but an upload's, None for no bound. The web app, which brings
    headers and limits of its own, passes `added={}` and `max_body_bytes=None`. `safe_methods` change nothing, so other sites may cause them.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        *,
        bound: str | None = None,
        added: Mapping[str, str] = HEADERS,
        max_body_bytes: int | None = MAX_BODY_BYTES,
        safe_methods: Collection[str] = SAFE_METHODS,
    ) -> None:
        self._app = app
        self._safe_methods = safe_methods
        address = settings.web.host if bound is None else bound
        public = urlsplit(settings.access.public_url).hostname
        self._names = frozenset(settings.web.hosts) | (frozenset() if is_any_address(address) else {host_name(address)}) | ({public} if public else set())
        self._added = added
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand the request on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        if scope["type"] == "websocket":
            if self._refusal("CONNECT", headers) is not None:
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            else:
                await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, None if _is_upload(scope) else self._max_body_bytes, self._added)
        refusal = self._refusal(scope["method"], headers) or _too_large(headers, exchange.limit)
        if refusal is not None:
            status, title, detail = refusal
            await problem(status, title, detail)(scope, exchange.receive, exchange.send)
        else:
            await self._app(scope, exchange.receive, exchange.send)

    def _refusal(self, method: str, headers: Mapping[str, str]) -> tuple[int, str, str] | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 403, "Host not served", f"this server does not answer for host {host[:100]!r}; use http://127.0.0.1, or add the name to {PREFIX}WEB__HOSTS"
        if method not in self._safe_methods and not _same_origin(headers, host):
            return 403, "Cross-site request", "requests that change something are taken from this server's own pages and from programs, not from other sites"
        return None

    def _is_ours(self, host: str) -> bool:
        name = _host_name(host)
        return name is not None and (name in self._names or is_loopback(name))


class _Exchange:
    """One request and its answer: counts what is read, adds headers, drains what was not read of a refused body."""

    def __init__(self, receive: Receive, send: Send, limit: int | None, added: Mapping[str, str]) -> None:
        self._receive = receive
        self._send = send
        self._added = added
        self.limit = limit
        self._read_bytes = 0
        self._body_ended = False
        self._early = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._body_ended = not message.get("more_body", False)
            self._read_bytes += len(message.get("body", b""))
            if self.limit is not None and self._read_bytes > self.limit:
                raise HTTPException(413, _limit_text(self.limit))
        else:
            self._body_ended = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", ())}
            added = [(name.encode(), value.encode()) for name, value in self._added.items() if name.encode() not in present]
            # A guard further in, which has set the header, lingers itself.
            self._early = message["status"] >= 400 and not self._body_ended and b"connection" not in present
            if self._early:
                added.append((b"connection", b"close"))
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        elif self._early and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _drain(self) -> None:
        drained = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while drained < LINGER_BYTES and not self._body_ended:
                    message = await self._receive()
                    drained += len(message.get("body", b""))
                    self._body_ended = message["type"] != "http.request" or not message.get("more_body", False)
        except TimeoutError:
            return


def _headers(scope: Scope) -> dict[str, str]:
    """Header values by lower-case name; of a header that comes twice, values that differ make the request unusable."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in ("host", "origin", "sec-fetch-site") and found.get(key, text) != text:
            text = "ambiguous, ambiguous"
        found[key] = text
    return found


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and str(scope["path"]).rstrip("/").endswith(UPLOAD_SUFFIX)


def _too_large(headers: Mapping[str, str], limit: int | None) -> tuple[int, str, str] | None:
    length = headers.get("content-length", "")
    if limit is None or not length.isdecimal() or int(length) <= limit:
        return None
    return 413, "Content Too Large", _limit_text(limit)


def _limit_text(limit: int) -> str:
    return f"the body of this request may have at most {limit:,} bytes; footage goes to POST /api/videos"


def _host_name(host: str) -> str | None:
    """The name in a Host header, without port and brackets; None for anything that is not exactly a host and a port."""
    if not host or any(sign in host for sign in "/\\@ ,?#"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return host_name(parts.hostname) if parts.hostname else None


def _same_origin(headers: Mapping[str, str], host: str) -> bool:
    """Whether the browser says that the request comes from our own page; a request without a browser's headers comes from a program."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
