"""Dagster's code server, which is the parent of every run.

Before it serves, the runs that its predecessor left are told to be lost: their processes were ended with it, so nobody else will ever finish them and they
would keep their place in the queue for good. Serving in the same process saves importing Dagster twice.
"""

import sys

from video_platform import local_run, settings
from video_platform.supervisor.stack import LOCATION


def main() -> None:
    """Mark lost runs, then serve the definitions on the socket given as the argument, until SIGTERM. No heartbeat: a busy machine must not end it."""
    socket = sys.argv[1]
    loaded = settings.load()
    local_run.prepare_instance(loaded)
    for run_id in local_run.fail_lost_runs(loaded):
        print(f"run {run_id} had lost its process and was marked so", flush=True)
    from dagster._cli import main as dagster

    options = ["--use-python-environment-entry-point", "--empty-working-directory"]
    sys.argv = ["dagster", "api", "grpc", "--socket", socket, "--module-name", LOCATION, "--location-name", LOCATION, *options]
    dagster()


if __name__ == "__main__":
    main()
