"""The table of docs/backfills.md, row by row: what the plan names, what a backfill executes on real footage, and what Dagster calls stale meanwhile."""

from dataclasses import dataclass, field

import pytest
import tiny_models
from backfilling import deeds, work_off
from changes import recording, rules, settings
from graphs import states
from sentence_models import tiny_model
from staleness import FRESH, observe, stale

from video_platform import model_registry
from video_platform.layout import (
    ALERTS,
    CAPTIONS,
    DESCRIBED_ALERTS,
    DETECTIONS,
    HIGHLIGHTS,
    LLM_SUMMARY,
    PROCESSED_VIDEO,
    SCENES,
    SEARCH_INDEX,
    SECOND_LOOK,
    TRACKS,
    TRANSCRIPT,
)
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.pipeline.made import read_manifest
from video_platform.planning_causes import Cause
from video_platform.services import model_downloads
from video_platform.services.database import backfills, ledger, outbox, search
from video_platform.services.database.backfills import ItemState, State
from video_platform.settings import SearchSettings


@dataclass(frozen=True)
class Row:
    """One row: what is changed, which cause that is, what the plan names, what is executed, and what Dagster names stale before.

    Where content stays the same the wave stops: `made` is then less than `planned`.
    """

    cause: Cause
    planned: tuple[str, ...]
    made: frozenset[str]
    stale: dict[str, list[str]]
    change: object = field(compare=False, default=None)


def detector(graph):
    """One entry in a file of the user's, fetched, and named by the setting: a D-FINE of random weights, whose scores all lie near one half."""
    home = graph.settings.home
    registry = tiny_models.register(home.parent / "mine.yaml", "tiny-dfine", tiny_models.dfine(home.parent / "tiny-dfine"))
    settings("models", registry=registry)(graph)
    known = model_registry.of(graph.settings)
    model_downloads.pull(graph.settings, known, known.entries["tiny-dfine"])
    settings("detection", model="tiny-dfine")(graph)


def accurate_scenes(graph):
    """The accurate mode, with a network that was set by hand, from an entry of the user's; it too finds one scene in the sample."""
    home = graph.settings.home
    folder = tiny_models.transnet(home.parent / "by-colours")
    registry = tiny_models.register(home.parent / "mine.yaml", "by-colours", folder, **tiny_models.transnet_entry(folder))
    settings("models", registry=registry)(graph)
    known = model_registry.of(graph.settings)
    model_downloads.pull(graph.settings, known, known.entries["by-colours"])
    settings("scenes", mode="accurate", model="by-colours")(graph)


ROWS = [
    pytest.param(Row(Cause.RULES, (ALERTS, HIGHLIGHTS), frozenset({ALERTS, HIGHLIGHTS}), {ALERTS: ["rules"]}, rules), id="rules"),
    pytest.param(
        Row(
            Cause.TRACKER,
            (TRACKS, ALERTS, HIGHLIGHTS, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX),
            frozenset({TRACKS, ALERTS, HIGHLIGHTS}),
            FRESH,
            settings("tracking", min_score=0.62),
        ),
        id="tracker",
    ),
    pytest.param(
        Row(
            Cause.DETECTOR,
            (DETECTIONS, TRACKS, ALERTS, HIGHLIGHTS, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX),
            frozenset({DETECTIONS, TRACKS}),
            {DETECTIONS: ["detector"]},
            settings("detection", store_score=0.3),
        ),
        id="detector",
    ),
    pytest.param(
        Row(
            Cause.DETECTOR,
            (DETECTIONS, TRACKS, ALERTS, HIGHLIGHTS, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX),
            frozenset({DETECTIONS, TRACKS, ALERTS, HIGHLIGHTS}),
            {DETECTIONS: ["detector"]},
            detector,
        ),
        id="detector model",
        marks=pytest.mark.models,
    ),
    pytest.param(
        Row(Cause.PROXY, (PROCESSED_VIDEO, HIGHLIGHTS), frozenset({PROCESSED_VIDEO, HIGHLIGHTS}), FRESH, settings("proxy", height=360, remux=False)),
        id="proxy",
    ),
    pytest.param(
        Row(Cause.SCENES, (SCENES, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX), frozenset({SCENES}), FRESH, settings("scenes", threshold=0.5)),
        id="scenes",
    ),
    pytest.param(Row(Cause.RECORDING, (ALERTS, HIGHLIGHTS), frozenset({ALERTS, HIGHLIGHTS}), FRESH, recording), id="recording"),
    pytest.param(Row(Cause.REELS, (HIGHLIGHTS,), frozenset({HIGHLIGHTS}), FRESH, settings("reels", max_s=12.0)), id="reels"),
    pytest.param(
        Row(Cause.SCENES, (SCENES, CAPTIONS, DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX), frozenset({SCENES}), FRESH, accurate_scenes),
        id="scene mode",
        marks=pytest.mark.models,
    ),
]


@pytest.mark.parametrize("row", ROWS)
def test_a_backfill_makes_what_the_table_says_and_nothing_else(processed, row):
    graph, video_id = processed
    observe(graph)
    with graph.platform() as platform:
        alerts = {alert.id for alert in ledger.page(platform.db, video_id=video_id)[0]}
    row.change(graph)
    observe(graph)
    assert stale(graph, video_id) == row.stale
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert [each.cause for each in plan.causes] == [row.cause]
        assert plan.causes[0].assets == dict.fromkeys(row.planned, 1)
        assert plan.causes[0].seconds > 0
        started = deeds(platform).start_backfill(row.cause)
    done, runs = work_off(graph)
    assert {asset for (asset, _), state in done.items() if state == "made"} == row.made
    assert {asset for asset, _ in done} <= {*row.planned, ALERTS}  # before clips are cut anew, their alerts are looked at
    assert runs == 1
    if LLM_SUMMARY in row.planned and {TRACKS, ALERTS} <= row.made:  # the tracks became others, not only new
        assert_summary_follows(graph, video_id)
    assert stale(graph, video_id) == FRESH
    with graph.platform() as platform:
        after = backfills.get(platform.db, started.id)
        assert (after.state, after.counts[ItemState.DONE]) == (State.DONE, 1)
        (item,) = backfills.listed(platform.db, started.id)
        assert set(item.made) == row.made
        assert item.spent_s > 0
        assert not deeds(platform).plan().causes
        if row.cause is Cause.RECORDING:
            assert {alert.id for alert in ledger.page(platform.db, video_id=video_id)[0]} == alerts


def assert_summary_follows(graph, video_id):
    """Changed tracks announce themselves, and the run that this event asks for writes the summary and makes it findable."""
    with graph.platform() as platform:
        assert outbox.newest_event(platform.db, video_id, "processed-videos")
        assert deeds(platform).plan().cause(Cause.UNFINISHED).assets == {CAPTIONS: 1, LLM_SUMMARY: 1, SEARCH_INDEX: 1}
    assert states(graph.run(video_id, job=DESCRIBE_VIDEO)) == {
        SECOND_LOOK: "reused",
        TRANSCRIPT: "reused",
        CAPTIONS: "made",
        DESCRIBED_ALERTS: "reused",
        LLM_SUMMARY: "made",
        SEARCH_INDEX: "made",
    }


def test_what_an_earlier_version_processed_becomes_findable_by_a_backfill(processed):
    graph, video_id = processed
    with graph.platform() as platform:
        platform.store.delete_prefix(f"videos/{video_id}/search_index/")
        with platform.db.write() as connection:
            search.forget(connection, video_id)
        plan = deeds(platform).plan()
        assert {each.cause: each.assets for each in plan.causes} == {Cause.UNFINISHED: {SEARCH_INDEX: 1}}
        deeds(platform).start_backfill(Cause.UNFINISHED)
    assert work_off(graph) == ({(SEARCH_INDEX, video_id): "made"}, 1)
    with graph.platform() as platform:
        assert search.indexed(platform.db) == {video_id}
        assert deeds(platform).plan().causes == []


def test_a_sentence_model_that_comes_or_goes_makes_only_what_search_finds(processed, tmp_path):
    graph, video_id = processed
    graph.settings = graph.settings.model_copy(update={"search": SearchSettings(model=tiny_model(tmp_path / "model"))})
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert {each.cause: each.assets for each in plan.causes} == {Cause.SEARCH: {SEARCH_INDEX: 1}}
        deeds(platform).start_backfill(Cause.SEARCH)
    assert work_off(graph) == ({(SEARCH_INDEX, video_id): "made"}, 1)
    with graph.platform() as platform:
        assert search.state(platform.db, video_id).model


def test_a_sentence_model_that_is_broken_costs_nothing_but_meaning_and_is_tried_again(processed, tmp_path):
    graph, video_id = processed
    model = tiny_model(tmp_path / "model")
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[:-100])
    broken = {"search": SearchSettings(model=model)}
    assert states(graph.run(video_id, [SEARCH_INDEX], **broken)) == {SEARCH_INDEX: "made"}
    with graph.platform() as platform:
        assert "cannot be used" in read_manifest(platform.store, video_id, SEARCH_INDEX).degraded
        found = search.state(platform.db, video_id)
        assert (found.model, found.passages > 0) == (None, True)
    (model / "model.safetensors").write_bytes(weights)
    assert states(graph.run(video_id, [SEARCH_INDEX], **broken)) == {SEARCH_INDEX: "made"}
    with graph.platform() as platform:
        assert read_manifest(platform.store, video_id, SEARCH_INDEX).degraded is None
        assert search.state(platform.db, video_id).model


def test_a_speech_model_that_is_switched_off_makes_only_transcripts_where_nothing_is_said(processed):
    """The sample has no sound, so its transcript says the same as before and the wave stops there; test_transcript.py has a video in which somebody speaks."""
    graph, video_id = processed
    settings("speech", model="none")(graph)
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert {each.cause: each.assets for each in plan.causes} == {Cause.SPEECH: {TRANSCRIPT: 1, DESCRIBED_ALERTS: 1, LLM_SUMMARY: 1, SEARCH_INDEX: 1}}
        deeds(platform).start_backfill(Cause.SPEECH)
    assert work_off(graph) == (
        {(TRANSCRIPT, video_id): "made", **{(asset, video_id): "reused" for asset in (DESCRIBED_ALERTS, LLM_SUMMARY, SEARCH_INDEX)}},
        1,
    )
    with graph.platform() as platform:
        assert deeds(platform).plan().causes == []


def test_nothing_changed_nothing_is_planned_or_asked_for(processed):
    graph, _ = processed
    with graph.platform() as platform:
        plan = deeds(platform).plan()
        assert (plan.causes, plan.videos, plan.current, plan.seconds) == ([], 1, 1, 0)
    assert work_off(graph) == ({}, 0)


def test_what_was_made_again_meanwhile_is_not_even_launched(processed):
    graph, video_id = processed
    rules(graph)
    with graph.platform() as platform:
        started = deeds(platform).start_backfill(Cause.RULES)
    graph.run(video_id)
    assert work_off(graph) == ({}, 0)
    with graph.platform() as platform:
        assert backfills.get(platform.db, started.id).counts[ItemState.REUSED] == 1
