"""A model that is shown pictures, and what it answered: what captions and the questions of rules have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from video_platform.errors import ModelReplyInvalid, ModelUnavailable

MAX_MISSES = 2
"""Questions in a row without an answer after which a model counts as away: a single picture may be too much for it."""

Said = TypeVar("Said")


@dataclass(frozen=True)
class Still:
    """The frame at `at_s` as it is shown: a JPEG file with the digest of its pixels; with `path` None, the `reason` why it cannot be had."""

    at_s: float
    path: Path | None
    digest: str = ""
    reason: str | None = None


class SeeingModel(Protocol):
    """What looks at pictures: `chat` shows `images` (encoded) with the last message, and gives an answer in the form of a JSON schema and its tokens."""

    name: str
    digest: str

    def chat(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, object], images: Sequence[bytes] = ()) -> tuple[str, int]:
        """Raises `ModelUnavailable`, or `ModelReplyInvalid` when the answer was cut."""
        ...


class Answers(Protocol[Said]):
    """Answers that are known already, each by a key; those that come in are kept there at once."""

    def get(self, key: str, /) -> Said | None:
        """The answer of this key, None when nobody gave it yet."""
        ...

    def put(self, key: str, answer: Said, /) -> None:
        """Keep an answer; it is there for the next process when this returns."""
        ...


class Questioner(Generic[Said]):
    """Puts questions about the pictures of one video to one model, but for those whose `answers` are known; after `MAX_MISSES` it asks no more.

    `away` says why it could not be asked for all, None while it can; `asked` questions were put now, `kept` were known, `tokens` were spent on those put.
    """

    def __init__(self, model: SeeingModel, answers: Answers[Said], away: str | None = None) -> None:
        self._model, self._answers = model, answers
        self.away = away
        self.asked = self.kept = self.tokens = self._misses = 0

    def _answer_of(self, key: str, ask: Callable[[], tuple[Said, int]]) -> tuple[Said | None, str | None]:
        """The answer under this key, known or given now by `ask` with its tokens; else None, and why there is none: None again where nobody was asked."""
        known = self._answers.get(key)
        if known is not None:
            self.kept += 1
            return known, None
        if self.away is not None:
            return None, None
        try:
            answer, tokens = ask()
        except ModelUnavailable as error:
            if not isinstance(error, ModelReplyInvalid):  # what answers nonsense is there
                self._misses += 1
                self.away = error.message if self._misses >= MAX_MISSES else None
            return None, error.message
        self._misses = 0
        self.asked, self.tokens = self.asked + 1, self.tokens + tokens
        self._answers.put(key, answer)
        return answer, None
