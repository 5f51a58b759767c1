"""Alerts: the active rules evaluated over tracks and reconciled with the ledger, each with a snapshot."""

from collections.abc import Iterator

import dagster as dg

from video_platform import recipes
from video_platform.layout import ALERTS
from video_platform.pipeline import checks, judging
from video_platform.pipeline.configured import RULES
from video_platform.pipeline.made import Handle
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Yielded, outputs, step


@dg.asset(
    name=ALERTS,
    partitions_def=VIDEOS,
    deps=[RULES],
    code_version=recipes.CODE_VERSIONS[ALERTS],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(ALERTS)],
    kinds={"json"},
    group_name="analysis",
    description="What the active rules found, reconciled with the ledger, with a snapshot of each.",
)
def alerts(context: dg.AssetExecutionContext, tracks: Handle, raw_video: Handle) -> Iterator[Yielded]:
    """What the active rules found."""
    with step(context, ALERTS) as at:
        active = judging.active_rules(at.desk)
        made = judging.judge(at, active, tracks, raw_video)
    yield from outputs(made, counted={RULES: active.data_version})
