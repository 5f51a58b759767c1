"""A running API, and a video with all its results."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from seeded import ingest, process
from serving import Served, serving

from video_platform.records import VideoRecord


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server over a fresh home."""
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def video(served: Served, tmp_path: Path) -> VideoRecord:
    """One video with all its results."""
    record = ingest(served.platform, tmp_path)
    process(served.platform, record, tmp_path)
    return record
