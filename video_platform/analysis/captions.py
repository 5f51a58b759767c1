"""What a vision model says of single frames of a video, each with the moment and the span that it stands for.

Whatever a model answers, and whatever stands written in a picture, becomes the text of a caption or nothing: the answer is one bounded text, cleaned, and
nothing acts on it here. A frame without an answer says why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from video_platform.analysis.key_frames import KeyFrame
from video_platform.analysis.passages import plain
from video_platform.analysis.seeing import MAX_MISSES, Answers, SeeingModel, Still
from video_platform.errors import ModelReplyInvalid, ModelUnavailable
from video_platform.fingerprints import content_hash
from video_platform.records import Caption, Captions, Passage, Stored

PROMPT = "caption.v1"
"""The file of the words that a model is asked with; changed words are a new file, with the next number."""

MAX_PROMPT_CHARS = 8_000
"""Of a prompt: about 2,000 of the 8,192 tokens that a model sees, which leaves room for the picture and the answer."""

MAX_TEXT_CHARS = 400
"""Of a caption: two sentences."""

MAX_REPLY_CHARS = 4_000
"""A reply at its limits is far below; a longer one is not parsed."""

MAX_PROBLEM_CHARS = 300
"""What a repair turn is told of the first reply's faults, and what is kept of why a frame has no caption."""

QUESTION = "Describe this picture."
REPAIR = "Your answer did not follow the schema: {problem}. Look at the picture again and answer with one JSON object of the schema and nothing else."

DESCRIBED = "described"
"""State of the passages of captions."""


def _with_words(text: str) -> str:
    cleaned = plain(text)
    if not any(character.isalnum() for character in cleaned):
        raise ValueError("it has no words")
    return cleaned


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS), AfterValidator(_with_words)]


SCHEMA = _Reply.model_json_schema()


@dataclass(frozen=True)
class Prompt:
    """The words that a model is asked with."""

    text: str

    @cached_property
    def hash(self) -> str:
        """Changes whenever the words, the question or the schema do."""
        return content_hash({"system": self.text, "question": QUESTION, "repair": REPAIR, "schema": SCHEMA})


class Answer(Stored):
    """What a model says of one frame: a text, or the reason why there is none, and the tokens that it took."""

    text: str = ""
    reason: str | None = None
    tokens: int = 0


@dataclass(frozen=True)
class Described:
    """The captions of a video; `away` says why the model could not be asked for all, None when it could. `asked` frames were sent now, `kept` were known."""

    captions: Captions
    away: str | None = None
    asked: int = 0
    kept: int = 0
    tokens: int = 0


def describe(
    frames: Sequence[tuple[KeyFrame, Still]],
    model: SeeingModel,
    prompt: Prompt,
    answers: Answers[Answer],
    *,
    left_out: int = 0,
    on_progress: Callable[[float, str], None] | None = None,
) -> Described:
    """Have `model` look at the still of each key frame that `answers` does not know by its digest, in order of time; equal pictures are shown once.

    After `MAX_MISSES` questions in a row without an answer nobody is asked any more. `left_out` further frames were not to be asked for, which is said.
    """
    captions: list[Caption] = []
    asked = kept = tokens = misses = 0
    away: str | None = None
    shown: set[str] = set()
    for number, (frame, still) in enumerate(frames):
        answer = answers.get(still.digest) if still.path else Answer(reason=still.reason)
        if still.path and answer is not None and still.digest not in shown:
            kept, tokens = kept + 1, tokens + answer.tokens
        if still.path and answer is None and misses < MAX_MISSES:
            try:
                answer = look(model, prompt, still.path.read_bytes())
            except ModelUnavailable as error:
                misses, away = misses + 1, error.message[:MAX_PROBLEM_CHARS]
            else:
                answers.put(still.digest, answer)
                misses, asked, tokens = 0, asked + 1, tokens + answer.tokens
        shown.add(still.digest)
        captions.append(_caption(frame, still.digest, answer or Answer(reason=away)))
        if on_progress is not None:
            on_progress((number + 1) / len(frames), f"frame {number + 1} of {len(frames)}")
    return Described(_together(captions, left_out), away, asked, kept, tokens)


def not_described(reason: str) -> Captions:
    """The captions of a video of which nobody was asked."""
    return Captions(state="not_described", reason=reason)


def look(model: SeeingModel, prompt: Prompt, picture: bytes) -> Answer:
    """What `model` says of one JPEG. A reply that breaks the schema gets one repair turn; broken again, the answer is the reason why there is no text.

    Raises:
        ModelUnavailable: nothing answered.
    """
    first = [{"role": "system", "content": prompt.text}, {"role": "user", "content": QUESTION}]
    tokens = 0
    try:
        text, tokens = model.chat(first, schema=SCHEMA, images=[picture])
        try:
            return Answer(text=_parse(text), tokens=tokens)
        except ValueError as error:
            problem = _problem(error)
        again = [*first, {"role": "assistant", "content": text[:MAX_REPLY_CHARS]}, {"role": "user", "content": REPAIR.format(problem=problem)}]
        text, more = model.chat(again, schema=SCHEMA, images=[picture])
        tokens += more
        return Answer(text=_parse(text), tokens=tokens)
    except ModelReplyInvalid as error:
        return Answer(reason=error.message[:MAX_PROBLEM_CHARS], tokens=tokens)
    except ValueError as error:
        return Answer(reason=f"{model.name} broke the schema twice: {_problem(error)}"[:MAX_PROBLEM_CHARS], tokens=tokens)


def passages(captions: Captions) -> list[Passage]:
    """What search finds: a passage for each text, over all that neighbouring frames say in the same words; its id is that of the first of them."""
    found: list[Passage] = []
    for caption in captions.captions:
        if not caption.text:
            continue
        if found and found[-1].text == caption.text and found[-1].end_s >= caption.start_s:
            found[-1] = found[-1].model_copy(update={"end_s": max(found[-1].end_s, caption.end_s)})
            continue
        found.append(Passage(kind="caption", id=caption.id, text=caption.text, start_s=caption.start_s, end_s=caption.end_s, state=DESCRIBED))
    return found


def content(captions: Captions) -> dict[str, object]:
    """What captions say, for a content hash: why something is not described, and the last bit of a pixel, say nothing of the video."""
    said = [each.model_dump(exclude={"reason", "digest"}) for each in captions.captions]
    return {"state": captions.state, "captions": said}


def _parse(text: str) -> str:
    if len(text) > MAX_REPLY_CHARS:
        raise ValueError(f"the answer has {len(text)} characters, at most {MAX_REPLY_CHARS} are read")
    return _Reply.model_validate_json(text).text


def _problem(error: ValueError) -> str:
    """What was wrong, without the text that was: it may be long, and it is not trusted."""
    if isinstance(error, ValidationError):
        found = [
            f"{'.'.join(str(part) for part in each['loc'])[:40] or 'answer'}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        return "; ".join(found)[:MAX_PROBLEM_CHARS]
    return str(error)[:MAX_PROBLEM_CHARS]


def _caption(frame: KeyFrame, digest: str, answer: Answer) -> Caption:
    reason = None if answer.text else answer.reason or "nobody answered"
    return Caption(id=frame.id, at_s=frame.at_s, start_s=frame.start_s, end_s=frame.end_s, text=answer.text, reason=reason, digest=digest)


def _together(captions: Sequence[Caption], left_out: int) -> Captions:
    missing = [caption for caption in captions if not caption.text]
    said = []
    if not captions:
        said.append("there is no frame to look at")
    if missing:
        said.append(f"{len(missing)} of {len(captions)} frames were not described, the first because: {missing[0].reason}")
    if left_out:
        said.append(f"{left_out} more frames were left out, because no more than {len(captions)} are asked for")
    state = "described" if captions and not missing else "partly_described" if len(missing) < len(captions) else "not_described"
    return Captions(state=state, reason="; ".join(said) or None, captions=list(captions))
