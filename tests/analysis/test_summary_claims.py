"""Sentences of a model, held against the tracks that they name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from summarised import PLAZA

from video_platform.analysis.summary_claims import confirmed, judge


@pytest.mark.parametrize(
    ("text", "references", "state"),
    [
        ("Two people cross the picture from left to right.", ["track:1", "track:2"], "supported"),
        ("2 people cross from left to right.", ["track:1", "track:2"], "supported"),
        ("A dog and a person move from left to right.", ["track:1", "track:8"], "supported"),
        ("A person is seen at 0:10.", ["track:1"], "supported"),
        ("A person is seen for 11 seconds.", ["track:1"], "supported"),
        ("Someone stays from 0:20 to 0:39.", ["track:7"], "supported"),
        ("Three people are seen at once at 0:04.", ["track:1"], "supported"),
        ("No cars are seen.", ["scene:0"], "supported"),
        ("Nothing is seen from 0:39 to 0:41.", ["scene:1"], "supported"),
        ("A dog is seen before 0:10.", ["track:8"], "supported"),
        ("A person with a dog is seen at 0:05.", ["track:1", "track:8"], "supported"),
        ("The dog appears after the first person.", ["track:1", "track:8"], "supported"),
        ("No dog is seen after 0:10.", ["scene:1"], "supported"),
        ("Nobody is seen after 0:39.", ["scene:1"], "supported"),
        ("At 0:05 three people and a dog are seen at once.", ["track:1", "track:2", "track:5", "track:8"], "supported"),
        ("In the second scene a person is seen.", ["track:7"], "supported"),
        ("A person is seen for about 20 seconds.", ["track:7"], "supported"),
        ("A person crosses from the left to the right.", ["track:1"], "supported"),
        # invented numbers
        ("Five people are seen.", ["track:1"], "contradicted"),
        ("Three people cross the picture from left to right.", ["track:1", "track:2", "track:8"], "contradicted"),
        ("A person is seen for 15 seconds.", ["track:1"], "contradicted"),
        ("Three people are seen at once at 0:20.", ["track:1", "track:7"], "contradicted"),
        ("17 are seen.", ["track:1"], "contradicted"),
        # invented things, times and ways
        ("A car passes.", ["track:1"], "contradicted"),
        ("A person is seen at 0:39.", ["track:1"], "contradicted"),
        ("A person is seen at 7:00.", ["track:1"], "contradicted"),
        ("A person crosses the picture from right to left.", ["track:1"], "contradicted"),
        ("A person stays.", ["track:1"], "contradicted"),
        ("Nobody is seen.", ["scene:0"], "contradicted"),
        ("No dogs are seen.", ["scene:0"], "contradicted"),
        ("Nothing is seen from 0:01 to 0:10.", ["scene:0"], "contradicted"),
        ("The first to appear is one dog.", ["track:8"], "contradicted"),
        ("One person is seen the longest.", ["track:1"], "contradicted"),
        ("A person does not move.", ["track:1"], "contradicted"),
        # what is true of one and said of another
        ("A dog crosses from right to left.", ["track:8", "track:5"], "contradicted"),
        ("A person stays from 0:01 to 0:12.", ["track:1", "track:7"], "contradicted"),
        ("A dog is seen at 0:30.", ["scene:1"], "contradicted"),
        ("A dog is seen at 0:30.", ["track:7", "track:8"], "contradicted"),
        ("The first person moves from right to left.", ["track:5"], "contradicted"),
        ("The second dog is seen.", ["track:8"], "contradicted"),
        ("One dog is seen the longest.", ["track:5", "track:8"], "contradicted"),
        ("A person leaves at 0:05.", ["track:1"], "contradicted"),
        ("A person enters at 0:11.", ["track:1"], "contradicted"),
        ("A person with a dog is seen.", ["track:7", "track:8"], "contradicted"),
        ("The person appears before the dog.", ["track:7", "track:8"], "contradicted"),
        ("Two people and two dogs are seen at once.", ["track:1", "track:2", "track:8"], "contradicted"),
        ("Nobody is seen at 0:10.", ["scene:0"], "contradicted"),
        ("No person stays.", ["scene:0"], "contradicted"),
        ("No dog is seen until 0:08.", ["scene:0"], "contradicted"),
        ("Nothing is seen for 20 seconds.", ["scene:0"], "contradicted"),
        ("A person is seen for about 30 seconds.", ["track:1"], "contradicted"),
        ("In the second scene a dog is seen.", ["scene:1", "track:8"], "contradicted"),
        ("In the third scene a person is seen.", ["track:7"], "contradicted"),
        ("Five people are seen in 41 seconds of footage.", ["track:1"], "contradicted"),
        ("A person is seen in 20 seconds of footage.", ["track:1"], "contradicted"),
        ("One person crosses from left to right, another stays.", ["track:1", "track:2"], "contradicted"),
        ("At most two people are seen at once.", ["track:1"], "contradicted"),
        # references that do not exist
        ("A person is seen.", ["track:99"], "contradicted"),
        ("A person is seen.", ["track:1", "scene:7"], "contradicted"),
        # beyond what was measured
        ("A person steals a bag.", ["track:1"], "not_checkable"),
        ("A person in a red coat is seen.", ["track:1"], "not_checkable"),
        ("A person enters the dog.", ["track:1", "track:8"], "not_checkable"),
        ("A person walks the dog.", ["track:1", "track:8"], "not_checkable"),
        ("A person is a dog.", ["track:1", "track:8"], "not_checkable"),
        ("A person is seen at the dog.", ["track:1", "track:8"], "not_checkable"),
        ("A person moves the picture.", ["track:1"], "not_checkable"),
        ("A person has a picture.", ["track:1"], "not_checkable"),
        ("A person looks at the camera.", ["track:1"], "not_checkable"),
        ("A person is on the left.", ["track:1"], "not_checkable"),
        ("A person goes in.", ["track:1"], "not_checkable"),
        ("A person drives from left to right.", ["track:1"], "not_checkable"),
        ("More people are seen.", ["track:1", "track:2"], "not_checkable"),
        ("Only one dog is seen.", ["track:8"], "not_checkable"),
        ("A person is seen with.", ["track:1"], "not_checkable"),
        ("All people cross the picture from left to right.", ["track:1"], "not_checkable"),
        ("A person does not wave.", ["track:1"], "not_checkable"),
        ("A person is seen.", [], "not_checkable"),
        ("Seen.", ["track:1"], "not_checkable"),
        ("", ["track:1"], "not_checkable"),
        ("٩ people are seen.", ["track:1"], "not_checkable"),
        ("People² are seen.", ["track:1"], "not_checkable"),
        ("__ A person is seen.", ["track:1"], "not_checkable"),
        ("Ещё один человек", ["track:1"], "not_checkable"),
        ("<img src=http://canary> A person is seen.", ["track:1"], "not_checkable"),
        # one false clause makes the sentence false, one unclear one makes it unclear
        ("A person is seen. A car is seen.", ["track:1"], "contradicted"),
        ("A person is seen. They are angry.", ["track:1"], "not_checkable"),
    ],
)
def test_a_sentence_is_held_against_the_facts(text, references, state):
    assert judge(text, references, PLAZA).state == state


def test_titles_and_overviews_are_held_against_the_whole_video():
    assert confirmed("Four people and one dog", PLAZA)
    assert not confirmed("Five people and one dog", PLAZA)
    assert not confirmed("Armed robbery", PLAZA)


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(max_size=200), st.lists(st.text(max_size=12) | st.sampled_from(["track:1", "scene:0", "track:", "scene:x"]), max_size=4))
def test_any_text_gets_a_state(text, references):
    found = judge(text, references, PLAZA)
    assert found.state in ("supported", "contradicted", "not_checkable")
    assert found.state != "supported" or found.evidence


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 10**30))
def test_only_true_counts_are_supported(number):
    state = judge(f"{number} people are seen.", ["track:1"], PLAZA).state
    assert state == ("supported" if number in (1, 4) else "contradicted")
