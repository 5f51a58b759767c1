"""An embedded home, taking in without a relay, and footage that is no more than a signature."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from intake import MP4

from video_platform.ingest import Ingest
from video_platform.platform import Platform, open_platform
from video_platform.settings import Settings


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with open_platform(Settings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def ingest(platform: Platform) -> Ingest:
    """Without a relay, so that what was announced can be seen waiting."""
    return Ingest(platform.settings, platform.db, platform.store)


@pytest.fixture
def footage(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "a.mp4", content: bytes = MP4 + b"picture" * 1000) -> Path:
        path = tmp_path / "footage" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make
