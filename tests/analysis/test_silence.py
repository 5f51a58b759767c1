from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from judged import found, missed, rule_set
from walks import NAMES, film

from video_platform.analysis.evaluate import evaluate
from video_platform.analysis.tables import Samples
from video_platform.records import EarlierFootage

RULE = "name: dark, when: {silent: yard, for: 20m}"
START = datetime(2026, 7, 1, 12, tzinfo=UTC)


def earlier(**ago: float) -> EarlierFootage:
    return EarlierFootage("0123456789abcdef", START - timedelta(hours=9), START - timedelta(**ago))


def test_the_alert_stands_where_footage_goes_on():
    (episode,) = found(RULE, recorded_at=START, earlier=earlier(minutes=25)).episodes
    assert (episode.start_s, episode.end_s, episode.track_ids, episode.place, episode.score) == (0.0, 0.0, (), None, None)
    assert (episode.why["camera"], episode.why["silent_s"], episode.why["wanted_s"]) == ("yard", 1500.0, 1200.0)
    assert episode.why["since"] == "2026-07-01T11:35:00+00:00"


def test_exactly_as_long_as_wanted_counts_a_second_less_does_not():
    assert len(found(RULE, recorded_at=START, earlier=earlier(minutes=20)).episodes) == 1
    assert missed(found(RULE, recorded_at=START, earlier=earlier(seconds=1199)))[0] == "no footage for 1199.0 s at most; the rule wants 1200 s"


def test_overlapping_and_first_footage_is_no_silence():
    assert missed(found(RULE, recorded_at=START, earlier=earlier(seconds=-5)))[0] == "footage came without a hole in the rule's time"
    assert missed(found(RULE, recorded_at=START))[0] == "this is the first footage of yard with a recording time"


def test_what_is_unknown_is_said_and_not_taken_for_no_silence():
    reasons = [
        evaluation.cannot_evaluate[0][1]
        for evaluation in (
            found(RULE, earlier=earlier(hours=1)),
            found(RULE, recorded_at=START, earlier=EarlierFootage("0123456789abcdef", START - timedelta(hours=9), None)),
        )
    ]
    assert "--recorded-at" in reasons[0]
    assert "0123456789abcdef" in reasons[1]


def test_it_speaks_of_its_camera_only():
    assert rule_set(RULE.replace("yard", "gate")).rules == ()
    assert [rule.name for rule in rule_set(RULE.replace("yard", "ya*")).rules] == ["dark"]


def test_a_hole_inside_a_video_is_silence_too():
    samples = Samples(np.array([0.0, 0.2, 0.4, 1500.0, 1500.2]), np.arange(5))
    evaluation = evaluate(film()[0], samples, NAMES, rule_set(RULE), recorded_at=START)
    (episode,) = evaluation.episodes
    assert (episode.start_s, episode.why["silent_s"]) == (1500.0, 1499.6)


@pytest.mark.parametrize(
    ("schedule", "silent_s"),
    [
        ("{from: '13:30', to: '18:00', timezone: Europe/Berlin}", 1800.0),  # 11:30 to 12:00 UTC
        ("{from: '13:45', to: '18:00', timezone: Europe/Berlin}", None),
        ("{from: '13:00', to: '13:35', timezone: Europe/Berlin}", 2100.0),  # it ended before the footage went on
        ("{from: '13:30', to: '18:00', timezone: UTC}", None),
    ],
)
def test_only_the_part_in_the_schedule_counts(schedule, silent_s):
    evaluation = found(f"{RULE}, schedule: {schedule}", recorded_at=START, earlier=earlier(hours=3))
    assert [episode.why["silent_s"] for episode in evaluation.episodes] == ([] if silent_s is None else [silent_s])
