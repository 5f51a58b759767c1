"""Names, kinds and folders of files."""

import os
from datetime import datetime
from pathlib import Path

import pytest
from intake import MP4, NOW, objects

from video_platform.errors import InputError
from video_platform.ingest import Ingest, check_camera, collect
from video_platform.ingest_files import display_name, kind_of
from video_platform.platform import Platform


class TestNames:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("a video.mp4", "a video.mp4"),
            ("../../etc/passwd.mp4", "passwd.mp4"),
            ("C:\\Users\\kim\\film.mp4", "film.mp4"),
            ("..", "unnamed"),
            ("", "unnamed"),
            ("-rf", "-rf"),
            ("two\nlines\t.mp4", "two lines .mp4"),
            ("bell\x07\x1b[31m.mp4", "bell__[31m.mp4"),
            ("👩‍👩‍👧 party.mp4", "👩‍👩‍👧 party.mp4"),
            ("evil\u202e4pm.exe", "evil_4pm.exe"),
            ("bad\udcffbytes.mp4", "bad?bytes.mp4"),
            ("é.mp4", "é.mp4"),
            ("x" * 300 + ".mp4", "x" * 195 + "….mp4"),
            ("y" * 300, "y" * 200),
        ],
    )
    def test_shown(self, name: str, shown: str) -> None:
        assert display_name(name) == shown
        assert len(shown) <= 200

    @pytest.mark.parametrize("name", ["-rf.mp4", "with space.mp4", "new\nline.mp4", "🎥.mp4", "n" * 250 + ".mp4", "..mp4", "%s{0}.mp4"])
    def test_files_of_any_name_are_taken_in(self, ingest: Ingest, footage, name: str) -> None:
        result = ingest.ingest_path(footage(name, content=MP4 + name.encode()))
        assert result.created
        assert "\n" not in result.record.original_name

    @pytest.mark.parametrize("camera", ["", "..", ".hidden", "a/b", "a b", "x" * 65, "gate\n", "-x", "cämera"])
    def test_camera_names_that_cannot_be_used(self, platform: Platform, ingest: Ingest, footage, camera: str) -> None:
        with pytest.raises(InputError, match="letters, digits"):
            ingest.ingest_path(footage(), camera=camera)
        assert objects(platform) == []
        with pytest.raises(InputError):
            check_camera(camera)

    @pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "0026-11-23T08:30:00+01:00"])
    def test_no_recording_time_at_the_ends_of_the_calendar(self, platform: Platform, ingest: Ingest, footage, text: str) -> None:
        with pytest.raises(InputError, match="a year from 1900 to 2199 is needed"):
            ingest.ingest_path(footage(), recorded_at=datetime.fromisoformat(text))
        record = ingest.ingest_path(footage()).record
        with pytest.raises(InputError, match="a year from 1900 to 2199 is needed"):
            ingest.correct(record.video_id, recorded_at=datetime.fromisoformat(text))

    def test_a_recording_time_needs_a_zone(self, ingest: Ingest, footage) -> None:
        with pytest.raises(InputError, match="time zone"):
            ingest.ingest_path(footage(), recorded_at=NOW.replace(tzinfo=None))

    @pytest.mark.parametrize(
        ("head", "name", "extension"),
        [
            (MP4, "x", "mp4"),
            (MP4, "x.avi", "mp4"),
            (b"\x00\x00\x00\x14ftypqt  ", "x", "mov"),
            (b"\x1a\x45\xdf\xa3....webm", "x", "webm"),
            (b"\x1a\x45\xdf\xa3....matroska", "x", "mkv"),
            (b"RIFF....AVI LIST", "x", "avi"),
            ((b"G" + b"\x00" * 187) * 4, "x", "ts"),
            (b"anything", "FILM.MPEG", "mpeg"),
            (b"anything", "notes.txt", "bin"),
            (b"", "mp4", "mp4"),
        ],
    )
    def test_kinds(self, head: bytes, name: str, extension: str) -> None:
        assert kind_of(head, name)[0] == extension


class TestCollecting:
    def test_a_file_is_itself(self, tmp_path: Path) -> None:
        assert collect(tmp_path / "missing.mp4").files == [tmp_path / "missing.mp4"]

    def test_a_folder_of_mixed_files(self, tmp_path: Path, footage) -> None:
        root = footage("b.mp4").parent
        footage("a/c.avi", b"no signature")
        footage("no-extension")
        footage("notes.txt", b"hello")
        footage("empty.mp4", b"")
        footage(".hidden.mp4")
        footage(".git/x.mp4")
        os.mkfifo(root / "pipe.mp4")
        outside = tmp_path / "outside.mp4"
        outside.write_bytes(MP4)
        (root / "leads-out.mp4").symlink_to(outside)
        (root / "inside.mp4").symlink_to(root / "b.mp4")
        (root / "dangling.mp4").symlink_to(root / "nothing")
        (root / "loop").symlink_to(root)
        found = collect(root)
        assert [str(path.relative_to(root)) for path in found.files] == ["b.mp4", "inside.mp4", "no-extension", "a/c.avi"]
        reasons = {path.name: code for path, code, _ in found.skipped}
        assert reasons == {
            "notes.txt": "not_a_video",
            "empty.mp4": "empty",
            "pipe.mp4": "unreadable",
            "leads-out.mp4": "unreadable",
            "dangling.mp4": "unreadable",
            "loop": "unreadable",
        }
