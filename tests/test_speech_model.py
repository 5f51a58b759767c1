"""Which model listens, or why none does and what to do about it."""

import importlib.util

import pytest

from video_platform import recipes, speech_model
from video_platform.settings import Settings, SpeechSettings


def found(home, model=""):
    return speech_model.find(Settings(home=home, speech=SpeechSettings(model=model)))


def test_without_a_model_it_says_what_to_do(tmp_path):
    nobody = found(tmp_path)
    assert nobody.model is None
    assert not nobody.demanded
    assert "vp models pull whisper-tiny.en" in nobody.reason


def test_without_the_extra_it_names_the_extra(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "faster_whisper" else real(name, *rest))
    assert "pip install -c constraints.txt -e '.[speech]', then vp models pull whisper-tiny.en" in found(tmp_path).reason


def test_switched_off_is_a_wish(tmp_path):
    nobody = found(tmp_path, "none")
    assert (nobody.model, nobody.demanded) == (None, False)
    assert "VIDEO_PLATFORM_SPEECH__MODEL=none" in nobody.reason


@pytest.mark.parametrize("name", ["whisper-huge", "nanodet-g-int8"])
def test_a_name_that_no_speech_model_has_is_told_with_those_that_there_are(tmp_path, name):
    nobody = found(tmp_path, name)
    assert nobody.demanded
    assert name in nobody.reason
    assert "whisper-small, whisper-tiny.en" in nobody.reason


def test_a_model_that_is_named_and_not_here_is_demanded(tmp_path):
    assert found(tmp_path, "whisper-small").demanded


def test_who_listens_counts(tmp_path):
    off, none = (recipes.transcript(Settings(home=tmp_path, speech=SpeechSettings(model=model))) for model in ("none", ""))
    assert off != none
    assert none["model"] is None
