"""What is made again after a change, counted by executed steps on real footage: the table of docs/architecture.md."""

import json
from datetime import UTC, datetime

import clips
import pytest
from graphs import apply, made, states

from video_platform import layout
from video_platform.analysis import tables
from video_platform.analysis.reel_words import cues_of
from video_platform.fingerprints import content_hash
from video_platform.layout import ALERTS, ASSETS, CAPTIONS, DETECTIONS, HIGHLIGHTS, LLM_SUMMARY, PROCESSED_VIDEO, RAW_VIDEO, SCENES, SEARCH_INDEX, TRACKS
from video_platform.pipeline.assets.one_pass import detections_content
from video_platform.pipeline.assets.tracks import tracks_content
from video_platform.pipeline.jobs import PROCESS_VIDEO
from video_platform.pipeline.made import read_manifest
from video_platform.records import VideoState
from video_platform.services.database import ledger, rulesets, videos

RULES = """
version: 1
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.95]}
rules:
  - {name: person, when: {appears: person}, severity: %s}
  - {name: crossing, when: {crosses: path, class: person}, cooldown: %s}
"""


def test_the_first_run_makes_everything_and_the_video_is_ready(first_states, processed):
    assert first_states == dict.fromkeys(ASSETS, "made")
    graph, video_id = processed
    with graph.platform() as platform:
        record = videos.get(platform.db, video_id)
        assert record.state is VideoState.READY
        assert (record.width, record.height, record.duration_s) == (768, 576, 30.0)
        alerts, _ = ledger.page(platform.db, video_id=video_id)
        assert alerts
        assert all(alert.snapshot and alert.clip for alert in alerts)
        assert all(platform.store.stat(alert.snapshot).size_bytes and platform.store.stat(alert.clip).size_bytes for alert in alerts)


def test_nothing_changed_nothing_is_made(processed):
    graph, video_id = processed
    result = graph.run(video_id)
    assert states(result) == dict.fromkeys(ASSETS, "reused")
    with graph.platform() as platform:
        assert videos.get(platform.db, video_id).state is VideoState.READY


def changed(settings, group, **values):
    return {group: getattr(settings, group).model_copy(update=values)}


@pytest.mark.parametrize(
    ("group", "values", "expected"),
    [
        ("tracking", {"min_score": 0.62}, {TRACKS, ALERTS, HIGHLIGHTS, CAPTIONS, LLM_SUMMARY, SEARCH_INDEX}),
        ("reels", {"timelapse_max_s": 5.0}, {HIGHLIGHTS}),
        ("proxy", {"height": 360, "remux": False}, {PROCESSED_VIDEO, HIGHLIGHTS}),
        # scores between 0.2 and 0.3 never become tracks: the wave stops there
        ("detection", {"store_score": 0.3}, {DETECTIONS, TRACKS}),
        # one scene whatever the threshold: the wave stops at once
        ("scenes", {"threshold": 0.5}, {SCENES}),
    ],
)
def test_a_setting_makes_again_what_depends_on_it(processed, group, values, expected):
    graph, video_id = processed
    result = graph.run(video_id, **changed(graph.settings, group, **values))
    assert result.success
    assert made(result) == expected
    assert set(states(result)) == set(ASSETS)


def test_a_rule_makes_alerts_and_highlights_again(processed):
    graph, video_id = processed
    apply(graph, RULES % ("warning", "0s"))
    assert made(graph.run(video_id)) == {ALERTS, HIGHLIGHTS}


def test_a_rule_leaves_the_time_lapse_as_it_is(processed):
    """The stored one is known again by its key: it was put under another one, where nothing that is made anew could lie."""
    graph, video_id = processed
    with graph.platform() as platform:
        manifest = read_manifest(platform.store, video_id, HIGHLIGHTS)
        lapse = manifest.file("timelapse")
        moved = lapse.model_copy(update={"key": layout.file_key(video_id, HIGHLIGHTS, "0" * 64, "mp4")})
        platform.store.put_bytes(moved.key, platform.store.get_bytes(lapse.key), media_type="video/mp4")
        files = [moved if entry.role == "timelapse" else entry for entry in manifest.files]
        changed_one = manifest.model_copy(update={"files": files})
        platform.store.put_bytes(layout.manifest_key(video_id, HIGHLIGHTS), changed_one.model_dump_json().encode(), media_type="application/json")
    apply(graph, RULES % ("warning", "0s"))
    assert made(graph.run(video_id)) == {ALERTS, HIGHLIGHTS}
    with graph.platform() as platform:
        after = read_manifest(platform.store, video_id, HIGHLIGHTS)
        assert after.file("timelapse") == moved
        assert after.file("reel").sha256 != manifest.file("reel").sha256
        assert {name: after.facts[name] for name in ("timelapse_s", "speed")} == {name: manifest.facts[name] for name in ("timelapse_s", "speed")}
        pieces = json.loads(platform.store.get_bytes(after.file("pieces").key))
        titles = [cue.text for cue in cues_of(platform.store.get_bytes(after.file("chapters").key).decode())]
    assert any("crossing" in title for title in titles)
    assert [piece["title"] for piece in pieces] == titles
    assert pieces[-1]["end_s"] <= graph.settings.reels.max_s


def test_what_older_rules_judged_is_found_and_only_alerts_and_highlights_are_made_again(processed):
    graph, video_id = processed
    with graph.platform() as platform:
        assert rulesets.outdated(platform.db) == []
    apply(graph, RULES % ("warning", "0s"))
    with graph.platform() as platform:
        assert rulesets.outdated(platform.db) == [video_id]
    result = graph.run(video_id, job=PROCESS_VIDEO, tags={"vp/lane": "backfill"})
    assert made(result) == {ALERTS, HIGHLIGHTS}
    with graph.platform() as platform:
        assert rulesets.outdated(platform.db) == []


def test_a_cooldown_makes_alerts_again_but_severity_and_comments_do_not(processed):
    graph, video_id = processed
    apply(graph, RULES % ("warning", "0s"))
    graph.run(video_id)
    apply(graph, "# a comment\n" + RULES % ("critical", "0s"))
    assert made(graph.run(video_id)) == set()
    apply(graph, RULES % ("critical", "9s"))
    assert ALERTS in made(graph.run(video_id))


def test_a_corrected_camera_touches_alerts_and_what_it_is_written_on(processed):
    graph, video_id = processed
    with graph.platform() as platform:
        before, _ = ledger.page(platform.db, video_id=video_id)
        assert platform.ingest.correct(video_id, camera="gate", recorded_at=datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert made(graph.run(video_id)) == {ALERTS, HIGHLIGHTS}
    with graph.platform() as platform:
        after, _ = ledger.page(platform.db, video_id=video_id)
    assert {alert.id for alert in after} == {alert.id for alert in before}
    assert all(alert.camera == "gate" and alert.clip for alert in after)


def contents(graph, video_id):
    with graph.platform() as platform:
        return {asset: read_manifest(platform.store, video_id, asset).content_hash for asset in ASSETS}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"width": 7680}, {TRACKS, ALERTS}),  # positions are fractions, distances need the picture's shape
        ({"duration_s": 31.0}, {HIGHLIGHTS}),  # clips end with the footage
    ],
)
def test_what_a_step_reads_of_the_record_counts(processed, values, expected):
    graph, video_id = processed
    with graph.platform() as platform:
        videos.set_media(platform.db, video_id, **{"duration_s": 30.0, "width": 768, "height": 576, **values})
    steps = [TRACKS, ALERTS, HIGHLIGHTS, LLM_SUMMARY]
    assert expected <= made(graph.run(video_id, steps))
    handed_on = contents(graph, video_id)
    assert made(graph.run(video_id, steps, tags={"vp/force": "true"})) == set(steps)
    assert contents(graph, video_id) == handed_on


def test_the_best_guess_counts_where_nothing_is_tracked(graph, tmp_path):
    with graph.platform() as platform:
        video_id = platform.ingest.ingest_path(clips.make(tmp_path / "box.mp4", frames=40).path).video_id
    assert graph.run(video_id).success

    def guess():
        with graph.platform() as platform:
            manifest = read_manifest(platform.store, video_id, TRACKS)
            assert manifest.facts["tracks"] == 0
            return manifest.facts["best_guess"]

    before = guess()
    result = graph.run(video_id, **changed(graph.settings, "detection", second_scale=False))
    assert guess() != before
    assert made(result) == {DETECTIONS, TRACKS, ALERTS, HIGHLIGHTS, CAPTIONS, LLM_SUMMARY, SEARCH_INDEX}


def test_all_that_is_read_of_detections_and_tracks_is_their_content():
    boxes, found, looked_at = tables.no_detections(), tables.no_tracks(), tables.no_samples()
    guess = {"class": "tv", "score": 0.18, "at_s": 0.8}
    of_detections = [("person",), "aa", None], [("human",), "aa", None], [("person",), "bb", None], [("person",), "aa", guess]
    assert len({content_hash(detections_content(boxes, looked_at, *rest)) for rest in of_detections}) == 4
    of_tracks = [("person",), None], [("human",), None], [("person",), guess]
    assert len({content_hash(tracks_content(found, looked_at, *rest)) for rest in of_tracks}) == 3


def test_a_summary_names_what_its_tracks_were_made_with(processed):
    """A detector that is chosen now has no part in a summary of tracks that another one made."""
    graph, video_id = processed
    before = contents(graph, video_id)
    unheard_of = changed(graph.settings, "detection", model="unheard-of")
    assert made(graph.run(video_id, [LLM_SUMMARY], tags={"vp/force": "true"}, **unheard_of)) == {LLM_SUMMARY}
    assert contents(graph, video_id) == before


@pytest.mark.parametrize("how", [{"tags": {"vp/force": "true"}}, {"run_config": {"resources": {"desk": {"config": {"force": True}}}}}])
def test_force_makes_everything_and_raises_nothing_twice(processed, how):
    graph, video_id = processed
    with graph.platform() as platform:
        before, count = ledger.page(platform.db, video_id=video_id)
    assert made(graph.run(video_id, [RAW_VIDEO, TRACKS, ALERTS], **how)) == {RAW_VIDEO, TRACKS, ALERTS}
    with graph.platform() as platform:
        assert ledger.page(platform.db, video_id=video_id)[1] == count
        assert {alert.id for alert in ledger.page(platform.db, video_id=video_id)[0]} == {alert.id for alert in before}


def test_a_lost_object_is_made_again(processed):
    graph, video_id = processed
    with graph.platform() as platform:
        player = read_manifest(platform.store, video_id, TRACKS).file("player")
        platform.store.delete([player.key])
    assert made(graph.run(video_id)) == {TRACKS}
    with graph.platform() as platform:
        assert platform.store.stat(player.key).size_bytes == player.size_bytes


def test_a_subset_of_one_pass_makes_only_that(processed):
    graph, video_id = processed
    result = graph.run(video_id, [SCENES], tags={"vp/force": "true"})
    assert states(result) == {SCENES: "made"}


def test_alerts_of_one_partition_alone(processed):
    """What the button in Dagster's own pages does: no tag of ours on the run."""
    graph, video_id = processed
    apply(graph, RULES % ("warning", "0s"))
    result = graph.run(video_id, [ALERTS])
    assert states(result) == {ALERTS: "made"}
    with graph.platform() as platform:
        assert videos.get(platform.db, video_id).state is VideoState.READY


def test_the_manifest_says_what_it_was_made_from(processed):
    graph, video_id = processed
    with graph.platform() as platform:
        manifests = {asset: read_manifest(platform.store, video_id, asset) for asset in ASSETS}
    for asset, manifest in manifests.items():
        assert manifest.verdict.passed, asset
        assert manifest.run_id, asset
        assert all(manifests[source].content_hash == digest for source, digest in manifest.inputs.items()), asset
        for entry in manifest.files:
            assert entry.key.startswith(f"videos/{video_id}/{asset}/")
    assert manifests[DETECTIONS].configuration["digest"] == manifests[DETECTIONS].facts["model_sha256"]
    assert not (manifests[LLM_SUMMARY].inputs.keys() | manifests[SEARCH_INDEX].inputs.keys()) & {ALERTS, HIGHLIGHTS}


def test_events_stay_small(processed):
    graph, video_id = processed
    result = graph.run(video_id)
    for event in result.all_events:
        if event.is_step_materialization:
            metadata = event.step_materialization_data.materialization.metadata
            size = sum(len(name) + len(str(value.value)) for name, value in metadata.items())
            assert size <= 32 * 1024
