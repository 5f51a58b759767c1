"""Words and phrases in what is said: what a `says` rule finds in a transcript.

Case and accents do not count ("Hilfe" is "HILFE", "café" is "cafe"), word boundaries do: "fire" is not in "fireplace". Scripts that are written without spaces
have no boundaries that could be seen; there each character stands for itself.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from video_platform.analysis.hits import Hit
from video_platform.analysis.passages import plain
from video_platform.analysis.schedules import Interval, within
from video_platform.records import SpeechSegment, Transcript
from video_platform.rules import Rule

MAX_QUOTED = 300
"""Characters of an utterance that its alert quotes: about twenty seconds of speech, more than a message shows."""

PAUSE_S = 2.0
"""A phrase may go from one utterance into the next when no longer a pause lies between them: models of speech cut in the middle of sentences."""

ACCENTS = range(0x300, 0x370)
"""Combining marks of Latin, Greek and Cyrillic. Marks of other scripts are letters there: without them, words become others."""

UNSPACED = (range(0xE00, 0xF00), range(0x1000, 0x10A0), range(0x1780, 0x1800), range(0x3040, 0x3100), range(0x3400, 0xA000), range(0x20000, 0x32000))
"""Thai and Lao, Burmese, Khmer, Japanese and Chinese."""

PLAIN = re.compile(r"[a-z0-9]+")
"""Words where all letters are those of English."""

INNER = "LMN"
"""First letters of the Unicode categories that words are made of: letters, their marks, digits."""


@dataclass(frozen=True)
class Token:
    """A word of the transcript in folded form; `segment` is the place of its utterance."""

    text: str
    start_s: float
    end_s: float
    probability: float | None
    segment: int


def tokens(text: str) -> list[str]:
    """The words of a text in order, folded: no case, no accents, nothing between words."""
    if text.isascii():  # the same, ten times as fast: an archive has millions of words
        return PLAIN.findall(text.lower())
    marked = unicodedata.normalize("NFKD", text.casefold())
    folded = unicodedata.normalize("NFC", "".join(character for character in marked if ord(character) not in ACCENTS))
    found: list[str] = []
    word = ""
    for character in folded:
        if any(ord(character) in unspaced for unspaced in UNSPACED):
            found += [word, character]
            word = ""
        elif unicodedata.category(character)[0] in INNER:
            word += character
        else:
            found.append(word)
            word = ""
    return [each for each in (*found, word) if each]


def spoken(transcript: Transcript) -> list[Token]:
    """The words of a transcript in order: what every rule looks through."""
    return [token for number, segment in enumerate(transcript.segments) for token in _spoken(segment, number)]


def hits(rule: Rule, transcript: Transcript, spans: Sequence[Interval] | None, heard: Sequence[Token] | None = None) -> list[Hit]:
    """One hit per utterance in which any of the rule's words or phrases is said, from the first of its words to the last, in order of time.

    `spans` are those of the rule's schedule, None without one: what begins in one of them counts. `heard` is what `spoken` says, for whoever asks again.
    """
    phrases = {phrase: wanted for phrase in rule.when.words if (wanted := tokens(phrase))}
    heard = spoken(transcript) if heard is None else heard
    places: dict[str, list[int]] = {wanted[0]: [] for wanted in phrases.values()}
    for place, token in enumerate(heard):
        if token.text in places:
            places[token.text].append(place)
    by_segment: dict[int, list[tuple[str, Sequence[Token]]]] = {}
    for phrase, wanted in phrases.items():
        for found in _runs(heard, wanted, places[wanted[0]]):
            if spans is None or within(found[0].start_s, spans):
                by_segment.setdefault(found[0].segment, []).append((phrase, found))
    return sorted((_hit(transcript.segments[number], found) for number, found in by_segment.items()), key=lambda hit: (hit.start_s, hit.end_s))


def _spoken(segment: SpeechSegment, number: int) -> Iterator[Token]:
    """The words of an utterance; all with its own times where the model gave none to each."""
    if not segment.words:
        yield from (Token(text, segment.start_s, segment.end_s, None, number) for text in tokens(segment.text))
    for word in segment.words:
        yield from (Token(text, word.start_s, word.end_s, word.probability, number) for text in tokens(word.text))


def _runs(heard: Sequence[Token], wanted: Sequence[str], places: Sequence[int]) -> Iterator[Sequence[Token]]:
    """Every one of the `places` of its first word at which the words of a phrase follow each other."""
    for first in places:
        run = heard[first : first + len(wanted)]
        if len(run) == len(wanted) and all(token.text == text for token, text in zip(run, wanted, strict=True)) and _together(run):
            yield run


def _together(run: Sequence[Token]) -> bool:
    return all(after.segment == before.segment or after.start_s - before.end_s <= PAUSE_S for before, after in itertools.pairwise(run))


def _hit(segment: SpeechSegment, found: Sequence[tuple[str, Sequence[Token]]]) -> Hit:
    start_s, end_s = min(run[0].start_s for _, run in found), max(run[-1].end_s for _, run in found)
    known = [token.probability for _, run in found for token in run if token.probability is not None]
    phrases = [plain(phrase) for phrase in dict.fromkeys(phrase for phrase, _ in sorted(found, key=lambda each: each[1][0].start_s))]
    quoted = {"id": segment.id, "text": plain(segment.text)[:MAX_QUOTED], "start_s": round(segment.start_s, 3), "end_s": round(segment.end_s, 3)}
    facts: dict[str, object] = {"said": phrases, "segment": quoted}
    if known:
        facts["probability"] = round(min(known), 3)
    return Hit(start_s, max(start_s, end_s), (), None, facts)
