"""Reads one clause of a summary: what it speaks of, and what it claims of it, in the order of its words.

A clause is read from left to right as groups ("two people", "a second truck", "nothing") and what is said of each (directions, times, lengths, which of
its class it is). A word that has no place in this small grammar makes the clause unclear; so does a second group where an object of a verb or a preposition
would stand ("enters the car"), because that claims more than two things being there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from video_platform.analysis.summary_facts import DIRECTIONS
from video_platform.analysis.summary_vocabulary import (
    ANYTHING,
    BE,
    BEFORE_PLACES,
    DETERMINERS,
    DIGITS,
    DRIVING,
    ENDS,
    FOOTAGE,
    JOINS,
    MANY_WORDS,
    MOVES,
    NEAR,
    ONCE,
    ORDINALS,
    PEAK,
    PHRASES,
    PLACES,
    PLAIN,
    RANGE,
    RELATIONS,
    STARTS,
    TOKEN,
    UNITS,
    VEHICLES,
    WALKING,
    class_words,
    seconds,
    value,
)


@dataclass(frozen=True)
class Time:
    """A time as a clause gives it: `kind` is at, from, to, after or before; `near` for "about"."""

    kind: str
    at_s: float
    near: bool = False


@dataclass
class Group:
    """What a clause speaks of: `class_name` None is anything; `count` None is "a", "the" or, with `many`, a plural without a number.

    `nth` counts the tracks of the class by start, -1 is the last; `another`: one more than the group before. `firsts` are superlatives: first, last_start,
    last, longest.
    """

    class_name: str | None = None
    count: float | None = None
    many: bool = False
    nth: int | None = None
    another: bool = False
    moves: list[str] = field(default_factory=list)
    times: list[Time] = field(default_factory=list)
    lengths: list[tuple[float, bool]] = field(default_factory=list)
    firsts: list[str] = field(default_factory=list)
    starts: bool = False
    ends: bool = False
    verbs: set[str] = field(default_factory=set)

    @property
    def bare(self) -> bool:
        """Whether nothing is said of it, so that what is said of the next one in a list is meant."""
        return not (self.moves or self.times or self.lengths or self.firsts or self.starts or self.ends)


@dataclass
class Reading:
    """What one clause claims. `relations` are `(kind, left, right)` with indices of `groups`; `unknown` are the words that have no place in it."""

    groups: list[Group] = field(default_factory=list)
    relations: list[tuple[str, int, int]] = field(default_factory=list)
    footage_s: list[float] = field(default_factory=list)
    scene_count: float | None = None
    frame_count: float | None = None
    scene_number: int | None = None
    named: list[tuple[str, str]] = field(default_factory=list)
    once: bool = False
    peak: bool = False
    unknown: list[str] = field(default_factory=list)


def read(text: str, names: Sequence[str]) -> Reading:
    """One clause; `names` are the classes that the detector knows."""
    return _Reader(TOKEN.findall(text.lower()), class_words(names)).read()


class _Reader:
    """Takes the tokens of one clause in turn; what is said before the first group is kept for the groups that have no such claim of their own."""

    def __init__(self, tokens: list[str], surface: Mapping[tuple[str, ...], tuple[str, bool]]) -> None:
        self._tokens = tokens
        self._surface = surface
        self._found = Reading()
        self._early = Group()
        self._at = 0
        self._relation: str | None = None
        self._range = False

    def read(self) -> Reading:
        while self._at < len(self._tokens):
            taken = self._time() or self._length() or self._number_of() or self._peak_words() or self._group() or self._movement() or self._word()
            if not taken:
                self._found.unknown.append(self._token())
            self._at += max(taken, 1)
        if self._relation:
            self._found.unknown.append(self._token(-1))  # "with" and nobody
        self._hand_on()
        return self._found

    @property
    def _now(self) -> Group:
        return self._found.groups[-1] if self._found.groups else self._early

    def _token(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if 0 <= at < len(self._tokens) else ""

    def _is(self, words: Sequence[str], ahead: int = 0) -> bool:
        at = self._at + ahead
        return self._tokens[at : at + len(words)] == list(words)

    def _time(self) -> int:
        token = self._token()
        if ":" not in token or len(token) == 1:
            return 0
        back = -1
        near = self._token(back) in NEAR
        word = self._token(back - near)
        kind = "to" if word == "and" and self._range else RANGE.get(word, "at")
        self._range = kind == "from"
        if self._relation and word in RELATIONS:
            self._relation = None  # "after 0:54" is a time, no relation
        self._now.times.append(Time(kind, seconds(token), near))
        return 1

    def _length(self) -> int:
        ahead, total = 0, 0.0
        while (number := value(self._token(ahead) or "?")) is not None and self._token(ahead + 1) in UNITS:
            total += number * UNITS[self._token(ahead + 1)]
            ahead += 2
        if not ahead:
            return 0
        if self._is(("of",), ahead) and self._token(ahead + 1) in FOOTAGE:
            self._found.footage_s.append(total)
            return ahead + 2
        self._now.lengths.append((total, self._token(-1) in NEAR))
        return ahead

    def _number_of(self) -> int:
        """Scenes, frames, and things called by their number."""
        token, after = self._token(), self._token(1)
        if token in ORDINALS and after == "scene":
            self._found.scene_number = ORDINALS[token]
            return 2
        if token in ("track", "scene") and after and after[0] in DIGITS and ":" not in after:
            self._found.named.append((token, after))
            return 2
        number = value(token)
        if number is None:
            return 0
        if after in ("scene", "scenes"):
            self._found.scene_count = number
            return 2
        words = 2 if after == "looked-at" else 1
        if self._token(words) in ("frame", "frames"):
            self._found.frame_count = number
            return words + 1
        return 0

    def _peak_words(self) -> int:
        for words in PEAK:
            if self._is(words):
                self._found.peak = True
                return len(words)
        for words in ONCE:
            if self._is(words):
                self._found.once = True
                return len(words)
        return 0

    def _group(self) -> int:
        token = self._token()
        if token in ("nobody", "noone", "nothing"):
            return self._begin(Group(None if token == "nothing" else "person", 0.0), 1)
        ahead = 1 if token in DETERMINERS else 0
        group = Group()
        if (number := value(self._token(ahead) or "?")) is not None:
            group.count, ahead = number, ahead + 1
        if self._token(ahead) in ("another", "other"):
            group.another, ahead = True, ahead + 1
        words = self._class_at(ahead + 1) if self._token(ahead) in ORDINALS or self._token(ahead) == "last" else None
        if words is not None:
            group.nth = ORDINALS.get(self._token(ahead), -1)
            ahead += 1
        else:
            words = self._class_at(ahead)
        if words is not None:
            name, group.many = self._surface.get(words, (None, words[0] in MANY_WORDS))
            group.class_name = name
            zero = group.count is None and not group.another and self._token(-1) in ("or", "nor") and self._found.groups and self._found.groups[-1].count == 0
            group.count = 0.0 if zero else group.count
            return self._begin(group, ahead + len(words))
        if (group.count is None and not group.another) or not self._goes_on(ahead):
            return 0
        before = self._found.groups[-1].class_name if self._found.groups else None
        group.class_name = before
        return self._begin(group, ahead)

    def _begin(self, group: Group, taken: int) -> int:
        """Take a group up, where one may stand."""
        before, groups = self._token(-1), self._found.groups
        subject = before in BE and (not groups or self._found.peak)
        if before and before not in JOINS and ":" not in before and not subject and before not in self._found.unknown[-1:]:
            self._found.unknown.append(" ".join(self._tokens[self._at - 1 : self._at + taken]))
        if self._relation and groups:
            self._found.relations.append((self._relation, len(groups) - 1, len(groups)))
        elif self._relation and not self._found.peak:
            self._found.unknown.append(before)
        self._relation = None
        self._found.groups.append(group)
        return taken

    def _goes_on(self, ahead: int) -> bool:
        """Whether a number may stand alone: what follows is known and is no noun that was not counted."""
        token = self._token(ahead)
        phrase = token == "from" or any(self._is(words, ahead) for words in PHRASES)
        return (
            not token
            or token == "at"
            or ":" in token
            or token == ","
            or token in PLAIN
            or phrase
            or token in STARTS | ENDS
            or any(self._is(words, ahead) for words in ONCE)
        )

    def _class_at(self, ahead: int) -> tuple[str, ...] | None:
        """The longest class name that starts here."""
        at = self._at + ahead
        for size in (4, 3, 2, 1):
            words = tuple(self._tokens[at : at + size])
            if len(words) == size and (words in self._surface or words in ANYTHING):
                return words
        return None

    def _movement(self) -> int:
        for words in sorted(PHRASES, key=len, reverse=True):
            if self._is(words):
                self._now.moves.append(PHRASES[words])
                self._now.verbs.add(words[0])
                return len(words) + (self._is(("about",), len(words)) and PHRASES[words] == MOVES and ":" not in self._token(len(words) + 1))
        return 0

    def _word(self) -> int:
        token = self._token()
        if token in STARTS:
            self._now.starts = True
            return 1
        if token in ENDS:
            self._now.ends = True
            return 1
        if token == "longest":
            self._now.firsts.append("longest")
            return 1
        if token in ("first", "last"):
            starts = token == "last" and self._is(("to",), 1) and self._token(2) in STARTS
            self._now.firsts.append("last_start" if starts else token)
            return 3 if self._is(("to",), 1) and self._token(2) in STARTS else 1
        if token in RELATIONS:
            self._relation = RELATIONS[token]
            return 1
        if token == "moment":
            return int(self._token(-1) == "busiest")
        return int(token in PLAIN or self._leads(token) or self._places(token))

    def _leads(self, token: str) -> bool:
        """Whether a preposition leads to what was taken or will be: a time, a length, a direction, the picture."""
        ahead = 1 + (self._token(1) in NEAR | DETERMINERS)
        following = self._token(ahead)
        if token in NEAR or token in RANGE or token in ("at", "for"):
            once = token == "at" and any(self._is(words, ahead) for words in (*ONCE, *PEAK))
            way = token == "from" and any(self._is(words, 1) for words in PHRASES if " ".join(words) in DIRECTIONS)
            appears = token == "to" and following in STARTS
            length = token in NEAR | {"for"} and value(following or "?") is not None and self._token(ahead + 1) in UNITS
            return once or way or appears or length or ":" in following
        if token in ("in", "into", "on", "of"):
            scene = following in ORDINALS and self._token(ahead + 1) == "scene"
            counted = value(following or "?") is not None and self._token(ahead + 1) in (*UNITS, "frame", "frames", "looked-at")
            return following in PLACES or scene or counted
        return token in ("has", "have") and (following == "been" or (value(following or "?") is not None and self._token(ahead + 1) in ("scene", "scenes")))

    def _places(self, token: str) -> bool:
        """Whether a word for the picture or the footage stands where it claims nothing."""
        back = -1 - (self._token(-1) in DETERMINERS)
        first = self._at + back < 0
        if token == "shows":
            return self._token(-1) in PLACES
        return token in PLACES and (first or self._token(back) in BEFORE_PLACES)

    def _hand_on(self) -> None:
        """What was said before the first group holds for all; a bare group in a list is meant by what is said of the next."""
        groups, early = self._found.groups, self._early
        if not groups:
            if not early.bare:
                groups.append(early)
            self._suit()
            return
        groups[0].firsts += early.firsts
        groups[0].moves += early.moves
        groups[0].verbs |= early.verbs
        groups[0].lengths += early.lengths
        groups[0].starts |= early.starts
        groups[0].ends |= early.ends
        related = {left for _, left, _ in self._found.relations}
        for at in range(len(groups) - 2, -1, -1):
            if groups[at].bare and at not in related:
                then = groups[at + 1]
                groups[at].moves, groups[at].times, groups[at].lengths = list(then.moves), list(then.times), list(then.lengths)
                groups[at].starts, groups[at].ends, groups[at].verbs = then.starts, then.ends, set(then.verbs)
        for group in groups:
            group.times = group.times or list(early.times)
        self._suit()

    def _suit(self) -> None:
        """A verb that says more of a class than that it moves makes the clause unclear."""
        for group in self._found.groups:
            barred = WALKING if group.class_name in VEHICLES else DRIVING if group.class_name else DRIVING | WALKING
            self._found.unknown += [f"{group.class_name or 'something'} {verb}" for verb in sorted(group.verbs & barred)]
