"""The wire contract: CloudEvents 1.0 in Kafka binary mode.

Headers carry the attributes, the value is a small JSON body, the key is the video id; media never travels. Readers ignore unknown fields; fields are only
ever added. Golden files for every version lie in `tests/golden/events/`.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from video_platform.errors import EventError
from video_platform.layout import BUCKET, is_video_id
from video_platform.records import AlertRecord, Lane, Stored

TOPIC_VIDEO_EVENTS = "video-events"
TOPIC_PROCESSED = "processed-videos"
TOPIC_ALERTS = "alerts"
TOPIC_S3_EVENTS = "s3-events"
TOPIC_DEAD_LETTERS = "video-events.dlq"
TOPICS = (TOPIC_VIDEO_EVENTS, TOPIC_PROCESSED, TOPIC_ALERTS, TOPIC_S3_EVENTS, TOPIC_DEAD_LETTERS)

PARTITIONS = 6
"""Partitions of every topic; never grown, because growing re-maps keys and breaks the order of one video's events."""

MAX_BODY_BYTES = 64 * 1024
"""A body above this is refused: events point at media, they do not carry it."""

MAX_ID_CHARS = 200
"""Other producers choose ids freely; ours are UUIDs."""

SOURCE = "/video-platform"
SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"

VIDEO_INGESTED = "video.ingested.v1"
PROCESS_REQUESTED = "video.process.requested.v1"
VIDEO_PROCESSED = "video.processed.v1"
ALERT_RAISED = "alert.raised.v1"
ALERT_SUPERSEDED = "alert.superseded.v1"

NAMESPACE = uuid.UUID("6f1f9b0e-52a4-5f7e-9a53-0b1d6f3a9c11")
"""Namespace of deterministic event ids."""


def _video_id(text: str) -> str:
    if not is_video_id(text):
        raise ValueError("a video id is 16 lower-case hex digits")
    return text


def _instant(moment: datetime) -> datetime:
    """`moment` in UTC: without a zone, or beyond the calendar once converted, it could not be compared or stored."""
    if moment.tzinfo is None:
        raise ValueError("an instant carries its time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("an instant lies within the calendar, in UTC too") from error


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("text holds no NUL")
    return text


VideoId = Annotated[str, AfterValidator(_video_id)]
Instant = Annotated[datetime, AfterValidator(_instant)]
ShortText = Annotated[str, Field(max_length=1024), AfterValidator(_storable)]

MAX_SIZE_BYTES = 2**63 - 1
"""The largest integer that a database column holds."""


class VideoBody(Stored):
    """Body of `video.ingested.v1` and `video.process.requested.v1`: where the footage lies and what is known of it."""

    video_id: VideoId
    bucket: ShortText
    object_key: ShortText
    original_name: ShortText
    camera: ShortText
    recorded_at: Instant | None = None
    size_bytes: int = Field(ge=0, le=MAX_SIZE_BYTES)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    media_type: ShortText
    lane: Lane = Lane.LIVE
    force: bool = False


class ProcessedBody(Stored):
    """Body of `video.processed.v1`: tracks and alerts are there; a summary may now be written."""

    video_id: VideoId
    bucket: ShortText
    camera: ShortText
    recorded_at: Instant | None = None
    lane: Lane = Lane.LIVE
    alerts: int = Field(ge=0)
    tracks_hash: ShortText
    run_id: ShortText | None = None


class AlertBody(Stored):
    """Body of `alert.raised.v1` and `alert.superseded.v1`."""

    video_id: VideoId
    lane: Lane = Lane.LIVE
    alert: AlertRecord


Body = VideoBody | ProcessedBody | AlertBody
BODIES: Mapping[str, type[VideoBody] | type[ProcessedBody] | type[AlertBody]] = {
    VIDEO_INGESTED: VideoBody,
    PROCESS_REQUESTED: VideoBody,
    VIDEO_PROCESSED: ProcessedBody,
    ALERT_RAISED: AlertBody,
    ALERT_SUPERSEDED: AlertBody,
}
TOPIC_OF: Mapping[str, str] = {
    VIDEO_INGESTED: TOPIC_VIDEO_EVENTS,
    PROCESS_REQUESTED: TOPIC_VIDEO_EVENTS,
    VIDEO_PROCESSED: TOPIC_PROCESSED,
    ALERT_RAISED: TOPIC_ALERTS,
    ALERT_SUPERSEDED: TOPIC_ALERTS,
}


@dataclass(frozen=True)
class Message:
    """One record as the event log stores it; `headers` keep their order."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Event:
    """A decoded event; `subject` is the video id."""

    id: str
    type: str
    time: datetime
    subject: str
    body: Body

    @property
    def topic(self) -> str:
        """The topic this type of event lives on."""
        return TOPIC_OF[self.type]


def event_id(event_type: str, video_id: str, n: str | int) -> str:
    """The deterministic id of an event: the same type, video and `n` (generation, request id or content) always give the same id."""
    return str(uuid.uuid5(NAMESPACE, f"{event_type}\n{video_id}\n{n}"))


def encode(event: Event) -> Message:
    """`event` as a record; EventError when its body is larger than `MAX_BODY_BYTES`."""
    value = event.body.model_dump_json(exclude_none=True).encode()
    if len(value) > MAX_BODY_BYTES:
        raise EventError("oversize", f"the body of {event.type} for {event.subject} has {len(value)} bytes; the limit is {MAX_BODY_BYTES}", id=event.id)
    attributes = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": event.id,
        "ce_source": SOURCE,
        "ce_type": event.type,
        "ce_time": event.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "ce_subject": event.subject,
        "content-type": CONTENT_TYPE,
    }
    return Message(event.subject.encode(), value, tuple((name, text.encode()) for name, text in attributes.items()))


def decode(message: Message, accept: Sequence[str] = tuple(BODIES)) -> Event:
    """The event in a record.

    Raises:
        EventError: with `reason` one of `oversize`, `missing_header`, `unknown_type`, `malformed`, `foreign_bucket`, `foreign_key`.
    """
    if len(message.value) > MAX_BODY_BYTES:
        raise EventError("oversize", f"the body has {len(message.value)} bytes; the limit is {MAX_BODY_BYTES}")
    headers = {name.lower(): value for name, value in message.headers}
    attributes = {name: _header(headers, name) for name in ("ce_id", "ce_type", "ce_time", "ce_specversion")}
    if attributes["ce_specversion"] != SPEC_VERSION or attributes["ce_type"] not in accept:
        raise EventError("unknown_type", f"no reader for {attributes['ce_type'][:80]!r} (specversion {attributes['ce_specversion'][:20]!r})")
    try:
        time = _instant(datetime.fromisoformat(attributes["ce_time"]))
        body = BODIES[attributes["ce_type"]].model_validate(json.loads(message.value))
    except (ValidationError, ValueError, RecursionError) as error:
        raise EventError("malformed", f"the body does not follow {attributes['ce_type']}: {_first_line(error)}") from error
    if not 0 < len(attributes["ce_id"]) <= MAX_ID_CHARS or "\0" in attributes["ce_id"]:
        raise EventError("malformed", f"ce_id has 1 to {MAX_ID_CHARS} characters, none of them NUL")
    _only_our_objects(body)
    return Event(attributes["ce_id"], attributes["ce_type"], time, body.video_id, body)


def _header(headers: Mapping[str, bytes], name: str) -> str:
    try:
        return headers[name].decode()
    except (KeyError, UnicodeDecodeError, AttributeError) as error:
        raise EventError("missing_header", f"header {name} is missing or not text") from error


def _only_our_objects(body: Body) -> None:
    """An event names objects of our bucket below its own video, or it is refused: producers are not trusted."""
    if isinstance(body, AlertBody):
        if body.alert.video_id != body.video_id:
            raise EventError("foreign_key", "the alert belongs to another video")
        return
    if body.bucket != BUCKET:
        raise EventError("foreign_bucket", f"bucket {body.bucket[:80]!r} is not ours")
    if isinstance(body, VideoBody) and (
        body.sha256[:16] != body.video_id or not body.object_key.startswith(f"videos/{body.video_id}/raw_video/{body.sha256}.")
    ):
        raise EventError("foreign_key", f"object key {body.object_key[:120]!r} does not belong to video {body.video_id}")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}"
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
