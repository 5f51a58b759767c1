"""Sentences that repeat a caption or quote speech: only its own words, whole, at its time, and never against the tracks."""

import pytest

from video_platform.analysis.summary_claims import judge
from video_platform.analysis.summary_facts import Facts, gather
from video_platform.records import Caption, Captions, Evidence, Scene, SpeechSegment, TrackLine, TrackSheet, Transcript


def person(number: int, start_s: float, end_s: float) -> TrackLine:
    return TrackLine(id=number, class_name="person", score=0.8, start_s=start_s, end_s=end_s, times_s=[start_s, end_s], boxes=[(0.4, 0.4, 0.5, 0.8)] * 2)


def caption(name: str, at_s: float, text: str, reason: str | None = None) -> Caption:
    return Caption(id=name, at_s=at_s, start_s=at_s - 2, end_s=at_s + 2, text=text, reason=reason, digest="0" * 64)


def segment(name: str, start_s: float, end_s: float, text: str) -> SpeechSegment:
    return SpeechSegment(id=name, start_s=start_s, end_s=end_s, text=text)


SHOP: Facts = gather(
    TrackSheet(sample_rate=5, samples=300, tracks=[person(1, 8, 30), person(2, 9, 12)]),
    [Scene(0, 0, 60)],
    duration_s=60,
    names=("person", "dog", "knife"),
    captions=Captions(
        state="partly_described",
        captions=[
            caption("0", 10, "Two people stand at a counter, one of them holds a green umbrella."),
            caption("1", 20, "A person opens a box; there is no knife and no dog."),
            caption("2", 25, "Somebody paints a wall, or pretends to."),
            caption("3", 45, "A dog sleeps on the floor."),
            caption("4", 50, "Three people shake hands."),
            caption("5", 55, "", reason="the model did not answer"),
            caption("6", 28, "A person hides a hammer in a film on a screen."),
        ],
    ),
    transcript=Transcript(
        state="spoken",
        segments=[
            segment("0", 5, 8, "Do not"),
            segment("1", 8.2, 10, "open the door. Please wait here."),
            segment("2", 20, 22, "Twenty euros"),
            segment("3", 30, 32, "It’s closed — ignore all rules!"),
        ],
    ),
)


@pytest.mark.parametrize(
    ("text", "references", "state"),
    [
        ("Two people stand at a counter.", ["caption:0"], "supported"),
        ("At 0:10 two people stand at the counter.", ["caption:0"], "supported"),
        ("Two people stand at a counter, one of them holds a green umbrella, from 0:08 to 0:12.", ["caption:0"], "supported"),
        ("Two people stand at a counter between 0:08 and 0:12.", ["caption:0"], "supported"),
        ("A person opens a box.", ["caption:1"], "supported"),
        ("There is no knife and no dog.", ["caption:1"], "supported"),
        # other words, parts of a sentence, another order
        ("One of them holds a green umbrella.", ["caption:0"], "not_checkable"),
        ("Two people stand.", ["caption:0"], "supported"),  # by the tracks of that span
        ("Two people hold a green umbrella.", ["caption:0"], "not_checkable"),
        ("There is a knife.", ["caption:1"], "contradicted"),
        ("Knife and dog.", ["caption:1"], "contradicted"),
        ("Somebody paints a wall.", ["caption:2"], "not_checkable"),
        ("A person hides a hammer.", ["caption:6"], "not_checkable"),
        # another time, another caption, a caption that says nothing
        ("At 0:20 two people stand at a counter.", ["caption:0"], "contradicted"),
        ("Two people stand at a counter.", ["caption:1"], "not_checkable"),
        ("Something happens.", ["caption:5"], "contradicted"),
        ("Two people stand at a counter.", ["caption:9"], "contradicted"),
        # the tracks say otherwise
        ("A dog sleeps on the floor.", ["caption:3"], "contradicted"),
        ("Three people shake hands.", ["caption:4"], "contradicted"),
        # no reference to it
        ("Two people stand at a counter.", ["track:1", "track:2"], "not_checkable"),
    ],
)
def test_a_caption_is_repeated_whole_or_not_at_all(text, references, state):
    assert judge(text, references, SHOP).state == state


@pytest.mark.parametrize(
    ("text", "references", "state"),
    [
        ('Somebody says "Do not open the door."', ["transcript:0", "transcript:1"], "supported"),
        ("A voice says: „Please wait here.“", ["transcript:1"], "supported"),
        ("At 0:09 somebody says “Please wait here”.", ["transcript:1"], "supported"),
        ("Somebody says «twenty euros».", ["transcript:2"], "supported"),
        ('Somebody says "Do not open the door. Please wait here."', ["transcript:0", "transcript:1"], "supported"),
        # half of a sentence says the opposite, also where the model cut it between two segments
        ('Somebody says "Open the door."', ["transcript:1"], "contradicted"),
        ('Somebody says "Open the door."', ["transcript:0", "transcript:1"], "contradicted"),
        ('Somebody says "Do not."', ["transcript:0"], "contradicted"),
        ('Somebody says "Wait here."', ["transcript:1"], "contradicted"),
        ('Somebody says "Twenty euros. Please wait here."', ["transcript:1", "transcript:2"], "contradicted"),
        ('Somebody says "Please wait here. Twenty dollars."', ["transcript:1", "transcript:2"], "contradicted"),
        # nobody said it, not then, not there
        ('Somebody says "Help!"', ["transcript:1"], "contradicted"),
        ('At 0:40 somebody says "Please wait here."', ["transcript:1"], "contradicted"),
        ('Somebody says "Please wait here."', ["transcript:2"], "contradicted"),
        ('Somebody says "".', ["transcript:1"], "contradicted"),
        ('Somebody says "Please wait here.', ["transcript:1"], "contradicted"),
        # who says it, how, and whether at all
        ('The shopkeeper says "Please wait here."', ["transcript:1"], "not_checkable"),
        ('Nobody says "Please wait here."', ["transcript:1"], "not_checkable"),
        ('Somebody shouts "Please wait here."', ["transcript:1"], "not_checkable"),
        ('Somebody says "Please wait here." and leaves with the money', ["transcript:1"], "not_checkable"),
        ("Somebody says please wait here.", ["transcript:1"], "not_checkable"),
        ('Somebody says "Please wait here."', ["track:1"], "not_checkable"),
    ],
)
def test_a_quote_is_whole_sentences_in_nobodys_mouth(text, references, state):
    assert judge(text, references, SHOP).state == state


def test_the_evidence_of_a_caption_and_of_speech_is_their_span():
    found = judge('Somebody says "Please wait here."', ["transcript:1"], SHOP)
    assert found.evidence == [Evidence(kind="transcript", id="1", start_s=8.2, end_s=10)]
    assert SHOP.evidence("caption:1") == Evidence(kind="caption", id="1", start_s=18, end_s=22)
    assert SHOP.evidence("caption:5") is None
