"""What is configured, as source assets that Dagster compares: which there are, and which version of each a plan counted.

Dagster shows a result as stale when the version of a source asset is another one than the result's event names. So the event names the version that its
fingerprint counted, whatever was observed last when the run began; only the fingerprint decides what is made again.
"""

from collections.abc import Mapping

from dagster._core.definitions.data_version import get_input_data_version_tag
from dagster._core.definitions.events import AssetKey

from video_platform.fingerprints import content_hash
from video_platform.layout import CAPTIONS, DETECTIONS, LLM_SUMMARY, SECOND_LOOK
from video_platform.pipeline.made import Plan

RULES = "rules"
DESCRIBED_RULES = "described_rules"
DETECTOR = "detector"
PROMPTS = "prompts"
VISION = "vision"
SECOND_LOOKER = "second_looker"
ALL = (RULES, DESCRIBED_RULES, DETECTOR, PROMPTS, VISION, SECOND_LOOKER)


def counted(plan: Plan) -> dict[str, str]:
    """Source asset -> its version that `plan` counts. What judges rules names their version itself: those of one camera do not tell the whole set."""
    if plan.asset == DETECTIONS:
        return {DETECTOR: content_hash(plan.configuration)}
    if plan.asset == LLM_SUMMARY:
        return {PROMPTS: content_hash(plan.configuration)}
    if plan.asset == CAPTIONS:
        return {VISION: content_hash(plan.configuration)}
    if plan.asset == SECOND_LOOK:
        return {SECOND_LOOKER: content_hash(plan.configuration)}
    return {}


def event_tags(versions: Mapping[str, str]) -> dict[str, str]:
    """How an event of Dagster names the versions that its result was made from."""
    return {get_input_data_version_tag(AssetKey(asset)): version for asset, version in versions.items()}
