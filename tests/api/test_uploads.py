"""Taking footage in over HTTP: both forms of body, limits, clients that go away, equal uploads at once, flat memory."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import Served, serving, until

from video_platform.services.database import refusals, videos

FOOTAGE = b"\x00\x00\x00\x18ftypisom" + os.urandom(3_000_000)
SHA256 = hashlib.sha256(FOOTAGE).hexdigest()
BOUNDARY = "----0f1e2d3c"


def form(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body of `(name, file name or None, content)`."""
    body = b""
    for name, file_name, content in parts:
        described = f'form-data; name="{name}"' + (f'; filename="{file_name}"' if file_name is not None else "")
        body += f"--{BOUNDARY}\r\nContent-Disposition: {described}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode(), {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def unfinished(served: Served) -> list[Path]:
    """Files of half uploads, wherever they may lie in the home."""
    home = served.platform.settings.home
    return [path for folder in (home / "spool", home / "objects" / ".incoming") for path in folder.rglob("*") if path.is_file()]


def objects(served: Served) -> list[str]:
    """Keys of what lies in the store, but for the copies of rows."""
    keys = [info.key for info in served.platform.store.list("videos/")]
    return [key for key in keys if not key.endswith("/record.json")]


def test_a_raw_body_is_the_footage(served):
    query = {"name": "höhe 1.mp4", "camera": "gate", "recorded_at": "2026-11-23T13:00:00+01:00", "lane": "request"}
    answer = served.client.post("/api/videos", params=query, content=FOOTAGE)
    assert answer.status_code == 201
    found = answer.json()
    assert (found["video_id"], found["created"]) == (SHA256[:16], True)
    video = found["video"]
    assert (video["original_name"], video["camera"], video["recorded_at"], video["lane"]) == ("höhe 1.mp4", "gate", "2026-11-23T12:00:00Z", "request")
    assert (video["sha256"], video["size_bytes"], video["state"]) == (SHA256, len(FOOTAGE), "received")
    with served.platform.store.open(video["object_key"]) as chunks:
        assert hashlib.sha256(b"".join(chunks)).hexdigest() == SHA256
    assert unfinished(served) == []


@pytest.mark.parametrize("fields_first", [True, False])
def test_a_form_may_say_what_it_carries_before_or_after(served, fields_first):
    fields = [("camera", None, b"yard"), ("recorded_at", None, b"2026-11-23T12:00:00Z"), ("lane", None, b"backfill"), ("anything else", None, b"x")]
    file = ("file", "crossing.mp4", FOOTAGE)
    body, headers = form(*([*fields, file] if fields_first else [file, *fields]))
    answer = served.client.post("/api/videos", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    video = answer.json()["video"]
    assert (video["sha256"], video["original_name"], video["camera"]) == (SHA256, "crossing.mp4", "yard")
    assert (video["recorded_at"], video["lane"]) == ("2026-11-23T12:00:00Z", "backfill")


def test_a_form_as_clients_make_it(served):
    answer = served.client.post("/api/videos", files={"file": ("a b.mp4", FOOTAGE, "video/mp4")}, data={"camera": "gate"})
    assert (answer.status_code, answer.json()["video"]["original_name"], answer.json()["video"]["sha256"]) == (201, "a b.mp4", SHA256)


def test_the_same_bytes_are_one_video_and_it_says_so(served):
    assert served.client.post("/api/videos?name=one.mp4&camera=gate", content=FOOTAGE).status_code == 201
    again = served.client.post("/api/videos?name=two.mp4&camera=yard", content=FOOTAGE)
    assert again.status_code == 200
    assert (again.json()["created"], again.json()["video"]["original_name"]) == (False, "one.mp4")
    assert "here already" in again.json()["message"]
    assert served.client.get("/api/videos").json()["total"] == 1


def test_footage_that_had_failed_says_that_it_is_processed_anew(served):
    first = served.client.post("/api/videos?name=one.mp4", content=FOOTAGE).json()
    assert (first["created"], first["again"]) == (True, False)
    videos.failed(served.platform.db, first["video_id"], None, "not_a_video", "This file is not a video.")
    second = served.client.post("/api/videos?name=one.mp4", content=FOOTAGE)
    assert (second.status_code, second.json()["created"], second.json()["again"]) == (200, False, True)


def test_equal_uploads_at_once_are_one_video(served):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: served.client.post(f"/api/videos?name={n}.mp4", content=FOOTAGE), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["video_id"] for answer in answers}) == 1
    assert len(objects(served)) == 1
    assert unfinished(served) == []


@pytest.mark.parametrize("name", ["-rf", "..", "../../x.mp4", "new\nline.mp4", "🎥 yard.mp4", "x" * 300 + ".mp4", "nul\0.mp4", "  ", ".mp4", "con|<>:.mp4"])
def test_hostile_names_are_only_names(served, name):
    answer = served.client.post("/api/videos", params={"name": name}, content=FOOTAGE)
    assert answer.status_code == 201, answer.text
    shown = answer.json()["video"]["original_name"]
    assert shown.isprintable()
    assert 1 <= len(shown) <= 255
    assert objects(served) == [f"videos/{SHA256[:16]}/raw_video/{SHA256}.mp4"]
    page = served.client.get(f"/api/videos/{SHA256[:16]}")
    assert page.json()["video"]["original_name"] == shown


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"", {}, 422, "no bytes"),
        (*form(("file", "empty.mp4", b"")), 422, "no file part with bytes"),
        (*form(("camera", None, b"gate")), 422, "no file part"),
        (*form(("file", "a.mp4", FOOTAGE), ("file", "b.mp4", FOOTAGE)), 400, "more than one file"),
        (form(("file", "a.mp4", FOOTAGE))[0][:-40], form()[1], 400, "ends in the middle"),
        (b"nothing like a form", form()[1], 400, "cannot be read"),
        (b"x", {"content-type": "multipart/form-data"}, 400, "boundary"),
        (b"x", {"content-type": "multipart/form-data; boundary=" + "b" * 500}, 400, "cannot be read"),
        (*form(("camera", None, b"x" * 10_000), ("file", "a.mp4", FOOTAGE)), 400, "longer than"),
        (*form(*[("field", None, b"x")] * 40, ("file", "a.mp4", FOOTAGE)), 400, "more than 16 parts"),
        (*form(("recorded_at", None, b"yesterday"), ("file", "a.mp4", FOOTAGE)), 400, "not an instant"),
        (*form(("file", "a.mp4", FOOTAGE), ("recorded_at", None, b"2026-11-23T12:00:00")), 400, "time zone"),
        (*form(("lane", None, b"fast"), ("file", "a.mp4", FOOTAGE)), 400, "live, request, backfill"),
        (*form(("camera", None, b"a\0b"), ("file", "a.mp4", FOOTAGE)), 400, "camera name"),
    ],
)
def test_what_is_no_footage_is_refused_in_words_and_leaves_nothing(served, body, headers, status, words):
    answer = served.client.post("/api/videos", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert words in answer.json()["detail"]
    assert objects(served) == []
    assert unfinished(served) == []
    assert served.client.get("/api/videos").json()["total"] == 0


@pytest.mark.parametrize(
    "query", [{"camera": "a\0b"}, {"camera": "x" * 150}, {"recorded_at": "yesterday"}, {"recorded_at": "2026-11-23T12:00:00"}, {"lane": "fast"}]
)
def test_a_description_that_cannot_be_meant_is_refused(served, query):
    assert served.client.post("/api/videos", params=query, content=FOOTAGE).status_code in (400, 422)
    assert objects(served) == []


def test_what_is_too_large_is_refused_with_the_limit_in_words(tmp_path):
    with serving(tmp_path, max_upload_bytes=2 * 1024 * 1024) as served:
        declared = served.client.post("/api/videos", content=FOOTAGE)
        undeclared = served.client.post("/api/videos", content=(FOOTAGE[start : start + 100_000] for start in range(0, len(FOOTAGE), 100_000)))
        body, headers = form(("file", "a.mp4", FOOTAGE))
        for answer in (declared, undeclared, served.client.post("/api/videos", content=body, headers=headers)):
            assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
            assert "2 MiB (2,097,152 bytes)" in answer.json()["detail"]
        assert objects(served) == []
        assert unfinished(served) == []
        assert served.client.post("/api/videos", content=FOOTAGE[: 2 * 1024 * 1024]).status_code == 201


def test_a_declared_length_alone_is_reason_enough(tmp_path):
    with serving(tmp_path, max_upload_bytes=2 * 1024 * 1024) as served, socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        client.sendall(b"POST /api/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_goes_away_leaves_nothing(served):
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(f"POST /api/videos?name=cut.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(FOOTAGE)}\r\n\r\n".encode())
        client.sendall(FOOTAGE[:2_500_000])
        until(lambda: unfinished(served), "the upload to begin")
    until(lambda: not unfinished(served), "the half upload to be removed")
    assert objects(served) == []
    assert served.client.get("/api/videos").json()["total"] == 0
    assert served.client.post("/api/videos", content=FOOTAGE).status_code == 201


def test_a_page_is_served_while_an_upload_is_slow(served):
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(f"POST /api/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(FOOTAGE)}\r\n\r\n".encode() + FOOTAGE[:1000])
        assert served.client.get("/api/videos").json()["total"] == 0


SERVER = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from serving import serving
with serving(Path(sys.argv[1])) as served:
    served.client.get("/api/videos")
    peak = lambda: next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps({{"port": served.port, "peak": peak()}}), flush=True)
    sys.stdin.readline()
    print(json.dumps({{"peak": peak()}}), flush=True)
"""

CHILD_DEADLINE_S = 240
GIB = 1024**3
MAX_GROWTH_BYTES = 60 * 1024 * 1024
"""Far below the product's bound of 150 MB for 3 GiB: what does not grow with one file does not grow with three."""


@contextmanager
def child_server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """A server in a process of its own, and its port and peak memory before the first upload."""
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(tests.parent)}
    command = [sys.executable, "-c", SERVER.format(tests=str(tests)), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        watchdog = threading.Timer(CHILD_DEADLINE_S, server.kill)
        watchdog.start()
        try:
            assert server.stdout is not None
            yield server, json.loads(server.stdout.readline())
        finally:
            watchdog.cancel()
            server.kill()


def send_sparse(port: int, size: int, head: bytes, tail: bytes, headers: str) -> bytes:
    """Send `size` zero bytes between `head` and `tail` without holding them; the answer's status line."""
    block = bytes(1024 * 1024)
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        length = len(head) + size + len(tail)
        client.sendall(
            f"POST /api/videos?name=sparse.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n".encode() + head
        )
        for _ in range(size // len(block)):
            client.sendall(block)
        client.sendall(tail)
        return client.recv(64)


@pytest.mark.parametrize(("kind", "size"), [("raw", GIB), ("form", GIB // 4)])
def test_a_large_file_needs_no_memory(tmp_path, kind, size):
    head, tail, headers = b"", b"", ""
    if kind == "form":
        body, described = form(("file", "sparse.mp4", b"|"))
        head, tail = body.split(b"|")
        headers = f"Content-Type: {described['content-type']}\r\n"
    with child_server(tmp_path) as (server, before):
        status = send_sparse(before["port"], size, head, tail, headers)
        out, _ = server.communicate("\n")
    assert status.startswith(b"HTTP/1.1 201 ")
    assert json.loads(out)["peak"] - before["peak"] < MAX_GROWTH_BYTES


def test_a_server_that_is_killed_leaves_nothing_visible_and_a_repeat_completes_it(tmp_path):
    with child_server(tmp_path) as (server, before), socket.create_connection(("127.0.0.1", before["port"])) as client:
        client.sendall(f"POST /api/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(FOOTAGE)}\r\n\r\n".encode() + FOOTAGE[:2_500_000])
        until(lambda: list((tmp_path / "home").rglob("*.part")), "the upload to begin")
        server.kill()
    with serving(tmp_path) as served:
        assert served.client.get("/api/videos").json()["total"] == 0
        assert objects(served) == []
        assert served.client.post("/api/videos", content=FOOTAGE).status_code == 201
        with served.platform.store.open(objects(served)[0]) as chunks:
            assert hashlib.sha256(b"".join(chunks)).hexdigest() == SHA256


def test_a_refused_upload_is_written_down(tmp_path):
    with serving(tmp_path, max_upload_bytes=1024) as served:
        served.client.post("/api/videos?name=big.mp4&camera=gate", content=FOOTAGE)
        served.client.post("/api/videos?name=none.mp4", content=b"")
        noted = {(each.name, each.code) for each in refusals.page(served.platform.db)}
        assert noted == {("big.mp4", "too_large"), ("none.mp4", "empty")}
