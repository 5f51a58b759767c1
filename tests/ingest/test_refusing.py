"""What is not taken in, and why."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from intake import MP4, leftovers, objects

from video_platform.errors import StoreFull, StoreUnavailable, UploadRefused
from video_platform.ingest import Ingest
from video_platform.ingest_files import open_footage
from video_platform.platform import Platform
from video_platform.services.database import refusals
from video_platform.settings import MediaSettings
from video_platform.units import GIB, MIB


class TestRefusing:
    def refused(self, ingest: Ingest, path: Path, code: str) -> UploadRefused:
        with pytest.raises(UploadRefused) as raised:
            ingest.ingest_path(path)
        assert raised.value.code == code
        return raised.value

    def test_an_empty_file(self, platform: Platform, ingest: Ingest, footage) -> None:
        self.refused(ingest, footage(content=b""), "empty")
        [refusal] = refusals.page(platform.db)
        assert (refusal.name, refusal.code) == ("a.mp4", "empty")
        assert leftovers(platform) == []

    def test_what_is_not_there(self, ingest: Ingest, tmp_path: Path) -> None:
        assert "nothing.mp4" in str(self.refused(ingest, tmp_path / "nothing.mp4", "unreadable"))

    def test_a_folder(self, ingest: Ingest, tmp_path: Path) -> None:
        assert "a folder" in str(self.refused(ingest, tmp_path, "unreadable"))

    def test_a_pipe_does_not_block(self, ingest: Ingest, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        assert "a pipe" in str(self.refused(ingest, tmp_path / "pipe.mp4", "unreadable"))

    def test_a_socket(self, ingest: Ingest, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s.mp4")
            assert "a socket" in str(self.refused(ingest, Path("s.mp4"), "unreadable"))

    def test_a_device(self, ingest: Ingest) -> None:
        assert "a device" in str(self.refused(ingest, Path("/dev/zero"), "unreadable"))

    def test_a_name_that_no_file_can_have(self, ingest: Ingest) -> None:
        self.refused(ingest, Path("a\0b.mp4"), "unreadable")
        self.refused(ingest, Path("x" * 5000), "unreadable")

    def test_no_permission(self, footage) -> None:
        path = footage()
        path.chmod(0)
        user = os.geteuid()
        if user == 0:  # root may read everything, so ask as somebody else
            os.seteuid(65534)
        try:
            with pytest.raises(UploadRefused, match="Permission denied") as raised:
                open_footage(path, 1000)
        finally:
            os.seteuid(user)
        assert raised.value.code == "unreadable"

    def test_too_large(self, platform: Platform, footage) -> None:
        small = platform.settings.model_copy(update={"media": MediaSettings(max_bytes=100)})
        ingest = Ingest(small, platform.db, platform.store)
        assert "VIDEO_PLATFORM_MEDIA__MAX_BYTES" in str(self.refused(ingest, footage(), "too_large"))
        with ingest.begin_stream("a.mp4") as incoming:
            incoming.write(b"x" * 100)
            with pytest.raises(UploadRefused) as raised:
                incoming.write(b"x")
        assert raised.value.code == "too_large"
        assert leftovers(platform) == []

    def test_a_file_that_is_still_being_written(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage(content=MP4 + b"x" * (64 * MIB))
        stop = threading.Event()

        def grow() -> None:
            with path.open("ab") as file:
                while not stop.is_set():
                    file.write(b"more")
                    file.flush()

        writer = threading.Thread(target=grow)
        writer.start()
        try:
            self.refused(ingest, path, "changing")
        finally:
            stop.set()
            writer.join()
        assert objects(platform) == []
        assert leftovers(platform) == []

    def test_no_space(self, platform: Platform, tmp_path: Path) -> None:
        size_bytes = shutil.disk_usage(platform.settings.home).free + GIB
        path = tmp_path / "huge.mp4"
        with path.open("wb") as file:
            file.truncate(size_bytes)
        patient = platform.settings.model_copy(update={"media": MediaSettings(max_bytes=2 * size_bytes)})
        with pytest.raises(StoreFull, match="no space"):
            Ingest(patient, platform.db, platform.store).ingest_path(path)
        assert leftovers(platform) == []

    def test_a_home_that_may_not_be_written_to_is_not_taken_for_a_full_one(self, platform: Platform, ingest: Ingest, footage, monkeypatch) -> None:
        def refused(*_args: object) -> int:
            raise PermissionError(13, "Permission denied")

        path = footage()
        monkeypatch.setattr("video_platform.ingest_spool.SpoolFile.__init__", refused)
        with pytest.raises(StoreUnavailable, match=r"Permission denied.*") as raised:
            ingest.ingest_path(path)
        assert str(platform.settings.home) in str(raised.value)

    def test_a_full_disk_in_the_middle(self, platform: Platform, footage) -> None:
        """A small file system of its own, filled to the brim by the footage."""
        mount = subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True, check=False)
        if mount.returncode != 0:
            pytest.skip("no mount namespaces here")
        script = (
            "import sys, pathlib\n"
            "from video_platform.errors import StoreFull\n"
            "from video_platform.ingest_spool import SpoolFile\n"
            "spool = SpoolFile(pathlib.Path(sys.argv[1]))\n"
            "try:\n"
            "    while True: spool.write(bytes(1 << 20))\n"
            "except StoreFull as error:\n"
            "    spool.discard(); print('full', len(list(pathlib.Path(sys.argv[1]).iterdir())))\n"
        )
        folder = platform.settings.home / "small"
        folder.mkdir()
        command = f'mount -t tmpfs -o size=8m none "{folder}" && exec "{sys.executable}" -c "$0" "{folder}"'
        done = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c", command, script], capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["full", "0"], done.stderr
