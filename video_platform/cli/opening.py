"""Opening the platform for one command, and reading what people type for a video, a time or a span."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from video_platform.catalog import Catalog
    from video_platform.platform import Platform
    from video_platform.settings import Settings

Item = TypeVar("Item")

PAGE = 500
"""Lists are read in pages of this many: one query each, and a bounded answer."""

SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@contextmanager
def platform() -> "Iterator[Platform]":
    """The platform's services as the environment's settings say, closed at the end."""
    from video_platform import settings
    from video_platform.platform import open_platform

    opened = open_platform(settings.load())
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def catalog() -> "Iterator[tuple[Platform, Catalog]]":
    """The platform together with its read side."""
    from video_platform.catalog import Catalog

    with platform() as opened:
        read_side = Catalog(opened.settings, opened.db, opened.store)
        try:
            yield opened, read_side
        finally:
            read_side.close()


def in_pages(read: Callable[[int, int], tuple[list[Item], int]], limit: int) -> tuple[list[Item], int]:
    """At most `limit` items of a list that is read in pages, and how many there are in all; `read` takes a page's limit and offset."""
    found: list[Item] = []
    while True:
        items, total = read(min(PAGE, limit - len(found)), len(found))
        found += items
        if not items or len(found) >= min(limit, total):
            return found, total


def moment(text: str) -> datetime:
    """An instant from ISO 8601 text; local time where it names no zone."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a time; write 2026-11-23T08:30 (local time) or 2026-11-23T08:30+01:00") from None


def moment_or_ago(text: str) -> datetime:
    """An instant as `moment` reads it, or a span before now: 90s, 15m, 2h, 3d, 1w."""
    span = SPAN.fullmatch(text.strip())
    if span is None:
        return moment(text)
    try:
        return datetime.now(UTC) - timedelta(seconds=float(span[1]) * UNITS[span[2]])
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is longer ago than there is time") from None


def write_out(target: Path | None, default_name: str, chunks: "Iterator[bytes]") -> Path | None:
    """Write `chunks` to `target` (`-` is standard output) or to `default_name` here; the file appears only when it is whole. None for standard output."""
    import os
    import sys

    from video_platform.errors import InputError, is_full

    if target is not None and str(target) == "-":
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return None
    path = target if target is not None else Path(default_name)
    if path.is_dir():
        path = path / default_name
    unfinished = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        file = unfinished.open("wb")
    except OSError as error:
        if is_full(error):
            raise
        raise InputError(f"{path} cannot be written: {error.strerror}; name a file in a folder that is there and that you may write to") from error
    try:
        with file:
            for chunk in chunks:
                file.write(chunk)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def nobody_processes(settings: "Settings") -> bool:
    """Whether this home is the embedded one and nothing runs on it, so that work handed over would wait."""
    from video_platform.supervisor import lock

    return settings.event_log.kind == "sqlite" and lock.owner(settings.lock_file) is None
