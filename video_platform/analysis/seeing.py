"""A model that is shown pictures, and what it answered: what captions and the questions of rules have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

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
