"""What commands print: text that cannot harm a terminal, tables, JSON, and errors in one clear line.

Names of files and cameras come from outside. They are shown with control characters, direction overrides and undecodable bytes spelled out, and never as
rich's markup.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from video_platform.errors import PlatformError

if TYPE_CHECKING:
    from rich.console import Console

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that change how other text is shown, or show nothing: controls, formats (direction overrides), surrogates, unassigned, separators."""

HARMLESS_FORMATS = frozenset("\u200d\ufe0f")
"""Joiners inside emoji."""

SHOWN_NAME = 80
"""Longest name in a table or message; the middle of a longer one is left out."""


def safe(text: object, limit: int | None = None) -> str:
    r"""`text` with everything that acts on a terminal spelled out (`\x1b`), at most `limit` characters long."""
    shown = "".join(_spelled(character) for character in str(text))
    if limit is not None and len(shown) > limit:
        head = (limit - 1) // 2
        shown = f"{shown[:head]}…{shown[len(shown) - (limit - 1 - head) :]}"
    return shown


def safe_lines(text: object) -> str:
    """Like `safe`, but line breaks stay."""
    return "\n".join(safe(line) for line in str(text).split("\n"))


def console(*, error: bool = False) -> "Console":
    """The terminal; plain text without colours where there is none. No markup, no emoji codes, no highlighting of what only looks like a number."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(stderr=error, markup=False, emoji=False, highlight=False, soft_wrap=not stream.isatty(), width=width)


PLAIN_WIDTH = 200
"""Width of tables in a file or a pipe."""

WHOLE = 28
"""A column whose cells are single words of at most so many characters (ids, times, names of rules) is not broken where the others have room all the same."""

ROOM = 10
"""Characters of its longest word, at most, that a column which can be broken is to have."""


def say(line: object = "") -> None:
    """One line for people on standard output."""
    console().print(safe_lines(line), soft_wrap=True)


def count(number: int, one: str, many: str) -> str:
    """`1 video`, `2 videos`."""
    return f"{number:,} {one if number == 1 else many}"


def note(line: object) -> None:
    """One line for people on standard error, so that `--json` output stays clean."""
    console(error=True).print(safe_lines(line), soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table; cells are made safe, numbers stand right."""
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    drawn = Table(title=Text(safe(title)) if title else None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    whole = _whole(columns, listed, console().width)
    for index, column in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[index], int | float) for row in listed)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=index in whole)
    for row in listed:
        drawn.add_row(*(Text("" if cell is None else safe_lines(cell)) for cell in row))
    console().print(drawn)


def _whole(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> frozenset[int]:
    """The columns that are not broken, leftmost first, as many as leave the others enough: what does not fit into one that is not broken would be cut off."""
    words = [[name, *(safe_lines("" if row[index] is None else row[index]) for row in rows)] for index, name in enumerate(columns)]
    room = [min(ROOM, max(len(word) for text in texts for word in (text.split() or [""]))) for texts in words]
    kept: set[int] = set()
    for index, texts in enumerate(words):
        size = max(map(len, texts))
        if size <= WHOLE and all(len(text.split()) < 2 for text in texts[1:]) and sum(room) - room[index] + size + 2 * len(room) <= width:
            room[index] = size
            kept.add(index)
    return frozenset(kept)


def print_json(value: object) -> None:
    """`value` as JSON on standard output; only ASCII, so that no name can act on a terminal and none is undecodable."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def print_error(error: BaseException) -> None:
    """An error in words: what, where, what to do."""
    text = error.message if isinstance(error, PlatformError) else str(error) or type(error).__name__
    console(error=True).print(f"error: {safe_lines(text)}", soft_wrap=True)


def failure(path: object, error: BaseException) -> str:
    """One line on what went wrong with a file; its path is said once."""
    text = safe(error)
    return f"error: {text}" if safe(path) in text else f"error: {safe(path)}: {text}"


def clock(seconds: float | None) -> str:
    """A moment or duration as `m:ss.s` (`h:mm:ss` from one hour on); empty for None."""
    if seconds is None:
        return ""
    if seconds >= 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def hours(amount: float) -> str:
    """A length of footage in the unit people use: `1,234.5 h`, `2 min`, `40 s`."""
    if amount >= 1:
        return f"{amount:,.1f} h"
    return f"{round(amount * 60)} min" if amount * 60 >= 1 else f"{round(amount * 3600)} s"


def size(size_bytes: int) -> str:
    """A size in the unit people use."""
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def instant(moment: datetime | None) -> str:
    """An instant in local time, to the second; empty for None."""
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _spelled(character: str) -> str:
    if unicodedata.category(character) not in HARMFUL or character in HARMLESS_FORMATS:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _plain(value: object) -> object:
    """JSON of the types that our records hold beside plain ones."""
    from dataclasses import fields, is_dataclass
    from enum import Enum
    from pathlib import Path

    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum | Path):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
