"""Notifications that are really sent: a service on loopback that takes them, alerts to tell of, and what became of their deliveries."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

from loopback import answering

from video_platform import layout
from video_platform.records import Episode, Lane, Severity, VideoState
from video_platform.services.database import Database, ledger, rulesets
from video_platform.services.database.engine import insert_new
from video_platform.services.database.tables import videos as table
from video_platform.services.notify import AppriseSender, Notifications

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PAGE = "http://127.0.0.1:8501"
RULES = """
version: 1
channels:
  ops: {url_env: OPS_URL}
  mail: {url_env: MAIL_URL}
rules:
  - {name: person, when: {appears: person}, channels: [ops]%s}
"""


@dataclass
class Webhook:
    """A real HTTP server on loopback that keeps what it is sent and can be told to fail."""

    status: int = 200
    location: str | None = None
    answer: bytes = b""
    trickles: threading.Event | None = None
    received: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook-token-123456"


@contextmanager
def listening() -> Iterator[Webhook]:
    """A webhook that takes what it is sent."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if hook.status == 200:
                hook.received.append(json.loads(body))
            self.send_response(hook.status)
            if hook.location:
                self.send_header("location", hook.location)
            self.end_headers()
            self.wfile.write(hook.answer)
            while hook.trickles and not hook.trickles.wait(0.05):
                self.wfile.write(b".")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with answering(Handler) as hook.port:
        yield hook


Raise = Callable[..., list[str]]


def raising(db: Database) -> Raise:
    """Makes `RULES` active, and gives what raises `count` alerts on a video of its own and returns their ids."""
    rulesets.apply(db, RULES % "", source="test", who="test", why="", now=NOW)
    videos = 0

    def make(count: int = 1, *, at: datetime = NOW, channels: tuple[str, ...] = ("ops",), name: str = "front door.mp4", wait_s: float = 0.0) -> list[str]:
        nonlocal videos
        videos += 1
        sha256 = f"{videos:064x}"[::-1]
        video_id = layout.video_id_of(sha256)
        key = layout.file_key(video_id, layout.RAW_VIDEO, sha256, "mp4")
        row = {"video_id": video_id, "sha256": sha256, "original_name": name, "camera": "gate", "recorded_at": at, "size_bytes": 1, "media_type": "video/mp4"}
        state = {"object_key": key, "lane": "live", "generation": 1, "state": str(VideoState.RECEIVED), "ingested_at": at, "updated_at": at}
        with db.write() as connection:
            insert_new(connection, table, [{**row, **state}])
        episodes = [Episode("person", "appears", 72.4 + 10 * number, 80.0 + 10 * number, (number,), None, 0.9) for number in range(count)]
        facts = {"person": (Severity.CRITICAL, channels)}
        given = ledger.EvaluationInput(video_id, "alerts", "f", "c", "t", "r", episodes, facts, Lane.LIVE, None, at, "1", second_look_s=wait_s)
        return ledger.reconcile(db, given).raised

    return make


def notifications(db: Database, environment: dict[str, str], per_hour: int = 30, **more: Any) -> Notifications:
    """What sends the notifications of a database to the addresses in `environment`."""
    return Notifications(db, AppriseSender(), per_hour=per_hour, page=lambda: PAGE, environment=environment, **more)


def states(db: Database, alert_ids: list[str]) -> list[str]:
    """The states of all deliveries of these alerts, in their order."""
    return [delivery.state for alert_id in alert_ids for delivery in ledger.deliveries_of(db, alert_id)]
