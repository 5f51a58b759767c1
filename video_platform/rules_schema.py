"""Reading a rules file: which keys each kind of rule has, and what each may hold."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from video_platform.errors import Problem
from video_platform.records import Point, Severity
from video_platform.rules_conditions import Classes, Known, Read, class_names, condition
from video_platform.rules_values import ANY_CAMERA, DAYS, Line, Mask, Rule, RuleSet, Schedule, Zone
from video_platform.rules_yaml import Node, Reader, did_you_mean

VERSION = "1"
MAX_ENTRIES = 1000
"""Rules, zones or lines in one file."""

MAX_POINTS = 200
"""Points of a polygon; whether it crosses itself is checked pair by pair."""

LEAST_AREA = 1e-9
"""Of a polygon, as a fraction of the picture: a thirtieth of a pixel of an 8K picture. Of corners on one line the sums of floats are below it, if not zero."""

MIN_SCORE = 0.5
DEFAULTS: dict[str, Any] = {
    "min_score": MIN_SCORE,
    "severity": Severity.WARNING,
    "cooldown": 30.0,
    "notify_again_after": 0.0,
    "merge": None,
    "max_gap": None,
    "min_frames": 1,
    "min_size": 0.0,
    "max_size": 1.0,
    "moving": None,
}
"""What a rule may say for itself or `defaults` for all; `min_score` may be a mapping of class to score."""

Scores = float | dict[str, float]
OTHER = "other"
"""Key of a mapping of scores: what counts for classes that it does not name."""

INCLUDE = "include"
SECTIONS = ("zones", "lines", "ignore", "channels")
"""Keys of a file that hold named entries."""

TIME_OF_DAY = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
VARIABLE = re.compile(r"[A-Za-z_]\w*")
MINUTES_OF_A_DAY = 24 * 60


def read(text: str, classes: Sequence[str] | Classes | None) -> tuple[RuleSet | None, list[Problem]]:
    """The rule set in `text` and every problem found, in the order of the file; with a problem the rule set is not to be used."""
    reader = Reader()
    root = reader.document(text)
    return (read_root(reader, root, classes) if root else None), reader.listed()


def read_root(reader: Reader, root: Node, classes: Sequence[str] | Classes | None) -> RuleSet | None:
    """The rule set in a whole file's node; problems are left with the reader."""
    top = reader.mapping(root, required=("version", "rules"), optional=(*SECTIONS, "defaults", INCLUDE))
    if top is None:
        return None
    if INCLUDE in top:
        reader.problem(top[INCLUDE], "only a file can include others; write out here what they say", key=True)
    if "version" in top and top["version"].value != VERSION:
        reader.problem(top["version"], f"this installation reads version {VERSION} of the rule language")
    zones = _named(reader, top.get("zones"), _zone)
    lines = _named(reader, top.get("lines"), _line)
    channels = _named(reader, top.get("channels"), _channel)
    known = Known(Classes.of(classes), list(zones), list(lines), list(channels))
    masks = _named(reader, top.get("ignore"), lambda reader, node: _mask(reader, node, known))
    defaults = {**DEFAULTS, **_defaults(reader, top.get("defaults"), known)}
    items = reader.items(top["rules"], at_most=MAX_ENTRIES) if "rules" in top else None
    rules = [rule for item in items or [] if (rule := _rule(reader, item, known, defaults))]
    _unique_names(reader, items or [])
    return RuleSet(tuple(rules), _present(zones), _present(lines), _present(channels), _present(masks))


def _unique_names(reader: Reader, items: Sequence[Node]) -> None:
    lines: dict[str, int] = {}
    for item in items:
        name = item.value.get("name") if isinstance(item.value, dict) else None
        if name and isinstance(name.value, str):
            called = name.value.strip()  # as the rule is called
            if called in lines:
                reader.problem(name, f"a rule named {called!r} stands on line {lines[called]} already; names are unique")
            lines.setdefault(called, name.line)


def _present(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in entries.items() if entry is not None}


def _named(reader: Reader, node: Node | None, read_one: Callable[[Reader, Node], Any]) -> dict[str, Any]:
    """Name -> value, or None where the value has a problem: the name is defined all the same, so that no second problem follows from it."""
    if node is None or (entries := reader.entries(node)) is None:
        return {}
    return {name: read_one(reader, child) for name, child in entries.items() if reader.name(child, text=name)}


def _zone(reader: Reader, node: Node) -> Zone | None:
    entries = reader.mapping(node, required=("polygon",), optional=("cameras",))
    corners = _polygon(reader, entries["polygon"]) if entries and "polygon" in entries else None
    return Zone(corners, _cameras(reader, entries)) if entries and corners else None


def _mask(reader: Reader, node: Node, known: Known) -> Mask | None:
    entries = reader.mapping(node, required=("polygon",), optional=("cameras", "class"))
    corners = _polygon(reader, entries["polygon"]) if entries and "polygon" in entries else None
    named = class_names(reader, entries["class"], known) if entries and "class" in entries else ()
    return Mask(corners, _cameras(reader, entries), named) if entries and corners and named is not None else None


def _polygon(reader: Reader, node: Node) -> tuple[Point, ...] | None:
    if (items := reader.items(node, at_most=MAX_POINTS)) is None:
        return None
    points = [reader.point(item) for item in items]
    corners = [point for point in points if point is not None]
    if len(corners) < len(points):
        return None
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()
    if problem := polygon_problem(corners):
        reader.problem(node, problem)
        return None
    return tuple(corners)


def _line(reader: Reader, node: Node) -> Line | None:
    entries = reader.mapping(node, required=("from", "to"), optional=("cameras",))
    if not entries or not {"from", "to"} <= entries.keys():
        return None
    start, end, cameras = reader.point(entries["from"]), reader.point(entries["to"]), _cameras(reader, entries)
    if start is None or end is None:
        return None
    if start == end:
        reader.problem(node, "a line needs two different points")
        return None
    return Line(start, end, cameras)


def _channel(reader: Reader, node: Node) -> str | None:
    if isinstance(node.value, str) or (isinstance(node.value, dict) and "url" in node.value):
        reader.problem(node, "an address is a secret and stays out of this file: put it into an environment variable and name that here, {url_env: OPS_URL}")
        return None
    entries = reader.mapping(node, required=("url_env",))
    variable = reader.text(entries["url_env"], what="the name of an environment variable") if entries and "url_env" in entries else None
    if variable and not VARIABLE.fullmatch(variable):
        reader.problem(node, "url_env is the name of an environment variable: letters, digits and _")
        return None
    return variable


def _cameras(reader: Reader, entries: Mapping[str, Node]) -> tuple[str, ...]:
    return (reader.texts(entries["cameras"], what="a camera or a pattern such as gate-*") if "cameras" in entries else None) or ANY_CAMERA


def _defaults(reader: Reader, node: Node | None, known: Known) -> dict[str, Any]:
    entries = reader.mapping(node, optional=tuple(DEFAULTS)) if node else None
    return _options(reader, entries or {}, known)


_OPTIONS: dict[str, Read] = {
    "min_score": lambda reader, node, known: _scores(reader, node, known),
    "severity": lambda reader, node, known: (chosen := reader.choice(node, [str(severity) for severity in Severity])) and Severity(chosen),
    "cooldown": lambda reader, node, known: reader.duration(node),
    "notify_again_after": lambda reader, node, known: reader.duration(node),
    "merge": lambda reader, node, known: reader.duration(node),
    "max_gap": lambda reader, node, known: reader.duration(node),
    "min_frames": lambda reader, node, known: reader.whole(node, 1, 100_000),
    "min_size": lambda reader, node, known: reader.number(node, 0, 1, what="a fraction of the picture's area"),
    "max_size": lambda reader, node, known: reader.number(node, 0, 1, what="a fraction of the picture's area"),
    "moving": lambda reader, node, known: reader.boolean(node),
}


def _options(reader: Reader, entries: Mapping[str, Node], known: Known) -> dict[str, Any]:
    """Those of the keys of `DEFAULTS` that are there and have no problem."""
    found = {key: _OPTIONS[key](reader, entries[key], known) for key in DEFAULTS if key in entries}
    return {key: value for key, value in found.items() if value is not None}


def _scores(reader: Reader, node: Node, known: Known) -> Scores | None:
    """One least score for all classes, or class -> least score."""
    if not isinstance(node.value, dict):
        return reader.number(node, 0, 1)
    found: dict[str, float] = {}
    for name, child in node.value.items():
        if name != OTHER and known.classes is not None and name not in known.classes.names:
            reader.problem(child, f"the detector has no class {name!r}; {did_you_mean(name, [*known.classes.names, OTHER])}", key=True)
        elif (score := reader.number(child, 0, 1)) is not None:
            found[name] = score
    return found


def _for_classes(common: Scores, own: Scores | None, classes: Sequence[str]) -> tuple[float, tuple[tuple[str, float], ...]]:
    """The least score of a rule, and of those of its classes that have another one. A rule's own number replaces what `defaults` says of any class."""
    scores: dict[str, float] = common if isinstance(common, dict) else {OTHER: common}
    if own is not None:
        scores = {**scores, **own} if isinstance(own, dict) else {OTHER: own}
    other: float = scores.get(OTHER, MIN_SCORE)
    found = {name: scores.get(name, other) for name in classes}
    if len(set(found.values())) == 1:
        return next(iter(found.values())), ()
    return other, tuple(sorted((name, score) for name, score in found.items() if score != other))


def _rule(reader: Reader, node: Node, known: Known, defaults: Mapping[str, Any]) -> Rule | None:
    entries = reader.mapping(node, required=("name", "when"), optional=(*DEFAULTS, "channels", "cameras", "schedule"))
    if entries is None:
        return None
    name = reader.name(entries["name"]) if "name" in entries else None
    when = condition(reader, entries["when"], known) if "when" in entries else None
    own = _options(reader, entries, known)
    options = {**defaults, **own}
    schedule = _schedule(reader, entries["schedule"]) if "schedule" in entries else None
    channels = _rule_channels(reader, entries["channels"], known) if "channels" in entries else ()
    cameras = _cameras(reader, entries)
    if options["min_size"] > options["max_size"]:
        at = next(entries[key] for key in ("min_size", "max_size") if key in own) if {"min_size", "max_size"} & own.keys() else node
        reader.problem(at, f"min_size {options['min_size']:g} is more than max_size {options['max_size']:g}, so no object would be seen")
    if name is None or when is None:
        return None
    min_score, class_scores = _for_classes(defaults["min_score"], own.get("min_score"), when.classes or when.near or ())
    return Rule(
        name=name,
        when=when,
        min_score=min_score,
        severity=options["severity"],
        cooldown_s=options["cooldown"],
        channels=channels,
        cameras=cameras,
        schedule=schedule,
        notify_again_after_s=options["notify_again_after"],
        class_scores=class_scores,
        merge_s=options["merge"],
        max_gap_s=options["max_gap"],
        min_frames=options["min_frames"],
        min_size=options["min_size"],
        max_size=options["max_size"],
        moving=options["moving"],
        at_line=node.line,
    )


def _rule_channels(reader: Reader, node: Node, known: Known) -> tuple[str, ...]:
    items = node.value if isinstance(node.value, list) else [node]
    found = [reader.reference(item, known.channels, "channel") for item in items]
    return tuple(sorted({name for name in found if name}))


def _schedule(reader: Reader, node: Node) -> Schedule | None:
    entries = reader.mapping(node, required=("timezone",), optional=("days", "from", "to"))
    if not entries or "timezone" not in entries:
        return None
    days = _days(reader, entries["days"]) if "days" in entries else tuple(range(7))
    start = _minute(reader, entries["from"]) if "from" in entries else 0
    end = _minute(reader, entries["to"]) if "to" in entries else MINUTES_OF_A_DAY
    zone = reader.text(entries["timezone"], what="a time zone such as Europe/Berlin")
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        reader.problem(entries["timezone"], f"no time zone is called {zone!r}; names are like Europe/Berlin or UTC")
        return None
    if days is None or start is None or end is None or zone is None:
        return None
    if start == end:
        reader.problem(node, "from and to are the same time; leave both out for the whole day")
        return None
    return Schedule(days, start, end, zone)


def _minute(reader: Reader, node: Node) -> int | None:
    match = TIME_OF_DAY.fullmatch(node.value) if isinstance(node.value, str) else None
    minute = int(match[1]) * 60 + int(match[2]) if match else MINUTES_OF_A_DAY + 1
    if minute <= MINUTES_OF_A_DAY:
        return minute
    reader.problem(node, 'a time of day such as "08:00" is needed here')
    return None


def _days(reader: Reader, node: Node) -> tuple[int, ...] | None:
    """`mon-fri`, `sat`, or a list of such; a span may run over Sunday (`sat-mon`)."""
    found: set[int] = set()
    for text in reader.texts(node, what="a day such as mon, or mon-fri") or ():
        first, span, last = text.lower().partition("-")
        last = last if span else first
        if first not in DAYS or last not in DAYS:
            reader.problem(node, f"{text!r} is no day; days are {', '.join(DAYS)}, or a span such as mon-fri")
            return None
        start, end = DAYS.index(first), DAYS.index(last)
        found |= {day % 7 for day in range(start, (end if end >= start else end + 7) + 1)}
    return tuple(sorted(found)) or None


def polygon_problem(corners: Sequence[Point]) -> str | None:
    """Why these corners bound no zone; None when they do."""
    if len(corners) < 3:
        return f"a polygon needs at least 3 points; this has {len(corners)}"
    if len(set(corners)) < len(corners):
        return "a point is there twice"
    if _in_line(corners):
        return "all corners lie on one line, so nothing can be inside; move one of them away from it"
    edges = [(corners[i], corners[(i + 1) % len(corners)]) for i in range(len(corners))]
    crossing = min((pair for pair in _near(edges) if _touch(edges[pair[0]], edges[pair[1]], pair[1] - pair[0] in (1, len(edges) - 1))), default=None)
    if crossing is None:
        return None
    return f"edges {crossing[0] + 1} and {crossing[1] + 1} cross or touch; list the points in the order in which one walks around the zone"


def _in_line(corners: Sequence[Point]) -> bool:
    """Whether no triangle over the longest way from the first corner has an area."""
    ax, ay = corners[0]
    bx, by = max(corners, key=lambda corner: math.dist(corner, (ax, ay)))
    return all(abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / 2 < LEAST_AREA for x, y in corners)


def _near(edges: Sequence[tuple[Point, Point]]) -> Iterator[tuple[int, int]]:
    """Pairs of edges, the lower number first, whose boxes touch and of which the second does not lie on one side of the first's line: few more than cross."""
    boxes = sorted((min(a[0], b[0]), max(a[0], b[0]), min(a[1], b[1]), max(a[1], b[1]), a, b, i) for i, (a, b) in enumerate(edges))
    for at, (_, right, top, bottom, (ax, ay), (bx, by), i) in enumerate(boxes):
        dx, dy = bx - ax, by - ay
        for left, _, upper, lower, (cx, cy), (ex, ey), j in boxes[at + 1 :]:
            if left > right:
                break
            if upper <= bottom and lower >= top and (dx * (cy - ay) - dy * (cx - ax)) * (dx * (ey - ay) - dy * (ex - ax)) <= 0:
                yield (i, j) if i < j else (j, i)


def _touch(first: tuple[Point, Point], second: tuple[Point, Point], neighbours: bool) -> bool:
    """Whether two edges share a point; for neighbours, one besides the corner between them."""
    (a, b), (c, d) = first, second
    if neighbours:
        shared = b if b in (c, d) else a
        p, q = (a if shared == b else b), (d if shared == c else c)
        dot = (p[0] - shared[0]) * (q[0] - shared[0]) + (p[1] - shared[1]) * (q[1] - shared[1])
        return _turn(shared, p, q) == 0 and dot > 0
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] != turns[1] and turns[2] != turns[3]:
        return True
    on = [(c, a, b, turns[0]), (d, a, b, turns[1]), (a, c, d, turns[2]), (b, c, d, turns[3])]
    return any(turn == 0 and min(p[0], q[0]) <= point[0] <= max(p[0], q[0]) and min(p[1], q[1]) <= point[1] <= max(p[1], q[1]) for point, p, q, turn in on)


def _turn(a: Point, b: Point, c: Point) -> int:
    """1, 0 or -1: on which side of a -> b the point c lies."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (cross > 0) - (cross < 0)
