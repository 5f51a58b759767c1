"""What the servers of models that tests ask have in common: a port of 127.0.0.1, with TLS where a certificate is given, and how answers are sent."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

TRICKLE_S = 0.05
HUGE_BYTES = 16 * 1024 * 1024
GIVE_UP_S = 60.0


class ModelServer:
    """Answers by `handler` while the block runs; `closing` is set at its end, for handlers that wait."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], *, port: int = 0, certificate: tuple[Path, Path] | None = None) -> None:
        self.closing = threading.Event()
        self._scheme = "https" if certificate else "http"
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def address(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class ModelHandler(BaseHTTPRequestHandler):
    """Sends whole answers, and redirections; logs nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send(self, status: int, body: dict | bytes) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _redirect(self, address: str) -> None:
        self.send_response(307)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()
