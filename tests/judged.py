"""Rules judged over scripted walks: a plaza, a line, and the spans that come out."""

from datetime import datetime

from walks import NAMES, Walk, film

from video_platform import rules
from video_platform.analysis.evaluate import Evaluation, evaluate
from video_platform.records import EarlierFootage

PLACES = """\
version: 1
zones:
  plaza: {polygon: [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6]]}
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.8]}
defaults: {cooldown: 0s}
rules:
"""
OUT, IN = (0.2, 0.5), (0.5, 0.5)
EAST, WEST = (0.55, 0.5), (0.45, 0.5)
"""East of `path`, which runs down the picture, is its left."""


def rule_set(*lines: str, places: str = PLACES) -> rules.CameraRules:
    return rules.parse(places + "".join(f"  - {{{line}}}\n" for line in lines), classes=NAMES).for_camera("yard")


def found(
    line: str,
    *walks: Walk,
    duration_s: float = 10.0,
    rate: float = 5.0,
    recorded_at: datetime | None = None,
    earlier: EarlierFootage | None = None,
    aspect: float = 1.0,
    places: str = PLACES,
) -> Evaluation:
    tracks, samples = film(*walks, duration_s=duration_s, rate=rate)
    return evaluate(tracks, samples, NAMES, rule_set(line, places=places), recorded_at=recorded_at, earlier=earlier, aspect=aspect)


def spans(evaluation: Evaluation) -> list[tuple[float, float, tuple[int, ...]]]:
    return [(round(episode.start_s, 6), round(episode.end_s, 6), episode.track_ids) for episode in evaluation.episodes]


def starts(evaluation: Evaluation) -> list[float]:
    return [episode.start_s for episode in evaluation.episodes]


def missed(evaluation: Evaluation) -> tuple[str, float | None]:
    """The one near miss, and that nothing else came out."""
    assert (evaluation.episodes, evaluation.cannot_evaluate) == ([], [])
    (miss,) = evaluation.near_misses
    return miss.text, miss.at_s
