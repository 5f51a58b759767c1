"""The read side: pages, one video, Dagster's part of it, and forgetting a video."""

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from seeded import NOW, ingest, open_home, process, store_file, store_manifest

from video_platform import layout
from video_platform.catalog import Catalog
from video_platform.errors import IntegrityError, NotFound, VideoDeleted
from video_platform.platform import Platform
from video_platform.records import Lifecycle, Severity, VideoState
from video_platform.services.database import tables

Home = tuple[Platform, Catalog]
FIRST_PAGE_S = 0.5
"""The product's bound for the first page with 20,000 videos."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    platform, catalog = open_home(tmp_path)
    yield platform, catalog
    catalog.close()
    platform.close()


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """A real instance in the home; runs are queued and, with no daemon, stay so."""
    folder = home[0].settings.dagster_home
    folder.mkdir(parents=True)
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\nrun_coordinator: {module: dagster.core.run_coordinator, class: QueuedRunCoordinator}\n")
    with dg.DagsterInstance.from_config(str(folder)) as found:
        yield found


def materialise(instance: dg.DagsterInstance, video_id: str, *, reused: bool = False) -> str:
    """Let a real run of two of our assets make the partition; its id."""
    partitions = dg.DynamicPartitionsDefinition(name="videos")

    @dg.asset(name=layout.RAW_VIDEO, partitions_def=partitions)
    def raw_video() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"reused": dg.MetadataValue.bool(reused)})

    @dg.asset(name=layout.TRACKS, partitions_def=partitions, deps=[raw_video])
    def tracks() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"reused": dg.MetadataValue.bool(reused)})

    instance.add_dynamic_partitions("videos", [video_id])
    result = dg.materialize([raw_video, tracks], instance=instance, partition_key=video_id)
    assert result.success
    return result.run_id


def test_importing_the_catalogue_does_not_import_dagster():
    import subprocess

    code = "import sys, video_platform.catalog, video_platform.exports; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[1]).returncode == 0


def test_a_page_is_newest_first_with_what_people_look_for(home, tmp_path):
    platform, catalog = home
    first, second = ingest(platform, tmp_path, name="first.mp4"), ingest(platform, tmp_path, name="second.mp4", camera="yard")
    process(platform, first, tmp_path)
    page = catalog.videos()
    assert (page.total, [card.record.video_id for card in page.items]) == (2, [second.video_id, first.video_id])
    card = page.items[1]
    assert (card.title, card.alerts) == ("A person walks", {Severity.CRITICAL: 1})
    assert card.thumbnail == catalog.manifest(first.video_id, layout.PROCESSED_VIDEO).file("poster").key
    assert [card.record.original_name for card in catalog.videos(state=VideoState.READY).items] == ["first.mp4"]
    assert [card.record.original_name for card in catalog.videos(state=[VideoState.READY, VideoState.RECEIVED], camera="yard").items] == ["second.mp4"]
    assert [card.record.original_name for card in catalog.videos(text="FIRST gate").items] == ["first.mp4"]
    assert catalog.cameras() == ["gate", "yard"]


def test_the_first_page_of_twenty_thousand_videos_comes_at_once(home):
    platform, catalog = home
    rows = [
        {
            "video_id": f"{n:016x}",
            "sha256": f"{n:064x}",
            "original_name": f"clip {n}.mp4",
            "camera": f"cam-{n % 40}",
            "recorded_at": NOW,
            "size_bytes": 1000,
            "media_type": "video/mp4",
            "object_key": f"videos/{n:016x}/raw_video/{n:064x}.mp4",
            "lane": "live",
            "generation": 1,
            "state": "ready",
            "title": f"Clip {n}",
            "thumbnail": f"videos/{n:016x}/scenes/{n:064x}.jpg",
            "ingested_at": NOW + timedelta(seconds=n),
            "updated_at": NOW,
        }
        for n in range(20_000)
    ]
    with platform.db.write() as connection:
        connection.execute(sa.insert(tables.videos), rows)
    catalog.videos()
    taken = []
    for _ in range(5):
        begin = time.perf_counter()
        page = catalog.videos(limit=50)
        taken.append(time.perf_counter() - begin)
    assert (page.total, page.items[0].record.original_name) == (20_000, "clip 19999.mp4")
    assert sorted(taken)[2] < FIRST_PAGE_S
    begin = time.perf_counter()
    assert catalog.videos(camera="cam-7", text="clip", limit=50, offset=400).total == 500
    assert time.perf_counter() - begin < 2 * FIRST_PAGE_S


def test_a_video_without_results_says_so(home, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    detail = catalog.video(record.video_id)
    assert [(view.name, view.manifest, view.run_id, view.reused) for view in detail.assets] == [(name, None, None, False) for name in layout.ASSETS]
    assert (detail.near_misses, detail.cannot_evaluate) == ([], [])
    assert (catalog.tracks(record.video_id), catalog.summary(record.video_id), catalog.scenes(record.video_id), catalog.runs(record.video_id)) == (
        None,
        None,
        [],
        [],
    )


def test_a_new_version_of_a_result_is_seen_at_once(home, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    process(platform, record, tmp_path, title="Before")
    assert catalog.summary(record.video_id).title == "Before"
    process(platform, record, tmp_path, title="After")
    assert catalog.summary(record.video_id).title == "After"
    assert catalog.videos().items[0].title == "After"


def test_a_damaged_manifest_hides_no_other_video(home, tmp_path):
    platform, catalog = home
    good, bad = ingest(platform, tmp_path, name="good.mp4"), ingest(platform, tmp_path, name="bad.mp4")
    for record in (good, bad):
        process(platform, record, tmp_path)
    platform.store.put_bytes(layout.manifest_key(bad.video_id, layout.TRACKS), b"{", media_type="application/json")
    assert catalog.videos().total == 2
    assert catalog.video(bad.video_id).asset(layout.TRACKS).manifest is None
    with pytest.raises(IntegrityError, match="process the video again"):
        catalog.tracks(bad.video_id)
    assert catalog.tracks(good.video_id) is not None


def test_what_is_not_there_is_told_from_what_was_deleted(home, tmp_path):
    platform, catalog = home
    for video_id in ("0123456789abcdef", "nobody", "../..", "", "A" * 16):
        with pytest.raises(NotFound):
            catalog.video(video_id)
    record = ingest(platform, tmp_path)
    platform.ingest.delete(record.video_id, "operator")
    with pytest.raises(VideoDeleted, match=r"was deleted on \d{4}-"):
        catalog.video(record.video_id)
    assert catalog.videos().total == 0
    assert catalog.videos(state=VideoState.DELETED).total == 1


def test_a_file_is_found_by_name_only_when_it_is_listed(home, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    listed = store_file(platform, record.video_id, layout.HIGHLIGHTS, "reel", b"reel", "mp4", "video/mp4")
    stray = store_file(platform, record.video_id, layout.HIGHLIGHTS, "reel", b"stray", "mp4", "video/mp4")
    store_manifest(platform, record.video_id, layout.HIGHLIGHTS, [listed])
    assert catalog.media_file(record.video_id, layout.HIGHLIGHTS, listed.name) == listed
    for name in (stray.name, "manifest.json", "../manifest.json", "", "x" * 500):
        with pytest.raises(NotFound):
            catalog.media_file(record.video_id, layout.HIGHLIGHTS, name)


def test_alerts(home, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    [alert_id] = process(platform, record, tmp_path)
    assert catalog.alert(alert_id).rule == "person"
    assert catalog.alerts(video_id=record.video_id, since=NOW, until=NOW + timedelta(seconds=1)).total == 1
    assert catalog.alerts(lifecycle=Lifecycle.SUPERSEDED).total == 0
    with pytest.raises(NotFound):
        catalog.alert("nobody")


def test_addresses_are_the_written_ones(home):
    platform, catalog = home
    assert catalog.run_url("r1") == "http://127.0.0.1:3000/runs/r1"
    path = platform.settings.home / "addresses.json"
    path.write_text(json.dumps({"web": "http://127.0.0.1:8502/", "dagster": "http://127.0.0.1:3001", "pid": 1}))
    assert (catalog.addresses().web, catalog.run_url("r1")) == ("http://127.0.0.1:8502", "http://127.0.0.1:3001/runs/r1")
    for broken in ("{", "[]", '{"dagster": 7}'):
        path.write_text(broken)
        assert catalog.addresses().dagster == "http://127.0.0.1:3000"


def test_dagster_says_which_run_made_or_confirmed_an_asset(home, instance, tmp_path):
    platform, catalog = home
    record, other = ingest(platform, tmp_path), ingest(platform, tmp_path, name="other.mp4")
    process(platform, record, tmp_path)
    materialise(instance, other.video_id)
    before = datetime.now(UTC)
    run_id = materialise(instance, record.video_id, reused=True)
    view = catalog.video(record.video_id).asset(layout.TRACKS)
    assert (view.run_id, view.reused) == (run_id, True)
    assert before <= view.materialised_at <= datetime.now(UTC)
    summary = catalog.video(record.video_id).asset(layout.LLM_SUMMARY)
    assert (summary.run_id, summary.reused, summary.materialised_at) == ("run-1", False, NOW)
    [run] = catalog.runs(record.video_id)
    assert (run.run_id, run.status, run.live) == (run_id, "success", False)
    assert run.created_at <= run.started_at <= run.ended_at


def test_a_broken_instance_takes_nothing_from_the_page(home, tmp_path, caplog):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    process(platform, record, tmp_path)
    platform.settings.dagster_home.mkdir(parents=True)
    (platform.settings.dagster_home / "dagster.yaml").write_text("storage: {nonsense: [")
    assert catalog.video(record.video_id).asset(layout.TRACKS).run_id == "run-1"
    assert catalog.runs(record.video_id) == []


def test_a_forgotten_video_has_no_run_no_partition_and_no_objects(home, instance, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    process(platform, record, tmp_path)
    materialise(instance, record.video_id)

    @dg.job(name="process_video")
    def waiting() -> None: ...

    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("video_platform.definitions"), "__repository__").get_job_origin("process_video")
    run = instance.create_run_for_job(waiting, tags={"dagster/partition": record.video_id}, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=origin)
    lost = instance.create_run_for_job(waiting, tags={"dagster/partition": record.video_id}, status=dg.DagsterRunStatus.STARTED)
    platform.ingest.delete(record.video_id, "operator")
    store_file(platform, record.video_id, layout.TRACKS, "tracks", b"late", "parquet", "application/vnd.apache.parquet")

    assert set(catalog.forget(record.video_id)) == {run.run_id, lost.run_id}
    statuses = {instance.get_run_by_id(each.run_id).status for each in (run, lost)}
    assert statuses == {dg.DagsterRunStatus.CANCELED}
    assert not instance.has_dynamic_partition("videos", record.video_id)
    assert list(platform.store.list(layout.video_prefix(record.video_id))) == []
    assert catalog.forget(record.video_id) == []


def test_forgetting_needs_no_dagster_and_spares_what_was_not_deleted(home, tmp_path):
    platform, catalog = home
    record = ingest(platform, tmp_path)
    process(platform, record, tmp_path)
    assert catalog.forget(record.video_id) == []
    assert catalog.tracks(record.video_id) is not None
    with pytest.raises(NotFound):
        catalog.forget("../..")
