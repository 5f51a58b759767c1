"""Signing in at an OpenID Connect provider: authorization code with PKCE, state and nonce; the ID token is verified here, with the provider's own keys.

Nothing of an ID token is believed before its signature, issuer, audience, times and nonce were checked. Keys are fetched again when a token names one that
is not known, so a provider may change them.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from video_platform.access import Role
from video_platform.errors import ServiceError, SignInRefused
from video_platform.hosts import is_loopback
from video_platform.settings import OidcSettings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that are accepted: all with a key pair. `none`, and those with a shared secret, are not."""

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 1024 * 1024
LEEWAY_S = 60
"""How far the provider's clock may be from ours."""

KEYS_FRESH_S = 3600.0
KEYS_PAUSE_S = 10.0
"""Keys are kept for an hour; when a token names an unknown one they are fetched anew, but not more often than this."""

DISCOVERY = "/.well-known/openid-configuration"


class ProviderUnavailable(ServiceError):
    """The provider did not answer, or with something that is no answer."""

    retriable = True


@dataclass(frozen=True)
class Flow:
    """What is remembered of a sign-in while the browser is at the provider."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Vouched:
    """Somebody whom the provider vouches for; `cameras` None means all."""

    subject: str
    name: str
    role: Role
    cameras: tuple[str, ...] | None


class Provider:
    """One provider; safe to share between threads. `back` is the address at which it sends the browser back."""

    def __init__(self, settings: OidcSettings, back: str, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._back, self._clock = settings, back, clock
        self._lock = threading.Lock()
        self._found: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def begin(self) -> tuple[str, Flow]:
        """The address to send the browser to, and what to remember until it comes back.

        Raises:
            ProviderUnavailable: there is no use in sending it.
        """
        flow = Flow(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._back,
            "scope": self._settings.scopes,
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", flow

    def finish(self, flow: Flow, state: str, code: str) -> Vouched:
        """Whom the provider vouches for with this code.

        Raises:
            SignInRefused: state, token or claims are not what they must be; says which.
            ProviderUnavailable: it did not answer.
        """
        if not secrets.compare_digest(state.encode(), flow.state.encode()):
            raise SignInRefused("this answer of the provider belongs to another sign-in; begin again")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._back, "code_verifier": flow.verifier}
        secret = self._settings.client_secret.get_secret_value()
        if not secret:
            form["client_id"] = self._settings.client_id
        answer = self._fetch("POST", self._endpoint("token_endpoint"), data=form, auth=(self._settings.client_id, secret) if secret else None)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise SignInRefused("the provider gave no ID token for this code; begin again")
        return self._vouched(self._verified(token, flow.nonce))

    # ---- the token -------------------------------------------------------------------------------------------------------------------------------------

    def _verified(self, token: str, nonce: str) -> Mapping[str, Any]:
        try:
            try:
                decoded = jwt.decode(token, self._key_set(), algorithms=ALGORITHMS)
            except InvalidKeyIdError:
                decoded = jwt.decode(token, self._key_set(anew=True), algorithms=ALGORITHMS)
            self._claims_registry(nonce).validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise SignInRefused(f"the provider's ID token cannot be trusted ({type(error).__name__}: {str(error)[:200]})") from error
        claims = decoded.claims
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims.get("azp", self._settings.client_id) != self._settings.client_id or (len(audiences) > 1 and "azp" not in claims):
            raise SignInRefused("the provider's ID token was made for another program")
        return claims

    def _claims_registry(self, nonce: str) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )

    def _vouched(self, claims: Mapping[str, Any]) -> Vouched:
        given = self._settings
        name, subject = claims.get(given.name_claim) or claims.get("email") or claims.get("sub"), claims.get("sub")
        if not isinstance(name, str) or not isinstance(subject, str) or not subject or len(subject) > 255:
            raise SignInRefused(f"the provider's ID token has no usable sub or {given.name_claim}")
        values = set(texts(claims.get(given.role_claim)))
        role = next((role for role, wanted in ((Role.ADMIN, given.admins), (Role.OPERATOR, given.operators)) if values & set(wanted)), None)
        if role is None and ("*" in given.viewers or values & set(given.viewers)):
            role = Role.VIEWER
        if role is None:
            raise SignInRefused(f"{name[:80]!r} has no role here; the provider's claim {given.role_claim} decides on it (docs/access.md)")
        cameras = None if role is Role.ADMIN or not given.cameras_claim else tuple(texts(claims.get(given.cameras_claim)))
        return Vouched(f"{given.issuer} {subject}", name, role, cameras)

    # ---- the provider ----------------------------------------------------------------------------------------------------------------------------------

    def _endpoint(self, name: str) -> str:
        url = self._discovered().get(name)
        if not isinstance(url, str) or not _safe(url):
            raise ProviderUnavailable(f"the provider {self._settings.issuer} names no usable {name}; it must be an https address")
        return url

    def _discovered(self) -> Mapping[str, Any]:
        with self._lock:
            found = self._found
        if found is not None and self._clock() - found[0] < KEYS_FRESH_S:
            return found[1]
        document = self._fetch("GET", self._settings.issuer.rstrip("/") + DISCOVERY)
        if document.get("issuer") != self._settings.issuer:
            raise ProviderUnavailable(
                f"the provider calls itself {str(document.get('issuer'))[:200]!r}, and VIDEO_PLATFORM_OIDC__ISSUER says {self._settings.issuer!r}; "
                "they must be equal"
            )
        with self._lock:
            self._found = (self._clock(), document)
        return document

    def _key_set(self, *, anew: bool = False) -> KeySet:
        with self._lock:
            kept = self._keys
        age_s = None if kept is None else self._clock() - kept[0]
        if kept is not None and age_s is not None and (age_s < KEYS_PAUSE_S or (not anew and age_s < KEYS_FRESH_S)):
            return kept[1]
        keys = KeySet.import_key_set(self._fetch("GET", self._endpoint("jwks_uri")))  # type: ignore[arg-type]
        with self._lock:
            self._keys = (self._clock(), keys)
        return keys

    def _fetch(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        where = f"the provider {self._settings.issuer}"
        try:
            with httpx.Client(timeout=TIMEOUT_S, follow_redirects=False) as client, client.stream(method, url, **more) as answer:
                read = bytearray()
                for piece in answer.iter_bytes():
                    read += piece
                    if len(read) > MAX_ANSWER_BYTES:
                        raise ProviderUnavailable(f"{where} answers with more than {MAX_ANSWER_BYTES:,} bytes")
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"{where} does not answer ({type(error).__name__})") from error
        try:
            found = json.loads(bytes(read))
        except ValueError:
            found = None
        if answer.status_code in (400, 401, 403) and method == "POST":
            why = str(found.get("error", ""))[:100] if isinstance(found, dict) else ""
            raise SignInRefused(f"the provider refused the code ({answer.status_code} {why}); begin again".replace("  ", " "))
        if answer.status_code != 200 or not isinstance(found, dict):
            raise ProviderUnavailable(f"{where} answers {answer.status_code} without a JSON object")
        return found


def texts(claim: object) -> list[str]:
    """The texts of a claim: a list of them, or one with several separated by spaces or commas."""
    if isinstance(claim, str):
        return claim.replace(",", " ").split()
    return [each for each in claim if isinstance(each, str)] if isinstance(claim, list) else []


def _safe(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")))
