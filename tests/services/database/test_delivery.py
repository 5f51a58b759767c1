"""What becomes of notifications is recorded, on both databases."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from video_platform.records import VideoRecord
from video_platform.services.database import Database, delivery, outbox
from video_platform.services.database.outbox import Kind, Notice
from video_platform.services.database.tables import deliveries


@pytest.fixture
def notice(db: Database, add_video: Callable[..., VideoRecord], now: datetime) -> outbox.OutboxRow:
    video = add_video(1)
    with db.write() as connection:
        outbox.add_notifications(connection, [Notice("n-1", "ops", video.video_id, "a-1")], now)
    [row] = outbox.claim(db, "a", 10, 60, now, kind=Kind.NOTIFICATION)
    return row


def of(db: Database) -> tuple[str, int, datetime | None]:
    with db.read() as connection:
        row = connection.execute(deliveries.select()).one()
    return row.state, row.attempts, row.sent_at


@pytest.mark.parametrize(("state", "attempts"), [("sent", 1), ("digest", 1), ("quieted", 0), ("withdrawn", 0)])
def test_what_was_sent_counts_as_an_attempt_and_is_not_due_again(db: Database, notice: outbox.OutboxRow, now: datetime, state: str, attempts: int) -> None:
    delivery.delivered(db, [notice], state=state, message_id="m", now=now)
    assert of(db) == (state, attempts, now if attempts else None)
    assert outbox.claim(db, "b", 10, 60, now + timedelta(days=1)) == []


def test_what_failed_is_due_again_until_it_is_given_up(db: Database, notice: outbox.OutboxRow, now: datetime) -> None:
    delivery.not_delivered(db, [notice], "refused", now, give_up=False)
    assert of(db) == ("failed", 1, None)
    [again] = outbox.claim(db, "b", 10, 60, now + timedelta(minutes=5))
    delivery.not_delivered(db, [again], "refused", now, give_up=True)
    assert of(db) == ("dead", 2, None)
    assert outbox.pending(db).dead == 1
