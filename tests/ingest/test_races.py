"""What two processes do to one video at the same moment."""

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from running import wait

from video_platform import ingest_rows, layout
from video_platform.ingest import Ingest
from video_platform.ingest_spool import held
from video_platform.records import Lane, VideoState
from video_platform.services.database import open_database, videos
from video_platform.services.database.tables import videos as table
from video_platform.services.object_store import open_store
from video_platform.settings import Settings


@pytest.fixture
def ingest(tmp_path):
    settings = Settings(home=tmp_path / "home")
    db = open_database(settings)
    yield Ingest(settings, db, open_store(settings))
    db.dispose()


def waiters(path):
    """How many open files of this process are `path`: one for who holds the lock, one for each who waits for it."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += entry.readlink() == path
        except FileNotFoundError:
            continue
    return found


def test_a_file_that_comes_back_while_its_deletion_is_completed_keeps_its_footage(ingest, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"footage")
    record = ingest.ingest_path(path).record
    ingest.delete(record.video_id, "test")
    with ingest.db.write() as connection:  # as a kill between rows and objects leaves it
        connection.execute(sa.update(table).values(objects_removed_at=None))
    locks = ingest.settings.home / "locks"
    sweeper = threading.Thread(target=ingest.finish_deletes)
    with held(locks, record.video_id):
        sweeper.start()
        wait(lambda: waiters(locks / record.video_id) == 2, 30, "the sweeper at the lock")
        copy = tmp_path / "copy"
        shutil.copy(path, copy)
        ingest.store.put_file(record.object_key, copy, media_type=record.media_type)
        arrived = ingest_rows.Arrived(record.sha256, record.size_bytes, record.object_key, record.media_type)
        given = ingest_rows.said("a.mp4", None, None, Lane.LIVE)
        with ingest.db.write() as connection:
            ingest_rows.arrive(connection, arrived, given, datetime.now(UTC))
    sweeper.join()
    assert videos.get(ingest.db, record.video_id).state is VideoState.RECEIVED
    assert [info.key for info in ingest.store.list(layout.video_prefix(record.video_id))] == [record.object_key]
