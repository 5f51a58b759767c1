"""The output of runs in the S3 store, so that Dagster's page shows it whichever machine or container a run had.

Dagster's own manager does the work; the address and the keys come from the platform's settings, so that neither dagster.yaml nor the environment carries them.
While a run goes on its output lies in a file of the instance and is sent every `UPLOAD_S` seconds; empty files are not sent (a store may stall on them).
"""

from collections.abc import Mapping
from pathlib import Path

import boto3
import botocore.config
from dagster._serdes import ConfigurableClassData
from dagster_aws.s3 import S3ComputeLogManager

from video_platform import settings
from video_platform.layout import BUCKET, RUN_LOGS
from video_platform.pipeline.run_logs import RunLogs
from video_platform.settings import ObjectSettings

UPLOAD_S = 10
"""How old the output may be that Dagster's page shows of a run that goes on."""

CONNECT_S = 5
READ_S = 30
ATTEMPTS = 3
"""A store that is away must not hold up a run for minutes at each of its ends."""


class ObjectLogs(S3ComputeLogManager):
    """Keeps the output of runs under `dagster-logs/` in the platform's bucket."""

    def __init__(self, objects: ObjectSettings, folder: Path, inst_data: ConfigurableClassData | None = None) -> None:
        scheme = "https" if objects.secure else "http"
        super().__init__(
            bucket=BUCKET,
            local_dir=str(folder),
            inst_data=inst_data,
            prefix=RUN_LOGS,
            use_ssl=objects.secure,
            endpoint_url=f"{scheme}://{objects.endpoint}",
            skip_empty_files=True,
            upload_interval=UPLOAD_S,
            region=objects.region,
        )
        self._s3_session = boto3.client(
            "s3",
            endpoint_url=f"{scheme}://{objects.endpoint}",
            aws_access_key_id=objects.access_key.get_secret_value(),
            aws_secret_access_key=objects.secret_key.get_secret_value(),
            region_name=objects.region,
            verify=str(objects.ca_file) if objects.ca_file else None,
            config=botocore.config.Config(
                connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": ATTEMPTS}, s3={"addressing_style": "path"}
            ),
        )
        self._local_manager = RunLogs(str(folder))

    @classmethod
    def config_type(cls) -> Mapping[str, object]:  # type: ignore[override]
        """Nothing to configure here: see the settings of the objects."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, object]) -> "ObjectLogs":
        """The manager for the store that the settings name, its unfinished files beside the instance."""
        loaded = settings.load()
        return cls(loaded.objects, RunLogs.folder(), inst_data)
