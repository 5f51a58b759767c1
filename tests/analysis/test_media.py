"""Opening and probing: what footage is, and a named failed state for everything that is none."""

import os
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import clips
import pytest

from video_platform.analysis import media
from video_platform.analysis.media import Limits
from video_platform.errors import MediaError

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "crossing.mp4"


def code_of(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(MediaError) as caught:
        media.probe(path, limits)
    assert caught.value.message.strip()
    return str(caught.value.code)


def test_the_sample_is_what_it_is() -> None:
    probe = media.probe(SAMPLE)
    assert (probe.codec, probe.pixel_format, probe.width, probe.height) == ("h264", "yuv420p", 768, 576)
    assert (probe.duration_s, probe.frame_rate, probe.rotation_deg, probe.audio_codec) == (30.0, 10.0, 0, None)
    assert probe.bit_rate == pytest.approx(SAMPLE.stat().st_size * 8 / 30, rel=0.01)


@pytest.mark.parametrize(
    ("suffix", "codec", "audio", "expected"),
    [
        ("mp4", "libx264", "aac", ("mov,mp4,m4a,3gp,3g2,mj2", "h264", "aac")),
        ("mov", "libx264", "pcm_s16le", ("mov,mp4,m4a,3gp,3g2,mj2", "h264", "pcm_s16le")),
        ("mkv", "libx264", "flac", ("matroska,webm", "h264", "flac")),
        ("webm", "libvpx-vp9", "libopus", ("matroska,webm", "vp9", "opus")),
        ("avi", "mpeg4", "libmp3lame", ("avi", "mpeg4", "mp3")),
        ("avi", "mjpeg", None, ("avi", "mjpeg", None)),
        ("ts", "libx264", "aac", ("mpegts", "h264", "aac")),
        ("mpg", "mpeg2video", None, ("mpeg", "mpeg2video", None)),
    ],
)
def test_every_container_that_is_accepted(tmp_path: Path, suffix: str, codec: str, audio: str | None, expected: tuple[str, str, str | None]) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = clips.make(tmp_path / f"a.{suffix}", frames=50, fps=25, codec=codec, audio=audio, pixel_format=pixels)
    probe = media.probe(clip.path)
    assert (probe.container, probe.codec, probe.audio_codec) == expected
    assert (probe.width, probe.height) == clip.size
    assert probe.frame_rate == pytest.approx(25, abs=0.1)
    assert probe.duration_s == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_upright_size_and_turn_come_from_the_display_matrix(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=5, size=(320, 180), rotation=rotation, mirrored=mirrored)
    probe = media.probe(clip.path)
    assert (probe.width, probe.height, probe.rotation_deg) == (320, 180, rotation)


def test_an_odd_first_time_stamp_is_told_and_no_part_of_the_duration(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.ts", frames=60, first_pts_s=1234.5)
    probe = media.probe(clip.path)
    assert probe.first_pts_s == pytest.approx(1234.5, abs=2)  # the muxer adds its own delay
    assert probe.duration_s == pytest.approx(2.0, abs=0.1)


def test_pixels_that_are_not_square_are_known(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=5, pixel_aspect=Fraction(4, 3))
    with media.open_video(clip.path) as video:
        assert video.pixel_aspect == Fraction(4, 3)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=48_000, layout="mono")
        cover = output.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame(64, 64, "yuvj420p")
        frame.pts = 0
        output.mux(cover.encode(frame))
        output.mux(cover.encode(None))
        output.mux(sound.encode(None))
    assert code_of(path) == "no_video_stream"


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac" if path.suffix in (".mp4", ".m4a") else "pcm_s16le", rate=48_000, layout="mono")
        frame = av.AudioFrame(format=stream.codec_context.format.name, layout="mono", samples=1024)
        frame.sample_rate, frame.pts = 48_000, 0
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.wav", "a.mkv"])
def test_sound_alone(tmp_path: Path, name: str) -> None:
    sound_only(tmp_path / name)
    assert code_of(tmp_path / name) == "no_video_stream"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.mp4", b"", "empty"),
        ("notes.mp4", b"Dear diary,\nnothing happened today.\n" * 40, "not_a_video"),
        ("short.mp4", b"x", "not_a_video"),
        ("zeros.mp4", bytes(100_000), "not_a_video"),
        ("noise.mp4", os.urandom(200_000), "not_a_video"),
        ("picture.mp4", b"\x89PNG\r\n\x1a\n" + bytes(500), "not_a_video"),
        ("photo.mp4", b"\xff\xd8\xff\xe0" + bytes(500), "not_a_video"),
        ("song.mp4", b"ID3\x04" + bytes(500), "no_video_stream"),
        ("flash.mp4", b"FLV\x01\x05" + bytes(500), "format_refused"),
        ("archive.mp4", b"PK\x03\x04" + bytes(500), "format_refused"),
        ("ogg.mp4", b"OggS" + bytes(500), "format_refused"),
        ("ftyp.mp4", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", "truncated"),
        ("head.mkv", b"\x1aE\xdf\xa3\x9f\x42\x86\x81\x01", "truncated"),
        ("avi.avi", b"RIFF\x00\x10\x00\x00AVI LIST", "truncated"),
    ],
)
def test_what_is_no_video_has_a_named_state(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert code_of(path) == code


def test_what_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "folder.mp4").mkdir()
    for name in ("missing.mp4", "fifo.mp4", "folder.mp4", "a" * 300 + ".mp4", "nul\0.mp4"):
        assert code_of(tmp_path / name) == "unreadable"


def test_an_index_that_was_never_written(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60)
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: data.rindex(b"moov") - 4])
    assert code_of(clip.path) == "truncated"
    clip.path.write_bytes(data[: data.rindex(b"moov") + 200])
    assert code_of(clip.path) == "truncated"


def test_an_index_whose_pictures_are_gone(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60, container_options={"movflags": "+faststart"})
    data = clip.path.read_bytes()
    clip.path.write_bytes(data[: data.index(b"mdat") + 4])
    assert code_of(clip.path) == "no_frames"


def test_no_frame_decodes(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60, container_options={"movflags": "+faststart"})
    data = clip.path.read_bytes()
    start = data.index(b"mdat") + 4
    clip.path.write_bytes(data[:start] + bytes(len(data) - start))
    assert code_of(clip.path) == "no_frames"


def test_a_video_without_a_single_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        output.start_encoding()
    assert code_of(path) in ("no_frames", "no_video_stream", "not_a_video", "bad_dimensions")


def png(width: int, height: int) -> bytes:
    """A PNG of this size whose pixels are cut off: what it says is what it would cost."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((width * 3 + 1) * min(height, 64)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def png_in_mov(path: Path, stated: tuple[int, int], real: tuple[int, int]) -> None:
    with av.open(str(path), "w", format="mov") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        packet = av.Packet(png(*real))
        packet.pts = packet.dts = 0
        packet.time_base, packet.stream = Fraction(1), stream
        packet.is_keyframe = True
        output.mux(packet)
    data = path.read_bytes()
    at = data.rindex(b"png ", 0, data.rindex(b"stts") if b"stts" in data else None)
    path.write_bytes(data[: at + 28] + struct.pack(">HH", *stated) + data[at + 32 :])


def test_a_picture_in_a_container_is_a_video_of_one_frame(tmp_path: Path) -> None:
    png_in_mov(tmp_path / "a.mov", (64, 64), (64, 64))
    assert media.probe(tmp_path / "a.mov").width == 64


@pytest.mark.parametrize("stated", [(20_000, 20_000), (64, 64)])
def test_a_picture_of_twenty_thousand_by_twenty_thousand(tmp_path: Path, stated: tuple[int, int]) -> None:
    png_in_mov(tmp_path / "a.mov", stated, (20_000, 20_000))
    assert code_of(tmp_path / "a.mov") in (("too_large",) if stated[0] > 64 else ("too_large", "no_frames"))


def test_a_picture_without_size(tmp_path: Path) -> None:
    png_in_mov(tmp_path / "a.mov", (0, 0), (0, 0))
    assert code_of(tmp_path / "a.mov") == "bad_dimensions"


def test_the_limit_of_pixels_counts_in_the_decoder_too(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=5)
    assert code_of(clip.path, Limits(max_pixels=320 * 240 - 1)) == "too_large"
    assert media.probe(clip.path, Limits(max_pixels=320 * 240)).width == 320


def test_the_limit_of_time(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mp4", frames=60)
    assert code_of(clip.path, Limits(max_duration_s=1.5)) == "too_large"


def test_a_codec_that_is_not_on_the_list(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.mkv", frames=5, codec="snow", options={"strict": "experimental"})
    assert code_of(clip.path) == "format_refused"


def test_metadata_that_is_no_unicode_does_not_matter(tmp_path: Path) -> None:
    clip = clips.make(tmp_path / "a.avi", frames=5, codec="mpeg4")
    with av.open(str(clip.path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as output:
        output.metadata["title"] = "TITLE-GOES-HERE"
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    data = (tmp_path / "b.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data.replace(b"TITLE-GOES-HERE", b"\xff\xfe\xc0TITLE-GOES-H"))
    assert media.probe(tmp_path / "b.mkv").codec == "mpeg4"


@pytest.mark.parametrize(
    "name",
    ["-i", "-rf", "pipe:0", "concat:a|b", "file:x", "a b.mp4", "line\nbreak.mp4", "\N{CLAPPER BOARD}.mp4", "%03d.mp4", "*.mp4", "crypto:x", "x.m3u8", "x.sdp"],
)
def test_a_name_is_only_a_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(SAMPLE.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert media.probe(Path(name)).width == 768
    assert media.probe(tmp_path / name).width == 768


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4"))
    path.write_bytes(SAMPLE.read_bytes())
    assert media.probe(path).width == 768


@pytest.mark.parametrize(
    ("tags", "created"),
    [
        ({"creation_time": "2025-11-23T07:30:00Z"}, "2025-11-23T07:30:00.000000Z"),
        ({"creation_time": "1970-01-01T00:00:00Z"}, None),
        ({}, None),
    ],
)
def test_the_probe_tells_the_creation_time_of_the_container(tmp_path, tags, created):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata.update(tags)
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    with media.open_video(path) as video:
        assert video.probe.created == created
