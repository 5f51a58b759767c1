"""Copies of rows, on both databases."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from video_platform.errors import IntegrityError
from video_platform.records import Episode, Lane, Mark, Severity, VideoRecord, VideoState
from video_platform.services.database import Database, copies, ledger, open_database, rulesets, videos
from video_platform.services.database.tables import alerts, outbox
from video_platform.settings import Settings

RULES = "version: 1\nrules:\n  - {name: %s, when: {appears: person}}\n"


@pytest.fixture
def empty(tmp_path: Path) -> Database:
    return open_database(Settings(home=tmp_path / "other"))


def evaluate(db: Database, video: VideoRecord, now: datetime, *starts_s: float) -> list[str]:
    episodes = [Episode("person", "appears", start_s, start_s + 5, (1,), (0.5, 0.5), 0.8, {"at": start_s}) for start_s in starts_s]
    facts = {"person": (Severity.CRITICAL, ())}
    key = "-".join(str(start_s) for start_s in starts_s)
    given = ledger.EvaluationInput(video.video_id, "alerts", key, key, "t", "1", episodes, facts, Lane.LIVE, "run", now, key)
    return [alert.id for alert in ledger.reconcile(db, given).alerts]


def test_rows_come_back_as_they_were_and_silently(db: Database, empty: Database, add_video: Callable[..., VideoRecord], now: datetime) -> None:
    video = add_video(recorded_at=now - timedelta(days=1), duration_s=30.5, title="Ein Täst")
    evaluate(db, video, now, 0, 10)
    evaluate(db, video, now, 10)
    found = copies.read(db, video.video_id)
    assert found is not None
    copy = copies.parse(found[0].model_dump_json().encode(), video.video_id)
    assert copy == found[0]
    assert copies.restore(empty, copy)
    assert videos.get(empty, video.video_id) == videos.get(db, video.video_id)
    assert sorted(ledger.page(empty)[0], key=str) == sorted(ledger.page(db)[0], key=str)
    assert ledger.evaluated(empty, video.video_id, "alerts") == "10"
    assert ledger.revision(empty) == 1
    with empty.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar_one() == 0


def test_what_the_database_knows_stays(db: Database, add_video: Callable[..., VideoRecord], now: datetime) -> None:
    video = add_video()
    (alert,) = evaluate(db, video, now, 3)
    found = copies.read(db, video.video_id)
    assert found is not None
    ledger.mark(db, alert, Mark.FALSE, "kim", now)
    before = videos.get(db, video.video_id), ledger.get(db, alert)
    assert not copies.restore(db, found[0])
    assert (videos.get(db, video.video_id), ledger.get(db, alert)) == before


def test_one_that_was_being_processed_waits_again_unless_it_was_evaluated(
    db: Database, empty: Database, add_video: Callable[..., VideoRecord], now: datetime
) -> None:
    fresh, again = add_video(1), add_video(2)
    evaluate(db, again, now, 1)
    for video in (fresh, again):
        videos.started(db, video.video_id, "run", "tracks")
        found = copies.read(db, video.video_id)
        assert found is not None
        copies.restore(empty, found[0])
    states = [record.state for video in (fresh, again) if (record := videos.get(empty, video.video_id))]
    assert states == [VideoState.RECEIVED, VideoState.READY]


def test_a_copy_is_out_of_date_when_its_video_has_changed(db: Database, add_video: Callable[..., VideoRecord], now: datetime) -> None:
    video = add_video()
    later = datetime.now(now.tzinfo) + timedelta(hours=1)
    assert copies.stale(db, later, 10) == [video.video_id]
    assert copies.stale(db, now, 10) == []
    assert copies.kept(db, video.video_id, now)
    assert copies.stale(db, later, 10) == []
    videos.failed(db, video.video_id, None, "x", "y")
    assert not copies.kept(db, video.video_id, now)
    assert copies.stale(db, later, 10) == [video.video_id]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop("sha256"),
        lambda row: row.update(video_id="0" * 16),
        lambda row: row.update(sha256="f" * 64),
        lambda row: row.update(state="bored"),
        lambda row: row.update(ingested_at="yesterday"),
        lambda row: row.update(original_name=None),
    ],
)
def test_a_copy_that_is_none_is_refused(db: Database, add_video: Callable[..., VideoRecord], spoil: Callable[[dict], object]) -> None:
    video = add_video()
    found = copies.read(db, video.video_id)
    assert found is not None
    stored = json.loads(found[0].model_dump_json())
    spoil(stored["video"])
    with pytest.raises(IntegrityError, match=video.video_id):
        copies.parse(json.dumps(stored).encode(), video.video_id)


def test_columns_of_another_version_do_no_harm(db: Database, empty: Database, add_video: Callable[..., VideoRecord]) -> None:
    video = add_video(title="x")
    found = copies.read(db, video.video_id)
    assert found is not None
    stored = json.loads(found[0].model_dump_json())
    stored["video"]["of_a_later_version"] = {"deep": [1]}
    del stored["video"]["title"]
    assert copies.restore(empty, copies.parse(json.dumps(stored).encode(), video.video_id))
    with empty.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(alerts)).scalar_one() == 0


def test_versions_of_the_rules_come_back_under_their_numbers_and_counting_goes_on(db: Database, now: datetime, tmp_path: Path) -> None:
    other = open_database(Settings(home=tmp_path / "rules"))
    for name in ("a", "b", "c"):
        rulesets.apply(other, RULES % name, source="a.yaml", who="kim", why=name, now=now)
    found = rulesets.versions(other)
    other.dispose()
    assert rulesets.restore(db, found) == [1, 2, 3]
    assert rulesets.versions(db) == found
    assert rulesets.restore(db, found) == []
    assert rulesets.apply(db, RULES % "d", source="a.yaml", who="kim", why="d", now=now).id == 4
