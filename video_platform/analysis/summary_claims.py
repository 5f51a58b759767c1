"""Whether a sentence says only what the facts say.

A sentence is `supported` when every one of its words is understood and every claim in it (classes, counts, times, lengths, directions) agrees with the facts
and with the tracks and scenes that it refers to; `contradicted` when one claim disagrees or a reference does not exist; `not_checkable` when it holds words
beyond this vocabulary ("steals", "red coat"), or refers to nothing. So a model may phrase, but not invent.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from video_platform.analysis.summary_facts import ABOUT, DIRECTIONS, MAX_EVIDENCE, STAYS, Facts, TrackFact
from video_platform.analysis.summary_words import HOUR_S, MINUTE_S, NUMBERS, plural
from video_platform.records import Evidence, Sentence

State = Literal["supported", "contradicted", "not_checkable"]

TIME_SLACK_S = 1.0
"""Times in words are whole seconds."""
LENGTH_SLACK = 0.02
"""Lengths above a minute are rounded too."""
SCORE_SLACK = 0.006
"""Scores are written with two decimals."""

PERSON_WORDS = {"persons": "person", "pedestrian": "person", "pedestrians": "person", "someone": "person", "somebody": "person"}
"""Other words for a class that say nothing more than the class."""
DIGITS = "0123456789"
"""Other scripts have digits too, and superscripts; those are not read."""
NONE_WORDS = ("no", "zero", "none", "without")
UNITS = {"second": 1, "seconds": 1, "s": 1, "minute": MINUTE_S, "minutes": MINUTE_S, "min": MINUTE_S, "hour": HOUR_S, "hours": HOUR_S, "h": HOUR_S}
STAY_WORDS = ("stay", "stays", "stands", "stand", "remain", "remains", "still", "parked", "waits", "wait")
ONCE_WORDS = ("once", "busiest", "simultaneously")
"""What says that a count and its time are of the fullest moment."""
EMPTY_WORDS = ("nothing",)
"""What says that a time is of the longest pause."""
MOVE_WORDS = ("move", "moves", "cross", "crosses", "walk", "walks", "pass", "passes")

PLAIN = frozenset(
    re.findall(
        r"[a-z]+",
        """a an the this that these those it its they their there here and or but from to at in into of on for with by as is are was were be been has have
        seen visible present detected appear appears appeared show shows shown recorded found looked look leave leaves left enter enters entered
        start starts begin begins time moment footage video clip picture frame frames view scene scenes camera track tracks
        where when who which about kinds kind score more until nothing""",
    )
)
"""Words that claim nothing by themselves, or only what the numbers, classes and times beside them claim."""

SUPERLATIVES: dict[str, Callable[[TrackFact], float]] = {
    "first": lambda track: -track.start_s,
    "last": lambda track: track.end_s,
    "longest": lambda track: track.duration_s,
    "closest": lambda track: -math.inf,
}
"""Word -> what is greatest for the track that it means."""

_CLAUSE_END = re.compile(r"(?<=[.!?;])\s+")
_TOKEN = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?|[0-9]+(?:\.[0-9]+)?|[^\W\d_]+(?:[-'’][^\W\d_]+)*|[^\s.,;:!?()\"'“”’–—-]")
"""Times, numbers, words; any other sign but punctuation is a token of its own, which nothing understands."""


@dataclass(frozen=True)
class _Claims:
    """What one sentence is held against: the facts, the tracks it refers to, the spans its times may lie in, and what its words are about."""

    facts: Facts
    tracks: Sequence[TrackFact]
    evidence: Sequence[Evidence]
    spans: Sequence[tuple[float, float]] = ()
    moves: bool = False
    at_once: bool = False


def judge(text: str, references: Sequence[str], facts: Facts) -> Sentence:
    """`text` with its state and the evidence that its `references` ("track:3", "scene:0") name."""
    found = [facts.evidence(reference) for reference in dict.fromkeys(references)]
    evidence = [each for each in found if each is not None]
    shown = evidence[:MAX_EVIDENCE]
    if None in found:
        return Sentence(text=text, state="contradicted", evidence=shown)
    ids = {each.id for each in evidence if each.kind == "track"}
    claims = _Claims(facts, [track for track in facts.tracks if str(track.id) in ids], evidence)
    state = _state(text, claims)
    return Sentence(text=text, state=state if evidence or state == "contradicted" else "not_checkable", evidence=shown)


def confirmed(text: str, facts: Facts) -> bool:
    """Whether a title or overview says nothing but what the facts of the whole video say."""
    everything = _Claims(facts, facts.tracks, [track.evidence for track in facts.tracks])
    return _state(text, everything) == "supported"


def _state(text: str, claims: _Claims) -> State:
    """The worst state of the clauses of a text; "at once" in one says nothing of the next."""
    states = [_clause_state(clause, claims) for clause in _CLAUSE_END.split(text) if clause.strip()]
    if "contradicted" in states:
        return "contradicted"
    return "supported" if states and "not_checkable" not in states else "not_checkable"


def _clause_state(text: str, claims: _Claims) -> State:
    """Reads the tokens from left to right; each kind of claim takes the tokens it is made of."""
    tokens = _TOKEN.findall(text.lower())
    surface = _class_words(claims.facts)
    claims = _about(tokens, claims)
    checked, unknown, at = 0, False, 0
    while at < len(tokens):
        taken, verdict = _claim(tokens, at, surface, claims)
        if verdict is False:
            return "contradicted"
        checked += verdict is True
        unknown |= taken == 0
        at += max(taken, 1)
    return "supported" if checked and not unknown else "not_checkable"


def _about(tokens: Sequence[str], claims: _Claims) -> _Claims:
    """`claims` narrowed to what the sentence speaks of: the fullest moment, the longest pause, a movement, or what it refers to."""
    facts = claims.facts
    spans = [(each.start_s, each.end_s) for each in claims.evidence] or [(0.0, facts.duration_s)]
    at_once = any(word in tokens for word in ONCE_WORDS)
    if at_once:
        spans = [(peak.start_s, peak.end_s) for peak in (facts.peak, *facts.peaks.values()) if peak]
    elif any(word in tokens for word in EMPTY_WORDS):
        spans = [facts.gap] if facts.gap else []
    moves = any(word in tokens for word in (*STAY_WORDS, *MOVE_WORDS)) or any(way in " ".join(tokens) for way in DIRECTIONS)
    return replace(claims, spans=spans, moves=moves, at_once=at_once)


def _claim(tokens: list[str], at: int, surface: dict[tuple[str, ...], str], claims: _Claims) -> tuple[int, bool | None]:
    """`(tokens taken, verdict)` of what starts at `at`; 0 taken: not understood; verdict None: nothing claimed."""
    token, after = tokens[at], tokens[at + 1 : at + 2]
    if ":" in token:
        return 1, _time_holds(token, claims)
    value = _value(token)
    if value is not None and after and after[0] in UNITS:
        return _length(tokens, at, claims)
    if value is not None:
        return _count(tokens, at, value, surface, claims)
    if token in ("nobody", "noone"):
        return 1, "person" not in claims.facts.counts
    if (words := _class_at(tokens, at, surface)) is not None:
        return len(words), surface[words] in claims.facts.counts or _is_guess(surface[words], claims.facts)
    for way in DIRECTIONS:
        if tokens[at : at + len(way.split())] == way.split():
            return len(way.split()), any(track.movement == way for track in claims.tracks)
    if token in STAY_WORDS:
        return 1, any(track.movement == STAYS for track in claims.tracks)
    if token in MOVE_WORDS:
        return 1, any(track.movement in (*DIRECTIONS, ABOUT) for track in claims.tracks)
    if token in SUPERLATIVES:
        return 1, _superlative_holds(token, claims)
    if token in ONCE_WORDS or (token == "most" and claims.at_once):
        return 1, None
    return (1, None) if token in PLAIN else (0, None)


def _superlative_holds(word: str, claims: _Claims) -> bool:
    """Whether the one that is first, last or seen the longest is among those referred to."""
    of = SUPERLATIVES[word]
    everything = [of(track) for track in claims.facts.tracks]
    guessed = word == "closest" and claims.facts.best_guess is not None
    return guessed or any(of(track) >= max(everything) - TIME_SLACK_S for track in claims.tracks)


def _count(tokens: list[str], at: int, value: float, surface: dict[tuple[str, ...], str], claims: _Claims) -> tuple[int, bool | None]:
    """A number with what it counts: a class, scenes, frames, or nothing named ("three at once")."""
    after = at + 1
    while after < len(tokens) and tokens[after] in ("other", "looked-at", "looked"):
        after += 1
    words = _class_at(tokens, after, surface)
    if words is not None:
        return after - at + len(words), _class_count_holds(surface[words], value, claims)
    facts = claims.facts
    noun = tokens[after] if after < len(tokens) else ""
    if noun in ("scene", "scenes"):
        return after - at + 1, value == max(1, len(facts.scenes))
    if noun in ("frame", "frames"):
        return after - at + 1, value == facts.samples
    if at and tokens[at - 1] in ("track", "scene"):
        return 1, any(each.kind == tokens[at - 1] and each.id == tokens[at] for each in claims.evidence)
    return 1, value in _plain_counts(claims)


def _class_count_holds(name: str, value: float, claims: _Claims) -> bool:
    """A count of a class: of the fullest moment, of those that share a movement, of those referred to, or of all of it."""
    facts = claims.facts
    if value == 1 and _is_guess(name, facts):
        return True
    if name not in facts.counts or value == 0:
        return value == 0 and name not in facts.counts
    if claims.at_once:
        return value == facts.peaks[name].count
    referred = [track for track in claims.tracks if track.class_name == name]
    if claims.moves:
        return value in {len(referred)} | _by_movement(referred) | _by_movement(facts.of(name))
    return value in {len(referred), facts.counts[name]} or (value == 1 and bool(referred))


def _plain_counts(claims: _Claims) -> set[float]:
    """Numbers that may stand without a noun: "four at once", "one crosses from right to left", a score."""
    facts = claims.facts
    if claims.at_once:
        return {peak.count for peak in (facts.peak, *facts.peaks.values()) if peak}
    guess = {round(facts.best_guess.score, 2)} if facts.best_guess else set()
    if claims.moves:
        return {*guess, len(claims.tracks), *_by_movement(claims.tracks), *_by_movement(facts.tracks)}
    return {*guess, len(facts.tracks), len(claims.tracks), *facts.counts.values()}


def _by_movement(tracks: Sequence[TrackFact]) -> set[int]:
    """How many of these tracks go each way, or stay."""
    ways = [track.movement for track in tracks]
    return {ways.count(way) for way in set(ways)}


def _time_holds(token: str, claims: _Claims) -> bool:
    """Whether a time lies in the footage, and in a span that the sentence speaks of."""
    at_s = 0.0
    for part in token.split(":"):
        at_s = at_s * MINUTE_S + int(part)
    inside = any(start_s - TIME_SLACK_S <= at_s <= end_s + TIME_SLACK_S for start_s, end_s in claims.spans)
    return at_s <= claims.facts.duration_s + TIME_SLACK_S and inside


def _length(tokens: list[str], at: int, claims: _Claims) -> tuple[int, bool]:
    """A length of time such as `3 minutes 5 seconds`: of the footage, of the longest pause, or of something referred to."""
    start, total = at, 0.0
    while at + 1 < len(tokens) and tokens[at + 1] in UNITS and (value := _value(tokens[at])) is not None:
        total += value * UNITS[tokens[at + 1]]
        at += 2
    facts = claims.facts
    lengths = [end_s - start_s for start_s, end_s in claims.spans]
    if "nothing" not in tokens:
        lengths += [facts.duration_s, *(each.end_s - each.start_s for each in claims.evidence)]
    slack = max(TIME_SLACK_S, LENGTH_SLACK * total) if total < HOUR_S else MINUTE_S
    return at - start, any(abs(total - length) <= slack for length in lengths)


def _value(token: str) -> float | None:
    if token in NONE_WORDS:
        return 0.0
    if token in NUMBERS:
        return float(NUMBERS.index(token))
    return float(token) if token[0] in DIGITS and ":" not in token else None


def _is_guess(name: str, facts: Facts) -> bool:
    return facts.best_guess is not None and facts.best_guess.class_name == name


def _class_words(facts: Facts) -> dict[tuple[str, ...], str]:
    """Every way to write a class, as tokens -> class."""
    found = {tuple(word.split()): name for word, name in PERSON_WORDS.items()}
    for name in facts.names:
        for form in (name, plural(name)):
            found[tuple(_TOKEN.findall(form))] = name
    return found


def _class_at(tokens: list[str], at: int, surface: dict[tuple[str, ...], str]) -> tuple[str, ...] | None:
    """The longest class name that starts here."""
    return next((words for size in (4, 3, 2, 1) if (words := tuple(tokens[at : at + size])) in surface and len(words) == size), None)
