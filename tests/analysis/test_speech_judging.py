"""Which text of a speech model is kept, which is not, and what is said instead."""

from dataclasses import replace

import pytest

from video_platform.analysis.speech_judging import Heard, judge
from video_platform.records import SpeechSegment, SpokenWord


def segment(text: str, start_s: float = 0.0, probability: float = 0.9) -> SpeechSegment:
    words = [SpokenWord(text=word, start_s=start_s + number, end_s=start_s + number + 0.8, probability=probability) for number, word in enumerate(text.split())]
    return SpeechSegment(id="", text=text, start_s=start_s, end_s=words[-1].end_s, words=words)


CLEAR = Heard(4.0, -0.4, 1.4, [segment("there is a fire upstairs please help")])
HESITANT = Heard(7.0, -0.9, 1.2, [segment("later wolf and lidi for your name and so on", probability=0.46)])
UNLIKELY = Heard(7.0, -1.2, 1.2, [segment("later wolf and lidi for your name and so on")])
IN_CIRCLES = Heard(10.0, -0.2, 9.0, [segment("i am the only one " * 4)])
WORDLESS = Heard(8.0, -0.3, 0.6, [segment("you")])
SPEECHLESS = Heard(8.0, float("-inf"), 0.0)


def test_without_voice_nobody_speaks():
    judged = judge([], "en")
    assert (judged.transcript.state, judged.transcript.segments, judged.transcript.language) == ("no_speech", [], None)


def test_what_was_understood_is_kept_with_its_language_and_numbered():
    judged = judge([CLEAR, replace(CLEAR, segments=[segment("bring water", 20.0), segment("run now", 23.0)], voice_s=2.0)], "en")
    assert judged.transcript.state == "spoken"
    assert [each.id for each in judged.transcript.segments] == ["0", "1", "2"]
    assert (judged.transcript.language, judged.transcript.language_probability) == ("en", None)  # a model of one language cannot say how sure it is of it
    assert judged.notes == []


@pytest.mark.parametrize("heard", [HESITANT, UNLIKELY, IN_CIRCLES, WORDLESS, SPEECHLESS], ids=["hesitant", "unlikely", "in circles", "wordless", "speechless"])
def test_what_was_not_understood_is_said_to_be_so_and_none_of_its_text_is_kept(heard):
    transcript = judge([heard], "en").transcript
    assert transcript.state == "unknown_language"
    assert transcript.segments == []
    assert transcript.language is None
    assert "the model knows English only" in (transcript.reason or "")
    assert f"{heard.voice_s:.1f} s" in (transcript.reason or "")


def test_of_a_single_sentence_more_is_asked():
    """Of a few words the mean is a matter of chance: a German sentence had 0.655. A model that tells the language need not guess it by that."""
    sentence = Heard(2.0, -0.66, 0.9, [segment("be it a roof and leave it for your mail", probability=0.655)])
    assert judge([sentence], "en").transcript.state == "unknown_language"
    assert judge([replace(sentence, voice_s=9.0)], "en").transcript.state == "spoken"
    assert judge([replace(sentence, segments=[segment("a fox creeps along the wall", probability=0.68)])], "en").transcript.state == "spoken"
    assert judge([replace(sentence, language="de", language_probability=0.9)], None).transcript.state == "spoken"


def test_a_sentence_that_was_not_understood_among_others_is_left_out_and_told_of():
    judged = judge([CLEAR, replace(HESITANT, voice_s=1.5), CLEAR], "en")
    assert judged.transcript.state == "spoken"
    assert len(judged.transcript.segments) == 2
    assert judged.notes == ["1.5 of 9.5 s of speech could not be understood and are not in the transcript"]
    assert judged.transcript.reason == judged.notes[0]


def test_what_seems_to_be_understood_of_a_foreign_speech_is_not_kept():
    judged = judge([HESITANT, replace(CLEAR, voice_s=2.0), IN_CIRCLES], "en")
    assert judged.transcript.state == "unknown_language"
    assert judged.transcript.segments == []


def test_a_model_of_many_languages_says_which_one_it_hears():
    german = replace(CLEAR, language="de", language_probability=0.9)
    judged = judge([german, replace(german, language_probability=0.8), replace(CLEAR, voice_s=1.0, language="en", language_probability=0.6)], None)
    assert (judged.transcript.language, judged.transcript.language_probability) == ("de", 0.85)


def test_a_language_that_a_model_of_many_cannot_tell_is_unknown():
    transcript = judge([replace(CLEAR, language="haw", language_probability=0.2)], None).transcript
    assert transcript.state == "unknown_language"
    assert "does not understand it" in (transcript.reason or "")
