"""Notifications that wait for a second look at their alert."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from notifying import NOW, Raise, Webhook, notifications, states

from video_platform.records import Episode, Lane, SecondLook, Severity
from video_platform.services.database import Database, ledger, outbox
from video_platform.services.notify import Notifications

# Apprise 2.2 imports a module on Python 3.11 and 3.12 that 3.13 no longer has
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


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
