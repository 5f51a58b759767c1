"""A server of our own that speaks OpenAI's chat completions over real HTTP: it answers by a function of the prompt, or misbehaves on demand."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from fake_ollama import truthful
from model_servers import GIVE_UP_S, HUGE_BYTES, TRICKLE_S, ModelHandler, ModelServer

BEHAVIOURS = ("good", "busy", "limited", "slow", "trickle", "cut", "not_json", "length", "refusal", "no_choice", "huge", "gone", "redirect", "bad_request")
MODEL = "Qwen/Qwen3-4B"


class FakeOpenAI(ModelServer):
    """Serves on a free port of 127.0.0.1 while the block runs; `requests` holds the body of every chat as it came, `asked` every path."""

    def __init__(
        self,
        *,
        models: tuple[str, ...] = (MODEL,),
        reply: Callable[[str], str] = truthful,
        behaviour: str = "good",
        token: str = "",
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        super().__init__(_handler(self), certificate=certificate)
        self.models, self.reply, self.behaviour, self.token = models, reply, behaviour, token
        self.requests: list[dict] = []
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"{super().address}/v1"


def _handler(fake: FakeOpenAI) -> type[BaseHTTPRequestHandler]:
    class Handler(ModelHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            if self._refused():
                return
            if fake.behaviour == "redirect":
                self._redirect(f"{fake.address}/elsewhere")
            elif self.path == "/v1/models":
                self._send(200, {"object": "list", "data": [{"id": name, "object": "model", "created": 1, "owned_by": "us"} for name in fake.models]})
            else:
                self._send(404, {"error": {"message": "not found"}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.asked.append(self.path)
            if self._refused():
                return
            fake.requests.append(body)
            try:
                self._answer(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _answer(self, body: dict) -> None:
            match fake.behaviour:
                case "good":
                    said = body["messages"][-1]["content"]
                    prompt = said if isinstance(said, str) else said[0]["text"]
                    self._complete(fake.reply(prompt))
                case "busy":
                    self._send(503, {"error": {"message": "overloaded"}})
                case "limited":
                    self._send(429, {"error": {"message": "rate limit"}})
                case "gone":
                    self._send(404, {"error": {"message": "no such model"}})
                case "bad_request":
                    self._send(400, {"error": {"message": "json_schema is not supported"}})
                case "slow":
                    fake.closing.wait(GIVE_UP_S)
                case "trickle":
                    self._start(HUGE_BYTES)
                    while not fake.closing.wait(TRICKLE_S):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                case "huge":
                    self._start(HUGE_BYTES)
                    for _ in range(HUGE_BYTES // 65536):
                        self.wfile.write(b" " * 65536)
                case "cut":
                    self._start(1000)
                    self.wfile.write(b'{"choices": [')
                    self.wfile.flush()
                    self.close_connection = True
                    self.connection.close()
                case "not_json":
                    self._send(200, b"<html>not a model</html>")
                case "length":
                    self._complete('{"title": "never clos', reason="length")
                case "refusal":
                    self._send(200, {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]})
                case "no_choice":
                    self._send(200, {"choices": []})
                case _:
                    self._redirect(f"{fake.address}/elsewhere")

        def _refused(self) -> bool:
            refused = bool(fake.token) and self.headers["authorization"] != f"Bearer {fake.token}"
            if refused:
                self._send(401, {"error": {"message": "who are you"}})
            return refused

        def _complete(self, text: str, reason: str = "stop") -> None:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
            self._send(
                200,
                {"id": "1", "object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}},
            )

        def _start(self, size: int) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(size))
            self.end_headers()

    return Handler
