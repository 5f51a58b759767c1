"""The warm launcher with a real host: runs that succeed, fail, are cancelled, die; a host that dies, is away, or whose code changes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from graphs import CROSSING
from running import wait

from video_platform.definitions import defs
from video_platform.layout import RAW_VIDEO
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.jobs import PROCESS_VIDEO
from video_platform.pipeline.run_host import PROCESS
from video_platform.platform import open_platform
from video_platform.settings import RunSettings, Settings

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120


@dataclass
class Host:
    """A run host of one home, and runs that are launched on it."""

    settings: Settings
    instance: dg.DagsterInstance
    code: Path = ROOT
    process: subprocess.Popen | None = None

    @property
    def log(self):
        return self.settings.home / "host.log"

    def start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VIDEO_PLATFORM_")}
        environment |= {"VIDEO_PLATFORM_HOME": str(self.settings.home), "DAGSTER_HOME": str(self.settings.dagster_home), "PYTHONPATH": str(self.code)}
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "video_platform.pipeline.run_host"]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.settings.home)
        wait(lambda: b"ready" in self.log.read_bytes(), DEADLINE_S, "the host to be ready")

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(10)

    def ingest(self, path):
        with open_platform(self.settings) as platform:
            video_id = platform.ingest.ingest_path(path, announce=False).video_id
        self.instance.add_dynamic_partitions("videos", [video_id])
        return video_id

    def launch(self, video_id, assets=(RAW_VIDEO,)):
        origin = ReconstructableRepository.for_module("video_platform.definitions", "defs", str(self.code)).get_reconstructable_job(PROCESS_VIDEO)
        run = self.instance.create_run_for_job(
            defs.resolve_job_def(PROCESS_VIDEO),
            tags={"dagster/partition": video_id},
            job_code_origin=origin.get_python_origin(),
            asset_selection=frozenset(dg.AssetKey(asset) for asset in assets) if assets else None,
            status=dg.DagsterRunStatus.STARTING,
        )
        self.instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
        return run.run_id

    def ended(self, run_id):
        return wait(lambda: (run := self.instance.get_run_by_id(run_id)).is_finished and run, DEADLINE_S, f"run {run_id} to end").status

    def process_of(self, run_id):
        tag = wait(lambda: self.instance.get_run_by_id(run_id).tags.get(PROCESS), DEADLINE_S, "the run's process")
        return psutil.Process(int(tag.split(":")[1]))

    def decoding(self, run_id):
        """The run's process once it has a child that decodes."""
        process = self.process_of(run_id)
        return process, wait(lambda: process.children(), DEADLINE_S, "the analysis child")[0]


@pytest.fixture
def host(tmp_path):
    settings = Settings(home=tmp_path / "home", runs=RunSettings(launcher="warm"))
    with open_instance(settings) as instance:
        made = Host(settings, instance)
        yield made
        if made.process is not None and made.process.poll() is None:
            made.stop(signal.SIGKILL)


def test_a_run_succeeds_and_one_on_bad_footage_fails(host, tmp_path):
    host.start()
    begun = time.monotonic()
    assert host.ended(host.launch(host.ingest(CROSSING))) is dg.DagsterRunStatus.SUCCESS
    print(f"{time.monotonic() - begun:.1f} s with a load of {os.getloadavg()[0]:.1f}")
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    assert host.ended(host.launch(host.ingest(bad))) is dg.DagsterRunStatus.FAILURE
    host.stop()
    assert host.process.returncode == 0


def test_a_cancelled_run_ends_with_its_child(host):
    host.start()
    run_id = host.launch(host.ingest(CROSSING), assets=None)
    _, child = host.decoding(run_id)
    assert host.instance.run_launcher.terminate(run_id)
    assert host.ended(run_id) is dg.DagsterRunStatus.CANCELED
    wait(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, DEADLINE_S, "the child to end")
    assert not host.instance.run_launcher.terminate(run_id)


def test_a_killed_run_is_seen_and_can_be_cancelled(host):
    host.start()
    run_id = host.launch(host.ingest(CROSSING), assets=None)
    process, _ = host.decoding(run_id)
    launcher = host.instance.run_launcher
    assert launcher.check_run_worker_health(host.instance.get_run_by_id(run_id)).status is WorkerStatus.RUNNING
    process.kill()

    def dead():
        found = launcher.check_run_worker_health(host.instance.get_run_by_id(run_id))
        return found if found.status is WorkerStatus.FAILED else None

    assert "gone" in wait(dead, DEADLINE_S, "the death to show").msg
    assert launcher.terminate(run_id)
    assert host.ended(run_id) is dg.DagsterRunStatus.CANCELED


def test_a_run_outlives_its_host_and_a_new_host_serves(host):
    host.start()
    video_id = host.ingest(CROSSING)
    run_id = host.launch(video_id)
    host.process_of(run_id)
    host.stop(signal.SIGKILL)
    assert host.ended(run_id) is dg.DagsterRunStatus.SUCCESS
    with pytest.raises(DagsterUserCodeUnreachableError, match="run host"):
        host.launch(video_id)
    host.log.unlink()
    host.start()
    assert host.ended(host.launch(video_id)) is dg.DagsterRunStatus.SUCCESS


def test_changed_code_is_taken_up_and_broken_code_sends_the_run_back(host, tmp_path):
    host.code = tmp_path / "code"
    for package in ("video_platform", "sensors"):
        shutil.copytree(ROOT / package, host.code / package, ignore=shutil.ignore_patterns("__pycache__"))
    host.start()
    video_id = host.ingest(CROSSING)
    changed = host.code / "video_platform" / "recipes.py"
    changed.write_text(changed.read_text().replace('RAW_VIDEO: "1"', 'RAW_VIDEO: "99"'))
    assert host.ended(host.launch(video_id)) is dg.DagsterRunStatus.SUCCESS
    event = host.instance.get_latest_materialization_event(dg.AssetKey(RAW_VIDEO))
    assert "dagster/code_version" in event.asset_materialization.tags
    assert event.asset_materialization.tags["dagster/code_version"] == "99"
    changed.write_text("this is no Python")
    with pytest.raises(DagsterUserCodeUnreachableError):
        host.launch(video_id)
    assert host.process.wait(DEADLINE_S) != 0


def test_nonsense_on_the_socket_changes_nothing(host):
    import socket

    from video_platform.pipeline.run_host import socket_address

    host.start()
    with socket_address(host.settings.dagster_home) as address, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(b'{"run": []}\n')
        assert connection.makefile("rb").readline() == b""
    assert host.ended(host.launch(host.ingest(CROSSING))) is dg.DagsterRunStatus.SUCCESS
