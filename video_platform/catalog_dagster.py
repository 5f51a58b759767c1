"""What Dagster's own catalogue knows of a video: materialisations, runs and its partition.

The instance is opened on first use and only when there is one: a fresh home has none, and everything here then answers "nothing" instead of failing.
Importing this module does not import Dagster.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from video_platform.dagster_now import DagsterNow, look
from video_platform.dagster_storage import opening
from video_platform.layout import ASSETS

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

LOGGER = logging.getLogger(__name__)

PARTITIONS_NAME = "videos"
"""Name of the dynamic partitions definition; one key per video."""

PARTITION_TAG = "dagster/partition"
"""Tag that Dagster puts on every run of a partition."""

REUSED_METADATA = "reused"
"""Metadata entry of a materialisation: the stored files were handed on because their fingerprint was still right."""

CACHE_S = 2.0
"""How long an answer is given again: a page asks several times for one video while it is drawn, and a person does not see two seconds."""

MAX_CACHED = 2_000
"""Answers kept at once; a page shows at most some hundred videos."""

HISTORY_PER_ASSET = 1
"""Materialisations read per asset: the newest says which run made or confirmed what is shown."""

CANCEL_WAIT_S = 15.0
"""How long `forget` waits for cancelled runs to end; a run polls for its end about once a second and closes its child process at once."""

CANCEL_POLL_S = 0.25

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Materialisation:
    """The newest event that says an asset of a video is there."""

    asset: str
    run_id: str
    at: datetime
    reused: bool


@dataclass(frozen=True)
class RunView:
    """One run of a video; instants are UTC, None while they have not come."""

    run_id: str
    job: str
    status: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    live: bool


class DagsterCatalog:
    """Read access to the Dagster instance in `home`, and the two writes that forgetting a video needs.

    Safe to call from several threads. `home` is a folder with a `dagster.yaml`.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._instance: DagsterInstance | None = None
        self._lock = threading.Lock()
        self._cache: dict[tuple[str, str], tuple[float, object]] = {}

    def available(self) -> bool:
        """Whether there is an instance to ask."""
        return (self._home / "dagster.yaml").is_file()

    def materialisations(self, video_id: str) -> dict[str, Materialisation]:
        """The newest materialisation of each asset of `video_id`: asset name -> event; empty when nothing is known."""
        return self._cached("materialisations", video_id, lambda instance: _materialisations(instance, video_id), {})

    def runs(self, video_id: str, limit: int = 20) -> list[RunView]:
        """The newest runs of `video_id`, newest first."""
        return self._cached(f"runs:{limit}", video_id, lambda instance: _runs(instance, video_id, limit), [])

    def held_s(self, run_ids: Sequence[str]) -> dict[str, float]:
        """Run id -> seconds from leaving the queue to its end; left out are runs that no queue launched, that have not ended well, or that are forgotten."""
        return self._cached("held", "\n".join(sorted(run_ids)), lambda instance: _held_s(instance, run_ids), {})

    def now(self) -> DagsterNow | None:
        """Runs under way, sensors and daemons as they are now; None when there is no instance, or it does not answer."""
        return self._cached("now", "", look, None)

    def forget(self, video_id: str) -> list[str]:
        """Cancel the live runs of `video_id`, wait for their end, remove its partition; the ids of the runs that were cancelled."""
        instance = self._open()
        if instance is None:
            return []
        live = _live_runs(instance, video_id)
        for run in live:
            _cancel(instance, run)
        _await_end(instance, video_id)
        if instance.has_dynamic_partition(PARTITIONS_NAME, video_id):
            instance.delete_dynamic_partition(PARTITIONS_NAME, video_id)
        with self._lock:
            self._cache = {key: value for key, value in self._cache.items() if key[1] != video_id}
        return [run.run_id for run in live]

    def close(self) -> None:
        """Let go of the instance; the next question opens it again."""
        with self._lock:
            instance, self._instance = self._instance, None
            self._cache.clear()
        if instance is not None:
            instance.dispose()

    def _cached(self, kind: str, video_id: str, ask: "Callable[[DagsterInstance], Answer]", nothing: Answer) -> Answer:
        now = time.monotonic()
        with self._lock:
            kept = self._cache.get((kind, video_id))
        if kept is not None and now - kept[0] < CACHE_S:
            return kept[1]  # type: ignore[return-value]
        try:
            instance = self._open()
            answer = nothing if instance is None else ask(instance)
        except Exception:
            # The page must come up while Dagster's storage is locked, migrated or away; its facts are extra.
            LOGGER.warning("Dagster's catalogue did not answer for video %s", video_id, exc_info=True)
            answer = nothing
        with self._lock:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[(kind, video_id)] = (now, answer)
        return answer

    def _open(self) -> "DagsterInstance | None":
        with self._lock:
            if self._instance is None and self.available():
                # dagster.yaml may name DAGSTER_HOME, and run launchers hand it on to their children.
                os.environ.setdefault("DAGSTER_HOME", str(self._home))
                from dagster import DagsterInstance

                with opening(self._home):
                    self._instance = DagsterInstance.from_config(str(self._home))
            return self._instance


def _materialisations(instance: "DagsterInstance", video_id: str) -> dict[str, Materialisation]:
    from dagster import AssetKey, AssetRecordsFilter

    found: dict[str, Materialisation] = {}
    for asset in ASSETS:
        wanted = AssetRecordsFilter(asset_key=AssetKey(asset), asset_partitions=[video_id])
        for record in instance.fetch_materializations(wanted, limit=HISTORY_PER_ASSET).records:
            materialisation = record.asset_materialization
            reused = materialisation is not None and getattr(materialisation.metadata.get(REUSED_METADATA), "value", False) is True
            found[asset] = Materialisation(asset, record.run_id, datetime.fromtimestamp(record.timestamp, UTC), reused)
    return found


def _runs(instance: "DagsterInstance", video_id: str, limit: int) -> list[RunView]:
    from dagster import RunsFilter

    records = instance.get_run_records(RunsFilter(tags={PARTITION_TAG: video_id}), limit=limit)
    return [
        RunView(
            run_id=record.dagster_run.run_id,
            job=record.dagster_run.job_name,
            status=record.dagster_run.status.value.lower(),
            created_at=record.create_timestamp.replace(tzinfo=record.create_timestamp.tzinfo or UTC),
            started_at=_instant(record.start_time),
            ended_at=_instant(record.end_time),
            live=not record.dagster_run.is_finished,
        )
        for record in records
    ]


def _held_s(instance: "DagsterInstance", run_ids: Sequence[str]) -> dict[str, float]:
    from dagster import DagsterEventType, DagsterRunStatus, RunsFilter

    found: dict[str, float] = {}
    for record in instance.get_run_records(RunsFilter(run_ids=list(run_ids), statuses=[DagsterRunStatus.SUCCESS])) if run_ids else ():
        run_id = record.dagster_run.run_id
        begun = instance.get_records_for_run(run_id, of_type=DagsterEventType.PIPELINE_STARTING, limit=1).records
        if begun and record.end_time is not None:
            found[run_id] = max(0.0, record.end_time - begun[0].timestamp)
    return found


def _instant(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


def _live_runs(instance: "DagsterInstance", video_id: str) -> "list[DagsterRun]":
    from dagster import DagsterRunStatus, RunsFilter

    unfinished: Iterable[DagsterRunStatus] = (
        DagsterRunStatus.QUEUED,
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
        DagsterRunStatus.CANCELING,
    )
    return [record.dagster_run for record in instance.get_run_records(RunsFilter(tags={PARTITION_TAG: video_id}, statuses=list(unfinished)))]


def _cancel(instance: "DagsterInstance", run: "DagsterRun") -> None:
    """End one run; a run whose process cannot be reached is written down as cancelled, so that nothing waits for it."""
    try:
        reached = instance.run_coordinator.cancel_run(run.run_id)
    except Exception:
        LOGGER.warning("run %s could not be reached for cancelling", run.run_id, exc_info=True)
        reached = False
    if not reached:
        current = instance.get_run_by_id(run.run_id)
        if current is not None and not current.is_finished:
            instance.report_run_canceled(current, message="The video was deleted and the process of this run could not be reached.")


def _await_end(instance: "DagsterInstance", video_id: str) -> None:
    deadline = time.monotonic() + CANCEL_WAIT_S
    while _live_runs(instance, video_id):
        if time.monotonic() > deadline:
            LOGGER.warning("runs of the deleted video %s are still ending; the reconcile sensor removes what they leave", video_id)
            return
        time.sleep(CANCEL_POLL_S)
