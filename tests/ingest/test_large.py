"""Large footage: little memory, and kills at any moment."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from intake import MP4, leftovers, objects

from video_platform import events
from video_platform.platform import open_platform
from video_platform.services.database import videos
from video_platform.settings import Settings
from video_platform.units import GIB, MIB

PEAK_GROWTH = 150 * MIB
"""What taking in footage of any size may cost in memory."""

MEASURE = """
import sys
from pathlib import Path
from video_platform.platform import open_platform
from video_platform.settings import Settings
def peak():  # of this program alone: ru_maxrss starts with the size of whoever started it
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
with open_platform(Settings(home=Path(sys.argv[1]))) as platform:
    small = Path(sys.argv[1]) / "small.mp4"
    small.write_bytes(b"small")
    platform.ingest.ingest_path(small)
    idle = peak()
    print(platform.ingest.ingest_path(Path(sys.argv[2])).record.size_bytes, peak() - idle)
"""


class TestLarge:
    @pytest.mark.slow
    def test_three_gibibytes_take_little_memory(self, tmp_path: Path) -> None:
        self.measure(tmp_path, 3 * GIB)

    def test_a_quarter_gibibyte_takes_little_memory(self, tmp_path: Path) -> None:
        self.measure(tmp_path, GIB // 4)

    def measure(self, tmp_path: Path, size_bytes: int) -> None:
        path = tmp_path / "large.mp4"
        with path.open("wb") as file:
            file.write(MP4)
            file.truncate(size_bytes)
        done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path / "home"), str(path)], capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr
        size, growth = (int(part) for part in done.stdout.split())
        shutil.rmtree(tmp_path / "home")
        assert size == size_bytes
        assert growth < PEAK_GROWTH

    def test_killed_at_any_moment_a_repeat_completes_it(self, tmp_path: Path) -> None:
        """Kills from outside at several moments; nothing half-visible in between, one video and one event in the end."""
        path = tmp_path / "video.mp4"
        path.write_bytes(MP4 + os.urandom(48 * MIB))
        settings = Settings(home=tmp_path / "home")
        script = (
            "import sys\nfrom pathlib import Path\nfrom video_platform.platform import open_platform\nfrom video_platform.settings import Settings\n"
            "p = open_platform(Settings(home=Path(sys.argv[1])))\nprint('open', flush=True)\np.ingest.ingest_path(Path(sys.argv[2]))\n"
        )
        for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
            child = subprocess.Popen([sys.executable, "-c", script, str(settings.home), str(path)], stdout=subprocess.PIPE, text=True)
            assert child.stdout is not None
            child.stdout.readline()
            threading.Event().wait(delay)
            child.send_signal(signal.SIGKILL)
            child.communicate()
            with open_platform(settings) as platform:
                for record in videos.page(platform.db)[0]:
                    assert platform.store.stat(record.object_key).size_bytes == path.stat().st_size
                for key in objects(platform):
                    assert hashlib.sha256(platform.store.get_bytes(key)).hexdigest() in key
        with open_platform(settings) as platform:
            result = platform.ingest.ingest_path(path)
            assert videos.page(platform.db)[1] == 1
            platform.relay.drain(datetime.now(UTC) + timedelta(minutes=5))
            records = platform.log.read(events.TOPIC_VIDEO_EVENTS, {}, limit=100, budget_s=5)
            assert {events.decode(record.message).id for record in records} == {events.event_id(events.VIDEO_INGESTED, result.video_id, 1)}
            for leftover in leftovers(platform):
                os.utime(leftover, (0, 0))
            platform.ingest.sweep()
            assert leftovers(platform) == []
