"""Asking a model that is shown frames: each question of a picture once, with what was answered before kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from video_platform.analysis import seen
from video_platform.analysis.schedules import Interval, within
from video_platform.analysis.seeing import Questioner, Still
from video_platform.analysis.seen import Answer
from video_platform.records import Scene

NOT_ASKED = "the model went away before its turn"

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Question:
    """What is asked on behalf of one rule, at the moments that lie in `spans`; None is always."""

    rule: str
    text: str
    spans: tuple[Interval, ...] | None = None


@dataclass(frozen=True)
class Recalled:
    """What is known of a question without asking: all its answers, in order of time, or none and how many frames are `lacking`.

    Of a yes that stands alone among the lacking ones nobody knows yet whether it is to be asked about once more: there may be some more.
    """

    answers: list[Answer]
    lacking: int = 0


def recall(
    question: Question,
    moments: Sequence[float],
    scenes: Sequence[Scene],
    shown: Mapping[float, str],
    known: Callable[[str], bool | None],
) -> Recalled:
    """What `Asker.all` would find of one question, if nobody had to be asked.

    `shown` has the digest of the frame at a moment (seconds to three decimals), empty for one that cannot be had; `known` the answer about the frame of a
    digest, None where there is none.
    """
    first = _recalled(_in(question, moments), shown, known)
    if first.lacking:
        return first
    again = _recalled(_in(question, seen.asked_again(first.answers, scenes)), shown, known)
    return again if again.lacking else Recalled(sorted([*first.answers, *again.answers], key=lambda answer: answer.at_s))


def _recalled(moments: Sequence[float], shown: Mapping[float, str], known: Callable[[str], bool | None]) -> Recalled:
    found, lacking = [], 0
    for at_s in moments:
        digest = shown.get(round(at_s, 3))
        yes = known(digest) if digest else None
        if digest == "":
            found.append(Answer(at_s, "", None, "the frame cannot be had"))
        elif yes is None or digest is None:
            lacking += 1
        else:
            found.append(Answer(at_s, digest, yes))
    return Recalled([], lacking) if lacking else Recalled(found)


class Asker(Questioner[bool]):
    """Asks one model what it sees in the frames of one video, with `answers` by `seen.key_of`."""

    def all(
        self,
        questions: Sequence[Question],
        moments: Sequence[float],
        stills: Callable[[Sequence[float]], Sequence[Still]],
        scenes: Sequence[Scene],
        say: Progress,
    ) -> dict[str, list[Answer]]:
        """Rule -> the answers to its question, in order of time.

        Each is asked at every one of the `moments` in its spans, and once more near a yes that stands alone. `stills` gives the frames at some moments.
        """
        first = self._round(stills(_of_any(questions, moments)), dict.fromkeys(questions), say)
        again = {each: at_s for each in questions if (at_s := _in(each, seen.asked_again(first[each.rule], scenes)))}
        if again and self.away is None:
            second = self._round(stills(sorted({at for moments in again.values() for at in moments})), again, say)
            first = {rule: sorted([*given, *second.get(rule, ())], key=lambda answer: answer.at_s) for rule, given in first.items()}
        return first

    def _round(self, stills: Sequence[Still], questions: Mapping[Question, Sequence[float] | None], say: Progress) -> dict[str, list[Answer]]:
        """The answers about these frames: each question of all frames in its spans, or of those at its moments."""
        found: dict[str, list[Answer]] = {question.rule: [] for question in questions}
        for number, still in enumerate(stills):
            for question, moments in questions.items():
                if _in(question, [still.at_s]) if moments is None else still.at_s in moments:
                    found[question.rule].append(self._answer(question, still))
            say((number + 1) / len(stills), f"frame {number + 1} of {len(stills)} asked about")
        return found

    def _answer(self, question: Question, still: Still) -> Answer:
        path = still.path
        if path is None:
            return Answer(still.at_s, "", None, still.reason)
        key = seen.key_of(still.digest, self._model, question.text)
        yes, why = self._answer_of(key, lambda: seen.ask(self._model, path.read_bytes(), question.text, still.at_s))
        return Answer(still.at_s, still.digest, yes, NOT_ASKED if yes is None and why is None else why)


def _of_any(questions: Sequence[Question], moments: Sequence[float]) -> list[float]:
    return [at_s for at_s in moments if any(_in(question, [at_s]) for question in questions)]


def _in(question: Question, moments: Sequence[float]) -> list[float]:
    return [at_s for at_s in moments if question.spans is None or within(at_s, question.spans)]
