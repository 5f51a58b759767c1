"""A home with the real sample in it."""

import shutil

import pytest
from graphs import CROSSING, Graph, states

from video_platform.settings import Settings


@pytest.fixture
def graph(tmp_path):
    return Graph(Settings(home=tmp_path / "home"))


@pytest.fixture(scope="session")
def processed_home(tmp_path_factory):
    """A home in which the sample went through everything once; copied, never changed."""
    home = tmp_path_factory.mktemp("processed") / "home"
    graph = Graph(Settings(home=home))
    with graph.platform() as platform:
        video_id = platform.ingest.ingest_path(CROSSING, camera="demo").video_id
    result = graph.run(video_id)
    assert result.success, [event.message for event in result.all_events if event.is_failure]
    return home, video_id, states(result)


@pytest.fixture
def processed(processed_home, tmp_path):
    """`(graph, video_id)` of a private copy of the processed home."""
    home, video_id, _ = processed_home
    shutil.copytree(home, tmp_path / "home")
    return Graph(Settings(home=tmp_path / "home")), video_id
