"""The process of a run that has a container of its own: Dagster's command, and beside it a look every two seconds whether the run is to be cancelled.

Dagster's command looks for that only in its hosted service; without it a run in a container would work on until its end.
"""

import logging
import os
import signal
import sys
import threading

from dagster import DagsterInstance, DagsterRunStatus
from dagster._cli.api import api_cli
from dagster._core.instance import InstanceRef
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import deserialize_value

LOGGER = logging.getLogger(__name__)

LOOK_S = 2.0


def main(arguments: str) -> None:
    """Execute the run that `arguments` (a serialised ExecuteRunArgs) names; a cancellation in Dagster's records interrupts it like Ctrl-C."""
    asked = deserialize_value(arguments, ExecuteRunArgs)
    assert asked.instance_ref is not None, "the launcher says which instance"
    over = threading.Event()
    threading.Thread(target=_heed, args=(asked.instance_ref, asked.run_id, over), name="cancellation", daemon=True).start()
    try:
        api_cli(["execute_run", arguments], standalone_mode=False)
    finally:
        over.set()


def _heed(instance_ref: InstanceRef, run_id: str, over: threading.Event) -> None:
    """Interrupt this process once the run is to be cancelled; records that cannot be read are asked again."""
    with DagsterInstance.from_ref(instance_ref) as instance:
        while not over.wait(LOOK_S):
            try:
                run = instance.get_run_by_id(run_id)
            except Exception as error:
                LOGGER.warning("whether run %s is cancelled cannot be read now: %s", run_id, error)
                continue
            if run is not None and run.status in (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED):
                os.kill(os.getpid(), signal.SIGINT)
                return


if __name__ == "__main__":
    main(sys.argv[1])
