"""Detections joined into tracks. A tracker setting changes only this and what follows."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from video_platform import recipes
from video_platform.fingerprints import content_hash
from video_platform.layout import DETECTIONS, TRACKS
from video_platform.pipeline import checks
from video_platform.pipeline.made import Handle, Made, NewFile, Plan
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Step, Yielded, outputs, step

if TYPE_CHECKING:
    from video_platform.analysis.tables import Samples, Tracks

PARQUET = "application/vnd.apache.parquet"


@dg.asset(
    name=TRACKS,
    partitions_def=VIDEOS,
    code_version=recipes.CODE_VERSIONS[TRACKS],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(TRACKS)],
    kinds={"parquet"},
    group_name="analysis",
    description="Who or what moved where: detections joined over time.",
)
def tracks(context: dg.AssetExecutionContext, detections: Handle) -> Iterator[Yielded]:
    """Detections joined over time."""
    with step(context, TRACKS) as at:
        plan = at.plan(TRACKS, recipes.tracks(at.desk.settings, at.record), {DETECTIONS: detections})
        made = at.reused(plan) if plan.stored else _track(at, plan, detections)
    yield from outputs(made)


def _track(at: Step, plan: Plan, source: Handle) -> Made:
    from video_platform.analysis import tables, track

    at.begin()
    detections, names, digest = tables.read_detections(source.path("detections"))
    samples = tables.read_samples(source.path("samples"))
    parameters = track.TrackingParameters(**at.desk.settings.tracking.model_dump())
    found = track.track(detections, samples, names, parameters, aspect=at.record.aspect or track.DEFAULT_ASPECT)
    best_guess = None if len(found) else source.manifest.facts.get("best_guess")  # only a video without tracks is described by it
    parquet, player = at.folder / "tracks.parquet", at.folder / "player.json"
    tables.write_tracks(parquet, found, names=names, digest=digest)
    player.write_text(track.to_sheet(found, samples, names).model_dump_json())
    files = [
        NewFile("tracks", parquet, PARQUET),
        NewFile("player", player, "application/json"),
        NewFile("samples", source.path("samples"), PARQUET),  # what was looked at belongs to the tracks: "nobody" and "not looked" differ
    ]
    return at.made(
        plan,
        content_hash=content_hash(tracks_content(found, samples, names, best_guess)),
        verdict=checks.verdict(**_checked(found, samples)),
        files=files,
        facts={
            "tracks": len(set(found.track_id.tolist())),
            "boxes": len(found),
            "samples": len(samples),
            "best_guess": best_guess,
        },
        duration_s=float(samples.time_s[-1]) if len(samples) else None,
    )


def tracks_content(tracks: "Tracks", samples: "Samples", names: Sequence[str], best_guess: object) -> dict[str, object]:
    """What tracks say: all that `alerts` and `llm_summary` read of them."""
    from video_platform.analysis import tables

    return {"tracks": tables.content(tracks), "samples": tables.content(samples), "names": list(names), "best_guess": best_guess}


def _checked(found: "Tracks", samples: "Samples") -> dict[str, bool]:
    import numpy as np

    return {
        "boxes_lie_on_looked_at_frames": bool(np.isin(found.time_s, samples.time_s).all()),
        "boxes_are_upright": bool((found.boxes[:, :2] <= found.boxes[:, 2:]).all()),
    }
