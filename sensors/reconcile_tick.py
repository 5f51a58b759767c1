"""What one tick of `reconcile` knows and leaves in its result, and how it sees that a request is on its way or lost."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType

from sensors import consuming
from video_platform import errors
from video_platform.events import TOPIC_PROCESSED, TOPIC_VIDEO_EVENTS
from video_platform.pipeline import tags
from video_platform.pipeline.resources import Desk
from video_platform.records import VideoRecord
from video_platform.services import object_store

QUIET = timedelta(seconds=60)
"""A video that changed later than this is in somebody's hands: a retry of its run, or a step that is just publishing."""

UNREAD = timedelta(minutes=10)
"""A request whose run left no word for this long is lost; and so is a summary that nobody asked for."""

READERS = {TOPIC_VIDEO_EVENTS: "video_events", TOPIC_PROCESSED: "processed_videos"}
"""The sensors that make runs of requests, by topic; their cursors tell which they have not seen."""

MAX_UNREAD = 1000
"""Unread events that are looked at; when there are more, whoever reads them is far behind, and every video counts as on its way."""


@dataclass
class Memory:
    """The sensor's cursor: where the round over ready videos and that over all objects go on, and the attempts for each video, or summary, that is not well.

    `lost` are events that seem to have become no run, by video: those that still do at the next tick are. Runs of a sensor's tick come after its cursor.
    """

    after: str = ""
    shard: int = 0
    attempts: dict[str, int] = field(default_factory=dict)
    summaries: dict[str, int] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, cursor: str | None) -> "Memory":
        """The memory in a cursor; one that cannot be read starts afresh."""
        try:
            stored = json.loads(cursor or "")
            attempts, summaries = ({str(key): int(value) for key, value in stored.get(name, {}).items()} for name in ("attempts", "summaries"))
            lost = {str(key): str(value) for key, value in stored.get("lost", {}).items()}
            return cls(str(stored["after"]), int(stored["shard"]), attempts, summaries, lost)
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def dump(self) -> str:
        """As a cursor."""
        return json.dumps({"v": 1, **vars(self)}, separators=(",", ":"))


@dataclass
class Tick:
    """What one tick found; everything that changes Dagster leaves in its one result."""

    context: dg.SensorEvaluationContext
    desk: Desk
    memory: Memory
    now: datetime
    busy: set[str]
    partitions: set[str]
    coming: dict[str, Callable[[str], bool]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    runs: list[dg.RunRequest] = field(default_factory=list)
    add: set[str] = field(default_factory=set)
    events: list[dg.AssetMaterialization] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    requested: int = 0

    @cached_property
    def has_room(self) -> bool:
        """Whether the store takes anything."""
        return object_store.has_room(self.desk.platform.store)

    def say(self, text: str) -> None:
        """To the tick's log and its summary."""
        self.context.log.info(text)
        self.words.append(text)

    def quiet(self, record: VideoRecord, span: timedelta = QUIET) -> bool:
        """Whether nobody has this video in hand; one that changed in the future did so before the clock was set back."""
        age = self.now - record.updated_at
        return record.video_id not in self.busy and (age >= span or age < -QUIET)

    def on_its_way(self, video_id: str, topic: str) -> bool:
        """Whether a request of a video on this topic has still to be read."""
        if topic not in self.coming:
            self.coming[topic] = _on_its_way(self.context.instance, self.desk, topic)
        return self.coming[topic](video_id)

    def is_lost(self, video_id: str, topic: str) -> bool:
        """Whether the newest event of a video on this topic became no run: it was read, or its topic lost it. Certain at the second look."""
        from video_platform.services.database import outbox

        event = outbox.newest_event(self.desk.platform.db, video_id, topic)
        if event is not None and self.context.instance.get_runs_count(dg.RunsFilter(tags={tags.VIDEO: video_id, tags.EVENT: event})):
            return False
        key = f"{video_id}@{topic}"
        if len(self.lost) < MAX_UNREAD:
            self.lost[key] = str(event)
        return self.memory.lost.get(key) == str(event)


def _on_its_way(instance: dg.DagsterInstance, desk: Desk, topic: str) -> Callable[[str], bool]:
    """Whether the request for a video waits in the outbox or lies unread on its topic; then another one would not be quicker, only one more run."""
    from video_platform.services.database import outbox

    waiting = outbox.waiting_videos(desk.platform.db, topic)
    try:
        unread = _unread(instance, desk, topic)
    except (errors.LogUnavailable, ValueError):  # nobody can read it now, or the reader stumbles over its own cursor and says so
        unread = None
    except errors.NotFound:
        unread = set()
    return (lambda _video_id: True) if unread is None else (waiting | unread).__contains__


def _unread(instance: dg.DagsterInstance, desk: Desk, topic: str) -> set[str] | None:
    """The videos of the events that the sensor of this topic has not read yet; None when there are too many to look at, or too slow to come."""
    states = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    cursors = [getattr(state.instigator_data, "cursor", None) for state in states if state.instigator_name == READERS[topic]]
    unread: set[str] | None = None
    for cursor in cursors or [None]:  # a code location that was renamed leaves the state of its sensors behind: the one that is ahead counts
        began_s = time.monotonic()
        records = consuming.read(desk.platform.log, topic, consuming.Position.parse(cursor), MAX_UNREAD).records
        if len(records) < MAX_UNREAD and time.monotonic() - began_s < consuming.BUDGET_S:  # a reading that its budget ended may have seen a part
            found = {record.message.key.decode(errors="replace") for record in records}
            unread = found if unread is None else unread & found
    return unread
