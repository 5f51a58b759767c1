"""From every earlier schema, with data in it, to the one of this program: nothing is lost, and an upgrade that fails changes nothing."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext

from video_platform.layout import ALERTS
from video_platform.records import Mark, VideoState
from video_platform.services.database import Database, copies, ledger, outbox, rulesets, schema, videos

VIDEO = "0123456789abcdef"
ALERT = "5b0b31cb-5b0d-5d4b-8a59-0f9a4a3f0d11"
THEN = "2026-11-01 08:00:00.000000"

FIRST_RELEASE: dict[str, dict[str, object]] = {
    "videos": {
        "video_id": VIDEO,
        "sha256": VIDEO * 4,
        "original_name": "naïve name.mp4",
        "camera": "gate-1",
        "recorded_at": THEN,
        "size_bytes": 5_000_000_000,
        "media_type": "video/mp4",
        "object_key": f"videos/{VIDEO}/raw_video/{VIDEO * 4}.mp4",
        "lane": "live",
        "generation": 2,
        "state": "ready",
        "run_id": "a-run",
        "duration_s": 30.5,
        "width": 768,
        "height": 576,
        "title": "A person walks",
        "ingested_at": THEN,
        "updated_at": THEN,
    },
    "evaluations": {
        "video_id": VIDEO,
        "asset": ALERTS,
        "fingerprint": "f" * 64,
        "content_hash": "c" * 64,
        "tracks_hash": "t" * 64,
        "rules_version": "1",
        "first_at": THEN,
        "evaluated_at": THEN,
    },
    "alerts": {
        "id": ALERT,
        "video_id": VIDEO,
        "asset": ALERTS,
        "camera": "gate-1",
        "rule": "person-enters",
        "kind": "enters",
        "severity": "critical",
        "lifecycle": "active",
        "mark": "false",
        "marked_by": "kim",
        "marked_at": THEN,
        "start_s": 1.5,
        "end_s": 4.0,
        "start_time": THEN,
        "track_ids": json.dumps([3, 7]),
        "tracks_hash": "t" * 64,
        "place_x": 0.5,
        "place_y": 0.75,
        "score": 0.8,
        "why": json.dumps({"zone": "plaza"}),
        "rules_version": "1",
        "supersedes": 1,
        "raised_at": THEN,
        "updated_at": THEN,
        "revision": 7,
    },
    "outbox": {
        "id": "an-event",
        "kind": "event",
        "topic": "video-events",
        "key": VIDEO,
        "headers": json.dumps([["ce_id", "an-event"]]),
        "body": b"{}",
        "video_id": VIDEO,
        "created_at": THEN,
        "attempts": 0,
        "next_at": THEN,
    },
    "rule_sets": {"text": "version: 1\nrules: []\n", "hash": "h" * 64, "source": "rules.yaml", "who": "kim", "why": "first", "applied_at": THEN},
}
"""A row of each table as the first release wrote it; every later schema accepts them too."""


def make(url: str, version: str) -> None:
    """A database as the program of this schema left it, with data."""
    db = Database(url)
    with db._live_engine().begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    with db.write() as connection:
        for table, row in FIRST_RELEASE.items():
            names = ", ".join(row)
            connection.execute(sa.text(f"insert into {table} ({names}) values ({', '.join(f':{name}' for name in row)})"), row)
        connection.execute(sa.text("update counters set value = 7 where name = 'alerts'"))
    db.dispose()


@pytest.mark.parametrize("version", schema.VERSIONS[:-1])
def test_from_every_earlier_schema_everything_is_there(url: str, version: str) -> None:
    make(url, version)
    db = Database(url)
    assert db.migrate()
    with db.read() as connection:
        assert schema.version(connection) == schema.HEAD
    record, alert = videos.get(db, VIDEO), ledger.get(db, ALERT)
    assert record is not None
    assert alert is not None
    assert (record.original_name, record.state, record.generation, record.size_bytes) == ("naïve name.mp4", VideoState.READY, 2, 5_000_000_000)
    assert (alert.track_ids, alert.mark, alert.why, alert.place) == ([3, 7], Mark.FALSE, {"zone": "plaza"}, (0.5, 0.75))
    assert ledger.evaluated(db, VIDEO, ALERTS) == "f" * 64
    assert ledger.revision(db) == 7
    assert [row.id for row in outbox.waiting(db)] == ["an-event"]
    assert [each.why for each in rulesets.versions(db)] == ["first"]
    found = copies.read(db, VIDEO)
    assert found is not None
    assert copies.parse(found[0].model_dump_json().encode(), VIDEO) == found[0]
    assert not db.migrate()
    db.dispose()


def test_an_upgrade_that_fails_changes_nothing(url: str) -> None:
    make(url, schema.VERSIONS[1])
    db = Database(url)
    with db.write() as connection:
        connection.execute(sa.text("create table heartbeats (in_the_way integer)"))
    with pytest.raises(Exception, match="heartbeats"):
        db.migrate()
    with db.read() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == schema.VERSIONS[1]
        assert "kept_at" not in {column["name"] for column in sa.inspect(connection).get_columns("videos")}
        assert "step_totals" not in sa.inspect(connection).get_table_names()
    with db.write() as connection:
        connection.execute(sa.text("drop table heartbeats"))
    assert db.migrate()
    assert videos.get(db, VIDEO) is not None
    db.dispose()


def test_the_scripts_stand_in_one_line() -> None:
    names = sorted(path.name.partition("_")[0] for path in (Path(schema.MIGRATIONS) / "versions").glob("[0-9]*.py"))
    assert tuple(names) == schema.VERSIONS
