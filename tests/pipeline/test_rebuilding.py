"""The restore drill: the database is lost, the objects are kept, and everything but marks and deliveries is back, without a word to anybody."""

import json
import os
import shutil
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from graphs import Graph, Ticking, made, states

from sensors import processed_videos, reconcile, video_events
from video_platform import layout, rebuilding
from video_platform.catalog import Catalog
from video_platform.cli import app
from video_platform.layout import ASSETS
from video_platform.pipeline.jobs import PROCESS_VIDEO
from video_platform.recipes import IN_WORDS
from video_platform.records import Lifecycle, Mark, VideoState
from video_platform.services.database import ledger, rulesets, videos
from video_platform.services.database.tables import alerts, deliveries, outbox
from video_platform.services.database.tables import videos as table
from video_platform.settings import Settings

RULES = """
version: 1
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.95]}
channels:
  ops: {url_env: OPS_URL}
rules:
  - {name: person, when: {appears: person}, severity: critical, channels: [ops]}
"""
CROSSING = RULES + "  - {name: crossing, when: {crosses: path, class: person}, channels: [ops]}\n"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NOT_COPIED = {"mark", "marked_by", "marked_at", "updated_at", "revision"}


def apply(platform, text):
    rulesets.apply(platform.db, text, source="test", who="kim", why="test", now=datetime.now(UTC))


@pytest.fixture(scope="session")
def lived_home(processed_home, tmp_path_factory):
    """A home with a history: superseded and marked alerts, corrections, a failure, a deletion, one that waits; copied, never changed."""
    tmp_path = tmp_path_factory.mktemp("lived")
    shutil.copytree(processed_home[0], tmp_path / "home")
    graph, video_id = Graph(Settings(home=tmp_path / "home")), processed_home[1]
    with graph.platform() as platform:
        apply(platform, CROSSING)
        assert graph.run(video_id, tags={"vp/notify": "true"}).success
        platform.ingest.correct(video_id, camera="gate", recorded_at=NOW)
        apply(platform, RULES)
        assert graph.run(video_id).success
        found, _ = ledger.page(platform.db, lifecycle=Lifecycle.ACTIVE)
        ledger.mark(platform.db, found[0].id, Mark.FALSE, "kim", NOW)
        ids = {"ready": video_id}
        for name in ("failed", "deleted", "waiting"):
            path = tmp_path / f"{name}.mp4"
            path.write_bytes(b"no video, " + name.encode())
            ids[name] = platform.ingest.ingest_path(path, camera="yard", name=f"{name} naïve.mp4").video_id
        platform.ingest.delete(ids["deleted"], "kim", "asked to")
        assert not graph.run(ids["failed"]).success
        assert {row.lifecycle for row in ledger.page(platform.db)[0]} == {Lifecycle.ACTIVE, Lifecycle.SUPERSEDED}
        with platform.db.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one() > 0
    return tmp_path / "home", ids


@pytest.fixture
def lived(lived_home, tmp_path):
    """`(graph, ids by what became of them)` of a private copy of that home."""
    shutil.copytree(lived_home[0], tmp_path / "home")
    return Graph(Settings(home=tmp_path / "home")), lived_home[1]


def shown(graph):
    """All that readers can see, without what is known not to come back."""
    with graph.platform() as platform:
        catalog = Catalog(platform.settings, platform.db, platform.store)
        page = catalog.videos(state=tuple(VideoState))
        everything = {"cards": sorted(page.items, key=lambda card: card.record.video_id), "rules": rulesets.versions(platform.db)}
        for card in page.items:
            if card.record.state is VideoState.READY:
                video_id = card.record.video_id
                detail = catalog.video(video_id)
                everything[video_id] = (detail.assets, detail.near_misses, catalog.summary(video_id), catalog.tracks(video_id), catalog.scenes(video_id))
            everything[f"stone {card.record.video_id}"] = videos.tombstone(platform.db, card.record.video_id)
        with platform.db.read() as connection:
            rows = connection.execute(sa.select(alerts).order_by(alerts.c.id)).all()
        everything["alerts"] = [
            {name: value for name, value in row._asdict().items() if name not in NOT_COPIED and not name.startswith("marked")} for row in rows
        ]
        catalog.close()
        return everything


def lose_the_database(graph):
    for path in graph.settings.home.glob("platform.db*"):
        path.unlink()


def without_when(everything):
    """When a tombstone's objects were removed is noted after its copy was written."""
    return {name: value for name, value in everything.items() if not name.startswith("stone ")}


def sent(platform):
    with platform.db.read() as connection:
        return connection.execute(sa.select(outbox.c.kind, outbox.c.topic, outbox.c.alert_id)).all()


def vp(monkeypatch, capsys, graph, *arguments):
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(graph.settings.home))
    status = app.run(["rebuild-index", "--json", *arguments])
    return status, json.loads(capsys.readouterr().out)


def test_the_restore_drill(lived, monkeypatch, capsys):
    graph, ids = lived
    before = shown(graph)
    lose_the_database(graph)

    status, found = vp(monkeypatch, capsys, graph, "--dry-run")
    assert status == 0
    assert (sorted(found["videos"]), found["tombstones"]) == (sorted({ids["ready"], ids["failed"], ids["waiting"]}), [ids["deleted"]])
    with graph.platform() as platform:
        assert videos.page(platform.db)[1] == 0

    status, found = vp(monkeypatch, capsys, graph)
    assert (status, found["alerts"], found["unreadable"]) == (0, len(before["alerts"]), {})
    after = shown(graph)
    for old, new in zip(before["alerts"], after["alerts"], strict=True):
        assert {name: (value, new[name]) for name, value in old.items() if new[name] != value} == {}
    for name in without_when(before):
        assert after[name] == before[name]
    stone = f"stone {ids['deleted']}"
    assert (after[stone].deleted_by, after[stone].reason, after[stone].deleted_at) == ("kim", "asked to", before[stone].deleted_at)

    with graph.platform() as platform:
        assert sent(platform) == []
        with platform.db.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one() == 0
        assert {alert.mark for alert in ledger.page(platform.db)[0]} == {Mark.NONE}
        assert platform.ingest.finish_deletes() == []
    status, found = vp(monkeypatch, capsys, graph)
    assert (status, found["videos"], found["tombstones"], found["known"]) == (0, [], [], 4)


def test_what_is_restored_is_neither_made_nor_told_again(lived, monkeypatch, capsys):
    graph, ids = lived
    lose_the_database(graph)
    vp(monkeypatch, capsys, graph)
    assert states(graph.run(ids["ready"], tags={"vp/notify": "true"})) == dict.fromkeys(ASSETS, "reused")
    with graph.platform() as platform:
        assert sent(platform) == []
        apply(platform, CROSSING)
    assert made(graph.run(ids["ready"], tags={"vp/notify": "true"})) == {layout.ALERTS, layout.HIGHLIGHTS}
    with graph.platform() as platform:  # superseded alerts came back with their ids, so what is found again revives silently
        assert [row for row in sent(platform) if row.kind == "notification" or row.topic == "alerts"] == []


def test_the_same_file_again_after_the_loss_is_the_video_that_was(lived, tmp_path):
    graph, ids = lived
    before = shown(graph)
    lose_the_database(graph)
    with graph.platform() as platform:
        key = before["cards"][0].record.object_key
        known = {card.record.video_id: card.record for card in before["cards"]}
        copy = tmp_path / "again.mp4"
        copy.write_bytes(platform.store.get_bytes(known[ids["ready"]].object_key, max_bytes=100_000_000))
        result = platform.ingest.ingest_path(copy)
        assert (result.created, result.record) == (False, known[ids["ready"]])
        gone = tmp_path / "gone.mp4"
        gone.write_bytes(b"no video, deleted")
        back = platform.ingest.ingest_path(gone)
        assert (back.created, back.record.generation) == (True, 2)  # another event than that of its first life
        assert key


def test_reconcile_brings_back_what_nobody_rebuilt(lived):
    graph, ids = lived
    before = shown(graph)
    lose_the_database(graph)
    store = graph.platform().store
    ticking = Ticking(graph.settings, reconcile)
    try:
        for video_id in (ids["ready"], ids["failed"]):
            for info in store.list(layout.video_prefix(video_id)):
                path = store.local_path(info.key)
                path.chmod(0o644)
                os.utime(path, (0, 0))
            for _ in range(256):
                ticking.tick()
                if videos.get(ticking.workplace.platform.db, video_id) is not None:
                    break
        after = shown(graph)
        assert [row["id"] for row in after["alerts"]] == [row["id"] for row in before["alerts"]]
        assert sent(ticking.workplace.platform) == []
    finally:
        ticking.close()


def test_dagsters_records_lost_too_partitions_and_versions_are_reported_again(lived, monkeypatch, capsys):
    graph, ids = lived
    lose_the_database(graph)
    shutil.rmtree(graph.settings.dagster_home)
    vp(monkeypatch, capsys, graph)
    ticking = Ticking(graph.settings, reconcile)
    try:
        with ticking.workplace.platform.db.write() as connection:
            connection.execute(sa.update(table).values(updated_at=NOW))
        result = ticking.tick()
        reported = {(event.asset_key.path[-1], event.partition) for event in result.asset_events}
        assert reported == {(asset, ids["ready"]) for asset in ASSETS}
        assert result.dynamic_partitions_requests[0].partition_keys == [ids["ready"]]
        assert not result.run_requests
    finally:
        ticking.close()


def test_topics_read_from_their_beginning_again_start_runs_that_change_nothing(lived):
    graph, ids = lived
    with graph.platform() as platform:
        platform.relay.drain(datetime.now(UTC))
        before, rows = shown(graph), sent(platform)
    shutil.rmtree(graph.settings.dagster_home)
    asked = []
    for sensor in (video_events, processed_videos):
        ticking = Ticking(graph.settings, sensor)
        try:
            asked += [request.partition_key for request in ticking.tick().run_requests or []]
            assert ticking.letters() == []
        finally:
            ticking.close()
    assert ids["deleted"] not in asked
    assert asked.count(ids["ready"]) > 1
    assert states(graph.run(ids["ready"], job=PROCESS_VIDEO)) == dict.fromkeys([asset for asset in ASSETS if asset not in IN_WORDS], "reused")
    with graph.platform() as platform:
        assert sent(platform) == rows
    after = shown(graph)
    assert (after["alerts"], after["rules"]) == (before["alerts"], before["rules"])


def test_without_copies_the_manifests_tell_what_they_know(lived):
    graph, ids = lived
    before = shown(graph)
    with graph.platform() as platform:
        platform.store.delete([layout.record_key(video_id) for video_id in ids.values()])
    lose_the_database(graph)
    with graph.platform() as platform:
        found = rebuilding.rebuild(platform.db, platform.store)
        assert (found.from_manifests, sorted(found.bare)) == ([ids["ready"]], sorted([ids["failed"], ids["waiting"]]))
        record = videos.get(platform.db, ids["ready"])
        assert (record.state, record.camera, record.recorded_at, record.duration_s) == (VideoState.READY, "gate", NOW, 30.0)
        active = [row for row in before["alerts"] if row["lifecycle"] == "active"]
        columns = ("id", "camera", "rule", "kind", "severity", "track_ids", "snapshot", "clip", "start_time")
        with platform.db.read() as connection:
            rows = connection.execute(sa.select(alerts).order_by(alerts.c.id)).all()
        assert [[row._asdict()[name] for name in columns] for row in rows] == [[row[name] for name in columns] for row in active]
    assert states(graph.run(ids["ready"])) == dict.fromkeys(ASSETS, "reused")
    with graph.platform() as platform:
        assert sent(platform) == []


def test_a_copy_that_cannot_be_read_is_named_and_the_others_come_back(lived, monkeypatch, capsys):
    graph, ids = lived
    with graph.platform() as platform:
        other = platform.store.get_bytes(layout.record_key(ids["failed"]))
        platform.store.put_bytes(layout.record_key(ids["ready"]), other, media_type="application/json")
        platform.store.put_bytes(layout.record_key(ids["waiting"]), b"{", media_type="application/json")
    lose_the_database(graph)
    status, found = vp(monkeypatch, capsys, graph)
    assert status == 1
    assert set(found["unreadable"]) == {ids["ready"], ids["waiting"]}
    assert ids["failed"] in found["unreadable"][ids["ready"]]
    assert found["videos"] == [ids["failed"]]


def test_what_a_kill_left_out_is_kept_by_reconcile(lived):
    graph, _ = lived
    with graph.platform() as platform:
        before = {info.key for info in platform.store.list("") if info.key.endswith("record.json") or info.key.startswith("records/")}
        platform.store.delete(before)
        with platform.db.write() as connection:
            connection.execute(sa.update(table).values(kept_at=None, updated_at=NOW))
    ticking = Ticking(graph.settings, reconcile)
    try:
        ticking.tick()
    finally:
        ticking.close()
    with graph.platform() as platform:
        assert {info.key for info in platform.store.list("") if info.key.endswith("record.json") or info.key.startswith("records/")} == before
