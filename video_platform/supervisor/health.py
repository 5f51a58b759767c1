"""Whether the one process of this container does its work: `python -m video_platform.supervisor.health`, asked by the container engine.

What to ask was written down by `vp serve` when it started. This module imports next to nothing, because an engine asks each container twice a minute.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

FILE = "serving.json"
"""In the home: what this container serves and how it is asked."""

ASK_S = 10.0
"""How long an answer may take on a machine that works; the engine itself gives up later."""


@dataclass(frozen=True)
class Question:
    """How a process is asked. `target` is a URL, host:port of a code server, or a file that the process touches at least every `fresh_s` seconds."""

    kind: Literal["http", "grpc", "file"]
    target: str
    fresh_s: float = 0.0

    def write(self, home: Path) -> None:
        """Keep it for whoever asks."""
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / FILE).write_text(json.dumps(asdict(self)))

    def ask(self) -> str | None:
        """What is wrong, None when all is well."""
        return {"http": self._http, "grpc": self._grpc, "file": self._file}[self.kind]()

    def _http(self) -> str | None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.target, timeout=ASK_S) as reply:
                return None if reply.status == 200 else f"{self.target} answers {reply.status}"
        except (OSError, urllib.error.URLError, ValueError) as error:
            return f"{self.target} does not answer: {error}"

    def _grpc(self) -> str | None:
        import grpc
        from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
        from grpc_health.v1.health_pb2_grpc import HealthStub

        try:
            with grpc.insecure_channel(self.target) as channel:
                said = HealthStub(channel).Check(HealthCheckRequest(service="DagsterApi"), timeout=ASK_S).status  # type: ignore[attr-defined]
        except grpc.RpcError as error:
            return f"the code server at {self.target} does not answer: {error}"
        return None if said == HealthCheckResponse.SERVING else f"the code server at {self.target} is not serving"

    def _file(self) -> str | None:
        try:
            age_s = time.time() - Path(self.target).stat().st_mtime
        except OSError:
            return "it has not begun its work"
        return None if age_s <= self.fresh_s else f"no sign of life for {age_s:.0f} s"


def main() -> int:
    """Ask, say what is wrong, and end with 1 for it."""
    try:
        question = Question(**json.loads((Path(os.environ["VIDEO_PLATFORM_HOME"]) / FILE).read_text()))
    except (OSError, KeyError, ValueError, TypeError):
        print("nothing is served here: `vp serve` was not started")
        return 1
    wrong = question.ask()
    print(wrong or "ok")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
