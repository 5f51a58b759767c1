"""HTTP to a server that nobody trusts: every answer has a deadline and a size limit on the wire, and only the token of the settings is shown.

Redirects and proxies from the environment are off in whoever uses it (`trust_env=False`, `follow_redirects=False`).
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from video_platform.errors import ModelUnavailable, SettingsError
from video_platform.hosts import is_loopback
from video_platform.services import tls
from video_platform.settings import PREFIX, LanguageModelSettings

VARIABLE = f"{PREFIX}LANGUAGE_MODEL__"
MAX_WIRE_BYTES = 4 * 1024 * 1024
"""Largest answer on the wire: a summary of 1,024 tokens streams as about 200 KB of JSON lines."""

TEXT = "application/json; charset=utf-8"
"""How every answer is read."""

MAX_TOKENS = 10**9
"""More than this no answer took; a manifest adds them up."""

MAX_SHOWN_CHARS = 200
"""Of what a server says when it refuses."""


def shown(text: str) -> str:
    """What a server said, in a line that may be printed."""
    return "".join(each if each.isprintable() else " " for each in text[:MAX_SHOWN_CHARS])


def tokens(said: int | None) -> int:
    """The tokens that a server says, as far as there can be so many."""
    return max(0, min(said or 0, MAX_TOKENS))


@dataclass(frozen=True)
class Access:
    """How the server is reached: with which certificates trusted, and which token shown."""

    context: ssl.SSLContext | None = None
    token: SecretStr | None = None

    @classmethod
    def of(cls, settings: LanguageModelSettings, base: str) -> "Access":
        """From the settings; SettingsError for a token that would travel readable, or certificates that cannot be read."""
        parts = urlsplit(base)
        token = settings.token if settings.token.get_secret_value() else None
        if parts.scheme == "https":
            return cls(tls.client_context(settings.ca_file, VARIABLE), token)
        if token and not is_loopback(parts.hostname or ""):
            raise SettingsError(f"{VARIABLE}TOKEN would travel readable to {base}: use an https address, or none of the two")
        return cls(None, token)

    def show(self, headers: httpx.Headers) -> None:
        """Put the token among the headers, and nothing else: the client would send the key that OLLAMA_API_KEY holds for another server."""
        headers.pop("authorization", None)
        if self.token:
            headers["authorization"] = f"Bearer {self.token.get_secret_value()}"


class Bounded(httpx.BaseTransport):
    """HTTP whose answers end after `seconds` and `MAX_WIRE_BYTES`, however slowly or fast they trickle in; httpx itself bounds single reads only."""

    def __init__(self, seconds: float, access: Access) -> None:
        self._inner = httpx.HTTPTransport(verify=access.context or True, trust_env=False)
        self._access = access
        self._seconds = seconds
        self._socket: socket.socket | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request; `ModelUnavailable` when its answer is packed or goes over its limits."""
        self._access.show(request.headers)
        request.headers["accept-encoding"] = "identity"  # so that what is counted is what is kept
        request.extensions = {**request.extensions, "trace": self._trace}
        end = _End(self._seconds, self._hang_up)
        try:
            with end.told():
                response = self._inner.handle_request(request)
            if response.headers.get("content-encoding", "identity") != "identity":
                response.close()
                raise ModelUnavailable("the answer is packed, which nobody asked for")
        except BaseException:
            end.cancel()
            raise
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.headers["content-type"] = TEXT  # whatever it said: httpx looks for any codec that a server names, and some of Python's give no text
        return httpx.Response(response.status_code, headers=response.headers, stream=_BoundedStream(response.stream, end))

    def close(self) -> None:
        """Let the connections go."""
        self._inner.close()

    def _trace(self, event: str, facts: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = facts["return_value"].get_extra_info("socket")

    def _hang_up(self) -> None:
        """Whoever reads the connection in the other thread finds its end."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of a TLS socket too, whose own method is not made for two threads


class _End:
    """The moment when an answer has to be through: then `hang_up` is called, unless it was cancelled."""

    def __init__(self, seconds: float, hang_up: Callable[[], None]) -> None:
        self._deadline = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, hang_up)
        self._timer.daemon = True
        self._timer.start()
        self.cancel = self._timer.cancel

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self._deadline

    @contextmanager
    def told(self) -> Iterator[None]:
        """A connection that breaks because of this is an answer that went over its limits."""
        try:
            yield
        except httpx.HTTPError as error:
            if self.passed:
                raise ModelUnavailable("the answer went over its limits") from error
            raise


class _BoundedStream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, end: _End) -> None:
        self._inner = inner
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        with self._end.told():
            for chunk in self._inner:
                size += len(chunk)
                if size > MAX_WIRE_BYTES or self._end.passed:
                    raise ModelUnavailable("the answer went over its limits")
                yield chunk

    def close(self) -> None:
        self._end.cancel()
        self._inner.close()
