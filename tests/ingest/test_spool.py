"""What dead processes leave in the spool, and locks."""

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest
from intake import MP4, leftovers

from video_platform import ingest_spool
from video_platform.ingest import Ingest
from video_platform.platform import Platform


class TestSweeping:
    def test_leftovers_of_dead_processes_go_and_living_uploads_stay(self, platform: Platform, ingest: Ingest) -> None:
        folder = platform.store.incoming
        assert folder is not None
        dead = folder / "1234-dead.part"
        dead.write_bytes(b"half")
        old = time.time() - 3600
        os.utime(dead, (old, old))
        with ingest.begin_stream("upload") as living:
            living.write(MP4)
            [path] = [each for each in leftovers(platform) if each != dead]
            os.utime(path, (old, old))
            assert ingest.sweep() == 1
            assert leftovers(platform) == [path]
            assert living.finish(name="a.mp4").created

    def test_a_young_file_is_left_alone(self, platform: Platform, ingest: Ingest) -> None:
        assert platform.store.incoming is not None
        (platform.store.incoming / "1-new.part").write_bytes(b"")
        assert ingest.sweep() == 0

    def test_a_lock_waits_for_its_holder(self, tmp_path: Path) -> None:
        order: list[str] = []
        inside = threading.Event()

        def second() -> None:
            inside.wait()
            with ingest_spool.held(tmp_path / "locks", "v"):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        with ingest_spool.held(tmp_path / "locks", "v"):
            inside.set()
            with (tmp_path / "locks" / "v").open() as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            order.append("first")
        thread.join(10)
        assert order == ["first", "second"]
        assert list((tmp_path / "locks").iterdir()) == []
