import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, JobFailureData

from sensors import cancelled_runs, failed_runs
from video_platform.events import TOPIC_VIDEO_EVENTS
from video_platform.pipeline.failures import CANCELLED, INTERRUPTED
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.resources import Desk, Workplace
from video_platform.records import VideoState
from video_platform.services.database import outbox, videos


@dg.op
def breaks():
    raise ValueError("the disk is on fire")


@dg.job(executor_def=dg.in_process_executor)
def broken():
    breaks()


QUEUED = dg.DagsterRunStatus.NOT_STARTED
"""As good as queued, and can be made without a code server."""

DESCRIBE = dg.GraphDefinition(name="describe_video", node_defs=[breaks]).to_job(name="describe_video")


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
    return instance.create_run_for_job(broken, status=status, tags={"dagster/partition": video_id, "dagster/max_retries": "0", **tags})


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


def test_a_run_of_a_backfill_that_began_in_the_moment_of_a_pause_was_interrupted(place, instance, video_id):
    run = made(instance, video_id, dg.DagsterRunStatus.CANCELED, **{"vp/taken-back": "true"})
    videos.started(place.platform.db, video_id, run.run_id, "one_pass")
    ended(cancelled_runs, place, instance, run, DagsterEventType.RUN_CANCELED)
    record = videos.get(place.platform.db, video_id)
    assert (record.state, record.failure_code) == (VideoState.FAILED, INTERRUPTED), "reconcile asks for it again, and no person has to"


def test_a_video_that_another_run_has_is_left_alone(place, instance, video_id):
    old = made(instance, video_id, dg.DagsterRunStatus.FAILURE)
    newer = made(instance, video_id, dg.DagsterRunStatus.STARTED)
    videos.started(place.platform.db, video_id, newer.run_id, "one_pass")
    ended(failed_runs, place, instance, old, DagsterEventType.RUN_FAILURE)
    assert videos.get(place.platform.db, video_id).state is VideoState.PROCESSING


def cancel(place, instance, run):
    """Cancels a run as the page of Dagster does, and lets the sensor hear of it."""
    instance.report_run_canceled(run)
    return ended(cancelled_runs, place, instance, instance.get_run_by_id(run.run_id), DagsterEventType.RUN_CANCELED)


def fail(instance, run):
    instance.report_run_failed(run)
    return instance.get_run_by_id(run.run_id)


def asked_again(place, video_id):
    """Asks for the video as `vp retry` does; the tag that the run of this request carries."""
    place.platform.ingest.retry(video_id)
    return {"vp/event": outbox.newest_event(place.platform.db, video_id, TOPIC_VIDEO_EVENTS)}


def state_of(place, video_id):
    record = videos.get(place.platform.db, video_id)
    return record.state, record.failure_code


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_video_that_was_asked_for_again_is_not_judged_by_its_old_run(place, instance, video_id, how):
    old = made(instance, video_id, dg.DagsterRunStatus.STARTED)
    videos.started(place.platform.db, video_id, old.run_id, "one_pass")
    videos.failed(place.platform.db, video_id, old.run_id, "WorkerCrashed", "the child died")
    asked_again(place, video_id)
    if how == "failed":
        ended(failed_runs, place, instance, fail(instance, old), DagsterEventType.RUN_FAILURE)
    else:
        cancel(place, instance, old)
    assert state_of(place, video_id) == (VideoState.RECEIVED, None)


def test_a_video_that_was_asked_for_while_its_run_was_cancelled_waits(place, instance, video_id):
    old = made(instance, video_id, dg.DagsterRunStatus.STARTED)
    videos.started(place.platform.db, video_id, old.run_id, "one_pass")
    tag = asked_again(place, video_id)
    cancel(place, instance, old)
    assert state_of(place, video_id) == (VideoState.RECEIVED, None)
    cancel(place, instance, made(instance, video_id, QUEUED, **tag))
    assert state_of(place, video_id) == (VideoState.FAILED, CANCELLED)


def test_a_run_that_waits_in_the_queue_is_cancelled_at_once_for_the_page(place, instance, video_id):
    old = fail(instance, made(instance, video_id, dg.DagsterRunStatus.STARTED))
    videos.failed(place.platform.db, video_id, old.run_id, "WorkerCrashed", "the child died")
    queued = made(instance, video_id, QUEUED, **asked_again(place, video_id))
    cancel(place, instance, queued)
    assert state_of(place, video_id) == (VideoState.FAILED, CANCELLED)
    assert videos.get(place.platform.db, video_id).run_id == queued.run_id, "the page links to the run that was cancelled"


def test_a_queued_retry_of_a_run_that_began_nothing_is_cancelled_at_once_for_the_page(place, instance, video_id):
    before = fail(instance, made(instance, video_id, dg.DagsterRunStatus.STARTED))
    videos.failed(place.platform.db, video_id, before.run_id, "WorkerCrashed", "the child died")
    tag = asked_again(place, video_id)
    died = fail(instance, made(instance, video_id, dg.DagsterRunStatus.STARTED, **tag, **{"dagster/will_retry": "true"}))
    family = {"dagster/parent_run_id": died.run_id, "dagster/root_run_id": died.run_id, "dagster/retry_number": "1"}
    cancel(place, instance, made(instance, video_id, QUEUED, **tag, **family))
    assert state_of(place, video_id) == (VideoState.FAILED, CANCELLED)


def test_the_run_that_ended_last_has_the_word_whichever_is_heard_first(place, instance, video_id):
    old = made(instance, video_id, dg.DagsterRunStatus.STARTED)
    videos.started(place.platform.db, video_id, old.run_id, "one_pass")
    queued = made(instance, video_id, QUEUED, **asked_again(place, video_id))
    old = fail(instance, old)
    instance.report_run_canceled(queued)
    ended(failed_runs, place, instance, old, DagsterEventType.RUN_FAILURE)
    assert state_of(place, video_id) == (VideoState.PROCESSING, None)
    ended(cancelled_runs, place, instance, instance.get_run_by_id(queued.run_id), DagsterEventType.RUN_CANCELED)
    assert state_of(place, video_id) == (VideoState.FAILED, CANCELLED)


def test_a_summary_that_waits_does_not_hold_back_the_word(place, instance, video_id):
    run = made(instance, video_id, dg.DagsterRunStatus.STARTED)
    videos.started(place.platform.db, video_id, run.run_id, "one_pass")
    instance.create_run_for_job(DESCRIBE, status=QUEUED, tags={"dagster/partition": video_id})
    cancel(place, instance, run)
    assert state_of(place, video_id) == (VideoState.FAILED, CANCELLED)


def describing(instance, video_id, status=dg.DagsterRunStatus.STARTED, **more):
    return instance.create_run_for_job(DESCRIBE, status=status, tags={"dagster/partition": video_id, "dagster/max_retries": "0", **more})


def test_a_summary_whose_run_was_killed_or_cancelled_is_known_to_have_failed(place, instance, video_id):
    ended(failed_runs, place, instance, fail(instance, describing(instance, video_id)), DagsterEventType.RUN_FAILURE)
    record = videos.get(place.platform.db, video_id)
    assert (record.state, record.summary_failure_code) == (VideoState.RECEIVED, INTERRUPTED)
    videos.described(place.platform.db, video_id, "A title")
    cancel(place, instance, describing(instance, video_id, QUEUED))
    assert videos.get(place.platform.db, video_id).summary_failure_code == CANCELLED


def test_what_the_step_said_of_the_summary_stays(place, instance, video_id):
    run = describing(instance, video_id)
    videos.summary_failed(place.platform.db, video_id, "InvalidResult", "no title")
    ended(failed_runs, place, instance, fail(instance, run), DagsterEventType.RUN_FAILURE)
    assert videos.get(place.platform.db, video_id).summary_failure_code == "InvalidResult"


def test_a_summary_that_was_written_since_did_not_fail(place, instance, video_id):
    killed = fail(instance, describing(instance, video_id))
    later = describing(instance, video_id)
    instance.report_dagster_event(DagsterEvent("PIPELINE_SUCCESS", later.job_name), later.run_id)
    ended(failed_runs, place, instance, killed, DagsterEventType.RUN_FAILURE)
    assert videos.get(place.platform.db, video_id).summary_failure_code is None


def tick(place, instance, cursor):
    """A tick of the sensor as Dagster's daemon has it."""
    context = dg.build_sensor_context(instance, cursor, sensor_name=failed_runs.name, resources={"desk": Desk(place, None, False)})
    return failed_runs.evaluate_tick(context)


def test_runs_that_died_together_are_judged_in_one_tick(place, instance, video_id):
    begin = tick(place, instance, None).cursor
    ours = fail(instance, made(instance, video_id, dg.DagsterRunStatus.STARTED))
    strangers = [fail(instance, instance.create_run_for_job(broken, status=dg.DagsterRunStatus.STARTED)) for _ in range(2)]
    judged = tick(place, instance, begin)
    assert [each.dagster_run.run_id for each in judged.dagster_run_reactions] == [run.run_id for run in (ours, *strangers)]
    assert not [each.error for each in judged.dagster_run_reactions if each.error]
    assert videos.get(place.platform.db, video_id).failure_code == INTERRUPTED
    assert tick(place, instance, judged.cursor).dagster_run_reactions == []
