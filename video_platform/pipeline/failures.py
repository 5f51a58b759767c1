"""What an error becomes in Dagster and in the database: tried again, or a failed state with a name. The one place for both.

Retries of a step are for the outside world only (`PlatformError.retriable`); retries of a run are for processes that died (dagster.yaml).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from video_platform import errors
from video_platform.errors import MediaError, PlatformError, StoreFull, UploadRefused, VideoDeleted, WorkerBudgetExceeded, WorkerCrashed, is_full
from video_platform.records import QUARANTINED

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_RETRIES = 2
"""Attempts after the first: an outage that outlives them is for the reconcile sensor, which comes back later."""

BACKOFF_S = (2.0, 8.0)
"""Wait before each further attempt: a restarting server is back after some seconds."""

INTERRUPTED = "interrupted"
CANCELLED = "cancelled"
INVALID = "InvalidResult"

RETRIABLE_CODES = frozenset(
    {INTERRUPTED} | {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PlatformError) and kind.retriable}
)
"""Failed states that say nothing about the footage: the same request may succeed now."""

MESSAGES = {
    INTERRUPTED: "The process that worked on this video was ended before it was done. It is started again on its own; nothing is lost.",
    CANCELLED: "Processing was cancelled. Press “process again” to start it.",
    QUARANTINED: "Processing was started again {attempts} times and never got done, so it waits for you. "
    "What kept failing: {why} Mend that, then press “Try again” or type `vp retry`.",
}
"""Failed states that are not an error of the footage: code -> what happened and what to do."""

SUMMARY_MESSAGES = {
    INTERRUPTED: "The process that wrote it was ended before it was done.",
    CANCELLED: "Writing it was cancelled.",
    QUARANTINED: "It was asked for {attempts} times and not written, so it waits for you. The logs of its runs have the details.",
}
"""The same for the summary of a video that is ready; what to do is said where it is shown."""


def failure_code(error: BaseException) -> str:
    """The name of the failed state that this error leads to: a key of `errors.MEDIA_CODES`, or the name of an error class."""
    if isinstance(error, MediaError | UploadRefused):
        return str(error.code)
    if isinstance(error, WorkerCrashed):
        return "crashed_decoder"
    if isinstance(error, WorkerBudgetExceeded):
        return "over_budget"
    return type(error).__name__


def _where(error: Exception) -> str:
    return f"for {name}" if (name := getattr(error, "filename", None)) else "on the disk of the home"


@contextmanager
def as_dagster_errors(retry_number: int, on_final: "Callable[[str, str], None]") -> Iterator[None]:
    """Turns errors of this platform into what Dagster acts on.

    A retriable error asks for another attempt while there is one; anything else ends the step and `on_final(code, message)` is told first.
    A full disk that no service met (the scratch folder is on it) is StoreFull here. Any other error that is not of this platform is a bug: it is told, and
    passes through with its stack.
    """
    try:
        yield
    except (dg.RetryRequested, dg.Failure):
        raise
    except PlatformError as error:
        if error.retriable and retry_number < MAX_RETRIES:
            raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=BACKOFF_S[min(retry_number, len(BACKOFF_S) - 1)]) from error
        code = failure_code(error)
        if not isinstance(error, VideoDeleted):  # a tombstone is not a failed video
            on_final(code, error.message)
        raise dg.Failure(description=error.message, metadata={"code": code}, allow_retries=False) from error
    except Exception as error:
        if is_full(error):
            full = StoreFull(f"no space is left {_where(error)}; free some and process the video again")
            on_final(failure_code(full), full.message)
            raise dg.Failure(description=full.message, metadata={"code": failure_code(full)}, allow_retries=False) from error
        on_final(failure_code(error), f"{type(error).__name__}: {error}. This is a fault of the program; the run's log has the details.")
        raise
