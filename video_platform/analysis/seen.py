"""What a `sees` rule asks of a model that is shown frames: which frames, in which words, and what its answers amount to.

A question has two answers, yes and no, and nothing else that a model says is read: no words of it raise an alert, and none reach a page. One yes is not
believed, two in a row are.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from video_platform.analysis.hits import Hit
from video_platform.analysis.key_frames import Choice
from video_platform.analysis.passages import plain
from video_platform.analysis.seeing import SeeingModel
from video_platform.errors import ModelReplyInvalid
from video_platform.fingerprints import content_hash
from video_platform.prompts import prompt
from video_platform.records import Scene
from video_platform.rules import Rule

IN_A_ROW = 2
"""Yeses that raise an alert: models of a few billion parameters see what is not there in one frame of many."""

AGAIN_AFTER_S = 1.0
"""A yes between two noes is asked again of a frame so much later or earlier: what is really there for a second is in both."""

LEAST_APART_S = 0.1
"""Frames nearer to each other than this are all but the same picture, and the same answer says nothing new."""

MAX_QUESTION = 200
"""Characters of a question; a description of a thing to look for has some ten words."""

MAX_REPLY_CHARS = 200
"""A reply of the schema has 17 characters."""

PROMPT = "question.v1"
"""The file of the words that come before every question; changed words are a new file, with the next number."""


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")

    answer: Literal["yes", "no"]


SCHEMA = _Reply.model_json_schema()
SYSTEM = prompt(PROMPT)
PROMPT_HASH = content_hash({"system": SYSTEM, "schema": SCHEMA})
"""Names the prompt in fingerprints and in the keys of answers; it changes whenever the words or the schema do."""


@dataclass(frozen=True)
class Answer:
    """What the model said of the frame at `at_s`; `seen` is None where it gave no answer, for the `reason`. `digest` is of the pixels that were shown."""

    at_s: float
    digest: str
    seen: bool | None
    reason: str | None = None


def configuration(model: SeeingModel) -> dict[str, object]:
    """What counts of a model in the fingerprint of what it saw."""
    return {"model": model.name, "digest": model.digest, "prompt": PROMPT_HASH}


def moments(choice: Choice, duration_s: float, *, quiet_every_s: float, at_most: int) -> tuple[list[float], int]:
    """When a question is asked, in order of time, and how many moments more there would be without the cap.

    The key frames, and in between at least one frame every `quiet_every_s`: what the detector does not know makes no activity. Key frames are kept first.
    """
    keys = [frame.at_s for frame in choice.frames]
    between: list[float] = []
    for before, after in pairwise([0.0, *keys, duration_s]):
        parts = int((after - before) // quiet_every_s) + 1 if after - before > quiet_every_s else 1
        between += [before + (after - before) * part / parts for part in range(1, parts)]
    room = max(0, at_most - len(keys))
    kept = between if len(between) <= room else [between[number * len(between) // room] for number in range(room)]
    wanted = sorted({*keys[:at_most], *kept})
    return wanted, choice.left_out + len(set(keys) | set(between)) - len(wanted)


def asked_again(answers: Sequence[Answer], scenes: Sequence[Scene]) -> list[float]:
    """For each yes that stands alone, the moment in its scene at which to ask once more; none where the scene has no other picture."""
    found = []
    for number, answer in enumerate(answers):
        beside = [answers[at].seen for at in (number - 1, number + 1) if 0 <= at < len(answers)]
        if answer.seen and True not in beside and (at_s := _near(answers, number, scenes)) is not None:
            found.append(at_s)
    return found


def hits(answers: Sequence[Answer]) -> list[Hit]:
    """One hit per run of at least two yeses in a row, from the first to the last, in order of time; a frame without an answer ends a run."""
    found, run = [], []
    for answer in (*answers, None):
        if answer is not None and answer.seen:
            run.append(answer)
            continue
        if len(run) >= IN_A_ROW:
            facts: dict[str, object] = {"frames": len(run), "asked": len(answers)}
            found.append(Hit(run[0].at_s, run[-1].at_s, (), None, facts))
        run = []
    return found


def closest(rule: Rule, answers: Sequence[Answer]) -> tuple[str, float | None]:
    """What came closest to a rule that found nothing, and the moment that this speaks of."""
    what = plain(rule.when.question or "")
    if not answers:
        return "no frame was asked about", None
    yes = next((answer for answer in answers if answer.seen), None)
    unanswered = sum(answer.seen is None for answer in answers)
    of_these = f"; of {unanswered} there is no answer" if unanswered else ""
    if yes is None:
        return f"{what!r} was seen in none of {len(answers)} frames{of_these}", None
    alone = sum(bool(answer.seen) for answer in answers)
    return f"{what!r} was seen in {alone} of {len(answers)} frames, never in {IN_A_ROW} in a row{of_these}", yes.at_s


def key_of(digest: str, model: SeeingModel, question: str) -> str:
    """The name of an answer: the same picture, weights, words and question give the same one."""
    return content_hash({"picture": digest, "model": model.digest, "prompt": PROMPT_HASH, "question": plain(question)[:MAX_QUESTION]})


def ask(model: SeeingModel, picture: bytes, question: str, at_s: float) -> tuple[bool, int]:
    """Whether the model sees it in this picture, and the tokens spent.

    Raises:
        ModelUnavailable: nobody answered.
        ModelReplyInvalid: the answer is neither yes nor no.
    """
    text, tokens = model.chat(messages(question, at_s), schema=SCHEMA, images=[picture])
    try:
        return _Reply.model_validate_json(text[:MAX_REPLY_CHARS]).answer == "yes", tokens
    except ValidationError as error:
        raise ModelReplyInvalid(f"{model.name} answered neither yes nor no", model=model.name) from error


def messages(question: str, at_s: float) -> list[dict[str, str]]:
    """The prompt: fixed instructions, then the question as a delimited JSON string in which nothing can close the delimiter."""
    what = json.dumps(plain(question)[:MAX_QUESTION], ensure_ascii=False).replace("<", "\\u003c")
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"This is the frame at {at_s:.2f} s. Can this be seen in it?\n<question>{what}</question>"},
    ]


def _near(answers: Sequence[Answer], number: int, scenes: Sequence[Scene]) -> float | None:
    """A moment near an answer in the same scene, between the moments that were asked about already."""
    at_s = answers[number].at_s
    begin_s = max([0.0, *(scene.start_s for scene in scenes if scene.start_s <= at_s)])
    end_s = min((scene.end_s for scene in scenes if scene.end_s > at_s), default=at_s) - LEAST_APART_S
    if number:
        begin_s = max(begin_s, answers[number - 1].at_s + LEAST_APART_S)
    if number + 1 < len(answers):
        end_s = min(end_s, answers[number + 1].at_s - LEAST_APART_S)
    later, earlier = min(at_s + AGAIN_AFTER_S, end_s), max(at_s - AGAIN_AFTER_S, begin_s)
    chosen = later if later - at_s >= at_s - earlier else earlier
    return chosen if abs(chosen - at_s) >= LEAST_APART_S else None
