"""The service as a process: what it prints, whom it answers, how it ends, how fast its first page is."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from ui_serving import ROOT, Seeded, Served

from ui import data, server
from video_platform.errors import SettingsError
from video_platform.platform import open_platform
from video_platform.records import Lane, VideoState
from video_platform.services.database.tables import videos as table
from video_platform.settings import Settings, WebSettings

MANY = 20_000
FIRST_PAGE_S = 0.5
STOP_S = 5


def test_options_of_the_file_hold_and_the_settings_choose_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = server.options(Settings(home=tmp_path, web=WebSettings(port=9999)))
    assert found["server.port"] == 9999
    assert found["server.address"] == "127.0.0.1"
    assert found["browser.gatherUsageStats"] is False
    assert found["theme.dark.backgroundColor"].startswith("#")


def test_refusal_reaches_the_shell(tmp_path: Path) -> None:
    environment = {**os.environ, "VIDEO_PLATFORM_HOME": str(tmp_path / "home"), "VIDEO_PLATFORM_WEB__HOST": "0.0.0.0", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-m", "ui.server"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "there is no sign-in" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "home").exists()


def test_taken_port_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match="VIDEO_PLATFORM_WEB__PORT"):
            server.bind("127.0.0.1", taken.getsockname()[1])


def test_pages_and_api_are_one_service(served: Served) -> None:
    assert httpx.get(f"{served.url}/_stcore/health").text == "ok"
    page = httpx.get(f"{served.url}/video?video=x")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert page.headers["x-content-type-options"] == "nosniff"
    listed = httpx.get(f"{served.url}/api/videos").json()
    assert listed["total"] >= 7


def test_other_sites_and_other_names_are_kept_out(served: Served) -> None:
    port = served.url.rsplit(":", 1)[1]
    for path in ("/", "/api/videos", "/_stcore/health"):
        assert httpx.get(f"{served.url}{path}", headers={"host": f"evil.example:{port}"}).status_code == 403
    assert httpx.post(f"{served.url}/api/videos", content=b"x", headers={"origin": "https://evil.example"}).status_code == 403
    assert httpx.post(f"{served.url}/api/videos", content=b"x", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_it_prints_its_address_and_nothing_else_and_ends_at_once(seeded: Seeded, tmp_path: Path) -> None:
    environment = {**os.environ, **seeded.environment, "VIDEO_PLATFORM_WEB__PORT": "0", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "ui.server"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    try:
        httpx.get(f"{url}/api/videos", timeout=60).raise_for_status()
        with httpx.Client() as client:  # an open connection, as of a paused player, is not waited for
            client.get(f"{url}/").raise_for_status()
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            out, said = process.communicate(timeout=STOP_S * 4)
        assert time.monotonic() - begun < STOP_S
        assert out == ""
        assert said == ""
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def crowded(tmp_path: Path, clean_caches: None, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose database knows twenty thousand videos."""
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(tmp_path / "home"))
    settings = Settings(home=tmp_path / "home")
    platform = open_platform(settings)
    now = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [
        {
            "video_id": f"{index:016x}",
            "sha256": f"{index:016x}" + "0" * 48,
            "original_name": f"camera-{index % 40:02d}-{index:06d}.mp4",
            "camera": f"camera-{index % 40:02d}",
            "recorded_at": None,
            "size_bytes": 1_000_000,
            "media_type": "video/mp4",
            "object_key": f"videos/{index:016x}/raw_video/{index:016x}{'0' * 48}.mp4",
            "lane": str(Lane.LIVE),
            "generation": 1,
            "state": str(VideoState.READY),
            "duration_s": 30.0,
            "width": 640,
            "height": 360,
            "ingested_at": now + timedelta(seconds=index),
            "updated_at": now + timedelta(seconds=index),
        }
        for index in range(MANY)
    ]
    with platform.db.write() as connection:
        connection.execute(sa.insert(table), rows)
    platform.close()
    return settings


def test_first_page_over_twenty_thousand_videos_is_quick(crowded: Settings, open_first_page: Callable[[], float]) -> None:
    """Server time of everything that the first page reads; the best of three, because other work shares the machine."""
    del crowded
    data.settings()
    took = []
    for _ in range(3):
        data.forget_lists()
        begun = time.perf_counter()
        found = data.videos("", None, (), 1)
        data.counts()
        data.cameras()
        data.recent_refusals()
        took.append(time.perf_counter() - begun)
    assert found.total == MANY
    assert len(found.items) == data.PAGE_VIDEOS
    assert min(took) < FIRST_PAGE_S
    assert open_first_page() < FIRST_PAGE_S


def test_listing_by_camera_and_name_is_quick(crowded: Settings) -> None:
    del crowded
    data.settings()
    begun = time.perf_counter()
    assert data.videos("camera-07-0", "camera-07", (VideoState.READY,), 3).total == MANY // 40
    assert time.perf_counter() - begun < FIRST_PAGE_S
