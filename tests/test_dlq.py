"""Dead letters read, shown and replayed, over the embedded log and a real Kafka broker."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from graphs import Ticking

from sensors import video_events
from video_platform import dead_letters, dlq, events
from video_platform.errors import EventError, InputError, LogUnavailable, NotFound, StateError
from video_platform.events import TOPIC_DEAD_LETTERS, TOPIC_VIDEO_EVENTS, Message
from video_platform.platform import open_platform
from video_platform.services.database import Database, replays
from video_platform.services.event_log import MAX_RECORD_BYTES
from video_platform.services.kafka_log import KafkaLog
from video_platform.services.sqlite_log import SqliteLog
from video_platform.settings import Settings


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request, tmp_path):
    if request.param == "kafka":
        opened = KafkaLog(request.getfixturevalue("kafka_server").address)
        for topic in (TOPIC_DEAD_LETTERS, TOPIC_VIDEO_EVENTS):
            if topic in opened.topics():
                opened.delete_topic(topic)
    else:
        opened = SqliteLog(tmp_path / "events.db")
    opened.create_topics()
    yield opened
    opened.close()


@pytest.fixture
def db(tmp_path):
    opened = Database(f"sqlite:///{tmp_path / 'platform.db'}")
    opened.migrate()
    yield opened
    opened.dispose()


def refused(log, n, reason="malformed", *, message=None, origin=None):
    """Write the letter of message `n` as a sensor does; returns the message."""
    message = message or Message(b"key-%d" % n, b"value %d" % n, (("ce_id", b"%d" % n), ("binary", b"\xff\x00")))
    letter = dead_letters.letter(message, topic=origin or TOPIC_VIDEO_EVENTS, partition=0, offset=n, reason=reason, detail=f"what was wrong with {n}")
    log.append(TOPIC_DEAD_LETTERS, [letter])
    return message


def again(log):
    """What lies on the topic of videos."""
    return [record.message for record in log.read(TOPIC_VIDEO_EVENTS, {}, limit=1000, budget_s=5)]


def test_letters_are_listed_newest_first_each_once_with_what_is_known(log, db):
    assert (dlq.count(log), dlq.letters(log, db)) == (0, [])
    for n in range(130):
        refused(log, n, "oversize" if n % 10 == 0 else "malformed")
    refused(log, 7)  # a tick that was killed after it wrote the letter
    assert dlq.count(log) == 131
    found = dlq.letters(log, db, limit=1000)
    assert sorted(letter.origin.offset for letter in found) == list(range(130))
    assert [letter.at for letter in found] == sorted((letter.at for letter in found), reverse=True)
    newest = dlq.letters(log, db, limit=20)
    assert newest == found[:20]
    assert sorted(letter.origin.offset for letter in dlq.letters(log, db, limit=None, reason="oversize")) == list(range(0, 130, 10))
    first = next(letter for letter in found if letter.origin.offset == 3)
    assert (first.reason, first.detail, first.size_bytes) == ("malformed", "what was wrong with 3", 7)
    assert first.message == Message(b"key-3", b"value 3", (("ce_id", b"3"), ("binary", b"\xff\x00")))
    assert str(first.origin) == "video-events/0/3"


def test_a_letter_is_found_by_its_own_coordinates_and_by_those_of_its_message(log, db):
    for n in range(5):
        refused(log, n)
    letter = dlq.find(log, db, dlq.Place.parse("video-events/0/2"))
    assert letter.message.value == b"value 2"
    assert dlq.find(log, db, letter.place) == letter
    for absent in ("video-events/0/99", f"{TOPIC_DEAD_LETTERS}/{letter.place.partition}/99", f"{TOPIC_DEAD_LETTERS}/77/0"):
        with pytest.raises(NotFound, match="no dead letter"):
            dlq.find(log, db, dlq.Place.parse(absent))
    refused(log, 2, message=Message(b"k", b"of a topic that was made again"))
    with pytest.raises(StateError, match="2 messages stood at video-events/0/2"):
        dlq.find(log, db, dlq.Place.parse("video-events/0/2"))


@pytest.mark.parametrize("text", ["", "video-events", "video-events/0", "video-events/0/-1", "a b/0/1", "video-events/0/1/2"])
def test_what_are_no_coordinates_is_said(text):
    with pytest.raises(InputError, match="topic/partition/offset"):
        dlq.Place.parse(text)


def test_a_replay_is_the_same_message_with_one_header_and_happens_once(log, db):
    message = refused(log, 1)
    [letter] = dlq.letters(log, db)
    place = dlq.replay(log, db, letter, "ann")
    [sent] = again(log)
    assert (sent.key, sent.value) == (message.key, message.value)
    assert sent.headers == (*message.headers, (dlq.REPLAYED, f"{letter.id}@{letter.place}".encode()))
    assert [str(each.topic) for each in (place, letter.origin)] == [TOPIC_VIDEO_EVENTS] * 2
    assert dlq.replay(log, db, letter, "ann") == place
    assert len(again(log)) == 1
    refused(log, 1)  # a copy of the letter is the same letter
    [known] = dlq.letters(log, db)
    assert (known.replayed, known.replay.who, known.replay.times) == (True, "ann", 1)
    assert dlq.replay(log, db, known, "ann", force=True) != place
    assert len(again(log)) == 2
    assert dlq.letters(log, db)[0].replay.times == 2


def test_a_replayed_message_that_is_refused_again_is_a_letter_of_its_own(log, db):
    refused(log, 1)
    [first] = dlq.letters(log, db)
    dlq.replay(log, db, first, "ann")
    refused(log, 9, message=again(log)[0])
    second = dlq.letters(log, db)[0]
    assert (second.id != first.id, second.replayed) == (True, False)
    dlq.replay(log, db, second, "ann")
    assert [name for name, _ in again(log)[1].headers].count(dlq.REPLAYED) == 1


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (Message(b"k", b"x" * (events.MAX_BODY_BYTES + 1)), "only a part of its value"),
        (Message(b"k" * 2000, b"v"), "only a part of its key"),
        (Message(b"k", b"v", (("large", b"x" * 20_000),)), "only a part of its headers"),
        (Message(b"", b"", ((dead_letters.UNREADABLE, b"bad utf-8"),)), "could not be decoded"),
    ],
)
def test_what_is_only_evidence_is_not_replayed(log, db, message, says):
    refused(log, 1, message=message)
    [letter] = dlq.letters(log, db)
    assert letter.size_bytes == len(message.value)
    for force in (False, True):
        with pytest.raises(InputError, match=says):
            dlq.replay(log, db, letter, "ann", force=force)
    assert again(log) == []


@pytest.mark.parametrize("topic", [TOPIC_DEAD_LETTERS, "payroll"])
def test_a_letter_that_names_a_foreign_topic_goes_nowhere(log, db, topic):
    refused(log, 1, origin=topic)
    [letter] = dlq.letters(log, db)
    with pytest.raises(InputError, match="none that the platform reads"):
        dlq.replay(log, db, letter, "ann")


def test_a_record_that_is_no_letter_is_listed_and_not_replayed(log, db):
    log.append(TOPIC_DEAD_LETTERS, [Message(b"k", b"v", (("dlq_offset", b"-7"), ("dlq_partition", "²".encode())))])
    [letter] = dlq.letters(log, db)
    assert (letter.reason, letter.origin) == ("unknown", dlq.Place("", 0, 0))
    assert letter.obstacle


class Cut(Exception):
    """Where a process was killed."""


@pytest.fixture
def cut_short(log, db, monkeypatch):
    """Replays a letter, and stops where the named function of `place` is called."""

    def run(letter, place, name, error):
        def stop(*_):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(place, name, stop)
            dlq.replay(log, db, letter, "ann")

    return run


def test_a_replay_that_was_killed_after_the_message_left_is_found_again(log, db, cut_short):
    refused(log, 1)
    [letter] = dlq.letters(log, db)

    with pytest.raises(Cut):
        cut_short(letter, replays, "complete", Cut)
    log.append(TOPIC_VIDEO_EVENTS, [Message(b"key-%d" % n, b"others") for n in range(100)])
    assert not dlq.letters(log, db)[0].replayed
    place = dlq.replay(log, db, letter, "bob")
    assert sum(message.value == letter.message.value for message in again(log)) == 1
    assert dlq.letters(log, db)[0].replay.offset == place.offset


def test_a_replay_that_was_killed_before_the_message_left_is_sent(log, db, cut_short):
    refused(log, 1)
    [letter] = dlq.letters(log, db)

    with pytest.raises(LogUnavailable):
        cut_short(letter, log, "append", LogUnavailable("the log does not answer"))
    dlq.replay(log, db, letter, "ann")
    assert len(again(log)) == 1
    assert dlq.letters(log, db)[0].replay.times == 2


def test_a_replay_that_was_refused_leaves_no_trace(log, db):
    large = Message(b"k", b"v" * events.MAX_BODY_BYTES, (("h", b"x" * 16_000),))
    refused(log, 1, message=large)
    [letter] = dlq.letters(log, db)
    grown = replace(letter, message=Message(b"k", b"v" * MAX_RECORD_BYTES))
    with pytest.raises(EventError):
        dlq.replay(log, db, grown, "ann")
    assert not dlq.letters(log, db)[0].replay
    dlq.replay(log, db, letter, "ann")
    assert len(again(log)) == 1


def test_a_cut_short_replay_on_a_topic_made_again_asks_for_force(log, db, cut_short):
    refused(log, 1)
    log.append(TOPIC_VIDEO_EVENTS, [Message(b"key-1", b"earlier")])
    [letter] = dlq.letters(log, db)
    with pytest.raises(Cut):
        cut_short(letter, replays, "complete", Cut)
    log.delete_topic(TOPIC_VIDEO_EVENTS)
    log.create_topics()
    with pytest.raises(StateError, match="--force"):
        dlq.replay(log, db, letter, "ann")
    dlq.replay(log, db, letter, "ann", force=True)
    assert len(again(log)) == 1


def test_two_replays_at_once_send_one_message(log, db):
    refused(log, 1)
    [letter] = dlq.letters(log, db)
    first = replays.Replay(letter.id, TOPIC_VIDEO_EVENTS, 0, 0, None, "ann", datetime.now(UTC), 1)
    assert replays.begin(db, first)
    assert not replays.begin(db, replace(first, who="bob"))
    assert replays.repeat(db, replace(first, who="bob", times=2), first)
    assert not replays.repeat(db, replace(first, who="cid", times=2), first)


def test_a_letter_without_a_topic_is_none(tmp_path, db):
    log = SqliteLog(tmp_path / "bare.db")
    assert (dlq.count(log), dlq.letters(log, db)) == (0, [])
    log.close()


def test_an_event_for_a_video_that_came_later_is_processed_after_its_replay(tmp_path):
    """The way it is used: the video was not known, now it is."""
    sensor = Ticking(Settings(home=tmp_path / "home"), video_events)
    platform = sensor.workplace.platform
    footage = tmp_path / "a.mp4"
    footage.write_bytes(b"footage")
    with open_platform(Settings(home=tmp_path / "other")) as other:
        video_id = other.ingest.ingest_path(footage).video_id
        [record] = other.log.read(TOPIC_VIDEO_EVENTS, {}, limit=10, budget_s=5)
    platform.log.append(TOPIC_VIDEO_EVENTS, [record.message])
    assert not sensor.tick().run_requests
    platform.ingest.ingest_path(footage, announce=False)
    [letter] = dlq.letters(platform.log, platform.db)
    assert letter.reason == "unknown_video"
    dlq.replay(platform.log, platform.db, letter, "ann")
    [request] = sensor.tick().run_requests
    assert request.partition_key == video_id
    sensor.close()
