"""Whether a sentence repeats its source: what a caption says of a picture, what a transcript says was said.

Neither is measured. A sentence that rests on a caption passes when it is the caption's own words, whole up to the end of a clause, at the caption's time, and
when no class or number in it disagrees with the tracks of that span. A quote passes when it is whole sentences of the speech that is referred to, in the
mouth of nobody in particular. Cut anywhere else, words can be made to say the opposite ("do not | open the gate").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from video_platform.analysis.summary_facts import Facts
from video_platform.analysis.summary_reading import read
from video_platform.analysis.summary_vocabulary import NEAR, RANGE, seconds
from video_platform.records import Caption, SpeechSegment

State = Literal["supported", "contradicted", "not_checkable"]

MAX_PAUSE_S = 1.0
"""Speech that goes on within a second goes on with its sentence, where its end has no full stop."""

SPEECH_WORDS = frozenset(
    re.findall(
        r"\S+",
        """a an the somebody someone voice voices is are heard to say says said saying asks asked at about from until between and in speech transcript
        recording words there it""",
    )
)
"""Words around a quote that claim nothing but that somebody says it; who it is, nobody knows."""

_QUOTE = re.compile(r"[\"“”„«»]([^\"“”„«»]+)[\"“”„«»]")
_QUOTE_SIGNS = re.compile(r"[\"“”„«»]")
_WORD = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?|[^\W_]+(?:[-'’][^\W_]+)*|[.!?…;,:]")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?")
_ENDS = frozenset(".!?…;")
_TAILS = frozenset({"while"})
"""Words after which a caption goes on to something else."""
_TURNS = frozenset({"or", "but", "though", "although", "perhaps", "maybe", "possibly", "not", "if", "unless"})
"""After a comma these take back what stood before it."""
_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True)
class Quote:
    """The quoted words of a sentence, one entry per quote, and what stands around them."""

    parts: tuple[str, ...]
    around: str


def quote_of(text: str) -> Quote | None:
    """What a sentence quotes, None when it quotes nothing. A sign without its partner quotes something that nobody can find."""
    if not _QUOTE_SIGNS.search(text):
        return None
    around = _QUOTE.sub(" ", text)
    parts = tuple(_QUOTE.findall(text))
    return Quote((*parts, "") if _QUOTE_SIGNS.search(around) else parts, around)


def quote_state(quote: Quote, segments: Sequence[SpeechSegment], speech: Sequence[SpeechSegment], slack_s: float) -> State:
    """Whether the `segments` that are referred to say these words, as whole sentences, at the times that are given; `speech` is all of the video's."""
    if not segments:
        return "not_checkable"
    sentences = _spoken(segments, speech)
    for part in quote.parts:
        if not _is_run_of(_words(part), sentences):
            return "contradicted"
    tokens = _WORD.findall(quote.around.lower())
    times = [token for token in tokens if _TIME.fullmatch(token)]
    if any(not any(each.start_s - slack_s <= seconds(time) <= each.end_s + slack_s for each in segments) for time in times):
        return "contradicted"
    known = all(token in SPEECH_WORDS or token in times or not token[0].isalnum() for token in tokens)
    return "supported" if known else "not_checkable"


def caption_state(text: str, captions: Sequence[Caption], facts: Facts, slack_s: float) -> State:
    """Whether a clause is the words of one of these captions, at its time, and agrees with the tracks there."""
    words, times = _without_times(text)
    found = [caption for caption in captions if _opens_a_clause(words, _tokens(caption.text))]
    if not words or not found:
        return "not_checkable"
    timely = [each for each in found if all(each.start_s - slack_s <= at_s <= each.end_s + slack_s for at_s in times)]
    return "supported" if any(_agrees(text, caption, facts) for caption in timely) else "contradicted"


def _agrees(text: str, caption: Caption, facts: Facts) -> bool:
    """Whether the tracks of a caption's span have every class that the detector knows and a clause names, as often as it says."""
    there = [track for track in facts.tracks if track.start_s <= caption.end_s and track.end_s >= caption.start_s]
    for group in read(text, facts.names).groups:
        if group.class_name is None:
            continue
        span = [track for track in there if track.class_name == group.class_name]
        moment = [track for track in span if track.start_s <= caption.at_s <= track.end_s]
        if group.count == 0 and span:
            return False
        if group.count is None and len(span) < (2 if group.many else 1):
            return False
        if group.count and group.count not in (len(span), len(moment)):
            return False
    return True


def _without_times(text: str) -> tuple[list[str], list[float]]:
    """`(words, times)`: the words of a clause without what says when ("At 0:24", "from 0:05 to about 0:09")."""
    kept: list[str] = []
    times: list[float] = []
    for token in _tokens(text):
        if _TIME.fullmatch(token):
            while kept and (kept[-1] in NEAR or kept[-1] in RANGE or kept[-1] in ("at", "and" if times else "at")):
                kept.pop()
            times.append(seconds(token))
        else:
            kept.append(token)
    return [token for token in kept if token not in _ENDS and token != ","], times


def _opens_a_clause(words: Sequence[str], caption: Sequence[str]) -> bool:
    """Whether `words` are a clause of a caption from its first word to where it ends or goes on to something else."""
    starts = [0, *(at + 1 for at, token in enumerate(caption) if token in _ENDS)]
    return any(_runs(words, caption, start) for start in starts)


def _runs(words: Sequence[str], caption: Sequence[str], start: int) -> bool:
    at = start
    for word in words:
        while at < len(caption) and caption[at] == ",":
            at += 1
        if at >= len(caption) or not _same(word, caption[at]):
            return False
        at += 1
    if at >= len(caption) or caption[at] in _ENDS or caption[at] in _TAILS:
        return True
    return caption[at] == "," and at + 1 < len(caption) and caption[at + 1] not in _TURNS


def _same(one: str, other: str) -> bool:
    return one == other or (one in _ARTICLES and other in _ARTICLES)


def _spoken(segments: Sequence[SpeechSegment], speech: Sequence[SpeechSegment]) -> list[list[str]]:
    """The whole sentences of these segments, words in lower case; what goes on before or after them is no whole sentence."""
    chosen = {each.id for each in segments}
    found: list[list[str]] = []
    current: list[str] = []
    whole = True
    before: SpeechSegment | None = None
    for segment in speech:
        if before is not None and segment.start_s - before.end_s > MAX_PAUSE_S:
            current, whole = _end(found, current, whole)
        for token in _tokens(segment.text):
            if token in _ENDS:
                current, whole = _end(found, current, whole)
            elif token[0].isalnum():
                current.append(token)
                whole = whole and segment.id in chosen
        before = segment
    _end(found, current, whole)
    return found


def _end(found: list[list[str]], current: list[str], whole: bool) -> tuple[list[str], bool]:
    found.append(current if whole else [])
    return [], True


def _is_run_of(words: Sequence[str], sentences: Sequence[Sequence[str]]) -> bool:
    """Whether the words are one or more of these sentences, in a row; an empty one is a break."""
    for start in range(len(sentences)):
        rest = list(words)
        for sentence in sentences[start:]:
            if not sentence or rest[: len(sentence)] != list(sentence):
                break
            rest = rest[len(sentence) :]
            if not rest:
                return True
    return False


def _words(text: str) -> list[str]:
    return [token for token in _tokens(text) if token[0].isalnum()]


def _tokens(text: str) -> list[str]:
    return _WORD.findall(text.lower())
