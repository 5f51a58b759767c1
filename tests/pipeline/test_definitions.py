import subprocess
import sys

import dagster as dg

from video_platform.definitions import defs
from video_platform.layout import (
    ALERTS,
    ASSETS,
    CAPTIONS,
    DAILY_DIGEST,
    DESCRIBED_ALERTS,
    DETECTIONS,
    HIGHLIGHTS,
    LLM_SUMMARY,
    RAW_VIDEO,
    SCENES,
    SEARCH_INDEX,
    SECOND_LOOK,
    TRACKS,
    TRANSCRIPT,
)
from video_platform.pipeline import configured
from video_platform.pipeline.assets.daily_digest import FOOTAGE
from video_platform.pipeline.configured import DESCRIBED_RULES, DETECTOR, PROMPTS, RULES, SECOND_LOOKER, VISION
from video_platform.pipeline.jobs import DESCRIBE_VIDEO, PROCESS_AND_DESCRIBE, PROCESS_VIDEO

HEAVY = ["torch", "cv2", "av", "onnxruntime", "transformers", "kafka", "boto3", "dagster_aws", "streamlit"]
HEAVY += ["numpy", "pyarrow", "scipy", "minio", "ollama", "trackers", "supervision"]  # not forbidden, but every process would pay for them


def test_importing_definitions_imports_nothing_heavy():
    code = f"import sys, video_platform.definitions; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_asset_of_the_layout_is_there_and_has_its_check():
    graph = defs.resolve_asset_graph()
    assert {key.path[-1] for key in graph.materializable_asset_keys} == {*ASSETS, DAILY_DIGEST}
    assert {key.asset_key.path[-1] for key in graph.asset_check_keys} == set(ASSETS)
    names = {key.path[-1]: graph.get(key).partitions_def.name for key in graph.materializable_asset_keys}
    assert names == {**dict.fromkeys(ASSETS, "videos"), DAILY_DIGEST: "days"}
    assert all(graph.get(key).code_version for key in graph.materializable_asset_keys)


def test_what_is_configured_can_be_observed_and_is_never_made():
    graph = defs.resolve_asset_graph()
    assert {key.path[-1] for key in graph.observable_asset_keys} == set(configured.ALL)
    told = {dg.AssetKey(FOOTAGE)}  # by the sensor of digests, day by day
    assert graph.get_all_asset_keys() == graph.materializable_asset_keys | graph.observable_asset_keys | told
    assert not any(graph.get(key).is_partitioned for key in graph.observable_asset_keys)
    assert {graph.get(key).group_name for key in graph.observable_asset_keys} == {"configuration"}


def test_each_source_asset_is_behind_what_it_decides_and_nothing_else():
    graph = defs.resolve_asset_graph()
    children = {asset: {key.path[-1] for key in graph.get(dg.AssetKey(asset)).child_keys} for asset in configured.ALL}
    of_rules = {RULES: {ALERTS}, DESCRIBED_RULES: {DESCRIBED_ALERTS}}
    assert children == {**of_rules, DETECTOR: {DETECTIONS}, PROMPTS: {LLM_SUMMARY}, VISION: {CAPTIONS}, SECOND_LOOKER: {SECOND_LOOK}}


def test_the_summary_is_made_from_what_was_followed_seen_and_said_and_never_from_alerts():
    graph = defs.resolve_asset_graph()

    def upstream(asset):
        return {key.path[-1] for key in graph.get(dg.AssetKey(asset)).parent_keys}

    assert upstream(LLM_SUMMARY) == {TRACKS, SCENES, CAPTIONS, TRANSCRIPT, PROMPTS}
    assert upstream(ALERTS) == {TRACKS, RAW_VIDEO, RULES}
    assert LLM_SUMMARY not in upstream(HIGHLIGHTS)
    assert upstream(CAPTIONS) == {RAW_VIDEO, TRACKS, SCENES, VISION}
    assert upstream(TRANSCRIPT) == {RAW_VIDEO}
    assert upstream(DESCRIBED_ALERTS) == {RAW_VIDEO, TRACKS, SCENES, TRANSCRIPT, DESCRIBED_RULES}
    assert upstream(SECOND_LOOK) == {RAW_VIDEO, TRACKS, SECOND_LOOKER}  # it reads alerts, and is no reason to call it stale where it is switched off
    assert upstream(SEARCH_INDEX) == {LLM_SUMMARY, TRACKS, CAPTIONS, TRANSCRIPT}


def test_a_code_server_can_load_everything():
    defs.get_repository_def().load_all_definitions()


def test_jobs_select_what_their_names_say():
    process = defs.resolve_job_def(PROCESS_VIDEO)
    in_words = {SECOND_LOOK, TRANSCRIPT, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX}
    assert {key.path[-1] for key in process.asset_layer.selected_asset_keys} == set(ASSETS) - in_words
    both = defs.resolve_job_def(PROCESS_AND_DESCRIBE)
    assert {key.path[-1] for key in both.asset_layer.selected_asset_keys} == set(ASSETS)
    describe = defs.resolve_job_def(DESCRIBE_VIDEO)
    assert {key.path[-1] for key in describe.asset_layer.selected_asset_keys} == in_words
    assert {process.executor_def.name, describe.executor_def.name, defs.resolve_implicit_global_asset_job_def().executor_def.name} == {"in_process"}


def test_sensors_run_by_default():
    sensors = {sensor.name: sensor for sensor in defs.sensors}
    outcomes = {"run_outcomes_failed", "run_outcomes_cancelled"}
    asking = {"video_events", "processed_videos", "inbox_uploads", "backfills", "backfill_batches", "digests"}
    assert set(sensors) == {*asking, *outcomes, "configuration", "reconcile", "upkeep"}
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in sensors.values())
