"""Reels as files: what a browser plays, what is shown when, chapters, sound, boxes drawn where they are, nothing written over the picture."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import clips as synthetic
import numpy as np
import pytest

from video_platform.analysis import media, tables
from video_platform.analysis.pictures import PictureMaker
from video_platform.analysis.reel_film import COMMENT, Source, Wanted, lapse, reel
from video_platform.analysis.reel_picture import Boxes, Canvas, Clock
from video_platform.analysis.reel_words import cues_of
from video_platform.errors import StoreFull

HOW: dict[str, Any] = {"limits": None, "threads": 2, "on_progress": lambda *_: None}


def pictures(path: str) -> list[tuple[float, np.ndarray]]:
    """Times and BGR pictures of a film."""
    with media.open_video(path) as video:
        make = PictureMaker((video.probe.width, video.probe.height), video.orientation)
        return [(video.frame_time_s(frame.pts), make(frame)) for frame in video.container.decode(video.stream)]


def index_of(picture: np.ndarray, height: int) -> int:
    return synthetic.read_index(picture[:height])


def followed(clip: synthetic.Clip, path: Path, every: int = 6) -> Path:
    """The yellow box of a clip as a track."""
    rows = range(0, len(clip.times_s), every)
    count = len(rows)
    boxes = np.array([clip.boxes[row] for row in rows], np.float32)
    found = tables.Tracks(
        np.array([clip.times_s[row] for row in rows]), np.zeros(count, np.int16), np.full(count, 0.9, np.float32), boxes, np.ones(count, np.int32)
    )
    tables.write_tracks(path, found, names=["box"], digest="0" * 64)
    return path


def test_a_reel_of_two_videos_plays_in_a_browser_and_has_chapters_and_sound(tmp_path: Path) -> None:
    first = synthetic.make(tmp_path / "a.mp4", frames=240, audio="aac", gop=60)
    second = synthetic.make(tmp_path / "b.mkv", frames=120, size=(480, 360), codec="mpeg4")
    sources = [
        Source(first.path, followed(first, tmp_path / "a.parquet"), "gate", "2026-11-23T08:30:00+00:00", "Europe/Berlin"),
        Source(second.path, camera="yard"),
    ]
    wanted = [Wanted(0, 2.0, 4.0, "enters & <b>"), Wanted(1, 1.0, 2.5, "leaves"), Wanted(0, 6.0, 99.0, "late"), Wanted(1, 50.0, 60.0, "beyond")]
    made = reel(tmp_path / "reel.mp4", sources, wanted, **HOW)
    assert made["sound"]
    assert [piece["index"] for piece in made["pieces"]] == [0, 1, 2]
    assert "shows nothing" in made["missed"]["3"]
    data = Path(made["path"]).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(made["path"]) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt, audio.codec_context.name) == ("h264", "yuv420p", "aac")
        assert container.metadata["comment"] == COMMENT
        chapters = [(each["start"] / 1000, each["end"] / 1000, each["metadata"]["title"]) for each in container.chapters()]
        assert float(container.duration) / 1e6 == pytest.approx(5.5, abs=0.2)
    expected = [(0.0, 2.0, "enters & <b>"), (2.0, 3.5, "leaves"), (3.5, 5.5, "late")]
    for found in (chapters, [(cue.start_s, cue.end_s, cue.text) for cue in cues_of(Path(made["chapters"]).read_text())]):
        assert [title for *_, title in found] == [title for *_, title in expected]
        np.testing.assert_allclose([times[:2] for times in found], [times[:2] for times in expected], atol=0.08)
    np.testing.assert_allclose(synthetic.beep_starts_s(Path(made["path"])), [0, 1, 3.5, 4.5], atol=0.06)  # seconds 2, 3, 6 and 7 of the first video
    frames = pictures(made["path"])
    times = np.array([time for time, _ in frames])
    assert np.all(np.diff(times) > 0.03)
    assert len(frames) == pytest.approx(5.5 * 15, abs=3)
    height, width = frames[0][1].shape[:2]
    assert (width, height % 2) == (480, 0)
    assert height > 360


def test_what_is_shown_is_the_footage_with_its_boxes_and_nothing_covers_it(tmp_path: Path) -> None:
    clip = synthetic.make(tmp_path / "a.mp4", frames=90, gop=30)
    made = reel(tmp_path / "reel.mp4", [Source(clip.path, followed(clip, tmp_path / "t.parquet"))], [Wanted(0, 1.0, 2.0, "rule")], **HOW)
    shown = pictures(made["path"])
    assert [index_of(picture, 240) for _, picture in shown] == list(range(30, 60, 2))
    for (_, picture), index in zip(shown, range(30, 60, 2), strict=True):
        footage = synthetic.picture(index, (320, 240), clip.boxes[index])
        changed = np.abs(picture[:240].astype(int) - footage).max(axis=2) > 60
        rows, columns = np.nonzero(changed)
        left, top, right, bottom = clip.boxes[index]
        assert len(rows), "the box is drawn"
        assert columns.min() >= left * 320 - 8
        assert columns.max() <= right * 320 + 24  # its name is wider than it
        assert rows.min() >= top * 240 - 28
        assert rows.max() <= bottom * 240 + 8
        inside = changed[round(top * 240) + 8 : round(bottom * 240) - 8, round(left * 320) + 8 : round(right * 320) - 8]
        assert inside.mean() < 0.02, "what is followed can be seen"
        assert (picture[240:].max(axis=2) > 200).any(), "something is written below"


def test_a_time_lapse_shows_its_moments_without_sound(tmp_path: Path) -> None:
    clip = synthetic.make(tmp_path / "a.mp4", frames=300, audio="aac", gop=100)
    made = lapse(tmp_path / "lapse.mp4", Source(clip.path, camera="gate"), [0.0, 1.0, 2.0, 4.0, 9.9, 99.0], 10.0, **HOW)
    assert [index_of(picture, 240) for _, picture in pictures(made["path"])] == [0, 30, 60, 120, 297, 299]
    with av.open(made["path"]) as container:
        assert not container.streams.audio
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_without_sound_anywhere_there_is_no_track_of_silence(tmp_path: Path) -> None:
    clip = synthetic.make(tmp_path / "a.mp4", frames=30, rotation=90)
    made = reel(tmp_path / "reel.mp4", [Source(clip.path)], [Wanted(0, 0.0, 1.0, "turned")], **HOW)
    with av.open(made["path"]) as container:
        assert not container.streams.audio
    assert index_of(pictures(made["path"])[-1][1], 240) == 28


def test_what_cannot_be_opened_is_left_out_and_nothing_at_all_is_no_film(tmp_path: Path) -> None:
    clip = synthetic.make(tmp_path / "a.mp4", frames=30)
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    both = [Source(tmp_path / "broken.mp4"), Source(clip.path)]
    made = reel(tmp_path / "reel.mp4", both, [Wanted(0, 0.0, 1.0, "broken"), Wanted(1, 0.0, 1.0, "whole")], **HOW)
    assert [piece["index"] for piece in made["pieces"]] == [1]
    assert list(made["missed"]) == ["0"]
    assert reel(tmp_path / "none.mp4", both[:1], [Wanted(0, 0.0, 1.0, "broken")], **HOW)["path"] is None
    assert reel(tmp_path / "none.mp4", both[1:], [Wanted(0, 5.0, 9.0, "beyond")], **HOW)["path"] is None
    assert not list(tmp_path.glob("undone*"))


def test_a_full_disk_has_its_name(tmp_path: Path) -> None:
    clip = synthetic.make(tmp_path / "a.mp4", frames=30)
    (tmp_path / "undone.mp4").symlink_to("/dev/full")
    with pytest.raises(StoreFull):
        reel(tmp_path / "reel.mp4", [Source(clip.path)], [Wanted(0, 0.0, 1.0, "x")], **HOW)


def test_moments_are_told_by_the_clock_on_the_wall_where_it_is_known() -> None:
    from zoneinfo import ZoneInfo

    wall = Clock(datetime(2026, 10, 25, 0, 59, 58, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    assert wall.words(0.0) == "2026-10-25 02:59:58 +02:00"
    assert wall.words(2.5) == "2026-10-25 02:00:00 +01:00"  # the hour that comes twice
    assert (wall.short(2.5), Clock(None, None).words(65.4), Clock(None, None).short(3725.0)) == ("02:00:00", "1:05 of the video", "1:02:05")


def test_boxes_move_with_their_tracks_and_end_with_them() -> None:
    at_s = np.array([1.0, 1.2, 3.0])
    boxes = np.array([[0.0, 0.0, 0.1, 0.1], [0.2, 0.0, 0.3, 0.1], [0.8, 0.0, 0.9, 0.1]], np.float32)
    tracks = tables.Tracks(at_s, np.zeros(3, np.int16), np.ones(3, np.float32), boxes, np.full(3, 7, np.int32))
    found = Boxes(tracks, ["person"])
    assert found.at(1.1)[0][0] == pytest.approx([0.1, 0.0, 0.2, 0.1], abs=1e-6)
    assert found.at(1.1)[1:] == (["person 7"], [7])
    assert found.at(2.0) == found.at(0.5) == found.at(3.5) == ([], [], [])
    assert found.at(3.1)[0][0] == pytest.approx(boxes[2])
    assert Boxes(tables.no_tracks(), []).at(0.0) == ([], [], [])


@pytest.mark.parametrize("size", [(320, 240), (120, 200), (1280, 720), (2, 2)])
def test_every_text_fits_its_strip(size: tuple[int, int]) -> None:
    canvas = Canvas(size)
    for title in ("", "rule", "Straße 東京 " * 40, "x" * 4000, "two\nlines\x00\u202e"):
        whole = canvas.compose(np.full((size[1], size[0], 3), 255, np.uint8), ([], [], []), title, "2026-11-23 08:30:00 +01:00")
        assert whole.shape == (canvas.size[1], canvas.size[0], 3)
        assert all(side % 2 == 0 for side in canvas.size)
        strip = whole[size[1] :].max(axis=2)
        assert strip[:, -3:].max() < 60, "nothing runs into the edge"
        assert strip.max() > 150


@pytest.mark.parametrize("threads", [1, 2])
def test_two_makings_of_one_reel_are_the_same_bytes(tmp_path: Path, threads: int) -> None:
    """On processors with AVX-512 x264 itself made others of pictures of this width; see `x264.options`."""
    clip = synthetic.make(tmp_path / "a.mp4", frames=240, audio="aac", gop=60)
    source = Source(clip.path, camera="gate", recorded_at="2026-11-23T08:30:00+00:00", zone="Europe/Berlin")
    how = {**HOW, "threads": threads}
    made = set()
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        film = reel(folder / "reel.mp4", [source], [Wanted(0, 2.0, 4.0, "one"), Wanted(0, 5.0, 7.5, "two")], **how)
        short = lapse(folder / "lapse.mp4", source, [index / 4 for index in range(20)], 4.0, **how)
        made.add(tuple(Path(each["path"]).read_bytes() for each in (film, short)))
    assert len(made) == 1
