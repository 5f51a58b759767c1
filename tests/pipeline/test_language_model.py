"""Summaries by a real Ollama over the wire, and what is left of them when it goes away: never an alert."""

import threading

import httpx
import pytest
from graphs import Graph, made, states
from services_fixtures import running_ollama, wait_for
from stack import embedded_only

from scripts.services.ollama import MODEL
from video_platform.analysis.summary import PROMPT_HASH
from video_platform.layout import ALERTS, ASSETS, LLM_SUMMARY, SEARCH_INDEX
from video_platform.pipeline.made import read_manifest
from video_platform.records import Summary, VideoState
from video_platform.services import ollama
from video_platform.services.database import ledger, videos
from video_platform.settings import LanguageModelSettings

pytestmark = [pytest.mark.ollama, pytest.mark.timeout(1800), embedded_only]

ANSWER_S = 900.0
"""A summary takes 10 s on two idle cores."""


def by(server, **more) -> LanguageModelSettings:
    return LanguageModelSettings.model_validate({"engine": "ollama", "host": server.address, "model": MODEL, "timeout_s": ANSWER_S, **more})


def stored(graph: Graph, video_id: str):
    """`(manifest, summary)`."""
    with graph.platform() as platform:
        manifest = read_manifest(platform.store, video_id, LLM_SUMMARY)
        return manifest, Summary.model_validate_json(platform.store.get_bytes(manifest.file("summary").key))


def alerts(graph: Graph, video_id: str):
    """The alerts of a video, with everything that is told of them."""
    with graph.platform() as platform:
        return ledger.page(platform.db, video_id=video_id)[0]


def test_a_video_is_described_by_a_real_model(processed, ollama_server):
    graph, video_id = processed
    before = alerts(graph, video_id)
    result = graph.run(video_id, language_model=by(ollama_server))
    assert result.success
    assert made(result) == {LLM_SUMMARY, SEARCH_INDEX}
    assert alerts(graph, video_id) == before
    manifest, summary = stored(graph, video_id)
    digest = ollama.look(by(ollama_server)).digest
    used = manifest.configuration
    assert (used["engine"], used["model"], used["digest"], used["prompt"]) == ("ollama", MODEL, digest, PROMPT_HASH)
    assert manifest.degraded is None
    assert manifest.cost.tokens > 500  # the facts of eight people, and an answer
    if summary.engine.name == "ollama":
        assert (summary.engine.digest, summary.engine.prompt_hash) == (digest, PROMPT_HASH)
    else:  # so small a model may say nothing that holds against the facts
        assert summary.engine.reason == f"nothing that {MODEL} wrote could be confirmed"
    assert states(graph.run(video_id, language_model=by(ollama_server))) == dict.fromkeys(ASSETS, "reused")


@pytest.mark.parametrize("engine", ["auto", "ollama"])
def test_a_server_killed_in_the_middle_of_its_answer_costs_the_words_and_nothing_else(processed, tmp_path, engine):
    graph, video_id = processed
    before = alerts(graph, video_id)
    with running_ollama(tmp_path / "ollama") as server:

        def kill() -> None:
            wait_for(lambda: httpx.get(f"http://{server.address}/api/ps", timeout=60).json()["models"], 300)
            server.stop(kill=True)

        killer = threading.Thread(target=kill)
        killer.start()
        result = graph.run(video_id, language_model=by(server, engine=engine))
        killer.join()
        assert not server.running()
        assert result.success
        assert made(result) == {LLM_SUMMARY, SEARCH_INDEX}
        assert alerts(graph, video_id) == before
        manifest, summary = stored(graph, video_id)
        assert summary.engine.name == "template"
        assert manifest.degraded == summary.engine.reason
        assert server.address in (manifest.degraded or "")
        with graph.platform() as platform:
            assert videos.get(platform.db, video_id).state is VideoState.READY
        away = graph.run(video_id, [ALERTS, LLM_SUMMARY], language_model=by(server, engine=engine))
        assert away.success
        assert states(away)[ALERTS] == "reused"
        assert (stored(graph, video_id)[0].degraded is None) == (engine == "auto")  # a full answer for who only asks when somebody is there
        server.start(ends_with_parent=True)
        back = graph.run(video_id, language_model=by(server, engine=engine))
        assert made(back) == {LLM_SUMMARY, SEARCH_INDEX}
        manifest, _ = stored(graph, video_id)
        assert manifest.degraded is None
        assert manifest.cost.tokens > 500
