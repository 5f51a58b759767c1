"""Fetching models: what Ollama says line by line becomes what pages say."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from video_platform.errors import ModelUnavailable
from video_platform.services import model_pulls
from video_platform.services.model_pulls import PullState
from video_platform.settings import LanguageModelSettings

GOOD = [
    {"status": "pulling manifest"},
    {"status": "pulling a", "digest": "sha256:a", "total": 3_000_000_000},
    {"status": "pulling a", "digest": "sha256:a", "total": 3_000_000_000, "completed": 1_000_000_000},
    {"status": "pulling b", "digest": "sha256:b", "total": 1_000_000_000, "completed": 1_000_000_000},
    {"status": "success"},
]


class Puller:
    """What Ollama's /api/pull does: each call gives the next of `answers`, a list of lines or an HTTP status."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.asked.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
                answer = outer.answers.pop(0)
                self.send_response(answer if isinstance(answer, int) else 200)
                self.end_headers()
                if not isinstance(answer, int):
                    self.wfile.write("".join(json.dumps(line) + "\n" for line in answer).encode())

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def settings(self):
        return LanguageModelSettings(host=f"http://127.0.0.1:{self._server.server_address[1]}")


@pytest.fixture(autouse=True)
def every_line_is_told(monkeypatch):
    monkeypatch.setattr(model_pulls, "WRITE_EVERY_S", 0.0)
    monkeypatch.setattr(model_pulls, "FIRST_WAIT_S", 0.01)


def test_progress_is_kept_while_it_goes_on(db):
    with Puller(GOOD) as server:
        seen = []
        for each in model_pulls.pull(db, server.settings, "llama3", patient=False):
            shown = model_pulls.under_way(db, datetime.now(UTC))
            seen.append((each.percent, shown[0].words if shown else ""))
    assert server.asked == [("/api/pull", {"model": "llama3", "insecure": False, "stream": True})]
    assert seen == [
        (None, "llama3 is waited for: pulling manifest"),
        (0, "llama3 is being fetched: 0 % of 3.0 GB"),
        (33, "llama3 is being fetched: 33 % of 3.0 GB"),
        (50, "llama3 is being fetched: 50 % of 4.0 GB"),
        (50, ""),
    ]
    assert [(each.model, each.state) for each in model_pulls.every(db)] == [("llama3", PullState.READY)]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([{"error": "pull model manifest: file does not exist"}], "file does not exist"),
        (GOOD[:3], "stopped in the middle"),
        (404, "refused to fetch llama3 .404."),
        (["not an object", {"status": 1}], "stopped in the middle"),
    ],
)
def test_a_failure_is_said_and_kept(db, answer, says):
    with Puller(answer) as server, pytest.raises(ModelUnavailable, match=says):
        list(model_pulls.pull(db, server.settings, "llama3", patient=False))
    assert model_pulls.every(db)[0].state is PullState.FAILED


def test_patience_tries_again_until_it_is_there(db):
    with Puller(500, GOOD[:2], GOOD) as server:
        states = [each.state for each in model_pulls.pull(db, server.settings, "llama3", patient=True)]
    assert len(server.asked) == 3
    assert states.count(PullState.WAITING) == 2
    assert states[-1] is PullState.READY


def test_nobody_there_is_a_failure(db):
    with Puller() as server:
        settings = server.settings
    with pytest.raises(ModelUnavailable, match="no Ollama answers"):
        list(model_pulls.pull(db, settings, "llama3", patient=False))


def test_a_pull_that_lost_its_process_is_not_shown_for_ever(db):
    with Puller(GOOD) as server:
        next(iter(model_pulls.pull(db, server.settings, "llama3", patient=False)))
    assert model_pulls.under_way(db, datetime.now(UTC))
    assert not model_pulls.under_way(db, datetime.now(UTC) + timedelta(seconds=model_pulls.STALE_S + 1))
