"""Asset checks. Validation belongs to making: a candidate that fails is never published. The checks report the verdict that stands in the manifest."""

import warnings

import dagster as dg

from video_platform.pipeline.partitions import VIDEOS
from video_platform.records import Verdict

CHECK = "valid"
"""The one check of every asset."""


def spec(asset: str) -> dg.AssetCheckSpec:
    """The check of one asset, per video."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # partitions of checks are marked as a preview by Dagster
        return dg.AssetCheckSpec(CHECK, asset=asset, partitions_def=VIDEOS, description="What was validated before this version was published.")


def result(asset: str, verdict: Verdict) -> dg.AssetCheckResult:
    """The stored verdict as a check result."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=CHECK,
        passed=verdict.passed,
        metadata={**{name: dg.MetadataValue.bool(passed) for name, passed in verdict.checks.items()}, "notes": dg.MetadataValue.json(verdict.notes)},
    )


def evaluation(asset: str, video_id: str, verdict: Verdict) -> dg.AssetCheckEvaluation:
    """The same where no step of the asset reports it."""
    said = result(asset, verdict)
    return dg.AssetCheckEvaluation(asset_key=dg.AssetKey(asset), check_name=CHECK, passed=said.passed, metadata=said.metadata, partition=video_id)


def verdict(*notes: str, **checks: bool) -> Verdict:
    """A verdict from named checks: it passes when all of them do."""
    return Verdict(passed=all(checks.values()), checks=checks, notes=list(notes))
