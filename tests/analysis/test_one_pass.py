"""The one decode pass: what it makes is true to the clip, whatever the clip's container, turn, clock and sound."""

import errno
import json
import tempfile
import threading
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import clips
import cv2
import numpy as np
import pytest

from video_platform.analysis import media, one_pass, tables
from video_platform.analysis.detect import DetectionParameters
from video_platform.analysis.media import Limits
from video_platform.analysis.one_pass import Order
from video_platform.analysis.pictures import PictureMaker
from video_platform.analysis.proxy import ProxyParameters
from video_platform.analysis.sampling import Due
from video_platform.analysis.scenes import SceneParameters
from video_platform.errors import MediaError, StoreFull

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "crossing.mp4"
ENCODE = ProxyParameters(remux=False)


def run(path: Path, *wanted: str, **parts: Any) -> dict[str, Any]:
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    order = Order(wanted or one_pass.ASSETS, **parts)
    return one_pass.run(path, out, order, detector=clips.BoxDetector())


def pictures(path: str) -> list[tuple[float, np.ndarray[Any, Any]]]:
    with media.open_video(path) as video:
        assert video.probe.rotation_deg in (0, 90, 180, 270)
        make = PictureMaker((video.probe.width, video.probe.height), video.orientation)
        return [(video.frame_time_s(frame.pts), make(frame)) for frame in video.container.decode(video.stream)]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_detections_are_where_the_box_is_in_the_upright_picture(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60, b_frames=2, size=(320, 180), rotation=rotation, mirrored=mirrored, first_pts_s=3.21)
    made = run(clip.path, "detections")
    samples = tables.read_samples(Path(made["detections"]["samples"]))
    found, names, _ = tables.read_detections(Path(made["detections"]["detections"]))
    assert names == ("box",)
    assert made["detections"]["frames_looked_at"] == len(samples) == len(found) == 10
    np.testing.assert_allclose(samples.time_s, [clip.times_s[index] for index in samples.frame], atol=0.0011)
    np.testing.assert_allclose(found.time_s, samples.time_s)
    np.testing.assert_allclose(found.boxes, [clip.boxes[index] for index in samples.frame], atol=0.012)


class Reader(clips.BoxDetector):
    """Notes the index that each picture shows."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def detect(self, bgr: Any) -> Any:
        self.seen.append(clips.read_index(bgr))
        return super().detect(bgr)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_samples_name_the_source_frame_exactly_when_frames_are_left_out(tmp_path: Path, suffix: str) -> None:
    options = {"preset": "medium", "b-pyramid": "normal", "b-adapt": "0"}
    clip = clips.make(tmp_path / f"a.{suffix}", frames=240, b_frames=3, gop=250, options=options)
    reader = Reader()
    made = one_pass.run(clip.path, tmp_path, Order(("detections",)), detector=reader)
    assert (made["coverage"]["decoded_frames"] < 0.7 * 240) is (suffix != "avi")
    samples = tables.read_samples(Path(made["detections"]["samples"]))
    assert samples.frame.tolist() == reader.seen
    np.testing.assert_allclose(samples.time_s, [clip.times_s[index] for index in reader.seen], atol=0.0011)
    assert len(samples) == 40
    assert max(np.abs(samples.time_s - np.arange(40) / 5)) < 0.1


def test_samples_follow_presentation_time_in_variable_frame_rate(tmp_path: Path) -> None:
    times = [0.0, 0.01, 0.02, 0.19, 0.21, 0.22, 0.5, 0.51, 3.0, 3.01, 3.1, 3.2, 3.21]
    clip = clips.make(tmp_path / "a.mp4", times_s=times)
    made = run(clip.path, "detections")
    samples = tables.read_samples(Path(made["detections"]["samples"]))
    np.testing.assert_allclose(samples.time_s, [0.0, 0.21, 0.5, 3.0, 3.2], atol=0.001)
    assert samples.frame.tolist() == [0, 4, 6, 8, 11]


def test_due_takes_the_first_frame_of_each_interval() -> None:
    due = Due(5.0)
    assert [time_s for time_s in np.arange(0, 1.01, 0.1).round(3) if due(time_s)] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    for rate in (10.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0):
        due = Due(5.0)
        taken = [index / rate for index in range(int(100 * rate)) if due(index / rate)]
        assert len(taken) == pytest.approx(500, abs=1)
        assert max(np.diff(taken)) <= 0.2 + 1 / rate


def test_the_best_guess_is_told_even_when_nothing_is_stored(tmp_path: Path) -> None:
    class Unsure(clips.BoxDetector):
        def detect(self, bgr: Any) -> Any:
            boxes, scores, class_ids = super().detect(bgr)
            return boxes, scores * np.float32(0.1 + bgr[:10].mean() * 0), class_ids

    clip = clips.make(tmp_path / "a.mp4", frames=60)
    made = one_pass.run(clip.path, tmp_path, Order(("detections",)), detector=Unsure())
    assert made["detections"]["count"] == 0
    assert made["detections"]["best_guess"] == {"class": "box", "score": 0.09, "at_s": 0.0}
    empty = clips.make(tmp_path / "b.mp4", frames=60, with_box=False)
    assert run(empty.path, "detections")["detections"]["best_guess"] is None


def test_scenes_begin_where_the_colours_change(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=300, scene_starts=(0, 75, 150, 240))
    made = run(clip.path, "scenes", scenes=SceneParameters(thumbnail_every_s=2.0))
    scenes = json.loads(Path(made["scenes"]["scenes"]).read_text())
    np.testing.assert_allclose([scene["start_s"] for scene in scenes], [0, 2.5, 5, 8], atol=0.07)
    np.testing.assert_allclose([scene["end_s"] for scene in scenes], [2.5, 5, 8, 10], atol=0.07)
    thumbnails = made["scenes"]["thumbnails"]
    assert [each["n"] for each in thumbnails] == list(range(len(thumbnails)))
    assert max(later["at_s"] - earlier["at_s"] for earlier, later in pairwise(thumbnails)) <= 2.1
    for scene in scenes:
        picture = cv2.imread(str(tmp_path / "out" / scene["thumbnail"]))
        assert picture is not None
        assert picture.shape[:2] == (240, 320)
        assert abs(clips.read_index(picture) / 30 - scene["start_s"]) < 0.07
    assert {scene["thumbnail"] for scene in scenes} <= {Path(each["path"]).name for each in thumbnails}


def coloured(colours: list[tuple[int, int, int]]) -> Any:
    """Draws pictures in these colours, below the strip with the index a ramp that shifts each by a few levels from row to row."""

    def draw(index: int, bgr: Any) -> Any:
        shade = np.arange(bgr.shape[0])[:, None, None] % 48
        return np.clip(np.array(colours[index]) + shade, 0, 255).astype(np.uint8) * np.ones_like(bgr)

    return draw


def between(one: tuple[int, int, int], other: tuple[int, int, int], frames: int) -> list[tuple[int, int, int]]:
    """The colours between two, without themselves."""
    steps = np.linspace(0, 1, frames + 2)[1:-1]
    return [tuple(int(a + (b - a) * step) for a, b in zip(one, other, strict=True)) for step in steps]  # type: ignore[misc]


RED, GREEN, BLACK = (30, 30, 190), (40, 170, 40), (0, 0, 0)


@pytest.mark.parametrize(
    ("transition", "at"),
    [
        ([], 40),
        ([*between(RED, BLACK, 8), BLACK, BLACK, *between(BLACK, GREEN, 8)], 40),
        (between(RED, GREEN, 12), 40),
    ],
    ids=["hard", "fade", "dissolve"],
)
def test_a_fade_or_dissolve_is_one_cut(tmp_path: Path, transition: list[tuple[int, int, int]], at: int) -> None:
    colours = [*[RED] * at, *transition, *[GREEN] * 60]
    clip = clips.make(tmp_path / "a.mp4", frames=len(colours), draw=coloured(colours), gop=250)
    scenes = json.loads(Path(run(clip.path, "scenes")["scenes"]["scenes"]).read_text())
    assert len(scenes) == 2
    assert at / 30 - 0.01 <= scenes[1]["start_s"] <= (at + len(transition)) / 30 + 0.3


def test_a_still_scene_is_one_scene() -> None:
    assert run_sample("scenes")["scenes"]["count"] == 1


def run_sample(*wanted: str, **parts: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return one_pass.run(SAMPLE, Path(folder), Order(wanted, **parts), detector=clips.BoxDetector())


@pytest.mark.parametrize(("size", "height", "expected"), [((640, 360), 180, (320, 180)), ((360, 640), 320, (180, 320)), ((320, 180), 720, (320, 180))])
@pytest.mark.parametrize("rotation", [0, 90])
def test_the_proxy_is_upright_smaller_and_even(tmp_path: Path, size: tuple[int, int], height: int, expected: tuple[int, int], rotation: int) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60, size=size, rotation=rotation)
    made = run(clip.path, "processed_video", proxy=ProxyParameters(height=height, remux=False))["processed_video"]
    assert (made["width"], made["height"], made["remuxed"]) == (*expected, False)
    shown = pictures(made["video"])
    assert [clips.read_index(picture) for _, picture in shown] == list(range(0, 60, 2))
    np.testing.assert_allclose([time_s for time_s, _ in shown], [clip.times_s[index] for index in range(0, 60, 2)], atol=0.0011)


def test_the_proxy_plays_in_browsers(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mkv", frames=150, codec="mpeg4", audio="libmp3lame", pixel_format="yuv420p")
    made = run(clip.path, "processed_video", proxy=ProxyParameters(frame_rate=30))["processed_video"]
    data = Path(made["video"]).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(made["video"]) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt, sound.codec_context.name) == ("h264", "yuv420p", "aac")
        keys = [float(packet.pts * packet.time_base) for packet in container.demux(video) if packet.is_keyframe and packet.size]
    assert keys[0] == 0
    assert max(np.diff([*keys, 5.0])) <= 1.05
    assert cv2.imread(made["poster"]) is not None


@pytest.mark.parametrize(("pixels", "codec"), [("yuv420p10le", "libx264"), ("yuv444p", "libx264"), ("yuvj420p", "mjpeg"), ("yuv422p", "libx264")])
def test_any_pixel_format_becomes_what_browsers_play(tmp_path: Path, pixels: str, codec: str) -> None:
    clip = clips.make(tmp_path / "a.mov", frames=30, pixel_format=pixels, codec=codec)
    made = run(clip.path)
    with av.open(made["processed_video"]["video"]) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    frames = pictures(made["processed_video"]["video"])
    assert [clips.read_index(picture) for _, picture in frames] == list(range(0, 30, 2))
    assert np.abs(frames[0][1][5, 5].astype(int) - clips.SCENE_COLOURS[0]).max() < 14  # the range of the luma was understood
    assert made["detections"]["count"] == 5


def test_pixels_become_square(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=10, size=(240, 240), pixel_aspect=Fraction(4, 3))
    made = run(clip.path, "processed_video")["processed_video"]
    assert (made["width"], made["height"], made["remuxed"]) == (320, 240, False)


SOUND = [("mp4", "aac"), ("mp4", "libmp3lame"), ("ts", "aac"), ("mkv", "libopus"), ("mov", "pcm_s16le"), ("mkv", "flac")]


@pytest.mark.parametrize(("suffix", "codec"), SOUND)
@pytest.mark.parametrize("remux", [True, False])
@pytest.mark.parametrize("first_pts_s", [0.0, 41.7])
def test_sound_stays_with_the_picture(tmp_path: Path, suffix: str, codec: str, remux: bool, first_pts_s: float) -> None:
    clip = clips.make(tmp_path / f"a.{suffix}", frames=150, audio=codec, first_pts_s=first_pts_s, b_frames=2)
    made = run(clip.path, "processed_video", proxy=ProxyParameters(remux=remux))["processed_video"]
    assert made["remuxed"] == remux
    assert made["audio_codec"] in (("aac", "mp3") if remux else ("aac",))
    np.testing.assert_allclose(clips.beep_starts_s(Path(made["video"])), [0, 1, 2, 3, 4], atol=0.06)
    assert pictures(made["video"])[0][0] == 0
    assert made["duration_s"] == pytest.approx(5.0, abs=0.15)


def test_sound_that_begins_later_stays_later(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mkv", frames=150, audio="flac", audio_starts_s=1.7)
    made = run(clip.path, "processed_video", proxy=ENCODE)["processed_video"]
    np.testing.assert_allclose(clips.beep_starts_s(Path(made["video"])), [2, 3, 4], atol=0.06)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_a_playable_source_is_copied_picture_by_picture(tmp_path: Path, suffix: str, b_frames: int) -> None:
    clip = clips.make(tmp_path / f"a.{suffix}", frames=90, b_frames=b_frames, first_pts_s=9.5, audio="aac")
    made = run(clip.path)["processed_video"]
    assert made["remuxed"]
    shown = pictures(made["video"])
    assert [clips.read_index(picture) for _, picture in shown] == list(range(90))
    np.testing.assert_allclose([time_s for time_s, _ in shown], clip.times_s, atol=0.0011)


def test_a_copied_source_keeps_its_turn(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=30, size=(180, 320), rotation=90)
    made = run(clip.path, "processed_video")["processed_video"]
    assert (made["remuxed"], made["width"], made["height"]) == (True, 180, 320)
    assert clips.read_index(pictures(made["video"])[7][1]) == 7


@pytest.mark.parametrize(
    "clip",
    [
        {"size": (2560, 720)},
        {"size": (320, 1080)},
        {"fps": 60.0},
        {"codec": "mpeg4"},
        {"pixel_format": "yuv444p"},
        {"mirrored": True},
        {"pixel_aspect": Fraction(4, 3)},
    ],
    ids=str,
)
def test_what_browsers_do_not_play_or_is_too_large_is_encoded(tmp_path: Path, clip: dict[str, Any]) -> None:
    assert not run(clips.make(tmp_path / "a.mp4", frames=20, **clip).path, "processed_video")["processed_video"]["remuxed"]


def test_a_copy_that_cannot_be_made_well_is_encoded_instead(tmp_path: Path) -> None:
    for name, start in (("a.ts", 500.0), ("b.ts", 100.0)):
        clips.make(tmp_path / name, frames=60, first_pts_s=start)
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    made = run(joined)
    assert not made["processed_video"]["remuxed"]
    assert made["processed_video"]["duration_s"] == pytest.approx(4.0, abs=0.2)


def test_pictures_that_change_their_size_become_one_size(tmp_path: Path) -> None:
    clips.make(tmp_path / "a.ts", frames=60, size=(320, 240))
    clips.make(tmp_path / "b.ts", frames=60, size=(640, 480), first_pts_s=2.0)
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    made = run(joined)
    assert not made["processed_video"]["remuxed"]
    assert (made["processed_video"]["width"], made["processed_video"]["height"]) == (320, 240)
    assert made["detections"]["count"] == made["detections"]["frames_looked_at"] == 20


@pytest.mark.parametrize("wanted", [("processed_video",), ("detections",), ("scenes",), ("detections", "scenes")])
def test_only_what_is_wanted_is_made(tmp_path: Path, wanted: tuple[str, ...]) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=30)
    made = run(clip.path, *wanted)
    assert set(made) == {*wanted, "probe", "coverage"}
    files = {path.suffix for path in (tmp_path / "out").iterdir()}
    expected = {"processed_video": {".mp4", ".jpg"}, "detections": {".parquet"}, "scenes": {".json", ".jpg"}}
    assert files == set().union(*(expected[each] for each in wanted))


def test_nothing_or_something_unknown_wanted_is_a_mistake() -> None:
    for wanted in ((), ("tracks",)):
        with pytest.raises(ValueError, match="processed_video, detections, scenes"):
            Order(wanted)


def test_a_cut_off_recording_is_still_evidence(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=300, gop=30, container_options={"movflags": "+faststart"})
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: len(data) * 6 // 10])
    made = run(clip.path)
    assert made["coverage"]["truncated"]
    assert made["coverage"]["notes"]
    assert made["detections"]["count"] == made["detections"]["frames_looked_at"] > 15
    assert made["processed_video"]["duration_s"] == pytest.approx(made["coverage"]["decoded_s"], abs=0.5)


def test_progress_is_told_and_rises(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60)
    told: list[tuple[float, str]] = []
    one_pass.run(clip.path, tmp_path, Order(("detections",)), detector=clips.BoxDetector(), on_progress=lambda *each: told.append(each))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert 0.9 < fractions[-1] <= 1
    assert told[-1][1] == "0:01 of 0:02"


class Failing(clips.BoxDetector):
    def detect(self, bgr: Any) -> Any:
        raise RuntimeError("the detector broke")


@pytest.mark.parametrize("frames", [3, 400])
def test_a_detector_that_breaks_ends_the_pass(tmp_path: Path, frames: int) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=frames)
    with pytest.raises(RuntimeError, match="the detector broke"):
        one_pass.run(clip.path, tmp_path, Order(one_pass.ASSETS, proxy=ENCODE), detector=Failing())
    assert not [thread for thread in threading.enumerate() if thread.name in ("detect", "encode")]


@pytest.mark.parametrize("frames", [3, 400])
def test_a_full_disk_ends_the_pass_and_is_named(tmp_path: Path, frames: int) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=frames)
    out = tmp_path / "out"
    out.mkdir()
    (out / "proxy.mp4").symlink_to("/dev/full")
    with pytest.raises(StoreFull, match=str(out)) as caught:
        one_pass.run(clip.path, out, Order(one_pass.ASSETS, proxy=ENCODE), detector=clips.BoxDetector())
    assert caught.value.path == str(out)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert not [thread for thread in threading.enumerate() if thread.name in ("detect", "encode")]


@pytest.mark.parametrize("name", ["detections.parquet", "samples.parquet", "scenes.json", "poster.jpg"])
def test_a_full_disk_is_noticed_by_every_writer(tmp_path: Path, name: str) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=20)
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to("/dev/full")
    with pytest.raises(StoreFull):
        one_pass.run(clip.path, out, Order(one_pass.ASSETS), detector=clips.BoxDetector())


def test_a_progress_that_raises_stops_everything(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=200)

    def stop(fraction: float, message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one_pass.run(clip.path, tmp_path, Order(one_pass.ASSETS, proxy=ENCODE), detector=clips.BoxDetector(), on_progress=stop)
    assert not [thread for thread in threading.enumerate() if thread.name in ("detect", "encode")]


def test_limits_end_the_pass(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.ts", frames=200)
    with pytest.raises(MediaError) as caught:
        run(clip.path, limits=Limits(max_frames=100))
    assert caught.value.code == "too_large"


def test_files_left_open_are_none(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=20)
    run(clip.path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run(clip.path)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_the_real_detector_finds_the_people_of_the_sample(tmp_path: Path) -> None:
    made = one_pass.run(SAMPLE, tmp_path, Order(("detections",), detection=DetectionParameters(samples_per_s=1.0)))["detections"]
    assert made["frames_looked_at"] == 30
    assert made["classes"]["person"] > 120
    assert made["best_guess"]["class"] == "person"
    found, names, digest = tables.read_detections(Path(made["detections"]))
    assert found.score.min() >= 0.2
    assert digest == made["model_sha256"]
    assert names[0] == "person"
