"""What is old enough is forgotten, what is needed stays."""

import os
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from graphs import CROSSING, Graph, Ticking, states

from sensors import consuming, reconcile, upkeep
from video_platform import events
from video_platform.events import Message
from video_platform.layout import ASSETS
from video_platform.services.database.tables import videos as table
from video_platform.settings import RetentionSettings, Settings

TINY_DAYS = 1e-9
AT_ONCE = RetentionSettings(runs_days=2 * TINY_DAYS, events_days=TINY_DAYS)


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", retention=AT_ONCE)


@pytest.fixture
def sensor(ticking):
    return ticking(upkeep)


@dg.job
def nothing():
    pass


def ended(sensor, status=dg.DagsterRunStatus.SUCCESS):
    return sensor.instance.create_run_for_job(nothing, status=status).run_id


def read_until(sensor, name, position):
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")
    state = SensorInstigatorData(cursor=position.dump())
    sensor.instance.add_instigator_state(InstigatorState(repository.get_instigator_origin(name), InstigatorType.SENSOR, InstigatorStatus.RUNNING, state))


def test_nothing_young_is_forgotten(ticking, settings):
    sensor = Ticking(settings.model_copy(update={"retention": RetentionSettings()}), upkeep)
    run_id = ended(sensor)
    sensor.workplace.platform.log.append(events.TOPIC_ALERTS, [Message(b"k", b"v", ())])
    assert sensor.tick().skip_message == "nothing is old enough to be forgotten"
    assert sensor.instance.get_run_by_id(run_id) is not None
    assert sum(sensor.workplace.platform.log.begin_offsets(events.TOPIC_ALERTS).values()) == 0
    sensor.close()


def test_ended_runs_go_with_their_files_and_runs_under_way_stay(sensor, settings):
    storage = settings.dagster_home / "storage"
    gone = [ended(sensor, status) for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)]
    live = ended(sensor, dg.DagsterRunStatus.STARTED)
    for run_id in (*gone, live):
        sensor.instance.report_engine_event("hello", run_id=run_id, job_name="nothing")
    tick_log = storage / "__repository__" / "reconcile" / "1.err"
    tick_log.parent.mkdir(parents=True)
    tick_log.write_text("said")
    os.utime(tick_log, (0, 0))
    assert "3 runs" in sensor.tick().skip_message
    assert [run.run_id for run in sensor.instance.get_runs()] == [live]
    assert sensor.instance.all_logs(live)
    left = {path.name.partition(".")[0] for path in (settings.dagster_home / "history" / "runs").iterdir()}
    assert left.isdisjoint(gone)
    assert live in left
    assert not tick_log.exists()


def test_events_go_when_they_were_read(sensor):
    log = sensor.workplace.platform.log
    log.append(events.TOPIC_ALERTS, [Message(b"a", b"v", ())] * 3)
    log.append(events.TOPIC_VIDEO_EVENTS, [Message(b"a", b"v", ())] * 5)
    read = consuming.read(log, events.TOPIC_VIDEO_EVENTS, consuming.Position(), 2)
    read_until(sensor, "video_events", read.position)
    assert "5 events" in sensor.tick().skip_message
    assert sum(log.begin_offsets(events.TOPIC_ALERTS).values()) == 3
    assert sum(log.begin_offsets(events.TOPIC_VIDEO_EVENTS).values()) == 2
    following = consuming.read(log, events.TOPIC_VIDEO_EVENTS, read.position, 100)
    assert (len(following.records), following.gaps) == (3, [])


def test_what_dagster_forgot_with_a_run_is_reported_again_and_nothing_is_made(sensor, settings):
    graph = Graph(settings)
    with graph.platform() as platform:
        video_id = platform.ingest.ingest_path(CROSSING, camera="demo").video_id
    assert graph.run(video_id).success
    assert "1 runs" in sensor.tick().skip_message
    mending = Ticking(settings, reconcile)
    try:
        with mending.workplace.platform.db.write() as connection:
            connection.execute(sa.update(table).values(updated_at=datetime.now(UTC) - timedelta(hours=1)))
        result = mending.tick()
        assert {event.asset_key.path[-1] for event in result.asset_events} == set(ASSETS)
        assert not result.run_requests
    finally:
        mending.close()
    assert states(graph.run(video_id)) == dict.fromkeys(ASSETS, "reused")


def test_events_may_not_outlive_runs():
    with pytest.raises(ValueError, match="runs_days must be more than events_days"):
        RetentionSettings(runs_days=14, events_days=14)
