"""The output of runs in an S3 store: written by one process's instance, read on Dagster's page by another that shares no file with it."""

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.schema import create_schema

from video_platform import settings as configuration
from video_platform.layout import BUCKET, RUN_LOGS
from video_platform.pipeline import instance
from video_platform.services.s3_store import S3Store

pytestmark = pytest.mark.s3

READ = "query($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }"


@dg.op
def speak(context):
    print("said on standard output")
    context.log.info("said in the log")


@dg.op
def silent():
    pass


@dg.job(executor_def=dg.in_process_executor)
def speaking():
    speak()
    silent()


@pytest.fixture
def open_home(s3_server, monkeypatch, tmp_path):
    """An instance of its own per home, over one store."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VIDEO_PLATFORM_RUNS__LOGS", "objects")
    opened = []

    def open_one(name: str) -> dg.DagsterInstance:
        home = tmp_path / name
        monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(home))
        monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
        loaded = configuration.load()
        S3Store(loaded.objects).check()
        folder = instance.write_instance(loaded)
        opened.append(dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder))))
        return opened[-1]

    yield open_one
    for each in opened:
        each.dispose()


def log_key(ran: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> list[str]:
    captured = next(event for event in result.all_events if event.event_type_value == "LOGS_CAPTURED")
    return list(ran.compute_log_manager.build_log_key_for_run(result.run_id, captured.event_specific_data.file_key))


def test_output_is_read_on_another_machine(open_home, s3_server):
    ran = open_home("runs")
    result = speaking.execute_in_process(instance=ran)
    key = log_key(ran, result)
    elsewhere = open_home("page")
    with WorkspaceProcessContext(elsewhere, EmptyWorkspaceTarget()) as process:
        answer = create_schema().execute(READ, variables={"key": key}, context_value=process.create_request_context())
    assert answer.errors is None
    assert "said on standard output" in answer.data["capturedLogs"]["stdout"]
    assert "said in the log" in answer.data["capturedLogs"]["stderr"]
    objects = [each.key for each in S3Store(configuration.load().objects).list("")]
    assert any(each.startswith(f"{RUN_LOGS}/storage/{result.run_id}/") for each in objects)


def test_neither_keys_nor_addresses_stand_in_dagsters_file(open_home, s3_server):
    open_home("runs")
    text = (configuration.load().dagster_home / "dagster.yaml").read_text()
    assert "object_logs" in text
    assert s3_server.secret_key not in text
    assert s3_server.access_key not in text
    assert BUCKET not in text


def test_the_files_of_a_finished_run_are_not_kept_twice(open_home):
    ran = open_home("runs")
    speaking.execute_in_process(instance=ran)
    left = [path for path in (configuration.load().dagster_home / "storage").rglob("*") if path.is_file()]
    assert not left
