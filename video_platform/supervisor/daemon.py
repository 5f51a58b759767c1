"""Dagster's daemon: sensors, the queue, retries and the watch over runs.

Dagster (1.13) spaces the ticks of a sensor by the wall clock, and takes a tick of the future for one that was just now: after the clock is set back, no
sensor would tick until it has caught up. Here such a tick counts as long ago.
"""

import logging
import sys
import threading
from pathlib import Path
from typing import Any

from video_platform import logs
from video_platform.settings import load

log = logging.getLogger(__name__)

LOOK_S = 20.0
SILENCE_S = 120
"""A part of the daemon reports every 30 s; so long without a report is no busy machine any more."""


def main() -> None:
    """Run all daemons over the workspace file given as the argument, until SIGTERM. A second argument names a file that is touched while all of them report."""
    from dagster._daemon.cli import main as dagster

    tick_on_after_clock_jumps()
    if len(sys.argv) > 2:
        threading.Thread(target=_watch, args=(Path(sys.argv[2]),), name="alive", daemon=True).start()
    settings = load()
    logs.configure(settings, "daemon")
    sys.argv = ["dagster-daemon", "run", "-w", sys.argv[1], *logs.dagster_options(settings)]
    dagster()


def tick_on_after_clock_jumps() -> None:
    """Have a sensor whose last tick lies in the future tick now."""
    from dagster._daemon import sensor

    name = "get_elapsed"
    look = getattr(sensor, name)

    def elapsed(state: Any) -> float | None:
        found = look(state)
        return None if found is not None and found < 0 else found

    setattr(sensor, name, elapsed)


def _watch(alive: Path) -> None:
    from dagster import DagsterInstance
    from dagster._daemon.controller import all_daemons_live

    told = ""
    pause = threading.Event()
    with DagsterInstance.get() as instance:
        while not pause.wait(LOOK_S):
            try:
                if all_daemons_live(instance, heartbeat_tolerance_seconds=SILENCE_S):
                    alive.touch()
                told = ""
            except Exception as error:  # whatever its storage raises: no sign of life is what there is to say
                if told != str(error):
                    told = str(error)
                    log.warning("whether the daemon lives cannot be told: %s: %s", type(error).__name__, told.partition("\n")[0])


if __name__ == "__main__":
    main()
