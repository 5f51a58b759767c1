"""The job that takes one object of the inbox in: reading and hashing takes minutes, which a tick of a sensor may not."""

from urllib.parse import quote, unquote

import dagster as dg

from video_platform.pipeline.failures import as_dagster_errors
from video_platform.pipeline.resources import Desk

INGEST_OBJECT = "ingest_object"
TAKE_IN = "take_in"
"""The job, and its one op: Dagster wants their names to differ."""

KEY = "key"
"""Field of the run's configuration: the object key, URL-encoded, because other programs choose it and not every text can be stored everywhere."""


def run_config(key: str) -> dict[str, object]:
    """The configuration of a run for the object `key`."""
    return {"ops": {TAKE_IN: {"config": {KEY: quote(key, safe="/", errors="surrogateescape")}}}}


@dg.op(
    name=TAKE_IN,
    config_schema={KEY: dg.Field(str, description="the object below inbox/, URL-encoded")},
    required_resource_keys={"desk"},
    out=dg.Out(dg.Nothing),
    description="Reads the object once, keeps it as a video, announces it, and takes it away from the inbox.",
)
def take_in(context: dg.OpExecutionContext) -> None:
    """One object."""
    from video_platform.inbox import Inbox

    desk: Desk = context.resources.desk
    key = unquote(context.op_config[KEY], errors="surrogateescape")
    inbox = Inbox(desk.platform.ingest)
    with as_dagster_errors(context.retry_number, lambda code, message: inbox.trouble(key, code, message)):
        outcome = inbox.take(key)
        context.log.info(f"{quote(key, safe='/ ', errors='replace')}: {outcome.what}: {outcome.text}")
        context.add_output_metadata({"outcome": outcome.what, "video_id": outcome.video_id or ""})


@dg.job(name=INGEST_OBJECT, executor_def=dg.in_process_executor, description="Footage that another program put into the inbox, for one object.")
def ingest_object() -> None:
    """One object of the inbox."""
    take_in()
