"""The Dagster instance of a home: its `dagster.yaml` and `workspace.yaml`, written from the settings, and what has to be in its database."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from video_platform.dagster_storage import opening
from video_platform.pipeline import tags
from video_platform.records import Lane
from video_platform.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

LLM_POOL = "llm"
"""Pool of the steps that ask a language model."""

DEFINITIONS_MODULE = "video_platform.definitions"

HEADER = """\
# Dagster's instance settings, written by video_platform.pipeline.instance from the platform's settings.
# In a home this file is written again on every start; change the settings (docs/settings.md), not the file.
"""

START_TIMEOUT_S = {"default": 40, "warm": 40, "docker": 180}
"""When a run that was launched and has not begun is given up; a container may have to wait for its image."""

LOST = "The process of this run was gone when the platform started."


def dagster_yaml(settings: Settings, folder: Path | None = None) -> str:
    """The text of `dagster.yaml` for the instance in `folder`; without one, for that which DAGSTER_HOME names."""
    return HEADER + yaml.safe_dump(_configuration(settings, folder), sort_keys=False, width=120)


def workspace_yaml() -> str:
    """The text of `workspace.yaml`: the one code location, named like `dagster -m video_platform.definitions` names it."""
    module = {"module_name": DEFINITIONS_MODULE, "location_name": DEFINITIONS_MODULE}
    return yaml.safe_dump({"load_from": [{"python_module": module}]}, sort_keys=False)


def write_instance(settings: Settings) -> Path:
    """Writes `dagster.yaml` and `workspace.yaml` into the instance's folder, each only when its text changes; returns the folder."""
    folder = settings.dagster_home
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("dagster.yaml", dagster_yaml(settings, folder)), ("workspace.yaml", workspace_yaml())):
        path = folder / name
        if path.exists() and path.read_text() == text:
            continue
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(text)
        fresh.replace(path)
    return folder


def open_instance(settings: Settings) -> "DagsterInstance":
    """The instance of this home, its files written first; close it with `dispose()`. What this process prints is not captured."""
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef

    quiet = {"compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}}
    folder = write_instance(settings)
    with opening(folder):
        return DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=quiet))


def prepare_instance(settings: Settings) -> None:
    """Makes the instance ready for daemons: its files, its database, and the slots of each pool (a default would be ignored by the first dequeue)."""
    with open_instance(settings) as instance:
        set_pool_slots(instance, settings)


def set_pool_slots(instance: "DagsterInstance", settings: Settings) -> None:
    """Sets the slots of each pool where they differ from the settings."""
    limits = {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()}
    if limits.get(LLM_POOL) != settings.runs.llm_slots:
        instance.event_log_storage.set_concurrency_slots(LLM_POOL, settings.runs.llm_slots)


def fail_lost_runs(settings: Settings) -> list[str]:
    """Ends the runs whose process cannot be alive any more, so that they are retried and no slot stays taken; the ids of those runs.

    Only for the moment before the code server of this home starts: a run that is under way then has lost its process, unless the run host forked it,
    because those live on without a code server. Runs in containers of their own do too: Dagster's monitoring asks the engine for those.
    """
    from dagster import DagsterRunStatus, RunsFilter

    from video_platform.pipeline.run_host import live_process

    if settings.runs.launcher == "docker":
        return []
    ended = []
    with open_instance(settings) as instance:
        under_way = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
        for run in instance.get_runs(RunsFilter(statuses=under_way)):
            if live_process(run.tags) is not None:
                continue
            if run.status is DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run, LOST)
            else:
                instance.report_run_failed(run, LOST)
            ended.append(run.run_id)
    return ended


def _configuration(settings: Settings, folder: Path | None) -> dict[str, object]:
    return {
        **_storage(settings, folder),
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # its page would greet every new browser with a newsletter form over what was asked for
        "compute_logs": _logs(settings),
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {
                "dequeue_interval_seconds": 1,
                "dequeue_use_threads": True,
                "dequeue_num_workers": 4,
                # a code server that restarts must not fail the runs that wait
                "max_user_code_failure_retries": 1000,
                "user_code_failure_retry_delay": 5,
            },
        },
        **_launcher(settings),
        "concurrency": {
            "runs": {"max_concurrent_runs": _slots(settings), "tag_concurrency_limits": _tag_limits(settings)},
            "pools": {"default_limit": settings.runs.llm_slots, "granularity": "run"},
        },
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 10,
            "start_timeout_seconds": START_TIMEOUT_S[settings.runs.launcher],
            "cancel_timeout_seconds": 30,
            "free_slots_after_run_end_seconds": 30,
        },
        # of runs only what died is retried; errors of a step are retried in the step (pipeline/failures.py)
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        # num_submit_workers stays unset: it lets two runs with one run key through
        "sensors": {"use_threads": True, "num_workers": 4},
        "retention": {"sensor": {"purge_after_days": {"skipped": 2, "success": 30, "failure": 30}}},
    }


def _storage(settings: Settings, folder: Path | None) -> Mapping[str, object]:
    if settings.dagster.storage_url.get_secret_value():
        return {"storage": {"custom": {"module": "video_platform.pipeline.postgres_storage", "class": "Storage", "config": {}}}}
    place = {"env": "DAGSTER_HOME"} if folder is None else str(folder)
    return {"storage": {"custom": {"module": "video_platform.pipeline.sqlite_storage", "class": "Storage", "config": {"base_dir": place}}}}


def _logs(settings: Settings) -> Mapping[str, object]:
    if settings.runs.logs == "objects":
        return {"module": "video_platform.pipeline.object_logs", "class": "ObjectLogs"}
    return {"module": "video_platform.pipeline.run_logs", "class": "RunLogs"}


def _launcher(settings: Settings) -> Mapping[str, object]:
    if settings.runs.launcher == "warm":
        return {"run_launcher": {"module": "video_platform.pipeline.launcher", "class": "WarmLauncher"}}
    if settings.runs.launcher == "docker":
        memory = {"memory_bytes": settings.runs.container_memory_bytes}
        return {"run_launcher": {"module": "video_platform.pipeline.docker_launcher", "class": "ContainerLauncher", "config": memory}}
    return {}


def _slots(settings: Settings) -> int:
    runs = settings.runs
    return runs.live_slots + runs.request_slots + runs.backfill_slots + runs.llm_slots + runs.inbox_slots


def _tag_limits(settings: Settings) -> list[dict[str, object]]:
    runs = settings.runs
    lanes = {Lane.LIVE: runs.live_slots, Lane.REQUEST: runs.request_slots, Lane.BACKFILL: runs.backfill_slots}
    return [
        {"key": tags.VIDEO, "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
        {"key": tags.BACKFILL, "limit": runs.backfill_slots},
        {"key": tags.INBOX, "limit": runs.inbox_slots},
        *({"key": tags.LANE, "value": lane.value, "limit": slots} for lane, slots in lanes.items()),
    ]
