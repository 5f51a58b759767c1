"""Numbers in the keys of runs that are asked for again and again: Dagster makes no second run of a key while the first one's record is there."""

from collections.abc import Iterable

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG


def highest(past: Iterable[dg.RunRecord], prefix: str) -> int:
    """The highest number behind `prefix` in the keys of these runs, 0 without any.

    Counting the runs is not enough: only some are looked at, and records of old ones are forgotten, so that a count comes back to a number that is taken.
    """
    keys = [record.dagster_run.tags.get(RUN_KEY_TAG, "") for record in past]
    return max((int(key[len(prefix) :]) for key in keys if key.startswith(prefix) and key[len(prefix) :].isdecimal()), default=0)
