"""The words and numbers that the check of claims understands, and what each of them claims of a track."""

import re
from collections.abc import Mapping, Sequence

from video_platform.analysis.summary_facts import DIRECTIONS, LEFT_TO_RIGHT, RIGHT_TO_LEFT, STAYS, TOWARDS
from video_platform.analysis.summary_words import HOUR_S, MINUTE_S, NUMBERS, plural

TOKEN = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?|[0-9]+(?:\.[0-9]+)?|[^\W\d_]+(?:[-'’][^\W\d_]+)*|[,:]|[^\s.;!?()\"'“”’–—-]")
"""Times, numbers, words, separators; any other sign but punctuation is a token of its own, which nothing understands."""
DIGITS = "0123456789"
"""Other scripts have digits too, and superscripts; those are not read."""

PERSON_WORDS = {"persons": "person", "pedestrian": "person", "pedestrians": "person", "someone": "person", "somebody": "person"}
"""Other words for a class that say nothing more than the class."""
MANY_WORDS = frozenset({"persons", "pedestrians", "objects", "things"})
ANYTHING = {("object",), ("objects",), ("thing",), ("things",)}
"""What stands for every class."""
DETERMINERS = frozenset({"a", "an", "the", "this", "that", "these", "those"})
NONE_WORDS = frozenset({"no", "zero"})
UNITS = {"second": 1, "seconds": 1, "s": 1, "minute": MINUTE_S, "minutes": MINUTE_S, "min": MINUTE_S, "hour": HOUR_S, "hours": HOUR_S, "h": HOUR_S}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6}
FOOTAGE = frozenset({"footage", "video", "clip", "recording"})

MOVES, CROSSES = "moves", "crosses"
"""Claims of movement beside a direction and `STAYS`: it goes somewhere; it passes half the frame."""
PHRASES: Mapping[tuple[str, ...], str] = {
    **{tuple(way.split()): way for way in DIRECTIONS},
    ("toward", "the", "camera"): TOWARDS,
    ("approaches", "the", "camera"): TOWARDS,
    ("approach", "the", "camera"): TOWARDS,
    ("from", "the", "left"): LEFT_TO_RIGHT,
    ("to", "the", "right"): LEFT_TO_RIGHT,
    ("from", "the", "right"): RIGHT_TO_LEFT,
    ("to", "the", "left"): RIGHT_TO_LEFT,
    ("stands", "still"): STAYS,
    ("stand", "still"): STAYS,
    ("does", "not", "move"): STAYS,
    ("do", "not", "move"): STAYS,
    ("in", "place"): STAYS,
    **{(word,): STAYS for word in ("stay", "stays", "stands", "stand", "remain", "remains", "still", "parked", "stationary", "motionless")},
    **{(word,): MOVES for word in ("move", "moves", "walk", "walks", "pass", "passes", "come", "comes", "go", "goes", "drive", "drives", "travel", "travels")},
    **{(word,): CROSSES for word in ("cross", "crosses")},
}
"""Words of movement -> what they claim of a track."""

STARTS = frozenset({"appear", "appears", "appeared", "enter", "enters", "entered", "arrive", "arrives"})
ENDS = frozenset({"leave", "leaves", "disappear", "disappears", "exit", "exits"})
ONCE: Sequence[tuple[str, ...]] = (("once",), ("simultaneously",), ("same", "time"))
PEAK: Sequence[tuple[str, ...]] = (("never", "more", "than"), ("no", "more", "than"), ("at", "most"), ("busiest",), ("most",))
RELATIONS = {"before": "before", "after": "after", "then": "before", "with": "meets", "while": "meets", "when": "meets"}
"""Words between two groups -> what they claim: the left one begins earlier, begins later, or is seen at a time when the right one is."""
JOINS = frozenset({"and", "or", "nor", "but", ",", ":", "shows", "scene", "once", "time", "than", "most", *RELATIONS})
"""After these, after a time or at the start of a clause, a new group may begin."""
BE = frozenset({"is", "are", "was", "were"})
"""After these a group may begin only as the first of its clause, or to count the fullest moment: "there is a dog", not "a dog is a car"."""
PLAIN = frozenset(
    re.findall(
        r"\S+",
        """a an the this that these those it they there here and or but nor is are was were be been being seen visible present detected shown
        where who which also , :""",
    )
)
"""Words that claim nothing by themselves, or only what the numbers, classes and times beside them claim."""
PLACES = frozenset({*FOOTAGE, "view", "picture", "frame", "scene"})
"""Where everything is; after other words than these they would be an object ("moves the picture")."""
BEFORE_PLACES = frozenset({"in", "into", "on", "of", "cross", "crosses", "enter", "enters", "entered", "leave", "leaves", "exit", "exits"})
VEHICLES = frozenset({"car", "truck", "bus", "motorcycle", "bicycle", "train", "boat"})
DRIVING = frozenset({"drive", "drives", "parked"})
WALKING = frozenset({"walk", "walks"})
"""What only vehicles do, and what they do not: "a person drives" says that there is a car."""
NEAR = frozenset({"about", "around", "roughly", "approximately"})
RANGE: Mapping[str, str] = {"from": "from", "between": "from", "to": "to", "until": "to", "till": "to", "after": "after", "since": "after", "before": "before"}


def class_words(names: Sequence[str]) -> dict[tuple[str, ...], tuple[str, bool]]:
    """Every way to write a class, as tokens -> (class, whether that is a plural)."""
    found = {tuple(word.split()): (name, word in MANY_WORDS) for word, name in PERSON_WORDS.items()}
    for name in names:
        found[tuple(TOKEN.findall(plural(name)))] = (name, plural(name) != name)
        found[tuple(TOKEN.findall(name))] = (name, False)
    return found


def value(token: str) -> float | None:
    """The number that a token is, None for other words."""
    if token in NONE_WORDS:
        return 0.0
    if token in NUMBERS:
        return float(NUMBERS.index(token))
    return float(token) if token[0] in DIGITS and ":" not in token else None


def seconds(token: str) -> float:
    """A time such as 1:02:03 in seconds."""
    at_s = 0.0
    for part in token.split(":"):
        at_s = at_s * MINUTE_S + int(part)
    return at_s
