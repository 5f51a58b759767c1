"""A hub of models on loopback: the listing of a revision, files with ranges, and the ways in which such a server fails.

with FakeHub({"owner/name": folder}) as hub: hub.behave(cut=3)
"""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".onnx", ".bin")
"""Kept in large-file storage, for which a hub tells the SHA-256; of others the hash that git gives them."""


class FakeHub:
    """Serves the files of folders while the block runs; `requests` holds `(path, range)` of each."""

    def __init__(self, repositories):
        self.repositories = repositories
        self.requests = []
        self.cut = 0  # connections that end in the middle of a large file
        self.ranges = True
        self.lie = {}  # name -> bytes that are sent instead
        self.redirect_to = None
        self.status = None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                hub._answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def fetched(self):
        """Names of files that were asked for, in order."""
        return [path.rsplit("/", 1)[1] for path, _ in self.requests if "/resolve/" in path or path.startswith("/files/")]

    def _answer(self, to):
        path = to.path.partition("?")[0]
        self.requests.append((path, to.headers.get("range")))
        if self.status:
            return self._send(to, self.status, b"")
        if path.startswith("/api/models/"):
            name = "/".join(path.split("/")[3:5])
            return self._send(to, 200, self._listing(name)) if name in self.repositories else self._send(to, 404, b"")
        if self.redirect_to and not path.startswith("/files/"):
            to.send_response(302)
            to.send_header("location", f"{self.redirect_to}/files/{path.rsplit('/', 1)[1]}")
            to.send_header("content-length", "0")
            return to.end_headers()
        folder = self.repositories.get("/".join(path.split("/")[1:3])) or next(iter(self.repositories.values()))
        file = folder / path.rsplit("/", 1)[1]
        if not file.is_file():
            return self._send(to, 404, b"")
        return self._file(to, self.lie.get(file.name, file.read_bytes()))

    def _file(self, to, data):
        begin = int(to.headers["range"].removeprefix("bytes=").rstrip("-")) if self.ranges and to.headers.get("range") else 0
        if begin and begin >= len(data):
            return self._send(to, 416, b"")
        rest = data[begin:]
        to.send_response(206 if begin else 200)
        to.send_header("content-length", str(len(rest)))
        if begin:
            to.send_header("content-range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        to.end_headers()
        if self.cut and len(rest) > 10_000:
            self.cut -= 1
            to.wfile.write(rest[: len(rest) // 2])
            to.close_connection = True
            return None
        to.wfile.write(rest)
        return None

    def _listing(self, name):
        siblings = []
        for file in sorted(self.repositories[name].iterdir()):
            data = file.read_bytes()
            sibling = {"rfilename": file.name, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
            siblings.append({**sibling, "lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}} if file.suffix in LARGE else sibling)
        return json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()

    @staticmethod
    def _send(to, status, data):
        to.send_response(status)
        to.send_header("content-length", str(len(data)))
        to.end_headers()
        to.wfile.write(data)
