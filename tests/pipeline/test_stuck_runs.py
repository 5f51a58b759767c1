"""Runs without a process are found and started again: by Dagster's watch, asked as its daemon asks, and by the next start; on both storages of Dagster."""

import logging
import os
import sys
import time

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.auto_run_reexecution import event_log_consumer
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import consume_new_runs_for_automatic_reexecution
from dagster._daemon.monitoring import run_monitoring
from pydantic import SecretStr

from video_platform.definitions import defs
from video_platform.pipeline.instance import LOST, fail_lost_runs, open_instance
from video_platform.pipeline.jobs import PROCESS_VIDEO
from video_platform.pipeline.postgres_storage import STORAGE_VARIABLE
from video_platform.pipeline.run_host import PROCESS, boot_id, started_ticks
from video_platform.settings import DagsterSettings, RunSettings, Settings

WITHIN_S = 60
VIDEO = "0" * 16
LOG = logging.getLogger("stuck runs")
States = dg.DagsterRunStatus
GONE = f"{boot_id()}:{2**22 + 1}:1"
"""A process that cannot be: its number is above the highest that Linux gives."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def settings(request, tmp_path, monkeypatch):
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("new_postgres_database")()
        monkeypatch.setenv(STORAGE_VARIABLE, url)
    return Settings(home=tmp_path / "home", runs=RunSettings(launcher="warm"), dagster=DagsterSettings(storage_url=SecretStr(url)))


@pytest.fixture
def workspace(settings):
    """What Dagster's daemon works with: the instance, and the definitions in this process."""
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="video_platform.definitions")
    with (
        open_instance(settings) as instance,
        WorkspaceProcessContext(instance, InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(target))) as opened,
    ):
        instance.add_dynamic_partitions("videos", [VIDEO])
        yield opened


def run_of(workspace, status, **tags):
    [location] = workspace.create_request_context().code_locations
    [repository] = location.get_repositories().values()
    job = repository.get_full_job(PROCESS_VIDEO)
    run = workspace.instance.create_run_for_job(
        defs.resolve_job_def(PROCESS_VIDEO),
        tags={"dagster/partition": VIDEO, **tags},
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(),
        asset_selection=frozenset({dg.AssetKey("raw_video")}),
    )
    instance = workspace.instance
    if status is not States.NOT_STARTED:
        events = {States.STARTING: ["PIPELINE_STARTING"], States.STARTED: ["PIPELINE_STARTING", "PIPELINE_START"]}
        events[States.CANCELING] = [*events[States.STARTED], "PIPELINE_CANCELING"]
        for name in events[status]:
            instance.report_dagster_event(dg.DagsterEvent(name, run.job_name), run.run_id)
    assert instance.get_run_by_id(run.run_id).status is status
    return run


def watch(workspace, monkeypatch, later_s=0.0):
    """One look of the watch over runs and of what retries them, `later_s` from now."""
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(run_monitoring, "get_current_timestamp", lambda: real() + later_s)
        patch.setattr(run_monitoring.time, "time", lambda: real() + later_s)
        assert [error for error in run_monitoring.execute_run_monitoring_iteration(workspace, LOG) if error] == []
    records = workspace.instance.get_run_records(dg.RunsFilter(statuses=[States.FAILURE]))
    list(consume_new_runs_for_automatic_reexecution(workspace, records, LOG))


def retries(workspace, run):
    return [each for each in workspace.instance.get_runs() if each.parent_run_id == run.run_id]


def delays(settings):
    """Seconds between two looks: of the watch, and of what retries."""
    with open_instance(settings) as instance:
        return instance.run_monitoring_poll_interval_seconds, event_log_consumer._INTERVAL_SECONDS, instance.run_monitoring_start_timeout_seconds


def test_the_longest_way_from_a_lost_process_to_its_retry_is_within_a_minute(settings):
    poll_s, retry_s, start_s = delays(settings)
    assert poll_s + retry_s + start_s <= WITHIN_S


def test_a_run_whose_process_was_killed_is_retried_at_the_next_look(workspace, monkeypatch):
    run = run_of(workspace, States.STARTED, **{PROCESS: GONE})
    watch(workspace, monkeypatch)
    assert workspace.instance.get_run_by_id(run.run_id).status is States.FAILURE
    [again] = retries(workspace, run)
    assert again.tags["dagster/partition"] == VIDEO
    watch(workspace, monkeypatch)
    assert len(retries(workspace, run)) == 1


def test_a_run_whose_process_lives_is_left_alone(workspace, monkeypatch):
    run = run_of(workspace, States.STARTED, **{PROCESS: f"{boot_id()}:{os.getpid()}:{started_ticks(os.getpid())}"})
    watch(workspace, monkeypatch, later_s=3600)
    assert workspace.instance.get_run_by_id(run.run_id).status is States.STARTED


def test_a_process_number_of_before_the_machine_restarted_is_nobody(workspace, monkeypatch):
    run = run_of(workspace, States.STARTED, **{PROCESS: f"deadbeef:{os.getpid()}:{started_ticks(os.getpid())}"})
    watch(workspace, monkeypatch)
    assert len(retries(workspace, run)) == 1


@pytest.mark.parametrize("status", [States.STARTING, States.NOT_STARTED])
def test_a_launch_that_was_cut_short_is_retried_when_the_start_timed_out(workspace, settings, monkeypatch, status):
    """The launcher died between the creation of the run and its start."""
    run = run_of(workspace, status)
    watch(workspace, monkeypatch)
    assert workspace.instance.get_run_by_id(run.run_id).status is status
    watch(workspace, monkeypatch, later_s=delays(settings)[2] + 1)
    assert workspace.instance.get_run_by_id(run.run_id).status is States.FAILURE
    assert len(retries(workspace, run)) == 1


def test_a_run_that_was_being_cancelled_when_its_process_died_ends_cancelled(workspace, monkeypatch):
    run = run_of(workspace, States.CANCELING, **{PROCESS: GONE})
    watch(workspace, monkeypatch, later_s=31)
    assert workspace.instance.get_run_by_id(run.run_id).status is States.CANCELED
    assert retries(workspace, run) == []


@pytest.mark.parametrize("status", [States.STARTING, States.STARTED])
def test_the_next_start_ends_what_lost_its_process_and_it_is_retried_at_once(workspace, settings, monkeypatch, status):
    """Code server and run were killed together, or the machine restarted."""
    run = run_of(workspace, status)
    alive = run_of(workspace, States.STARTED, **{PROCESS: f"{boot_id()}:{os.getpid()}:{started_ticks(os.getpid())}"})
    assert fail_lost_runs(settings) == [run.run_id]
    assert LOST in str([event.message for event in workspace.instance.all_logs(run.run_id)])
    watch(workspace, monkeypatch)
    assert len(retries(workspace, run)) == 1
    assert workspace.instance.get_run_by_id(alive.run_id).status is States.STARTED
