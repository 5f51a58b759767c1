"""Zones and lines that are drawn on a picture, written into the text of a rules file: only what was drawn changes, every other character stays.

The text is what people keep (with comments, order, quotes and layout), so nothing is loaded and dumped: a change is made of a few replacements at the places
that PyYAML names, and afterwards the new text is read and compared with what was meant. A layout that cannot be written to safely is refused, never guessed.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from video_platform.errors import InputError, RulesError
from video_platform.records import Point
from video_platform.rules_conditions import KEYS, VALUES
from video_platform.rules_patches import Change, end_of, last_in_flow, line_begin, lines_of, more_items, next_line, whole_lines, without
from video_platform.rules_schema import MAX_POINTS, SECTIONS
from video_platform.rules_values import ANY_CAMERA
from video_platform.rules_yaml import MAX_NAME, Reader, name_like

ZONES, LINES = "zones", "lines"
ENDS = ("from", "to")

DIGITS = 3
"""Decimals that are written: two pixels of a picture that is 1,920 wide, finer than anybody draws."""

INDENT = "  "
PLAIN = re.compile(r"\w[\w./-]*( [\w./-]+)*")
NOTHING = ("null", "Null", "NULL")
"""Plain words that stand for nothing in YAML; as names they need quotes."""


@dataclass(frozen=True)
class Shape:
    """A zone (`points` are its corners) or line (from, to) as a text has it; `section` is "zones" or "lines", `cameras` are globs."""

    section: str
    name: str
    points: tuple[Point, ...]
    cameras: tuple[str, ...] = ANY_CAMERA


def shapes(text: str) -> list[Shape]:
    """The zones and lines of a text that can be drawn, in its order, also of one that has other problems.

    Raises:
        RulesError: it is not YAML.
    """
    root = _root(text)
    return [shape for section in (ZONES, LINES) for key, value in _entries(_value(root, section)) if (shape := _shape(section, key.value, value))]


def redraw(text: str, section: str, name: str, points: Sequence[Point]) -> str:
    """The text with other points of a zone or line; its other points keep the way in which they are written.

    Raises:
        InputError: there is no such shape, or these are no points of one.
    """
    points = _checked(section, points)
    root = _root(text)
    entry = _value(_value(root, section), name)
    old = _shape(section, name, entry)
    if old is None:
        raise InputError(f"the text has no {_word(section)} {name!r} that can be drawn; it may have changed meanwhile", name=name)
    points = [point if point in old.points else _rounded(point) for point in points]
    wanted = _data(root)
    if section == LINES:
        changes = [change for end, point in zip(ENDS, points, strict=True) for change in _moved(_value(entry, end), point)]
        wanted[section][name] |= {end: list(point) for end, point in zip(ENDS, points, strict=True)}
    else:
        polygon = _value(entry, "polygon")
        assert isinstance(polygon, yaml.SequenceNode)
        written = [*points, points[0]] if len(polygon.value) > len(old.points) else points
        changes = _polygon_changes(text, polygon, written)
        wanted[section][name]["polygon"] = [list(point) for point in written]
    return _changed(text, changes, wanted)


def add(text: str, section: str, name: str, points: Sequence[Point], cameras: Sequence[str] = ANY_CAMERA) -> str:
    """The text with one more zone or line behind those that it has; `cameras` are globs.

    Raises:
        InputError: the name is taken or none, or these are no points of such a shape.
    """
    points = [_rounded(point) for point in _checked(section, points)]
    root = _root(text)
    parent = _value(root, section)
    _free(parent, section, name)
    fields: dict[str, Any] = dict(zip(ENDS, map(list, points), strict=True)) if section == LINES else {"polygon": [list(point) for point in points]}
    globs = {} if tuple(cameras) == ANY_CAMERA else {"cameras": list(cameras)}
    change = _added(text, root, section, parent, f"{_scalar(name)}: {_flow({**fields, **globs})}")
    wanted = _data(root)
    wanted[section] = {**(wanted.get(section) or {}), name: {**fields, **{key: [_number(glob) for glob in value] for key, value in globs.items()}}}
    return _changed(text, [change], wanted)


def remove(text: str, section: str, name: str) -> str:
    """The text without a zone or line; a section that has no other goes with it. What refers to it stays, and is a problem then.

    Raises:
        InputError: there is no such shape.
    """
    root = _root(text)
    parent = _value(root, section)
    at = next((number for number, (key, _) in enumerate(_entries(parent)) if key.value == name), None)
    if at is None or not isinstance(parent, yaml.MappingNode):
        raise InputError(f"the text has no {_word(section)} {name!r}; it may have changed meanwhile", name=name)
    wanted = _data(root)
    del wanted[section][name]
    if parent.flow_style:
        changes = without(text, [(key.start_mark.index, end_of(value)) for key, value in parent.value], at, at + 1)
    elif len(parent.value) > 1:
        changes = [lines_of(text, parent.value[at][0].start_mark.index, end_of(parent.value[at][1]))]
    else:
        heading = next(key for key, value in root.value if value is parent)
        del wanted[section]
        name_line, entry_line = heading.start_mark.index, parent.start_mark.index
        changes = [lines_of(text, entry_line, end_of(parent)), lines_of(text, name_line, name_line)]
    return _changed(text, changes, wanted)


def rename(text: str, section: str, name: str, to: str) -> str:
    """The text with another name of a zone or line, also where rules speak of it.

    Raises:
        InputError: there is no such shape, or `to` is taken or no name.
    """
    root = _root(text)
    parent = _value(root, section)
    _free(parent, section, to)
    key = next((key for key, _ in _entries(parent) if key.value == name), None)
    if key is None:
        raise InputError(f"the text has no {_word(section)} {name!r}; it may have changed meanwhile", name=name)
    wanted = _data(root)
    wanted[section] = {to if each == name else each: value for each, value in wanted[section].items()}
    changes = [(key.start_mark.index, key.end_mark.index, _scalar(to))]
    for number, field, node in _references(root, section[:-1]):
        if node.value.strip() == name:
            changes.append((node.start_mark.index, node.end_mark.index, _scalar(to)))
            wanted["rules"][number]["when"][field] = _number(to)
    return _changed(text, changes, wanted)


# ---- reading -------------------------------------------------------------------------------------------------------------------------------------------


def _root(text: str) -> yaml.MappingNode:
    reader = Reader()
    root = reader.compose(text)
    if root is None:
        raise RulesError(reader.problems, remedy="mend it, then draw")
    if not isinstance(root, yaml.MappingNode):
        raise InputError("the text is no mapping (key: value), so nothing can be drawn into it; it starts with `version: 1`")
    return root


def _entries(node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    return [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)] if isinstance(node, yaml.MappingNode) else []


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _entries(node) if key.value == name), None)


def _shape(section: str, name: str, entry: yaml.Node | None) -> Shape | None:
    if section == LINES:
        points = [_point(_value(entry, end)) for end in ENDS]
    else:
        polygon = _value(entry, "polygon")
        points = [_point(item) for item in polygon.value] if isinstance(polygon, yaml.SequenceNode) else []
        if len(points) > 1 and points[0] == points[-1]:
            points.pop()
    found = [point for point in points if point is not None]
    if len(found) < len(points) or len(found) < 2:
        return None
    cameras = _value(entry, "cameras")
    items = cameras.value if isinstance(cameras, yaml.SequenceNode) else [cameras] if cameras is not None else []
    return Shape(section, name, tuple(found), tuple(str(item.value) for item in items) or ANY_CAMERA)


def _point(node: yaml.Node | None) -> Point | None:
    if not isinstance(node, yaml.SequenceNode) or len(node.value) != 2:
        return None
    x, y = (_number(item.value) if isinstance(item, yaml.ScalarNode) else None for item in node.value)
    return (x, y) if isinstance(x, float) and isinstance(y, float) and 0 <= x <= 1 and 0 <= y <= 1 else None


def _references(root: yaml.MappingNode, what: str) -> list[tuple[int, str, yaml.ScalarNode]]:
    """Where rules name a zone or line (`what`): number of the rule, key in its `when`, the name's node."""
    rules = _value(root, "rules")
    found: list[tuple[int, str, yaml.ScalarNode]] = []
    for number, rule in enumerate(rules.value if isinstance(rules, yaml.SequenceNode) else []):
        for key, value in _entries(_value(rule, "when")):
            meaning = KEYS[key.value].value if key.value in KEYS else key.value
            if meaning in VALUES and VALUES[meaning][0] == what and isinstance(value, yaml.ScalarNode):
                found.append((number, key.value, value))
    return found


def _number(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def _data(node: yaml.Node) -> Any:
    """What the text says, for comparing: a number is one however it is written.

    Raises:
        InputError: a key is there twice, so that it says two things.
    """
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in found:
                raise InputError(f"line {key.start_mark.line + 1}: the key {name[:MAX_NAME]!r} is there twice; keep one, then draw")
            found[name] = _data(value)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_data(item) for item in node.value]
    return _number(node.value)


# ---- what may be written -------------------------------------------------------------------------------------------------------------------------------


def _word(section: str) -> str:
    return section[:-1]


def _checked(section: str, points: Sequence[Point]) -> list[Point]:
    least, most = {ZONES: (3, MAX_POINTS), LINES: (2, 2)}.get(section, (1, 0))
    if not least <= len(points) <= most:
        wanted = "two points" if section == LINES else f"{least} to {most} corners"
        raise InputError(f"a {_word(section)} has {wanted}, not {len(points)}")
    for point in points:
        if not all(math.isfinite(value) and 0 <= value <= 1 for value in point):
            raise InputError(f"the point {list(point)} lies outside the picture; both numbers are 0 to 1")
    return [(float(x), float(y)) for x, y in points]


def _rounded(point: Point) -> Point:
    return (round(point[0], DIGITS), round(point[1], DIGITS))


def _free(parent: yaml.Node | None, section: str, name: str) -> None:
    if not name_like(name) or name != name.strip():
        raise InputError(f"{name[:MAX_NAME]!r} is not a name: letters, digits, space and _ . : / -, at most {MAX_NAME} characters, no sign first")
    if any(key.value == name for key, _ in _entries(parent)):
        raise InputError(f"a {_word(section)} is called {name!r} already; names are unique", name=name)


def _scalar(name: str) -> str:
    return name if PLAIN.fullmatch(name) and name not in NOTHING else json.dumps(name, ensure_ascii=False)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _written(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _written(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")


# ---- changing the text -------------------------------------------------------------------------------------------------------------------------------


def _changed(text: str, changes: Sequence[Change], wanted: Any) -> str:
    """The text with these changes, which says what is `wanted` and nothing else.

    Raises:
        InputError: it does not.
    """
    for begin, end, instead in sorted(changes, reverse=True):
        text = text[:begin] + instead + text[end:]
    reader = Reader()
    root = reader.compose(text)
    if root is None or _data(root) != wanted:
        raise InputError("the layout of this text does not let the drawing be written into it; write it by hand (Copy gives it as the file has it)")
    return text


def _moved(node: yaml.Node | None, point: Point) -> list[Change]:
    """One point elsewhere; a number that stays the same stays as it is written."""
    assert isinstance(node, yaml.SequenceNode)
    return [
        (item.start_mark.index, item.end_mark.index, _written(value)) for item, value in zip(node.value, point, strict=True) if _number(item.value) != value
    ]


def _polygon_changes(text: str, polygon: yaml.SequenceNode, points: Sequence[Point]) -> list[Change]:
    """Corners that stay keep their text; of the others as many as there are move, the rest comes or goes."""
    items: list[yaml.Node] = polygon.value
    old = [_point(item) for item in items]
    first = 0
    while first < min(len(old), len(points)) and old[first] == points[first]:
        first += 1
    after = 0
    while after < min(len(old), len(points)) - first and old[-1 - after] == points[-1 - after]:
        after += 1
    both = min(len(old), len(points)) - first - after
    changes = [change for at in range(first, first + both) for change in _moved(items[at], points[at])]
    at = first + both
    more = [f"[{_written(x)}, {_written(y)}]" for x, y in points[at : len(points) - after]]
    if more:
        changes.append(more_items(text, polygon, at, more))
    elif at < len(old) - after and polygon.flow_style:
        changes += without(text, [(item.start_mark.index, end_of(item)) for item in items], at, len(old) - after)
    else:
        changes += [lines_of(text, item.start_mark.index, end_of(item)) for item in items[at : len(old) - after]]
    return changes


def _added(text: str, root: yaml.MappingNode, section: str, parent: yaml.Node | None, entry: str) -> Change:
    """`entry` at the end of a section, which is made where there is none, in the place that the documentation gives it."""
    if parent is None and root.flow_style:
        return last_in_flow(root, f"{section}: {{{entry}}}")
    if parent is None:
        indent = " " * root.start_mark.column
        before = [value for key, value in root.value if key.value in ("version", *SECTIONS[: SECTIONS.index(section)])]
        begin = next_line(text, max(map(end_of, before))) if before else line_begin(text, root.start_mark.index)
        return whole_lines(text, begin, [f"{indent}{section}:", f"{indent}{INDENT}{entry}"])
    heading = next(key for key, value in root.value if value is parent)
    if isinstance(parent, yaml.MappingNode):
        if parent.flow_style:
            return last_in_flow(parent, entry)
        return whole_lines(text, next_line(text, end_of(parent)), [" " * parent.start_mark.column + entry])
    if isinstance(parent, yaml.ScalarNode) and parent.start_mark.index == parent.end_mark.index and not root.flow_style:
        return whole_lines(text, next_line(text, heading.end_mark.index), [" " * heading.start_mark.column + INDENT + entry])
    raise InputError(f"{section!r} is no mapping (name: value) in this text; mend line {parent.start_mark.line + 1}, then draw")
