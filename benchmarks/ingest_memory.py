"""DESIGN row 6: peak memory above idle while a 3 GiB file is taken in, through the library and through the web app.

python -m benchmarks.ingest_memory
"""

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import httpx
import psutil

from benchmarks.platforms import Up

SIZE_BYTES = 3 * 1024**3
CHUNK = bytes(1024 * 1024)
LIBRARY = """
import sys
from video_platform import settings
from video_platform.platform import open_platform
def peak_mb():  # of this program alone: ru_maxrss starts with the size of whoever started it
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
platform = open_platform(settings.load())
platform.ingest.ingest_path(sys.argv[2])
idle = peak_mb()
platform.ingest.ingest_path(sys.argv[1])
print(peak_mb() - idle)
"""


def through_the_library(folder: Path) -> float:
    """MB above idle; idle is after a small file went the same way."""
    big, small = folder / "big.mp4", folder / "small.mp4"
    with big.open("wb") as file:
        file.truncate(SIZE_BYTES)
    small.write_bytes(b"small")
    argv = [sys.executable, "-c", LIBRARY, str(big), str(small)]
    done = subprocess.run(argv, env={"VIDEO_PLATFORM_HOME": str(folder / "library"), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    big.unlink()
    return float(done.stdout)


class Peak(threading.Thread):
    """The largest resident size of a process and its children while it is watched, in MB."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.process, self.peak_mb, self.done = process, 0.0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.05):
            self.peak_mb = max(self.peak_mb, self.process.memory_info().rss / 1024**2)


def through_the_web_app(folder: Path) -> float:
    """MB of the web process above its size before the upload."""

    def body():
        for _ in range(SIZE_BYTES // len(CHUNK)):
            yield CHUNK

    with Up(folder / "web") as up:
        address = up.addresses["web"]
        httpx.post(f"{address}/api/videos", params={"name": "small.mp4"}, content=b"small", timeout=60)
        (web,) = up.members()["web"]
        idle = web.memory_info().rss / 1024**2
        peak = Peak(web)
        peak.start()
        headers = {"Content-Length": str(SIZE_BYTES)}
        answer = httpx.post(f"{address}/api/videos", params={"name": "big.mp4"}, content=body(), headers=headers, timeout=600)
        answer.raise_for_status()
        peak.done.set()
        return peak.peak_mb - idle


def rows() -> list[str]:
    """The table row of RESULTS.md."""
    with tempfile.TemporaryDirectory() as folder:
        library = through_the_library(Path(folder))
        web = through_the_web_app(Path(folder))
    return [f"| 3 GiB file: memory above idle | < 150 MB | {max(library, web):.0f} MB | library {library:.0f} MB, web app {web:.0f} MB |"]


if __name__ == "__main__":
    print("\n".join(rows()))
