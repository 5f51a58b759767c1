"""The process of a run in a container, without the container: it succeeds, and it ends with its child once the records say that it is to be cancelled."""

import os
import subprocess
import sys

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value
from graphs import CROSSING
from running import wait

from video_platform.definitions import defs
from video_platform.layout import RAW_VIDEO
from video_platform.pipeline.docker_launcher import COMMAND
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.jobs import PROCESS_VIDEO
from video_platform.platform import open_platform
from video_platform.settings import Settings

DEADLINE_S = 120


@pytest.fixture
def started(tmp_path):
    """Starts a run of the sample: the instance, the run's id and its process; a process that is left is ended."""
    settings = Settings(home=tmp_path / "home")
    processes = []
    with open_platform(settings) as platform:
        video_id = platform.ingest.ingest_path(CROSSING, announce=False).video_id
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions("videos", [video_id])

        def start(assets):
            origin = ReconstructableRepository.for_module("video_platform.definitions", "defs").get_reconstructable_job(PROCESS_VIDEO).get_python_origin()
            run = instance.create_run_for_job(
                defs.resolve_job_def(PROCESS_VIDEO),
                tags={"dagster/partition": video_id},
                job_code_origin=origin,
                asset_selection=frozenset(dg.AssetKey(asset) for asset in assets) if assets else None,
                status=dg.DagsterRunStatus.STARTING,
            )
            asked = ExecuteRunArgs(job_origin=origin, run_id=run.run_id, instance_ref=instance.get_ref())
            environment = {name: value for name, value in os.environ.items() if not name.startswith("VIDEO_PLATFORM_")}
            environment |= {"VIDEO_PLATFORM_HOME": str(settings.home), "DAGSTER_HOME": str(settings.dagster_home), "PYTHONPATH": os.pathsep.join(sys.path)}
            with (tmp_path / "run.log").open("wb") as log:
                command = [sys.executable, *COMMAND[1:], serialize_value(asked)]
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path))
            return instance, run.run_id, psutil.Process(processes[-1].pid)

        yield start
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def status_at_end(instance, run_id):
    return wait(lambda: (run := instance.get_run_by_id(run_id)).is_finished and run, DEADLINE_S, "the run to end").status


def test_a_run_succeeds_and_its_process_ends(started):
    instance, run_id, process = started([RAW_VIDEO])
    assert status_at_end(instance, run_id) is dg.DagsterRunStatus.SUCCESS
    wait(lambda: process.status() == psutil.STATUS_ZOMBIE, DEADLINE_S, "the process to end")


def test_a_run_that_the_records_cancel_ends_with_its_child(started):
    instance, run_id, process = started(None)
    child = wait(process.children, DEADLINE_S, "the analysis child")[0]
    instance.report_run_canceling(instance.get_run_by_id(run_id))
    assert status_at_end(instance, run_id) is dg.DagsterRunStatus.CANCELED
    wait(lambda: process.status() == psutil.STATUS_ZOMBIE, DEADLINE_S, "the process to end")
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
