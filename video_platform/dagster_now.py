"""What Dagster is doing at this moment: runs under way, sensors, daemons. Read from its storage, so that it is known while its processes are dead."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance

PARTITION_TAG = "dagster/partition"
LANE_TAG = "vp/lane"
"""Tags of every run of ours (see pipeline/tags.py)."""

MAX_RUNS = 1000
"""Runs under way that are looked at: twice the queue that sensors keep by default."""

DESCRIBE = "describe"
"""What stands in the place of a lane for runs that only write a summary."""


@dataclass(frozen=True)
class RunNow:
    """One run that waits or goes on; `video_id` is empty for one that belongs to no video."""

    run_id: str
    job: str
    video_id: str
    lane: str
    status: str
    created_at: datetime
    started_at: datetime | None

    @property
    def waits(self) -> bool:
        """Whether nothing has begun."""
        return self.status in ("queued", "not_started")


@dataclass(frozen=True)
class SensorNow:
    """One sensor; `ticked_at` is the end of its last tick, `error` what that failed with."""

    name: str
    running: bool
    ticked_at: datetime | None
    cursor: str | None
    error: str | None


@dataclass(frozen=True)
class DaemonNow:
    """One of Dagster's daemons, when it was last alive and what it complained of."""

    name: str
    alive_at: datetime
    errors: tuple[str, ...]


@dataclass(frozen=True)
class DagsterNow:
    """All of it at one moment; runs oldest first, at most `MAX_RUNS`."""

    runs: list[RunNow]
    sensors: list[SensorNow]
    daemons: list[DaemonNow]

    def runs_by(self) -> dict[tuple[str, str], int]:
        """How many runs there are by status and lane."""
        return dict(Counter((run.status, run.lane) for run in self.runs))


def look(instance: "DagsterInstance") -> DagsterNow:
    """A look at this instance; a dozen queries, whatever there is."""
    return DagsterNow(_runs(instance), read_sensors(instance), _daemons(instance))


def _runs(instance: "DagsterInstance") -> list[RunNow]:
    from dagster import DagsterRunStatus, RunsFilter

    under_way = [
        DagsterRunStatus.QUEUED,
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
        DagsterRunStatus.CANCELING,
    ]
    records = instance.get_run_records(RunsFilter(statuses=under_way), limit=MAX_RUNS, ascending=True)
    return [
        RunNow(
            run_id=record.dagster_run.run_id,
            job=record.dagster_run.job_name,
            video_id=record.dagster_run.tags.get(PARTITION_TAG, ""),
            lane=record.dagster_run.tags.get(LANE_TAG, DESCRIBE if DESCRIBE in record.dagster_run.job_name else ""),
            status=record.dagster_run.status.value.lower(),
            created_at=record.create_timestamp.replace(tzinfo=record.create_timestamp.tzinfo or UTC),
            started_at=None if record.start_time is None else datetime.fromtimestamp(record.start_time, UTC),
        )
        for record in records
    ]


def read_sensors(instance: "DagsterInstance") -> list[SensorNow]:
    """Every sensor that ever ticked, by name."""
    from dagster import SensorDefinition  # noqa: F401  (the package must be whole before its parts are asked for)
    from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType, SensorInstigatorData, TickStatus

    newest: dict[str, SensorNow] = {}
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if not isinstance(data, SensorInstigatorData):
            continue
        ticked_at = None if data.last_tick_timestamp is None else datetime.fromtimestamp(data.last_tick_timestamp, UTC)
        known = newest.get(state.instigator_name)
        if known is not None and known.ticked_at is not None and (ticked_at is None or ticked_at <= known.ticked_at):
            continue  # a code location that was renamed leaves the states of its sensors behind
        last = next(iter(instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)), None)
        failed = last is not None and last.status is TickStatus.FAILURE
        error = (last.error.message.strip().splitlines() or ["unknown"])[0][:500] if failed and last and last.error else None
        running = state.status is not InstigatorStatus.STOPPED
        newest[state.instigator_name] = SensorNow(state.instigator_name, running, ticked_at, data.cursor, error)
    return [newest[name] for name in sorted(newest)]


def _daemons(instance: "DagsterInstance") -> list[DaemonNow]:
    found = []
    for name, beat in sorted(instance.get_daemon_heartbeats().items()):
        errors = tuple((error.message.strip().splitlines() or ["unknown"])[0][:500] for error in beat.errors or ())
        found.append(DaemonNow(name.lower(), datetime.fromtimestamp(beat.timestamp, UTC), errors))
    return found
