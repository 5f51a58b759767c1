"""One video measured against an annotation: its tracks box by box, its alerts rule by rule.

What should have been alerted is what the same rules find in the annotation, each object taken as a track that was followed without fault.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import scoring
from video_platform.analysis.annotation import Annotation
from video_platform.analysis.evaluate import Evaluation, evaluate
from video_platform.analysis.scoring import MATCH_S, Figures, InFrame
from video_platform.analysis.tables import Samples, Tracks
from video_platform.errors import InputError
from video_platform.records import EarlierFootage
from video_platform.rules import CameraRules, Rule
from video_platform.rules_yaml import did_you_mean

LEAST_SPAN_S = 1.0
"""A span without a box that is shorter is not listed; the figures count it all the same."""

NO_ALERT, FALSE_ALERT = "no alert", "false alert"
NOT_FOLLOWED, NOTHING_THERE = "not followed", "nothing there"


@dataclass(frozen=True)
class Found:
    """An alert or episode; `ids` are its tracks."""

    rule: str
    start_s: float
    end_s: float
    ids: tuple[int, ...]
    alert_id: str | None = None


@dataclass(frozen=True)
class RuleScore:
    """One rule, or all of them: episodes that the annotation has, alerts that there are, pairs of both. Ratios are None where there is nothing to divide by."""

    rule: str
    kind: str
    expected: int
    alerts: int
    matched: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Difference:
    """A span over which platform and annotation differ.

    `what`: "no alert" for an episode that the annotation has, "false alert" for one that it has not; "not followed" for an object without a box, "nothing
    there" for a track without an object. `name` is the rule or the class; `ids` are objects of the annotation for what is missing, else tracks.
    """

    what: str
    name: str
    start_s: float
    end_s: float
    ids: tuple[int, ...]
    alert_id: str | None = None


@dataclass(frozen=True)
class Footage:
    """What is known of the footage: when each frame is shown, the size of its upright picture in pixels, the instant of second 0, what came before it."""

    frame_s: NDArray[np.float64]
    width: int
    height: int
    recorded_at: datetime | None = None
    earlier: EarlierFootage | None = None


class Bench:
    """The annotation of one video, ready to be compared with.

    `scored` is the number of frames that are compared. `left_out` counts boxes of classes that were not asked for, by class number, `ignored` those that are
    not to be considered. `not_measured` holds (rule, reason).
    """

    def __init__(
        self, given: Annotation, footage: Footage, names: Sequence[str], classes: Mapping[int, str], rules: CameraRules, *, only_annotated: bool = False
    ) -> None:
        """`names` are the classes of the detector; `classes` maps class numbers of the annotation to them. `only_annotated`: frames without a box do not count.

        Raises:
            AnnotationError: it cannot be of this footage.
            InputError: the detector lacks a class, or the annotation has no box of any.
        """
        given.check(len(footage.frame_s), footage.width, footage.height)
        self._footage, self._names, self._rules = footage, tuple(names), rules
        class_of = {number: class_id(name, names) for number, name in classes.items()}
        considered, passed_over = given.take(given.considered), given.take(~given.considered)
        size = (footage.frame_s, footage.width, footage.height)
        self._truth = considered.tracks(*size, class_of)
        self.left_out = _counted(number for number in considered.class_number.tolist() if number not in class_of)
        self.ignored = len(passed_over)
        if not len(self._truth):
            raise InputError(_nothing_left(given.source, classes, self.left_out))
        self._frames = np.unique(given.frame) - 1 if only_annotated else np.arange(len(footage.frame_s))
        self._frame_s = footage.frame_s[self._frames]
        self._span_s = (float(self._frame_s[0]), float(self._frame_s[-1])) if only_annotated else (-np.inf, np.inf)
        self._ignored = scoring.annotated(passed_over.tracks(*size, dict.fromkeys(passed_over.class_number.tolist(), 0)), self._frame_s, 0)
        self._asked_for = set(classes.values())
        self._class_ids = [each for each in dict.fromkeys(class_of.values()) if (self._truth.class_id == each).any()]
        evaluation = self._evaluated(self._truth, Samples(self._frame_s, self._frames.astype(np.int64)), names)
        self._expected = _found(evaluation)
        self.not_measured = self._why_not_measured(evaluation)

    @property
    def scored(self) -> int:
        """How many frames are compared."""
        return len(self._frames)

    def boxes(self, tracks: Tracks, names: Sequence[str]) -> tuple[dict[str, Figures], list[Difference]]:
        """Figures by class, and the spans of at least `LEAST_SPAN_S` over which something was not followed, or what was followed is nothing, longest first."""
        found: dict[str, Figures] = {}
        differences: list[Difference] = []
        for number in self._class_ids:
            name = self._names[number]
            truth = scoring.annotated(self._truth, self._frame_s, number)
            followed = scoring.without_ignored(scoring.interpolated(tracks, self._frame_s, class_id(name, names)), truth, self._ignored)
            found[name] = scoring.figures(truth, followed)
            differences += self._without_box(NOT_FOLLOWED, name, truth, followed) + self._without_box(NOTHING_THERE, name, followed, truth)
        return found, differences

    def episodes(self, tracks: Tracks, samples: Samples, names: Sequence[str]) -> list[Found]:
        """What the rules find in tracks."""
        return _found(self._evaluated(tracks, samples, names))

    def events(self, found: Sequence[Found]) -> tuple[RuleScore, list[RuleScore], list[Difference]]:
        """All rules together, each of them, and every episode without an alert and alert without an episode, in order of time.

        Rules that cannot be measured do not count.
        """
        scores: list[RuleScore] = []
        differences: list[Difference] = []
        passed_over = {rule for rule, _ in self.not_measured}
        begin_s, end_s = self._span_s
        for rule in self._rules.rules:
            if rule.name in passed_over:
                continue
            expected = [each for each in self._expected if each.rule == rule.name]
            alerts = [each for each in found if each.rule == rule.name and begin_s - MATCH_S <= each.start_s <= end_s + MATCH_S]
            pairs = scoring.match_episodes([(each.start_s, each.end_s) for each in expected], [(each.start_s, each.end_s) for each in alerts])
            scores.append(_score(rule.name, rule.kind, len(expected), len(alerts), len(pairs)))
            differences += _unpaired(NO_ALERT, expected, {pair[0] for pair in pairs}) + _unpaired(FALSE_ALERT, alerts, {pair[1] for pair in pairs})
        total = _score("", "", *(sum(getattr(each, column) for each in scores) for column in ("expected", "alerts", "matched")))
        return total, scores, sorted(differences, key=lambda each: (each.start_s, each.name, each.what))

    def _evaluated(self, tracks: Tracks, samples: Samples, names: Sequence[str]) -> Evaluation:
        at, aspect = self._footage, self._footage.width / self._footage.height
        return evaluate(tracks, samples, names, self._rules, recorded_at=at.recorded_at, earlier=at.earlier, explain=False, aspect=aspect)

    def _why_not_measured(self, evaluation: Evaluation) -> list[tuple[str, str]]:
        reasons = dict(evaluation.cannot_evaluate)
        for rule in self._rules.rules:
            if rule.name not in reasons and (reason := self._silent_on(rule)):
                reasons[rule.name] = reason
        return list(reasons.items())

    def _silent_on(self, rule: Rule) -> str | None:
        """Why the annotation says nothing about a rule."""
        if rule.kind == "silent":
            return "it is about gaps between videos, of which an annotation knows nothing"
        lacking = [name for name in rule.classes if name not in self._asked_for]
        return f"the annotation has no class {', '.join(lacking)}" if lacking else None

    def _without_box(self, what: str, name: str, wanted: Sequence[InFrame], given: Sequence[InFrame]) -> list[Difference]:
        spans = scoring.unmatched(wanted, given, self._frame_s, LEAST_SPAN_S)
        return [Difference(what, name, span.start_s, span.end_s, (span.id,)) for span in spans]


def class_id(name: str, names: Sequence[str]) -> int:
    """The number of a detector's class; InputError naming the nearest, or all, when it has none of this name."""
    if name not in names:
        raise InputError(f"the detector that made these tracks has no class {name!r}; {did_you_mean(name, names)}")
    return list(names).index(name)


def _score(rule: str, kind: str, expected: int, alerts: int, matched: int) -> RuleScore:
    def part(of: float) -> float | None:
        return matched / of if of else None

    return RuleScore(rule, kind, expected, alerts, matched, part(alerts), part(expected), part((expected + alerts) / 2))


def _found(evaluation: Evaluation) -> list[Found]:
    return [Found(each.rule, each.start_s, each.end_s, each.track_ids) for each in evaluation.episodes]


def _unpaired(what: str, given: Sequence[Found], paired: set[int]) -> list[Difference]:
    return [Difference(what, each.rule, each.start_s, each.end_s, each.ids, each.alert_id) for position, each in enumerate(given) if position not in paired]


def _counted(numbers: Iterable[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for number in numbers:
        counts[number] = counts.get(number, 0) + 1
    return dict(sorted(counts.items()))


def _nothing_left(source: str, classes: Mapping[int, str], left_out: Mapping[int, int]) -> str:
    if not left_out:
        return f"{source} has no box that is to be considered (column 7 is 0 everywhere), so nothing can be measured"
    has = ", ".join("none" if number < 0 else str(number) for number in left_out)
    asked = ", ".join(f"{'none' if number < 0 else number} ({name})" for number, name in classes.items())
    return f"{source} has boxes of class {has}, and asked for was {asked}; say what they are, such as `--class {max(0, *left_out, 0)}=person`"
