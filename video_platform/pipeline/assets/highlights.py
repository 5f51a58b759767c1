"""Clips of the alerts, one reel and one time-lapse per video."""

from collections.abc import Iterator

import dagster as dg

from video_platform import recipes
from video_platform.layout import HIGHLIGHTS
from video_platform.pipeline import checks, cutting
from video_platform.pipeline.made import Handle
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Yielded, outputs, step


@dg.asset(
    name=HIGHLIGHTS,
    partitions_def=VIDEOS,
    code_version=recipes.CODE_VERSIONS[HIGHLIGHTS],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(HIGHLIGHTS)],
    kinds={"video"},
    group_name="analysis",
    description="A clip of every alert, a reel of them (of activity where there are none), and a time-lapse of activity.",
)
def highlights(context: dg.AssetExecutionContext, alerts: Handle, tracks: Handle, processed_video: Handle) -> Iterator[Yielded]:
    """A clip of every alert, a reel of them, and a time-lapse of activity."""
    with step(context, HIGHLIGHTS) as at:
        made = cutting.cut(at, alerts, tracks, processed_video)
    yield from outputs(made)
