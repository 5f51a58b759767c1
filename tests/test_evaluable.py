from pathlib import Path

import pytest
from fake_ollama import MODEL, FakeOllama
from fake_openai import MODEL as SERVED
from fake_openai import FakeOpenAI

from video_platform import evaluable, rules
from video_platform.errors import RulesError
from video_platform.settings import LanguageModelSettings, Settings, SpeechSettings

DESCRIBED = (
    'version: 1\nrules:\n  - {name: drone, when: {sees: "a drone"}}\n  - {name: call, when: {says: fire}}\n  - {name: person, when: {appears: person}}\n'
)
SEER = "seer:latest"


@pytest.fixture
def server():
    with FakeOllama(models={MODEL: "3" * 64, SEER: "5" * 64}, capabilities={SEER: ["completion", "vision"]}) as running:
        yield running


def lacking(tmp_path, **language_model):
    settings = Settings(home=tmp_path, language_model=LanguageModelSettings(**language_model))
    return evaluable.why_not(settings, rules.parse(DESCRIBED))


def test_without_a_vision_model_it_says_what_to_get_and_set(tmp_path):
    reason = lacking(tmp_path)["drone"]
    assert "no vision model is named" in reason
    assert "ollama pull qwen3-vl:4b" in reason
    assert "VIDEO_PLATFORM_LANGUAGE_MODEL__VISION_MODEL=qwen3-vl:4b" in reason


def test_a_model_that_only_reads_text_does_not_do(tmp_path, server):
    reason = lacking(tmp_path, host=server.address, vision_model=MODEL)["drone"]
    assert f"{MODEL} of Ollama" in reason
    assert "has no vision" in reason
    assert "VISION_MODEL=qwen3-vl:4b" in reason


def test_a_model_that_was_not_pulled_is_named_with_its_command(tmp_path, server):
    assert "ollama pull llava" in lacking(tmp_path, host=server.address, vision_model="llava")["drone"]


def test_with_a_model_that_sees_it_can_be_evaluated(tmp_path, server):
    found = lacking(tmp_path, host=server.address, vision_model=SEER)
    assert "drone" not in found
    assert "person" not in found


def test_a_model_that_is_away_for_now_is_asked_later(tmp_path):
    with FakeOllama() as gone:
        address = gone.address
    assert "drone" not in lacking(tmp_path, host=address, vision_model=SEER)


def test_without_a_model_of_speech_it_says_what_to_install(tmp_path):
    assert "vp models pull whisper-tiny.en" in lacking(tmp_path)["call"]


def test_where_nobody_is_to_listen_it_says_which_setting_wants_that(tmp_path):
    settings = Settings(home=tmp_path, speech=SpeechSettings(model="none"))
    assert "VIDEO_PLATFORM_SPEECH__MODEL=none" in evaluable.why_not(settings, rules.parse(DESCRIBED))["call"]


def test_a_server_of_another_kind_answers_questions_too(tmp_path):
    with FakeOpenAI() as server:
        assert "drone" not in lacking(tmp_path, engine="openai_compatible", host=server.address, vision_model=SERVED)


def test_rules_of_tracks_ask_nobody(tmp_path):
    plain = rules.parse("version: 1\nrules: [{name: person, when: {appears: person}}]")
    assert evaluable.why_not(Settings(home=tmp_path), plain) == {}


def problem_of(name, settings):
    with pytest.raises(RulesError) as raised:
        rules.parse(f"version: 1\nrules: [{{name: r, when: {{appears: {name}}}}}]", classes=evaluable.classes(settings))
    return raised.value.problems[0].message


def test_a_class_that_the_detector_lacks_is_answered_with_what_would_find_it(tmp_path):
    text = problem_of("drone", Settings(home=tmp_path))
    assert "the detector has no class 'drone'" in text
    assert "owlv2-base" in text
    assert "vp models pull owlv2-base, then VIDEO_PLATFORM_DETECTION__MODEL=owlv2-base" in text
    assert "`sees: a drone`" in text
    assert "VIDEO_PLATFORM_LANGUAGE_MODEL__VISION_MODEL=qwen3-vl:4b" in text


def test_a_class_that_no_entry_knows_needs_an_entry(tmp_path):
    text = problem_of("lama", Settings(home=tmp_path))
    assert "task: open-vocabulary, source: model:owlv2-base" in text
    assert "classes: [lama]" in text
    assert "VIDEO_PLATFORM_MODELS__REGISTRY" in text


def test_the_advice_needs_no_file(tmp_path):
    assert not list(Path(tmp_path).iterdir())
    problem_of("drone", Settings(home=tmp_path / "home"))
    assert not (tmp_path / "home").exists()
