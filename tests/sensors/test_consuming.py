import pytest

from sensors.consuming import Position, read
from video_platform.events import TOPIC_VIDEO_EVENTS, Message
from video_platform.services.sqlite_log import SqliteLog


@pytest.fixture
def log(tmp_path):
    opened = SqliteLog(tmp_path / "events.db")
    opened.create_topics()
    yield opened
    opened.close()


def fill(log, count, start=0):
    log.append(TOPIC_VIDEO_EVENTS, [Message(f"{n:016x}".encode(), b"{}") for n in range(start, start + count)])


def read_all(log, position, limit=7):
    found = []
    while (batch := read(log, TOPIC_VIDEO_EVENTS, position, limit)).records:
        found += batch.records
        position = Position.parse(batch.position.dump())
    return found, position


def test_every_record_is_read_once_over_many_ticks(log):
    fill(log, 50)
    found, position = read_all(log, Position())
    assert sorted(record.message.key for record in found) == [f"{n:016x}".encode() for n in range(50)]
    assert read(log, TOPIC_VIDEO_EVENTS, position, 7).records == []


def test_a_cursor_names_the_topic_and_the_next_offsets():
    position = Position("t1", {1: 17, 0: 3})
    assert position.dump() == '{"v":1,"topic":"t1","next":{"0":3,"1":17}}'
    assert Position.parse(position.dump()) == position
    assert Position.parse(None) == Position()


@pytest.mark.parametrize("cursor", ["17", '{"v":2,"topic":"t","next":{}}', "not json"])
def test_a_foreign_cursor_is_refused(cursor):
    with pytest.raises(ValueError, match=r".+"):
        Position.parse(cursor)


def test_a_recreated_topic_is_read_from_its_beginning_and_reported(log):
    fill(log, 10)
    _, position = read_all(log, Position())
    log.delete_topic(TOPIC_VIDEO_EVENTS)
    log.create_topics()
    fill(log, 4, start=100)
    batch = read(log, TOPIC_VIDEO_EVENTS, position, 100)
    assert len(batch.records) == 4
    assert "recreated" in batch.gaps[0]
    assert batch.position.topic_id == log.topic_id(TOPIC_VIDEO_EVENTS)


def test_records_that_the_log_forgot_are_reported_and_reading_goes_on(log):
    fill(log, 60)
    position = read(log, TOPIC_VIDEO_EVENTS, Position(), 1).position
    begin = {partition: end - 2 for partition, end in log.end_offsets(TOPIC_VIDEO_EVENTS).items()}
    log.trim(TOPIC_VIDEO_EVENTS, begin)
    batch = read(log, TOPIC_VIDEO_EVENTS, position, 100)
    assert len(batch.records) == 2 * len(begin)
    assert len(batch.gaps) == len(begin)
