"""Alerts on what is seen and said: rules that ask a vision model about frames, or the transcript for words. Same ledger, same notifications as `alerts`."""

from collections.abc import Iterator

import dagster as dg

from video_platform import recipes
from video_platform.layout import DESCRIBED_ALERTS, TRANSCRIPT
from video_platform.pipeline import checks, describing, judging
from video_platform.pipeline.configured import DESCRIBED_RULES
from video_platform.pipeline.instance import LLM_POOL
from video_platform.pipeline.made import Handle
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Yielded, outputs, step


@dg.asset(
    name=DESCRIBED_ALERTS,
    partitions_def=VIDEOS,
    deps=[DESCRIBED_RULES, TRANSCRIPT],
    code_version=recipes.CODE_VERSIONS[DESCRIBED_ALERTS],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(DESCRIBED_ALERTS)],
    pool=LLM_POOL,
    kinds={"json"},
    group_name="understanding",
    description="What the active rules found in what is seen and said, reconciled with the ledger, with a snapshot and a clip of each.",
)
def described_alerts(context: dg.AssetExecutionContext, tracks: Handle, scenes: Handle, raw_video: Handle) -> Iterator[Yielded]:
    """What the `sees` and `says` rules found."""
    with step(context, DESCRIBED_ALERTS) as at:
        active = judging.active_rules(at.desk)
        made = describing.judge(at, active, tracks, scenes, raw_video)
    yield from outputs(made, counted={DESCRIBED_RULES: active.described_version})
