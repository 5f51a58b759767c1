"""An Ollama server of our own that answers from the facts in the prompt, or misbehaves on demand.

In a test:      with FakeOllama() as server: server.behave("busy")
As a process:   python tests/fake_ollama.py [--port P] [--behaviour B]     prints `OLLAMA_HOST=<address>` once it answers
"""

import argparse
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from model_servers import GIVE_UP_S, HUGE_BYTES, TRICKLE_S, ModelHandler, ModelServer

BEHAVIOURS = (
    "good",
    "busy",
    "slow",
    "trickle",
    "cut",
    "not_json",
    "length",
    "wrong_schema",
    "prose",
    "huge",
    "error_line",
    "gone",
    "redirect",
    "other_protocol",
)
MODEL = "llama3:latest"
DIGEST = "365c0bd3c000a25d28ddbf732fe1c6add414de7275464c4e4d1c3b5fcb5d8ad1"
VERSION = "0.32.15"


def truthful(prompt: str) -> str:
    """A reply that says one true sentence of every track in the prompt."""
    facts = json.loads(prompt.partition("<facts>")[2].partition("</facts>")[0])
    seen = " and ".join(f"{count} {name if count == 1 else {'person': 'people'}.get(name, name + 's')}" for name, count in facts["seen"].items())
    whole = f"{seen} {'is' if sum(facts['seen'].values()) == 1 else 'are'} seen."
    first = {"text": whole, "references": [track["reference"] for track in facts["tracks"]][:12]}
    each = [{"text": f"A {track['class']} is seen at {clock(track['from_s'])}.", "references": [track["reference"]]} for track in facts["tracks"]]
    return json.dumps({"title": seen, "overview": whole, "sentences": [first, *each][:8]})


def clock(at_s: float) -> str:
    return f"{int(at_s) // 60}:{int(at_s) % 60:02d}"


class FakeOllama(ModelServer):
    """Serves on a free port of 127.0.0.1 while the block runs; `requests` holds every chat request as it came.

    `capabilities` are told of its models; None: not told, as older servers do not.
    """

    def __init__(
        self,
        *,
        models: dict[str, str] | None = None,
        reply: Callable[[str], str] = truthful,
        behaviour: str = "good",
        port: int = 0,
        token: str = "",
        certificate: tuple[Path, Path] | None = None,
        capabilities: dict[str, list[str] | None] | None = None,
    ) -> None:
        super().__init__(_handler(self), port=port, certificate=certificate)
        self.capabilities = capabilities or {}
        self.token = token
        self.authorizations: list[str | None] = []
        self.models = {MODEL: DIGEST} if models is None else models
        self.reply = reply
        self.requests: list[dict] = []
        self._behaviours = [behaviour]

    def behave(self, *behaviours: str) -> None:
        """How the next chats go, one each; the last one stays."""
        assert set(behaviours) <= set(BEHAVIOURS)
        self._behaviours = list(behaviours)

    def next_behaviour(self) -> str:
        return self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]


def _handler(fake: FakeOllama) -> type[BaseHTTPRequestHandler]:
    class Handler(ModelHandler):
        def do_GET(self) -> None:
            fake.authorizations.append(self.headers["authorization"])
            if fake.token and self.headers["authorization"] != f"Bearer {fake.token}":
                self._send(401, {"error": "unauthorized"})
            elif fake._behaviours[0] == "redirect":
                self._redirect(f"{fake.address}/elsewhere")
            elif fake._behaviours[0] == "other_protocol":
                self._send(200, b"<html>not ollama</html>")
            elif self.path == "/api/version":
                self._send(200, {"version": VERSION})
            elif self.path == "/api/tags":
                self._send(200, {"models": [{"name": name, "model": name, "digest": digest, "size": 1} for name, digest in fake.models.items()]})
            else:
                self._send(404, {"error": "not found"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.authorizations.append(self.headers["authorization"])
            if fake.token and self.headers["authorization"] != f"Bearer {fake.token}":
                self._send(401, {"error": "unauthorized"})
                return
            if self.path == "/api/show":
                self._show(body["model"])
                return
            fake.requests.append(body)
            behaviour = fake.next_behaviour()
            try:
                self._misbehave(behaviour, body) if behaviour != "good" else self._stream([fake.reply(body["messages"][1]["content"])])
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _show(self, name: str) -> None:
            if name not in fake.models:
                self._send(404, {"error": f"model '{name}' not found"})
                return
            able = fake.capabilities.get(name, ["completion"])
            self._send(200, {"details": {"family": "llama"}, **({} if able is None else {"capabilities": able})})

        def _misbehave(self, behaviour: str, body: dict) -> None:
            match behaviour:
                case "busy":
                    self._send(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})
                case "gone":
                    self._send(404, {"error": f"model '{body['model']}' not found"})
                case "slow":
                    fake.closing.wait(GIVE_UP_S)
                case "trickle":
                    self._start()
                    while not fake.closing.wait(TRICKLE_S):
                        self._line({"message": {"role": "assistant", "content": "x"}, "done": False})
                case "cut":
                    self._start()
                    self._line({"message": {"role": "assistant", "content": '{"title": "half'}, "done": False})
                    self.close_connection = True
                    self.connection.close()
                case "not_json":
                    self._start()
                    self._chunk(b"this is no JSON\n")
                    self._chunk(b"")
                case "error_line":
                    self._start()
                    self._line({"error": "an error was encountered while running the model"})
                    self._chunk(b"")
                case "length":
                    self._stream(['{"title": "never clos'], reason="length")
                case "wrong_schema":
                    self._stream([json.dumps({"title": "x" * 500, "sentences": "none", "concern": 2})])
                case "prose":
                    self._stream(["Sure! Here is the summary you asked for."])
                case "huge":
                    self._start()
                    for _ in range(HUGE_BYTES // 65536):
                        self._chunk(b"x" * 65536)
                    self._chunk(b"")
                case "redirect":
                    self._redirect(f"{fake.address}/elsewhere")
                case _:
                    self._send(200, b"<html>not ollama</html>")

        def _stream(self, pieces: list[str], reason: str = "stop") -> None:
            self._start()
            for piece in pieces:
                self._line({"model": MODEL, "message": {"role": "assistant", "content": piece}, "done": False})
            last = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": reason, "prompt_eval_count": 100, "eval_count": 50}
            self._line({"model": MODEL, **last})
            self._chunk(b"")

        def _start(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def _line(self, value: dict) -> None:
            self._chunk(json.dumps(value).encode() + b"\n")

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description="An Ollama server for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--behaviour", choices=BEHAVIOURS, default="good")
    options = parser.parse_args()
    with FakeOllama(port=options.port, behaviour=options.behaviour) as server:
        print(f"OLLAMA_HOST={server.address}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
