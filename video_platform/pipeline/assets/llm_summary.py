"""The summary of one video, from tracks and scenes only: alerts and marks are joined when it is read, so that a mark never changes a sentence."""

from collections.abc import Iterator

import dagster as dg

from video_platform.layout import LLM_SUMMARY, SCENES, TRACKS
from video_platform.pipeline import checks
from video_platform.pipeline.made import Handle
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Yielded, outputs, step
from video_platform.pipeline.instance import LLM_POOL

CODE_VERSION = "1"
"""Raise it when the same tracks and scenes give another summary."""


@dg.asset(
    name=LLM_SUMMARY,
    partitions_def=VIDEOS,
    code_version=CODE_VERSION,
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(LLM_SUMMARY)],
    pool=LLM_POOL,
    kinds={"json"},
    group_name="understanding",
    description="What happened, in sentences that each point at the moments they rest on.",
)
def llm_summary(context: dg.AssetExecutionContext, tracks: Handle, scenes: Handle) -> Iterator[Yielded]:
    """What happened, in sentences with evidence."""
    with step(context, LLM_SUMMARY) as at:
        raise NotImplementedError
    yield from outputs(made)
