"""Clips: they show what was asked for, with sound, copied where that is possible."""

import hashlib
from pathlib import Path
from typing import Any

import av
import clips as synthetic
import numpy as np
import pytest

from video_platform.analysis import clips, media
from video_platform.analysis.clips import Wanted
from video_platform.analysis.pictures import PictureMaker
from video_platform.errors import MediaError, StoreFull


def shown(path: str) -> tuple[list[float], list[int]]:
    """Times and the indices of the source frames."""
    with media.open_video(path) as video:
        make = PictureMaker((video.probe.width, video.probe.height), video.orientation)
        frames = [(video.frame_time_s(frame.pts), synthetic.read_index(make(frame))) for frame in video.container.decode(video.stream)]
    return [time_s for time_s, _ in frames], [index for _, index in frames]


def faststart(path: str) -> bool:
    data = Path(path).read_bytes()
    return data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("b_frames", [0, 3])
def test_a_clip_of_a_proxy_is_copied(tmp_path: Path, b_frames: int) -> None:
    source = synthetic.make(tmp_path / "a.mp4", frames=300, gop=30, b_frames=b_frames, audio="aac", options={"sc_threshold": "0"})
    made = clips.make(source.path, tmp_path, [Wanted("x", 3.4, 6.0)])
    assert made["copied"] == 1
    start, end = made["spans"]["x"]
    assert 3.4 - 1.5 <= start <= 3.4
    assert end == pytest.approx(6.0, abs=0.05)
    times, indices = shown(made["clips"]["x"])
    assert times[0] == 0
    np.testing.assert_allclose(np.array(indices) / 30, np.array(times) + start, atol=0.002)
    assert indices[0] == 90
    assert set(range(90, 180)) <= set(indices) <= set(range(90, 180 + b_frames + 1))
    assert faststart(made["clips"]["x"])
    np.testing.assert_allclose(np.array(synthetic.beep_starts_s(Path(made["clips"]["x"])))[:3] + start, [3, 4, 5], atol=0.06)


@pytest.mark.parametrize(
    "clip",
    [{"gop": 250, "options": {"sc_threshold": "0"}}, {"codec": "mpeg4", "suffix": ".mkv"}, {"pixel_format": "yuv444p"}, {"rotation": 90, "gop": 250}],
    ids=str,
)
def test_what_cannot_be_copied_is_encoded(tmp_path: Path, clip: dict[str, Any]) -> None:
    suffix = clip.pop("suffix", ".mp4")
    source = synthetic.make(tmp_path / f"a{suffix}", frames=300, audio="libmp3lame", **clip)
    made = clips.make(source.path, tmp_path, [Wanted("x", 3.4, 6.0)])
    assert made["copied"] == 0
    times, indices = shown(made["clips"]["x"])
    assert indices == list(range(102, 180))
    np.testing.assert_allclose(times, np.arange(78) / 30, atol=0.002)
    np.testing.assert_allclose(np.array(synthetic.beep_starts_s(Path(made["clips"]["x"])))[:2] + 3.4, [4, 5], atol=0.07)
    with av.open(made["clips"]["x"]) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert container.streams.audio[0].codec_context.name == "aac"


@pytest.mark.parametrize("copyable", [True, False])
def test_spans_at_and_beyond_the_edges(tmp_path: Path, copyable: bool) -> None:
    source = synthetic.make(tmp_path / "a.mp4", frames=90, gop=30 if copyable else 250, options={"sc_threshold": "0"})
    wanted = [Wanted("before", -5.0, 1.0), Wanted("after", 2.0, 60.0), Wanted("beyond", 50.0, 60.0), Wanted("empty", 2.0, 2.0)]
    made = clips.make(source.path, tmp_path, wanted)
    assert shown(made["clips"]["before"])[1] == list(range(30))
    assert shown(made["clips"]["after"])[1] == list(range(60, 90))
    for each in ("beyond", "empty"):
        assert "shows nothing" in made["clips"][each]["error"]
    assert set(made["spans"]) == {"before", "after"}


def test_times_are_those_of_the_first_frame(tmp_path: Path) -> None:
    source = synthetic.make(tmp_path / "a.ts", frames=300, gop=30, first_pts_s=777.7, b_frames=2)
    made = clips.make(source.path, tmp_path, [Wanted("x", 4.0, 5.0)])
    _, indices = shown(made["clips"]["x"])
    assert set(range(120, 150)) <= set(indices)
    assert len(indices) <= 30 + 45 + 3


def test_ids_never_become_paths(tmp_path: Path) -> None:
    source = synthetic.make(tmp_path / "a.mp4", frames=60)
    out = tmp_path / "out"
    out.mkdir()
    made = clips.make(source.path, out, [Wanted("../../evil", 0.0, 1.0), Wanted("a/b", 0.0, 1.0)])
    assert all(Path(path).parent == out for path in made["clips"].values())
    assert len(set(made["clips"].values())) == 2


def test_no_video_and_no_room(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaError):
        clips.make(tmp_path / "empty.mp4", tmp_path, [Wanted("x", 0, 1)])
    source = synthetic.make(tmp_path / "a.mp4", frames=60)
    name = f"clip-{hashlib.sha256(b'x').hexdigest()[:24]}.mp4"
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(StoreFull):
        clips.make(source.path, tmp_path, [Wanted("x", 0, 1)])
