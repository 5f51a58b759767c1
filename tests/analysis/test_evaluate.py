from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged import EAST, IN, OUT, WEST, found, rule_set, spans, starts
from walks import NAMES, Walk, film, steps, straight

from video_platform import rules
from video_platform.analysis.evaluate import evaluate
from video_platform.fingerprints import content_hash

ENTERS = "name: in, when: {enters: plaza, class: person}"
LEAVES = "name: out, when: {leaves: plaza, class: person}"
CROSSES = "name: over, when: {crosses: path, class: person}"


class TestEnters:
    def test_from_the_first_sample_inside_to_the_one_at_which_it_counted(self):
        (episode,) = found(ENTERS, steps((0, OUT), (2, IN), end_s=6)).episodes
        assert (episode.start_s, episode.end_s, episode.track_ids) == (2.0, 2.4, (1,))
        assert episode.place == (0.5, 0.5)
        assert episode.kind == "enters"

    def test_needs_the_track_seen_outside_before(self):
        evaluation = found(ENTERS, steps((0, IN), end_s=6))
        assert evaluation.episodes == []
        assert evaluation.near_misses[0].text == "1 person in plaza, and none was seen outside before"

    def test_a_moment_inside_does_not_count(self):
        evaluation = found(ENTERS, steps((0, OUT), (2, IN), (2.4, OUT), end_s=6))
        assert evaluation.episodes == []
        assert "less than the 0.4 s" in evaluation.near_misses[0].text

    def test_a_moment_outside_does_not_make_a_second_entry(self):
        assert starts(found(ENTERS, steps((0, OUT), (2, IN), (4, OUT), (4.4, IN), end_s=8))) == [2.0]

    def test_each_return_is_an_entry(self):
        assert starts(found(ENTERS, steps((0, OUT), (2, IN), (4, OUT), (6, IN), end_s=9))) == [2.0, 6.0]

    def test_leaving_is_the_same_backwards(self):
        assert starts(found(LEAVES, steps((0, IN), (3, OUT), end_s=6))) == [3.0]
        assert starts(found(LEAVES, steps((0, IN), end_s=3))) == []

    def test_who_vanishes_inside_has_not_left(self):
        evaluation = found(LEAVES, steps((0, OUT), (2, IN), end_s=5))
        assert evaluation.near_misses[0].text == "1 person in plaza, and none was seen outside afterwards"


class TestCrosses:
    def test_the_event_is_the_first_sample_on_the_other_side(self):
        (episode,) = found(CROSSES, steps((0, WEST), (3, EAST), end_s=6)).episodes
        assert (episode.start_s, episode.end_s) == (3.0, 3.4)
        assert episode.why["direction"] == "right_to_left"

    def test_direction_is_as_seen_when_walking_along_the_line(self):
        to_west = steps((0, EAST), (3, WEST), end_s=6)
        assert starts(found("name: x, when: {crosses: path, class: person, direction: left_to_right}", to_west)) == [3.0]
        evaluation = found("name: x, when: {crosses: path, class: person, direction: right_to_left}", to_west)
        assert evaluation.episodes == []
        assert evaluation.near_misses[0].text == "1 person crossed path, but not right to left"
        assert evaluation.near_misses[0].at_s == 3.0

    def test_around_the_end_is_not_through(self):
        around = steps((0, WEST), (2, (0.45, 0.95)), (4, (0.55, 0.95)), (6, EAST), end_s=9)
        evaluation = found(CROSSES, around)
        assert evaluation.episodes == []
        assert "beyond the ends of path" in evaluation.near_misses[0].text

    def test_around_and_back_through_is_one_crossing(self):
        path = steps((0, WEST), (2, (0.45, 0.95)), (4, (0.55, 0.95)), (6, EAST), (8, WEST), end_s=10)
        (episode,) = found(CROSSES, path).episodes
        assert (episode.start_s, episode.why["direction"]) == (8.0, "left_to_right")

    def test_jitter_on_the_line_is_one_crossing(self):
        jitter = {3.0: EAST, 3.2: WEST, 3.4: EAST, 3.6: EAST, 3.8: WEST}
        walk = Walk(lambda t: WEST if t < 2.9 else jitter.get(round(t, 1), EAST), 0, 8)
        assert starts(found(CROSSES, walk)) == [4.0]

    def test_jitter_that_returns_is_none(self):
        walk = Walk(lambda t: EAST if round(t, 1) in (3.0, 3.2, 3.6) else WEST, 0, 8)
        assert starts(found(CROSSES, walk)) == []

    def test_walking_along_the_line_is_none(self):
        walk = Walk(lambda t: (0.5 + 0.003 * (-1) ** round(t * 5), 0.2 + 0.06 * t), 0, 9)
        assert starts(found(CROSSES, walk)) == []

    def test_standing_on_the_line_stays_on_the_side_it_came_from(self):
        on = (0.5, 0.5)
        assert starts(found(CROSSES, steps((0, WEST), (2, on), (5, WEST), end_s=8))) == []
        assert starts(found(CROSSES, steps((0, WEST), (2, on), (5, EAST), end_s=8))) == [5.0]
        assert starts(found(CROSSES, steps((0, on), (2, EAST), end_s=8))) == []

    def test_across_a_gap_in_the_track(self):
        assert starts(found(CROSSES, steps((0, WEST), (3, None), (4.6, EAST), end_s=8))) == [4.6]

    def test_both_sides_are_held(self):
        assert starts(found(CROSSES, steps((2.8, WEST), (3, EAST), end_s=6))) == []
        assert starts(found(CROSSES, steps((0, WEST), (3, EAST), end_s=3.2))) == []
        assert starts(found(CROSSES, steps((2.4, WEST), (3, EAST), end_s=3.4))) == [3.0]

    @given(st.floats(0.21, 0.79), st.floats(0.0, 0.9), st.floats(0.5, 3.0), st.booleans())
    def test_a_straight_walk_through_the_segment_crosses_once(self, meets_at, slope, speed, eastwards):
        side = 1 if eastwards else -1
        walk = Walk(lambda t: (0.5 + side * 0.08 * speed * (t - 5.03), min(1, max(0, meets_at + slope * 0.05 * (t - 5.03)))), 3, 7)
        (episode,) = found(CROSSES, walk).episodes
        assert episode.start_s == 5.2
        assert episode.why["direction"] == ("right_to_left" if eastwards else "left_to_right")

    @given(st.floats(0.0, 1.0).filter(lambda y: abs(y - 0.2) > 0.01 and abs(y - 0.8) > 0.01))
    def test_only_the_segment_counts(self, y):
        assert len(found(CROSSES, straight((0.1, y), (0.9, y), 0, 8)).episodes) == (1 if 0.2 < y < 0.8 else 0)


class TestDwells:
    RULE = "name: stays, when: {dwells: plaza, class: person, for: 3s}"

    def test_the_span_is_the_whole_stay(self):
        (episode,) = found(self.RULE, steps((0, OUT), (1, IN), (6, OUT), end_s=9)).episodes
        assert (episode.start_s, episode.end_s) == (1.0, 5.8)
        assert episode.why["stayed_s"] == 4.8

    def test_who_was_there_from_the_start_counts_too(self):
        assert spans(found(self.RULE, steps((0, IN), end_s=3))) == [(0.0, 3.0, (1,))]

    def test_one_per_track(self):
        assert spans(found(self.RULE, steps((0, IN), end_s=5), steps((1, IN), end_s=6))) == [(0.0, 5.0, (1,)), (1.0, 6.0, (2,))]

    def test_a_moment_outside_does_not_end_a_stay(self):
        assert spans(found(self.RULE, steps((0, IN), (2, OUT), (2.4, IN), end_s=4))) == [(0.0, 4.0, (1,))]

    def test_a_held_moment_outside_does(self):
        evaluation = found(self.RULE, steps((0, IN), (2, OUT), (2.6, IN), end_s=5))
        assert evaluation.episodes == []
        assert evaluation.near_misses[0].text == "the longest stay in plaza was 2.4 s; the rule wants 3 s"
        assert evaluation.near_misses[0].at_s == 2.6


class TestCount:
    RULE = "name: crowd, when: {count: person, in: plaza, at_least: 2, for: 1s}"

    def test_one_span_with_all_who_were_there(self):
        evaluation = found(self.RULE, steps((0, IN), end_s=8), steps((2, IN), end_s=6), steps((4, IN), end_s=7))
        assert spans(evaluation) == [(2.0, 7.0, (1, 2, 3))]
        assert evaluation.episodes[0].why["count"] == 3

    def test_too_few_says_how_many(self):
        evaluation = found("name: crowd, when: {count: person, in: plaza, at_least: 4, for: 2s}", steps((1, IN), end_s=8), steps((3, IN), end_s=6))
        assert evaluation.near_misses[0].text == "2 people in plaza at most; the rule wants 4"
        assert evaluation.near_misses[0].at_s == 3.0

    def test_too_short_says_so(self):
        evaluation = found(self.RULE, steps((0, IN), end_s=4), steps((3.4, IN), end_s=8))
        assert evaluation.episodes == []
        assert evaluation.near_misses[0].text == "2 people in plaza, but never 2 for 1 s"

    def test_without_a_zone_the_whole_picture_counts(self):
        assert spans(found("name: n, when: {count: person, at_least: 2}", steps((0, OUT), end_s=5), steps((3, IN), end_s=8))) == [(3.0, 5.0, (1, 2))]

    def test_classes_count_together(self):
        evaluation = found("name: n, when: {count: [person, car], at_least: 2}", steps((0, OUT), end_s=5), steps((3, IN), end_s=8, name="car"))
        assert spans(evaluation) == [(3.0, 5.0, (1, 2))]


class TestAppears:
    def test_overlapping_objects_are_one_episode(self):
        evaluation = found("name: a, when: {appears: person}", steps((1, OUT), end_s=4), steps((3, IN), end_s=6), steps((9, IN), end_s=10))
        assert spans(evaluation) == [(1.0, 6.0, (1, 2)), (9.0, 10.0, (3,))]

    def test_in_a_zone_it_need_not_be_seen_outside(self):
        assert spans(found("name: a, when: {appears: person, in: plaza}", steps((0, IN), (3, OUT), end_s=6))) == [(0.0, 2.8, (1,))]

    def test_nothing_of_the_class_says_how_many_frames_were_looked_at(self):
        evaluation = found("name: a, when: {appears: dog}", steps((0, IN), end_s=6))
        assert (evaluation.near_misses[0].text, evaluation.near_misses[0].at_s) == ("no dog was seen; 51 frames looked at", None)

    def test_the_closest_is_named_when_none_was_in_the_zone(self):
        evaluation = found("name: a, when: {appears: person, in: plaza}", straight((0.1, 0.5), (0.3, 0.5), 0, 4))
        assert evaluation.near_misses[0].text == "1 person seen, none in plaza; the closest came within 0.10 frame widths of it"
        assert evaluation.near_misses[0].at_s == 4.0


class TestScores:
    RULE = "name: in, when: {enters: plaza, class: person}, min_score: 0.6"

    def test_the_median_decides(self):
        path = ((0, OUT), (2, IN))
        assert starts(found(self.RULE, steps(*path, end_s=6, score=(0.9, 0.6, 0.2)))) == [2.0]
        evaluation = found(self.RULE, steps(*path, end_s=6, score=(0.9, 0.599, 0.2)))
        assert evaluation.episodes == []
        assert evaluation.near_misses[0].text == "the surest person scored 0.59; the rule wants 0.60"

    def test_a_score_stored_as_float32_reaches_its_own_value(self):
        assert starts(found("name: in, when: {enters: plaza, class: person}, min_score: 0.7", steps((0, OUT), (2, IN), end_s=6, score=0.7))) == [2.0]

    def test_an_untracked_box_is_no_object(self):
        assert spans(found("name: a, when: {appears: person}", steps((0, IN), end_s=5, track_id=-1), steps((1, IN), end_s=3))) == [(1.0, 3.0, (2,))]


class TestCooldown:
    def test_hits_within_it_are_counted_not_reported(self):
        line = ENTERS.replace("name: in", "name: in, cooldown: 3s")
        evaluation = found(line, *(steps((0, OUT), (t, IN), end_s=10) for t in (1, 2, 3.8, 4, 5, 7.2)))
        assert starts(evaluation) == [1.0, 4.0, 7.2]
        assert [episode.why.get("more_within_cooldown") for episode in evaluation.episodes] == [2, 1, None]

    @pytest.mark.parametrize("first", [1.2, 4.6, 5.8])
    def test_what_starts_when_it_ends_is_reported(self, first):
        line = ENTERS.replace("name: in", "name: in, cooldown: 3s")
        assert starts(found(line, *(steps((0, OUT), (t, IN), end_s=10) for t in (first, first + 3)))) == [first, pytest.approx(first + 3)]

    def test_it_acts_on_each_rule_alone(self):
        tracks, samples = film(steps((0, OUT), (1, IN), (3, OUT), end_s=6))
        both = rule_set("name: in, cooldown: 1h, when: {enters: plaza, class: person}", "name: out, cooldown: 1h, when: {leaves: plaza, class: person}")
        assert [episode.rule for episode in evaluate(tracks, samples, NAMES, both).episodes] == ["in", "out"]


class TestSchedule:
    NIGHT = "schedule: {from: '22:00', to: '06:00', timezone: Europe/Berlin}"

    def test_only_what_starts_inside_counts(self):
        line = f"{ENTERS}, {self.NIGHT}"
        walk = steps((0, OUT), (2, IN), (4, OUT), (6, IN), end_s=9)
        assert starts(found(line, walk, recorded_at=datetime(2026, 7, 1, 19, 59, 55, tzinfo=UTC))) == [6.0]
        assert starts(found(line, walk, recorded_at=datetime(2026, 12, 1, 19, 59, 55, tzinfo=UTC))) == []

    def test_spans_are_cut_to_it(self):
        line = f"name: a, when: {{appears: person}}, {self.NIGHT}"
        assert spans(found(line, steps((0, IN), end_s=9), recorded_at=datetime(2026, 7, 1, 19, 59, 55, tzinfo=UTC))) == [(5.0, 9.0, (1,))]

    def test_without_a_recording_time_it_cannot_be_evaluated(self):
        evaluation = found(f"{ENTERS}, {self.NIGHT}", steps((0, OUT), (2, IN), end_s=9))
        assert (evaluation.episodes, evaluation.near_misses) == ([], [])
        assert evaluation.cannot_evaluate[0][0] == "in"
        assert "--recorded-at" in evaluation.cannot_evaluate[0][1]

    def test_outside_it_the_near_miss_says_so(self):
        evaluation = found(f"{ENTERS}, {self.NIGHT}", steps((0, OUT), (2, IN), end_s=9), recorded_at=datetime(2026, 7, 1, 12, tzinfo=UTC))
        assert evaluation.near_misses[0].text == "the video lies outside the rule's schedule"


@pytest.mark.parametrize(
    "line",
    [
        "name: r, when: {sees: a drone}",
        "name: r, when: {says: fire}",
    ],
)
def test_what_nothing_here_can_evaluate_is_never_nothing_found(line):
    evaluation = found(line, steps((0, IN), end_s=6))
    assert (evaluation.episodes, evaluation.near_misses) == ([], [])
    ((name, reason),) = evaluation.cannot_evaluate
    assert name == "r"
    assert reason


def test_a_class_that_these_tracks_cannot_have_is_not_nothing_found():
    tracks, samples = film(steps((0, IN), end_s=6))
    drones = rules.parse("version: 1\nrules: [{name: d, when: {appears: drone}}]").for_camera("x")
    assert evaluate(tracks, samples, NAMES, drones).cannot_evaluate == [("d", "the detector that made these tracks has no class drone")]


def test_a_video_without_frames_says_so():
    tracks, samples = film(duration_s=0)
    empty = type(samples)(samples.time_s[:0], samples.frame[:0])
    assert evaluate(tracks, empty, NAMES, rule_set(ENTERS)).near_misses[0].text == "no frame was looked at"


def test_why_holds_what_a_person_needs_to_believe_it():
    (episode,) = found(CROSSES, steps((0, WEST), (3, EAST), end_s=6, score=0.71)).episodes
    assert episode.why == {
        "rule": "over",
        "at_s": 3.0,
        "tracks": [{"id": 1, "class": "person", "score": 0.71}],
        "min_score": 0.5,
        "line": "path",
        "direction": "right_to_left",
    }
    assert episode.score == 0.71
    assert content_hash(episode)


@pytest.mark.parametrize("begin", [i / 20 for i in range(20, 40)])
def test_an_event_counts_within_its_own_track_at_any_rate(begin):
    """Twenty samples a second: 0.35 s is a whole number of them, and no sum of floats may reach into the next track."""
    evaluation = found(ENTERS, steps((0, OUT), (begin, IN), end_s=begin + 0.35), steps((0, OUT), end_s=1), rate=20)
    assert spans(evaluation) in ([(begin, pytest.approx(begin + 0.35), (1,))], [])


def test_episodes_come_in_time_order_whatever_the_order_of_rules_and_rows():
    walks = [steps((0, OUT), (t, IN), end_s=9) for t in (5, 2, 3)]
    tracks, samples = film(*walks)
    shuffled = tracks.take(np.random.default_rng(1).permutation(len(tracks))).ordered()
    one = evaluate(tracks, samples, NAMES, rule_set(ENTERS, LEAVES, CROSSES))
    assert [episode.start_s for episode in one.episodes] == [2.0, 3.0, 5.0]
    assert evaluate(shuffled, samples, NAMES, rule_set(CROSSES, LEAVES, ENTERS)).episodes == one.episodes


@pytest.mark.parametrize("rate", [5, 10, 20, 25, 30 / 7, 29.97 / 6])
def test_the_rate_of_samples_moves_events_by_less_than_a_sample(rate):
    walk = straight((0.1, 0.5), (0.9, 0.5), 0, 8)
    for line in (ENTERS, LEAVES, CROSSES):
        (episode,) = found(line, walk, rate=rate).episodes
        expected = {"in": 3.0, "out": 5.0, "over": 4.0}[episode.rule]
        assert expected <= episode.start_s + 1e-9 <= expected + 1 / rate + 0.01
