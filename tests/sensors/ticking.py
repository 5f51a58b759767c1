"""Iterations of Dagster's sensor loop over the definitions, in a process of its own that may be killed at a named point of a tick.

python ticking.py HOME TICKS POINT          POINT: one of Dagster's own debug points, PARTITIONS_ADDED, or - for none
"""

import logging
import os
import signal
import sys
import time

from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.sensor import execute_sensor_iteration

from sensors.consuming import INTERVAL_S
from video_platform.pipeline.instance import open_instance
from video_platform.settings import Settings

SENSOR = "video_events"


def main(home: str, ticks: str, point: str) -> None:
    os.environ["VIDEO_PLATFORM_HOME"] = home
    settings = Settings(home=home)
    with open_instance(settings) as instance:
        if point == "PARTITIONS_ADDED":
            add = instance.add_dynamic_partitions

            def add_and_die(*args, **kwargs):
                add(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)

            instance.add_dynamic_partitions = add_and_die
        target = LoadableTargetOrigin(executable_path=sys.executable, module_name="video_platform.definitions")
        with WorkspaceProcessContext(instance, InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(target))) as workspace:
            for n in range(int(ticks)):
                if n:
                    time.sleep(INTERVAL_S)  # the loop leaves a sensor alone that ticked less than its interval ago
                flags = {SENSOR: {point: signal.SIGKILL}} if point != "-" else None
                list(execute_sensor_iteration(workspace, logging.getLogger("ticks"), None, None, None, debug_crash_flags=flags))


if __name__ == "__main__":
    main(*sys.argv[1:])
