import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from video_platform.pipeline import instance, tags
from video_platform.records import Lane
from video_platform.settings import RunSettings, Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path, runs=RunSettings(live_slots=3, request_slots=2, backfill_slots=1, llm_slots=2))


def test_the_files_at_the_top_of_the_repository_are_those_of_the_default_settings(tmp_path):
    assert (ROOT / "dagster.yaml").read_text() == instance.dagster_yaml(Settings(home=tmp_path))
    assert (ROOT / "workspace.yaml").read_text() == instance.workspace_yaml()


def test_dagster_takes_every_key(settings):
    instance.prepare_instance(settings)
    with instance.open_instance(settings) as opened:
        queue = opened.get_concurrency_config().run_queue_config
        assert queue.max_concurrent_runs == 10
        limits = {(limit["key"], str(limit.get("value"))): limit["limit"] for limit in queue.tag_concurrency_limits}
        assert limits["vp/lane", "live"] == 3
        assert limits["vp/inbox", "None"] == 2
        assert limits["dagster/partition", "{'applyLimitPerUniqueValue': True}"] == 1
        assert queue.max_user_code_failure_retries == 1000
        assert {limit.name: limit.limit for limit in opened.event_log_storage.get_pool_limits()} == {"llm": 2}
        assert opened.run_retries_enabled
        assert opened.run_retries_max_retries == 2
        assert not opened.run_retries_retry_on_asset_or_op_failure
        assert opened.run_monitoring_enabled
        assert not opened.telemetry_enabled


def test_slots_follow_the_settings(settings):
    instance.prepare_instance(settings)
    more = settings.model_copy(update={"runs": settings.runs.model_copy(update={"llm_slots": 5})})
    instance.prepare_instance(more)
    with instance.open_instance(more) as opened:
        assert {limit.name: limit.limit for limit in opened.event_log_storage.get_pool_limits()} == {"llm": 5}


@dg.job
def nothing():
    pass


class Queue:
    """Runs of this instance, and which of them Dagster's own coordinator would launch next."""

    def __init__(self, instance):
        self.instance = instance

    def add(self, lane, count, status=dg.DagsterRunStatus.QUEUED):
        own = {tags.LANE: lane.value, tags.PRIORITY: str(tags.PROCESS_PRIORITY[lane])}
        origin = RemoteJobOrigin(REPOSITORY, nothing.name)
        return [self.instance.create_run_for_job(nothing, status=status, tags=own, remote_job_origin=origin).run_id for _ in range(count)]

    def next(self):
        daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
        return [run.run_id for run in daemon._get_runs_to_dequeue(self.instance, self.instance.get_concurrency_config(), None)]


REPOSITORY = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="video_platform.definitions")), "__repository__")


def test_a_backfill_never_has_the_slot_of_a_live_video(settings):
    instance.prepare_instance(settings)
    with instance.open_instance(settings) as opened:
        queue, goes_on = Queue(opened), dg.DagsterRunStatus.STARTED
        history = queue.add(Lane.BACKFILL, 30)
        assert queue.next() == history[:1], "as many as it has slots, although nobody else wants any"
        queue.add(Lane.BACKFILL, 1, goes_on)
        queue.add(Lane.REQUEST, 2, goes_on)
        assert queue.next() == []
        live = queue.add(Lane.LIVE, 4)
        assert queue.next() == live[:3], "what came after thirty others goes at once, into all slots of its own"


def test_a_live_video_never_has_the_slot_of_a_backfill(settings):
    instance.prepare_instance(settings)
    with instance.open_instance(settings) as opened:
        queue = Queue(opened)
        queue.add(Lane.LIVE, 3, dg.DagsterRunStatus.STARTED)
        queue.add(Lane.LIVE, 30)
        history = queue.add(Lane.BACKFILL, 2)
        assert queue.next() == history[:1], "a stream of live videos does not stop the past for ever"


def test_the_address_of_postgresql_stays_out_of_the_file(settings):
    with_database = Settings(home=settings.home, dagster={"storage_url": "postgresql+psycopg2://u:secret@db/dagster"})
    text = instance.dagster_yaml(with_database)
    assert "secret" not in text
    assert "postgres_storage" in text


def test_runs_whose_process_is_gone_are_ended(settings):
    instance.prepare_instance(settings)
    with instance.open_instance(settings) as opened:

        @dg.job
        def nothing():
            pass

        lost = opened.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
        cancelling = opened.create_run_for_job(nothing, status=dg.DagsterRunStatus.CANCELING)
        waiting = opened.create_run_for_job(nothing, status=dg.DagsterRunStatus.NOT_STARTED)
    assert set(instance.fail_lost_runs(settings)) == {lost.run_id, cancelling.run_id}
    with instance.open_instance(settings) as opened:
        assert opened.get_run_by_id(lost.run_id).status is dg.DagsterRunStatus.FAILURE
        assert opened.get_run_by_id(cancelling.run_id).status is dg.DagsterRunStatus.CANCELED
        assert opened.get_run_by_id(waiting.run_id).status is dg.DagsterRunStatus.NOT_STARTED


OPENERS = {
    "code server": "local_run.prepare_instance(loaded)",
    "web app": "assert DagsterCatalog(loaded.dagster_home)._open() is not None",
}
OPENER = """
import sys
import dagster
from video_platform import local_run, settings
from video_platform.catalog_dagster import DagsterCatalog
loaded = settings.load()
print("set", flush=True)
sys.stdin.readline()
{opens}
"""


def test_a_fresh_storage_that_several_open_at_once_is_made_once(settings, monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(settings.home))
    programs = [[sys.executable, "-c", OPENER.format(opens=opens)] for opens in OPENERS.values() for _ in range(2)]
    opening = [subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for program in programs]
    for process in opening:
        assert process.stdout.readline() == "set\n", process.stderr.read()
    instance.write_instance(settings)
    for process in opening:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in opening]
    assert [code for _, code in ended] == [0] * len(ended), next(error for error, code in ended if code)
    with instance.open_instance(settings) as opened:
        assert opened.get_runs_count() == 0
