import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from video_platform import layout
from video_platform.records import Episode, Lane, SecondLook, Severity, VideoState
from video_platform.services.database import Database, ledger, open_database, outbox, rulesets
from video_platform.services.database.engine import insert_new
from video_platform.services.database.outbox import Kind
from video_platform.services.database.tables import videos as table
from video_platform.services.event_log import open_log
from video_platform.services.notify import AppriseSender, NotDelivered, Notifications, web_address
from video_platform.services.relay import open_relay
from video_platform.settings import NotifySettings, Settings, WebSettings

# Apprise 2.2 imports a module on Python 3.11 and 3.12 that 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

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


@pytest.fixture
def webhook() -> Iterator[Webhook]:
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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    rulesets.apply(database, RULES % "", source="test", who="test", why="", now=NOW)
    yield database
    database.dispose()


Raise = Callable[..., list[str]]


@pytest.fixture
def raise_alerts(db: Database) -> Raise:
    """Raise `count` alerts on a video of its own; returns their ids."""
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
    return Notifications(db, AppriseSender(), per_hour=per_hour, page=lambda: PAGE, environment=environment, **more)


def states(db: Database, alert_ids: list[str]) -> list[str]:
    return [delivery.state for alert_id in alert_ids for delivery in ledger.deliveries_of(db, alert_id)]


class TestMessage:
    def test_it_says_what_where_and_when_with_the_link(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts()
        assert notifications(db, {"OPS_URL": webhook.address}).drain("a", NOW) == 1
        [message] = webhook.received
        assert message["title"] == "Critical: person at gate"
        for part in ("Rule person (appears) on camera gate", "front door.mp4", "at 1:12.4 (2026-11-23 12:01:12 UTC)", "for 7.6 s", f"{PAGE}/video?video="):
            assert part in message["message"]
        assert message["type"] == "failure"
        [delivery] = ledger.deliveries_of(db, alert_id)
        assert (delivery.state, delivery.sent_at, delivery.attempts, delivery.error) == ("sent", NOW, 1, None)

    def test_it_is_sent_once(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts()
        sender = notifications(db, {"OPS_URL": webhook.address})
        assert [sender.drain("a", NOW), sender.drain("a", NOW)] == [1, 0]
        assert len(webhook.received) == 1

    def test_what_another_relay_took_over_from_a_slow_one_is_not_sent_again(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts(2)
        after_the_lease = NOW + timedelta(seconds=outbox.LEASE_S + 1)

        class Slow(AppriseSender):
            """Takes longer over its first message than it may hold the second."""

            def send(self, address: str, title: str, body: str, severity: Severity) -> None:
                if not webhook.received:
                    assert notifications(db, {"OPS_URL": webhook.address}).drain("b", after_the_lease) == 2
                super().send(address, title, body, severity)

        slow = Notifications(db, Slow(), per_hour=30, page=lambda: PAGE, environment={"OPS_URL": webhook.address})
        assert slow.drain("a", NOW) == 1
        second = [message for message in webhook.received if "at 1:22.4" in message["message"]]
        assert len(second) == 1

    def test_a_hostile_name_stays_text(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts(name="<img src=http://evil> {title}.mp4")
        notifications(db, {"OPS_URL": webhook.address}).drain("a", NOW)
        assert "<img src=http://evil> {title}.mp4" in webhook.received[0]["message"]

    def test_the_link_names_where_the_web_app_serves(self, settings: Settings, db: Database) -> None:
        changed = settings.model_copy(update={"web": WebSettings(port=8600)})
        assert web_address(changed) == "http://127.0.0.1:8600"
        (settings.home / "addresses.json").write_text(json.dumps({"web": "http://127.0.0.1:8777"}))
        assert web_address(changed) == "http://127.0.0.1:8777"
        (settings.home / "addresses.json").write_text("{")
        assert web_address(changed) == "http://127.0.0.1:8600"


class TestSecondLook:
    """Notifications that wait for what a vision model says of their alert. The time is given, nobody sleeps."""

    LONGEST = outbox.LONGEST_SECOND_LOOK

    def sender(self, db: Database, webhook: Webhook, seconds: Callable[[], float] = time.monotonic, **more: Any) -> Notifications:
        return notifications(db, {"OPS_URL": webhook.address}, looked_at=True, clock=seconds, **more)

    def test_none_is_ever_held_longer_than_half_a_minute(self) -> None:
        """The relay looks again after a second at most."""
        assert self.LONGEST + timedelta(seconds=2) <= timedelta(seconds=30)

    def test_it_waits_to_its_end_and_says_that_nobody_answered(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts(wait_s=20)
        sender = self.sender(db, webhook)
        assert sender.drain("a", NOW) == 0
        assert sender.drain("a", NOW + timedelta(seconds=19.9)) == 0
        assert states(db, [alert_id]) == ["waiting"]
        assert sender.drain("a", NOW + timedelta(seconds=20)) == 1
        assert "Second look: unverified, there is no answer yet" in webhook.received[0]["message"]
        ledger.set_second_look(db, alert_id, SecondLook(outcome="rejected", reason="A shadow.", model="seer"))
        assert sender.drain("a", NOW + timedelta(hours=1)) == 0  # what comes late stands beside the alert, and tells nobody again
        assert (len(webhook.received), states(db, [alert_id])) == (1, ["sent"])

    @pytest.mark.parametrize(
        ("look", "said"),
        [
            (SecondLook(outcome="confirmed", reason="A person.", model="seer:4b"), "confirmed by seer:4b"),
            (SecondLook(outcome="rejected", reason="Call http://evil now.", model="seer:4b"), "rejected by seer:4b"),
            (SecondLook(outcome="unverified", reason="Too dark.", model="seer:4b"), "unverified"),
        ],
    )
    def test_an_outcome_lets_it_go_at_once_and_suppresses_nothing(
        self, db: Database, raise_alerts: Raise, webhook: Webhook, look: SecondLook, said: str
    ) -> None:
        [alert_id] = raise_alerts(wait_s=20)
        sender = self.sender(db, webhook)
        assert sender.drain("a", NOW + timedelta(seconds=1)) == 0
        assert ledger.set_second_look(db, alert_id, look)
        assert not ledger.set_second_look(db, alert_id, look)  # said again, nothing changes
        assert sender.drain("a", NOW + timedelta(seconds=2)) == 1
        assert sender.drain("b", NOW + timedelta(minutes=5)) == 0
        assert f"Second look: {said}\n" in webhook.received[0]["message"]
        assert "evil" not in webhook.received[0]["message"]
        assert states(db, [alert_id]) == ["sent"]

    def test_killed_before_the_outcome_is_written_it_leaves_in_time(self, db: Database, raise_alerts: Raise, webhook: Webhook, monkeypatch) -> None:
        """Outcome and release are one transaction: a kill inside leaves neither, and the wait ends by itself."""
        [alert_id] = raise_alerts(wait_s=20)

        def killed(*_: object) -> int:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(outbox, "let_go_of_alert", killed)
            with pytest.raises(KeyboardInterrupt):
                ledger.set_second_look(db, alert_id, SecondLook(outcome="confirmed", reason="A person.", model="seer"))
        alert = ledger.get(db, alert_id)
        assert alert is not None
        assert alert.second_look is None
        sender = self.sender(db, webhook)
        assert sender.drain("a", NOW + timedelta(seconds=1)) == 0
        assert sender.drain("a", NOW + timedelta(seconds=20)) == 1

    def test_no_wait_is_longer_than_the_longest_whatever_is_asked_for(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts(wait_s=3600)
        sender = self.sender(db, webhook)
        assert sender.drain("a", NOW + self.LONGEST - timedelta(seconds=0.1)) == 0
        assert sender.drain("a", NOW + self.LONGEST) == 1

    def test_a_clock_that_is_set_back_far_holds_nothing(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts(wait_s=20)
        assert self.sender(db, webhook).drain("a", NOW - timedelta(hours=1)) == 1

    def test_a_clock_that_is_set_back_again_and_again_holds_it_no_longer(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        """The wall clock never reaches the end of the wait; the one that nobody sets does."""
        raise_alerts(wait_s=20)
        seconds = iter([0.0, 10.0, 20.0, 27.9, 28.0, 28.0, 28.0, 28.0])
        sender = self.sender(db, webhook, lambda: next(seconds))
        assert [sender.drain("a", NOW + timedelta(seconds=second)) for second in (0, 5, -4, 1)] == [0, 0, 0, 0]
        assert sender.drain("a", NOW) == 1

    def test_a_clock_that_jumps_ahead_sends_early_and_once(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts(wait_s=20)
        assert self.sender(db, webhook).drain("a", NOW + timedelta(days=1, hours=-1)) == 1
        assert self.sender(db, webhook).drain("a", NOW) == 0

    def test_two_relays_send_one_message(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts(wait_s=20)
        first, second = self.sender(db, webhook), self.sender(db, webhook)
        assert [sender.drain(name, NOW) for sender, name in ((first, "a"), (second, "b"))] == [0, 0]
        later = NOW + timedelta(seconds=20)
        assert [sender.drain(name, later) for sender, name in ((first, "a"), (second, "b"))] == [1, 0]
        assert len(webhook.received) == 1

    def test_what_follows_on_the_channel_keeps_its_order_and_waits_no_longer_than_its_own(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts(wait_s=20, name="first.mp4")
        [second] = raise_alerts(wait_s=20, at=NOW + timedelta(seconds=10), name="second.mp4")
        ledger.set_second_look(db, second, SecondLook(outcome="confirmed", reason="A person.", model="seer"))
        sender = self.sender(db, webhook)
        assert sender.drain("a", NOW + timedelta(seconds=15)) == 0
        assert sender.drain("a", NOW + timedelta(seconds=20)) == 2
        assert ["first.mp4" in webhook.received[0]["message"], "second.mp4" in webhook.received[1]["message"]] == [True, True]

    def test_in_a_digest_each_alert_says_its_own(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        first, _ = raise_alerts(2, wait_s=20)
        ledger.set_second_look(db, first, SecondLook(outcome="rejected", reason="A shadow.", model="seer"))
        assert self.sender(db, webhook, per_hour=1).drain("a", NOW + timedelta(seconds=20)) == 2
        [message] = webhook.received
        assert "second look: rejected by seer" in message["message"]
        assert "second look: unverified, there is no answer yet" in message["message"]

    def test_a_superseded_alert_is_withdrawn_as_ever(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts(wait_s=20)
        alert = ledger.get(db, alert_id)
        assert alert is not None
        given = ledger.EvaluationInput(alert.video_id, "alerts", "f2", "c", "t2", "r", [], {"person": (Severity.INFO, ())}, Lane.LIVE, None, NOW, "2")
        ledger.reconcile(db, given)
        assert self.sender(db, webhook).drain("a", NOW + timedelta(seconds=20)) == 0
        assert states(db, [alert_id]) == ["withdrawn"]

    def test_only_a_first_evaluation_waits(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        """No second look follows a later one by itself: the tracks are what they were."""
        [alert_id] = raise_alerts()
        alert = ledger.get(db, alert_id)
        assert alert is not None
        episodes = [Episode("person", "appears", 72.4, 80.0, (0,), None, 0.9), Episode("person", "appears", 200.0, 210.0, (7,), None, 0.9)]
        facts = {"person": (Severity.INFO, ("ops",))}
        given = ledger.EvaluationInput(alert.video_id, "alerts", "f2", "c", "t", "r", episodes, facts, Lane.LIVE, None, NOW, "1")
        assert len(ledger.reconcile(db, replace(given, notify=True, second_look_s=20)).notified) == 1
        assert self.sender(db, webhook).drain("a", NOW) == 2

    def test_nothing_is_said_where_none_is_taken(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts()
        assert notifications(db, {"OPS_URL": webhook.address}).drain("a", NOW) == 1
        assert "Second look" not in webhook.received[0]["message"]


class TestTrouble:
    def test_a_missing_variable_is_named_and_tried_again(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts()
        environment: dict[str, str] = {}
        sender = notifications(db, environment)
        assert sender.drain("a", NOW) == 0
        [delivery] = ledger.deliveries_of(db, alert_id)
        assert delivery.state == "failed"
        assert "OPS_URL" in str(delivery.error)
        environment["OPS_URL"] = webhook.address
        assert sender.drain("a", NOW + timedelta(seconds=1)) == 1
        assert states(db, [alert_id]) == ["sent"]

    def test_a_refusing_service_is_tried_again_without_telling_its_address(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts()
        webhook.status = 500
        sender = notifications(db, {"OPS_URL": webhook.address})
        sender.drain("a", NOW)
        [delivery] = ledger.deliveries_of(db, alert_id)
        assert (delivery.state, delivery.attempts) == ("failed", 1)
        assert "500" in str(delivery.error)
        assert "hook-token" not in str(delivery.error)
        webhook.status = 200
        assert sender.drain("a", NOW + timedelta(seconds=1)) == 1
        assert len(webhook.received) == 1

    def test_nobody_answers(self, db: Database, raise_alerts: Raise) -> None:
        [alert_id] = raise_alerts()
        notifications(db, {"OPS_URL": "json://127.0.0.1:9/"}).drain("a", NOW)
        assert states(db, [alert_id]) == ["failed"]

    def test_a_redirect_is_not_followed(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts()
        webhook.status, webhook.location = 302, f"http://127.0.0.1:{webhook.port}/elsewhere"
        notifications(db, {"OPS_URL": webhook.address}).drain("a", NOW)
        assert states(db, [alert_id]) == ["failed"]

    def test_what_a_service_answers_is_kept_nowhere(self, db: Database, raise_alerts: Raise, webhook: Webhook, caplog) -> None:
        [alert_id] = raise_alerts()
        webhook.status, webhook.answer = 500, b"<h1>canary of an inner server</h1>"
        with caplog.at_level("WARNING"):
            notifications(db, {"OPS_URL": webhook.address}).drain("a", NOW)
        [delivery] = ledger.deliveries_of(db, alert_id)
        assert "canary" not in str(delivery.error) + caplog.text

    @pytest.mark.parametrize("address", ["json://user:pa55@{}/t0k3n?a=qu3ry", "json://us%65r:p%6155@{}/t0k3n?a=qu3ry"])
    def test_no_part_of_an_address_is_told(self, db: Database, raise_alerts: Raise, webhook: Webhook, caplog, address: str) -> None:
        [alert_id] = raise_alerts()
        webhook.status = 500
        with caplog.at_level("WARNING"):
            notifications(db, {"OPS_URL": address.format(f"127.0.0.1:{webhook.port}")}).drain("a", NOW)
        [delivery] = ledger.deliveries_of(db, alert_id)
        told = str(delivery.error) + caplog.text
        assert "500" in told
        assert not any(secret in told for secret in ("user", "pa55", "t0k3n", "qu3ry"))

    def test_a_service_that_never_ends_its_answer_holds_nobody_up(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts()
        webhook.trickles = threading.Event()
        sender = Notifications(db, AppriseSender(answer_s=0.5), per_hour=30, page=lambda: PAGE, environment={"OPS_URL": webhook.address})
        started = time.monotonic()
        for moment in (NOW, NOW + timedelta(minutes=5)):
            sender.drain("a", moment)
        assert time.monotonic() - started < 10
        assert len(webhook.received) == 1, "a service that has not answered is not sent more"
        [delivery] = ledger.deliveries_of(db, alert_id)
        assert "has not answered the message before" in str(delivery.error)
        webhook.trickles.set()

    def test_an_address_that_is_none(self) -> None:
        with pytest.raises(NotDelivered, match="Apprise") as raised:
            AppriseSender().send("nonsense-with-secret", "t", "b", Severity.INFO)
        assert "secret" not in str(raised.value)

    def test_one_channel_does_not_hold_back_another(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts(channels=("mail", "ops"))
        assert notifications(db, {"OPS_URL": webhook.address}).drain("a", NOW) == 1
        assert states(db, [alert_id]) == ["failed", "sent"]

    def test_a_channel_that_left_the_rules(self, db: Database, raise_alerts: Raise) -> None:
        [alert_id] = raise_alerts(channels=("gone",))
        notifications(db, {}).drain("a", NOW)
        assert "not in the active rules" in str(ledger.deliveries_of(db, alert_id)[0].error)

    def test_after_a_day_it_is_given_up_visibly(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts()
        sender = notifications(db, {})
        sender.drain("a", NOW)
        sender.drain("a", NOW + timedelta(hours=25))
        assert states(db, [alert_id]) == ["dead"]
        [row] = outbox.dead(db)
        assert "OPS_URL" in str(row.error)
        assert outbox.revive(db, [row.id], NOW + timedelta(hours=26)) == 1


class TestFlood:
    def test_a_flood_becomes_one_digest_and_nothing_is_dropped(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        ids = raise_alerts(60)
        sender = notifications(db, {"OPS_URL": webhook.address}, per_hour=5)
        assert sender.drain("a", NOW) == 60
        assert len(webhook.received) == 5
        digest = webhook.received[-1]
        assert digest["title"] == "56 alerts"
        assert "56 x person at gate" in digest["message"]
        assert "and 36 more" in digest["message"]
        assert f"{PAGE}/alerts" in digest["message"]
        assert sorted(states(db, ids)) == ["digest"] * 56 + ["sent"] * 4

    def test_above_the_cap_they_wait_for_the_hour_and_leave_together(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        sender = notifications(db, {"OPS_URL": webhook.address}, per_hour=3)
        for minute in range(3):
            raise_alerts(1, at=NOW + timedelta(minutes=minute))
            assert sender.drain("a", NOW + timedelta(minutes=minute)) == 1
        late = [alert for minute in range(3, 6) for alert in raise_alerts(1, at=NOW + timedelta(minutes=minute))]
        assert sender.drain("a", NOW + timedelta(minutes=6)) == 0
        assert states(db, late) == ["waiting"] * 3
        assert outbox.pending(db).retrying == 0
        assert sender.drain("a", NOW + timedelta(minutes=59)) == 0
        assert sender.drain("a", NOW + timedelta(minutes=60, seconds=30)) == 3
        assert [message["title"] for message in webhook.received[3:]] == ["3 alerts"]
        assert states(db, late) == ["digest"] * 3

    def test_a_cap_of_one(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        raise_alerts(7)
        assert notifications(db, {"OPS_URL": webhook.address}, per_hour=1).drain("a", NOW) == 7
        assert [message["title"] for message in webhook.received] == ["7 alerts"]

    def test_a_service_that_fails_half_way_gets_the_rest_later(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        ids = raise_alerts(3)

        class Breaks(AppriseSender):
            calls = 0

            def send(self, address: str, title: str, body: str, severity: Severity) -> None:
                self.calls += 1
                if self.calls == 2:
                    webhook.status = 503
                super().send(address, title, body, severity)

        sender = Notifications(db, Breaks(), per_hour=30, page=lambda: PAGE, environment={"OPS_URL": webhook.address})
        assert sender.drain("a", NOW) == 1
        assert sorted(states(db, ids)) == ["failed", "sent", "waiting"]
        webhook.status = 200
        assert sender.drain("a", NOW + timedelta(seconds=2)) == 2
        assert len(webhook.received) == 3


class TestUnwanted:
    def test_a_superseded_alert_is_withdrawn(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        [alert_id] = raise_alerts()
        alert = ledger.get(db, alert_id)
        assert alert is not None
        base = ledger.EvaluationInput(alert.video_id, "alerts", "f2", "c", "t", "r", [], {"person": (Severity.INFO, ())}, Lane.LIVE, None, NOW, "2")
        ledger.reconcile(db, replace(base))
        assert notifications(db, {"OPS_URL": webhook.address}).drain("a", NOW) == 0
        assert webhook.received == []
        assert states(db, [alert_id]) == ["withdrawn"]
        assert outbox.waiting(db, Kind.NOTIFICATION) == []

    def test_notify_again_after_counts_from_what_was_delivered(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        rulesets.apply(db, RULES % ", notify_again_after: 10m", source="test", who="test", why="", now=NOW)
        environment: dict[str, str] = {}
        sender = notifications(db, environment)
        [lost] = raise_alerts(at=NOW)
        sender.drain("a", NOW)  # not delivered: does not count
        environment["OPS_URL"] = webhook.address
        assert sender.drain("a", NOW + timedelta(minutes=1)) == 1
        [quiet] = raise_alerts(at=NOW + timedelta(minutes=5))
        assert sender.drain("a", NOW + timedelta(minutes=5)) == 0
        [loud] = raise_alerts(at=NOW + timedelta(minutes=12))
        assert sender.drain("a", NOW + timedelta(minutes=12)) == 1
        assert states(db, [lost, quiet, loud]) == ["sent", "quieted", "sent"]


def test_the_relay_sends_events_and_notifications(settings: Settings, db: Database, raise_alerts: Raise, webhook: Webhook, monkeypatch) -> None:
    monkeypatch.setenv("OPS_URL", webhook.address)
    [alert_id] = raise_alerts(at=datetime.now(UTC))
    log = open_log(settings)
    relay = open_relay(settings.model_copy(update={"notify": NotifySettings()}), db, lambda: log)
    assert relay.drain() == 3
    assert sum(log.end_offsets("alerts").values()) == 1
    assert states(db, [alert_id]) == ["sent"]
    log.close()
