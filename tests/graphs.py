"""Runs of the graph of one home in this process, for the tests of the pipeline and the sensors."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import seeded

from video_platform.definitions import build
from video_platform.events import TOPIC_DEAD_LETTERS
from video_platform.ingest import Ingest
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.jobs import PROCESS_AND_DESCRIBE
from video_platform.pipeline.resources import Desk, Workplace
from video_platform.settings import Settings

TESTS = Path(__file__).parent
CROSSING = TESTS.parent / "samples" / "crossing.mp4"


@dataclass
class Graph:
    """Runs of one home's graph; each run sees the settings as they are then."""

    settings: Settings
    workplace_type: type[Workplace] = Workplace

    def run(self, video_id, assets=None, *, job=PROCESS_AND_DESCRIBE, tags=None, run_config=None, **settings):
        workplace = self.workplace_type(self.settings.model_copy(update=settings))
        try:
            with open_instance(self.settings) as instance:
                instance.add_dynamic_partitions("videos", [video_id])
                return (
                    build(workplace)
                    .resolve_job_def(job)
                    .execute_in_process(
                        instance=instance,
                        partition_key=video_id,
                        asset_selection=[dg.AssetKey(asset) for asset in assets] if assets else None,
                        tags=tags,
                        run_config=run_config,
                        raise_on_error=False,
                    )
                )
        finally:
            workplace.close()

    def platform(self):
        return Workplace(self.settings).platform


def apply(graph, text):
    """Make these rules the active ones of its home."""
    with graph.platform() as platform:
        seeded.apply(platform, text)


def materialised(result):
    """`(asset, partition or None, "made" or "reused")` of all that a run told Dagster of, in that order."""
    for event in result.all_events:
        if event.is_step_materialization:
            told = event.step_materialization_data.materialization
            yield told.asset_key.path[-1], told.partition, "reused" if told.metadata["reused"].value else "made"


def states(result):
    """Asset -> "made" or "reused", of what was materialised."""
    return {asset: state for asset, _, state in materialised(result)}


def made(result):
    return {asset for asset, state in states(result).items() if state == "made"}


def tick(home, ticks=1, point="-"):
    """Iterations of Dagster's sensor loop over all sensors, in a process of its own that is killed at `point`; see sensors/ticking.py."""
    environment = {**os.environ, "VIDEO_PLATFORM_HOME": str(home), "PYTHONPATH": str(TESTS.parent)}
    done = subprocess.run(
        [sys.executable, TESTS / "sensors" / "ticking.py", home, str(ticks), point], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == (0 if point == "-" else -signal.SIGKILL), done.stderr[-3000:]


class Ticking:
    """A sensor ticked by hand, its cursor kept between ticks."""

    def __init__(self, settings, sensor):
        self.workplace = Workplace(settings)
        platform = self.workplace.platform
        platform.ingest = Ingest(settings, platform.db, platform.store, announced=platform.announce)  # no relay process runs here
        self.sensor = sensor
        self.cursor = None
        self.instance = open_instance(settings)

    def tick(self):
        desk = Desk(self.workplace, None, False)
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources={"desk": desk})
        with context:
            result = self.sensor(context)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
        return result

    def letters(self):
        """The messages on the dead-letter topic."""
        return [record.message for record in self.workplace.platform.log.read(TOPIC_DEAD_LETTERS, {}, limit=100, budget_s=5)]

    def close(self):
        self.workplace.close()
        self.instance.dispose()
