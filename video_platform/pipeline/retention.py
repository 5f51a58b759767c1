"""What is no result and is forgotten after a time: Dagster's records of ended runs with their logs, and events that were read.

A run may go once its results stand in manifests, which is before it ends, and once no event that started it can be read again. What Dagster knew of the newest
versions goes with it; the reconcile sensor reports those again, without a run.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from video_platform import events, operations
from video_platform.dagster_now import SensorNow, read_sensors
from video_platform.errors import NotFound, OffsetOutOfRange
from video_platform.services.event_log import EventLog
from video_platform.settings import Settings

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

RUNS_AT_ONCE = 100
"""Runs that are asked for at once, oldest first."""

EVENTS_AT_ONCE = 1000
"""Events per topic that one tick looks at: at a tick each minute, far more than a machine can make."""

READ_S = 3.0


def forget_runs(instance: dg.DagsterInstance, now: datetime, keep: timedelta, budget_s: float) -> int:
    """Delete runs that ended longer ago than `keep`, oldest first, until the time is used up; returns how many."""
    deadline, gone = time.monotonic() + budget_s, 0
    while time.monotonic() < deadline:
        filters = dg.RunsFilter(statuses=ENDED, updated_before=now - keep)
        runs = [record.dagster_run for record in instance.get_run_records(filters, limit=RUNS_AT_ONCE, ascending=True)]
        for run in runs:
            instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            instance.delete_run(run.run_id)
            gone += 1
            if time.monotonic() > deadline:
                break
        if len(runs) < RUNS_AT_ONCE:
            break
    return gone


def forget_tick_logs(settings: Settings, now: datetime, keep: timedelta, budget_s: float) -> int:
    """Delete what sensors logged longer ago than `keep`: Dagster forgets ticks, but not the files that they wrote. Returns how many files."""
    deadline, gone = time.monotonic() + budget_s, 0
    before = (now - keep).timestamp()
    for path in _files(settings.dagster_home / "storage"):
        if time.monotonic() > deadline:
            break
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def forget_events(instance: dg.DagsterInstance, log: EventLog, now: datetime, keep: timedelta) -> int:
    """Trim each topic of the embedded log to what is younger than `keep` or was not read yet; returns how many events went."""
    sensors = {sensor.name: sensor for sensor in read_sensors(instance)}
    return sum(_trim(log, topic, sensors, now - keep) for topic in events.TOPICS)


def _trim(log: EventLog, topic: str, sensors: Mapping[str, SensorNow], before: datetime) -> int:
    try:
        begin = log.begin_offsets(topic)
        old = log.read(topic, begin, limit=EVENTS_AT_ONCE, budget_s=READ_S)
    except (NotFound, OffsetOutOfRange):
        return 0
    read = None
    if reader := operations.READERS.get(topic):
        read = operations.position(log, topic, sensors[reader].cursor if reader in sensors else None)
    following = dict(begin)
    for record in old:
        unread = read is not None and record.offset >= read.get(record.partition, 0)
        if record.offset == following[record.partition] and record.timestamp < before and not unread:
            following[record.partition] = record.offset + 1
    gone = sum(following[partition] - begin[partition] for partition in begin)
    if gone:
        log.trim(topic, following)
    return gone


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else iter(())
