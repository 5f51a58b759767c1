"""What whoever operates the platform looks at: what waits where, what goes on, what failed and why. Every answer costs a bounded number of queries."""

import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from video_platform import layout
from video_platform.catalog import Catalog
from video_platform.dagster_now import DagsterNow
from video_platform.errors import NotFound, PlatformError
from video_platform.events import TOPIC_DEAD_LETTERS, TOPIC_PROCESSED, TOPIC_S3_EVENTS, TOPIC_VIDEO_EVENTS
from video_platform.platform import Platform
from video_platform.records import VideoRecord, VideoState
from video_platform.services.database import measures, outbox, troubles, videos
from video_platform.services.database.outbox import Pending
from video_platform.services.event_log import EventLog

READERS: Mapping[str, str] = {TOPIC_VIDEO_EVENTS: "video_events", TOPIC_PROCESSED: "processed_videos", TOPIC_S3_EVENTS: "inbox_uploads"}
"""Topic -> the sensor that reads it, whose cursor says how far it is."""

RECENT_VIDEOS = 20
"""Newest finished videos whose manifests say how long steps take at present."""


@dataclass(frozen=True)
class Lag:
    """How far the reader of a topic is behind: `unread` events of those the topic holds; None when it cannot be told."""

    topic: str
    sensor: str
    unread: int | None


@dataclass(frozen=True)
class StepTimes:
    """How long one asset took for the newest videos, in seconds, and how many times faster than the footage plays (median, where known)."""

    asset: str
    count: int
    median_s: float
    longest_s: float
    real_time_factor: float | None


@dataclass(frozen=True)
class Failed:
    """Videos that failed, newest change first, and how many there are in all; of ready ones whose summary failed `summary` is true."""

    items: list[VideoRecord]
    total: int


@dataclass(frozen=True)
class Disk:
    """Bytes: free where the home lies, and taken by what grows there; None for what lies elsewhere."""

    free: int
    total: int
    database: int | None
    events: int | None


class Operations:
    """The answers, over the services of one home; safe to share between threads."""

    def __init__(self, platform: Platform, catalog: Catalog) -> None:
        self._platform, self._catalog = platform, catalog

    def dagster(self) -> DagsterNow | None:
        """Runs, sensors and daemons; None when Dagster's storage does not answer."""
        return self._catalog.dagster.now()

    def lags(self, now: DagsterNow | None) -> list[Lag]:
        """How far each reading sensor is behind its topic."""
        cursors = {sensor.name: sensor.cursor for sensor in now.sensors} if now else {}
        return [Lag(topic, sensor, self._unread(topic, cursors.get(sensor))) for topic, sensor in READERS.items()]

    def _unread(self, topic: str, cursor: str | None) -> int | None:
        try:
            return unread(self._platform.log, topic, cursor)
        except PlatformError:
            return None

    def dead_letters(self) -> int | None:
        """Letters on the dead-letter topic, copies included; None when the log does not answer."""
        return self._held(TOPIC_DEAD_LETTERS)

    def _held(self, topic: str) -> int | None:
        try:
            return sum(self._platform.log.end_offsets(topic).values()) - sum(self._platform.log.begin_offsets(topic).values())
        except NotFound:
            return 0
        except PlatformError:
            return None

    def outbox(self) -> Pending:
        """What has not left yet."""
        return outbox.pending(self._platform.db)

    def tallies(self) -> measures.Tallies:
        """Counts over all videos, alerts and deliveries."""
        return measures.tallies(self._platform.db)

    def step_totals(self) -> dict[str, measures.StepTotals]:
        """What each step has taken since counting began."""
        return measures.steps(self._platform.db)

    def step_times(self, recent: int = RECENT_VIDEOS) -> list[StepTimes]:
        """How long each step takes at present, from the manifests of the newest finished videos, in the order of the graph."""
        records, _ = videos.page(self._platform.db, states=(VideoState.READY,), limit=recent)
        found = self._catalog.manifests([(record.video_id, asset) for record in records for asset in layout.ASSETS])
        times: list[StepTimes] = []
        for asset in layout.ASSETS:
            costs = [manifest.cost for (_, name), manifest in found.items() if name == asset and manifest is not None]
            if costs:
                walls, factors = [cost.wall_s for cost in costs], [cost.real_time_factor for cost in costs if cost.real_time_factor]
                times.append(StepTimes(asset, len(costs), statistics.median(walls), max(walls), statistics.median(factors) if factors else None))
        return times

    def failed(self, *, quarantined: bool | None = None, limit: int = 10, offset: int = 0) -> Failed:
        """Videos that failed; only the quarantined ones, only the others, or all."""
        return Failed(*troubles.failed(self._platform.db, quarantined=quarantined, limit=limit, offset=offset))

    def summaries_failed(self, limit: int = 10) -> Failed:
        """Ready videos whose summary could not be written."""
        return Failed(*troubles.without_summary(self._platform.db, limit=limit))

    def names(self, video_ids: Sequence[str]) -> dict[str, VideoRecord]:
        """The records of these videos, as far as they are known."""
        return troubles.records(self._platform.db, video_ids)

    def disk(self) -> Disk:
        """What is left, and what the files of the home take."""
        usage = shutil.disk_usage(self._platform.settings.home)
        file = self._platform.settings.event_log_file
        names = (file, file.with_name(f"{file.name}-wal"))
        events = sum(path.stat().st_size for path in names if path.exists()) if self._platform.settings.event_log.kind == "sqlite" else None
        return Disk(usage.free, usage.total, measures.disk_bytes(self._platform.db), events)


def position(log: EventLog, topic: str, cursor: str | None) -> dict[int, int]:
    """The next offset of each partition that the reader with this cursor wants; nothing for a cursor that is missing or of another topic."""
    try:
        stored = json.loads(cursor or "{}")
        if stored.get("topic") != log.topic_id(topic):
            return {}
        return {int(partition): int(offset) for partition, offset in stored.get("next", {}).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def unread(log: EventLog, topic: str, cursor: str | None) -> int:
    """Events of `topic` that the reader with this cursor has not dealt with; all of them for a cursor that is missing or of another topic.

    Raises:
        LogUnavailable: the log does not answer.
    """
    try:
        begin, end = log.begin_offsets(topic), log.end_offsets(topic)
        following = position(log, topic, cursor)
    except NotFound:
        return 0
    return sum(max(0, last - max(following.get(partition, first), first)) for partition, last in end.items() for first in [begin.get(partition, 0)])
