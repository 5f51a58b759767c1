"""Signing in at a provider: a small one on loopback that can be made to lie in every way that matters."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from serving import Served, serving

from video_platform.access import Role
from video_platform.errors import SettingsError
from video_platform.services.database import users
from video_platform.settings import AccessSettings, OidcSettings, Settings, load
from video_platform.signing_in import COOKIE

CLIENT, SECRET = "video-platform", "a secret"


class Provider:
    """An OpenID Connect provider; `claims`, `key` and `header` are what its next token is made with."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.key = self.published = RSAKey.generate_key(2048, {"kid": "one"})
        self.claims: dict[str, object] = {}
        self.drop: tuple[str, ...] = ()
        self.header: dict[str, object] = {"alg": "RS256", "kid": "one"}
        self.issuer: str | None = None
        self.asked: dict[str, str] = {}
        self.key_fetches = 0
        self.token: str | None = None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def authorize(self, url: str, **change: str) -> str:
        """What the browser brings back from the provider's page: the address that it is sent to."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        state = change.get("state", self.asked["state"])
        return f"{self.asked['redirect_uri']}?code=the-code&state={state}"

    def make_token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "42",
            "exp": now + 300,
            "iat": now,
            "nonce": self.asked["nonce"],
            "preferred_username": "Anna",
            "groups": ["video-admins"],
        } | self.claims
        if self.header["alg"] == "none":
            parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (self.header, claims)]
            return ".".join([*parts, ""])
        return jwt.encode(self.header, {name: value for name, value in claims.items() if name not in self.drop}, self.key, algorithms=[str(self.header["alg"])])

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, object]]:
        wanted = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if authorization != f"Basic {wanted}" or form.get("code") != "the-code" or challenge != self.asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.token or self.make_token()}

    def _handler(provider) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/.well-known/openid-configuration":
                    where = {name: f"{provider.url}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
                    self.answer(200, {"issuer": provider.issuer or provider.url, **where})
                elif self.path == "/jwks_uri":
                    provider.key_fetches += 1
                    self.answer(200, {"keys": [provider.published.as_dict(private=False)]})
                else:
                    self.answer(404, {})

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                self.answer(*provider.exchange({name: values[0] for name, values in form.items()}, self.headers.get("authorization", "")))

            def answer(self, status: int, body: dict[str, object]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def door(provider, tmp_path) -> Iterator[Served]:
    oidc = OidcSettings(
        issuer=provider.url, client_id=CLIENT, client_secret=SECRET, admins=("video-admins",), operators=("guards",), viewers=("*",), cameras_claim="cameras"
    )
    with serving(tmp_path, {"access": AccessSettings(sign_in="oidc"), "oidc": oidc}) as served:
        yield served


def go(door: Served, provider: Provider, onward: str = "/video", **change: str) -> httpx.Response:
    """The whole way of a browser; its last answer."""
    away = door.client.get("/sign-in/provider", params={"next": onward})
    assert away.status_code == 303, away.text
    back = provider.authorize(away.headers["location"], **change)
    return door.client.get(f"{urlsplit(back).path}?{urlsplit(back).query}")


def test_somebody_signs_in_at_the_provider(door, provider):
    assert "Sign in with your account" in door.client.get("/sign-in").text
    done = go(door, provider)
    assert (done.status_code, done.headers["location"]) == (303, "/video")
    assert door.client.get("/video").text == "anna"
    assert provider.asked["response_type"] == "code"
    assert provider.asked["code_challenge_method"] == "S256"
    assert provider.asked["redirect_uri"].endswith("/sign-in/provider/back")
    assert users.find(door.platform.db, "anna").role is Role.ADMIN


@pytest.mark.parametrize(
    ("claims", "role", "cameras"),
    [
        ({"groups": ["guards", "video-admins"], "cameras": ["gate-1"]}, Role.ADMIN, None),
        ({"groups": ["guards"], "cameras": ["gate-*", "yard"]}, Role.OPERATOR, ("gate-*", "yard")),
        ({"groups": "guards", "cameras": "gate-1, yard"}, Role.OPERATOR, ("gate-1", "yard")),
        ({"groups": []}, Role.VIEWER, ()),
        ({"groups": {"video-admins": True}, "cameras": ["*"]}, Role.VIEWER, None),
    ],
)
def test_claims_become_role_and_cameras(door, provider, claims, role, cameras):
    provider.claims = claims
    assert go(door, provider).status_code == 303
    person = users.find(door.platform.db, "anna")
    assert (person.role, person.cameras) == (role, cameras)


LIES = {
    "issuer": {"claims": {"iss": "https://evil.example"}},
    "audience": {"claims": {"aud": "another-program"}},
    "audience among others without azp": {"claims": {"aud": [CLIENT, "another-program"]}},
    "authorised party": {"claims": {"azp": "another-program"}},
    "nonce": {"claims": {"nonce": "of another sign-in"}},
    "no nonce": {"drop": ("nonce",)},
    "expired": {"claims": {"exp": int(time.time()) - 120}},
    "no expiry": {"drop": ("exp",)},
    "from the future": {"claims": {"iat": int(time.time()) + 3600}},
    "no subject": {"drop": ("sub",)},
    "another key": {"key": RSAKey.generate_key(2048, {"kid": "one"})},
    "unsigned": {"header": {"alg": "none"}},
    "signed with the public key as a secret": {"key": OctKey.import_key("x" * 32, {"kid": "one"}), "header": {"alg": "HS256", "kid": "one"}},
    "another kind of key": {"key": ECKey.generate_key("P-256", {"kid": "one"}), "header": {"alg": "ES256", "kid": "one"}},
    "no token": {"token": "not a token"},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_token_that_is_not_right_lets_nobody_in(door, provider, lie):
    for name, value in lie.items():
        setattr(provider, name, value)
    answer = go(door, provider)
    assert answer.status_code == 403, answer.text
    assert COOKIE not in door.client.cookies
    assert door.client.get("/api/videos").status_code == 401
    assert users.listing(door.platform.db, datetime.now(UTC)) == []


def test_an_answer_to_another_sign_in_is_refused(door, provider):
    assert go(door, provider, state="of another").status_code == 403
    back = provider.authorize(door.client.get("/sign-in/provider").headers["location"])
    stranger = httpx.get(f"{door.url}{urlsplit(back).path}?{urlsplit(back).query}")
    assert (stranger.status_code, "not begun in this browser" in stranger.text) == (403, True)
    forged = httpx.get(f"{door.url}{urlsplit(back).path}?{urlsplit(back).query}", cookies={"vp_sign_in": "WyJhIl0.forged.x"})
    assert forged.status_code == 403


def test_a_code_is_of_no_use_without_the_verifier(door, provider):
    away = door.client.get("/sign-in/provider").headers["location"]
    back = provider.authorize(away)
    provider.asked["code_challenge"] = "of somebody else"
    answer = door.client.get(f"{urlsplit(back).path}?{urlsplit(back).query}")
    assert (answer.status_code, "invalid_grant" in answer.text) == (403, True)


def test_keys_may_change_and_are_fetched_again_but_not_at_every_wish(door, provider):
    assert go(door, provider).status_code == 303
    fetched = provider.key_fetches
    assert go(door, provider).status_code == 303
    assert provider.key_fetches == fetched
    provider.key = provider.published = RSAKey.generate_key(2048, {"kid": "two"})
    provider.header = {"alg": "RS256", "kid": "two"}
    from video_platform.services import openid

    end = time.monotonic() + openid.KEYS_PAUSE_S + 20
    while (status := go(door, provider).status_code) != 303 and time.monotonic() < end:
        assert status == 403
    assert status == 303
    assert provider.key_fetches == fetched + 1


def test_nobody_is_sent_elsewhere_afterwards(door, provider):
    assert go(door, provider, onward="https://evil.example").headers["location"] == "/"


def test_a_name_that_belongs_to_somebody_here_is_not_taken_over(door, provider):

    users.add(door.platform.db, "anna", Role.VIEWER, (), password=None, now=datetime.now(UTC))
    answer = go(door, provider)
    assert (answer.status_code, "belongs to somebody else" in answer.text) == (403, True)
    assert users.find(door.platform.db, "anna").role is Role.VIEWER


def test_other_rights_than_before_end_the_sessions_of_before(door, provider):
    assert go(door, provider).status_code == 303
    old = door.client.cookies[COOKIE]
    provider.claims = {"groups": ["guards"], "cameras": ["*"]}
    door.client.cookies.clear()
    assert go(door, provider).status_code == 303
    from serving import until

    until(lambda: httpx.get(f"{door.url}/api/videos", cookies={COOKIE: old}).status_code == 401, "the end of the old session")


def test_whoever_has_no_role_is_not_let_in(provider, tmp_path):
    oidc = OidcSettings(issuer=provider.url, client_id=CLIENT, client_secret=SECRET, admins=("somebody",))
    with serving(tmp_path, {"access": AccessSettings(sign_in="oidc"), "oidc": oidc}) as served:
        answer = go(served, provider)
        assert (answer.status_code, "has no role here" in answer.text) == (403, True)


def test_a_provider_that_is_away_or_calls_itself_otherwise_is_said_so(door, provider):
    provider.issuer = "https://evil.example"
    answer = door.client.get("/sign-in/provider")
    assert (answer.status_code, "calls itself" in answer.text) == (503, True)
    provider.close()
    assert door.client.get("/sign-in/provider").status_code == 503


def test_settings_that_cannot_work_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("VIDEO_PLATFORM_ACCESS__SIGN_IN", "oidc")
    with pytest.raises(SettingsError, match="OIDC__ISSUER"):
        load()
    monkeypatch.setenv("VIDEO_PLATFORM_OIDC__CLIENT_ID", "x")
    monkeypatch.setenv("VIDEO_PLATFORM_OIDC__ISSUER", "http://login.example")
    with pytest.raises(SettingsError, match="https"):
        load()
    assert Settings(home=tmp_path, oidc=OidcSettings(issuer="http://127.0.0.1:1", client_id="x")).oidc.issuer
