"""The whole graph for one video in this process, without a daemon: `vp process`. The only bridge from the CLI to the definitions.

The run is recorded in the Dagster instance of the home, so it shows on Dagster's pages and in the catalogue like any other.
"""

import contextlib
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO

from video_platform.errors import FULL_TEXTS, NotFound, StoreFull, is_full
from video_platform.layout import ASSETS
from video_platform.pipeline.graph import step_of
from video_platform.pipeline.instance import fail_lost_runs, open_instance, prepare_instance, set_pool_slots, write_instance
from video_platform.records import Manifest, VideoRecord, VideoState
from video_platform.settings import Settings
from video_platform.supervisor import lock
from video_platform.units import MIB

if TYPE_CHECKING:
    from dagster import ExecuteInProcessResult

    from video_platform.pipeline.resources import Workplace
    from video_platform.platform import Platform

__all__ = ["LocalOutcome", "StepOutcome", "fail_lost_runs", "prepare_instance", "process", "write_instance"]

RELAY_ROWS = 500
"""Events and notifications that are sent at the end of a local run; what is more waits for the relay of `vp up`."""

DAGSTERS_CRY = "Exception while writing logger call to event log"
"""How Dagster begins what it writes to standard error, SQL and all, when its own records meet a full disk; the error itself arrives here too."""

ROOM_BYTES = 64 * MIB
"""With less than this left, a run whose end could not even be written down is taken to have met the full disk; scratch that is gone again leaves some."""

INTERRUPTED_HERE = "Processing was interrupted. Run the command again: what is done is reused."

State = Literal["made", "reused", "failed", "skipped"]


@dataclass(frozen=True)
class StepOutcome:
    """How one asset of the video fared; `wall_s` is the time of its step, which assets of one pass share.

    `holds` is the state that the asset itself names among its facts, such as `not_transcribed`; empty where it names none.
    """

    asset: str
    state: State
    wall_s: float = 0.0
    holds: str = ""


@dataclass(frozen=True)
class LocalOutcome:
    """How the run went; `failure_code` and `failure_message` are those of the video, or of its summary when that alone failed; None on success."""

    run_id: str
    success: bool
    steps: list[StepOutcome] = field(default_factory=list)
    failure_code: str | None = None
    failure_message: str | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the run was ended from outside: a fault of the video or of the program has a code of its own."""
        from video_platform.pipeline.failures import INTERRUPTED

        return not self.success and self.failure_code in (None, INTERRUPTED)


def process(
    settings: Settings, video_id: str, *, force: bool = False, notify: bool = False, on_event: Callable[[StepOutcome], None] | None = None
) -> LocalOutcome:
    """Runs every step for `video_id` and waits for the end; `on_event` hears of each asset as soon as it is published, and at the end of each that is not.

    Raises:
        HomeLocked: `vp up` or another `vp process` runs on this home.
        NotFound: no such video was taken in.
        StoreFull: the disk of the home filled up under the run; the next one completes it.
    """
    from video_platform.pipeline.resources import Workplace

    with _full_disk_said(settings), lock.hold(settings.lock_file, "vp process"):
        workplace = Workplace(settings, on_published=_listener(on_event))
        try:
            outcome = _run(workplace, video_id, force=force, notify=notify)
        finally:
            workplace.close()
    if on_event is not None:
        for each in outcome.steps:
            if each.state in ("failed", "skipped"):
                on_event(each)
    return outcome


@contextmanager
def _full_disk_said(settings: Settings) -> Iterator[None]:
    """Whatever meets the full disk first (Dagster's records, SQLite, a file), it is said as StoreFull."""
    try:
        yield
    except Exception as error:
        if isinstance(error, StoreFull) or not is_full(error):
            raise
        raise _full(settings) from error


class _WithoutDagstersCry:
    """Standard error without the lines that tell a person nothing; see `DAGSTERS_CRY`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return len(text) if text.startswith(DAGSTERS_CRY) else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _met_full_disk(settings: Settings, failures: list[str]) -> bool:
    """Whether a run that failed without a word from its steps did so because the disk is full; the words may have been lost for the same reason."""
    if any(words in text for text in failures for words in FULL_TEXTS):
        return True
    unsaid = not failures or any("disk I/O error" in text for text in failures)
    return unsaid and shutil.disk_usage(settings.home).free < ROOM_BYTES


def _full(settings: Settings) -> StoreFull:
    return StoreFull(f"no space is left in {settings.home}; free some and run the command again: what is done is reused", path=str(settings.home))


def _listener(on_event: Callable[[StepOutcome], None] | None) -> Callable[[Manifest, bool, float], None]:
    def published(manifest: Manifest, reused: bool, wall_s: float) -> None:
        if on_event is not None:
            on_event(StepOutcome(manifest.asset, "reused" if reused else "made", wall_s, str(manifest.facts.get("state", ""))))

    return published


def _run(workplace: "Workplace", video_id: str, *, force: bool, notify: bool) -> LocalOutcome:
    from video_platform.definitions import build
    from video_platform.pipeline import tags
    from video_platform.pipeline.assets.configuration import report_changes
    from video_platform.pipeline.failures import INTERRUPTED, failure_code
    from video_platform.pipeline.jobs import PROCESS_AND_DESCRIBE
    from video_platform.pipeline.partitions import VIDEOS
    from video_platform.pipeline.resources import Desk
    from video_platform.services.database import outbox, videos

    platform = workplace.platform
    record = videos.get(platform.db, video_id)
    if record is None:
        raise NotFound(f"no video {video_id} is known here; take the file in first", video_id=video_id)
    run_tags = {tags.LANE: record.lane.value, tags.CAMERA: record.camera, tags.FORCE: str(force).lower(), tags.NOTIFY: str(notify).lower()}
    with open_instance(workplace.settings) as instance:
        set_pool_slots(instance, workplace.settings)
        instance.add_dynamic_partitions(str(VIDEOS.name), [video_id])
        report_changes(instance, Desk(workplace, None, force=False))
        job = build(workplace).resolve_job_def(PROCESS_AND_DESCRIBE)
        debug = logging.getLogger().isEnabledFor(logging.DEBUG)
        console = {"loggers": {"console": {"config": {"log_level": "INFO" if debug else "CRITICAL"}}}}
        quiet = contextlib.nullcontext() if debug else contextlib.redirect_stderr(_WithoutDagstersCry(sys.stderr))  # type: ignore[type-var]
        try:
            with quiet:
                result = job.execute_in_process(instance=instance, partition_key=video_id, tags=run_tags, run_config=console, raise_on_error=False)
        finally:
            _settle(platform, video_id)
    outbox.let_go_of_video(platform.db, video_id)  # whatever kept it from a second look, nobody is left here to wait
    platform.relay.drain(datetime.now(UTC), RELAY_ROWS)
    after = videos.get(platform.db, video_id)
    failed = None if result.success else after
    if failed and failed.failure_code in (None, INTERRUPTED) and _met_full_disk(platform.settings, _failures(result)):
        full = _full(platform.settings)
        if failed.failure_code is not None:
            videos.failed(platform.db, video_id, None, failure_code(full), full.message)
        raise full
    return LocalOutcome(result.run_id, result.success, _steps(result), *_failure(failed))


def _failure(record: VideoRecord | None) -> tuple[str | None, str | None]:
    """Code and message of the video that the run did not bring to its end; a video that is ready lacks only its summary."""
    if record is None:
        return None, None
    if record.failure_code is None and record.summary_failure_code is not None:
        return record.summary_failure_code, f"the summary could not be written, everything else stands: {record.summary_failure_message}"
    return record.failure_code, record.failure_message


def _settle(platform: "Platform", video_id: str) -> None:
    """A run that ended in the middle (Ctrl-C) leaves no video that seems to be worked on."""
    from video_platform.pipeline.failures import INTERRUPTED
    from video_platform.services.database import videos

    record = videos.get(platform.db, video_id)
    if record is not None and record.state is VideoState.PROCESSING:
        videos.failed(platform.db, video_id, None, INTERRUPTED, INTERRUPTED_HERE)


def _failures(result: "ExecuteInProcessResult") -> list[str]:
    """What Dagster kept of the errors of this run."""
    found = [getattr(event.event_specific_data, "error", None) for event in result.all_events if event.is_failure]
    return [error.to_string() for error in found if error is not None]


def _steps(result: "ExecuteInProcessResult") -> list[StepOutcome]:
    """One outcome per asset, in the order of the graph."""
    from dagster import JsonMetadataValue

    walls: dict[str, float] = {}
    holds: dict[str, str] = {}
    states: dict[str, State] = {}
    failed: set[str] = set()
    for event in result.all_events:
        if event.is_step_success:
            walls[str(event.step_key)] = event.step_success_data.duration_ms / 1000
        if event.is_step_failure:
            failed.add(str(event.step_key))
        if event.is_step_materialization:
            materialization = event.step_materialization_data.materialization
            asset = materialization.asset_key.path[-1]
            reused, facts = (materialization.metadata.get(name) for name in ("reused", "facts"))
            states[asset] = "reused" if reused is not None and reused.value else "made"
            holds[asset] = str(facts.value.get("state", "")) if isinstance(facts, JsonMetadataValue) and isinstance(facts.value, dict) else ""
    for asset in ASSETS:
        states.setdefault(asset, "failed" if step_of(asset) in failed else "skipped")
    return [StepOutcome(asset, states[asset], walls.get(step_of(asset), 0.0), holds.get(asset, "")) for asset in ASSETS]
