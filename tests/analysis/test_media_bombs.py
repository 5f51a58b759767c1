"""Small files that ask for much memory, time or disk: the child ends with a named state or a result, within its limits, and is gone."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import bombs
import clips
import psutil
import pytest

from video_platform.analysis import worker
from video_platform.analysis.worker import Budget
from video_platform.errors import MediaError, PlatformError, WorkerBudgetExceeded, WorkerCrashed

MIB = 2**20
GIB = 2**30
RESIDENT_BYTES = 512 * MIB
"""What a file of a few MB may cost at most; the honest sample takes about 250 MiB with the detector."""

NAMED = {"not_a_video", "no_video_stream", "no_frames", "truncated", "too_large", "format_refused", "bad_dimensions", "over_budget"}
"""How a bomb may end; a crash is none of these."""

BUDGET = Budget(memory_bytes=3 * GIB, wall_s=150, silent_s=100)

PATIENT = Budget(memory_bytes=3 * GIB, wall_s=1200, silent_s=600)
"""For footage that a limit of frames or seconds is to end: how long fifty thousand frames take says how busy the machine is, and decides nothing."""


def outcome(path: Path, task: str = "one_pass", budget: Budget = BUDGET, **limits: object) -> str:
    """What the child made of it: `done`, or the code of the failed state. Whatever it was, it is gone, within its memory, and left little on the disk."""
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    payload = {"path": str(path), "out_dir": str(out), "wanted": ["processed_video", "scenes"], "limits": limits, "proxy": {"remux": False}}
    with bombs.peak_of_children() as peak:
        try:
            worker.run(task, payload, limits=budget)
            found = "done"
        except PlatformError as error:
            found = str(error.facts.get("code", type(error).__name__))
    assert peak[0] < RESIDENT_BYTES, f"{peak[0] / MIB:.0f} MiB"
    assert psutil.Process(os.getpid()).children() == []
    assert sum(each.stat().st_size for each in out.iterdir()) < 64 * MIB
    return found


@pytest.mark.parametrize("task", ["probe", "one_pass"])
def test_a_picture_of_twelve_thousand_squared_in_a_small_file(tmp_path, task):
    bombs.png_in_mov(tmp_path / "a.mov", 12_000, 12_000)
    assert (tmp_path / "a.mov").stat().st_size < MIB
    assert outcome(tmp_path / "a.mov", task) in ("too_large", "no_frames")


@pytest.mark.parametrize("task", ["probe", "one_pass"])
def test_h264_of_eight_thousand_squared(tmp_path, task):
    bombs.large_h264(tmp_path / "a.mp4", 8192, 8192)
    assert (tmp_path / "a.mp4").stat().st_size < MIB
    assert outcome(tmp_path / "a.mp4", task) == "too_large"


@pytest.mark.timeout(3000)
def test_a_hundred_thousand_frames_in_a_few_megabytes(tmp_path):
    bombs.many_frames(tmp_path / "a.mp4", 120_000, 1000)
    assert (tmp_path / "a.mp4").stat().st_size < 24 * MIB
    assert outcome(tmp_path / "a.mp4", budget=PATIENT, max_frames=50_000) == "too_large"
    assert outcome(tmp_path / "a.mp4", budget=PATIENT, max_duration_s=60) == "too_large"
    assert outcome(tmp_path / "a.mp4", budget=Budget(memory_bytes=3 * GIB, wall_s=3)) == "over_budget"


@pytest.mark.parametrize("duration", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_duration_is_not_believed(tmp_path, duration):
    bombs.stated_duration(tmp_path / "a.mp4", duration)
    assert outcome(tmp_path / "a.mp4") in ("done", "too_large")


@pytest.mark.parametrize("count", [200, 10_000])
def test_thousands_of_streams(tmp_path, count):
    bombs.many_streams(tmp_path / "a.mp4", count)
    assert outcome(tmp_path / "a.mp4", "probe") in {"done"} | NAMED
    assert outcome(tmp_path / "a.mp4") in {"done"} | NAMED


def test_a_title_of_a_hundred_megabytes(tmp_path):
    bombs.huge_title(tmp_path / "a.mp4", 100 * MIB)
    assert outcome(tmp_path / "a.mp4") in {"done"} | NAMED


@pytest.mark.parametrize("depth", [100, 50_000])
def test_boxes_in_boxes(tmp_path, depth):
    bombs.nested(tmp_path / "a.mp4", depth)
    assert outcome(tmp_path / "a.mp4") in {"done"} | NAMED


@pytest.mark.parametrize(("kind", "offset"), [(b"stsz", 16), (b"stts", 12), (b"stsc", 12), (b"stco", 12), (b"stss", 12), (b"stsd", 12)])
def test_a_table_that_says_it_is_endless(tmp_path, kind, offset):
    bombs.stated_count(tmp_path / "a.mp4", kind, offset)
    assert outcome(tmp_path / "a.mp4") in {"done"} | NAMED


STAMPS: dict[str, Callable[[int], int]] = {
    "all the same": lambda _: 0,
    "negative": lambda number: number * 33 - 500_000,
    "years apart": lambda number: number * 1000 * 3600 * 24 * 365,
    "the largest there are": lambda number: 2**53 + number,
}


@pytest.mark.parametrize("name", STAMPS)
def test_time_stamps_that_mean_nothing(tmp_path, name):
    bombs.stamped(tmp_path / "a.mkv", STAMPS[name])
    assert outcome(tmp_path / "a.mkv") in {"done"} | NAMED


@pytest.mark.parametrize("jump_s", [3000, 10**6])
@pytest.mark.parametrize("codec", ["mp2", "aac"])
def test_sound_whose_clock_runs_away_does_not_become_years_of_silence(tmp_path, jump_s, codec):
    bombs.sound_from_nowhere(tmp_path / "a.mkv", jump_s, codec)
    started = time.monotonic()
    assert outcome(tmp_path / "a.mkv") == "done"
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(("channels", "rate"), [(65_535, 48_000), (0, 48_000), (2, 0), (2, 1), (255, 65_535)])
def test_sound_of_absurd_shape(tmp_path, channels, rate):
    bombs.stated_sound(tmp_path / "a.mov", channels, rate)
    assert outcome(tmp_path / "a.mov") in {"done"} | NAMED


def test_a_child_that_says_nothing_any_more_is_ended_whatever_its_footage_promised(tmp_path):
    """A decoder that hangs in a file which claims a day would otherwise have ten days."""
    clip = clips.make(tmp_path / "a.mp4", frames=900, size=(1280, 720))
    payload = {"path": str(clip.path), "out_dir": str(tmp_path), "wanted": ["processed_video"], "proxy": {"remux": False, "crf": 10}}

    def stop(*_: object) -> None:
        for child in psutil.Process(os.getpid()).children():
            child.suspend()

    with pytest.raises(WorkerBudgetExceeded, match="2 s without any progress") as caught:
        worker.run("one_pass", payload, limits=Budget(wall_s=3600, silent_s=2.0), on_progress=stop)
    assert caught.value.code == "over_budget"
    assert psutil.Process(os.getpid()).children() == []


KINDS = {"a.mp4": "libx264", "a.mkv": "libx264", "a.avi": "mpeg4", "a.ts": "libx264"}


def survives(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        worker.run("probe", {"path": str(path)}, limits=BUDGET)
    except (MediaError, WorkerBudgetExceeded):
        pass
    except WorkerCrashed as error:  # contained, but somebody should know
        pytest.fail(f"the decoder crashed: {error.message}")


@pytest.mark.parametrize("name", KINDS)
def test_damaged_files_end_in_words(tmp_path, name):
    data = clips.make(tmp_path / name, frames=12, codec=KINDS[name], size=(160, 120), audio="mp2").path.read_bytes()
    for seed in range(12):
        survives(tmp_path / name, bombs.mutated(data, seed))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", KINDS)
def test_hundreds_of_damaged_files_end_in_words(tmp_path, name):
    data = clips.make(tmp_path / name, frames=12, codec=KINDS[name], size=(160, 120), audio="mp2").path.read_bytes()
    for seed in range(1000, 1040):  # of each kind; hundreds together
        survives(tmp_path / name, bombs.mutated(data, seed))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_a_file_that_ends_anywhere_ends_in_words(tmp_path, name):
    data = clips.make(tmp_path / name, frames=12, size=(160, 120)).path.read_bytes()
    for part in range(1, 12):
        survives(tmp_path / name, data[: len(data) * part // 12])
