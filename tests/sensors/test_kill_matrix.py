"""A sensor's tick killed with SIGKILL at every named point: no event is lost, none becomes two runs."""

import json

import dagster as dg
import pytest
from graphs import tick

from video_platform.events import TOPIC_DEAD_LETTERS, TOPIC_VIDEO_EVENTS, Message
from video_platform.pipeline.instance import open_instance
from video_platform.platform import open_platform
from video_platform.settings import Settings

VIDEOS = 20
POINTS = ["TICK_CREATED", "TICK_HELD", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED"]


@pytest.mark.parametrize("point", ["PARTITIONS_ADDED", *(pytest.param(point, marks=pytest.mark.slow) for point in POINTS)])
def test_killed_at(point, profile, tmp_path):
    settings = Settings(home=tmp_path / "home")
    with open_platform(settings) as platform:
        ids = set()
        for n in range(VIDEOS):
            path = tmp_path / f"{n}.mp4"
            path.write_bytes(b"footage %d" % n)
            ids.add(platform.ingest.ingest_path(path).video_id)
        platform.announce()  # no relay process runs here
        platform.log.append(TOPIC_VIDEO_EVENTS, [Message(b"", b"not an event")])
    tick(settings.home, point=point)
    tick(settings.home, ticks=2)
    with open_instance(settings) as instance:
        runs = instance.get_runs()
        assert {run.status for run in runs} == {dg.DagsterRunStatus.QUEUED}
        assert sorted(run.tags["dagster/partition"] for run in runs) == sorted(ids)
        assert len({run.tags["dagster/run_key"] for run in runs}) == VIDEOS
        assert set(instance.get_dynamic_partitions("videos")) == ids
        [state] = [state for state in instance.all_instigator_state() if state.instigator_name == "video_events"]
        assert sum(json.loads(state.instigator_data.cursor)["next"].values()) == VIDEOS + 1
    with open_platform(settings) as platform:
        letters = platform.log.read(TOPIC_DEAD_LETTERS, {}, limit=10, budget_s=5)
        assert 1 <= len(letters) <= 2
        assert all(record.message.value == b"not an event" for record in letters)
