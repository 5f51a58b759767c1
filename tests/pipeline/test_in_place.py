"""The graph over footage that stays where it lies: equal results, and named failures when the file is away."""

import os

import clips
import pytest
from graphs import Graph, made, states

from video_platform.layout import ALERTS, ASSETS, DETECTIONS, RAW_VIDEO, SCENES
from video_platform.pipeline.made import read_manifest
from video_platform.records import VideoState
from video_platform.services.database import videos
from video_platform.settings import SceneSettings, Settings

FEW = [RAW_VIDEO, SCENES]
"""What is made of pixels in the shortest time."""

OTHER_SCENES = SceneSettings(threshold=0.4)


@pytest.fixture
def graph(tmp_path):
    return Graph(Settings(home=tmp_path / "home"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "archive" / "crossing.mp4"
    path.parent.mkdir()
    return clips.make(path, frames=15, size=(160, 120), fps=15.0).path


@pytest.fixture
def video_id(graph, file):
    with graph.platform() as platform:
        return platform.ingest.ingest_path(file, camera="demo", in_place=True).video_id


def record(graph, video_id):
    with graph.platform() as platform:
        return videos.get(platform.db, video_id)


def manifests(graph, video_id):
    with graph.platform() as platform:
        return {asset: manifest for asset in ASSETS if (manifest := read_manifest(platform.store, video_id, asset)) is not None}


def footage_keys(graph, video_id):
    with graph.platform() as platform:
        return [info.key for info in platform.store.list(f"videos/{video_id}/{RAW_VIDEO}/") if not info.key.endswith(".json")]


def test_in_place_and_copied_give_equal_results(graph, video_id, file, tmp_path):
    copied = Graph(Settings(home=tmp_path / "copied"))
    with copied.platform() as platform:
        assert platform.ingest.ingest_path(file, camera="demo").video_id == video_id
    assert copied.run(video_id).success
    before = file.read_bytes()
    assert graph.run(video_id).success
    here, there = manifests(graph, video_id), manifests(copied, video_id)
    assert set(here) == set(there) >= {RAW_VIDEO, DETECTIONS, SCENES, ALERTS}
    for asset in here:
        assert (here[asset].fingerprint, here[asset].content_hash) == (there[asset].fingerprint, there[asset].content_hash), asset
    assert here[RAW_VIDEO].file("video").reference == str(file)
    assert there[RAW_VIDEO].file("video").reference is None
    assert footage_keys(graph, video_id) == []
    assert file.read_bytes() == before
    assert made(graph.run(video_id)) == set()

    # copied afterwards: the manifest says so, nothing else is made anew, and the file is no longer needed
    with graph.platform() as platform:
        platform.ingest.ingest_path(file)
    file.unlink()
    assert made(graph.run(video_id)) == {RAW_VIDEO}
    assert manifests(graph, video_id)[RAW_VIDEO].file("video").reference is None
    assert len(footage_keys(graph, video_id)) == 1
    assert graph.run(video_id, FEW, scenes=OTHER_SCENES).success


def test_a_file_that_is_away_is_a_named_state_and_back_again_it_goes_on(graph, video_id, file, tmp_path):
    file.rename(tmp_path / "elsewhere.mp4")
    assert not graph.run(video_id, FEW).success
    failed = record(graph, video_id)
    assert (failed.state, failed.failure_code) == (VideoState.FAILED, "moved")
    assert str(file) in failed.failure_message
    (tmp_path / "elsewhere.mp4").rename(file)
    assert graph.run(video_id, FEW).success
    assert record(graph, video_id).failure_code is None


def test_only_what_needs_pixels_needs_the_file(graph, video_id, file):
    assert graph.run(video_id, FEW).success
    file.unlink()
    assert states(graph.run(video_id, FEW)) == dict.fromkeys(FEW, "reused")
    assert record(graph, video_id).state is not VideoState.FAILED
    assert not graph.run(video_id, FEW, scenes=OTHER_SCENES).success
    assert record(graph, video_id).failure_code == "moved"


def test_changed_bytes_are_told_by_the_hash_and_named(graph, video_id, file):
    assert graph.run(video_id, FEW).success
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert not graph.run(video_id, FEW, scenes=OTHER_SCENES).success
    assert record(graph, video_id).failure_code == "changed"


def test_a_touched_file_is_the_same_once_it_was_read(graph, video_id, file):
    assert graph.run(video_id, FEW).success
    os.utime(file, (1, 1))
    assert graph.run(video_id, FEW, scenes=OTHER_SCENES).success
    assert record(graph, video_id).reference_modified_ns == file.stat().st_mtime_ns


def test_one_step_alone_reads_from_there_too(graph, video_id, file):
    assert graph.run(video_id, [RAW_VIDEO]).success
    result = graph.run(video_id, [DETECTIONS])
    assert result.success
    assert ALERTS not in states(result)
