"""The summary of a video: facts in, checked sentences out.

`gather` works out the facts, `write` has a language model phrase them and holds every sentence against them, or, without a model, has the template write.
Whatever a model answers, it can raise no alert, name no moment that is not there and not change the concern: that comes from numbers alone.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import ValidationError

from video_platform.analysis import summary_template
from video_platform.analysis.summary_claims import confirmed, judge
from video_platform.analysis.summary_facts import Facts, Guess, gather
from video_platform.analysis.summary_prompts import ENGLISH, MAX_TRACKS, REPAIR, SYSTEM, Part, Reply, TranslatedReply, form, messages, parts, prompt_hash
from video_platform.errors import ModelReplyInvalid, ModelUnavailable
from video_platform.records import Engine, Sentence, Summary

__all__ = [
    "ENGLISH",
    "MAX_TRACKS",
    "PROMPT_HASH",
    "SYSTEM",
    "Facts",
    "Guess",
    "LanguageModel",
    "Written",
    "configuration",
    "gather",
    "messages",
    "parts",
    "prompt_hash",
    "write",
]

MAX_REPLY_CHARS = 16_000
"""A reply at all its limits is far below; a longer one is not parsed."""
MAX_PROBLEM_CHARS = 600
"""What a repair turn is told of the first reply's faults."""
MAX_JOINED = 24
"""Sentences about a video that was asked about in parts."""

PROMPT_HASH = prompt_hash()
"""That of the prompt for English answers."""

_STATES = ("supported", "not_checkable", "contradicted")
_FIGURES = re.compile(r"[0-9]+")


class LanguageModel(Protocol):
    """What writes: `chat` gives an answer in the form of a JSON schema and the tokens it took."""

    name: str
    digest: str

    @property
    def engine(self) -> Literal["ollama", "openai_compatible"]:
        """How it is spoken to."""
        ...

    def chat(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, object]) -> tuple[str, int]:
        """Raises `ModelUnavailable`, or `ModelReplyInvalid` when the answer was cut."""
        ...


@dataclass(frozen=True)
class Written:
    """A summary with the reason why it is only a stand-in (`degraded`, None when it is not), and the tokens spent."""

    summary: Summary
    degraded: str | None
    tokens: int


def configuration(model: LanguageModel | None, language: str = ENGLISH) -> dict[str, object]:
    """What counts in the fingerprint of a summary: who writes it, and with which words. The template writes English, whatever the language."""
    if model is None:
        return {"engine": "template", "version": summary_template.VERSION}
    told = {} if language == ENGLISH else {"language": language}
    written = {"model": model.name, "digest": model.digest, "prompt": prompt_hash(language), **told}
    return {"engine": model.engine, **written, "version": summary_template.VERSION}


def write(facts: Facts, model: LanguageModel | None, *, reason: str | None = None, degraded: bool = False, language: str = ENGLISH) -> Written:
    """The summary of these facts by `model`; by the template when there is none (`reason` says why, `degraded` whether that is a stand-in) or it fails.

    Footage in which nothing was tracked, described or said is never given to a model: there is nothing to phrase, and much to invent. `language` is an
    ISO 639-1 code.
    """
    if model is None:
        return Written(summary_template.compose(facts, reason), (reason or "no model") if degraded else None, 0)
    if not (facts.tracks or facts.captions or facts.speech):
        return Written(summary_template.compose(facts, "nothing was tracked, there is nothing to phrase"), None, 0)
    replies, tokens = [], 0
    try:
        for part in parts(facts):
            reply, more = _ask(model, facts, part, language)
            replies.append(reply)
            tokens += more
    except ModelUnavailable as error:
        return Written(summary_template.compose(facts, error.message), error.message, tokens)
    checked = _checked(replies, facts, model, language)
    if checked is None:
        # Asked again it would answer the same, so this is no stand-in.
        return Written(summary_template.compose(facts, f"nothing that {model.name} wrote could be confirmed"), None, tokens)
    return Written(checked, None, tokens)


def _ask(model: LanguageModel, facts: Facts, part: Part, language: str) -> tuple[Reply | TranslatedReply, int]:
    """The parsed reply and the tokens spent; a reply that breaks the schema gets one repair turn."""
    wanted = form(language)
    asked, schema = messages(facts, part, language), wanted.model_json_schema()
    text, tokens = model.chat(asked, schema=schema)
    try:
        return _parse(text, wanted), tokens
    except ValueError as error:
        problem = _problem(error)
    again = [*asked, {"role": "assistant", "content": text[:MAX_REPLY_CHARS]}, {"role": "user", "content": REPAIR.format(problem=problem)}]
    text, more = model.chat(again, schema=schema)
    try:
        return _parse(text, wanted), tokens + more
    except ValueError as error:
        raise ModelReplyInvalid(f"{model.name} broke the schema twice: {_problem(error)}", model=model.name) from error


def _parse(text: str, wanted: type[Reply] | type[TranslatedReply]) -> Reply | TranslatedReply:
    if len(text) > MAX_REPLY_CHARS:
        raise ValueError(f"the answer has {len(text)} characters, at most {MAX_REPLY_CHARS} are read")
    return wanted.model_validate_json(text)


def _problem(error: ValueError) -> str:
    """What was wrong, without the text that was: it may be long, and it is not trusted."""
    if isinstance(error, ValidationError):
        found = [
            f"{'.'.join(str(part) for part in each['loc']) or 'answer'}: {each['msg']}" for each in error.errors(include_input=False, include_context=False)
        ]
        return "; ".join(found)[:MAX_PROBLEM_CHARS]
    return str(error)[:MAX_PROBLEM_CHARS]


def _checked(replies: Sequence[Reply | TranslatedReply], facts: Facts, model: LanguageModel, language: str) -> Summary | None:
    """The replies as one summary, every sentence with its state; None when none of them is supported. Of parts, title and overview are the template's."""
    sentences = _joined([[_sentence(each.text, each.english, each.references, facts) for each in reply.sentences] for reply in replies])
    if not any(sentence.state == "supported" for sentence in sentences):
        return None
    title, overview = summary_template.title(facts), summary_template.overview(facts)
    if len(replies) == 1:
        (reply,) = replies
        title_claim, overview_claim = reply.english
        title = reply.title if confirmed(title_claim, facts) and _same_figures(reply.title, title_claim) else title
        overview = reply.overview if confirmed(overview_claim, facts) and _same_figures(reply.overview, overview_claim) else overview
    return Summary(
        title=title,
        overview=overview,
        concern=summary_template.concern(facts),
        concern_why=summary_template.concern_why(facts),
        engine=Engine(name=model.engine, model=model.name, digest=model.digest, prompt_hash=prompt_hash(language)),
        sentences=sentences,
    )


def _joined(found: Sequence[Sequence[Sentence]]) -> list[Sentence]:
    """The sentences of all parts in their order; of too many, what is supported stays first, and of each part as much as of the others."""
    ranked = sorted(
        ((_STATES.index(sentence.state), place, part) for part, sentences in enumerate(found) for place, sentence in enumerate(sentences)),
    )[:MAX_JOINED]
    return [found[part][place] for _, place, part in sorted(ranked, key=lambda each: (each[2], each[1]))]


def _sentence(text: str, english: str, references: Sequence[str], facts: Facts) -> Sentence:
    """The sentence with its state. Of a translation the English is judged and kept; figures that differ are another claim."""
    judged = judge(english, references, facts)
    if text == english:
        return judged
    state = judged.state if judged.state != "supported" or _same_figures(text, english) else "not_checkable"
    return judged.model_copy(update={"text": text, "claim": english, "state": state})


def _same_figures(text: str, english: str) -> bool:
    """Whether a translation has the digits of its English, in any order."""
    return Counter(_FIGURES.findall(text)) == Counter(_FIGURES.findall(english))
