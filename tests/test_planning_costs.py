"""What a run takes beside its steps: measured where there are runs, estimated and said so where there are none."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterRunStatus, EventLogEntry

from video_platform.catalog_dagster import DagsterCatalog
from video_platform.layout import ALERTS, DETECTIONS, HIGHLIGHTS, LLM_SUMMARY, PROCESSED_VIDEO, RAW_VIDEO, SCENES, TRACKS
from video_platform.pipeline.instance import open_instance, prepare_instance
from video_platform.planning_costs import ESTIMATED_RUN_S, RunCost, run_cost, seconds_of
from video_platform.records import Cost, Manifest, Verdict
from video_platform.settings import Settings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def made(run_id, minute, **seconds):
    """Manifests of what one run made: asset=seconds."""
    same = {"video_id": "0" * 16, "files": [], "fingerprint": "f", "content_hash": "c", "code_version": "1", "verdict": Verdict(passed=True, checks={})}
    at = NOW + timedelta(minutes=minute)
    return {asset: Manifest(**same, asset=asset, cost=Cost(wall_s=each), run_id=run_id, created_at=at) for asset, each in seconds.items()}


WHOLE = {RAW_VIDEO: 1.0, PROCESSED_VIDEO: 10.0, DETECTIONS: 10.0, SCENES: 10.0, TRACKS: 2.0, ALERTS: 1.0, HIGHLIGHTS: 1.0}
"""Fifteen seconds: three of the results are of one pass."""


def test_what_a_run_held_its_slot_for_beside_its_steps_is_its_cost():
    videos = [made(f"run-{number}", 0, **WHOLE) for number in range(3)]
    held = {"run-0": 17.0, "run-1": 16.0, "run-2": 30.0}
    assert run_cost(videos, lambda runs: {each: held[each] for each in runs}, "default") == RunCost(2.0, 3)


def test_a_summary_has_a_run_of_its_own_or_shares_one():
    apart = made("one", 0, **WHOLE) | made("two", 1, **{LLM_SUMMARY: 3.0})
    assert run_cost([apart], lambda _: {"one": 16.0, "two": 5.0}, "default") == RunCost(1.5, 2)
    together = made("one", 0, **WHOLE, **{LLM_SUMMARY: 3.0})
    assert run_cost([together], lambda _: {"one": 20.0}, "default") == RunCost(2.0, 1)


def test_only_runs_of_which_all_results_are_still_there_are_measured():
    asked = []
    again = made("first", 0, **WHOLE) | made("second", 1, **{TRACKS: 2.0, ALERTS: 1.0})
    assert run_cost([again], lambda runs: asked.extend(runs) or {"second": 4.0}, "default") == RunCost(1.0, 1)
    assert asked == ["second"]


@pytest.mark.parametrize("launcher", ["default", "warm", "docker"])
@pytest.mark.parametrize(
    "manifests",
    [[], [made(None, 0, **WHOLE)], [made("forgotten", 0, **WHOLE)], [made("of many", 0, **{ALERTS: 1.0, HIGHLIGHTS: 2.0})]],
    ids=["no video", "no run", "run forgotten", "run of many videos"],
)
def test_without_a_run_to_measure_by_it_is_an_estimate_and_says_so(manifests, launcher):
    found = run_cost(manifests, lambda _: {}, launcher)
    assert found == RunCost(ESTIMATED_RUN_S[launcher], 0)


def test_a_run_that_was_shorter_than_its_steps_say_costs_nothing():
    assert run_cost([made("one", 0, **WHOLE)], lambda _: {"one": 14.0}, "default") == RunCost(0.0, 1)


def test_the_pass_counts_once_and_runs_where_they_are_needed():
    assert seconds_of(list(WHOLE), WHOLE, {}, 3.0) == 18.0
    assert seconds_of([*WHOLE, LLM_SUMMARY], {**WHOLE, LLM_SUMMARY: None}, {LLM_SUMMARY: 4.0}, 3.0) == 25.0
    assert seconds_of([ALERTS, HIGHLIGHTS], WHOLE, {}, 3.0) == 2.0


@dg.job
def nothing():
    pass


def test_a_run_holds_its_slot_from_the_queue_to_its_end(tmp_path):
    settings = Settings(home=tmp_path)
    prepare_instance(settings)
    began = datetime.now(UTC).timestamp()

    def happen(instance, run, type_, after_s):
        event = DagsterEvent(type_.value, run.job_name, message="")
        instance.handle_new_event(EventLogEntry(None, 20, "", run.run_id, began + after_s, dagster_event=event, job_name=run.job_name))

    with open_instance(settings) as instance:
        queued, here, failed = (instance.create_run_for_job(nothing, status=DagsterRunStatus.NOT_STARTED) for _ in range(3))
        for run in (queued, failed):
            happen(instance, run, DagsterEventType.PIPELINE_STARTING, 1.0)
        for run in (queued, here, failed):
            happen(instance, run, DagsterEventType.PIPELINE_START, 4.0)
        for run in (queued, here):
            happen(instance, run, DagsterEventType.PIPELINE_SUCCESS, 9.5)
        happen(instance, failed, DagsterEventType.PIPELINE_FAILURE, 9.5)
    catalog = DagsterCatalog(settings.dagster_home)
    try:
        found = catalog.held_s([queued.run_id, here.run_id, failed.run_id, "00000000-0000-0000-0000-000000000000"])
    finally:
        catalog.close()
    assert found == {queued.run_id: pytest.approx(8.5, abs=0.01)}, "one that `vp process` made waited for no slot, one that failed is no measure"


def test_a_home_without_dagster_knows_no_run(tmp_path):
    assert DagsterCatalog(tmp_path).held_s(["x"]) == {}
