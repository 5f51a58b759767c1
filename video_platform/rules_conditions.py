"""What a rule waits for: which keys each kind has, and what each may hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from video_platform.rules_values import KINDS, Condition
from video_platform.rules_yaml import Node, Reader, did_you_mean

DIRECTIONS = ("left_to_right", "right_to_left", "any")


@dataclass(frozen=True)
class Classes:
    """What the detector can name; `advice` says of a class that is not among them what would find it."""

    names: Sequence[str]
    advice: Callable[[str], str] = lambda name: ""

    @classmethod
    def of(cls, given: "Sequence[str] | Classes | None") -> "Classes | None":
        """The same from names alone."""
        return given if given is None or isinstance(given, Classes) else cls(given)


@dataclass(frozen=True)
class Known:
    """The names that the rules of a file may use."""

    classes: Classes | None
    zones: Sequence[str]
    lines: Sequence[str]
    channels: Sequence[str]


Read = Callable[[Reader, Node, Known], Any]


def class_names(reader: Reader, node: Node, known: Known) -> tuple[str, ...] | None:
    """One class or a list of them, which the detector must have."""
    found = reader.texts(node, what="the name of a class")
    if found and known.classes is not None:
        for name in found:
            if name not in known.classes.names:
                hint = did_you_mean(name, known.classes.names)
                advice = known.classes.advice(name)
                found_by = f". To find it: {advice}" if advice else ""
                listed = hint if hint.startswith("known") else f"{hint} It knows: {', '.join(known.classes.names)}"
                reader.problem(node, f"the detector has no class {name!r}; {listed}{found_by}")
    return found


def _pair(reader: Reader, node: Node, known: Known) -> tuple[str, str] | None:
    items = reader.items(node, at_most=2)
    if items is None:
        return None
    if len(items) != 2:
        reader.problem(node, "two classes are needed here: [person, truck]")
        return None
    first, second = (_one_class(reader, item, known) for item in items)
    return (first, second) if first and second else None


def _one_class(reader: Reader, node: Node, known: Known) -> str | None:
    if isinstance(node.value, list):
        reader.problem(node, "each side is one class here: [person, truck]; for other pairs write rules of their own")
        return None
    found = class_names(reader, node, known)
    return found[0] if found else None


def _words(reader: Reader, node: Node, known: Known) -> tuple[str, ...] | None:
    found = reader.texts(node, what="a word")
    for words in found or ():
        if not any(character.isalnum() for character in words):
            reader.problem(node, f"there is no word in {words!r}")
    return found


VALUES: dict[str, tuple[str, Read]] = {
    "class": ("classes", class_names),
    "classes": ("classes", class_names),
    "zone": ("zone", lambda reader, node, known: reader.reference(node, known.zones, "zone")),
    "in": ("zone", lambda reader, node, known: reader.reference(node, known.zones, "zone")),
    "line": ("line", lambda reader, node, known: reader.reference(node, known.lines, "line")),
    "direction": ("direction", lambda reader, node, known: reader.choice(node, DIRECTIONS)),
    "for": ("for_s", lambda reader, node, known: reader.duration(node)),
    "at_least": ("at_least", lambda reader, node, known: reader.whole(node, 1, 10_000)),
    "near": ("near", _pair),
    "within": ("within", lambda reader, node, known: reader.number(node, 0, 1, what="a fraction of the frame width")),
    "above": ("above", lambda reader, node, known: reader.number(node, 0, 100, what="frame widths per second")),
    "question": ("question", lambda reader, node, known: reader.text(node, what="what to look for")),
    "words": ("words", _words),
    "camera": ("camera", lambda reader, node, known: reader.text(node, what="a camera")),
}
"""Key in the file (or meaning of a kind's own value) -> field of `Condition`, how it is read."""


@dataclass(frozen=True)
class KindKeys:
    """What the value of the kind's own key means, and its other keys; `defaults` are of `Condition`."""

    value: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    defaults: Mapping[str, object] | None = None


KEYS = {
    "appears": KindKeys("classes", optional=("in",)),
    "enters": KindKeys("zone", required=("class",)),
    "leaves": KindKeys("zone", required=("class",)),
    "crosses": KindKeys("line", required=("class",), optional=("direction",), defaults={"direction": "any"}),
    "dwells": KindKeys("zone", required=("class", "for")),
    "count": KindKeys("classes", required=("at_least",), optional=("in", "for"), defaults={"for_s": 0.0}),
    "absent": KindKeys("classes", required=("for",), optional=("in",)),
    "near": KindKeys("near", required=("within",), optional=("in", "for"), defaults={"for_s": 0.0}),
    "speed": KindKeys("classes", required=("above",), optional=("in", "for"), defaults={"for_s": 0.0}),
    "sees": KindKeys("question"),
    "says": KindKeys("words"),
    "silent": KindKeys("camera", required=("for",)),
}


def condition(reader: Reader, node: Node, known: Known) -> Condition | None:
    """The `when` of a rule."""
    entries = reader.entries(node)
    if entries is None:
        return None
    kinds = [key for key in entries if key in KINDS]
    if len(kinds) != 1:
        stranger = next((key for key in entries if key not in VALUES), None)
        hint = did_you_mean(stranger, KINDS) if stranger and not kinds else f"one of: {', '.join(KINDS)}"
        found = f"{len(kinds)} kinds of rule ({', '.join(kinds)})" if kinds else "no kind of rule"
        reader.problem(node, f"{found} where one is needed; {hint}")
        return None
    kind = KEYS[kinds[0]]
    read = reader.mapping(node, required=(kinds[0], *kind.required), optional=kind.optional) or {}
    values: dict[str, Any] = dict(kind.defaults or {})
    complete = all(key in read for key in (kinds[0], *kind.required))
    for key, child in read.items():
        field, how = VALUES[kind.value if key == kinds[0] else key]
        values[field] = how(reader, child, known)
        complete = complete and values[field] is not None
    return Condition(kinds[0], **values) if complete else None
