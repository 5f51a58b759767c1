"""Dagster's code server, which is the parent of every run.

Before it serves, the runs that its predecessor left are told to be lost: their processes were ended with it, so nobody else will ever finish them and they
would keep their place in the queue for good. Serving in the same process saves importing Dagster twice.
"""

import logging
import sys
from typing import Any

from video_platform import local_run, logs, settings
from video_platform.supervisor.stack import LOCATION

log = logging.getLogger(__name__)


def main() -> None:
    """Mark lost runs, then serve the definitions on the socket given as the argument, until SIGTERM. No heartbeat: a busy machine must not end it.

    Two arguments are a host and a port instead, for other machines or containers: Dagster asks no name of who calls, so only where nobody else reaches it.
    """
    place = ["--socket", sys.argv[1]] if len(sys.argv) == 2 else ["--host", sys.argv[1], "--port", sys.argv[2]]
    loaded = settings.load()
    logs.configure(loaded, "code server")
    local_run.prepare_instance(loaded)
    for run_id in local_run.fail_lost_runs(loaded):
        log.warning("run %s had lost its process and was marked so", run_id)
    from dagster._cli import main as dagster

    _watch_on_after_errors()
    options = ["--use-python-environment-entry-point", "--empty-working-directory", *logs.dagster_options(loaded)]
    sys.argv = ["dagster", "api", "grpc", *place, "--module-name", LOCATION, "--location-name", LOCATION, *options]
    dagster()


def _watch_on_after_errors() -> None:
    """Have Dagster go on watching the processes of runs after a look that failed.

    Its thread (`DagsterApiServer._cleanup_thread`, dagster 1.13) dies of the first error. A run whose process met a full disk, and whose end could
    not be written down for the same reason, would seem to go on until the next start, and no other could take its place.
    """
    from dagster._grpc.server import DagsterApiServer

    name = "_check_for_orphaned_runs"
    look = getattr(DagsterApiServer, name)
    told = False

    def patient_look(server: Any) -> None:
        nonlocal told
        try:
            look(server)
            told = False
        except Exception as error:  # whatever the storage of the instance raises; the next look is half a second away
            if not told:
                told = True
                log.warning("the end of a run cannot be recorded yet: %s: %s", type(error).__name__, str(error).partition("\n")[0])

    setattr(DagsterApiServer, name, patient_look)


if __name__ == "__main__":
    main()
