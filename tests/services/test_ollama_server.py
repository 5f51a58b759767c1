"""A real Ollama: what it has, one answer over the wire, and a server that is stopped, killed or has no place left while it is asked."""

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from services_fixtures import running_ollama, wait_for

from scripts.services.ollama import MODEL, VERSION, OllamaServer
from video_platform.errors import ModelUnavailable
from video_platform.services import language_models, ollama
from video_platform.settings import LanguageModelSettings

pytestmark = [pytest.mark.ollama, pytest.mark.timeout(900)]

ANSWER_S = 600.0
"""A sentence takes seconds; the machine may be busy."""
ENDLESS = {"temperature": 0.0, "num_predict": 100_000}
PROMPT = [{"role": "user", "content": "Name one animal."}]
SCHEMA = {"type": "object", "properties": {"animal": {"type": "string", "maxLength": 20}}, "required": ["animal"]}
LONG = {"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string", "maxLength": 8}, "minItems": 500}}, "required": ["words"]}
"""A thousand tokens at least: half a minute, minutes on a busy machine."""


def settings(server: OllamaServer, **more) -> LanguageModelSettings:
    return LanguageModelSettings.model_validate({"engine": "ollama", "host": server.address, "model": MODEL, "timeout_s": ANSWER_S, **more})


def model_of(server: OllamaServer, **more) -> ollama.OllamaModel:
    choice = ollama.choose(settings(server, **more))
    assert choice.model is not None, choice.reason
    return choice.model


def is_loaded(server: OllamaServer) -> bool:
    """Whether it has taken the model into memory, as it does to answer."""
    return bool(httpx.get(f"http://{server.address}/api/ps", timeout=60).json()["models"])


@contextmanager
def stopped(server: OllamaServer) -> Iterator[None]:
    pid = int((server.folder / "ollama.pid").read_text().split()[0])
    os.killpg(pid, signal.SIGSTOP)  # with the engine that it started
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


def test_what_it_has_is_told(ollama_server):
    found = ollama.look(settings(ollama_server))
    assert (found.version, found.models, found.problem) == (VERSION, (MODEL,), None)
    assert f"Ollama {VERSION} at http://{ollama_server.address}" in language_models.describe(settings(ollama_server))


def test_a_model_that_was_not_pulled_comes_with_the_command(ollama_server):
    state = ollama.writer(settings(ollama_server, model="qwen3"))
    assert (state.ok, state.advice.startswith("ollama pull qwen3")) == (False, True)
    seer = ollama.seer(settings(ollama_server, vision_model="qwen3-vl:4b"))
    assert (seer.ok, seer.advice) == (False, "ollama pull qwen3-vl:4b")


def test_a_model_of_words_has_no_vision(ollama_server):
    state = ollama.seer(settings(ollama_server, vision_model=MODEL))
    assert not state.ok
    assert state.found == f"{MODEL} of Ollama {VERSION} at http://{ollama_server.address} has no vision"


def test_other_weights_than_those_of_the_settings_do_not_write(ollama_server):
    there = ollama.look(settings(ollama_server)).digest
    assert model_of(ollama_server, digest=there[:12]).digest == there
    assert ollama.choose(settings(ollama_server, digest="0" * 12)).model is None


def test_an_answer_has_the_form_that_was_asked_for(ollama_server):
    text, tokens = model_of(ollama_server).chat(PROMPT, schema=SCHEMA)
    assert isinstance(json.loads(text)["animal"], str)
    assert tokens > 5


def test_an_answer_that_does_not_come_in_time_is_no_answer(ollama_server):
    with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.5 s"):
        model_of(ollama_server, timeout_s=0.5).chat(PROMPT, schema=LONG)
    assert json.loads(model_of(ollama_server).chat(PROMPT, schema=SCHEMA)[0])  # nobody is left generating for a reader who went away


def test_a_server_that_hangs_is_said_within_seconds(ollama_server):
    model = model_of(ollama_server, timeout_s=2)
    with stopped(ollama_server):
        started = time.monotonic()
        assert "no Ollama answers" in language_models.describe(settings(ollama_server))
        with pytest.raises(ModelUnavailable, match="did not answer within 2 s"):
            model.chat(PROMPT, schema=SCHEMA)
        assert time.monotonic() - started < 30
    wait_for(lambda: ollama.look(settings(ollama_server)).version, 60)


def test_a_server_killed_in_the_middle_of_its_answer_is_said_and_used_again(tmp_path):
    with running_ollama(tmp_path / "ollama") as server:
        model, caught = model_of(server), []

        def ask() -> None:
            try:
                model.chat(PROMPT, schema=LONG)
            except ModelUnavailable as error:
                caught.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        wait_for(lambda: is_loaded(server), 120)
        server.stop(kill=True)
        asking.join(60)
        assert not asking.is_alive()
        assert [re.search("went away|in the middle of its answer", error.message) is not None for error in caught] == [True]
        server.start(ends_with_parent=True)
        assert json.loads(model.chat(PROMPT, schema=SCHEMA)[0])


def test_a_server_without_a_place_left_is_busy(tmp_path):
    """No queue: while a long answer is written and another waits to have the model loaded with other options, nobody who needs yet others is let in."""
    with running_ollama(tmp_path / "ollama", settings={"OLLAMA_MAX_QUEUE": "0", "OLLAMA_NUM_PARALLEL": "1"}) as server:

        def ask(context_tokens: int) -> None:
            question = {"model": MODEL, "messages": PROMPT, "format": LONG, "options": {**ENDLESS, "num_ctx": context_tokens}}
            with (
                contextlib.suppress(httpx.HTTPError),  # the server is killed in the end
                httpx.Client(timeout=ANSWER_S) as client,
                client.stream("POST", f"http://{server.address}/api/chat", json=question) as answer,
            ):
                for _ in answer.iter_lines():
                    pass

        first = threading.Thread(target=ask, args=(512,))
        first.start()
        wait_for(lambda: is_loaded(server), 120)
        second = threading.Thread(target=ask, args=(1024,))
        second.start()

        model = model_of(server, timeout_s=2)

        def refused() -> bool:
            try:
                model.chat(PROMPT, schema=SCHEMA)
            except ModelUnavailable as error:
                return "is busy" in error.message
            return False

        try:
            wait_for(refused, 120)
        finally:
            server.stop(kill=True)
            for each in (first, second):
                each.join(60)
