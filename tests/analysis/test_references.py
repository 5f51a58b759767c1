"""Pictures that may be left out: what the headers say is what the decoder does, and samples are taken from the same frames whatever else is wanted."""

import shutil
from pathlib import Path

import av
import clips
import numpy as np
import pytest

from video_platform.analysis import media, one_pass, tables
from video_platform.analysis.detect import DetectionParameters
from video_platform.analysis.frames import Decoding
from video_platform.analysis.media import Limits
from video_platform.analysis.one_pass import Order
from video_platform.analysis.proxy import ProxyParameters
from video_platform.analysis.references import References

PYRAMID = {"preset": "veryfast", "x264-params": "bframes=3:b-pyramid=normal"}


def shown(path: Path, skip: str) -> list[int]:
    """Time stamps of the frames that come out."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = skip
        return sorted(frame.pts for frame in container.decode(stream) if frame.pts is not None)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", PYRAMID),
        ("a.mkv", "libx264", PYRAMID),
        ("a.ts", "libx264", PYRAMID),
        ("a.mp4", "libx264", {"preset": "veryfast", "bf": "0"}),
        ("a.mp4", "libx264", {"preset": "veryfast", "x264-params": "slices=4:bframes=2:aud=1"}),
        ("a.mp4", "libx265", {"preset": "ultrafast", "x265-params": "bframes=3:b-pyramid=1:log-level=none"}),
        ("a.ts", "libx265", {"preset": "ultrafast", "x265-params": "bframes=3:b-pyramid=1:log-level=none"}),
    ],
)
def test_the_headers_say_what_the_decoder_leaves_out(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV has no {codec} here")
    clip = clips.make(tmp_path / name, frames=120, codec=codec, b_frames=3 if "bf" not in options else 0, options=options, gop=48)
    with media.open_video(clip.path) as video:
        references = References(video.probe.codec, video.stream.codec_context.extradata)
        kept = [packet.pts for packet in video.container.demux(video.stream) if packet.size and not references.unreferenced(bytes(packet))]
    assert sorted(kept) == shown(clip.path, "NONREF")
    assert len(shown(clip.path, "DEFAULT")) == 120


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0", b"\0\0\0\1", b"\0\0\1", b"\0\0\0\x09\x01", bytes(64), b"\xff" * 64, b"\0\0\0\0\x01" * 9])
@pytest.mark.parametrize("header", [None, b"", b"\x01", b"\x01\x64\x00\x28\xff", bytes(30)])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_what_is_no_unit_ends_and_says_nothing_wrong(data: bytes, header: bytes | None, codec: str) -> None:
    assert References(codec, header).unreferenced(data) in (True, False)


def samples(path: Path, out: Path, order: Order) -> tuple[list[float], list[int]]:
    """Times and presentation indices of the frames that a detector was given."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    one_pass.run(path, out, order, detector=clips.BoxDetector())
    found = tables.read_samples(out / "samples.parquet")
    return found.time_s.tolist(), found.frame.tolist()


@pytest.mark.parametrize(("fps", "b_frames"), [(30.0, 2), (25.0, 3), (22.0, 1), (30.0, 0), (50.0, 3)])
def test_samples_do_not_depend_on_what_else_is_made(tmp_path: Path, fps: float, b_frames: int) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=round(fps * 6), fps=fps, b_frames=b_frames, options={"preset": "veryfast"}, gop=250)
    alone = samples(clip.path, tmp_path / "out", Order(("detections",)))
    assert len(alone[0]) == 30
    for proxy in (ProxyParameters(remux=False), ProxyParameters(remux=False, frame_rate=30.0), ProxyParameters(remux=False, frame_rate=60.0)):
        assert samples(clip.path, tmp_path / "out", Order(("detections", "processed_video", "scenes"), proxy=proxy)) == alone


def test_where_too_few_would_remain_all_are_sampled_from(tmp_path: Path) -> None:
    """Two of three frames are left out: 10 a second, from which 8 samples a second cannot be taken."""
    clip = clips.make(tmp_path / "a.mp4", frames=300, b_frames=2, options={"preset": "veryfast", "x264-params": "bframes=2:b-adapt=0:b-pyramid=none"}, gop=250)
    fine = DetectionParameters(samples_per_s=8.0)
    times, _ = samples(clip.path, tmp_path / "out", Order(("detections",), detection=fine))
    late = np.array(times) - np.arange(len(times)) / 8.0
    assert late[20:].max() < 1.01 / 30
    every = samples(clip.path, tmp_path / "out", Order(("detections", "processed_video"), detection=fine, proxy=ProxyParameters(remux=False, frame_rate=60.0)))
    assert every[0] == times


def test_without_need_of_more_all_frames_are_sampled_from(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=300, b_frames=2, options={"preset": "veryfast"}, gop=250)
    for needed, all_of_them in ((10.0, False), (30.0, True)):
        with media.open_video(clip.path) as video:
            decoding = Decoding(video, Limits(), needed_fps=needed, sampled_fps=10.0)
            sampled = [decoding.sampled for _ in decoding]
        assert all(sampled) is not all_of_them
        assert len(sampled) == 300 if all_of_them else len(sampled) < 250
