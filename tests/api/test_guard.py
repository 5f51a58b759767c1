"""Who may ask: host, origin, size of bodies; and how a refusal looks."""

import http.client
import json
from pathlib import Path

import pytest
from serving import serving
from starlette.types import Message, Receive, Scope, Send

from video_platform.api.guard import Guard
from video_platform.settings import Settings, WebSettings


def answer(port: int, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """One request with exactly these headers; the Host header is not added."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        found = connection.getresponse()
        return found.status, {name.lower(): value for name, value in found.getheaders()}, found.read()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:{port}", "127.9.9.9"])
def test_loopback_names_are_served(served, host):
    assert answer(served.port, "GET", "/api/videos", {"host": host.format(port=served.port)})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "192.168.1.5",
        "localhost@evil.example",
        "127.0.0.1, evil.example",
        "",
        "[::1",
        "localhost:x",
    ],
)
def test_other_names_are_not(served, host):
    status, headers, body = answer(served.port, "GET", "/api/videos", {"host": host.format(port=served.port)})
    assert status == 403
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["title"] == "Host not served"


@pytest.mark.parametrize("trusted", [False, True])
def test_only_listed_names_are_served_on_a_trusted_network_too(tmp_path, trusted):
    with serving(tmp_path, trust_network=trusted, hosts="NAS.example, [FE80:0::1]") as served:
        for host in ("nas.example", "Nas.Example:8501", "[fe80::1]:8501", "localhost"):
            assert answer(served.port, "GET", "/api/videos", {"host": host})[0] == 200, host
        for host in ("evil.example", "x.nas.example", "nas.example.", "192.168.1.5", "0.0.0.0"):
            status, _, body = answer(served.port, "GET", "/api/videos", {"host": host})
            assert (status, json.loads(body)["title"]) == (403, "Host not served"), host
            assert f"'{host}'" in json.loads(body)["detail"]
            assert "VIDEO_PLATFORM_WEB__HOSTS" in json.loads(body)["detail"]
        foreign = {"host": "nas.example", "origin": "http://evil.example", "content-type": "application/json"}
        assert answer(served.port, "POST", "/api/rules/check", foreign, b"{}")[0] == 403


OURS = "127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"origin": "http://127.0.0.1:{port}"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:{port}"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://127.0.0.1:1"}, False),
        ({"origin": "http://[broken"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:{port}"}, False),
    ],
)
def test_only_our_pages_and_programs_change_things(served, headers, taken):
    sent = {name: value.format(port=served.port) for name, value in headers.items()} | {
        "host": OURS.format(port=served.port),
        "content-type": "application/json",
    }
    status, _, body = answer(served.port, "POST", "/api/rules/check", sent, b'{"text": "version: 1\\nrules: []\\n"}')
    assert status == (200 if taken else 403), body
    assert answer(served.port, "GET", "/api/videos", sent)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_every_method_that_changes_things_is_guarded(served, method):
    sent = {"host": OURS.format(port=served.port), "origin": "http://evil.example"}
    assert answer(served.port, method, "/api/videos/0123456789abcdef", sent)[0] == 403


def test_two_hosts_are_none(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.putrequest("GET", "/api/videos")
    connection.putheader("host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)
    connection.close()


def test_bodies_that_are_read_whole_are_small(served):
    declared = served.client.post("/api/rules/check", content=b"x" * 2_000_000)
    assert (declared.status_code, declared.headers["content-type"]) == (413, "application/problem+json")
    assert "1,048,576 bytes" in declared.json()["detail"]
    undeclared = served.client.post("/api/rules/check", content=(b"x" * 100_000 for _ in range(20)), headers={"content-type": "application/json"})
    assert undeclared.status_code == 413


def test_every_answer_is_inert(served):
    for path in ("/api/videos", "/api/nothing", "/api/healthz"):
        headers = served.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("bound", "host", "taken"),
    [
        ("192.168.1.5", "192.168.1.5:8501", True),
        ("192.168.1.5", "192.168.1.6:8501", False),
        ("fe80::0:1", "[fe80::1]:8501", True),
        ("nas", "nas:8501", True),
        ("0.0.0.0", "127.0.0.1:8501", True),
        ("0.0.0.0", "0.0.0.0:8501", False),
        ("::", "[::1]:8501", True),
        ("::", "[::]:8501", False),
        ("::", "evil.example", False),
    ],
)
def test_the_address_that_is_bound_is_served_under_itself(tmp_path: Path, bound, host, taken):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    guard = Guard(app, Settings(home=tmp_path, web=WebSettings(host=bound, trust_network=True)), added={}, max_body_bytes=None)
    [message] = _run(guard, {"type": "websocket", "path": "/", "headers": [(b"host", host.encode())]})
    assert message["type"] == ("websocket.accept" if taken else "websocket.close")


def _run(app, scope: Scope) -> list[Message]:
    import asyncio

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("host", "origin", "taken"), [("127.0.0.1:1", "http://127.0.0.1:1", True), ("evil.example", "", False), ("127.0.0.1:1", "http://evil.example", False)]
)
def test_web_sockets_of_other_sites_are_closed(tmp_path: Path, host, origin, taken):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    guard = Guard(app, Settings(home=tmp_path, web=WebSettings()), added={}, max_body_bytes=None)
    [message] = _run(guard, {"type": "websocket", "path": "/", "headers": headers})
    assert message["type"] == ("websocket.accept" if taken else "websocket.close")
