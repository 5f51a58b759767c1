"""Who is shown pictures, and why nobody is: said in words, and apart from a server that is only away."""

import pytest
from fake_ollama import DIGEST, FakeOllama

from video_platform.services import vision
from video_platform.settings import LanguageModelSettings

EYES = "eyes:1b"


@pytest.fixture(autouse=True)
def no_address_in_the_environment(monkeypatch):
    monkeypatch.delenv("OLLAMA_HOST", raising=False)


def choose(server, **more):
    return vision.choose(LanguageModelSettings.model_validate({"host": server.address, "vision_model": EYES, **more}))


def seeing(capabilities):
    return FakeOllama(models={EYES: DIGEST}, capabilities={EYES: capabilities})


def test_a_model_that_sees_is_asked_with_its_own_name_and_digest():
    with seeing(["completion", "vision"]) as server:
        eyes = choose(server, model="llama3", digest="f" * 64)  # the pinned weights are of the model that writes
        assert (eyes.name, eyes.lack, eyes.away) == (EYES, None, False)
        assert eyes.model is not None
        assert (eyes.model.name, eyes.model.digest) == (EYES, DIGEST)


@pytest.mark.parametrize(
    ("more", "capabilities", "lack", "says"),
    [
        ({"vision_model": ""}, ["vision"], "none_named", "no vision model is named; set for example VIDEO_PLATFORM_LANGUAGE_MODEL__VISION_MODEL="),
        ({"engine": "template"}, ["vision"], "not_wanted", "is not asked: VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE is template"),
        ({"vision_model": "other:1b"}, ["vision"], "not_there", "has no model other:1b; get it with: ollama pull other:1b"),
        ({}, ["completion"], "no_vision", "has no vision; name a model that has it"),
        ({}, None, "no_vision", "does not tell what eyes:1b can do"),
    ],
)
def test_what_is_lacking_is_named_with_what_to_do(more, capabilities, lack, says):
    with seeing(capabilities) as server:
        eyes = choose(server, **more)
    assert (eyes.model, eyes.lack, eyes.away) == (None, lack, False)
    assert says in eyes.reason


def test_a_server_that_does_not_answer_is_away():
    with seeing(["vision"]) as server:
        pass
    eyes = choose(server)
    assert (eyes.model, eyes.name, eyes.lack, eyes.away) == (None, EYES, "away", True)
    assert f"no Ollama answers at {server.address}" in eyes.reason
