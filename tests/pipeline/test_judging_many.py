"""The run that judges many videos: what it leaves is what their own steps leave, whatever is wrong with one of them, and wherever it is killed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import clips
import pytest
from graphs import TESTS, Graph, apply, made, materialised
from staleness import FRESH, observe, stale

from video_platform import events
from video_platform.definitions import build
from video_platform.layout import ALERTS, HIGHLIGHTS, TRACKS
from video_platform.pipeline import judging
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.judging_many import JUDGE_VIDEOS, run_config
from video_platform.pipeline.made import read_manifest
from video_platform.pipeline.resources import Workplace
from video_platform.records import VideoState
from video_platform.services.database import ledger, videos
from video_platform.services.folder_store import FolderStore
from video_platform.settings import Settings

NOBODY = "version: 1\nrules:\n  - {name: nobody, when: {absent: person, for: 0.5s}}\n"
FRAMES = 40
COUNT = 3


@pytest.fixture(scope="module")
def small_home(tmp_path_factory):
    """A home with three small videos in which nobody is seen, each through everything once; copied, never changed."""
    folder = tmp_path_factory.mktemp("small")
    graph = Graph(Settings(home=folder / "home"))
    ids = []
    for number in range(COUNT):
        path = clips.make(folder / f"{number}.mp4", frames=FRAMES + number).path
        with graph.platform() as platform:
            ids.append(platform.ingest.ingest_path(path, camera="yard").video_id)
        assert graph.run(ids[-1]).success
    return folder / "home", ids


@pytest.fixture
def small(small_home, tmp_path):
    """`(graph, ids)` of a private copy."""
    home, ids = small_home
    shutil.copytree(home, tmp_path / "home")
    return Graph(Settings(home=tmp_path / "home")), ids


def judge(graph, ids):
    """One run over these videos; (asset, video id) -> "made" or "reused" of what Dagster was told."""
    workplace = Workplace(graph.settings)
    try:
        with open_instance(graph.settings) as instance:
            job = build(workplace).resolve_job_def(JUDGE_VIDEOS)
            result = job.execute_in_process(instance=instance, run_config=run_config(ids), tags={"vp/lane": "backfill"}, raise_on_error=False)
    finally:
        workplace.close()
    return result, {(asset, partition): state for asset, partition, state in materialised(result)}


def ledger_of(graph, video_id):
    with graph.platform() as platform:
        alerts, _ = ledger.page(platform.db, video_id=video_id)
        keep = {"id", "rule", "kind", "start_s", "end_s", "lifecycle", "why", "track_ids", "snapshot"}
        return [alert.model_dump(include=keep) for alert in alerts]


def said(graph, video_id):
    """What the manifests of a video say, but for when, by which run, and the bytes of a reel, which are the encoder's and no content."""
    with graph.platform() as platform:
        manifests = [read_manifest(platform.store, video_id, asset) for asset in (ALERTS, HIGHLIGHTS)]
    found = [manifest.model_dump(exclude={"run_id", "created_at", "cost", "facts"}) for manifest in manifests if manifest]
    return [{**each, "files": [file if file["role"] != "reel" else {"role": "reel"} for file in each["files"]]} for each in found]


def raised(graph):
    """Ids of the alerts that were announced, as often as they were."""
    with graph.platform() as platform:
        platform.relay.drain_events()
        records = platform.log.read(events.TOPIC_ALERTS, {}, limit=1000, budget_s=5)
        found = [events.decode(record.message) for record in records]
        return sorted(event.body.alert.id for event in found if event.type == events.ALERT_RAISED)


def test_it_leaves_what_the_steps_of_each_video_leave(small, tmp_path):
    graph, ids = small
    shutil.copytree(graph.settings.home, tmp_path / "other")
    alone = Graph(Settings(home=tmp_path / "other"))
    for each in (graph, alone):
        observe(each)
        apply(each, NOBODY)
        observe(each)
    assert stale(graph, ids[0]) == {ALERTS: ["rules"]}
    result, found = judge(graph, ids)
    assert result.success
    assert found == {(asset, video_id): "made" for asset in (ALERTS, HIGHLIGHTS) for video_id in ids}
    for video_id in ids:
        assert made(alone.run(video_id, [ALERTS, HIGHLIGHTS])) == {ALERTS, HIGHLIGHTS}
        assert ledger_of(graph, video_id) == ledger_of(alone, video_id)
        assert len(ledger_of(graph, video_id)) == 1
        assert said(graph, video_id) == said(alone, video_id)
        assert stale(graph, video_id) == FRESH
        with graph.platform() as platform:
            assert videos.get(platform.db, video_id).state is VideoState.READY
    assert len(raised(graph)) == COUNT
    checks = {(event.asset_check_evaluation_data.asset_key.path[-1], event.asset_check_evaluation_data.partition) for event in evaluations(result)}
    assert checks == set(found)


def evaluations(result):
    return [event for event in result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"]


def test_copies_of_one_video_go_before_the_next_is_judged(small, monkeypatch):
    """From a store whose objects are not files here: fifty copies would fill a disk."""
    graph, ids = small
    apply(graph, NOBODY)
    copies, real, path_of = [], judging.judge, FolderStore.local_path

    def watched(at, *given):
        copies.append(len(list((at.desk.scratch / "inputs").glob("*"))))
        return real(at, *given)

    monkeypatch.setattr(judging, "judge", watched)
    monkeypatch.setattr(FolderStore, "local_path", lambda _store, _key: None)
    monkeypatch.setattr(FolderStore, "fetch", lambda store, key, folder: Path(shutil.copy(path_of(store, key), folder)))
    result, _ = judge(graph, ids)
    assert result.success
    assert copies == [0] * COUNT


def test_a_second_run_hands_everything_on(small):
    graph, ids = small
    apply(graph, NOBODY)
    judge(graph, ids)
    before = raised(graph)
    result, found = judge(graph, ids)
    assert result.success
    assert set(found.values()) == {"reused"}
    assert raised(graph) == before


def test_a_video_that_cannot_be_judged_holds_up_no_other(small):
    graph, ids = small
    apply(graph, NOBODY)
    with graph.platform() as platform:
        broken = read_manifest(platform.store, ids[0], TRACKS).file("tracks")
        platform.store.delete([broken.key])
        platform.ingest.delete(ids[1], "test")
    result, found = judge(graph, ids)
    assert result.success
    assert {video_id for _, video_id in found} == {ids[2]}
    with graph.platform() as platform:
        failed = videos.get(platform.db, ids[0])
        assert (failed.state, failed.failure_code) == (VideoState.FAILED, "ObjectNotFound")
        assert videos.get(platform.db, ids[1]).state is VideoState.DELETED


POINTS = ["ledger", "files", "manifest", "told"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_the_next_run_goes_on_and_raises_nothing_twice(small, point):
    graph, ids = small
    observe(graph)
    apply(graph, NOBODY)
    observe(graph)
    environment = {**os.environ, "VIDEO_PLATFORM_HOME": str(graph.settings.home), "PYTHONPATH": str(TESTS.parent)}
    script = Path(__file__).with_name("judging_killed.py")
    done = subprocess.run([sys.executable, script, point, *ids], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    result, found = judge(graph, ids)
    assert result.success
    assert set(found) == {(asset, video_id) for asset in (ALERTS, HIGHLIGHTS) for video_id in ids}
    for video_id in ids:
        assert stale(graph, video_id) == FRESH
        with graph.platform() as platform:
            assert videos.get(platform.db, video_id).state is VideoState.READY
            (alert,), _ = ledger.page(platform.db, video_id=video_id)
            assert platform.store.stat(alert.snapshot).size_bytes
            assert ledger.evaluated(platform.db, video_id, ALERTS) == read_manifest(platform.store, video_id, ALERTS).fingerprint
    assert len(raised(graph)) == len(set(raised(graph))) == COUNT
