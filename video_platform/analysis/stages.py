"""A worker thread behind a bounded queue, whose failure reaches whoever feeds it.

A stage that has failed keeps emptying its queue, so a feeder never waits for ever for room; the next `put` or `finish` raises what went wrong.
"""

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Stage(Generic[Item]):
    """Calls `work(item)` for each item in order, in one thread of its own."""

    def __init__(self, name: str, work: Callable[[Item], None], *, room: int) -> None:
        """`room` items may wait; `put` blocks while there are more."""
        self._work = work
        self._queue: queue.Queue[Item | None] = queue.Queue(room)
        self._error: BaseException | None = None
        self._discard = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over one item; raises the stage's error if it has failed."""
        self._raise()
        self._queue.put(item)

    def finish(self) -> None:
        """Wait until all items are done; raises the stage's error if it has failed."""
        self._queue.put(None)
        self._thread.join()
        self._raise()

    def abort(self) -> None:
        """Drop what waits and end the thread; never raises."""
        self._discard = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._discard or self._error is not None:
                continue
            try:
                self._work(item)
            except BaseException as error:
                self._error = error
