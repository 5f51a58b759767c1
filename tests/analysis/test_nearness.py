import math
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from judged import found, missed, rule_set, spans
from walks import NAMES, film, steps, straight

from video_platform.analysis.nearness import near_pairs
from video_platform.analysis.observed import Observed

RULE = "name: close, when: {near: [person, car], within: 0.1}"
CAR = steps((0, (0.5, 0.5)), end_s=10, name="car")


def test_from_the_first_near_sample_to_the_last():
    (episode,) = found(RULE, steps((0, (0.3, 0.5)), (3, (0.42, 0.5)), (6, (0.3, 0.5)), end_s=10), CAR).episodes
    assert (episode.start_s, episode.end_s, episode.track_ids) == (3.0, 5.8, (1, 2))
    assert episode.place == (0.42, 0.5)
    assert [row["class"] for row in episode.why["tracks"]] == ["person", "car"]
    assert (episode.why["closest"], episode.why["within"], episode.why["held_s"]) == (0.08, 0.1, 2.8)


def test_the_first_class_of_the_rule_stands_first_whoever_was_seen_first():
    (episode,) = found(RULE, CAR, steps((3, (0.42, 0.5)), end_s=10)).episodes
    assert [row["class"] for row in episode.why["tracks"]] == ["person", "car"]


def test_exactly_as_far_as_the_rule_says_is_near():
    assert spans(found(RULE, steps((0, (0.4, 0.5)), end_s=10), CAR)) == [(0.0, 10.0, (1, 2))]
    text, at_s = missed(found(RULE, steps((0, (0.39, 0.5)), end_s=10), CAR))
    assert (text, at_s) == ("a person and a car came within 0.110 frame widths of each other; the rule wants 0.1", 0.0)


def test_a_moment_is_not_near_and_a_moment_apart_does_not_end_it():
    text, _ = missed(found(RULE, steps((0, (0.2, 0.5)), (3, (0.45, 0.5)), (3.4, (0.2, 0.5)), end_s=10), CAR))
    assert text == "a person and a car came within 0.050 frame widths, but never within 0.1 for 0.4 s"
    apart = steps((0, (0.45, 0.5)), (3, (0.2, 0.5)), (3.4, (0.45, 0.5)), end_s=10)
    assert spans(found(RULE, apart, CAR)) == [(0.0, 10.0, (1, 2))]


def test_for_wants_it_to_last():
    line = "name: close, when: {near: [person, car], within: 0.1, for: 3s}"
    assert spans(found(line, steps((1, (0.45, 0.5)), (4.2, (0.2, 0.5)), end_s=10), CAR)) == [(1.0, 4.0, (1, 2))]
    assert spans(found(line, steps((1, (0.45, 0.5)), (4.0, (0.2, 0.5)), end_s=10), CAR)) == []


def test_each_pair_is_an_episode():
    people = [steps((n, (0.45 + 0.1 * n, 0.5)), end_s=10) for n in (0, 1)]
    assert spans(found(RULE, *people, CAR)) == [(0.0, 10.0, (1, 3)), (1.0, 10.0, (2, 3))]


def test_two_of_one_class():
    line = "name: pair, when: {near: [person, person], within: 0.1}"
    assert spans(found(line, steps((0, (0.3, 0.5)), end_s=8), steps((2, (0.35, 0.5)), end_s=10), CAR)) == [(2.0, 8.0, (1, 2))]
    assert missed(found(line, steps((0, (0.3, 0.5)), end_s=8)))[0] == "a person and a person were never there at once"


def test_in_a_zone_both_stand_in_it():
    line = "name: close, when: {near: [person, car], within: 0.15, in: plaza}"
    assert spans(found(line, steps((0, (0.39, 0.5)), (4, (0.41, 0.5)), end_s=10), CAR)) == [(4.0, 10.0, (1, 2))]


def test_heights_count_as_widths_of_the_frame():
    above = steps((0, (0.5, 0.35)), end_s=10)
    assert spans(found(RULE, above, CAR)) == []
    assert spans(found(RULE, above, CAR, aspect=16 / 9)) == [(0.0, 10.0, (1, 2))]


def test_passing_each_other():
    one, other = straight((0.0, 0.5), (1.0, 0.5), 0, 10), straight((1.0, 0.5), (0.0, 0.5), 0, 10, name="car")
    assert spans(found(RULE, one, other)) == [(4.6, 5.4, (1, 2))]  # they are 0.2 apart per second of distance to 5 s


places = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(st.lists(st.tuples(places, st.sampled_from(NAMES)), min_size=1, max_size=12), st.floats(0.01, 1.0), st.sampled_from(["person", "car"]))
def test_the_sweep_finds_the_pairs_that_comparing_all_finds(crowd, within, other):
    tracks, samples = film(*(steps((0, place), end_s=0, name=name) for place, name in crowd), duration_s=0.2)
    rules = rule_set(f"name: close, when: {{near: [person, {other}], within: {within}}}")
    seen = Observed(tracks, samples, NAMES, rules)
    pairs = near_pairs(seen, rules.rules[0], within, None)
    expected = set()
    for a, b in product(range(len(seen)), repeat=2):
        distance = math.hypot(seen.x[a] - seen.x[b], seen.y[a] - seen.y[b])
        classes = NAMES[seen.class_id[seen.track[a]]], NAMES[seen.class_id[seen.track[b]]]
        if a != b and classes == ("person", other) and distance <= within - 1e-5 and (other != "person" or a < b):
            expected.add((a, b))
    got = set(zip(pairs.one.tolist(), pairs.other.tolist(), strict=True))
    assert expected <= got
    assert all(distance <= within + 2e-6 for distance in pairs.distance)
    assert len(got) == len(pairs.one)
    assert (np.diff(pairs.pair) >= 0).all()
