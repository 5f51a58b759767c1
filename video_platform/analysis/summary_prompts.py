"""What a language model is asked, and the form of its answer: fixed words, then the facts as delimited data that nothing in them can leave.

Bounded in every direction: a video with more than fits is asked about in parts that begin and end with scenes where they can.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from video_platform.analysis.summary_facts import Facts
from video_platform.analysis.summary_words import moment
from video_platform.fingerprints import content_hash
from video_platform.prompts import prompt

MAX_TRACKS = 60
"""Tracks that a prompt lists, longest first: 60 lines are about 2,500 tokens of the 8,192 that the model sees."""
MAX_SAID = 30
"""Captions, and segments of speech, that a prompt lists, spread over its span: about 1,000 tokens each."""
MAX_SAID_CHARS = 160
"""Of one caption or segment; the check of claims reads all of it."""
MAX_PARTS = 12
"""Questions about one video. What does not fit the parts then is counted, not listed."""
MAX_SENTENCES = 8
MAX_REFERENCES = 12

ENGLISH = "en"
SYSTEM = prompt("summary_system")
REPAIR = prompt("summary_repair")

_T = TypeVar("_T")
Reference = Annotated[str, Field(pattern=r"^((track|scene):[0-9]{1,9}|(caption|transcript):[0-9A-Za-z_.-]{1,64})$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class ReplySentence(_Strict):
    """A sentence with what it rests on."""

    text: Annotated[str, Field(min_length=1, max_length=300)]
    references: Annotated[list[Reference], Field(max_length=MAX_REFERENCES)]

    @property
    def english(self) -> str:
        """What the check reads."""
        return self.text


class Reply(_Strict):
    """An answer in English."""

    title: Annotated[str, Field(min_length=1, max_length=100)]
    overview: Annotated[str, Field(min_length=1, max_length=500)]
    sentences: Annotated[list[ReplySentence], Field(min_length=1, max_length=MAX_SENTENCES)]

    @property
    def english(self) -> tuple[str, str]:
        """Title and overview as the check reads them."""
        return self.title, self.overview


class TranslatedSentence(ReplySentence):
    """A sentence in another language, with the English one that it translates."""

    claim: Annotated[str, Field(min_length=1, max_length=300)]

    @property
    def english(self) -> str:
        """What the check reads."""
        return self.claim


class TranslatedReply(_Strict):
    """An answer in another language, with its English."""

    title: Annotated[str, Field(min_length=1, max_length=100)]
    title_claim: Annotated[str, Field(min_length=1, max_length=100)]
    overview: Annotated[str, Field(min_length=1, max_length=500)]
    overview_claim: Annotated[str, Field(min_length=1, max_length=500)]
    sentences: Annotated[list[TranslatedSentence], Field(min_length=1, max_length=MAX_SENTENCES)]

    @property
    def english(self) -> tuple[str, str]:
        """Title and overview as the check reads them."""
        return self.title_claim, self.overview_claim


def form(language: str) -> type[Reply] | type[TranslatedReply]:
    """What an answer in this language has to look like."""
    return Reply if language == ENGLISH else TranslatedReply


def prompt_hash(language: str = ENGLISH) -> str:
    """Names the prompt in manifests and summaries; it changes whenever the words, the schema or the language do."""
    words = [SYSTEM, REPAIR, prompt("summary_task"), prompt("summary_part_task")]
    words += [] if language == ENGLISH else [prompt("summary_language"), language]
    return content_hash({"words": words, "schema": form(language).model_json_schema(), "bounds": [MAX_TRACKS, MAX_SAID, MAX_SAID_CHARS, MAX_PARTS]})


@dataclass(frozen=True)
class Part:
    """A span of a video that one question is about; `whole` when it is all of it."""

    start_s: float
    end_s: float
    whole: bool = False

    def holds(self, at_s: float) -> bool:
        """Whether something that begins at `at_s` belongs to it."""
        return self.whole or self.start_s <= at_s < self.end_s


def parts(facts: Facts) -> list[Part]:
    """The questions to ask, in order of time: one where all fits one prompt, else spans of whole scenes, or of a scene that is too full itself."""
    whole = Part(0.0, facts.duration_s, whole=True)
    if len(facts.tracks) <= MAX_TRACKS and max(len(facts.captions), len(facts.speech)) <= MAX_SAID:
        return [whole]
    begins = sorted(
        [(track.start_s, "track") for track in facts.tracks]
        + [(caption.start_s, "caption") for caption in facts.captions]
        + [(segment.start_s, "speech") for segment in facts.speech]
    )
    limits = {"track": MAX_TRACKS, "caption": MAX_SAID, "speech": MAX_SAID}
    cuts = [scene.start_s for scene in facts.scenes]
    found, start_s, count = [], 0.0, dict.fromkeys(limits, 0)
    for at_s, kind in begins:
        if count[kind] >= limits[kind] and at_s > start_s:
            scene = max((cut for cut in cuts if start_s < cut <= at_s), default=at_s)
            found.append(Part(start_s, scene))
            start_s = scene
            count = {each: sum(one == each and scene <= begin < at_s for begin, one in begins) for each in limits}
        count[kind] += 1
    found.append(Part(start_s, float("inf")))
    if len(found) > MAX_PARTS:
        ends = [facts.duration_s * number / MAX_PARTS for number in range(1, MAX_PARTS)]
        found = [Part(one, other) for one, other in zip([0.0, *ends], [*ends, float("inf")], strict=True)]
    return found


def messages(facts: Facts, part: Part | None = None, language: str = ENGLISH) -> list[dict[str, str]]:
    """The question about one part (all of it when not given): fixed instructions, then the facts as delimited JSON that no data can leave."""
    part = part or Part(0.0, facts.duration_s, whole=True)
    task = (
        prompt("summary_task") if part.whole else prompt("summary_part_task").format(start=moment(part.start_s), end=moment(min(part.end_s, facts.duration_s)))
    )
    if language != ENGLISH:
        task += "\n" + prompt("summary_language").format(language=language)
    text = json.dumps(_data(facts, part)).replace("<", "\\u003c")
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"<facts>\n{text}\n</facts>\n{task}"}]


def _data(facts: Facts, part: Part) -> dict[str, object]:
    inside = [track for track in facts.tracks if part.holds(track.start_s)]
    listed = sorted(inside, key=lambda track: (-track.duration_s, track.id))[:MAX_TRACKS]
    scenes = [scene for scene in facts.scenes if part.whole or (scene.start_s < part.end_s and scene.end_s > part.start_s)]
    whole = {
        "looked_at_frames": facts.samples,
        "seen": dict(facts.counts),
        "most_at_once": None if facts.peak is None else {"count": facts.peak.count, "at_s": round(facts.peak.start_s, 1)},
    }
    return {
        "duration_s": round(facts.duration_s, 1),
        **(whole if part.whole else {}),
        "tracks": [
            {
                "reference": f"track:{track.id}",
                "class": track.class_name,
                "from_s": round(track.start_s, 1),
                "to_s": round(track.end_s, 1),
                "movement": track.movement,
            }
            for track in sorted(listed, key=lambda track: (track.start_s, track.id))
        ],
        "tracks_not_listed": len(inside) - len(listed),
        "scenes": [
            {"reference": f"scene:{scene['index']}", "from_s": round(scene["start_s"], 1), "to_s": round(scene["end_s"], 1)}
            for scene in map(asdict, scenes[:MAX_TRACKS])
        ],
        "captions": [
            {"reference": f"caption:{each.id}", "from_s": round(each.start_s, 1), "to_s": round(each.end_s, 1), "text": each.text[:MAX_SAID_CHARS]}
            for each in _spread([each for each in facts.captions if part.holds(each.start_s)])
        ],
        "speech": [
            {"reference": f"transcript:{each.id}", "from_s": round(each.start_s, 1), "to_s": round(each.end_s, 1), "text": each.text[:MAX_SAID_CHARS]}
            for each in _spread([each for each in facts.speech if part.holds(each.start_s)])
        ],
    }


def _spread(rows: Sequence[_T]) -> list[_T]:
    """At most `MAX_SAID` of these, evenly over them."""
    step = max(1.0, len(rows) / MAX_SAID)
    return [rows[int(number * step)] for number in range(min(len(rows), MAX_SAID))]
