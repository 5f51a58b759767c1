"""Dagster's daemon: sensors, the queue, retries and the watch over runs.

Dagster (1.13) spaces the ticks of a sensor by the wall clock, and takes a tick of the future for one that was just now: after the clock is set back, no
sensor would tick until it has caught up. Here such a tick counts as long ago.
"""

import sys
from typing import Any


def main() -> None:
    """Run all daemons over the workspace file given as the argument, until SIGTERM."""
    from dagster._daemon.cli import main as dagster

    tick_on_after_clock_jumps()
    sys.argv = ["dagster-daemon", "run", "-w", sys.argv[1]]
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


if __name__ == "__main__":
    main()
