"""A home with the real sample in it."""

import shutil

import pytest
from graphs import CROSSING, Graph, states

from video_platform.settings import Settings


@pytest.fixture
def graph(tmp_path, profile):
    return Graph(Settings(home=tmp_path / "home"))


def process_sample(home):
    """`(video_id, states)` after the sample went through everything once."""
    graph = Graph(Settings(home=home))
    with graph.platform() as platform:
        video_id = platform.ingest.ingest_path(CROSSING, camera="demo").video_id
    result = graph.run(video_id)
    assert result.success, [event.message for event in result.all_events if event.is_failure]
    return video_id, states(result)


@pytest.fixture(scope="session")
def processed_home(tmp_path_factory):
    """`(home, video_id, states)`: a home in which the sample went through everything once; copied, never changed."""
    home = tmp_path_factory.mktemp("processed") / "home"
    return home, *process_sample(home)


@pytest.fixture(scope="session")
def processed_stack(tmp_path_factory, stack):
    """`(copy, video_id, states)`: the same on the real servers."""
    environment = stack.fresh()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        video_id, made = process_sample(tmp_path_factory.mktemp("processed") / "home")
    return stack.keep(environment), video_id, made


@pytest.fixture
def processed(tmp_path, profile, request, monkeypatch):
    """`(graph, video_id)` of a private copy of the platform in which the sample went through everything once."""
    if profile == "stack":
        copy, video_id, _ = request.getfixturevalue("processed_stack")
        for name, value in request.getfixturevalue("stack").fresh(copy=copy).items():
            monkeypatch.setenv(name, value)
    else:
        home, video_id, _ = request.getfixturevalue("processed_home")
        shutil.copytree(home, tmp_path / "home")
    return Graph(Settings(home=tmp_path / "home")), video_id


@pytest.fixture
def first_states(profile, request):
    """Asset -> "made" or "reused" of the run that made what `processed` copies."""
    return request.getfixturevalue("processed_stack" if profile == "stack" else "processed_home")[2]
