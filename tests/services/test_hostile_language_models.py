"""Answers of servers that are no language models at all, or mean harm: whatever comes, it is a model that is not available, and nothing else."""

import json

import pytest
from raw_server import answering

from video_platform.errors import ModelUnavailable
from video_platform.services import model_pulls, ollama, openai_compatible
from video_platform.services.bounded_http import MAX_TOKENS
from video_platform.settings import LanguageModelSettings

DIGEST = "a" * 64
PROMPT = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object"}
MODELS = (ollama.OllamaModel, openai_compatible.OpenAICompatibleModel)
LOOKS = {ollama.OllamaModel: ("ollama", ollama), openai_compatible.OpenAICompatibleModel: ("openai_compatible", openai_compatible)}


def reply(body: str, *, status: str = "200 OK", media_type: str = "application/json") -> bytes:
    data = body.encode()
    return f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n".encode() + data


CODECS = ("hex", "zlib", "rot13", "idna", "undefined", "utf-999", "utf-16")
ANSWERS = {
    **{f"an error in {codec}": reply("zz", status="500 No", media_type=f"text/plain; charset={codec}") for codec in CODECS},
    **{f"an answer in {codec}": reply("zz\n", media_type=f"application/json; charset={codec}") for codec in CODECS},
    "brackets without an end": reply("[" * 200_000),
    "nothing": reply("null\n"),
    "a list": reply("[1]\n"),
    "a number": reply("1\n"),
    "half a letter": reply('{"choices":[{"message":{"content":"\\ud800"}}]}\n'),
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_answer_is_a_model_that_is_not_available(kind, answer):
    engine, module = LOOKS[kind]
    with answering(ANSWERS[answer]) as address:
        with pytest.raises(ModelUnavailable):
            kind(address, "llama3", DIGEST, timeout_s=10).chat(PROMPT, schema=SCHEMA)
        settings = LanguageModelSettings(engine=engine, host=address, model="llama3", vision_model="llama3")
        assert module.look(settings).problem
        assert not module.seer(settings).ok


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_progress_ends_a_pull_with_its_reason(answer):
    with answering(ANSWERS[answer]) as address, pytest.raises(ModelUnavailable):
        list(model_pulls._once(LanguageModelSettings(host=address), "llama3", insecure=False))


@pytest.mark.parametrize("kind", MODELS)
def test_what_a_server_says_may_be_printed(kind):
    with answering(reply("\x1b[2Jgone\u202e\0" * 100, status="500 No")) as address, pytest.raises(ModelUnavailable, match="gone") as caught:
        kind(address, "llama3", DIGEST, timeout_s=10).chat(PROMPT, schema=SCHEMA)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(("said", "counted"), [(-5, 0), (10**30, MAX_TOKENS), (7, 7)])
def test_tokens_are_a_number_that_can_be(said, counted):
    answer = {"choices": [{"message": {"content": "{}"}}], "usage": {"total_tokens": said}}
    line = {"model": "llama3", "message": {"role": "assistant", "content": "{}"}, "done": True, "eval_count": said}
    for kind, body in ((openai_compatible.OpenAICompatibleModel, answer), (ollama.OllamaModel, line)):
        with answering(reply(json.dumps(body) + "\n")) as address:
            assert kind(address, "llama3", DIGEST, timeout_s=10).chat(PROMPT, schema=SCHEMA) == ("{}", counted)
