"""What other programs put into the inbox of the object store: heard of on topic `s3-events`, and looked for where no notification came.

One sensor does both, so that Dagster itself sees to it that an object becomes one run: the key of a run names the object and its version. Notifications are
hints. The store is asked for every object before a run is made for it, so nothing that is only claimed costs one. The scan is the truth: it finds what was
lost on the way, works for stores that notify nobody, and asks again for what could not be taken in.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import dagster as dg

from sensors import consuming, run_numbers
from sensors.run_outcomes import UNDER_WAY
from video_platform import dead_letters, inbox, layout, s3_events
from video_platform.errors import DatabaseUnavailable, EventError, InputError, LogUnavailable, NotFound, ObjectNotFound, StoreUnavailable
from video_platform.events import TOPIC_DEAD_LETTERS, TOPIC_S3_EVENTS
from video_platform.pipeline import tags
from video_platform.pipeline.inbox import INGEST_OBJECT, run_config
from video_platform.pipeline.resources import Desk
from video_platform.services.event_log import Record
from video_platform.services.object_store import ObjectInfo, is_usable

SCAN_BUDGET_S = 10.0
"""Time for looking through the inbox in one tick, which has 60 s; the next one goes on where it ended."""

FIRST_RETRY = timedelta(seconds=60)
LONGEST_RETRY = timedelta(hours=1)
"""Waits after runs that failed double from the first to this: a full disk or a store that is away is found to be well again without a crowd of runs."""

MAX_PAST_RUNS = 50
"""Ended runs of one object that are looked at for how long to wait, and to number the next attempt."""


@dataclass(frozen=True)
class Memory:
    """The sensor's cursor: the position on the topic, when the scan may look again, and how many objects it passes over because it has seen them."""

    position: consuming.Position = field(default_factory=consuming.Position)
    scan_after: float = 0.0
    passed: int = 0

    @classmethod
    def parse(cls, cursor: str | None) -> "Memory":
        """The memory in a cursor; ValueError for one that this program did not write."""
        position = consuming.Position.parse(cursor)
        scan = json.loads(cursor).get("scan", {}) if cursor else {}
        return cls(position, float(scan.get("after", 0.0)), int(scan.get("passed", 0)))

    def dump(self) -> str:
        """As a cursor: that of every reader of a topic, and one field more."""
        scan = {"after": round(self.scan_after, 3), "passed": self.passed}
        return json.dumps({**json.loads(self.position.dump()), "scan": scan}, separators=(",", ":"))


@dataclass
class Tick:
    """What one tick found."""

    context: dg.SensorEvaluationContext
    desk: Desk
    now: datetime
    room: int
    wanted: dict[str, dg.RunRequest] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """To the tick's log and its summary."""
        self.context.log.warning(text)
        self.words.append(text)

    @property
    def full(self) -> bool:
        """Whether no further run can be asked for in this tick."""
        return len(self.wanted) >= min(self.room, consuming.MAX_EVENTS)


@dg.sensor(
    name="inbox_uploads",
    job_name=INGEST_OBJECT,  # the job itself here would make Dagster copy the sensor, with a warning
    minimum_interval_seconds=consuming.INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts ingest_object for everything that lies in the inbox of the object store.",
)
def inbox_uploads(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SensorResult | dg.SkipReason:
    """One tick."""
    return tick(context, desk, datetime.now(UTC))


def tick(context: dg.SensorEvaluationContext, desk: Desk, now: datetime) -> dg.SensorResult | dg.SkipReason:
    """One tick at `now`."""
    most = desk.settings.runs.max_queued
    room = most - context.instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    if room <= 0:
        return dg.SkipReason(f"the queue is full: {most} runs wait, so the inbox is not looked at; what lies there keeps")
    memory = Memory.parse(context.cursor)
    at = Tick(context, desk, now, room)
    position = _heard(at, memory.position)
    scan_after, passed = memory.scan_after, memory.passed
    if now.timestamp() >= scan_after or scan_after > now.timestamp() + 2 * desk.settings.objects.scan_s:  # the clock may have been set back
        passed, done = _scanned(at, passed)
        scan_after = now.timestamp() + desk.settings.objects.scan_s if done else 0.0
    requests = list(at.wanted.values())
    return dg.SensorResult(
        run_requests=requests or None,
        skip_reason=None if requests else dg.SkipReason("; ".join([*at.gaps, *at.words])[:2000] or "nothing new in the inbox"),
        asset_events=[consuming.gap_event(TOPIC_S3_EVENTS, gap) for gap in at.gaps],
        cursor=Memory(position, scan_after, passed).dump(),
    )


# ---- notifications -------------------------------------------------------------------------------------------------------------------------------------


def _heard(at: Tick, position: consuming.Position) -> consuming.Position:
    """Asks for what the next notifications speak of; the position after them, or the same one when they could not be dealt with."""
    try:
        batch = consuming.read(at.desk.platform.log, TOPIC_S3_EVENTS, position, min(consuming.MAX_EVENTS, at.room))
        keys, refused = _sorted_out(batch.records)
        _ask_for(at, keys)
    except NotFound as error:
        at.words.append(error.message)
        return position
    except (LogUnavailable, StoreUnavailable) as error:
        at.words.append(f"{error.message} (the position is kept; the next tick tries again)")
        return position
    for record, error in refused:
        at.say(f"{record.topic}/{record.partition}/{record.offset} to the dead-letter topic: {error.reason}: {error.message}")
    if refused:
        # not caught: when this fails the tick fails, the cursor stays, and all is read again
        at.desk.platform.log.append(TOPIC_DEAD_LETTERS, [_letter(record, error) for record, error in refused])
    at.gaps.extend(batch.gaps)
    for gap in batch.gaps:
        at.context.log.warning(gap)
    return batch.position


def _sorted_out(records: Sequence[Record]) -> tuple[list[str], list[tuple[Record, EventError]]]:
    """Keys to look at, each once, and what nobody can use: a message with several bad records is one letter."""
    keys: dict[str, None] = {}
    refused: list[tuple[Record, EventError]] = []
    for record in records:
        said = s3_events.read(record.message)
        keys.update(dict.fromkeys(said.keys))
        refused.extend((record, error) for error in said.refused[:1])
    return list(keys), refused


def _letter(record: Record, error: EventError) -> dead_letters.Message:
    return dead_letters.letter(
        record.message, topic=record.topic, partition=record.partition, offset=record.offset, reason=str(error.reason), detail=error.message
    )


def _ask_for(at: Tick, keys: Sequence[str]) -> None:
    for key in keys:
        try:
            _want(at, at.desk.platform.store.stat(key), 1)
        except ObjectNotFound:
            continue  # taken in before this notification was read, or never there
        except InputError:
            continue  # a name that not every store takes: the scan finds it if it is there


# ---- the scan ------------------------------------------------------------------------------------------------------------------------------------------


def _scanned(at: Tick, passed: int) -> tuple[int, bool]:
    """Asks for what lies in the inbox and nobody has in hand; how many objects the next look passes over, and whether this one came to the end."""
    end = time.monotonic() + SCAN_BUDGET_S
    try:
        busy = _places_in_hand(at.context.instance)
        for number, info in enumerate(_waiting(at)):
            if number < passed:
                continue
            if at.full or time.monotonic() > end:
                return number, False
            if inbox.identity(info).partition(".")[0] not in busy:
                _look_at(at, info)
    except (StoreUnavailable, DatabaseUnavailable) as error:
        at.words.append(f"{error.message} (the inbox is looked at again)")
    return 0, True


def _waiting(at: Tick) -> Iterator[ObjectInfo]:
    return inbox.Inbox(at.desk.platform.ingest).waiting(at.now)


def _places_in_hand(instance: dg.DagsterInstance) -> set[str]:
    runs = instance.get_runs(dg.RunsFilter(job_name=INGEST_OBJECT, statuses=UNDER_WAY))
    return {run.tags.get(tags.INBOX, "").partition(".")[0] for run in runs}


def _look_at(at: Tick, info: ObjectInfo) -> None:
    """Asks for an object that lies there: for the first time, or again because a run did not end well, or because it was put there again."""
    past = at.context.instance.get_run_records(dg.RunsFilter(job_name=INGEST_OBJECT, tags={tags.INBOX: inbox.identity(info)}), limit=MAX_PAST_RUNS)
    failures = 0
    for record in past:  # newest first
        if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
            break
        failures += 1
    if failures and at.now - _ended_at(past[0]) < min(FIRST_RETRY * 2 ** min(failures - 1, 10), LONGEST_RETRY):
        return
    if past:
        try:
            info = at.desk.platform.store.stat(info.key) if is_usable(info.key) else info
        except ObjectNotFound:
            return  # its run ended while this listing was read
    _want(at, info, max(len(past), run_numbers.highest(past, f"{_key(inbox.identity(info))}/")) + 1, found=True)


def _ended_at(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp.replace(tzinfo=UTC)


def _want(at: Tick, info: ObjectInfo, attempt: int, *, found: bool = False) -> None:
    """One run per object and version, and one more for each attempt that a look at the inbox asks for."""
    identity = inbox.identity(info)
    key = _key(identity) + (f"/{attempt}" if attempt > 1 else "")
    if any(each.tags[tags.INBOX] == identity for each in at.wanted.values()):
        return
    own = {tags.INBOX: identity, tags.PRIORITY: str(tags.INBOX_PRIORITY), tags.TOPIC: "scan" if found else TOPIC_S3_EVENTS}
    at.wanted[key] = dg.RunRequest(run_key=key, run_config=run_config(info.key), tags=own)
    if found:
        at.context.log.info(f"{quote(info.key, safe='/ ', errors='replace')} lies in the inbox and nobody has it in hand; attempt {attempt}")


def _key(identity: str) -> str:
    """The key of the first run for an object; that of a later one has the number of its attempt behind it."""
    return f"{layout.BUCKET}/{identity}"
