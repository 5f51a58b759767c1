from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from video_platform import layout
from video_platform.records import Lane, VideoRecord, VideoState
from video_platform.services.database import Database, open_database, videos
from video_platform.services.database.engine import insert_new
from video_platform.services.database.tables import videos as table
from video_platform.settings import DatabaseSettings, Settings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    return f"sqlite:///{tmp_path / 'platform.db'}" if request.param == "sqlite" else request.getfixturevalue("new_postgres_database")()


@pytest.fixture
def db(url: str, tmp_path: Path) -> Iterator[Database]:
    database = open_database(Settings(home=tmp_path / "home", database=DatabaseSettings(url=SecretStr(url))))
    yield database
    database.dispose()


@pytest.fixture
def add_video(db: Database) -> Callable[..., VideoRecord]:
    """Make a row of `videos`; what is not given is of a small live video that was just received."""

    def add(number: int = 1, **given: object) -> VideoRecord:
        sha256 = f"{number:064x}"[::-1]
        video_id = layout.video_id_of(sha256)
        row: dict[str, object] = {
            "video_id": video_id,
            "sha256": sha256,
            "original_name": f"video {number}.mp4",
            "camera": "gate",
            "recorded_at": None,
            "size_bytes": 1000,
            "media_type": "video/mp4",
            "object_key": layout.file_key(video_id, layout.RAW_VIDEO, sha256, "mp4"),
            "lane": str(Lane.LIVE),
            "generation": 1,
            "state": str(VideoState.RECEIVED),
            "ingested_at": NOW,
            "updated_at": NOW,
        }
        with db.write() as connection:
            insert_new(connection, table, [{**row, **given}])
        record = videos.get(db, video_id)
        assert record is not None
        return record

    return add
