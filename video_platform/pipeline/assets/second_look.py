"""A second look at what tracks raised: a vision model is asked about the picture of each alert. It takes none away, and what it says stands beside them.

`alerts` is read, and counts in the fingerprint where a second look is taken, but is no dependency for Dagster: where none is taken, which is the default, it
would call this stale after every change of a rule. The order of steps makes up for it (`tags.AFTER_ALERTS`).
"""

from collections.abc import Iterator

import dagster as dg

from video_platform import recipes
from video_platform.layout import SECOND_LOOK
from video_platform.pipeline import checks, looking, tags
from video_platform.pipeline.configured import SECOND_LOOKER
from video_platform.pipeline.instance import LLM_POOL
from video_platform.pipeline.made import Handle
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Yielded, outputs, step


@dg.asset(
    name=SECOND_LOOK,
    partitions_def=VIDEOS,
    deps=[SECOND_LOOKER],
    code_version=recipes.CODE_VERSIONS[SECOND_LOOK],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(SECOND_LOOK)],
    pool=LLM_POOL,
    op_tags=tags.AFTER_ALERTS,
    kinds={"json"},
    group_name="understanding",
    description="What a vision model says of the picture of each alert over tracks: confirmed, rejected or unverified. It suppresses none.",
)
def second_look(context: dg.AssetExecutionContext, tracks: Handle, raw_video: Handle) -> Iterator[Yielded]:
    """What a vision model says of the alerts, where one is asked."""
    with step(context, SECOND_LOOK) as at:
        made = looking.look(at, tracks, raw_video)
    yield from outputs(made)
