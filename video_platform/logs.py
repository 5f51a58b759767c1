"""What a process says about itself: one line per record on stderr, for people or as JSON, with what it is about and without secrets.

`about(video_id=…, run_id=…)` names what the lines of a block speak of, also those of libraries. Dagster's own lines come from Dagster in the same format.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TextIO

from pydantic import BaseModel, SecretStr

from video_platform.settings import Settings

PACKAGES = ("video_platform", "sensors", "ui", "__main__")
"""Libraries say only warnings and worse: clients of brokers and HTTP servers tell of every request else."""

SHORTEST_SECRET = 6
"""A shorter value is no secret that anybody keeps, and taking it out would blacken ordinary words."""

HIDDEN = "***"
LONGEST_MESSAGE = 16 * 1024
"""Characters of one message; names and answers of other servers come in here."""

PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**ids: str | None) -> Iterator[None]:
    """Every line of the block, in this thread, carries these ids besides those of the blocks around it."""
    token = _about.set({**_about.get(), **{name: value for name, value in ids.items() if value}})
    try:
        yield
    finally:
        _about.reset(token)


def configure(settings: Settings, part: str, *, stream: TextIO | None = None, take_over: Iterable[str] = ()) -> None:
    """Write what this process says to `stream` (stderr) as the settings ask for; `part` says which process it is.

    Loggers named in `take_over` lose the handlers that their libraries gave them. A process whose root logger has a handler already keeps it.
    """
    for name in take_over:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(stream or sys.stderr)
    secrets = secrets_of(settings)
    handler.setFormatter(Json(part, secrets) if settings.log.format == "json" else Text(secrets))
    handler.addFilter(_nobody_else_writes)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[settings.log.level]))
    for package in PACKAGES:
        logging.getLogger(package).setLevel(settings.log.level)
    logging.captureWarnings(True)


def announce(log: logging.Logger, text: str) -> None:
    """Say what the supervisor waits for, whatever the level is."""
    log.handle(log.makeRecord(log.name, logging.INFO, "", 0, text, (), None))


def dagster_options(settings: Settings) -> list[str]:
    """The same for a command of Dagster's, which says at least what it starts with: the supervisor waits for that."""
    level = settings.log.level if settings.log.level == "DEBUG" else "INFO"
    return ["--log-format", "json" if settings.log.format == "json" else "colored", "--log-level", level.lower()]


def secrets_of(settings: BaseModel) -> list[str]:
    """The values of all secrets in the settings, longest first, so that one within another leaves no rest."""
    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
        elif isinstance(value, BaseModel):
            found.update(secrets_of(value))
    return sorted((each for each in found if len(each) >= SHORTEST_SECRET), key=len, reverse=True)


class Text(logging.Formatter):
    """One line for people; a traceback follows on lines of its own."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        ids = _about.get()
        told = " ".join(f"{name}={value}" for name, value in ids.items())
        return _without(self._secrets, super().format(record) + (f" [{told}]" if told else ""))


class Json(logging.Formatter):
    """One JSON object per line, with the field names that Dagster's JSON lines have (`timestamp`, `level`, `logger`, `event`), `part` and the ids."""

    def __init__(self, part: str, secrets: list[str]) -> None:
        super().__init__()
        self._part, self._secrets = part, secrets

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        told = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "part": self._part,
            "process": record.process,
            **_about.get(),
            "event": record.getMessage()[:LONGEST_MESSAGE],
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: _without(self._secrets, value) if isinstance(value, str) else value for name, value in told.items()}, ensure_ascii=False)


def _nobody_else_writes(record: logging.LogRecord) -> bool:
    """Dagster gives its loggers handlers of their own, and passes on to the root what they have written."""
    at: logging.Logger | None = logging.getLogger(record.name)
    while at is not None and at.parent is not None:
        if any(not isinstance(each, logging.NullHandler) for each in at.handlers):
            return False
        at = at.parent
    return True


def _without(secrets: list[str], text: str) -> str:
    for each in secrets:
        text = text.replace(each, HIDDEN)
    return PASSWORD_IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text)
