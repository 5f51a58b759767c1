"""What a person does to footage, and the line of the log that tells of it: both are there, or neither."""

import sqlite3
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from video_platform.access import Person, Role
from video_platform.catalog import Catalog
from video_platform.deeds import Deeds
from video_platform.platform import open_platform
from video_platform.records import VideoState
from video_platform.services.database import audit, videos
from video_platform.services.database.tables import metadata
from video_platform.settings import Settings

ANNA = Person("anna", Role.ADMIN)


@pytest.fixture
def deeds(tmp_path):
    settings = Settings(home=tmp_path / "home")
    with open_platform(settings) as platform:
        catalog = Catalog(settings, platform.db, platform.store)
        yield Deeds(platform, catalog, ANNA)
        catalog.close()


@pytest.fixture
def video_id(deeds, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"footage")
    video_id = deeds.platform.ingest.ingest_path(path).video_id
    videos.failed(deeds.platform.db, video_id, None, "StoreUnavailable", "it does not answer")
    return video_id


def bring(deeds, content):
    with deeds.platform.ingest.begin_stream("b.mp4", "gate", person=deeds.person, noted=deeds.uploaded) as incoming:
        incoming.write(content)
        return incoming.finish()


DEEDS = {
    "video-upload": lambda deeds, video_id: bring(deeds, b"other footage"),
    "video-correct": lambda deeds, video_id: deeds.correct(video_id, camera="yard", recorded_at=datetime(2026, 11, 23, 14, tzinfo=UTC)),
    "video-process": lambda deeds, video_id: deeds.process(video_id, force=True),
    "video-retry": lambda deeds, video_id: deeds.retry(video_id),
    "video-delete": lambda deeds, video_id: deeds.delete(video_id),
}


def rows(deeds):
    """Everything that the database holds."""
    with deeds.platform.db.read() as connection:
        return {table.name: connection.execute(sa.select(table)).all() for table in metadata.sorted_tables}


@pytest.mark.parametrize("action", DEEDS)
def test_nothing_changes_without_its_line(deeds, video_id, action):
    database = sqlite3.connect(deeds.platform.db.file)
    try:
        database.execute("create trigger no_log before insert on audit begin select raise(abort, 'no line can be written'); end")
        database.commit()
        before = rows(deeds)
        with pytest.raises(sa.exc.IntegrityError, match="no line can be written"):
            DEEDS[action](deeds, video_id)
        assert rows(deeds) == before
        database.execute("drop trigger no_log")
        database.commit()
    finally:
        database.close()
    DEEDS[action](deeds, video_id)
    after = rows(deeds)
    assert after["videos"] != before["videos"]
    [line] = audit.page(deeds.platform.db)[0]
    assert (line.who, line.action) == ("anna", action)


def test_a_line_says_what_was_there_before(deeds, video_id):
    deeds.correct(video_id, camera="yard")
    assert audit.newest(deeds.platform.db, "video-correct").detail == {"camera": ["default", "yard"]}
    deeds.delete(video_id)
    line = audit.newest(deeds.platform.db, "video-delete")
    assert (line.subject, line.detail) == (video_id, {"name": "a.mp4", "camera": "yard"})


def test_what_changed_nothing_leaves_no_line(deeds, video_id):
    deeds.correct(video_id, camera="default")
    bring(deeds, b"other footage")
    bring(deeds, b"other footage")
    deeds.delete(video_id)
    deeds.delete(video_id)
    assert [each.action for each in audit.page(deeds.platform.db)[0]] == ["video-delete", "video-upload"]
    assert videos.get(deeds.platform.db, video_id).state is VideoState.DELETED
