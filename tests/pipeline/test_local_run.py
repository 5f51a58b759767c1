import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from video_platform import local_run
from video_platform.errors import HomeLocked, NotFound
from video_platform.layout import ASSETS, RAW_VIDEO
from video_platform.pipeline.failures import INTERRUPTED
from video_platform.pipeline.instance import open_instance
from video_platform.records import VideoState
from video_platform.services.database import videos
from video_platform.supervisor import lock

ROOT = Path(__file__).parents[2]


def test_again_everything_is_reused_and_the_run_stands_in_dagster(processed):
    graph, video_id = processed
    heard = []
    outcome = local_run.process(graph.settings, video_id, on_event=heard.append)
    assert outcome.success
    assert [(step.asset, step.state) for step in outcome.steps] == [(asset, "reused") for asset in ASSETS]
    assert {step.asset for step in heard} == set(ASSETS)
    with open_instance(graph.settings) as instance:
        run = instance.get_run_by_id(outcome.run_id)
        assert run.is_success
        assert run.tags["dagster/partition"] == video_id


def test_again_in_a_new_process_takes_no_decoder(processed):
    """The budget is 5 s with Python's start; here only that nothing heavy is imported, because the machine may be busy."""
    graph, video_id = processed
    code = (
        "import sys\nfrom pathlib import Path\nfrom video_platform import local_run\nfrom video_platform.settings import Settings\n"
        "outcome = local_run.process(Settings(home=Path(sys.argv[1])), sys.argv[2])\n"
        "assert {step.state for step in outcome.steps} == {'reused'}, outcome\n"
        "print([name for name in ('av', 'cv2', 'onnxruntime', 'torch', 'trackers', 'pyarrow') if name in sys.modules])"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, graph.settings.home, video_id], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    print(f"{time.monotonic() - begun:.1f} s with a load of {os.getloadavg()[0]:.1f}")
    assert done.stdout.strip() == "[]", done.stderr


def test_bad_footage_is_told_with_its_code(graph, tmp_path):
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"not a video")
    with graph.platform() as platform:
        video_id = platform.ingest.ingest_path(path, announce=False).video_id
    outcome = local_run.process(graph.settings, video_id)
    assert not outcome.success
    assert outcome.failure_code == "not_a_video"
    assert outcome.failure_message
    assert [step.state for step in outcome.steps if step.asset == RAW_VIDEO] == ["failed"]
    assert {step.state for step in outcome.steps if step.asset != RAW_VIDEO} == {"skipped"}


def test_a_home_that_is_in_use_is_refused(graph):
    with lock.hold(graph.settings.lock_file, "vp up"), pytest.raises(HomeLocked, match="vp up"):
        local_run.process(graph.settings, "0" * 16)


def test_an_unknown_video_is_refused(graph):
    with pytest.raises(NotFound):
        local_run.process(graph.settings, "0" * 16)


def test_ctrl_c_leaves_an_interrupted_video_that_a_repeat_completes(processed):
    graph, video_id = processed
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom video_platform import local_run\nfrom video_platform.settings import Settings\n"
        "def stop(step):\n    if step.asset == 'raw_video':\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "print(local_run.process(Settings(home=Path(sys.argv[1])), sys.argv[2], force=True, on_event=stop))"
    )
    subprocess.run([sys.executable, "-c", code, graph.settings.home, video_id], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    with graph.platform() as platform:
        record = videos.get(platform.db, video_id)
    assert (record.state, record.failure_code) == (VideoState.FAILED, INTERRUPTED)
    assert local_run.process(graph.settings, video_id).success
    with graph.platform() as platform:
        assert videos.get(platform.db, video_id).state is VideoState.READY
