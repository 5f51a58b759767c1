"""Opening Dagster's storage, one process at a time.

Whoever opens the storage of a fresh home first makes its tables and stamps their version. Two that do so at once stamp it twice, and such a storage never
opens again. So every opening of ours goes through here: the web app's first look, the code server, `vp process`, `vp videos` in another terminal.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = "opening.lock"
"""Beside dagster.yaml; the kernel lets go of it when its holder ends, however that ends."""


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Holds the right to open the storage of the instance in `folder`, which exists; waits for whoever opens it now."""
    with (folder / LOCK_NAME).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
