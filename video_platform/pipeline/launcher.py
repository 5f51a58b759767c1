"""The warm launcher: hands runs to the run host of this home. It keeps no state; which process a run has stands in a tag of the run.

So daemon, web server and CLI can all launch, cancel and check, and any of them may be restarted while runs go on.
"""

import json
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from video_platform.pipeline.run_host import live_process, socket_address

ANSWER_S = 30.0
"""A host that replaces itself because files changed imports everything again, some seconds on a busy machine."""


class WarmLauncher(RunLauncher, ConfigurableClass):
    """Launches runs through the run host; needs `python -m video_platform.pipeline.run_host` running with the same DAGSTER_HOME."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """How Dagster finds this class again."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Mapping[str, object]:  # type: ignore[override]
        """Nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, object]) -> "WarmLauncher":
        """The launcher of an instance."""
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Has the host start the run; when it is away the run goes back to the queue."""
        run_id = context.dagster_run.run_id
        try:
            with socket_address(Path(self._instance.root_directory)) as address, socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ANSWER_S)
                connection.connect(address)
                connection.sendall(json.dumps({"run_id": run_id}).encode() + b"\n")
                with connection.makefile("rb") as lines:
                    int(json.loads(lines.readline())["pid"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DagsterUserCodeUnreachableError(f"the run host does not answer ({type(error).__name__}: {error}); `vp up` starts it") from error

    def terminate(self, run_id: str) -> bool:
        """Asks the run's process to end; a run whose process is gone is cancelled at once. False when there is nothing to cancel."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        pid = self._pid(run)
        if pid is None:
            self._instance.report_run_canceled(run, "The process of this run is gone.")
            return True
        os.kill(pid, signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's run monitoring asks, so that a run whose process died does not keep its slot."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run is alive."""
        if self._pid(run) is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of this run is gone")

    def _pid(self, run: DagsterRun) -> int | None:
        """The run's process while it is that very one and alive."""
        fresh = self._instance.get_run_by_id(run.run_id)
        return live_process((fresh or run).tags)
