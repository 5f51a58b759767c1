"""The wire contract: a golden file per event version, and a decoder that only ever raises EventError.

A golden file is what a reader of that version was promised: it is never edited. A change that needs one is a new version.
"""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_platform import events
from video_platform.errors import EventError
from video_platform.events import AlertBody, Event, Message, ProcessedBody, VideoBody
from video_platform.records import AlertRecord, Lane, Lifecycle, Mark, Severity

GOLDEN = Path(__file__).parent / "golden" / "events"
SHA = "0123456789abcdef" * 4
VIDEO = SHA[:16]
MOMENT = datetime(2026, 11, 5, 8, 30, 15, 250_000, tzinfo=UTC)

VIDEO_BODY = VideoBody(
    video_id=VIDEO,
    bucket="video-platform",
    object_key=f"videos/{VIDEO}/raw_video/{SHA}.mp4",
    original_name="Überfahrt 1.mp4",
    camera="gate-1",
    recorded_at=MOMENT,
    size_bytes=123_456,
    sha256=SHA,
    media_type="video/mp4",
    lane=Lane.BACKFILL,
    force=True,
)
ALERT = AlertRecord(
    id="a-1",
    video_id=VIDEO,
    camera="gate-1",
    rule="person-enters",
    kind="enters",
    severity=Severity.CRITICAL,
    lifecycle=Lifecycle.ACTIVE,
    mark=Mark.NONE,
    start_s=1.5,
    end_s=4.25,
    start_time=MOMENT,
    track_ids=[3, 7],
    place=(0.5, 0.75),
    score=0.875,
    why={"zone": "plaza", "rule_version": 2},
    snapshot=f"videos/{VIDEO}/alerts/{SHA}.jpg",
    raised_at=MOMENT,
    updated_at=MOMENT,
)
SUPERSEDED = ALERT.model_copy(update={"lifecycle": Lifecycle.SUPERSEDED, "superseded_reason": "rule removed"})
PROCESSED_BODY = ProcessedBody(video_id=VIDEO, bucket="video-platform", camera="gate-1", recorded_at=MOMENT, alerts=2, tracks_hash=SHA, run_id="run-1")
BODIES = {
    events.VIDEO_INGESTED: VIDEO_BODY,
    events.PROCESS_REQUESTED: VIDEO_BODY,
    events.VIDEO_PROCESSED: PROCESSED_BODY,
    events.ALERT_RAISED: AlertBody(video_id=VIDEO, alert=ALERT),
    events.ALERT_SUPERSEDED: AlertBody(video_id=VIDEO, alert=SUPERSEDED),
}
TYPES = sorted(events.BODIES)


def event_of(kind: str) -> Event:
    return Event(events.event_id(kind, VIDEO, 1), kind, MOMENT, VIDEO, BODIES[kind])


def golden(kind: str) -> dict:
    return json.loads((GOLDEN / f"{kind}.json").read_text())


def message_of(stored: dict) -> Message:
    headers = tuple((name, value.encode()) for name, value in stored["headers"])
    return Message(stored["key"].encode(), json.dumps(stored["body"]).encode(), headers)


def changed(kind: str, *, body: dict | None = None, headers: dict[str, bytes | None] | None = None) -> Message:
    """The golden message with some body fields or headers replaced; a header that becomes None is left out."""
    stored = golden(kind)
    stored["body"] |= body or {}
    message = message_of(stored)
    kept = {**dict(message.headers), **(headers or {})}
    return Message(message.key, message.value, tuple((name, value) for name, value in kept.items() if value is not None))


def test_every_version_has_a_golden_file_and_every_file_a_reader():
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == TYPES


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_written_today_is_what_was_promised(kind):
    message, stored = events.encode(event_of(kind)), golden(kind)
    assert message.key.decode() == stored["key"]
    assert [[name, value.decode()] for name, value in message.headers] == stored["headers"]
    assert json.loads(message.value) == stored["body"]


@pytest.mark.parametrize("kind", TYPES)
def test_the_golden_file_is_read_as_the_event_it_was(kind):
    assert events.decode(message_of(golden(kind))) == event_of(kind)
    assert event_of(kind).topic == events.TOPIC_OF[kind]


@pytest.mark.parametrize("kind", TYPES)
def test_fields_and_headers_of_a_newer_writer_are_ignored(kind):
    newer = changed(kind, body={"new_field": {"deep": [1, 2]}}, headers={"traceparent": b"00-1-2-03", "ce_new": b"\xff"})
    assert events.decode(newer) == event_of(kind)


def test_optional_fields_may_be_missing():
    stored = golden(events.VIDEO_INGESTED)
    for name in ("recorded_at", "lane", "force"):
        del stored["body"][name]
    body = events.decode(message_of(stored)).body
    assert isinstance(body, VideoBody)
    assert (body.recorded_at, body.lane, body.force) == (None, Lane.LIVE, False)


def test_header_names_are_read_in_any_case():
    message = message_of(golden(events.VIDEO_INGESTED))
    loud = Message(message.key, message.value, tuple((name.upper(), value) for name, value in message.headers))
    assert events.decode(loud) == events.decode(message)


INGESTED = events.VIDEO_INGESTED
REFUSED = {
    "no id": (changed(INGESTED, headers={"ce_id": None}), "missing_header"),
    "no type": (changed(INGESTED, headers={"ce_type": None}), "missing_header"),
    "header that is not text": (changed(INGESTED, headers={"ce_id": b"\xff"}), "missing_header"),
    "another type": (changed(INGESTED, headers={"ce_type": b"video.ingested.v2"}), "unknown_type"),
    "another CloudEvents": (changed(INGESTED, headers={"ce_specversion": b"0.3"}), "unknown_type"),
    "time that is none": (changed(INGESTED, headers={"ce_time": b"yesterday"}), "malformed"),
    "time without zone": (changed(INGESTED, headers={"ce_time": b"2026-11-05T08:30:15"}), "malformed"),
    "endless id": (changed(INGESTED, headers={"ce_id": b"x" * 201}), "malformed"),
    "time beyond the calendar": (changed(INGESTED, headers={"ce_time": b"0001-01-01T00:00:00+14:00"}), "malformed"),
    "empty id": (changed(INGESTED, headers={"ce_id": b""}), "malformed"),
    "id with a NUL": (changed(INGESTED, headers={"ce_id": b"a\0b"}), "malformed"),
    "size beyond a database column": (changed(INGESTED, body={"size_bytes": 2**63}), "malformed"),
    "recording time without zone": (changed(INGESTED, body={"recorded_at": "2026-01-01T00:00:00"}), "malformed"),
    "recording time beyond the calendar": (changed(INGESTED, body={"recorded_at": "0001-01-01T00:00:00+14:00"}), "malformed"),
    "camera with a NUL": (changed(INGESTED, body={"camera": "a\0b"}), "malformed"),
    "half a character": (changed(INGESTED, body={"original_name": "\ud800"}), "malformed"),
    "no JSON": (Message(b"k", b"{", message_of(golden(INGESTED)).headers), "malformed"),
    "no text": (Message(b"k", b"\xff\xfe\x00", message_of(golden(INGESTED)).headers), "malformed"),
    "a list": (Message(b"k", b"[]", message_of(golden(INGESTED)).headers), "malformed"),
    "nested without end": (Message(b"k", b"[" * 60_000, message_of(golden(INGESTED)).headers), "malformed"),
    "empty": (Message(b"", b"", message_of(golden(INGESTED)).headers), "malformed"),
    "too large": (Message(b"k", b" " * (events.MAX_BODY_BYTES + 1), message_of(golden(INGESTED)).headers), "oversize"),
    "negative size": (changed(INGESTED, body={"size_bytes": -1}), "malformed"),
    "id of another shape": (changed(INGESTED, body={"video_id": "../../../../etc"}), "malformed"),
    "upper-case id": (changed(INGESTED, body={"video_id": VIDEO.upper()}), "malformed"),
    "endless name": (changed(INGESTED, body={"original_name": "x" * 1025}), "malformed"),
    "lane that is none": (changed(INGESTED, body={"lane": "express"}), "malformed"),
    "another bucket": (changed(INGESTED, body={"bucket": "secrets"}), "foreign_bucket"),
    "another bucket, processed": (changed(events.VIDEO_PROCESSED, body={"bucket": "secrets"}), "foreign_bucket"),
    "key of another video": (changed(INGESTED, body={"object_key": f"videos/{'f' * 16}/raw_video/{SHA}.mp4"}), "foreign_key"),
    "key of another asset": (changed(INGESTED, body={"object_key": f"videos/{VIDEO}/alerts/{SHA}.mp4"}), "foreign_key"),
    "key that climbs": (changed(INGESTED, body={"object_key": "../../x"}), "foreign_key"),
    "hash of another video": (changed(INGESTED, body={"sha256": "f" * 64}), "foreign_key"),
    "alert of another video": (changed(events.ALERT_RAISED, body={"video_id": "f" * 16}), "foreign_key"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_the_contract_is_refused_with_its_reason(name):
    message, reason = REFUSED[name]
    with pytest.raises(EventError) as caught:
        events.decode(message)
    assert caught.value.reason == reason
    assert len(caught.value.message) < 1000


def test_a_reader_names_the_types_it_takes():
    with pytest.raises(EventError) as caught:
        events.decode(message_of(golden(INGESTED)), accept=[events.VIDEO_PROCESSED])
    assert caught.value.reason == "unknown_type"


def test_a_body_that_is_too_large_is_not_written():
    large = AlertBody(video_id=VIDEO, alert=ALERT.model_copy(update={"why": {"text": "x" * events.MAX_BODY_BYTES}}))
    with pytest.raises(EventError, match="the limit is 65536") as caught:
        events.encode(Event("1", events.ALERT_RAISED, MOMENT, VIDEO, large))
    assert caught.value.reason == "oversize"


def test_ids_are_deterministic_and_differ_by_type_video_and_n():
    kinds = [events.event_id(kind, video, n) for kind in TYPES for video in (VIDEO, "f" * 16) for n in (1, 2, "request-1")]
    assert len(set(kinds)) == len(kinds)
    assert events.event_id(INGESTED, VIDEO, 1) == events.event_id(INGESTED, VIDEO, "1") == golden(INGESTED)["headers"][1][1]


HEADERS = st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_time", "ce_specversion", "x"]) | st.text(max_size=8), st.binary(max_size=40)), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=60), st.binary(max_size=300), HEADERS)
def test_any_bytes_decode_or_raise_an_event_error(key, value, headers):
    with contextlib.suppress(EventError):
        events.decode(Message(key, value, tuple(headers)))


@settings(deadline=None)  # a busy machine is no failure
@given(st.sampled_from(TYPES), st.data())
def test_any_damage_to_one_field_decodes_or_raises_an_event_error(kind, data):
    stored = golden(kind)
    field = data.draw(st.sampled_from(sorted(stored["body"])))
    stored["body"][field] = data.draw(JSON)
    try:
        event = events.decode(message_of(stored))
    except EventError:
        return
    assert event.time.tzinfo is not None
    assert events.decode(events.encode(event)) == event
