"""Reading a topic from a Dagster sensor, with exactly one run per event whatever is killed when.

There is no consumer group: the position lies in the sensor's cursor, which Dagster stores together with the run requests of the tick before it starts any
of them. A tick that is replayed asks for the same run keys. What cannot be used goes to the dead-letter topic before the cursor moves.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import dagster as dg

from video_platform import dead_letters
from video_platform.errors import DatabaseUnavailable, EventError, LogUnavailable, NotFound, OffsetOutOfRange
from video_platform.events import PARTITIONS, TOPIC_DEAD_LETTERS, Event, decode
from video_platform.layout import RAW_VIDEO
from video_platform.pipeline import tags
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.resources import Desk
from video_platform.records import VideoRecord, VideoState
from video_platform.services.event_log import EventLog, Record

MAX_EVENTS = 100
"""Events per tick: Dagster asks its database once per partition key and makes each run one by one, about 0.1 s each; a tick has 60 s."""

BUDGET_S = 10.0
"""Time for reading the log in a tick, far below the 60 s after which the daemon gives up on a sensor."""

INTERVAL_S = 1
"""Least seconds between two ticks; the daemon's own loop takes about 5."""

CURSOR_VERSION = 1


@dataclass(frozen=True)
class Position:
    """Where reading goes on: the identity of the topic, and per partition the next offset."""

    topic_id: str = ""
    next: dict[int, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, cursor: str | None) -> "Position":
        """The position in a cursor; ValueError for a cursor that this program did not write."""
        if not cursor:
            return cls()
        stored = json.loads(cursor)
        if not isinstance(stored, dict) or stored.get("v") != CURSOR_VERSION:
            raise ValueError(f"cursor {cursor[:200]!r} has another version than {CURSOR_VERSION}; reset the sensor's cursor to read from the beginning")
        return cls(stored["topic"], {int(partition): offset for partition, offset in stored["next"].items()})

    def dump(self) -> str:
        """As a cursor."""
        following = {str(partition): offset for partition, offset in sorted(self.next.items())}
        return json.dumps({"v": CURSOR_VERSION, "topic": self.topic_id, "next": following}, separators=(",", ":"))

    def after(self, records: Sequence[Record]) -> "Position":
        """The position when `records` have been dealt with."""
        following = dict(self.next)
        for record in records:
            following[record.partition] = max(following.get(record.partition, 0), record.offset + 1)
        return Position(self.topic_id, following)


@dataclass(frozen=True)
class Batch:
    """What one tick read; `gaps` are sentences about events that the log no longer holds."""

    records: list[Record]
    position: Position
    gaps: list[str]


def read(log: EventLog, topic: str, position: Position, limit: int) -> Batch:
    """The next records of `topic`. A topic that was recreated, or that forgot what comes next, is read from its beginning, and that is reported."""
    topic_id = log.topic_id(topic)
    gaps = []
    if position.topic_id and position.topic_id != topic_id:
        gaps.append(f"topic {topic} was recreated; reading starts at its beginning (before: {position.dump()})")
        position = Position(topic_id)
    position = Position(topic_id, {**log.begin_offsets(topic), **position.next})
    for _ in range(PARTITIONS + 1):
        try:
            records = log.read(topic, position.next, limit=limit, budget_s=BUDGET_S)
        except OffsetOutOfRange as error:
            begin = int(str(error.begin))
            gaps.append(f"{topic}/{error.partition}: offset {error.offset} is not held; reading goes on at {begin} of {begin} to {error.end}")
            position = Position(topic_id, {**position.next, int(str(error.partition)): begin})
        else:
            return Batch(records, position.after(records), gaps)
    raise LogUnavailable(f"the offsets of topic {topic} change faster than they can be read; the next tick tries again", topic=topic)


RunFor = Callable[[Event, VideoRecord, dict[str, str]], dg.RunRequest]
"""The run that an event asks for; the last argument are the tags that every such run carries."""


def consume(context: dg.SensorEvaluationContext, desk: Desk, topic: str, accept: Sequence[str], run_for: RunFor) -> dg.SensorResult | dg.SkipReason:
    """One tick over `topic`: run requests, partitions and the moved cursor in one result."""
    room = desk.settings.runs.max_queued - context.instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    if room <= 0:
        return dg.SkipReason(f"the queue is full: {desk.settings.runs.max_queued} runs wait, so topic {topic} is not read; its events keep")
    try:
        batch = read(desk.platform.log, topic, Position.parse(context.cursor), min(MAX_EVENTS, room))
        wanted, refused, words = _sorted_out(desk, batch.records, accept)
    except NotFound as error:
        return dg.SkipReason(error.message)
    except (LogUnavailable, DatabaseUnavailable) as error:
        return dg.SkipReason(f"{error.message} (the position is kept; the next tick tries again)")
    for record, error in refused:
        words.append(f"{record.topic}/{record.partition}/{record.offset} to the dead-letter topic: {error.reason}: {error.message}")
    if refused:
        # not caught: when this fails the tick fails, the cursor stays, and all is read again
        desk.platform.log.append(TOPIC_DEAD_LETTERS, [_letter(record, error) for record, error in refused])
    requests = _requests(wanted, run_for)
    for line in [*batch.gaps, *words]:
        context.log.warning(line)
    return dg.SensorResult(
        run_requests=requests or None,
        skip_reason=None if requests else dg.SkipReason("; ".join([*batch.gaps, *words])[:2000] or f"nothing new on topic {topic}"),
        dynamic_partitions_requests=[VIDEOS.build_add_request(sorted({str(request.partition_key) for request in requests}))] if requests else None,
        asset_events=[gap_event(topic, gap) for gap in batch.gaps],
        cursor=batch.position.dump(),
    )


Wanted = list[tuple[Record, Event, VideoRecord]]
Refused = list[tuple[Record, EventError]]


def _sorted_out(desk: Desk, records: Sequence[Record], accept: Sequence[str]) -> tuple[Wanted, Refused, list[str]]:
    """What asks for a run, what nobody can use, and words about what needs neither."""
    from video_platform.services.database import videos

    wanted: Wanted = []
    refused: Refused = []
    words: list[str] = []
    for record in records:
        try:
            event = decode(record.message, accept)
            video = videos.get(desk.platform.db, event.subject)
            if video is None:
                # a run for an unknown partition would hold the cursor for ever
                raise EventError("unknown_video", f"video {event.subject} is not in the database; take the file in with `vp ingest`")
        except EventError as error:
            refused.append((record, error))
            continue
        if video.state is VideoState.DELETED:
            words.append(f"{event.type} {event.id}: video {event.subject} was deleted meanwhile")
        else:
            wanted.append((record, event, video))
    return wanted, refused, words


def _requests(wanted: Wanted, run_for: RunFor) -> list[dg.RunRequest]:
    """One request per run key: the same event twice in one tick is one run."""
    found: dict[str, dg.RunRequest] = {}
    for record, event, video in wanted:
        common = {
            tags.CAMERA: video.camera,
            tags.EVENT: event.id,
            tags.TOPIC: record.topic,
            tags.PARTITION: str(record.partition),
            tags.OFFSET: str(record.offset),
        }
        request = run_for(event, video, common)
        found.setdefault(str(request.run_key), request)
    return list(found.values())


def run_key(event: Event) -> str:
    """One run per event of a video; the id of an event is deterministic, so a producer's repeat is the same run."""
    return f"{event.subject}@{event.id}"


def _letter(record: Record, error: EventError) -> dead_letters.Message:
    return dead_letters.letter(
        record.message, topic=record.topic, partition=record.partition, offset=record.offset, reason=str(error.reason), detail=error.message
    )


def gap_event(topic: str, gap: str) -> dg.AssetObservation:
    """What Dagster's catalogue hears of a gap."""
    return dg.AssetObservation(asset_key=RAW_VIDEO, description=gap, metadata={"topic": topic})
