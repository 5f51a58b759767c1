import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server of this test session, without a database name; skips where there is none."""
    initdb = shutil.which("initdb") or next((str(path) for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    if initdb is None or importlib.util.find_spec("psycopg2") is None:
        pytest.skip("PostgreSQL and psycopg2 are not installed")
    owner = "postgres" if os.geteuid() == 0 else None  # a PostgreSQL server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if owner is not None:
        shutil.chown(folder, owner)
    binaries = Path(initdb).resolve().parent
    common: dict[str, Any] = {"user": owner, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([binaries / "initdb", "-D", folder / "data", "-U", "tester", "-A", "trust", "-E", "UTF8"], check=True, **common)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    server = subprocess.Popen([binaries / "postgres", "-D", folder / "data", *options], **common)
    try:
        yield f"postgresql+psycopg2://tester@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_postgres_database(postgres_server: str) -> Callable[[], str]:
    """Make an empty database; returns its URL."""

    def make() -> str:
        name = f"test_{secrets.token_hex(6)}"
        engine = sa.create_engine(f"{postgres_server}/postgres", isolation_level="AUTOCOMMIT")
        deadline = time.monotonic() + 30
        while True:
            try:
                with engine.connect() as connection:
                    connection.exec_driver_sql(f"create database {name}")
                break
            except sa.exc.OperationalError:
                assert time.monotonic() < deadline, "the PostgreSQL server does not answer"
                time.sleep(0.1)
        engine.dispose()
        return f"{postgres_server}/{name}"

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
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
