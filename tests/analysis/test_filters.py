"""What keeps false alarms away: which objects a rule sees, and which of its episodes are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged import EAST, IN, OUT, PLACES, WEST, found, missed, spans
from walks import HEIGHT, WIDTH, Walk, steps, straight

APPEARS = "name: a, when: {appears: person}"
DWELLS = "name: d, when: {dwells: plaza, class: person, for: 3s}"


class TestMasks:
    TREE = PLACES.replace("defaults:", "ignore: {tree: {polygon: [[0.45, 0.45], [0.55, 0.45], [0.55, 0.55], [0.45, 0.55]]}}\ndefaults:")

    def test_who_stands_in_it_is_not_seen(self):
        assert spans(found(APPEARS, steps((0, IN), end_s=5), steps((0, OUT), end_s=4), places=self.TREE)) == [(0.0, 4.0, (2,))]
        assert missed(found(APPEARS, steps((0, IN), end_s=5), places=self.TREE))[0] == "no person was seen; 51 frames looked at"

    def test_only_the_moments_in_it_are_not(self):
        walk = steps((0, OUT), (2, IN), (6, OUT), end_s=9)
        assert spans(found(APPEARS, walk, places=self.TREE)) == [(0.0, 9.0, (1,))]
        assert spans(found(f"{APPEARS}, max_gap: 2s, merge: 0s", walk, places=self.TREE)) == [(0.0, 1.8, (1,)), (6.0, 9.0, (1,))]

    def test_it_may_speak_of_some_classes_only(self):
        places = self.TREE.replace("0.55]]}", "0.55]], class: [dog, car]}")
        line = "name: a, when: {appears: [person, dog]}"
        assert spans(found(line, steps((0, IN), end_s=5), steps((0, IN), end_s=9, name="dog"), places=places)) == [(0.0, 5.0, (1,))]

    def test_it_may_be_of_another_camera(self):
        places = self.TREE.replace("0.55]]}", "0.55]], cameras: [gate]}")
        assert spans(found(APPEARS, steps((0, IN), end_s=5), places=places)) == [(0.0, 5.0, (1,))]


class TestScorePerClass:
    LINE = "name: a, when: {appears: [person, dog]}, min_score: {person: 0.7, other: 0.4}, merge: 0s"

    def test_each_class_has_its_own(self):
        walks = (steps((0, IN), end_s=2, score=0.69), steps((3, IN), end_s=5, score=0.7), steps((6, IN), end_s=8, score=0.4, name="dog"))
        evaluation = found(self.LINE, *walks)
        assert spans(evaluation) == [(3.0, 5.0, (2,)), (6.0, 8.0, (3,))]
        assert [episode.why["min_score"] for episode in evaluation.episodes] == [0.7, 0.4]

    def test_the_near_miss_names_the_score_of_the_class(self):
        assert missed(found(self.LINE, steps((0, IN), end_s=2, score=0.6)))[0] == "the surest dog or person scored 0.60; the rule wants 0.70"

    def test_a_rule_of_near_asks_each_side(self):
        line = "name: n, when: {near: [person, car], within: 0.2}, min_score: {car: 0.3}"
        assert spans(found(line, steps((0, IN), end_s=5), steps((0, IN), end_s=5, score=0.3, name="car"))) == [(0.0, 5.0, (1, 2))]
        assert (
            missed(found(line, steps((0, IN), end_s=5), steps((0, IN), end_s=5, score=0.2, name="car")))[0] == "the surest car scored 0.20; the rule wants 0.30"
        )


class TestFrames:
    def test_a_track_of_fewer_samples_is_not_seen(self):
        line = f"{APPEARS}, min_frames: 6"
        assert spans(found(line, steps((1, IN), end_s=2))) == [(1.0, 2.0, (1,))]
        assert missed(found(line, steps((1, IN), end_s=1.8))) == ("1 person seen, in 5 sampled frames at most; the rule wants 6", 1.0)


class TestSize:
    AREA = WIDTH * HEIGHT  # 0.0048

    @pytest.mark.parametrize(
        ("option", "seen"), [("min_size: 0.0048", True), ("min_size: 0.0049", False), ("max_size: 0.0048", True), ("max_size: 0.0047", False)]
    )
    def test_the_median_area_decides(self, option, seen):
        evaluation = found(f"{APPEARS}, {option}", steps((0, IN), end_s=5))
        assert bool(evaluation.episodes) is seen
        if not seen:
            assert "of the picture; the rule" in missed(evaluation)[0]


class TestMoving:
    def test_who_never_left_its_place_is_not_seen(self):
        line = f"{APPEARS}, moving: true"
        assert missed(found(line, steps((0, IN), end_s=5)))[0] == "1 person seen, none moved"
        assert spans(found(line, straight((0.3, 0.5), (0.33, 0.5), 0, 5))) == [(0.0, 5.0, (1,))]

    def test_it_has_moved_once_half_its_width_away(self):
        line = f"{APPEARS}, moving: true"
        assert spans(found(line, steps((0, IN), (3, (IN[0] + 0.51 * WIDTH, 0.5)), end_s=5))) == [(0.0, 5.0, (1,))]
        assert spans(found(line, steps((0, IN), (3, (IN[0] + 0.49 * WIDTH, 0.5)), end_s=5))) == []
        assert spans(found(line, steps((0, IN), (3, (0.6, 0.5)), (3.4, IN), end_s=5))) == []  # a box that jumps for a moment

    def test_who_came_and_stays_has_moved(self):
        assert spans(found(f"{DWELLS}, moving: true", steps((0, OUT), (1, IN), end_s=10))) == [(1.0, 10.0, (1,))]

    def test_the_opposite_sees_what_was_left(self):
        line = f"{APPEARS}, moving: false, merge: 0s"
        assert spans(found(line, steps((0, IN), end_s=5), straight((0.1, 0.5), (0.9, 0.5), 0, 9))) == [(0.0, 5.0, (1,))]
        assert missed(found(line, straight((0.1, 0.5), (0.9, 0.5), 0, 9)))[0] == "1 person seen, all of them moved"

    @given(st.lists(st.floats(-0.2, 0.2), min_size=20, max_size=20))
    def test_jitter_is_no_motion(self, jitter):
        walk = Walk(lambda t: (0.5 + jitter[round(t * 5) % 20] * WIDTH, 0.5), 0, 4)
        assert spans(found(f"{APPEARS}, moving: true", walk)) == []


class TestGaps:
    """A loiterer whose track breaks is still one loiterer, where the rule says how long one may be out of sight."""

    BROKEN = (steps((0, IN), end_s=2), steps((3, (0.52, 0.5)), end_s=5))

    def test_without_a_word_tracks_are_as_they_are(self):
        assert missed(found(DWELLS, *self.BROKEN))[0] == "the longest stay in plaza was 2.0 s; the rule wants 3 s"

    def test_a_track_that_goes_on_where_another_was_lost_is_the_same_object(self):
        (episode,) = found(f"{DWELLS}, max_gap: 1s", *self.BROKEN).episodes
        assert (episode.start_s, episode.end_s, episode.track_ids) == (0.0, 5.0, (1, 2))
        assert [row["id"] for row in episode.why["tracks"]] == [1]

    def test_a_longer_gap_is_not_bridged(self):
        assert spans(found(f"{DWELLS}, max_gap: 0.8s", *self.BROKEN)) == []

    def test_another_place_or_class_is_another_object(self):
        far = steps((3, (0.41, 0.41)), end_s=5)
        assert spans(found(f"{DWELLS}, max_gap: 1s", self.BROKEN[0], far)) == []
        either = "name: d, when: {dwells: plaza, class: [person, dog], for: 3s}, max_gap: 1s"
        assert spans(found(either, self.BROKEN[0], steps((3, IN), end_s=5, name="dog"))) == []

    def test_each_goes_on_one_other_the_nearest(self):
        two = (steps((0, IN), end_s=2), steps((0, (0.55, 0.5)), end_s=2), steps((2.6, (0.54, 0.5)), end_s=5), steps((2.6, (0.5, 0.51)), end_s=4.8))
        assert spans(found(f"{DWELLS}, max_gap: 1s", *two)) == [(0.0, 4.8, (1, 4)), (0.0, 5.0, (2, 3))]

    def test_a_chain_of_three(self):
        chain = (steps((0, IN), end_s=1), steps((1.6, IN), end_s=2.6), steps((3.2, IN), end_s=4.2))
        assert spans(found(f"{DWELLS}, max_gap: 1s", *chain)) == [(0.0, 4.2, (1, 2, 3))]

    def test_a_gap_longer_than_that_cuts_a_track(self):
        walk = steps((0, IN), (2, None), (4, IN), end_s=6)
        assert spans(found(DWELLS, walk)) == [(0.0, 6.0, (1,))]
        assert spans(found(f"{DWELLS}, max_gap: 2s", walk)) == []  # last seen at 1.8 s
        assert spans(found(f"{DWELLS}, max_gap: 2.2s", walk)) == [(0.0, 6.0, (1,))]
        assert spans(found(f"{DWELLS}, max_gap: 1s", walk)) == []

    def test_the_tracks_of_other_rules_stay_as_they_are(self):
        assert spans(found("name: x, when: {crosses: path, class: person}, max_gap: 1s", steps((0, WEST), end_s=2), steps((2.6, EAST), end_s=5))) == [
            (2.6, 3.0, (1, 2))
        ]
        assert spans(found("name: x, when: {crosses: path, class: person}", steps((0, WEST), end_s=2), steps((2.6, EAST), end_s=5))) == []


class TestMerge:
    TWICE = steps((0, OUT), (1, IN), (2, OUT), (4, IN), (5, OUT), end_s=9)
    ENTERS = "name: in, when: {enters: plaza, class: person}"

    def test_episodes_closer_than_the_window_are_one(self):
        assert spans(found(self.ENTERS, self.TWICE)) == [(1.0, 1.4, (1,)), (4.0, 4.4, (1,))]
        (episode,) = found(f"{self.ENTERS}, merge: 5s", self.TWICE).episodes
        assert (episode.start_s, episode.end_s, episode.why["merged"]) == (1.0, 4.4, 2)

    def test_the_window_runs_from_the_end_of_one_to_the_start_of_the_next(self):
        assert len(found(f"{self.ENTERS}, merge: 2.6s", self.TWICE).episodes) == 1
        assert len(found(f"{self.ENTERS}, merge: 2.5s", self.TWICE).episodes) == 2

    def test_several_objects_are_one_episode_with_all_of_them(self):
        (episode,) = found(f"{DWELLS}, merge: 0s", steps((0, IN), end_s=4), steps((2, IN), end_s=8)).episodes
        assert (episode.start_s, episode.end_s, episode.track_ids) == (0.0, 8.0, (1, 2))
        assert (episode.why["stayed_s"], episode.why["merged"]) == (6.0, 2)

    def test_it_takes_the_place_of_the_two_seconds_of_appears(self):
        walks = (steps((0, IN), end_s=2), steps((3, IN), end_s=5))
        assert spans(found(APPEARS, *walks)) == [(0.0, 5.0, (1, 2))]
        assert spans(found(f"{APPEARS}, merge: 0.5s", *walks)) == [(0.0, 2.0, (1,)), (3.0, 5.0, (2,))]

    def test_merging_comes_before_cooldown(self):
        line = f"{self.ENTERS}, merge: 3s, cooldown: 5s"
        (episode,) = found(line, self.TWICE).episodes
        assert "more_within_cooldown" not in episode.why
