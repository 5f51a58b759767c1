"""A model behind an OpenAI-compatible server, over real HTTP: asked with a schema, bounded in every direction, never led elsewhere."""

import base64
import time

import pytest
from fake_openai import MODEL, FakeOpenAI
from pydantic import SecretStr, ValidationError

from scripts.services.certificates import Authority
from video_platform.analysis import summary
from video_platform.analysis.summary_facts import gather
from video_platform.errors import ModelReplyInvalid, ModelUnavailable
from video_platform.records import Scene, TrackLine, TrackSheet
from video_platform.services import language_models, openai_compatible
from video_platform.services.openai_compatible import OpenAICompatibleModel
from video_platform.settings import LanguageModelSettings

PROMPT = [{"role": "system", "content": "s"}, {"role": "user", "content": "look"}]
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40)


@pytest.fixture
def server():
    with FakeOpenAI(reply=lambda prompt: '{"title": "ok"}') as server:
        yield server


def settings(host: str, **more) -> LanguageModelSettings:
    return LanguageModelSettings.model_validate({"engine": "openai_compatible", "host": host, "model": MODEL, **more})


def model_of(server: FakeOpenAI, **more) -> OpenAICompatibleModel:
    choice = language_models.choose(settings(server.address, **more))
    assert isinstance(choice.model, OpenAICompatibleModel)
    return choice.model


def test_a_question_carries_its_schema_and_nothing_else_of_ours(server):
    assert model_of(server).chat(PROMPT, schema=SCHEMA) == ('{"title": "ok"}', 150)
    (body,) = server.requests
    assert (body["model"], body["messages"], body["temperature"], body["seed"]) == (MODEL, PROMPT, 0.0, 1)
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
    assert body["max_tokens"] == 1024
    assert server.asked == ["/v1/models", "/v1/chat/completions"]


def test_pictures_go_out_as_data_urls(server):
    model_of(server).chat(PROMPT, schema=SCHEMA, images=[PNG, JPEG])
    assert server.requests[0]["messages"][1]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()}},
    ]
    assert server.requests[0]["messages"][0] == PROMPT[0]


@pytest.mark.parametrize("image", ["/etc/passwd", b"GIF89a", b"http://canary/x.png"])
def test_nothing_but_bytes_of_a_picture_is_sent(server, image):
    with pytest.raises(TypeError, match="JPEG or PNG"):
        model_of(server).chat(PROMPT, schema=SCHEMA, images=[image])
    assert server.requests == []


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("busy", "is busy"),
        ("limited", "is busy"),
        ("gone", f"has no model {MODEL} any more"),
        ("bad_request", "refused (400)"),
        ("cut", "went away"),
        ("not_json", "does not speak OpenAI's protocol"),
        ("huge", "did not answer within"),
        ("redirect", "leads elsewhere (307), which is not followed"),
    ],
)
def test_a_server_that_misbehaves_is_named_in_words(server, behaviour, said):
    model = model_of(server)
    server.behaviour = behaviour
    with pytest.raises(ModelUnavailable) as error:
        model.chat(PROMPT, schema=SCHEMA)
    assert said in error.value.message
    assert not [path for path in server.asked if "elsewhere" in path]


@pytest.mark.parametrize("behaviour", ["slow", "trickle"])
def test_an_answer_has_a_deadline_however_it_trickles(server, behaviour):
    model = model_of(server, timeout_s=0.5)
    server.behaviour = behaviour
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"within 0\.5 s"):
        model.chat(PROMPT, schema=SCHEMA)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(("behaviour", "said"), [("length", "did not finish"), ("refusal", "gave no answer"), ("no_choice", "gave no answer")])
def test_half_an_answer_is_none(server, behaviour, said):
    model = model_of(server)
    server.behaviour = behaviour
    with pytest.raises(ModelReplyInvalid, match=said):
        model.chat(PROMPT, schema=SCHEMA)


def test_the_token_is_shown_to_an_encrypted_server_that_is_trusted(tmp_path):
    authority = Authority(tmp_path)
    with FakeOpenAI(token="secret-token", certificate=authority.sign("model"), reply=lambda prompt: "{}") as server:
        given = settings(server.address, token=SecretStr("secret-token"), ca_file=authority.certificate)
        choice = language_models.choose(given)
        assert choice.model is not None
        assert choice.model.chat(PROMPT, schema=SCHEMA) == ("{}", 150)
        for wrong in (settings(server.address, ca_file=authority.certificate), settings(server.address, token=SecretStr("x"), ca_file=authority.certificate)):
            assert "refuses this platform (401)" in str(language_models.choose(wrong).reason)
        assert "was not spoken to" in str(language_models.choose(settings(server.address)).reason)


def test_a_token_never_travels_readable():
    choice = language_models.choose(settings("http://models.example:8000/v1", token=SecretStr("secret-token")))
    assert choice.model is None
    assert "would travel readable" in str(choice.reason)
    assert "secret-token" not in str(choice.reason)


def test_what_is_not_there_is_said_with_what_to_do(server):
    state = language_models.writer(settings(server.address, model="llama3"))
    assert not state.ok
    assert state.found == f"what answers at {server.address} serves no model llama3 (it has {MODEL}): until then summaries are written by the template"
    assert "MODEL" in state.advice
    choice = language_models.choose(settings(server.address, model="llama3"))
    assert (choice.model, choice.degraded) == (None, True)


def test_what_is_there_is_said(server):
    assert language_models.describe(settings(server.address)).startswith(f"{MODEL} at {server.address} (OpenAI-compatible) writes summaries")
    assert language_models.seer(settings(server.address)) is None
    seer = language_models.seer(settings(server.address, vision_model=MODEL))
    assert seer is not None
    assert seer.ok
    other = language_models.seer(settings(server.address, vision_model="llava"))
    assert other is not None
    assert not other.ok


@pytest.mark.parametrize("behaviour", ["redirect"])
def test_a_look_is_not_led_elsewhere(server, behaviour):
    server.behaviour = behaviour
    assert "which is not followed" in str(language_models.choose(settings(server.address)).reason)
    assert server.asked == ["/v1/models"]


def test_nobody_there():
    with FakeOpenAI() as server:
        host = server.address
    choice = language_models.choose(settings(host))
    assert "no OpenAI-compatible server answers at" in str(choice.reason)
    assert choice.degraded


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("https://gpu.example/v1/", "https://gpu.example/v1"),
        ("https://gpu.example/api/openai", "https://gpu.example/api/openai"),
        ("http://[::1]:1234", "http://[::1]:1234/v1"),
    ],
)
def test_addresses(given, address):
    assert openai_compatible.address(settings(given)) == address


@pytest.mark.parametrize("given", ["ftp://x", "http://", "http://user:pass@x/v1", "http://x/v1?key=1", "http://x:99999/v1"])
def test_an_address_that_cannot_be_used_is_said(given):
    assert "the address of the language model cannot be used" in str(language_models.choose(settings(given)).reason)


@pytest.mark.parametrize("more", [{"host": ""}, {"host": "http://x", "digest": "0" * 12}])
def test_settings_that_do_not_go_together(more):
    with pytest.raises(ValidationError):
        LanguageModelSettings.model_validate({"engine": "openai_compatible", **more})


def test_it_writes_a_checked_summary():
    lines = [TrackLine(id=1, class_name="person", score=0.8, start_s=2, end_s=9, times_s=[2, 9], boxes=[(0.1, 0.4, 0.2, 0.8), (0.8, 0.4, 0.9, 0.8)])]
    facts = gather(TrackSheet(sample_rate=5, samples=50, tracks=lines), [Scene(0, 0, 10)], duration_s=10)
    with FakeOpenAI() as server:
        model = model_of(server)
        written = summary.write(facts, model)
    assert (written.degraded, written.tokens, written.summary.engine.name, written.summary.engine.model) == (None, 150, "openai_compatible", MODEL)
    assert {each.state for each in written.summary.sentences} == {"supported"}
    assert summary.configuration(model)["engine"] == "openai_compatible"
