import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, JobFailureData

from sensors import cancelled_runs, failed_runs
from video_platform.pipeline.failures import CANCELLED, INTERRUPTED
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.resources import Desk, Workplace
from video_platform.records import VideoState
from video_platform.services.database import videos


@dg.op
def breaks():
    raise ValueError("the disk is on fire")


@dg.job(executor_def=dg.in_process_executor)
def broken():
    breaks()


@pytest.fixture
def place(settings):
    workplace = Workplace(settings)
    yield workplace
    workplace.close()


@pytest.fixture
def instance(settings):
    with open_instance(settings) as opened:
        yield opened


@pytest.fixture
def video_id(place, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"footage")
    return place.platform.ingest.ingest_path(path, announce=False).video_id


def ended(sensor, place, instance, run, event_type):
    event = DagsterEvent(event_type.value, run.job_name, event_specific_data=JobFailureData(None) if event_type is DagsterEventType.RUN_FAILURE else None)
    context = dg.build_run_status_sensor_context("test", event, instance, run, resources={"desk": Desk(place, None, False)})
    return sensor(context)


def made(instance, video_id, status, **tags):
    return instance.create_run_for_job(broken, status=status, tags={"dagster/partition": video_id, **tags})


def test_a_killed_run_leaves_an_interrupted_video(place, instance, video_id):
    run = made(instance, video_id, dg.DagsterRunStatus.FAILURE)
    videos.started(place.platform.db, video_id, run.run_id, "one_pass")
    ended(failed_runs, place, instance, run, DagsterEventType.RUN_FAILURE)
    record = videos.get(place.platform.db, video_id)
    assert (record.state, record.failure_code) == (VideoState.FAILED, INTERRUPTED)


def test_a_run_that_is_retried_changes_nothing(place, instance, video_id):
    run = made(instance, video_id, dg.DagsterRunStatus.FAILURE, **{"dagster/will_retry": "true"})
    videos.started(place.platform.db, video_id, run.run_id, "one_pass")
    ended(failed_runs, place, instance, run, DagsterEventType.RUN_FAILURE)
    assert videos.get(place.platform.db, video_id).state is VideoState.PROCESSING


def test_what_the_step_said_stays(place, instance, video_id):
    run = made(instance, video_id, dg.DagsterRunStatus.FAILURE)
    videos.failed(place.platform.db, video_id, run.run_id, "not_a_video", "This file is not a video.")
    ended(failed_runs, place, instance, run, DagsterEventType.RUN_FAILURE)
    assert videos.get(place.platform.db, video_id).failure_code == "not_a_video"


def test_a_step_that_failed_before_it_could_say_so_is_named(place, instance, video_id):
    result = broken.execute_in_process(instance=instance, raise_on_error=False, tags={"dagster/partition": video_id})
    run = instance.get_run_by_id(result.run_id)
    videos.started(place.platform.db, video_id, run.run_id, "breaks")
    ended(failed_runs, place, instance, run, DagsterEventType.RUN_FAILURE)
    record = videos.get(place.platform.db, video_id)
    assert record.failure_code == "StepFailed"
    assert "breaks" in record.failure_message


def test_a_cancelled_run_says_what_to_do(place, instance, video_id):
    run = made(instance, video_id, dg.DagsterRunStatus.CANCELED)
    videos.started(place.platform.db, video_id, run.run_id, "one_pass")
    ended(cancelled_runs, place, instance, run, DagsterEventType.RUN_CANCELED)
    record = videos.get(place.platform.db, video_id)
    assert record.failure_code == CANCELLED
    assert "process again" in record.failure_message


def test_a_video_that_another_run_has_is_left_alone(place, instance, video_id):
    old = made(instance, video_id, dg.DagsterRunStatus.FAILURE)
    newer = made(instance, video_id, dg.DagsterRunStatus.STARTED)
    videos.started(place.platform.db, video_id, newer.run_id, "one_pass")
    ended(failed_runs, place, instance, old, DagsterEventType.RUN_FAILURE)
    assert videos.get(place.platform.db, video_id).state is VideoState.PROCESSING


def test_a_run_without_a_video_is_not_ours(place, instance):
    run = instance.create_run_for_job(broken, status=dg.DagsterRunStatus.FAILURE)
    assert isinstance(ended(failed_runs, place, instance, run, DagsterEventType.RUN_FAILURE), dg.SkipReason)
