"""The pages on which people sign in and out: plain HTML that needs no script and loads nothing from elsewhere.

A link that signs in once shows a button first: what looks at links before people do (chats, mail scanners) asks with GET, and would use it up.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cached_property
from html import escape
from urllib.parse import parse_qs, quote, urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from video_platform.api.gate import SIGN_IN, session_of
from video_platform.api.signing import home_key
from video_platform.catalog import Catalog
from video_platform.errors import InputError, ServiceError, SignInRefused, StateError
from video_platform.services.openid import Flow, Provider
from video_platform.signing_in import COOKIE, MAX_PASSWORD, Doors

MAX_FORM_BYTES = 16 * 1024
"""Of a sign-in form: a name and a password."""

FLOW_COOKIE = "vp_sign_in"
FLOW_S = 600
"""How long somebody may take at the provider."""

FLOW_SALT = "video-platform.sign-in.v1"

MAX_NEXT = 2000
"""Characters of the address that somebody wanted to see."""

STYLE = """
:root{color-scheme:light dark;--back:#f3f6f6;--card:#fff;--text:#16211f;--line:#d5dddb;--main:#0f6b5c;--on:#fff;--bad:#c62828}
@media(prefers-color-scheme:dark){:root{--back:#111716;--card:#1b2423;--text:#e8eeec;--line:#33413e;--main:#3fb8a3;--on:#06110f;--bad:#ff7a70}}
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--back);color:var(--text);
font:16px/1.5 "Source Sans",system-ui,sans-serif}main{width:min(24rem,calc(100vw - 2rem));background:var(--card);border:1px solid var(--line);
border-radius:.5rem;padding:2rem}h1{font-size:1.35rem;margin:0 0 1rem}p{margin:.75rem 0}label{display:block;margin:1rem 0 .25rem}
input{width:100%;padding:.6rem .75rem;font:inherit;color:inherit;background:var(--back);border:1px solid var(--line);border-radius:.5rem}
button,a.go{display:block;width:100%;margin-top:1.25rem;padding:.6rem .75rem;font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer;
color:var(--on);background:var(--main);border:1px solid var(--main);border-radius:.5rem}a.go.other{color:var(--main);background:none}
:focus-visible{outline:3px solid var(--main);outline-offset:2px}[role=alert]{color:var(--bad)}small{opacity:.75}a{color:var(--main)}
"""

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class SignIn:
    """The routes of one installation; `catalog` says under which address people reach it."""

    def __init__(self, doors: Doors, catalog: Catalog) -> None:
        self._doors, self._catalog = doors, catalog
        self._settings = doors.settings

    def routes(self) -> list[BaseRoute]:
        """To be served beside the pages."""
        return [
            Route("/sign-in", self._form, methods=["GET"]),
            Route("/sign-in", self._password, methods=["POST"]),
            Route("/sign-in/link", self._link, methods=["GET"]),
            Route("/sign-in/link", self._redeem, methods=["POST"]),
            Route("/sign-in/provider", self._to_provider, methods=["GET"]),
            Route("/sign-in/provider/back", self._from_provider, methods=["GET"]),
            Route("/sign-out", self._leave, methods=["GET"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
        ]

    # ---- name and password -----------------------------------------------------------------------------------------------------------------------------

    async def _form(self, request: Request) -> Response:
        if self._doors.open:
            return _page("No sign-in here", "<p>Nobody signs in on this installation.</p><a class=go href=/>To the library</a>")
        return self._asked(next_of(request.query_params.get("next")))

    def _asked(self, onward: str, problem: str = "", status: int = 200, headers: Mapping[str, str] | None = None, name: str = "") -> Response:
        kind = self._settings.access.sign_in
        told = f"<p role=alert>{escape(problem)}</p>" if problem else ""
        hidden = f"<input type=hidden name=next value='{escape(onward)}'>"
        password = (
            f"<form method=post action={SIGN_IN}>{hidden}<label for=name>Name</label>"
            f"<input id=name name=name value='{escape(name)}' autocomplete=username autocapitalize=none spellcheck=false required maxlength=100"
            f"{'' if problem else ' autofocus'}>"
            f"<label for=password>Password</label><input id=password name=password type=password autocomplete=current-password required "
            f"maxlength={MAX_PASSWORD}{' autofocus' if problem else ''}><button>Sign in</button></form>"
        )
        provider = f"<a class='go{' other' if kind == 'users' else ''}' href='/sign-in/provider?next={quote(onward, safe='')}'>Sign in with your account</a>"
        link = "<p>You need a link to get in. Ask whoever runs this installation for one: <code>vp users link NAME</code> makes it.</p>"
        body = {"users": password, "oidc": provider, "link": link}.get(kind, "")
        return _page("Sign in", told + body, status, headers)

    async def _password(self, request: Request) -> Response:
        form = await _read(request)
        onward = next_of(form.get("next"))
        if self._settings.access.sign_in != "users":
            return self._asked(onward, "nobody signs in with a password here", 403)
        try:
            secret = await run_in_threadpool(
                self._doors.with_password, form.get("name", ""), form.get("password", ""), _address(request), instead_of=session_of(request.scope)
            )
        except SignInRefused as refused:
            return self._refused(refused, onward, form.get("name", "")[:100])
        return self._let_in(secret, onward)

    # ---- links -----------------------------------------------------------------------------------------------------------------------------------------

    async def _link(self, request: Request) -> Response:
        token = request.query_params.get("token", "")
        if self._doors.open:
            return _page("No sign-in here", "<p>Nobody signs in on this installation.</p><a class=go href=/>To the library</a>")
        body = (
            "<p>This link signs you in, once.</p>"
            f"<form method=post action=/sign-in/link><input type=hidden name=token value='{escape(token[:200])}'><button autofocus>Sign in</button></form>"
        )
        return _page("Sign in", body)

    async def _redeem(self, request: Request) -> Response:
        form = await _read(request)
        if self._doors.open:
            return RedirectResponse("/", 303)
        try:
            secret = await run_in_threadpool(self._doors.with_link, form.get("token", ""), _address(request), instead_of=session_of(request.scope))
        except SignInRefused as refused:
            return self._refused(refused, "/")
        return self._let_in(secret, "/")

    # ---- a provider ------------------------------------------------------------------------------------------------------------------------------------

    async def _to_provider(self, request: Request) -> Response:
        onward = next_of(request.query_params.get("next"))
        if self._settings.access.sign_in != "oidc":
            return self._asked(onward, "nobody signs in at a provider here", 404)
        try:
            where, flow = await run_in_threadpool(self._provider.begin)
        except ServiceError as error:
            return self._asked(onward, error.message, 503)
        answer = RedirectResponse(where, 303, headers={"cache-control": "no-store"})
        kept = self._serializer.dumps([flow.state, flow.nonce, flow.verifier, onward])
        assert isinstance(kept, str)
        answer.set_cookie(FLOW_COOKIE, kept, max_age=FLOW_S, path="/sign-in/provider", httponly=True, samesite="lax", secure=self._settings.access.secure)
        return answer

    async def _from_provider(self, request: Request) -> Response:
        if self._settings.access.sign_in != "oidc":
            return self._asked("/", "nobody signs in at a provider here", 404)
        given = request.query_params
        try:
            *remembered, onward = self._serializer.loads(request.cookies.get(FLOW_COOKIE, ""), max_age=FLOW_S)
        except (BadData, ValueError):
            return self._asked("/", "this sign-in was not begun in this browser, or took too long; begin again", 403)
        if "code" not in given:
            return self._without_flow(self._asked("/", f"the provider did not let you in ({given.get('error', 'no reason given')[:100]})", 403))
        try:
            secret = await run_in_threadpool(self._vouched, Flow(*remembered), given.get("state", ""), given["code"], session_of(request.scope))
        except ServiceError as error:
            return self._without_flow(self._asked("/", error.message, 503))
        except SignInRefused as refused:
            return self._without_flow(self._refused(refused, "/", status=403))
        except (InputError, StateError) as error:
            return self._without_flow(self._asked("/", error.message, 403))
        return self._without_flow(self._let_in(secret, onward))

    def _vouched(self, flow: Flow, state: str, code: str, session: str | None) -> str:
        found = self._provider.finish(flow, state, code)
        return self._doors.vouched(found.subject, found.name, found.role, found.cameras, instead_of=session)

    @cached_property
    def _provider(self) -> Provider:
        base = self._settings.access.public_url or self._catalog.addresses().web
        return Provider(self._settings.oidc, f"{base}/sign-in/provider/back")

    @cached_property
    def _serializer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(home_key(self._settings), salt=FLOW_SALT)

    def _without_flow(self, answer: Response) -> Response:
        answer.delete_cookie(FLOW_COOKIE, path="/sign-in/provider", httponly=True, samesite="lax", secure=self._settings.access.secure)
        return answer

    # ---- out -------------------------------------------------------------------------------------------------------------------------------------------

    async def _leave(self, request: Request) -> Response:
        return _page(
            "Sign out",
            "<p>Sign out of this browser?</p><form method=post action=/sign-out><button autofocus>Sign out</button></form><a class='go other' href=/>Stay</a>",
        )

    async def _sign_out(self, request: Request) -> Response:
        session = session_of(request.scope)
        if session:
            await run_in_threadpool(self._doors.sign_out, session)
        answer = _page("Signed out", f"<p>You are signed out.</p><a class=go href={SIGN_IN}>Sign in again</a>")
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=self._settings.access.secure)
        return answer

    # ---- answers ---------------------------------------------------------------------------------------------------------------------------------------

    def _let_in(self, secret: str, onward: str) -> Response:
        answer = RedirectResponse(onward, 303, headers={"cache-control": "no-store"})
        lasts_s = int(self._settings.access.session_hours * 3600)
        answer.set_cookie(COOKIE, secret, max_age=lasts_s, path="/", httponly=True, samesite="lax", secure=self._settings.access.secure)
        return answer

    def _refused(self, refused: SignInRefused, onward: str, name: str = "", status: int = 401) -> Response:
        wait_s = refused.facts.get("retry_after_s")
        text = refused.message[:1].upper() + refused.message[1:] + "."
        return self._asked(onward, text, 429 if wait_s else status, {"retry-after": str(wait_s)} if wait_s else None, name)


def next_of(wanted: str | None) -> str:
    """Where to go after signing in: a path of this server, and never an address of another one."""
    text = wanted or "/"
    plain = text.isprintable() and len(text) <= MAX_NEXT and text.startswith("/") and not text.startswith(("//", "/\\")) and "\\" not in text
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    return text if plain and not parts.scheme and not parts.netloc and not text.startswith(("/sign-in", "/sign-out")) else "/"


async def _read(request: Request) -> dict[str, str]:
    """The fields of a form; of a body that is too large, or none, nothing."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            return {}
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _page(title: str, body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{escape(title)} · Video platform</title><style>{STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>"
    )
    return HTMLResponse(page, status, headers={**HEADERS, **(headers or {})})
