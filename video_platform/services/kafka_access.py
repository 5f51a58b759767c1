"""How the brokers of a Kafka cluster are reached, who this client is to them, and what to do when one side refuses the other.

`kafka-python` (3.0.12) throws away what a broker answers right before it closes a connection, which is how brokers refuse a password, and only reports that
time is over. So before its clients are made, `refusal_of` goes the first steps itself: TLS, and the sign-in of the Kafka protocol.
"""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from video_platform.services import tls
from video_platform.settings import PREFIX, EventLogSettings

VARIABLE = f"{PREFIX}EVENT_LOG__"

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
"""Requests of the Kafka protocol (https://kafka.apache.org/protocol), each used in its oldest form that brokers of today take."""

UNSUPPORTED_MECHANISM = 33
MAX_ANSWER_BYTES = 64 * 1024
MAX_SHOWN_CHARS = 200
"""A broker's own words may be long."""


class KafkaAccess:
    """The settings of one cluster as the client takes them."""

    def __init__(self, settings: EventLogSettings) -> None:
        self._settings = settings

    def options(self) -> dict[str, Any]:
        """What every client of `kafka-python` is made with; SettingsError when a certificate cannot be read."""
        settings = self._settings
        found: dict[str, Any] = {"security_protocol": settings.security_protocol}
        if settings.tls:
            found["ssl_context"] = self._context()
        if settings.sasl:
            found["sasl_mechanism"] = settings.sasl_mechanism
            found["sasl_plain_username"], found["sasl_plain_password"] = settings.username, settings.password.get_secret_value()
        return found

    def refusal_of(self, servers: Sequence[str], timeout_s: float) -> str | None:
        """Why the first server that is there does not talk to this client, or this client not to it, and what to do; None when they talk, or none is there."""
        if not (self._settings.tls or self._settings.sasl):
            return None
        context = self._context() if self._settings.tls else None
        for server in servers:
            host, _, port = server.strip().rpartition(":")
            host = host.strip("[]")
            try:
                with _connection(host, int(port), timeout_s, context) as connection:
                    return self._signed_in(connection, host)
            except ssl.SSLError as error:
                return f"was not spoken to: {tls.distrust(error, VARIABLE)}"
            except (OSError, ValueError, struct.error):
                continue  # not there, or no address: the client says so in its own words
        return None

    def right_missing(self, topic: str, error: Exception) -> str | None:
        """What this client may not do, when that is what the error says."""
        from kafka.errors import AuthorizationError

        if not isinstance(error, AuthorizationError):
            return None
        return f"does not let {self._who} do this with topic {topic!r} ({type(error).__name__}): docs/security.md lists the rights that it needs"

    def _signed_in(self, connection: socket.socket, host: str) -> str | None:
        if not self._settings.sasl:
            _ask(connection, API_VERSIONS, 0, b"")  # an answer shows that the client's certificate was good enough
            return None
        from kafka.net.sasl import get_sasl_mechanism

        wanted = self._settings.sasl_mechanism
        answer = _ask(connection, SASL_HANDSHAKE, 1, _text(wanted))
        (code,) = struct.unpack_from(">h", answer)
        if code == UNSUPPORTED_MECHANISM:
            return f"does not offer {wanted} but {', '.join(_texts(answer[2:]))[:MAX_SHOWN_CHARS]}: look at {VARIABLE}SASL_MECHANISM"
        mechanism = get_sasl_mechanism(wanted)(host=host, **self.options())
        while not mechanism.is_done():
            token = mechanism.auth_bytes()
            answer = _ask(connection, SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
            code, length = struct.unpack_from(">hh", answer)
            if code:
                return f"refuses the password of {self._who}: look at {VARIABLE}USERNAME, {VARIABLE}PASSWORD and {VARIABLE}SASL_MECHANISM"
            mechanism.receive(answer[4 + max(0, length) + 4 :])
        return None if mechanism.is_authenticated() else f"does not know the password of {self._who}: it is another server than it says"

    def _context(self) -> ssl.SSLContext:
        settings = self._settings
        password = settings.key_password.get_secret_value()
        return tls.client_context(settings.ca_file, VARIABLE, cert_file=settings.cert_file, key_file=settings.key_file, key_password=password)

    @property
    def _who(self) -> str:
        return f"user {self._settings.username!r}" if self._settings.sasl else "this client"


@contextlib.contextmanager
def _connection(host: str, port: int, timeout_s: float, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with socket.create_connection((host, port), timeout_s) as connection:
        if context is None:
            yield connection
        else:
            with context.wrap_socket(connection, server_hostname=host) as encrypted:
                yield encrypted


def _ask(connection: socket.socket, request: int, version: int, body: bytes) -> bytes:
    """The body of the broker's answer to a request."""
    message = struct.pack(">hhi", request, version, 1) + _text("video-platform") + body
    connection.sendall(struct.pack(">i", len(message)) + message)
    (size,) = struct.unpack(">i", _read(connection, 4))
    if not 4 <= size <= MAX_ANSWER_BYTES:
        raise ValueError("this is not Kafka's protocol")
    return _read(connection, size)[4:]


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("the broker closed the connection")
        data += piece
    return data


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _texts(data: bytes) -> list[str]:
    """An array of strings of the protocol."""
    (count,) = struct.unpack_from(">i", data)
    found, at = [], 4
    for _ in range(count):
        (length,) = struct.unpack_from(">h", data, at)
        found.append(data[at + 2 : at + 2 + length].decode(errors="replace"))
        at += 2 + length
    return found
