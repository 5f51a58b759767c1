import os
import shutil
from datetime import UTC, datetime

import dagster as dg
import sqlalchemy as sa
from reconciling import footage, requests
from stack import embedded_only

from video_platform import layout
from video_platform.services.database import videos
from video_platform.services.database.tables import videos as table


def test_a_deleted_video_loses_its_partition_and_its_objects(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    sensor.instance.add_dynamic_partitions("videos", [video_id])
    key = videos.get(platform.db, video_id).object_key
    platform.ingest.delete(video_id, "test")
    platform.store.put_bytes(key, b"left by a kill", media_type="video/mp4")
    with platform.db.write() as connection:
        connection.execute(sa.update(table).where(table.c.video_id == video_id).values(objects_removed_at=None))
    result = sensor.tick()
    assert [list(request.partition_keys) for request in result.dynamic_partitions_requests] == [[video_id]]
    assert list(platform.store.list(layout.video_prefix(video_id))) == []


def test_what_a_dying_run_wrote_after_the_deletion_goes_with_the_partition(sensor, platform, tmp_path):
    video_id = footage(platform, tmp_path)
    sensor.instance.add_dynamic_partitions("videos", [video_id])
    platform.ingest.delete(video_id, "test")
    platform.store.put_bytes(layout.manifest_key(video_id, layout.TRACKS), b"{}", media_type="application/json")
    sensor.tick()
    assert list(platform.store.list(layout.video_prefix(video_id))) == []


@embedded_only
def test_footage_without_a_row_is_taken_up(sensor, platform, tmp_path, settings):
    video_id = footage(platform, tmp_path)
    key = videos.get(platform.db, video_id).object_key
    with platform.db.write() as connection:
        connection.execute(sa.delete(table))
    platform.store.delete([layout.record_key(video_id)])
    path = platform.store.local_path(key)
    old = datetime.now(UTC).timestamp() - 3600
    path.chmod(0o644)
    os.utime(path, (old, old))
    for _ in range(256):
        sensor.tick()
        if videos.get(platform.db, video_id) is not None:
            break
    assert [event.subject for event in requests(platform)] == [video_id]


def test_scratch_of_ended_runs_goes(sensor, settings):
    @dg.job
    def nothing():
        pass

    ended = sensor.instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.FAILURE)
    live = sensor.instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    for run in (ended, live):
        (settings.scratch / run.run_id).mkdir(parents=True)
    sensor.tick()
    assert [entry.name for entry in settings.scratch.iterdir()] == [live.run_id]
    shutil.rmtree(settings.scratch)
