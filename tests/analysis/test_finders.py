"""Absence and speed on scripted walks: exact times."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged import IN, OUT, found, missed, spans
from walks import Walk, steps, straight

NIGHT = "schedule: {from: '22:00', to: '06:00', timezone: Europe/Berlin}"


class TestAbsent:
    RULE = "name: empty, when: {absent: person, in: plaza, for: 3s}"

    def test_from_the_first_sample_without_to_the_last(self):
        (episode,) = found(self.RULE, steps((0, IN), (2, OUT), (7, IN), end_s=10)).episodes
        assert (episode.start_s, episode.end_s, episode.track_ids) == (2.0, 6.8, ())
        assert (episode.place, episode.score, episode.kind) == (None, None, "absent")
        assert episode.why == {
            "rule": "empty",
            "at_s": 2.0,
            "tracks": [],
            "min_score": 0.5,
            "absent": ["person"],
            "absent_s": 4.8,
            "wanted_s": 3.0,
            "zone": "plaza",
        }

    def test_the_whole_video_when_nobody_ever_came(self):
        assert spans(found(self.RULE)) == [(0.0, 10.0, ())]

    def test_the_start_and_the_end_of_the_video_bound_it(self):
        assert spans(found(self.RULE, steps((3.2, IN), (6, OUT), end_s=7))) == [(0.0, 3.0, ()), (6.0, 10.0, ())]

    def test_exactly_as_long_as_wanted_counts_a_sample_less_does_not(self):
        assert spans(found(self.RULE, steps((0, IN), (2, None), (5.2, IN), end_s=10))) == []  # one track, out of sight inside: it has not left
        assert spans(found(self.RULE, steps((0, IN), (2, OUT), (5.2, IN), end_s=10))) == [(2.0, 5.0, ())]
        text, at_s = missed(found(self.RULE, steps((0, IN), (2, OUT), (5, IN), end_s=10)))
        assert (text, at_s) == ("no person in plaza for 2.8 s at most; the rule wants 3 s", 2.0)

    def test_a_moment_inside_does_not_end_it_and_a_held_one_does(self):
        assert spans(found(self.RULE, steps((0, OUT), (4, IN), (4.4, OUT), end_s=10))) == [(0.0, 10.0, ())]
        assert spans(found(self.RULE, steps((0, OUT), (4, IN), (4.6, OUT), end_s=10))) == [(0.0, 3.8, ()), (4.6, 10.0, ())]

    def test_others_do_not_fill_the_place(self):
        assert spans(found(self.RULE, steps((0, IN), end_s=10, name="dog"))) == [(0.0, 10.0, ())]
        assert spans(found(self.RULE, steps((0, IN), end_s=10, score=0.4))) == [(0.0, 10.0, ())]

    def test_without_a_zone_the_whole_picture_counts(self):
        line = "name: empty, when: {absent: [person, dog], for: 3s}"
        assert spans(found(line, steps((0, OUT), end_s=3), steps((2, IN), end_s=5, name="dog"))) == [(5.2, 10.0, ())]
        assert missed(found(line, steps((0, OUT), end_s=10))) == ("a dog or person was there all the time", None)

    def test_only_the_part_in_the_schedule_counts(self):
        recorded_at = datetime(2026, 7, 1, 19, 59, 55, tzinfo=UTC)  # 22:00 in Berlin at 5 s
        assert spans(found(f"{self.RULE}, {NIGHT}", recorded_at=recorded_at)) == [(5.0, 10.0, ())]
        assert missed(found(f"{self.RULE}, {NIGHT}", steps((7.2, IN), end_s=10), recorded_at=recorded_at))[0].startswith("no person in plaza for 2.0 s")

    def test_a_video_without_frames_is_not_absence(self):
        evaluation = found(self.RULE, duration_s=0)
        assert spans(evaluation) == []


class TestSpeed:
    RULE = "name: fast, when: {speed: car, above: 0.2}"

    def test_a_steady_speed_is_fast_or_not(self):
        fast, slow = (straight((0.1, 0.5), (0.1 + 2 * speed, 0.5), 1, 3, name="car") for speed in (0.25, 0.195))
        (episode,) = found(self.RULE, fast).episodes
        assert (episode.start_s, episode.end_s, episode.track_ids) == (1.0, 3.0, (1,))
        assert (episode.why["speed"], episode.why["above"], episode.why["held_s"]) == (pytest.approx(0.25, abs=0.002), 0.2, 2.0)
        text, _ = missed(found(self.RULE, slow))
        assert text.startswith("the fastest car did 0.19")

    def test_speed_is_measured_over_the_moment_before_and_after(self):
        def at(t: float) -> tuple[float, float]:
            return (0.1 + 0.5 * min(1.0, max(0.0, t - 4)), 0.5)

        (episode,) = found(self.RULE, Walk(at, 0, 10, name="car")).episodes
        assert (episode.start_s, episode.end_s) == (4.0, 5.0)  # at 4.0 half of the 0.8 s has 0.5/s: 0.25/s

    def test_for_wants_it_to_last(self):
        line = "name: fast, when: {speed: car, above: 0.2, for: 1.2s}"
        dash, run = (straight((0.1, 0.5), (0.1 + 0.3 * s, 0.5), 1, 1 + s, name="car") for s in (1.0, 1.2))
        assert missed(found(line, dash))[0] == "the fastest car did 0.300 frame widths a second, but not for 1.2 s"
        assert spans(found(line, run)) == [(1.0, 2.2, (1,))]

    def test_only_in_the_zone(self):
        car = straight((0.01, 0.5), (1.01, 0.5), 0, 4, name="car")  # 0.25/s, in the plaza from 1.56 s to 2.36 s
        assert spans(found("name: fast, when: {speed: car, above: 0.2, in: plaza}", car, rate=10)) == [(1.6, 2.3, (1,))]

    def test_heights_count_as_widths_of_the_frame(self):
        car = straight((0.5, 0.1), (0.5, 0.9), 1, 3, name="car")  # 0.4 of the height a second
        assert spans(found(self.RULE, car)) == [(1.0, 3.0, (1,))]
        assert missed(found(self.RULE, car, aspect=16 / 9 * 1.2))[0].startswith("the fastest car did 0.187")

    def test_a_jump_over_a_gap_is_measured_over_the_gap(self):
        car = steps((0, (0.1, 0.5)), (2, None), (6, (0.7, 0.5)), end_s=8, name="car")  # 0.6 in 4.2 s
        assert spans(found(self.RULE, car)) == []

    @given(st.floats(0.02, 0.4), st.floats(0.0, 0.004))
    def test_jitter_below_the_sampling_does_not_make_a_slow_car_fast(self, speed, jitter):
        walk = Walk(lambda t: (0.1 + speed * t + jitter * (-1) ** round(t * 5), 0.5), 0, 2, name="car")
        evaluation = found(self.RULE, walk)
        if speed < 0.19:
            assert evaluation.episodes == []
        if speed > 0.22:
            assert len(evaluation.episodes) == 1
