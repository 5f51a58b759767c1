import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from walks import NAMES, film, steps

from video_platform import rules
from video_platform.analysis.evaluate import evaluate
from video_platform.analysis.near_misses import many

PLAZA = "zones: {plaza: {polygon: [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6]]}}\nlines: {path: {from: [0.5, 0.2], to: [0.5, 0.8]}}"
KINDS = (
    "{appears: person}",
    "{appears: person, in: plaza}",
    "{enters: plaza, class: person}",
    "{leaves: plaza, class: person}",
    "{dwells: plaza, class: person, for: 2s}",
    "{count: person, at_least: 2, for: 1s}",
    "{count: person, in: plaza, at_least: 2}",
    "{crosses: path, class: person, direction: any}",
    "{crosses: path, class: person, direction: left_to_right}",
)


def rule_set(when: str) -> rules.CameraRules:
    return rules.parse(f"version: 1\n{PLAZA}\nrules: [{{name: r, when: {when}}}]\n", classes=NAMES).for_camera("x")


@pytest.mark.parametrize(
    ("count", "classes", "text"),
    [
        (1, ["person"], "1 person"),
        (2, ["person"], "2 people"),
        (0, ["car"], "0 cars"),
        (3, ["bus", "truck"], "3 buses or trucks"),
        (2, ["bench"], "2 benches"),
        (2, ["wine glass"], "2 wine glasses"),
        (2, ["knife"], "2 knives"),
    ],
)
def test_counts_with_their_nouns(count, classes, text):
    assert many(count, classes) == text


spots = st.sampled_from([(0.1, 0.5), (0.45, 0.5), (0.55, 0.5), (0.45, 0.95), (0.55, 0.95), (0.5, 0.5), None])
walks = st.lists(st.tuples(st.lists(spots, min_size=1, max_size=6), st.sampled_from([0.2, 0.4, 1.0]), st.sampled_from([0.45, 0.8])), max_size=3)


@given(walks, st.sampled_from(KINDS))
def test_whatever_happens_a_rule_has_episodes_or_says_in_one_sentence_what_came_closest(people, when):
    tracks, samples = film(
        *(steps(*((round(i * pace, 1), spot) for i, spot in enumerate(stops)), end_s=len(stops) * pace, score=score) for stops, pace, score in people)
    )
    evaluation = evaluate(tracks, samples, NAMES, rule_set(when))
    assert bool(evaluation.episodes) != bool(evaluation.near_misses)
    for miss in evaluation.near_misses:
        assert re.fullmatch(r"[^\n]{10,160}", miss.text)
        assert miss.at_s is None or 0 <= miss.at_s <= 10
    for episode in evaluation.episodes:
        assert episode.end_s >= episode.start_s
        assert episode.track_ids


@given(walks, st.sampled_from(KINDS))
def test_leaving_the_explanation_out_changes_no_episode(people, when):
    tracks, samples = film(
        *(steps(*((round(i * pace, 1), spot) for i, spot in enumerate(stops)), end_s=len(stops) * pace, score=score) for stops, pace, score in people)
    )
    quick = evaluate(tracks, samples, NAMES, rule_set(when), explain=False)
    assert quick.near_misses == []
    assert quick.episodes == evaluate(tracks, samples, NAMES, rule_set(when)).episodes


def test_a_line_that_nobody_crosses_names_the_closest():
    tracks, samples = film(steps((0, (0.2, 0.5)), (3, (0.4, 0.5)), end_s=6))
    (miss,) = evaluate(tracks, samples, NAMES, rule_set(KINDS[-1])).near_misses
    assert (miss.text, miss.at_s) == ("1 person seen, none changed sides; the closest came within 0.10 frame widths of path", 3.0)


def test_distances_need_the_shape_of_the_frame():
    tracks, samples = film(steps((0, (0.5, 0.9)), end_s=6))
    texts = [evaluate(tracks, samples, NAMES, rule_set(KINDS[1]), aspect=aspect).near_misses[0].text for aspect in (1.0, 2.0)]
    assert [text.split(" within ")[1] for text in texts] == ["0.30 frame widths of it", "0.15 frame widths of it"]
