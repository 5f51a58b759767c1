"""The composition root of the Dagster side: wiring only. Importing it opens nothing and imports no library that touches pixels, brokers or stores."""

import dagster as dg

import sensors
from video_platform.pipeline import assets, jobs
from video_platform.pipeline.io_managers import asset_files
from video_platform.pipeline.resources import Workplace, desk_resource


def build(workplace: Workplace | None = None) -> dg.Definitions:
    """The definitions; `workplace` says with which services, by default those of the environment's settings."""
    return dg.Definitions(
        assets=assets.ALL,
        jobs=jobs.ALL,
        sensors=sensors.ALL,
        resources={"desk": desk_resource(workplace or Workplace()), "files": asset_files},
        executor=dg.in_process_executor,
    )


defs = build()
