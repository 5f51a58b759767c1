"""Rules over what is seen and said: from a transcript and from answers to questions about frames to episodes, as `evaluate` does it over tracks.

Merging, cooldown and schedule are the same. What a caption says raises nothing: of a model that sees only yes and no count.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from video_platform.analysis import said, seen
from video_platform.analysis.evaluate import UNKNOWN_TIME
from video_platform.analysis.hits import Hit, after_cooldown, merged
from video_platform.analysis.passages import plain
from video_platform.analysis.schedules import Interval, open_intervals
from video_platform.analysis.seen import Answer
from video_platform.records import Episode, NearMiss, Transcript
from video_platform.rules import CameraRules, Rule

UNHEARD = {"unknown_language": "the language that is spoken is not known to the model of speech", "not_transcribed": "what is said was not written down"}
"""States of a transcript that say nothing of what is said, and the words where it gives no reason."""

NO_TRANSCRIPT = "no transcript of this video was made"
"""Why nothing is known of what is said in a video that nobody listened to."""

SILENT = {"no_audio": "the video has no sound", "no_speech": "nobody speaks in the video"}
"""States in which nothing is said, as near misses."""


@dataclass(frozen=True)
class Described:
    """Episodes in time order, what came closest for each rule without one, and (rule, reason) of those that cannot be evaluated.

    `waiting` are rules of which some frames could not be asked about now: what they found before is not gone.
    """

    episodes: list[Episode]
    near_misses: list[NearMiss]
    cannot_evaluate: list[tuple[str, str]]
    waiting: frozenset[str] = field(default_factory=frozenset)

    @property
    def unjudged(self) -> frozenset[str]:
        """Rules of which nobody can say now that they find less than before: what they raised stays."""
        return self.waiting | {rule for rule, _ in self.cannot_evaluate}


@dataclass(frozen=True)
class Heard:
    """The transcript of a video, or why there is none."""

    transcript: Transcript | None
    reason: str = NO_TRANSCRIPT

    @cached_property
    def words(self) -> Sequence[said.Token]:
        """Its words in order, once for all rules."""
        return said.spoken(self.transcript) if self.transcript is not None else ()


def open_spans(rule: Rule, recorded_at: datetime | None, duration_s: float) -> tuple[Interval, ...] | None:
    """When a rule holds, in seconds of the video; None for always. Not for a schedule without a recording time: see `why_not`."""
    return None if rule.schedule is None or recorded_at is None else tuple(open_intervals(rule.schedule, recorded_at, duration_s))


def why_not(rule: Rule, recorded_at: datetime | None, heard: Heard, unseen: str | None) -> str | None:
    """Why a rule cannot be evaluated; `unseen` is why nobody can be shown frames, None when somebody can."""
    if rule.kind == "sees" and unseen:
        return unseen
    if rule.kind == "says" and heard.transcript is None:
        return heard.reason
    if rule.kind == "says" and heard.transcript is not None and heard.transcript.state in UNHEARD:
        return plain(heard.transcript.reason or UNHEARD[heard.transcript.state])
    return UNKNOWN_TIME if rule.schedule and recorded_at is None else None


def evaluate(
    rules: CameraRules,
    *,
    duration_s: float,
    recorded_at: datetime | None,
    heard: Heard,
    unseen: str | None,
    answers: Mapping[str, Sequence[Answer]],
    waiting: Callable[[str], bool] = lambda rule: False,
    model: str = "",
) -> Described:
    """What the `sees` and `says` rules of one camera find in one video.

    `answers` are those of each `sees` rule, in order of time, within its schedule; `waiting` says of a rule whether more are to come. `model` names who
    answered, for the reasons of an alert.
    """
    episodes: list[Episode] = []
    missed: list[NearMiss] = []
    unanswered: list[tuple[str, str]] = []
    for rule in rules.rules:
        if reason := why_not(rule, recorded_at, heard, unseen):
            unanswered.append((rule.name, reason))
            continue
        given = answers.get(rule.name, ())
        found = seen.hits(given) if rule.kind == "sees" else _heard(rule, heard, open_spans(rule, recorded_at, duration_s))
        found = found if rule.merge_s is None else merged(found, rule.merge_s)
        episodes += [_episode(rule, hit, model) for hit in after_cooldown(found, rule.cooldown_s)]
        if not found:
            text, at_s = seen.closest(rule, given) if rule.kind == "sees" else (_unsaid(rule, heard), None)
            missed.append(NearMiss(rule.name, text, None if at_s is None else round(at_s, 3)))
    episodes.sort(key=lambda episode: (episode.start_s, episode.rule, episode.end_s))
    return Described(episodes, missed, unanswered, frozenset(rule.name for rule in rules.rules if waiting(rule.name)))


def _heard(rule: Rule, heard: Heard, spans: Sequence[Interval] | None) -> list[Hit]:
    return said.hits(rule, heard.transcript, spans, heard.words) if heard.transcript is not None else []


def _unsaid(rule: Rule, heard: Heard) -> str:
    state = heard.transcript.state if heard.transcript is not None else ""
    words = " or ".join(repr(plain(word)) for word in rule.when.words)
    return SILENT.get(state) or f"{words} is not said in {len(heard.transcript.segments) if heard.transcript else 0} utterances"


def _episode(rule: Rule, hit: Hit, model: str) -> Episode:
    why: dict[str, object] = {"rule": rule.name, "at_s": round(hit.start_s, 3), **hit.facts}
    if rule.kind == "sees":
        why |= {"question": plain(rule.when.question or ""), "model": model}
    probability = hit.facts.get("probability")
    score = float(probability) if isinstance(probability, int | float) else None
    return Episode(rule.name, rule.kind, round(hit.start_s, 3), round(hit.end_s, 3), (), None, score, why)
