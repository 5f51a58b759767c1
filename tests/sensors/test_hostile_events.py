"""Any message at all on a topic: reading is total, a tick never raises, the cursor moves, and what cannot be used is a dead letter."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote_plus

import dagster as dg
import pytest
from graphs import Ticking
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors import processed_videos, video_events
from sensors.inbox_uploads import inbox_uploads
from video_platform import dead_letters, events, s3_events
from video_platform.errors import EventError
from video_platform.events import Message
from video_platform.layout import BUCKET
from video_platform.settings import RunSettings, Settings

GOLDEN = [json.loads(path.read_text()) for path in sorted((Path(__file__).parents[1] / "golden" / "events").glob("*.json"))]
BATCHES = 40
"""Ticks per sensor, each over up to eight messages."""

TEXT = st.text(max_size=30) | st.sampled_from(
    ["\0", "../../x", "\ud800", "a" * 2000, "0" * 16, BUCKET, "inbox/gate/a.mp4", "videos/../../etc/passwd", "%2e%2e%2f"]
)
NUMBER = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63) - 1, 10**400, 1e308])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
HEADER_NAME = st.sampled_from(["ce_id", "ce_type", "ce_time", "ce_specversion", "ce_subject", "content-type", "dlq_reason", "CE_ID"]) | st.text(max_size=10)
HEADERS = st.lists(st.tuples(HEADER_NAME.filter(lambda name: "\ud800" not in name), st.binary(max_size=60)), max_size=8).map(tuple)


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The way to every place in a JSON value."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def with_damage(value: object, path: tuple, how: str, new: object) -> object:
    """A copy in which the place at `path` was replaced, removed, doubled or wrapped."""
    if not path:
        return {"replace": new, "wrap": [value], "double": [value, value]}.get(how, new)
    copy = json.loads(json.dumps(value))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    if how == "remove":
        del inner[path[-1]]
    elif how == "wrap":
        inner[path[-1]] = [inner[path[-1]]]
    elif how == "double" and isinstance(inner, dict):
        inner[f"{path[-1]}2"] = inner[path[-1]]
    else:
        inner[path[-1]] = new
    return copy


@st.composite
def damaged(draw, bodies, headers) -> Message:
    """A message as it should be, with one to three places damaged, and perhaps its bytes as well."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(body))))
        body = with_damage(body, path, draw(st.sampled_from(["replace", "remove", "wrap", "double"])), draw(JSON))
    value = json.dumps(body).encode()
    if draw(st.booleans()) and value:
        at = draw(st.integers(0, len(value) - 1))
        value = value[:at] + draw(st.binary(max_size=4)) + value[at + draw(st.integers(0, 3)) :]
    kept = list(draw(st.sampled_from(headers)))
    if kept and draw(st.booleans()):
        number = draw(st.integers(0, len(kept) - 1))
        kept[number] = (kept[number][0], draw(st.binary(max_size=40)))
    return Message(draw(st.binary(max_size=40)), value, tuple(kept))


ANY = st.builds(Message, st.binary(max_size=40), st.binary(max_size=400), HEADERS)
EVENT_HEADERS = [tuple((name, value.encode()) for name, value in each["headers"]) for each in GOLDEN]
EVENT = ANY | damaged([each["body"] for each in GOLDEN], EVENT_HEADERS)
KEYS = ("inbox/gate/a.mp4", "inbox/../../etc/passwd", "inbox/g/../../x.mp4", "/inbox/a.mp4", "inbox//a.mp4", "inbox/g/\\..\\a.mp4", "videos/x/manifest.json")
NOTIFICATIONS = [
    {
        "EventName": "s3:ObjectCreated:Put",
        "Key": f"{BUCKET}/{key}",
        "Records": [{"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": quote_plus(key), "size": 1, "eTag": "e"}}}],
    }
    for key in (
        "inbox/gate/a.mp4",
        "inbox/../../etc/passwd",
        "inbox/gate/../../x.mp4",
        "/inbox/a.mp4",
        "inbox//a.mp4",
        "inbox/gate/\\..\\a.mp4",
        "videos/x/manifest.json",
    )
]
NOTIFICATION = ANY | damaged(NOTIFICATIONS, [()])

generously = settings(max_examples=BATCHES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def read(message: Message) -> events.Event | EventError:
    try:
        return events.decode(message)
    except EventError as error:
        return error


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENT)
def test_an_event_is_read_or_refused_in_words(message):
    found = read(message)
    if isinstance(found, EventError):
        assert found.reason in {"oversize", "missing_header", "unknown_type", "malformed", "foreign_bucket", "foreign_key"}
        assert len(found.message) < 1000
    else:
        assert events.decode(events.encode(found)) == found


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(NOTIFICATION)
def test_a_notification_is_read_or_refused_in_words(message):
    said = s3_events.read(message)
    assert all(key.startswith("inbox/") for key in said.keys)
    assert all(isinstance(error, EventError) and len(error.message) < 1000 for error in said.refused)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("hostile") / "home", runs=RunSettings(max_queued=500))


@pytest.fixture(scope="module")
def tickings(home) -> Iterator[dict[str, Ticking]]:
    made = {each.name: Ticking(home, each) for each in (video_events, processed_videos, inbox_uploads)}
    yield made
    for each in made.values():
        each.close()


TOPICS = {"video_events": events.TOPIC_VIDEO_EVENTS, "processed_videos": events.TOPIC_PROCESSED, "inbox_uploads": events.TOPIC_S3_EVENTS}


def next_offsets(ticking: Ticking) -> dict[int, int]:
    return {int(partition): offset for partition, offset in json.loads(ticking.cursor)["next"].items()}


@pytest.mark.parametrize("name", TOPICS)
def test_a_tick_deals_with_anything_and_moves_on(tickings, name):
    ticking, topic = tickings[name], TOPICS[name]
    log = ticking.workplace.platform.log

    @generously
    @given(st.lists(NOTIFICATION if name == "inbox_uploads" else EVENT, min_size=1, max_size=8))
    def deal(messages):
        letters_before = sum(log.end_offsets(events.TOPIC_DEAD_LETTERS).values())
        log.append(topic, messages)
        result = ticking.tick()
        assert isinstance(result, dg.SensorResult)
        assert not result.run_requests, "there is no footage, so nothing may start"
        assert next_offsets(ticking) == log.end_offsets(topic)
        letters = sum(log.end_offsets(events.TOPIC_DEAD_LETTERS).values()) - letters_before
        assert letters <= len(messages)
        if name != "inbox_uploads":  # of notifications those that speak of something else are passed over
            assert letters == len(messages)

    log.create_topics(events.TOPICS)
    deal()


def test_every_dead_letter_says_where_it_came_from(tickings):
    log = tickings["video_events"].workplace.platform.log
    records, at = [], {}
    while batch := log.read(events.TOPIC_DEAD_LETTERS, at, limit=500, budget_s=10):
        records += batch
        at |= {record.partition: record.offset + 1 for record in batch}
    for record in records:
        about = dead_letters.about(record.message)
        assert about["dlq_topic"] in TOPICS.values()
        assert about["dlq_reason"]
        assert about["dlq_offset"].isdigit()
    assert datetime.now(UTC) >= max((record.timestamp for record in records), default=datetime.now(UTC))
