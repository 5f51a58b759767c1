"""Where the output of runs and the logs of sensors' ticks are kept: files in the instance's folder, as Dagster's own manager keeps them.

Dagster's own also copies the output to the console while a run goes on, with four helper processes per run; that copy is what is left out here.
"""

import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._serdes import ConfigurableClassData

from video_platform import settings


class RunLogs(LocalComputeLogManager):
    """Keeps output in files, without copying it elsewhere."""

    @classmethod
    def config_type(cls) -> Mapping[str, object]:  # type: ignore[override]
        """Nothing to configure: the files lie in the folder `storage` of the instance."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, object]) -> "RunLogs":
        """The manager of the instance that DAGSTER_HOME names, else of the home of the settings."""
        return cls(str(cls.folder()), inst_data=inst_data)

    @staticmethod
    def folder() -> Path:
        """Where the files lie."""
        return Path(os.environ.get("DAGSTER_HOME") or settings.load().dagster_home) / "storage"

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """Sends what this process prints into the files of `log_key`."""
        out, err = (Path(self.get_captured_local_path(log_key, extension)) for extension in ("out", "err"))
        out.parent.mkdir(parents=True, exist_ok=True)
        with redirect_to_file(sys.stdout, str(out)), redirect_to_file(sys.stderr, str(err)):
            yield CapturedLogContext(log_key)
        Path(self.complete_artifact_path(log_key)).touch()
