"""Everything that can go wrong, as one tree.

    PlatformError
    ├── InputError                 what was given cannot be used; asking again changes nothing
    │   ├── MediaError             the footage itself; `code` is the failed state that the page shows
    │   │   └── FootageAway        footage that was taken in in place is `moved` or `changed`
    │   ├── RulesError             the rules file; carries every problem with its line
    │   ├── AnnotationError        an annotation to measure against; carries every problem with its line
    │   ├── EventError             a message on a topic
    │   ├── SettingsError          configuration
    │   │   └── ModelMissing       a model of the settings whose files are not here
    │   ├── UploadRefused          an upload that was not taken in
    │   └── NotFound               a video, asset, alert or object that is not there
    │       └── ObjectNotFound
    ├── NotAllowed                 the person who asks may not; `role` is theirs, `needed` the one that may
    │   └── SignInRefused          nobody was signed in: wrong, used up, too often
    ├── StateError                 right request, wrong moment
    │   ├── HomeLocked             another process owns this home
    │   ├── RulesMovedOn           other rules are active than those that a draft was made from
    │   └── VideoDeleted           a tombstone stands where the video was
    ├── IntegrityError             bytes are not what was promised
    ├── ServiceError               an outside system
    │   ├── StoreUnavailable       (retriable)
    │   ├── StoreFull
    │   ├── LogUnavailable         (retriable)
    │   │   └── LogRefused         wrong certificate, password or rights
    │   ├── OffsetOutOfRange
    │   ├── DatabaseUnavailable    (retriable)
    │   ├── ModelUnavailable       (retriable)
    │   │   └── ModelReplyInvalid
    │   └── HubUnavailable         (retriable)
    └── WorkerError                the analysis child process
        ├── WorkerCrashed          (retriable)
        └── WorkerBudgetExceeded

A message says what happened, where, and what to do. Facts are attributes, given as keywords. `retriable` is the one place that decides whether Dagster
tries again.
"""

import errno
from dataclasses import dataclass
from typing import ClassVar

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
SQLITE_NO_SPACE = frozenset({"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"})
"""SQLite's names for a full disk; the second, whose text is "disk I/O error", comes where the index of its write-ahead log finds no room."""

FULL_TEXTS = ("database or disk is full", "No space left on device", "Disk quota exceeded")
"""What is left of a full disk where only the text of an error was kept: by encoders, Parquet writers, Dagster."""


class PlatformError(Exception):
    """Root of the tree; `facts` are also readable as attributes (`error.video_id`)."""

    retriable: ClassVar[bool] = False

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __getattr__(self, name: str) -> object:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.facts)


def _rebuild(kind: type[PlatformError], message: str, facts: dict[str, object]) -> PlatformError:
    error = kind.__new__(kind)
    PlatformError.__init__(error, message, **facts)
    return error


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that no space is left on a disk, whoever noticed it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, StoreFull) or (isinstance(error, OSError) and error.errno in NO_SPACE):
            return True
        if getattr(error, "sqlite_errorname", "") in SQLITE_NO_SPACE or (
            not isinstance(error, PlatformError) and any(text in str(error) for text in FULL_TEXTS)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


class InputError(PlatformError):
    """What was given cannot be used."""


MEDIA_CODES = {
    "not_a_video": "This file is not a video.",
    "empty": "This file has no bytes.",
    "no_video_stream": "This file has no picture, only sound or data.",
    "no_frames": "No frame of this video could be decoded.",
    "truncated": "This file ends before its video does.",
    "too_large": "This video is larger than the limits allow.",
    "format_refused": "This container format is not accepted.",
    "bad_dimensions": "The picture size of this video is not usable.",
    "unreadable": "This file could not be read.",
    "changing": "This file is still being written.",
    "bad_camera": "No camera can have this name.",
    "bad_name": "This name cannot be used.",
    "moved": "The footage is not where it was taken in from.",
    "changed": "The footage was changed since it was taken in.",
    "crashed_decoder": "The decoder crashed on this file.",
    "over_budget": "Decoding this file took more than its budget.",
}
"""Failed states of footage: code -> the sentence people see."""


class MediaError(InputError):
    """Footage that cannot be analysed; `code` is a key of `MEDIA_CODES`."""

    def __init__(self, code: str, detail: str = "", **facts: object) -> None:
        if code not in MEDIA_CODES:
            raise ValueError(f"unknown media code {code!r}")
        super().__init__(f"{MEDIA_CODES[code]} {detail}".strip(), code=code, detail=detail, **facts)


class FootageAway(MediaError):
    """Footage that stays where it lies is not there any more (`moved`), or is another file now (`changed`); `path` names it."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file that people write; `line` and `column` count from 1, 0 when unknown; `file` names an included one.

    The last of a list that was cut stands for as many as `count` says.
    """

    message: str
    field: str = ""
    line: int = 0
    column: int = 0
    file: str = ""
    count: int = 1

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "") if self.line else ""
        return ": ".join(part for part in (self.file, where, self.field, self.message) if part)


class RulesError(InputError):
    """A rules file that cannot be used; `problems` holds all of them at once, `remedy` says what to do besides mending them."""

    def __init__(self, problems: list[Problem], source: str = "rules", *, remedy: str = "") -> None:
        text = "; ".join([*map(str, problems), *([remedy] if remedy else [])])
        super().__init__(f"{source} cannot be used: {text}", problems=problems, source=source)
        self.problems = problems


class AnnotationError(InputError):
    """An annotation that nothing can be measured against; the fact `problems` holds all of them, with lines, the message the first."""


class EventError(InputError):
    """A message that does not follow the event contract; `reason` is a short code for the dead-letter topic."""

    def __init__(self, reason: str, message: str, **facts: object) -> None:
        super().__init__(message, reason=reason, **facts)


class SettingsError(InputError):
    """Configuration that cannot be used; names the variable."""


class ModelMissing(SettingsError):
    """The files of a model that the settings name are not here; `model` names it, the message says how to fetch them."""


class UploadRefused(InputError):
    """Footage that was not taken in; `code` is a key of `MEDIA_CODES`."""

    def __init__(self, code: str, detail: str = "", **facts: object) -> None:
        super().__init__(f"{MEDIA_CODES[code]} {detail}".strip(), code=code, detail=detail, **facts)


class NotFound(InputError):
    """Something asked for by name is not there."""


class ObjectNotFound(NotFound):
    """An object key that the store does not hold; `key` names it."""


class NotAllowed(PlatformError):
    """Whoever asks may not do this."""


class SignInRefused(NotAllowed):
    """A sign-in that did not succeed; says no more than whoever tried may know. `retry_after_s` is set when it was tried too often."""


class StateError(PlatformError):
    """The request is right but the moment is wrong."""


class HomeLocked(StateError):
    """Another process owns this home; `owner` says which."""


class RulesMovedOn(StateError):
    """Other rules became active than version `base`, which a draft was made from; `active` is their version, `changes` what is different in them by name."""


class VideoDeleted(StateError):
    """The video was deleted; `video_id` and `deleted_at` are known."""


class IntegrityError(PlatformError):
    """Bytes differ from their recorded hash or size; `expected` and `actual` are known."""


class ServiceError(PlatformError):
    """An outside system failed."""


class StoreUnavailable(ServiceError):
    """The object store did not answer."""

    retriable = True


class StoreFull(ServiceError):
    """No space is left where objects are kept."""


class LogUnavailable(ServiceError):
    """The event log did not answer."""

    retriable = True


class LogRefused(LogUnavailable):
    """The event log answers, and refuses this client: its certificate, password or rights, or the server's own certificate. Trying again changes nothing."""

    retriable = False


class OffsetOutOfRange(ServiceError):
    """A position that the log no longer, or not yet, holds; `topic`, `partition`, `offset`, `begin`, `end` are known."""


class DatabaseUnavailable(ServiceError):
    """The database did not answer."""

    retriable = True


class ModelUnavailable(ServiceError):
    """A language model did not answer in time, or at all."""

    retriable = True


class ModelReplyInvalid(ModelUnavailable):
    """A language model answered something that its schema refuses, also after one repair."""


class HubUnavailable(ServiceError):
    """Where a model's files are fetched from did not answer, or not with them; what was fetched so far is kept."""

    retriable = True


class WorkerError(PlatformError):
    """The child process that decodes and detects failed."""


class WorkerCrashed(WorkerError):
    """The child died without an answer; `signal` or `exit_code` is known."""

    retriable = True


class WorkerBudgetExceeded(WorkerError):
    """The child was ended because it used more time or memory than allowed."""
