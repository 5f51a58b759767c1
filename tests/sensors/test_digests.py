"""Digests of days: a late video has only its own day made again, and footage of an unknown time none."""

from datetime import UTC, date, datetime, timedelta

import av
import clips
import dagster as dg
import pytest
import seeded
from dagster._core.storage.tags import RUN_KEY_TAG
from graphs import Ticking
from staleness import stale_day

from sensors import digests_sensor
from sensors.digests import AGAIN_AFTER, AT_MOST_EVERY, QUIET, look
from video_platform import digests, reels
from video_platform.access import Person, Role
from video_platform.definitions import build
from video_platform.errors import NotFound, ObjectNotFound
from video_platform.pipeline.jobs import MAKE_DIGEST
from video_platform.pipeline.resources import Desk, Workplace
from video_platform.records import Episode, Lane, Severity
from video_platform.services.database import digests as rows
from video_platform.services.database import ledger
from video_platform.settings import RecordingSettings, Settings

MONDAY = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def at(tmp_path):
    """The sensor of a home whose days are those of UTC, ticked by hand."""
    settings = Settings(home=tmp_path / "home", recording=RecordingSettings(timezone="UTC"))
    ticking = Ticking(settings, digests_sensor)
    yield ticking
    ticking.close()


def bring(at, folder, name, recorded_at, camera="gate", **more):
    """One processed video."""
    platform = at.workplace.platform
    record = seeded.ingest(platform, folder, name=name, camera=camera, recorded_at=recorded_at)
    seeded.process(platform, record, folder, **more)
    return record.video_id


def tick(at, now, *, keys=None, succeeds=True):
    """One tick at `now`; the days it asks for, made here as the daemon would have them made. The keys of the runs go into `keys`."""
    with dg.build_sensor_context(instance=at.instance, cursor=at.cursor) as context:
        result = look(context, Desk(at.workplace, None, force=False), now)
    at.cursor = result.cursor
    for request in result.dynamic_partitions_requests or []:
        at.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    for event in result.asset_events:
        at.instance.report_runless_asset_event(event)
    for request in result.run_requests or []:
        workplace = Workplace(at.workplace.settings)
        job = build(workplace).resolve_job_def(MAKE_DIGEST)
        made = job.execute_in_process(instance=at.instance, partition_key=request.partition_key, tags=request.tags, raise_on_error=False)
        assert made.success == succeeds
        if keys is not None:
            keys.append(request.run_key)
        workplace.close()
    return [request.partition_key for request in result.run_requests or []]


def test_a_late_video_has_only_its_own_day_made_again(at, tmp_path):
    db, store = at.workplace.platform.db, at.workplace.platform.store
    bring(at, tmp_path, "a.mp4", MONDAY)
    bring(at, tmp_path, "b.mp4", MONDAY + timedelta(days=1))
    bring(at, tmp_path, "unknown.mp4", None)
    now = datetime.now(UTC)
    assert tick(at, now) == [], "something just changed, and may change again"
    later = now + QUIET
    assert sorted(tick(at, later)) == ["2026-11-23", "2026-11-24"]
    assert tick(at, later + QUIET) == []
    monday = digests.read(db, store, MONDAY.date())
    assert monday.day.current
    (gate,) = monday.digest.cameras
    assert (gate.camera, gate.videos, gate.objects, gate.alerts) == ("gate", 1, {"person": 1, "bicycle": 1}, {"person": 1})
    assert stale_day(at.instance, "2026-11-23") == stale_day(at.instance, "2026-11-24") == []
    bring(at, tmp_path, "late.mp4", MONDAY + timedelta(hours=2))
    tick(at, later + 2 * QUIET)
    assert not digests.read(db, store, MONDAY.date()).day.current
    assert digests.read(db, store, date(2026, 11, 24)).day.current
    assert stale_day(at.instance, "2026-11-23") == ["footage_of_the_day"]
    assert stale_day(at.instance, "2026-11-24") == []
    assert tick(at, later + 3 * QUIET) == ["2026-11-23"]
    (gate,) = digests.read(db, store, MONDAY.date()).digest.cameras
    assert (gate.videos, len(gate.gaps)) == (2, 1)
    assert stale_day(at.instance, "2026-11-23") == []


def test_a_corrected_recording_time_moves_a_video_from_day_to_day(at, tmp_path):
    platform = at.workplace.platform
    moved = bring(at, tmp_path, "a.mp4", MONDAY)
    bring(at, tmp_path, "b.mp4", MONDAY)
    now = datetime.now(UTC)
    tick(at, now)
    assert tick(at, now + QUIET) == ["2026-11-23"]
    platform.ingest.correct(moved, recorded_at=MONDAY - timedelta(days=3))
    tick(at, now + 2 * QUIET)
    assert sorted(tick(at, now + 3 * QUIET)) == ["2026-11-20", "2026-11-23"]
    platform.ingest.delete(moved, "test")
    tick(at, now + 4 * QUIET)
    assert rows.get(platform.db, date(2026, 11, 20)) is None
    with pytest.raises(NotFound, match="nothing was recorded"):
        digests.read(platform.db, platform.store, date(2026, 11, 20))


def test_a_day_has_a_reel_of_all_its_cameras_for_who_may_see_them_all(at, tmp_path):
    platform = at.workplace.platform
    footage = {
        camera: clips.make(tmp_path / f"{camera}.mp4", size=size, frames=120, audio="aac") for camera, size in (("gate", (320, 180)), ("yard", (160, 240)))
    }
    ids = {
        camera: bring(at, tmp_path, f"{camera}.mp4", MONDAY + timedelta(minutes=minute), camera, media=footage[camera].path.read_bytes())
        for minute, camera in enumerate(footage)
    }
    now = datetime.now(UTC)
    tick(at, now)
    assert tick(at, now + QUIET) == ["2026-11-23"]
    day = MONDAY.date()
    manifest = digests.manifest(platform.store, day)
    assert {entry.role for entry in manifest.files} == {"digest", "reel", "pieces", "chapters"}
    assert (manifest.degraded, manifest.verdict.notes) == (None, [])
    reel = reels.of_day(platform.db, platform.store, day)
    assert [(piece.video_id, piece.camera) for piece in reel.pieces] == [(ids["gate"], "gate"), (ids["yard"], "yard")]
    assert [piece.title for piece in reel.pieces] == ["10:00:00 gate: person", "10:01:00 yard: person"]
    assert reel.seconds == pytest.approx(sum(piece.end_s - piece.at_s for piece in reel.pieces), abs=0.1)
    with av.open(str(platform.store.local_path(reel.film.key))) as film:
        video, audio = film.streams.video[0], film.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt, audio.codec_context.name) == ("h264", "yuv420p", "aac")
        assert [chapter["metadata"]["title"] for chapter in film.chapters()] == [piece.title for piece in reel.pieces]
        assert film.duration / 1e6 <= at.workplace.settings.reels.day_max_s
    guest = Person("guest", Role.VIEWER, ("gate",))
    assert [camera.camera for camera in digests.read(platform.db, platform.store, day, guest).digest.cameras] == ["gate"]
    assert reels.of_day(platform.db, platform.store, day, guest) is None
    with pytest.raises(NotFound):
        reels.file_of_day(platform.db, platform.store, day, reel.film.name, guest)
    assert reels.file_of_day(platform.db, platform.store, day, reel.film.name) == reel.film
    bring(at, tmp_path, "broken.mp4", MONDAY + timedelta(hours=1), media=b"no video at all" * 100)
    tick(at, now + 2 * QUIET)
    assert tick(at, now + 3 * QUIET) == ["2026-11-23"]
    after = digests.manifest(platform.store, day)
    assert after.facts["videos"] == 3
    assert [piece.title for piece in reels.of_day(platform.db, platform.store, day).pieces] == [piece.title for piece in reel.pieces]
    assert any("11:00:00 gate: person" in note for note in after.verdict.notes), "what could not be shown is said"
    platform.ingest.correct(ids["yard"], camera="vault")
    assert reels.of_day(platform.db, platform.store, day, Person("guest", Role.VIEWER, ("gate", "yard"))) is None, "the cameras of now count"
    platform.ingest.delete(ids["yard"], "test")
    assert reels.of_day(platform.db, platform.store, day) is None, "nothing shows a deleted video"
    with pytest.raises(ObjectNotFound):
        platform.store.stat(reel.film.key)
    tick(at, now + 4 * QUIET)
    assert tick(at, now + 5 * QUIET) == ["2026-11-23"]
    assert [piece.video_id for piece in reels.of_day(platform.db, platform.store, day).pieces] == [ids["gate"]]


def test_a_day_whose_video_is_judged_otherwise_is_made_again(at, tmp_path):
    """Rules were promoted: the tracks are the same, the alerts are not."""
    db, store = at.workplace.platform.db, at.workplace.platform.store
    video_id = bring(at, tmp_path, "a.mp4", MONDAY)
    now = datetime.now(UTC)
    tick(at, now)
    assert tick(at, now + QUIET) == ["2026-11-23"]
    facts, judged = (
        {"person": (Severity.INFO, ()), "said": (Severity.INFO, ())},
        (("alerts", []), ("described_alerts", [Episode("said", "says", 1, 2, (), None, 1)])),
    )
    for count, (asset, found) in enumerate(judged, 1):
        tracks_hash = rows.judged(db)[0].tracks_hash
        ledger.reconcile(db, ledger.EvaluationInput(video_id, asset, "f2", asset, tracks_hash, "2", found, facts, Lane.BACKFILL, None, now, "2"))
        tick(at, now + 2 * count * QUIET)
        assert tick(at, now + (2 * count + 1) * QUIET) == ["2026-11-23"]
        assert digests.read(db, store, MONDAY.date()).digest.cameras[0].alerts == {each.rule: 1 for each in found}


def test_a_camera_whose_clock_has_another_zone_has_its_days_made_again(at, tmp_path):
    """The strip below the pictures of a reel tells the time by it."""
    bring(at, tmp_path, "a.mp4", MONDAY)
    bring(at, tmp_path, "b.mp4", MONDAY + timedelta(days=1), "yard")
    now = datetime.now(UTC)
    tick(at, now)
    assert len(tick(at, now + QUIET)) == 2
    at.workplace.settings = at.workplace.settings.model_copy(update={"recording": RecordingSettings(timezone="UTC", timezones=(("gate", "Asia/Tokyo"),))})
    tick(at, now + 2 * QUIET)
    assert tick(at, now + 3 * QUIET) == ["2026-11-23"]


def test_a_day_that_goes_on_is_not_made_for_every_file(at, tmp_path):
    now = datetime.now(UTC).replace(hour=12, minute=0)
    bring(at, tmp_path, "a.mp4", now - timedelta(hours=1))
    began = datetime.now(UTC)
    tick(at, began)
    today = [f"{now:%Y-%m-%d}"]
    assert tick(at, began + QUIET) == today
    made_at = rows.get(at.workplace.platform.db, now.date()).made_at
    bring(at, tmp_path, "b.mp4", now - timedelta(minutes=30))
    tick(at, datetime.now(UTC))
    assert tick(at, min(made_at + AT_MOST_EVERY - timedelta(seconds=1), datetime.now(UTC).replace(hour=23, minute=59))) == []
    assert tick(at, made_at + AT_MOST_EVERY) == today


def test_a_day_that_becomes_what_it_was_before_is_made_again_under_another_key(at, tmp_path):
    """As after rules that are promoted and rolled back: Dagster makes no second run of one key."""
    platform, keys = at.workplace.platform, []
    now = datetime.now(UTC)
    video_id = bring(at, tmp_path, "a.mp4", MONDAY)
    fingerprints = []
    for minutes, recorded_at in ((0, MONDAY), (10, MONDAY + timedelta(hours=1)), (20, MONDAY)):
        if minutes:
            platform.ingest.correct(video_id, recorded_at=recorded_at)
        tick(at, now + timedelta(minutes=minutes), keys=keys)
        assert tick(at, now + timedelta(minutes=minutes) + QUIET, keys=keys) == ["2026-11-23"]
        fingerprints.append(rows.get(platform.db, MONDAY.date()).made)
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]
    assert len(set(keys)) == 3


def test_a_day_whose_first_runs_are_forgotten_is_asked_for_under_a_key_that_no_run_has(at, tmp_path):
    def asked(now):
        with dg.build_sensor_context(instance=at.instance, cursor=at.cursor) as context:
            (request,) = look(context, Desk(at.workplace, None, force=False), now).run_requests
        return request

    bring(at, tmp_path, "a.mp4", MONDAY)
    tick(at, datetime.now(UTC))
    first = asked(datetime.now(UTC) + QUIET)
    job = build(at.workplace).resolve_job_def(MAKE_DIGEST)
    left = [f"{first.run_key.removesuffix('0')}{number}" for number in (1, 2)]
    for key in left:
        at.instance.create_run_for_job(job, tags={**first.tags, RUN_KEY_TAG: key}, status=dg.DagsterRunStatus.FAILURE)
    assert asked(datetime.now(UTC) + AGAIN_AFTER).run_key not in left


def test_a_day_whose_run_fails_is_asked_for_again_later(at, tmp_path, monkeypatch):
    from video_platform.analysis import digest

    def full(*given):
        raise OSError(28, "No space left on device")

    now, keys = datetime.now(UTC), []
    bring(at, tmp_path, "a.mp4", MONDAY)
    tick(at, now, keys=keys)
    with monkeypatch.context() as patched:
        patched.setattr(digest, "compose", full)
        assert tick(at, now + QUIET, keys=keys, succeeds=False) == ["2026-11-23"]
    assert tick(at, datetime.now(UTC) + AGAIN_AFTER - timedelta(minutes=1), keys=keys) == []
    assert tick(at, datetime.now(UTC) + AGAIN_AFTER, keys=keys) == ["2026-11-23"]
    assert len(set(keys)) == 2
    assert rows.get(at.workplace.platform.db, MONDAY.date()).current
