"""The child process: it answers, reports, and is gone when it must be."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import clips
import pytest

from video_platform import errors
from video_platform.analysis import worker
from video_platform.analysis.worker import Budget
from video_platform.errors import MediaError, StoreFull, WorkerBudgetExceeded, WorkerCrashed, WorkerError

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "crossing.mp4"
ROOT = Path(__file__).resolve().parents[2]
GIB = 1024**3
BUDGET = Budget(memory_bytes=2 * GIB, wall_s=120)


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 40 minutes, on which a pass takes many seconds, made in one: one group of pictures, copied again and again."""
    folder = tmp_path_factory.mktemp("long")
    short = clips.make(folder / "short.ts", frames=24, size=(1280, 720), fps=15)
    path = folder / "long.mp4"
    with av.open(str(short.path)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [(bytes(packet), packet.is_keyframe) for packet in source.demux(video=0) if packet.size]
        for number in range(1500 * len(packets)):
            data, keyframe = packets[number % len(packets)]
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 15), stream, keyframe
            output.mux(packet)
    return path


def order(path: Path, out: Path, *wanted: str, **more: object) -> dict[str, object]:
    out.mkdir(exist_ok=True)
    return {"path": str(path), "out_dir": str(out), "wanted": list(wanted), **more}


def test_a_whole_pass(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    payload = order(SAMPLE, tmp_path / "out", "processed_video", "detections", "scenes", detection={"samples_per_s": 2.0}, proxy={"remux": False})
    started = time.monotonic()
    made = worker.run("one_pass", payload, limits=BUDGET, on_progress=lambda *each: told.append(each))
    wall_s = time.monotonic() - started
    assert made["detections"]["frames_looked_at"] == 60
    assert made["detections"]["classes"]["person"] > 200
    assert made["processed_video"]["duration_s"] == pytest.approx(30, abs=0.2)
    assert made["cost"]["cpu_s"] > 0.5
    assert 50e6 < made["cost"]["peak_bytes"] < 800e6
    assert 1 <= len(told) <= 4 * wall_s + 2
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    json.dumps(made)


def test_the_other_tasks(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=90, gop=30, audio="aac")
    probe = worker.run("probe", {"path": str(clip.path)}, limits=BUDGET)
    assert (probe["width"], probe["height"], probe["audio_codec"]) == (320, 240, "aac")
    wanted = [{"id": "s", "at_s": 1.0, "boxes": [{"box": [0.1, 0.1, 0.5, 0.5], "label": "x"}], "zones": {}, "lines": {}}]
    assert Path(worker.run("snapshots", {"path": str(clip.path), "out_dir": str(tmp_path), "wanted": wanted}, limits=BUDGET)["s"]).is_file()
    payload = {
        "path": str(clip.path),
        "out_dir": str(tmp_path),
        "wanted": [{"id": "c", "start_s": 0.0, "end_s": 1.0}],
        "sources": [{"path": str(clip.path)}],
        "reel": [{"source": 0, "start_s": 0.0, "end_s": 1.0, "title": "a"}, {"source": 0, "start_s": 2.0, "end_s": 3.0, "title": "b"}],
    }
    made = worker.run("clips", payload, limits=BUDGET)
    assert Path(made["clips"]["c"]).is_file()
    assert Path(made["reel"]["path"]).is_file()
    worker.run("frame", {"path": str(clip.path), "at_s": 0.5, "out_path": str(tmp_path / "f.jpg"), "max_width": 100}, limits=BUDGET)
    assert (tmp_path / "f.jpg").is_file()


def test_errors_cross_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaError) as caught:
        worker.run("probe", {"path": str(tmp_path / "empty.mp4")}, limits=BUDGET)
    assert (caught.value.code, caught.value.path) == ("empty", str(tmp_path / "empty.mp4"))
    assert caught.value.message == errors.MEDIA_CODES["empty"]
    clip = clips.make(tmp_path / "a.mp4", frames=20)
    payload = order(clip.path, tmp_path / "out", "processed_video", proxy={"remux": False})
    (tmp_path / "out" / "proxy.mp4").symlink_to("/dev/full")
    with pytest.raises(StoreFull) as full:
        worker.run("one_pass", payload, limits=BUDGET)
    assert full.value.path == str(tmp_path / "out")
    with pytest.raises(MediaError) as limited:
        worker.run("probe", {"path": str(clip.path), "limits": {"max_pixels": 100}}, limits=BUDGET)
    assert limited.value.code == "too_large"


def test_a_mistake_in_the_order_says_where(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="unexpected keyword argument 'heigth'") as caught:
        worker.run("one_pass", order(SAMPLE, tmp_path, "scenes", proxy={"heigth": 1}), limits=BUDGET)
    assert "tasks.py" in str(caught.value.traceback)
    with pytest.raises(WorkerError, match="KeyError"):
        worker.run("no such task", {}, limits=BUDGET)


def test_too_much_time_ends_the_child(long_clip: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(WorkerBudgetExceeded, match="2 s of time") as caught:
        worker.run("one_pass", order(long_clip, tmp_path / "out", "processed_video", proxy={"remux": False, "crf": 10}), limits=Budget(wall_s=2))
    assert (caught.value.code, caught.value.kind) == ("over_budget", "time")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("memory_mib", [250, 400, 550, 700])
def test_too_much_memory_is_a_clear_error(tmp_path: Path, memory_mib: int) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=20, size=(1920, 1080))
    payload = order(clip.path, tmp_path / "out", "processed_video", "detections", "scenes", proxy={"remux": False, "height": 1080})
    with pytest.raises(WorkerBudgetExceeded, match="address space") as caught:
        worker.run("one_pass", payload, limits=Budget(memory_bytes=memory_mib * 2**20, wall_s=100))
    assert (caught.value.code, caught.value.kind) == ("over_budget", "memory")


@pytest.mark.parametrize("memory_mib", [60, 120, 180])
def test_too_much_memory_is_as_clear_where_addresses_are_not_bounded(tmp_path: Path, memory_mib: int) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=20, size=(1920, 1080))
    payload = order(clip.path, tmp_path / "out", "processed_video", "detections", "scenes", proxy={"remux": False, "height": 1080})
    with pytest.raises((WorkerBudgetExceeded, WorkerCrashed), match=f"more than (its )?{memory_mib} MiB of") as caught:
        worker.run("one_pass", payload, limits=Budget(memory_bytes=memory_mib * 2**20, wall_s=100, of_data=True))
    if isinstance(caught.value, WorkerBudgetExceeded):
        assert (caught.value.code, caught.value.kind) == ("over_budget", "memory")
    else:  # a library that did not look whether it got what it asked for
        assert caught.value.signal in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)


def test_more_addresses_than_memory_may_be_reserved_where_data_is_bounded(tmp_path: Path) -> None:
    """As the driver of a graphics card does: a pass within 1 GiB of data, whatever its libraries reserve."""
    clip = clips.make(tmp_path / "a.mp4", frames=20)
    payload = order(clip.path, tmp_path / "out", "detections")
    assert worker.run("one_pass", payload, limits=Budget(memory_bytes=GIB, wall_s=100, of_data=True))["detections"]["frames_looked_at"] > 0


CHILD_OF = """
import sys
from video_platform.analysis import worker
print("started", flush=True)
worker.run("one_pass", {payload!r}, limits=worker.Budget(wall_s=300), on_progress=lambda f, m: print("progress", flush=True))
"""


@contextlib.contextmanager
def parent_of_a_pass(path: Path, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process that runs a long pass in a worker, and the worker's pid."""
    payload = order(path, tmp_path / "out", "processed_video", proxy={"remux": False, "crf": 10})
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD_OF.format(payload=payload)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as parent:
        try:
            assert parent.stdout is not None
            assert any(line.startswith("progress") for line in parent.stdout)
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            assert len(children) == 1
            yield parent, int(children[0])
        finally:
            parent.kill()


def test_when_the_parent_is_killed_the_child_is_gone(long_clip: Path, tmp_path: Path) -> None:
    with parent_of_a_pass(long_clip, tmp_path) as (parent, child):
        assert alive(child)
        assert os.getsid(child) == child
        parent.kill()
        parent.wait()
        assert eventually(lambda: not alive(child), 5)


def test_when_the_parent_is_interrupted_the_child_is_gone(long_clip: Path, tmp_path: Path) -> None:
    with parent_of_a_pass(long_clip, tmp_path) as (parent, child):
        parent.send_signal(signal.SIGINT)
        _, said = parent.communicate(timeout=20)
        assert "KeyboardInterrupt" in said
        assert eventually(lambda: not alive(child), 5)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_when_the_child_dies_the_parent_says_so_at_once(long_clip: Path, tmp_path: Path, how: signal.Signals) -> None:
    with parent_of_a_pass(long_clip, tmp_path) as (parent, child):
        os.kill(child, how)
        killed = time.monotonic()
        _, said = parent.communicate(timeout=20)
        assert time.monotonic() - killed < 10
        assert "WorkerCrashed" in said
        assert how.name in said


def test_a_child_whose_parent_died_before_it_began_ends_itself() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "video_platform.analysis.worker", "probe", str(write), str(gone.pid), str(GIB), "0"], pass_fds=(write,), cwd=ROOT
    )
    os.close(write)
    assert child.wait(20) == 1
    assert os.read(read, 10) == b""
    os.close(read)


def test_the_child_is_nicer_than_its_parent_and_leaves_no_core(long_clip: Path, tmp_path: Path) -> None:
    with parent_of_a_pass(long_clip, tmp_path) as (parent, child):
        limits = Path(f"/proc/{child}/limits").read_text()
        assert "Max core file size        0                    0" in limits
        assert str(Budget().memory_bytes) in limits
        assert os.getpriority(os.PRIO_PROCESS, child) == os.getpriority(os.PRIO_PROCESS, parent.pid) + 5


def test_a_child_that_is_killed_is_a_crash_with_its_signal(long_clip: Path, tmp_path: Path) -> None:
    """From inside: the progress callback kills the child that reports it."""

    def kill(fraction: float, message: str) -> None:
        children = [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
        for pid in children:
            os.kill(pid, signal.SIGSEGV)

    with pytest.raises(WorkerCrashed) as caught:
        worker.run("one_pass", order(long_clip, tmp_path / "out", "scenes"), limits=BUDGET, on_progress=kill)
    assert (caught.value.signal, caught.value.code, caught.value.retriable) == (signal.SIGSEGV, "crashed_decoder", True)


def test_a_progress_that_raises_ends_the_child(long_clip: Path, tmp_path: Path) -> None:
    def stop(fraction: float, message: str) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        worker.run("one_pass", order(long_clip, tmp_path / "out", "scenes"), limits=BUDGET, on_progress=stop)
    assert not [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split() if alive(int(pid))]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(MediaError):
            worker.run("probe", {"path": str(tmp_path / "empty.mp4")}, limits=BUDGET)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
