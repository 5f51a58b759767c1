"""What of a video search can find: passages from the sentences of its summary, with what was followed meanwhile."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from video_platform.records import Passage, Summary, TrackLine

MAX_CHARS = 2_000
"""A passage is a sentence or a caption; of a longer one the beginning counts, and the sentence model reads no more of it anyway."""

MAX_PASSAGES = 20_000
"""Of one video: a day of uninterrupted speech has about as many segments."""


@dataclass(frozen=True)
class Collected:
    """The passages of a video in order of time, and how many were left out (without words, or above `MAX_PASSAGES`)."""

    passages: list[Passage]
    left_out: int


def of_summary(summary: Summary, duration_s: float) -> list[Passage]:
    """A passage per sentence, over the span of its evidence; one without evidence speaks of the whole video."""
    found = []
    for number, sentence in enumerate(summary.sentences):
        start_s = min((each.start_s for each in sentence.evidence), default=0.0)
        end_s = max((each.end_s for each in sentence.evidence), default=duration_s)
        found.append(Passage(kind="summary", id=str(number), text=sentence.text, start_s=start_s, end_s=end_s, state=sentence.state))
    return found


def collect(sources: Iterable[Sequence[Passage]], tracks: Sequence[TrackLine]) -> Collected:
    """The passages of all sources with clean texts, each with the classes whose tracks touch its span."""
    found, empty = [], 0
    for each in chain.from_iterable(sources):
        text = plain(each.text)
        if not any(character.isalnum() for character in text):
            empty += 1
            continue
        classes = sorted({track.class_name for track in tracks if track.start_s <= each.end_s and track.end_s >= each.start_s})
        found.append(each.model_copy(update={"text": text, "classes": classes}))
    found.sort(key=lambda each: (each.start_s, each.end_s, each.kind, each.id))
    return Collected(found[:MAX_PASSAGES], empty + max(0, len(found) - MAX_PASSAGES))


def plain(text: str) -> str:
    """One line without controls, direction overrides and undecodable halves, which a database may refuse and a page must not show; at most `MAX_CHARS`."""
    shown = "".join(" " if character.isspace() else character for character in unicodedata.normalize("NFC", text[: 4 * MAX_CHARS]) if _is_shown(character))
    return " ".join(shown.split())[:MAX_CHARS]


def _is_shown(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
