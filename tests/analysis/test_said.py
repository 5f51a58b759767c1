import random
import string

import pytest

from video_platform import rules
from video_platform.analysis import said
from video_platform.records import SpeechSegment, SpokenWord, Transcript


def rule(*words):
    listed = ", ".join(f'"{each}"' for each in words)
    return rules.parse(f"version: 1\nrules: [{{name: call, when: {{says: [{listed}]}}}}]").rules[0]


def utterance(number, start_s, text, *, step_s=0.5, probability=0.9):
    """An utterance whose words follow each other every `step_s`."""
    words = [
        SpokenWord(text=f" {word}", start_s=start_s + n * step_s, end_s=start_s + (n + 1) * step_s, probability=probability)
        for n, word in enumerate(text.split())
    ]
    return SpeechSegment(id=str(number), text=f" {text}", start_s=start_s, end_s=words[-1].end_s, words=words)


def spoken(*utterances):
    return Transcript(state="spoken", language="en", language_probability=1.0, segments=list(utterances))


def found(wanted, *texts, spans=None):
    """What is found in utterances that begin every ten seconds."""
    return said.hits(rule(*wanted), spoken(*(utterance(n, 10.0 * n, text) for n, text in enumerate(texts))), spans)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("fire", "There is a FIRE!"),
        ("fire", "Fire, fire."),
        ("help me", "please help me now"),
        ("hilfe", "HILFE!"),
        ("strasse", "auf der Straße"),
        ("cafe", "im Café"),
        ("café", "in the cafe"),
        ("don't", "we don't know"),
        ("火事", "これは火事です"),
        ("हिंदी", "यह हिंदी है"),
        ("ёлка", "наша елка"),
    ],
)
def test_case_accents_and_punctuation_do_not_count(wanted, text):
    assert len(found([wanted], text)) == 1


@pytest.mark.parametrize(
    ("wanted", "text"),
    [("fire", "by the fireplace"), ("fire", "a misfire"), ("help me", "help them, not me"), ("me help", "help me"), ("art", "party"), ("हि", "यह हिंदी है")],
)
def test_words_have_boundaries_and_phrases_an_order(wanted, text):
    assert found([wanted], text) == []


def test_an_episode_per_utterance_from_its_first_word_to_its_last():
    hits = found(["fire", "help"], "there is a fire please help", "nothing here", "help")
    assert [(hit.start_s, hit.end_s) for hit in hits] == [(1.5, 3.0), (20.0, 20.5)]
    assert hits[0].facts == {
        "said": ["fire", "help"],
        "segment": {"id": "0", "text": "there is a fire please help", "start_s": 0.0, "end_s": 3.0},
        "probability": 0.9,
    }


def test_a_phrase_goes_on_in_the_next_utterance_unless_a_pause_lies_between():
    near = spoken(utterance(0, 0.0, "please call the"), utterance(1, 3.0, "police now"))
    far = spoken(utterance(0, 0.0, "please call the"), utterance(1, 9.0, "police now"))
    (hit,) = said.hits(rule("call the police"), near, None)
    assert (hit.start_s, hit.end_s, hit.facts["segment"]["id"]) == (0.5, 3.5, "0")
    assert said.hits(rule("call the police"), far, None) == []


def test_what_begins_outside_the_schedule_does_not_count():
    assert [hit.start_s for hit in found(["fire"], "fire", "fire", "fire", spans=((5.0, 15.0),))] == [10.0]


def test_an_utterance_without_words_of_its_own_has_its_own_times():
    segment = SpeechSegment(id="7", text="Somebody shouts fire!", start_s=4.0, end_s=6.0)
    (hit,) = said.hits(rule("fire"), spoken(segment), None)
    assert (hit.start_s, hit.end_s) == (4.0, 6.0)
    assert "probability" not in hit.facts


def test_what_is_quoted_is_one_clean_bounded_line():
    segment = SpeechSegment(id="0", text="fire\n\u202e\x07 " + "x" * 5000, start_s=0.0, end_s=1.0)
    (hit,) = said.hits(rule("fire"), spoken(segment), None)
    text = hit.facts["segment"]["text"]
    assert len(text) <= said.MAX_QUOTED
    assert text.isprintable()


@pytest.mark.parametrize("letters", [string.printable + string.whitespace, "".join(map(chr, range(128)))])
def test_text_without_accents_has_the_same_words_in_the_fast_way(letters):
    """With one letter of another alphabet at its end, a text goes the long way."""
    text = "".join(random.Random(1).choices(letters, k=5000))
    assert said.tokens(text + " \u00fc") == [*said.tokens(text), "u"]
