"""Messages that no reader can use, of every kind that the loss tests send: each becomes one letter under its reason, and none holds up an event."""

import random
import sys
from pathlib import Path

import pytest

from sensors import video_events
from video_platform import dlq, events

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chaos"))

from poison import KINDS, make, some


@pytest.fixture
def sensor(ticking):
    return ticking(video_events)


@pytest.fixture
def good(sensor, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"footage")
    sensor.workplace.platform.ingest.ingest_path(path)
    sensor.workplace.platform.announce()
    [record] = sensor.workplace.platform.log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=10, budget_s=10)
    return record.message


def test_every_kind_becomes_one_letter_under_its_reason(sensor, good):
    log, db = sensor.workplace.platform.log, sensor.workplace.platform.db
    log.append(events.TOPIC_VIDEO_EVENTS, [make(kind, number, good) for number, kind in enumerate(KINDS)])
    asked = []
    for _ in KINDS:  # a tick reads as many events as the queue has room for runs
        asked += [request.partition_key for request in getattr(sensor.tick(), "run_requests", None) or []]
    assert asked == [good.key.decode()]
    found = {letter.message.key.decode(): letter.reason for letter in dlq.letters(log, db, limit=None)}
    assert found == {f"poison-{number}": reason for number, reason in enumerate(KINDS.values())}
    assert dlq.count(log) == len(KINDS)


def test_a_flood_of_it_is_read_in_ticks_and_every_record_has_its_letter(sensor, good):
    log, db = sensor.workplace.platform.log, sensor.workplace.platform.db
    sensor.tick()
    bad = some(100, 0, good, random.Random(1))
    log.append(events.TOPIC_VIDEO_EVENTS, [*bad, good])
    for _ in bad:
        sensor.tick()
        if dlq.count(log) == len(bad):
            break
    assert {letter.message.key for letter in dlq.letters(log, db, limit=None)} == {message.key for message in bad}
