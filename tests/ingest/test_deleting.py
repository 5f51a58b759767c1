"""Deletion, whenever it is cut off."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from intake import MP4, NOW, announced, objects, with_alert

from video_platform import events, layout
from video_platform.errors import NotFound
from video_platform.ingest import Ingest
from video_platform.platform import Platform
from video_platform.records import Mark, VideoState
from video_platform.services.database import ledger, outbox, videos
from video_platform.services.database.tables import alerts, deliveries
from video_platform.units import MIB


class TestDeleting:
    def test_everything_goes_but_a_tombstone(self, platform: Platform, ingest: Ingest, footage) -> None:
        video_id = ingest.ingest_path(footage()).video_id
        platform.store.put_bytes(layout.manifest_key(video_id, layout.TRACKS), b"{}", media_type="application/json")
        ledger.mark(platform.db, with_alert(platform, video_id, channels=("ops",)), Mark.FALSE, "kim", NOW)
        assert outbox.pending(platform.db).notifications == 1
        events_before = len(announced(platform))
        deleted = ingest.delete(video_id, "kim", "asked by the neighbour")
        assert (deleted.objects, deleted.alerts, deleted.already) == (2, 1, False)
        assert objects(platform) == []
        assert videos.page(platform.db)[1] == 0
        assert ledger.page(platform.db)[1] == 0
        assert ledger.evaluated(platform.db, video_id, "alerts") is None
        assert outbox.pending(platform.db).notifications == 0
        assert len(announced(platform)) == events_before
        with platform.db.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one() == 0
            assert connection.execute(sa.select(sa.func.count()).select_from(alerts)).scalar_one() == 0
        stone = videos.tombstone(platform.db, video_id)
        assert stone is not None
        assert (stone.deleted_by, stone.reason) == ("kim", "asked by the neighbour")
        assert stone.objects_removed_at is not None
        assert ingest.delete(video_id, "lee").already
        assert videos.tombstone(platform.db, video_id) == stone

    def test_what_never_was(self, ingest: Ingest) -> None:
        with pytest.raises(NotFound):
            ingest.delete("f" * 16, "kim")

    def test_the_same_footage_comes_back_under_a_new_generation(self, platform: Platform, ingest: Ingest, footage) -> None:
        first = ingest.ingest_path(footage("a.mp4"), camera="gate", recorded_at=NOW)
        alert = with_alert(platform, first.video_id)
        ingest.delete(first.video_id, "kim")
        back = ingest.ingest_path(footage("b.mp4"))
        assert (back.created, back.record.generation, back.record.state) == (True, 2, VideoState.RECEIVED)
        assert (back.record.camera, back.record.original_name, back.record.recorded_at) == ("default", "b.mp4", None)
        assert videos.tombstone(platform.db, first.video_id) is None
        assert platform.store.stat(back.record.object_key).size_bytes == back.record.size_bytes
        assert with_alert(platform, first.video_id) != alert
        assert len({event.id for event in announced(platform) if event.type == events.ALERT_RAISED}) == 2

    @pytest.mark.parametrize("completed_by", ["finish_deletes", "delete", "ingest"])
    def test_a_killed_deletion_is_completed(self, platform: Platform, ingest: Ingest, footage, completed_by: str) -> None:
        video_id = ingest.ingest_path(footage()).video_id
        platform.store.put_bytes(layout.manifest_key(video_id, layout.TRACKS), b"old", media_type="application/json")

        class Cut:
            def delete_prefix(self, prefix: str) -> int:
                raise KeyboardInterrupt

            def __getattr__(self, name: str) -> object:
                return getattr(platform.store, name)

        with pytest.raises(KeyboardInterrupt):
            Ingest(platform.settings, platform.db, Cut()).delete(video_id, "kim")  # type: ignore[arg-type]
        assert len(objects(platform)) == 2
        if completed_by == "ingest":
            assert ingest.ingest_path(footage()).record.generation == 2
            assert len(objects(platform)) == 1  # the old manifest is gone, the footage is new
            return
        if completed_by == "delete":
            assert ingest.delete(video_id, "kim").objects == 2
        else:
            assert ingest.finish_deletes() == [video_id]
        assert objects(platform) == []
        assert ingest.finish_deletes() == []

    def test_deleting_and_taking_in_at_once_ends_whole(self, platform: Platform, ingest: Ingest, footage) -> None:
        path = footage(content=MP4 + os.urandom(4 * MIB))
        video_id = ingest.ingest_path(path).video_id

        def turn(number: int) -> None:
            if number % 2:
                ingest.ingest_path(path)
            else:
                ingest.delete(video_id, "kim")

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(turn, range(60)))
        record = videos.get(platform.db, video_id)
        assert record is not None
        if record.state is VideoState.DELETED:
            assert objects(platform) == []
        else:
            assert platform.store.stat(record.object_key).size_bytes == path.stat().st_size
