"""What a vision model is asked about the picture of an alert that tracks raised, and what its answer amounts to.

The answer is one of three words and one bounded sentence. The word alone decides the outcome; the sentence is cleaned, shown as what a model said, and acted on
by nothing. An answer that is none of these leaves the alert unverified. No outcome takes an alert away.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from video_platform.analysis.passages import plain
from video_platform.analysis.seeing import Questioner, SeeingModel
from video_platform.errors import ModelReplyInvalid, ModelUnavailable
from video_platform.fingerprints import content_hash
from video_platform.prompts import prompt
from video_platform.records import AlertRecord, SecondLook, Stored

MAX_REASON = 200
"""Characters of a reason: one short sentence, shown beside the alert."""

MAX_REPLY_CHARS = 2_000
"""A reply at its limits, every character escaped, is below this; a longer one is not parsed."""

MAX_CLASSES = 8
"""Classes that a claim names; more in one alert is a street, and not what a question is about."""

MAX_CLASS = 60
"""Characters of a class; those of an open-vocabulary detector are words that somebody wrote."""

PROMPT = "second_look.v1"
"""The file of the words that come before every claim; changed words are a new file, with the next number."""

NO_WORDS = "it gave no reason"
"""Stands for a reason that has no words left once it is cleaned."""

Claim = Mapping[str, object]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")

    answer: Literal["yes", "no", "unsure"]
    reason: Annotated[str, Field(max_length=MAX_REASON)]


SCHEMA = _Reply.model_json_schema()
SYSTEM = prompt(PROMPT)
QUESTION = "This is the frame at {at_s:.2f} s. Is the claim true?\n<claim>{claim}</claim>"
PROMPT_HASH = content_hash({"system": SYSTEM, "question": QUESTION, "schema": SCHEMA})
"""Names the prompt in fingerprints and in the keys of answers; it changes whenever the words or the schema do."""

OUTCOMES: Mapping[str, Literal["confirmed", "rejected", "unverified"]] = {"yes": "confirmed", "no": "rejected", "unsure": "unverified"}


class Answer(Stored):
    """What a model said of one picture; `reason` is in its words."""

    answer: Literal["yes", "no", "unsure"]
    reason: str


@dataclass(frozen=True)
class Picture:
    """An alert's picture as it is shown, encoded, with the digest of these bytes; or, with `jpeg` None, the `reason` why it cannot be had."""

    jpeg: bytes | None
    digest: str = ""
    reason: str = ""


def configuration(model: SeeingModel) -> dict[str, object]:
    """What counts of a model in the fingerprint of what it said."""
    return {"model": model.name, "digest": model.digest, "prompt": PROMPT_HASH}


def claim_of(alert: AlertRecord, shown: Collection[int]) -> Claim | str:
    """What the picture of an alert is said to show, as the question puts it; or why nothing is asked, as words for people.

    `shown` are the ids of the tracks whose boxes are drawn in it.
    """
    if alert.kind == "silent":
        return "it speaks of footage that there is not"
    if alert.kind == "absent":
        if alert.why.get("zone"):
            return "whether nothing is in a zone is not asked"
        named = alert.why.get("absent")
        return {"nowhere": [_class(name) for name in named[:MAX_CLASSES]]} if isinstance(named, list) and named else "it does not say what was absent"
    names = Counter(name for track_id, name in named_tracks(alert).items() if track_id in shown)
    return {"in_the_boxes": dict(names.most_common(MAX_CLASSES))} if names else "nothing that it names is followed at its moment"


def named_tracks(alert: AlertRecord) -> dict[int, str]:
    """The class of each track that the reasons of an alert name, by its id; those of a crowd are its first."""
    tracks = alert.why.get("tracks")
    rows = [track for track in tracks if isinstance(track, Mapping)] if isinstance(tracks, list) else []
    return {int(row["id"]): _class(row["class"]) for row in rows if isinstance(row.get("id"), int) and "class" in row}


class Gone:
    """A model that does not answer now: what it said before is still its."""

    def __init__(self, name: str, digest: str, reason: str) -> None:
        self.name, self.digest, self._reason = name, digest, reason

    def chat(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, object], images: Sequence[bytes] = ()) -> tuple[str, int]:
        """See `SeeingModel.chat`; always raises `ModelUnavailable`."""
        raise ModelUnavailable(self._reason, model=self.name)


@dataclass(frozen=True)
class Looked:
    """What came of one alert: its outcome; the key of the question and the model's answer, as far as there are any."""

    look: SecondLook
    key: str = ""
    answer: Answer | None = None


class Looker(Questioner[Answer]):
    """Asks one model about the alerts of one video, with `answers` by `key_of`."""

    def look(self, at_s: float, claim: Claim, picture: Picture) -> Looked:
        """What comes of the second look at one alert; never raises for what a model says or does not say."""
        jpeg = picture.jpeg
        if jpeg is None:
            return Looked(unverified(picture.reason))
        key = key_of(picture.digest, self._model, claim)
        answer, why = self._answer_of(key, lambda: ask(self._model, jpeg, claim, at_s))
        if answer is None:
            return Looked(unverified(why or self.away or "", self._model.name), key)
        return Looked(SecondLook(outcome=OUTCOMES[answer.answer], reason=answer.reason, model=self._model.name), key, answer)


def unverified(reason: str, model: str = "") -> SecondLook:
    """The outcome of an alert of which there is no answer."""
    return SecondLook(outcome="unverified", reason=plain(reason)[:MAX_REASON], model=model)


def key_of(digest: str, model: SeeingModel, claim: Claim) -> str:
    """The name of an answer: the same picture, weights, words and claim give the same one."""
    return content_hash({"picture": digest, "model": model.digest, "prompt": PROMPT_HASH, "claim": claim})


def ask(model: SeeingModel, picture: bytes, claim: Claim, at_s: float) -> tuple[Answer, int]:
    """What the model says of the claim, and the tokens spent.

    Raises:
        ModelUnavailable: nobody answered.
        ModelReplyInvalid: the answer is none of the three.
    """
    text, tokens = model.chat(messages(claim, at_s), schema=SCHEMA, images=[picture])
    try:
        said = _Reply.model_validate_json(text[:MAX_REPLY_CHARS])
    except ValidationError as error:
        raise ModelReplyInvalid(f"{model.name} answered neither yes nor no nor unsure", model=model.name) from error
    return Answer(answer=said.answer, reason=plain(said.reason) or NO_WORDS), tokens


def messages(claim: Claim, at_s: float) -> list[dict[str, str]]:
    """The prompt: fixed instructions, then the claim as delimited JSON in which nothing can close the delimiter."""
    what = json.dumps(claim, ensure_ascii=False).replace("<", "\\u003c")
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION.format(at_s=at_s, claim=what)}]


def _class(name: object) -> str:
    return plain(str(name))[:MAX_CLASS]
