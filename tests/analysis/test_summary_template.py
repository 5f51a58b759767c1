"""What is counted and measured for a summary, and what is written of it without a model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from summarised import DURATION_S, NAMES, PLAZA, facts_of, line

from video_platform.analysis import summary_template
from video_platform.analysis.summary_claims import judge
from video_platform.analysis.summary_facts import Guess, gather
from video_platform.records import Evidence, Scene, Summary, TrackSheet

# ---- facts ---------------------------------------------------------------------------------------------------------------------------------------------


def test_facts_count_and_measure():
    assert dict(PLAZA.counts) == {"person": 4, "dog": 1}
    assert [(track.id, track.movement) for track in PLAZA.tracks] == [
        (1, "left to right"),
        (2, "left to right"),
        (8, "left to right"),
        (5, "right to left"),
        (7, "stays"),
    ]
    assert PLAZA.peak is not None
    assert (PLAZA.peak.count, PLAZA.peak.start_s, PLAZA.peak.end_s) == (4, 4, 9)
    assert (PLAZA.peaks["person"].count, PLAZA.peaks["dog"].count) == (3, 1)
    assert PLAZA.gap == (39, DURATION_S)


@pytest.mark.parametrize(
    ("way", "foot_from", "foot_to", "movement"),
    [
        ((0.5, 0.5), 0.3, 0.8, "towards the camera"),
        ((0.5, 0.5), 0.8, 0.3, "away from the camera"),
        ((0.5, 0.58), 0.5, 0.5, "about"),
    ],
)
def test_movements(way, foot_from, foot_to, movement):
    moving = line(1, "person", 0, 5, way)
    boxes = [(x1, y1, x2, foot_from + (foot_to - foot_from) * step / 9) for step, (x1, y1, x2, _) in enumerate(moving.boxes)]
    (track,) = facts_of(moving.model_copy(update={"boxes": boxes})).tracks
    assert track.movement == movement


def test_a_track_without_boxes_moves_about():
    (track,) = facts_of(line(1, "person", 0, 5).model_copy(update={"boxes": [], "times_s": []})).tracks
    assert track.movement == "about"


# ---- the template --------------------------------------------------------------------------------------------------------------------------------------


def test_the_template_reads_well():
    found = summary_template.compose(PLAZA, "no model")
    assert found.title == "Four people and one dog"
    assert found.overview == "Four people and one dog are seen in 41 seconds of footage. The busiest moment is at 0:04, with four at once."
    assert [sentence.text for sentence in found.sentences] == [
        "Four people and one dog are seen in 41 seconds of footage.",
        "Two people cross the picture from left to right and one crosses the picture from right to left.",
        "One person stays where they are.",
        "One dog moves from left to right.",
        "The most at once is four, at 0:04.",
        "One person is seen the longest: 26 seconds, from 0:04 to 0:30.",
        "The first to appear is one person at 0:01; the last is one person, seen until 0:39.",
        "The footage has two scenes.",
    ]
    assert (found.engine.name, found.engine.reason, found.engine.model) == ("template", "no model", None)


def test_a_sentence_seeks_to_the_moment_it_speaks_of():
    found = {sentence.text: sentence.evidence for sentence in summary_template.compose(PLAZA).sentences}
    assert found["The most at once is four, at 0:04."][0] == Evidence(kind="track", id="1", start_s=4, end_s=12)
    assert found["One person is seen the longest: 26 seconds, from 0:04 to 0:30."] == [Evidence(kind="track", id="5", start_s=4, end_s=30)]


def test_empty_footage_is_said_honestly():
    found = summary_template.compose(facts_of(duration_s=60, samples=300, best_guess=Guess("person", 0.343, 21.2)))
    assert found.title == "Nothing detected"
    assert [sentence.text for sentence in found.sentences] == [
        "Nobody was detected in 300 looked-at frames, 60 seconds of footage.",
        "The closest was one person at 0:21, with a score of 0.34.",
    ]
    assert found.sentences[0].evidence == [Evidence(kind="scene", id="0", start_s=0, end_s=60)]
    assert found.concern == 0


def test_footage_that_nobody_looked_at_is_not_called_empty():
    (only,) = summary_template.compose(facts_of(samples=0)).sentences
    assert only.text == "No frame of this footage was looked at."


def test_cars_without_people_say_that_nobody_is_seen():
    found = summary_template.compose(facts_of(line(3, "bus", 2, 30, (0.4, 0.4)), line(4, "bus", 2, 30, (0.6, 0.6))))
    texts = [sentence.text for sentence in found.sentences]
    assert found.title == "Two buses"
    assert "Nobody is seen." in texts
    assert "Two buses stay where they are." in texts


def test_plurals_of_the_field():
    names = ["person", "bus", "wine glass", "knife", "mouse", "sheep", "teddy bear", "toothbrush"]
    tracks = [line(number, names[number // 2], 1, 2) for number in range(2 * len(names))]
    assert set(gather(TrackSheet(sample_rate=5, samples=10, tracks=tracks), [], duration_s=5).counts) == set(names)
    sentence = summary_template.compose(gather(TrackSheet(sample_rate=5, samples=10, tracks=tracks), [], duration_s=5)).sentences[0].text
    for form in ("two people", "two buses", "two wine glasses", "two knives", "two mice", "two sheep", "two teddy bears", "two toothbrushes"):
        assert form in sentence.lower()


@pytest.mark.parametrize(("people", "stay_s", "concern"), [(0, 0, 0), (1, 5, 0), (7, 5, 0), (8, 5, 1), (24, 5, 1), (25, 5, 2), (1, 59, 0), (1, 60, 1)])
def test_concern_follows_from_numbers(people, stay_s, concern):
    tracks = [line(number, "person", 0, stay_s) for number in range(people)]
    assert summary_template.concern(facts_of(*tracks, duration_s=100)) == concern


TRACKS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.floats(0, 100), st.floats(0, 100), st.tuples(st.floats(0, 1), st.floats(0, 1)), st.floats(0.2, 1)), max_size=12
)


@settings(deadline=None)  # a busy machine is no failure
@given(TRACKS, st.integers(0, 12), st.integers(0, 1000))
def test_whatever_the_template_writes_stands_up_to_the_check(rows, scene_count, samples):
    lines = [line(number, name, start_s, start_s + length_s, way, foot) for number, (name, start_s, length_s, way, foot) in enumerate(rows)]
    scenes = tuple(Scene(number, number * 200 / scene_count, (number + 1) * 200 / scene_count) for number in range(scene_count))
    facts = facts_of(*lines, duration_s=200, samples=samples, scenes=scenes)
    found = summary_template.compose(facts)
    assert 1 <= len(found.sentences) <= 8
    for sentence in found.sentences:
        if sentence.text == "No frame of this footage was looked at.":
            continue
        assert sentence.evidence
        assert judge(sentence.text, [f"{each.kind}:{each.id}" for each in sentence.evidence], facts).state == "supported", sentence.text
        assert all(0 <= each.start_s <= each.end_s <= 200 for each in sentence.evidence)
    assert Summary.model_validate_json(found.model_dump_json()) == found
