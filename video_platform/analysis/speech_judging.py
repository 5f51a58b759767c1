"""Whether a speech model understood what it heard, and the transcript that follows: what was not understood is said to be so, and none of its text is kept.

Whisper writes something for every sound. A model that knows English only, given German, writes English that nobody said: either hesitantly (words that it
finds improbable), or in circles (text that compresses well), or nothing. Two limits are those by which Whisper itself calls a decoding failed (Radford et al.
2023, 4.5); the mean probability of its words tells more, because its words are also matched with the sound. docs/speech.md has the figures, for English and
twelve other languages. A model of many languages also says which one it hears.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from statistics import fmean

from video_platform.records import SpeechSegment, Transcript

LEAST_LOG_PROBABILITY = -1.0
MOST_COMPRESSION = 2.4

LEAST_PROBABILITY = 0.55
"""Mean probability of the words. Of several sentences of English that espeak-ng spoke 0.75 and more, of twelve other languages that did not run in circles
0.54 and less (docs/speech.md); in words that are shouted alone it cannot tell."""

SHORT_S = 6.0
LEAST_PROBABILITY_SHORT = 0.67
"""The same for a window with less voice than this, where the model knows one language: the mean of few words is a matter of chance. Of 90 single sentences in
twelve other languages the best had 0.66; of English ones a quarter has less, and nearly every second word of these is wrong (docs/speech.md)."""

LEAST_WORDS_PER_S = 0.5
"""Words per second of voice; slow speech has two. Fewer: the model found no words in most of it."""

LEAST_LANGUAGE = 0.5
"""Probability of the likeliest language, from which on it counts as known."""

LEAST_UNDERSTOOD = 0.5
"""Part of the voice, in seconds, that must have been understood; below it what seems to be understood is chance."""


NAMED = {"en": "English"}
"""The language of a model that knows one, as people call it: Whisper has such models for English alone."""


@dataclass(frozen=True)
class Heard:
    """One window as the model heard it: seconds of voice, and of its text the mean log probability of a token and the highest compression ratio.

    `language` with its probability are what the model says; None for a model that knows one language and does not ask.
    """

    voice_s: float
    log_probability: float
    compression: float
    segments: Sequence[SpeechSegment] = ()
    language: str | None = None
    language_probability: float | None = None

    @property
    def words(self) -> int:
        """How many words it wrote."""
        return sum(len(segment.words) for segment in self.segments)

    @property
    def probability(self) -> float:
        """The mean probability of its words, 0 without any."""
        return fmean([word.probability for segment in self.segments for word in segment.words] or [0.0])

    @property
    def figures(self) -> dict[str, float | str | bool | None]:
        """What it was judged by, as plain JSON; a log probability of nothing at all is None."""
        said = round(self.log_probability, 3) if isfinite(self.log_probability) else None
        return {
            "voice_s": round(self.voice_s, 2),
            "words": self.words,
            "log_probability": said,
            "probability": round(self.probability, 3),
            "compression": round(self.compression, 2),
            "language": self.language,
            "understood": self.understood,
        }

    @property
    def least_probability(self) -> float:
        """What the mean probability of its words has to reach."""
        return LEAST_PROBABILITY_SHORT if self.voice_s < SHORT_S and self.language_probability is None else LEAST_PROBABILITY

    @property
    def understood(self) -> bool:
        """Whether this is what was said, as far as the model itself can tell."""
        return (
            self.log_probability >= LEAST_LOG_PROBABILITY
            and self.probability >= self.least_probability
            and self.compression <= MOST_COMPRESSION
            and self.words >= LEAST_WORDS_PER_S * self.voice_s
            and (self.language_probability is None or self.language_probability >= LEAST_LANGUAGE)
        )


@dataclass(frozen=True)
class Judged:
    """The transcript, over how much voice it was decided, and what was heard."""

    transcript: Transcript
    voice_s: float
    understood_s: float
    notes: list[str] = field(default_factory=list)
    heard: Sequence[Heard] = ()


def judge(heard: Sequence[Heard], only_language: str | None) -> Judged:
    """The transcript of a video with sound; `only_language` is the one that the model knows, None for a model of many."""
    voice_s = sum(each.voice_s for each in heard)
    kept = [each for each in heard if each.understood]
    understood_s = sum(each.voice_s for each in kept)
    if not heard:
        return Judged(Transcript(state="no_speech", reason="nobody speaks in its sound"), 0.0, 0.0)
    if understood_s < LEAST_UNDERSTOOD * voice_s:
        return Judged(Transcript(state="unknown_language", reason=_why(voice_s, only_language)), voice_s, understood_s, heard=heard)
    segments = [segment for each in kept for segment in each.segments]
    numbered = [segment.model_copy(update={"id": str(number)}) for number, segment in enumerate(segments)]
    language, probability = (only_language, None) if only_language else _most_spoken(kept)
    left_out_s = voice_s - understood_s
    notes = [f"{left_out_s:.1f} of {voice_s:.1f} s of speech could not be understood and are not in the transcript"] if left_out_s >= 0.1 else []
    transcript = Transcript(state="spoken", reason=notes[0] if notes else None, language=language, language_probability=probability, segments=numbered)
    return Judged(transcript, voice_s, understood_s, notes, heard)


def _why(voice_s: float, only_language: str | None) -> str:
    knows = f"the model knows {NAMED.get(only_language, only_language)} only and" if only_language else "the model"
    return f"somebody speaks for {voice_s:.1f} s, but {knows} does not understand it: another language, or speech that is too unclear"


def _most_spoken(kept: Sequence[Heard]) -> tuple[str | None, float | None]:
    """The language of most seconds, and how sure the model was of it, over those seconds."""
    seconds: dict[str, float] = {}
    for each in kept:
        if each.language is not None:
            seconds[each.language] = seconds.get(each.language, 0.0) + each.voice_s
    if not seconds:
        return None, None
    language = max(seconds, key=lambda name: seconds[name])
    sure = sum((each.language_probability or 0.0) * each.voice_s for each in kept if each.language == language)
    return language, round(sure / seconds[language], 3) if seconds[language] else None
