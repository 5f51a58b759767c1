import gzip
import time

import pytest
from fake_ollama import DIGEST, FakeOllama
from pydantic import SecretStr
from raw_server import answering

from scripts.services.certificates import Authority
from video_platform.errors import ModelReplyInvalid, ModelUnavailable
from video_platform.services import language_models, ollama
from video_platform.settings import LanguageModelSettings

PROMPT = [{"role": "system", "content": "s"}, {"role": "user", "content": "<facts>{}</facts>"}]
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}


@pytest.fixture(autouse=True)
def no_address_in_the_environment(monkeypatch):
    monkeypatch.delenv("OLLAMA_HOST", raising=False)


@pytest.fixture
def server():
    with FakeOllama(reply=lambda prompt: '{"title": "ok"}') as server:
        yield server


@pytest.fixture
def nobody():
    with FakeOllama() as server:
        return server.address


def settings(host: str, **more) -> LanguageModelSettings:
    return LanguageModelSettings(host=host, **more)


def model_of(server: FakeOllama, timeout_s: float = 20.0) -> ollama.OllamaModel:
    choice = ollama.choose(settings(server.address, timeout_s=timeout_s))
    assert choice.model is not None
    return choice.model


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("10.0.0.5", "http://10.0.0.5:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:99", "http://127.0.0.1:99"),
        ("[::1]", "http://[::1]:11434"),
        ("http://gpu", "http://gpu:80"),
        ("https://gpu/ollama/", "https://gpu:443/ollama"),
        ("gpu:1234", "http://gpu:1234"),
    ],
)
def test_an_address_is_read_as_ollama_reads_it(monkeypatch, given, address):
    assert ollama.address(settings(given)) == address
    if given:
        monkeypatch.setenv("OLLAMA_HOST", given)
        assert ollama.address(settings("")) == address


def test_what_was_found_is_said(server):
    assert (
        language_models.describe(settings(server.address)) == f"Ollama 0.32.15 at {server.address} with llama3:latest: llama3 ({DIGEST[:12]}) writes summaries"
    )


def test_a_missing_model_is_said_with_the_command_that_gets_it(server):
    text = language_models.describe(settings(server.address, model="qwen3"))
    assert "has no model qwen3; get it with: ollama pull qwen3 (it has llama3:latest)" in text
    assert "template" in text


def test_nobody_there_is_said_quickly(nobody):
    started = time.monotonic()
    assert f"no Ollama answers at {nobody}" in language_models.describe(settings(nobody))
    assert time.monotonic() - started < 3


ENDLESS = {
    "a header": (b"HTTP/1.1 200 OK\r\nx-a: ", b"a"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the head of a chunk": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;", b"a"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_that_never_comes_to_its_point_holds_nobody_up(kind):
    with answering(*ENDLESS[kind]) as address:
        started = time.monotonic()
        assert f"no Ollama answers at {address}" in language_models.describe(settings(address))
        assert time.monotonic() - started < 2 * ollama.LOOK_S
        started = time.monotonic()
        with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.5 s"):
            ollama.OllamaModel(address, "llama3", DIGEST, timeout_s=0.5).chat(PROMPT, schema=SCHEMA)
        assert time.monotonic() - started < 5


def test_an_answer_that_is_packed_is_not_unpacked():
    packed = gzip.compress(b'{"version": "1"}')
    with answering(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s" % (len(packed), packed)) as address:
        assert "(ModelUnavailable)" in language_models.describe(settings(address))


@pytest.mark.parametrize("host", ["http://127.0.0.1:notaport", "http://[", "127.0.0.1:99999999", "http://exa\x01mple", "http://☃."])
def test_an_address_that_cannot_be_read_is_said(host):
    assert "template" in language_models.describe(settings(host))


def test_another_program_on_the_port_is_not_taken_for_ollama(server):
    server.behave("other_protocol")
    assert "no Ollama answers" in language_models.describe(settings(server.address))


def test_the_template_needs_no_look():
    assert language_models.describe(LanguageModelSettings(engine="template")) == "summaries are written by the template, as the settings say"
    assert ollama.choose(LanguageModelSettings(engine="template")) == ollama.Choice(None, "chosen in the settings", degraded=False)


@pytest.mark.parametrize(("engine", "degraded"), [("auto", False), ("ollama", True)])
def test_only_a_model_that_was_demanded_is_missed(nobody, engine, degraded):
    choice = ollama.choose(settings(nobody, engine=engine))
    assert (choice.model, choice.degraded) == (None, degraded)
    assert "no Ollama answers" in (choice.reason or "")


def test_an_answer_comes_with_its_tokens_and_the_question_had_its_bounds(server):
    assert model_of(server).chat(PROMPT, schema=SCHEMA) == ('{"title": "ok"}', 150)
    (request,) = server.requests
    assert request["model"] == "llama3"
    assert request["format"] == SCHEMA
    assert request["options"] == ollama.OPTIONS
    assert model_of(server).digest == DIGEST


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("busy", "is busy"),
        ("gone", "get it with: ollama pull llama3"),
        ("cut", "went away|in the middle of its answer"),
        ("not_json", "does not speak Ollama's protocol"),
        ("other_protocol", "does not speak Ollama's protocol"),
        ("error_line", "refused .*error was encountered"),
        ("huge", "did not answer within .* bytes"),
        ("redirect", "refused|protocol"),
    ],
)
def test_misbehaviour_is_an_unavailable_model(server, behaviour, says):
    model = model_of(server)
    server.behave(behaviour)
    with pytest.raises(ModelUnavailable, match=says) as caught:
        model.chat(PROMPT, schema=SCHEMA)
    assert type(caught.value) is ModelUnavailable
    assert len(server.requests) == 1


@pytest.mark.parametrize("behaviour", ["slow", "trickle"])
def test_a_deadline_holds_for_the_whole_answer(server, behaviour):
    model = model_of(server, timeout_s=0.5)
    server.behave(behaviour)
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.5 s"):
        model.chat(PROMPT, schema=SCHEMA)
    assert time.monotonic() - started < 5


def test_an_answer_cut_at_its_length_is_invalid(server):
    model = model_of(server)
    server.behave("length")
    with pytest.raises(ModelReplyInvalid, match="did not finish within 1024 tokens"):
        model.chat(PROMPT, schema=SCHEMA)


def test_a_server_that_went_away_is_unavailable(server):
    model = model_of(server)
    with FakeOllama() as other:
        model = ollama.OllamaModel(other.address, "llama3", DIGEST, timeout_s=5)
    with pytest.raises(ModelUnavailable, match="went away"):
        model.chat(PROMPT, schema=SCHEMA)


def test_pictures_are_bytes_and_no_file_is_ever_read(server, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    model = model_of(server)
    with pytest.raises(TypeError, match="given as bytes"):
        model.chat(PROMPT, schema=SCHEMA, images=[str(secret)])  # type: ignore[list-item]
    model.chat(PROMPT, schema=SCHEMA, images=[b"picture"])
    assert [each["messages"][-1]["images"] for each in server.requests] == [["cGljdHVyZQ=="]]


def test_a_proxy_from_the_environment_is_not_used(server, nobody, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", nobody)
    monkeypatch.setenv("ALL_PROXY", nobody)
    assert model_of(server).chat(PROMPT, schema=SCHEMA)[0] == '{"title": "ok"}'


@pytest.mark.parametrize("digest", [DIGEST, DIGEST[:12], f"sha256:{DIGEST[:20].upper()}"])
def test_the_pinned_weights_write(server, digest):
    assert ollama.choose(settings(server.address, digest=digest)).model is not None


@pytest.mark.parametrize(("engine", "degraded"), [("auto", False), ("ollama", True)])
def test_other_weights_than_the_pinned_ones_do_not_write(server, engine, degraded):
    choice = ollama.choose(settings(server.address, engine=engine, digest="0" * 64))
    assert (choice.model, choice.degraded) == (None, degraded)
    assert f"is {DIGEST[:12]}, and VIDEO_PLATFORM_LANGUAGE_MODEL__DIGEST allows 000000000000 only" in (choice.reason or "")


@pytest.mark.parametrize("digest", ["", "365c", "latest", "g" * 12, "0" * 65])
def test_what_is_no_digest_is_refused(digest):
    if digest:
        with pytest.raises(ValueError, match="12 hex digits"):
            settings("", digest=digest)
    else:
        assert settings("", digest=digest).digest == ""


def test_the_token_is_shown_and_a_missing_one_is_said(server):
    server.token = "secret-token"
    assert ollama.choose(settings(server.address, token=SecretStr("secret-token"))).model is not None
    for told in ({}, {"token": SecretStr("wrong-canary")}):
        choice = ollama.choose(settings(server.address, **told))
        assert "refuses this platform (401): look at VIDEO_PLATFORM_LANGUAGE_MODEL__TOKEN" in (choice.reason or "")
        assert "canary" not in repr(choice)


def test_a_key_for_another_server_is_never_sent(server, monkeypatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "cloud-key")
    model_of(server).chat(PROMPT, schema=SCHEMA)
    assert server.authorizations
    assert set(server.authorizations) == {None}


def test_a_token_does_not_travel_readable(server):
    choice = ollama.choose(settings("http://192.0.2.1:11434", token=SecretStr("secret-token")))
    assert "would travel readable" in (choice.reason or "")


def test_a_redirect_is_not_followed_with_the_token(server):
    server.behave("redirect")
    choice = ollama.choose(settings(server.address, token=SecretStr("secret-token")))
    assert "leads elsewhere (307), which is not followed" in (choice.reason or "")
    assert len(server.authorizations) == 1


def test_a_remote_server_with_tls(tmp_path):
    authority = Authority(tmp_path / "ca")
    with FakeOllama(token="secret-token", certificate=authority.sign("model"), reply=lambda prompt: '{"title": "ok"}') as server:
        told = {"token": SecretStr("secret-token"), "ca_file": authority.certificate}
        model = ollama.choose(settings(server.address, **told)).model
        assert model is not None
        assert model.chat(PROMPT, schema=SCHEMA)[0] == '{"title": "ok"}'
        for host, ca_file in ((server.address, None), (server.address.replace("127.0.0.1", "localhost"), authority.certificate)):
            choice = ollama.choose(settings(host, token=SecretStr("secret-token"), ca_file=ca_file))
            assert "its certificate is not trusted" in (choice.reason or "")
            assert "VIDEO_PLATFORM_LANGUAGE_MODEL__CA_FILE" in (choice.reason or "")
        missing = ollama.choose(settings(server.address, ca_file=tmp_path / "missing.pem"))
        assert "VIDEO_PLATFORM_LANGUAGE_MODEL__CA_FILE=" in (missing.reason or "")


class TestWhatModelsCanDo:
    def test_a_model_that_is_not_pulled_comes_with_the_command(self, server):
        state = ollama.writer(settings(server.address, model="qwen3"))
        assert not state.ok
        assert "has no model qwen3" in state.found
        assert state.advice.startswith("ollama pull qwen3")

    @pytest.mark.parametrize(("engine", "missed"), [("auto", False), ("ollama", True)])
    def test_a_server_that_is_away_is_missed_only_when_it_was_demanded(self, nobody, engine, missed):
        state = ollama.writer(settings(nobody, engine=engine))
        assert f"no Ollama answers at {nobody}" in state.found
        assert (state.ok, "ollama serve" in state.advice) == (not missed, missed)
        assert missed or "vp models pull llama3" in state.advice, "who misses nothing is told all the same how there would be more"

    def test_without_a_vision_model_nothing_is_asked(self, nobody):
        assert ollama.seer(settings(nobody)) is None

    def test_the_template_needs_no_eyes(self, nobody):
        assert ollama.seer(settings(nobody, engine="template", vision_model="llava")) == ollama.State(
            True, "llava is not asked: VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE is template"
        )

    @pytest.mark.parametrize(
        ("capabilities", "ok", "says"),
        [
            (["completion", "vision"], True, "can be shown pictures"),
            (["completion", "tools"], False, "has no vision"),
            ([], False, "has no vision"),
            (None, False, "does not tell what llava can do"),
        ],
    )
    def test_vision_is_asked_for(self, capabilities, ok, says):
        with FakeOllama(models={"llava": DIGEST}, capabilities={"llava": capabilities}) as server:
            state = ollama.seer(settings(server.address, vision_model="llava"))
        assert (state.ok, says in state.found, bool(state.advice)) == (ok, True, not ok)

    def test_a_vision_model_that_is_not_pulled_comes_with_the_command(self, server):
        state = ollama.seer(settings(server.address, vision_model="llava"))
        assert (state.ok, state.advice) == (False, "ollama pull llava")

    def test_a_vision_model_of_nobody(self, nobody):
        state = ollama.seer(settings(nobody, vision_model="llava"))
        assert not state.ok
        assert f"no Ollama answers at {nobody}" in state.found

    @pytest.mark.timeout(30)
    def test_an_endless_answer_to_that_is_not_read(self):
        with FakeOllama(models={"llava": DIGEST}, capabilities={"llava": ["x" * (5 * 1024 * 1024)]}) as server:
            state = ollama.seer(settings(server.address, vision_model="llava"))
        assert not state.ok
        assert "does not tell what llava can do (ModelUnavailable)" in state.found
