"""A registry that Ollama pulls from, over the folder where another Ollama keeps its models; run as a program in a container.

`python3 registry.py MODELS GATE`: of a large file only the first part is handed out until a file `open` lies in the folder GATE, so that whoever watches the
pull sees it under way for as long as that takes.
"""

import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 5000
LARGE_BYTES = 10 * 1024 * 1024
FIRST_PART = 0.4
CHUNK_BYTES = 1024 * 1024
LOOK_S = 0.2
MANIFESTS = "manifests/registry.ollama.ai"
"""Where Ollama keeps the manifests of models that were made with a plain name."""


class Registry(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    models: Path
    gate: Path

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self._path()
        if path is None or not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        first, last = (int(asked[1]), int(asked[2] or size - 1)) if asked else (0, size - 1)
        self.send_response(206 if asked else 200)
        self.send_header("content-type", "application/vnd.docker.distribution.manifest.v2+json" if "/manifests/" in self.path else "application/octet-stream")
        self.send_header("content-length", str(last - first + 1))
        if "/blobs/" in self.path:
            self.send_header("location", self.path)  # Ollama asks every registry where the content itself lies
        if asked:
            self.send_header("content-range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if body:
            self._send(path, first, last + 1, size)

    def _send(self, path: Path, at: int, end: int, size: int) -> None:
        held_at = int(size * FIRST_PART) if size > LARGE_BYTES else size
        with path.open("rb") as file:
            file.seek(at)
            while at < end:
                while at >= held_at and held_at < size and not (self.gate / "open").exists():
                    time.sleep(LOOK_S)
                    if self._gone():
                        return
                chunk = file.read(min(CHUNK_BYTES, end - at, held_at - at if at < held_at else end - at))
                self.wfile.write(chunk)
                at += len(chunk)

    def _gone(self) -> bool:
        """Whether the client has hung up."""
        self.connection.setblocking(False)
        try:
            return self.connection.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.connection.setblocking(True)

    def _path(self) -> Path | None:
        if found := re.fullmatch(r"/v2/([\w-]+/[\w.-]+)/manifests/([\w.-]+)", self.path):
            return self.models / MANIFESTS / found[1] / found[2]
        if found := re.fullmatch(r"/v2/[\w-]+/[\w.-]+/blobs/sha256:([0-9a-f]{64})", self.path):
            return self.models / "blobs" / f"sha256-{found[1]}"
        return None


if __name__ == "__main__":
    Registry.models, Registry.gate = Path(sys.argv[1]), Path(sys.argv[2])
    ThreadingHTTPServer(("", PORT), Registry).serve_forever()
