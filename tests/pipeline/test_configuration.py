"""What Dagster itself says is stale: rules, detector and prompts are source assets, and each result names the versions that it was made from."""

import logging
import sys

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_graphql.schema import create_schema
from fake_ollama import FakeOllama
from graphs import apply, made
from staleness import FRESH, observe, stale

from video_platform import local_run
from video_platform.definitions import build
from video_platform.layout import ALERTS, CAPTIONS, DETECTIONS, LLM_SUMMARY, PROCESSED_VIDEO, SCENES, SEARCH_INDEX, SECOND_LOOK, TRACKS
from video_platform.pipeline import configured
from video_platform.pipeline.configured import DETECTOR, PROMPTS, RULES, SECOND_LOOKER, VISION
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.resources import Workplace
from video_platform.settings import DetectionSettings, LanguageModelSettings, Settings

SET = """
version: 1
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.95]}
rules:
  - {name: crossing, when: {crosses: path, class: person}, cooldown: %s, severity: %s}
"""


@pytest.fixture
def observing(processed):
    """`(graph, video_id)` of a processed home whose configuration was observed."""
    graph, video_id = processed
    assert observe(graph) == set(configured.ALL)
    return graph, video_id


def test_what_was_just_made_is_fresh(observing):
    graph, video_id = observing
    assert stale(graph, video_id) == FRESH
    assert observe(graph) == set()


def test_an_applied_rule_makes_alerts_stale_until_they_are_made_again(observing):
    graph, video_id = observing
    apply(graph, SET % ("0s", "warning"))
    assert observe(graph) == {RULES}
    assert stale(graph, video_id) == {ALERTS: [RULES]}
    assert ALERTS in made(graph.run(video_id, [ALERTS]))
    assert stale(graph, video_id) == {"highlights": [ALERTS]}  # what Dagster shows is what a fingerprint would make again
    graph.run(video_id)
    assert stale(graph, video_id) == FRESH


def test_comments_order_severity_and_channels_make_nothing_stale(observing):
    graph, video_id = observing
    apply(graph, SET % ("0s", "warning"))
    graph.run(video_id)
    observe(graph)
    apply(graph, "# a comment\nchannels: {ops: {url_env: OPS_URL}}\nzones: {unused: {polygon: [[0, 0], [1, 0], [1, 1]]}}\n" + SET % ("0s", "critical"))
    assert observe(graph) == set()
    assert stale(graph, video_id) == FRESH


def test_a_rule_of_another_camera_is_stale_for_dagster_and_reused_by_the_fingerprint(observing):
    """Dagster knows one version of all rules; the fingerprint knows which of them judge this camera, and has the last word."""
    graph, video_id = observing
    apply(graph, "version: 1\nrules:\n  - {name: person, when: {appears: person}}\n  - {name: dog, when: {appears: dog}, cameras: ['gate-*']}\n")
    observe(graph)
    assert stale(graph, video_id) == {ALERTS: [RULES]}
    assert made(graph.run(video_id)) == set()
    assert stale(graph, video_id) == FRESH


def test_a_detector_setting_makes_detections_stale_and_neither_copy_nor_scenes(observing):
    graph, video_id = observing
    graph.settings = graph.settings.model_copy(update={"detection": DetectionSettings(store_score=0.3)})
    assert observe(graph) == {DETECTOR}
    assert stale(graph, video_id) == {DETECTIONS: [DETECTOR]}
    result = graph.run(video_id, [PROCESSED_VIDEO, DETECTIONS, SCENES])
    assert made(result) == {DETECTIONS}
    assert stale(graph, video_id) == {TRACKS: [DETECTIONS]}


def test_rules_applied_just_before_a_run_are_what_its_alerts_name(observing):
    """The run began while the version before was the one that was observed last; nobody may see its alerts as stale once the new one is observed."""
    graph, video_id = observing
    apply(graph, SET % ("0s", "warning"))
    graph.run(video_id)
    assert observe(graph) == {RULES}
    assert stale(graph, video_id) == FRESH


def test_vp_process_observes_and_what_it_made_is_fresh(processed, caplog):
    graph, video_id = processed
    apply(graph, SET % ("0s", "warning"))
    with caplog.at_level(logging.WARNING):
        outcome = local_run.process(graph.settings, video_id)
    assert outcome.success
    assert stale(graph, video_id) == FRESH
    with open_instance(graph.settings) as instance:
        entries = instance.all_logs(outcome.run_id)
        assert [entry.user_message for entry in entries if entry.level >= logging.WARNING] == []
        for asset, source in {ALERTS: RULES, DETECTIONS: DETECTOR, LLM_SUMMARY: PROMPTS, CAPTIONS: VISION, SECOND_LOOK: SECOND_LOOKER}.items():
            tags = instance.get_latest_materialization_event(dg.AssetKey(asset)).asset_materialization.tags
            seen = instance.fetch_observations(dg.AssetKey(source), limit=1).records[0].asset_observation
            assert tags[f"dagster/input_data_version/{source}"] == seen.tags["dagster/data_version"]
            assert int(tags[f"dagster/input_event_pointer/{source}"])
    assert caplog.records == []
    assert local_run.process(graph.settings, video_id).success
    assert observe(graph) == set()
    with open_instance(graph.settings) as instance:
        assert len(instance.fetch_observations(dg.AssetKey(RULES), limit=10).records) == 1


def test_the_button_observes_all_of_them(processed):
    graph, video_id = processed
    workplace = Workplace(graph.settings)
    job = build(workplace).resolve_implicit_global_asset_job_def()
    with open_instance(graph.settings) as instance:
        result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(asset) for asset in configured.ALL])
        assert {event.asset_key.path[-1] for event in result.get_asset_observation_events()} == set(configured.ALL)
        facts = instance.fetch_observations(dg.AssetKey(DETECTOR), limit=1).records[0].asset_observation.metadata
        assert facts["model"].value == graph.settings.detection.model
    workplace.close()
    assert observe(graph) == set()
    assert stale(graph, video_id) == FRESH


ASKED = """query($asset: AssetKeyInput!, $partition: String!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
  staleStatus(partition: $partition) staleCauses(partition: $partition) { key { path } category reason dependency { path } } } } }"""
"""What Dagster's page of one partition asks (ui-core/src/assets/AssetPartitionDetail.tsx)."""


def test_the_page_of_a_partition_names_the_cause(observing):
    graph, video_id = observing
    apply(graph, SET % ("0s", "warning"))
    observe(graph)
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="video_platform.definitions")

    def asked(asset):
        given = {"asset": {"path": [asset]}, "partition": video_id}
        answer = create_schema().execute(ASKED, variables=given, context_value=workspace.create_request_context())
        assert answer.errors is None
        return answer.data["assetNodeOrError"]

    load = InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(target))
    with open_instance(graph.settings) as instance, WorkspaceProcessContext(instance, load) as workspace:
        cause = {"key": {"path": [RULES]}, "category": "DATA", "reason": "has a new data version", "dependency": None}
        assert asked(ALERTS) == {"staleStatus": "STALE", "staleCauses": [cause]}
        assert asked(LLM_SUMMARY) == {"staleStatus": "FRESH", "staleCauses": []}


def speaking(graph, **values):
    graph.settings = graph.settings.model_copy(update={"language_model": LanguageModelSettings(**values)})


def test_a_model_that_appears_makes_summaries_stale_and_nothing_else(observing):
    graph, video_id = observing
    with FakeOllama() as server:
        speaking(graph, host=server.address)
        assert observe(graph) == {PROMPTS}
        assert stale(graph, video_id) == {LLM_SUMMARY: [PROMPTS]}
        assert made(graph.run(video_id)) == {LLM_SUMMARY, SEARCH_INDEX}
        assert stale(graph, video_id) == FRESH
        server.models["llama3:latest"] = "0" * 64  # pulled again, other weights
        assert observe(graph) == {PROMPTS}
        assert stale(graph, video_id) == {LLM_SUMMARY: [PROMPTS]}


def test_a_stand_in_for_a_demanded_model_is_stale_and_not_observed(observing):
    graph, video_id = observing
    with FakeOllama() as server:
        speaking(graph, host=server.address, engine="ollama")
        assert observe(graph) == {PROMPTS}
    graph.run(video_id, [LLM_SUMMARY, SEARCH_INDEX])
    assert observe(graph) == set()
    assert stale(graph, video_id) == {LLM_SUMMARY: [PROMPTS]}


def test_a_button_that_cannot_look_says_why(tmp_path):
    settings = Settings(home=tmp_path / "home", language_model=LanguageModelSettings(engine="ollama", host="127.0.0.1:9"))
    workplace = Workplace(settings)
    job = build(workplace).resolve_implicit_global_asset_job_def()
    with open_instance(settings) as instance:
        result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(PROMPTS)], raise_on_error=False)
        assert not result.success
        failure = next(event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure)
        assert "no Ollama answers at http://127.0.0.1:9" in failure.description
    workplace.close()
