import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from notifying import NOW, PAGE, RULES, Raise, Webhook, notifications, states

from video_platform.records import Lane, Severity
from video_platform.services.database import Database, ledger, outbox, rulesets
from video_platform.services.database.outbox import Kind
from video_platform.services.event_log import open_log
from video_platform.services.notify import AppriseSender, NotDelivered, Notifications, web_address
from video_platform.services.relay import open_relay
from video_platform.settings import NotifySettings, Settings, WebSettings

# Apprise 2.2 imports a module on Python 3.11 and 3.12 that 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


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

    def test_notify_again_after_holds_between_videos_that_waited_together(self, db: Database, raise_alerts: Raise, webhook: Webhook) -> None:
        rulesets.apply(db, RULES % ", notify_again_after: 10m", source="test", who="test", why="", now=NOW)
        first, second, third = raise_alerts(2), raise_alerts(), raise_alerts()
        assert notifications(db, {"OPS_URL": webhook.address}).drain("a", NOW) == 2
        assert states(db, [*first, *second, *third]) == ["sent", "sent", "quieted", "quieted"]
        assert len(webhook.received) == 2


def test_the_relay_sends_events_and_notifications(settings: Settings, db: Database, raise_alerts: Raise, webhook: Webhook, monkeypatch) -> None:
    monkeypatch.setenv("OPS_URL", webhook.address)
    [alert_id] = raise_alerts(at=datetime.now(UTC))
    log = open_log(settings)
    relay = open_relay(settings.model_copy(update={"notify": NotifySettings()}), db, lambda: log)
    assert relay.drain() == 3
    assert sum(log.end_offsets("alerts").values()) == 1
    assert states(db, [alert_id]) == ["sent"]
    log.close()
