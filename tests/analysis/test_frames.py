"""One decoding: honest times, exact frame numbers, and a true word about what was not seen."""

from pathlib import Path

import av
import clips
import numpy as np
import pytest

from video_platform.analysis import media
from video_platform.analysis.frames import Clock, Coverage, Decoding, Growing
from video_platform.analysis.media import Limits
from video_platform.analysis.pictures import PictureMaker
from video_platform.errors import MediaError

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "crossing.mp4"


def decode(
    path: Path, *, needed_fps: float | None = None, limits: Limits | None = None, keyframes_only: bool = False
) -> tuple[list[float], list[int], list[int], Coverage]:
    """Times, presentation indices, the indices that the pictures themselves show, and the coverage."""
    with media.open_video(path, threads=2) as video:
        decoding = Decoding(video, limits or Limits(), needed_fps=needed_fps, keyframes_only=keyframes_only)
        picture = PictureMaker((video.probe.width, video.probe.height), video.orientation)
        times, stamps, shown = [], [], []
        for frame, time_s in decoding:
            times.append(time_s)
            stamps.append(decoding.stamp)
            shown.append(clips.read_index(picture(frame)))
        return times, decoding.indices(np.array(stamps)).tolist(), shown, decoding.coverage()


@pytest.mark.parametrize(
    ("suffix", "b_frames", "first_pts_s"), [("mp4", 0, 0), ("mp4", 3, 0), ("mp4", 3, 7.3), ("mkv", 2, 0), ("ts", 2, 95_000.0), ("avi", 0, 0), ("avi", 2, 0)]
)
def test_every_frame_has_its_time_and_its_number(tmp_path: Path, suffix: str, b_frames: int, first_pts_s: float) -> None:
    clip = clips.make(tmp_path / f"a.{suffix}", frames=90, b_frames=b_frames, first_pts_s=first_pts_s)
    times, indices, shown, coverage = decode(clip.path)
    assert shown == indices == list(range(90))
    np.testing.assert_allclose(times, clip.times_s, atol=0.0011)
    assert coverage.decoded_s == pytest.approx(3.0, abs=0.03)
    assert (coverage.frames, coverage.errors, coverage.truncated, coverage.notes) == (90, 0, False, ())


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("first_pts_s", [0.0, 12.34])
def test_numbers_stay_exact_where_half_of_the_frames_are_left_out(tmp_path: Path, suffix: str, first_pts_s: float) -> None:
    options = {"preset": "medium", "crf": "20", "b-pyramid": "normal", "b-adapt": "0", "sc_threshold": "0"}
    clip = clips.make(tmp_path / f"a.{suffix}", frames=150, b_frames=3, gop=250, first_pts_s=first_pts_s, options=options)
    times, indices, shown, coverage = decode(clip.path, needed_fps=8.0)
    assert indices == shown
    assert 0.3 * 150 < len(shown) < 0.7 * 150
    np.testing.assert_allclose(times, [clip.times_s[index] for index in shown], atol=0.0011)
    assert max(np.diff(shown)) <= 4
    assert coverage.frames == 150
    assert coverage.decoded_s == pytest.approx(5.0, abs=0.05)


def test_all_frames_are_decoded_where_too_few_would_be_left(tmp_path: Path) -> None:
    options = {"preset": "medium", "b-pyramid": "none", "b-adapt": "0", "sc_threshold": "0"}
    clip = clips.make(tmp_path / "a.mp4", frames=300, b_frames=5, gop=250, options=options)  # one frame in six is referenced: 5 frames/s
    shown = decode(clip.path, needed_fps=12.0)[2]
    assert set(range(120, 300)) <= set(shown)
    sparse = decode(clip.path, needed_fps=4.0)[2]
    assert len(sparse) < 80


def test_slow_footage_is_decoded_whole() -> None:
    with media.open_video(SAMPLE) as video:
        assert len(list(Decoding(video, Limits(), needed_fps=2.0))) == 300


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    times = np.cumsum([0.0, *np.random.default_rng(7).choice([0.02, 0.033, 0.1, 0.5, 3.0], 80)])
    clip = clips.make(tmp_path / "a.mp4", times_s=times, b_frames=2)
    found, indices, shown, _ = decode(clip.path)
    np.testing.assert_allclose(found, times, atol=0.0002)
    assert indices == shown == list(range(81))


def test_only_key_frames(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=90, gop=30, options={"sc_threshold": "0"})
    _, indices, shown, coverage = decode(clip.path, keyframes_only=True)
    assert indices == shown == [0, 30, 60]
    assert coverage.decoded_s == pytest.approx(3.0, abs=0.05)


def test_a_recording_that_ends_too_early_says_so(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=300, gop=30, container_options={"movflags": "+faststart"})
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: len(data) * 6 // 10])
    _, indices, shown, coverage = decode(clip.path)
    assert indices == shown == list(range(len(shown)))
    assert coverage.truncated
    assert 3 < coverage.decoded_s < 8
    assert coverage.stated_s == pytest.approx(10.0, abs=0.1)
    assert "10.0 s" in coverage.notes[0]


def test_damage_in_the_middle_is_stepped_over_and_counted(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=300, gop=30)
    data = bytearray(clip.path.read_bytes())
    middle = data.index(b"mdat") + (data.rindex(b"moov") - data.index(b"mdat")) // 2
    data[middle : middle + 3000] = b"\xff" * 3000
    clip.path.write_bytes(data)
    times, _, _, coverage = decode(clip.path)
    assert coverage.decoded_s == pytest.approx(10.0, abs=0.2)
    assert not coverage.truncated
    assert len(times) > 200
    assert sorted(times) == times


@pytest.mark.parametrize("starts", [(5000.0, 100.0), (100.0, 50.0), (100.0, 80_000.0)])
def test_a_clock_that_was_set_does_not_tear_time(tmp_path: Path, starts: tuple[float, float]) -> None:
    for name, start in zip(("a.ts", "b.ts"), starts, strict=True):
        clips.make(tmp_path / name, frames=60, first_pts_s=start)
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    times, indices, _, coverage = decode(joined)
    assert len(times) >= 118
    assert indices == list(range(len(indices)))
    assert 0 < min(np.diff(times)) <= max(np.diff(times)) < 0.2
    assert any("clock was set" in note for note in coverage.notes)


def test_limits_hold_whatever_the_container_says(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.ts", frames=200)
    with pytest.raises(MediaError) as caught:
        decode(clip.path, limits=Limits(max_frames=150))
    assert caught.value.code == "too_large"
    with pytest.raises(MediaError) as caught:
        decode(clip.path, limits=Limits(max_duration_s=3.0))
    assert caught.value.code == "too_large"


def test_a_thousand_frames_a_second_is_a_video_like_any_other(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mkv", frames=500, fps=500, size=(64, 48))
    times, _, _, coverage = decode(clip.path)
    assert len(times) == 500
    assert coverage.decoded_s == pytest.approx(1.0, abs=0.01)


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=1)
    times, indices, shown, coverage = decode(clip.path)
    assert (times, indices, shown) == ([0.0], [0], [0])
    assert coverage.decoded_s > 0


def test_ten_bits_and_other_layouts_decode(tmp_path: Path) -> None:
    for pixels in ("yuv422p", "yuv444p", "yuv420p10le"):
        clip = clips.make(tmp_path / f"{pixels}.mp4", frames=20, pixel_format=pixels)
        assert decode(clip.path)[2] == list(range(20))


def test_the_clock_fills_in_unknown_times(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=30)
    with media.open_video(clip.path) as video:
        clock = Clock(video)
        first = video.first_pts
        step = round(1 / 30 / video.time_base)
        assert clock.time_s(first) == 0.0
        assert clock.time_s(None) == pytest.approx(1 / 30)
        assert clock.time_s(first + 2 * step) == pytest.approx(2 / 30, abs=1e-3)
        assert clock.time_s(first) == pytest.approx(3 / 30, abs=1e-3)  # set back
        assert clock.time_s(first + step) == pytest.approx(4 / 30, abs=1e-3)
        assert clock.resets == 1


def test_growing_columns_hold_what_was_put_in() -> None:
    rows = Growing(at=(np.float64, 0), box=(np.float32, 4))
    for index in range(3000):
        rows.append(index % 3, at=float(index), box=np.full((index % 3, 4), index))
    assert len(rows) == 3000
    assert rows.column("at").tolist() == [float(index) for index in range(3000) for _ in range(index % 3)]
    assert rows.column("box").shape == (3000, 4)


def test_the_pass_does_not_touch_what_av_itself_decodes() -> None:
    """The bytes of the sample's frames equal those of a plain decoding."""
    with av.open(str(SAMPLE)) as plain, media.open_video(SAMPLE, threads=2) as video:
        expected = [frame.to_ndarray().sum() for frame in plain.decode(video=0)]
        found = [frame.to_ndarray().sum() for frame, _ in Decoding(video, Limits(), needed_fps=None)]
    assert found == expected
