"""Reading the YAML that people write, with the line and column of every problem, and hostile YAML refused before it costs anything.

Nothing is constructed: scalars stay text until a reader asks for a number, a duration or a name. So `name: no` is a name and `from: 18:00` a time of day.
"""

import difflib
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from video_platform.errors import Problem
from video_platform.records import Point
from video_platform.rules_composing import Composer, Refused

MAX_BYTES = 256 * 1024
"""A thousand rules fit. How long reading takes is bounded by `rules_composing.MAX_VALUES`: about a second at worst, with the polygons looked at."""

MAX_PROBLEMS = 50
"""More problems than this help nobody; of the others it is said how many there are."""

MAX_NAME = 80
MAX_TEXT = 500
MAX_DURATION_S = 31 * 86400.0

NAME = re.compile(r"[^\u0000-/:-@\[-^`{-\u00bf]([^\u0000-\u001f!-,;-@\[-^`{-\u00a0]*[^\u0000- !-,;-@\[-^`{-\u00a0])?")
"""As editors understand it too, whose `\\w` knows no letter but those of English: no sign of ASCII but these. `name_like` says of the others what they are."""

HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What an escape ("\\0", "\\ud800") can put into a text and no file, database or hash can hold, or no terminal should show; tabs and line ends may stay."""

DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")
UNIT_S = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_text(path: Path) -> str:
    """The text of a rules file; no more is read than may be in one, of a video whose name was typed by mistake.

    Raises:
        OSError: the file cannot be opened or read.
        ValueError: it is too large, or not UTF-8.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file has more than {MAX_BYTES} bytes, which is the limit")
    return data.decode()


@dataclass(frozen=True)
class Node:
    """A value in the file: a mapping, a list, a scalar as text, or None for an empty scalar.

    `field` is its path; lines and columns count from 1. `key_at` is the line and column of its key, where it has one.
    """

    value: "dict[str, Node] | list[Node] | str | None"
    field: str
    line: int
    column: int
    key_at: tuple[int, int] | None = None
    file: str = ""


class Reader:
    """Turns nodes into values; what cannot be turned is None and leaves a problem in `problems`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._more = 0  # problems that are only counted
        self._values = 0  # read so far, of all files

    def problem(self, node: Node, message: str, *, key: bool = False) -> None:
        """Record what is wrong at `node`, or at its key."""
        line, column = node.key_at if key and node.key_at else (node.line, node.column)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(message, node.field, line, column, node.file))
        else:
            self._more += 1

    def listed(self) -> list[Problem]:
        """The problems in the order of the file, and at the end how many more there are."""
        found = sorted(self.problems, key=lambda problem: (problem.file, problem.line, problem.column))
        if self._more:
            more = f"{self._more} more {'problem is' if self._more == 1 else 'problems are'} not listed; mend these first"
            found.append(Problem(more, count=self._more))
        return found

    def document(self, text: str) -> Node | None:
        """The whole file as nodes; None when it is not YAML, too large, too much, too deep, or uses anchors, aliases or tags."""
        root = self.compose(text)
        return None if root is None else self.node(root)

    def compose(self, text: str, file: str = "") -> yaml.Node | None:
        """The whole file as PyYAML has it, checked as in `document`; problems in it name `file`."""
        size_bytes = len(text.encode(errors="replace"))
        if size_bytes > MAX_BYTES:
            self.problems.append(Problem(f"the file has {size_bytes} bytes; the limit is {MAX_BYTES}", file=file))
            return None
        try:
            composer = Composer(text, file, self._values)
            root = composer.document()
            self._values = composer.counted
        except Refused as refused:
            self.problems.append(Problem(refused.why, "", refused.mark.line + 1, refused.mark.column + 1, file))
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = f"this is not YAML: {error.problem or error.context}"
            self.problems.append(Problem(message, "", mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, file))
            return None
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # `chr` of the escape \UFFFFFFFF overflows
            self.problems.append(Problem(f"this is not YAML: {str(error).splitlines()[0]}", file=file))
            return None
        if root is None:
            self.problems.append(Problem("the file is empty; it starts with `version: 1`", file=file))
            return None
        return root

    def node(self, raw: yaml.Node, field: str = "") -> Node:
        """A value of PyYAML's as a node; `field` is its path."""
        return self._node(raw, field)

    def _node(self, raw: yaml.Node, field: str, key_at: tuple[int, int] | None = None) -> Node:
        line, column, file = *_place(raw), str(raw.start_mark.name)
        if isinstance(raw, yaml.MappingNode):
            return Node(self._entries(raw, field), field, line, column, key_at, file)
        if isinstance(raw, yaml.SequenceNode):
            return Node([self._node(item, f"{field}[{i}]") for i, item in enumerate(raw.value)], field, line, column, key_at, file)
        empty = isinstance(raw, yaml.ScalarNode) and raw.tag == "tag:yaml.org,2002:null" and raw.style is None
        return Node(None if empty else str(raw.value), field, line, column, key_at, file)

    def _entries(self, raw: yaml.MappingNode, field: str) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key, value in raw.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problem(Node(None, field, *_place(key)), "a key is plain text")
                continue
            child = self._node(value, f"{field}.{key.value}" if field else key.value, _place(key))
            if key.value in entries:
                self.problem(child, "this key is there twice; keep one", key=True)
            else:
                entries[key.value] = child
        return entries

    def mapping(self, node: Node, *, required: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, Node] | None:
        """The entries of a mapping that has all `required` keys and none but these and the `optional` ones."""
        entries = self.entries(node)
        if entries is None:
            return None
        allowed = [*required, *optional]
        for key, child in entries.items():
            if key not in allowed:
                self.problem(child, f"unknown key {key!r}; {did_you_mean(key, allowed)}", key=True)
        for key in required:
            if key not in entries:
                self.problem(node, f"{key!r} is missing")
        return {key: child for key, child in entries.items() if key in allowed}

    def entries(self, node: Node) -> dict[str, Node] | None:
        """The entries of a mapping with any keys."""
        if isinstance(node.value, dict):
            return node.value
        self.problem(node, f"this is a mapping (key: value), not {_described(node)}")
        return None

    def items(self, node: Node, *, at_most: int) -> list[Node] | None:
        """The items of a list."""
        if not isinstance(node.value, list):
            self.problem(node, f"this is a list, not {_described(node)}")
            return None
        if len(node.value) > at_most:
            self.problem(node, f"{len(node.value)} entries; at most {at_most} are read")
            return None
        return node.value

    def text(self, node: Node, *, what: str = "text") -> str | None:
        """A scalar that is not empty, without control characters and halves of characters."""
        if isinstance(node.value, str) and node.value.strip() and len(node.value) <= MAX_TEXT:
            if HARMFUL.search(node.value):
                self.problem(node, f"{_described(node)} has a character that no text may have (a control character, or half of one); take it out")
                return None
            return node.value.strip()
        self.problem(node, f"{what} of at most {MAX_TEXT} characters is needed here, not {_described(node)}")
        return None

    def texts(self, node: Node, *, what: str = "text") -> tuple[str, ...] | None:
        """One text or a list of them; sorted, each once."""
        items = node.value if isinstance(node.value, list) else [node]
        found = [self.text(item, what=what) for item in items]
        if not found:
            self.problem(node, f"this list is empty; {what} is needed here")
        return tuple(sorted({text for text in found if text})) if found and None not in found else None

    def name(self, node: Node, *, text: str | None = None) -> str | None:
        """A name (or the key `text` as one): letters, digits, space and `_.:/-`."""
        value = text if text is not None else self.text(node, what="a name")
        if value is None:
            return None
        if not name_like(value):
            self.problem(
                node, f"{value[:MAX_NAME]!r} is not a name: letters, digits, space and _ . : / -, at most {MAX_NAME} characters, no sign first, no space last"
            )
            return None
        return value

    def choice(self, node: Node, options: Sequence[str]) -> str | None:
        """One of `options`."""
        if isinstance(node.value, str) and node.value in options:
            return node.value
        self.problem(node, f"{_described(node)} is none of: {', '.join(options)}")
        return None

    def reference(self, node: Node, known: Sequence[str], what: str) -> str | None:
        """A name that is defined in the same file."""
        value = self.text(node, what=f"the name of a {what}")
        if value is None or value in known:
            return value
        self.problem(node, f"no {what} is called {value!r}; {did_you_mean(value, known) if known else f'the file defines no {what}'}")
        return None

    def number(self, node: Node, low: float, high: float, *, what: str = "a number") -> float | None:
        """A finite number in `low` to `high`."""
        try:
            value = float(node.value) if isinstance(node.value, str) else math.nan
        except ValueError:
            value = math.nan
        if low <= value <= high:
            return value
        self.problem(node, f"{what} from {low:g} to {high:g} is needed here, not {_described(node)}")
        return None

    def whole(self, node: Node, low: int, high: int) -> int | None:
        """A whole number in `low` to `high`."""
        value = self.number(node, low, high, what="a whole number")
        if value is None or value == int(value):
            return None if value is None else int(value)
        self.problem(node, f"a whole number is needed here, not {_described(node)}")
        return None

    def boolean(self, node: Node) -> bool | None:
        """`true` or `false`."""
        chosen = self.choice(node, ("true", "false"))
        return None if chosen is None else chosen == "true"

    def duration(self, node: Node) -> float | None:
        """Seconds from `30s`, `2m`, `1h` or a number of seconds."""
        match = DURATION.fullmatch(node.value.strip()) if isinstance(node.value, str) else None
        seconds = float(match[1]) * UNIT_S[match[2]] if match else math.inf
        if seconds <= MAX_DURATION_S:
            return seconds
        self.problem(node, f"a duration such as 30s, 2m or 1h (or seconds) of at most 31 days is needed here, not {_described(node)}")
        return None

    def point(self, node: Node) -> Point | None:
        """`[x, y]`, both 0 to 1."""
        if not isinstance(node.value, list) or len(node.value) != 2:
            self.problem(node, f"a point is [x, y], not {_described(node)}")
            return None
        x, y = (self.number(item, 0, 1, what="a fraction of the frame") for item in node.value)
        return None if x is None or y is None else (x, y)


def name_like(text: str) -> bool:
    """Whether this is a name: letters of any script with their marks, digits, space and `_.:/-`, with no sign first and no space last."""
    if len(text) > MAX_NAME or not NAME.fullmatch(text):
        return False
    return all(each.isascii() or each.isalnum() or unicodedata.category(each)[0] == "M" for each in text) and (text[0] == "_" or text[0].isalnum())


def _place(raw: yaml.Node) -> tuple[int, int]:
    return raw.start_mark.line + 1, raw.start_mark.column + 1


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint for a word that is not known: the nearest one, or all that are."""
    near = difflib.get_close_matches(word.lower(), [option.lower() for option in known], n=1)
    nearest = next((option for option in known if near and option.lower() == near[0]), None)
    return f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(known)}"


def _described(node: Node) -> str:
    if node.value is None:
        return "nothing"
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return f"a list of {len(node.value)}"
    return repr(node.value if len(node.value) <= 60 else node.value[:60] + "…")
