"""Everything that needs pixels, in one decode: the browser-playable copy, detections and scenes. Any subset of the three can be made alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from video_platform import detectors, recipes, scene_model
from video_platform.budgets import media_limits, worker_budget
from video_platform.fingerprints import content_hash
from video_platform.layout import DETECTIONS, PROCESSED_VIDEO, RAW_VIDEO, SCENES
from video_platform.pipeline import checks
from video_platform.pipeline.configured import DETECTOR
from video_platform.pipeline.graph import ONE_PASS
from video_platform.pipeline.made import Handle, Made, NewFile, Plan
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Step, Yielded, outputs, step
from video_platform.records import FileEntry, Scene

if TYPE_CHECKING:
    from video_platform.analysis.tables import Detections, Samples

DESCRIPTIONS = {
    PROCESSED_VIDEO: "A copy that every browser plays, with its poster.",
    DETECTIONS: "What was seen where in every looked-at frame, down to score 0.2.",
    SCENES: "Spans between cuts, each with a picture.",
}
SOURCES = {PROCESSED_VIDEO: [RAW_VIDEO], DETECTIONS: [RAW_VIDEO, DETECTOR], SCENES: [RAW_VIDEO]}
KINDS = {PROCESSED_VIDEO: {"video"}, DETECTIONS: {"parquet"}, SCENES: {"json"}}

THUMBNAIL = "thumbnail:"
"""Role of a scene's picture: this and its name."""

Results = Mapping[str, Any]


@dg.multi_asset(
    name=ONE_PASS,
    outs={
        asset: dg.AssetOut(
            io_manager_key="files",
            is_required=False,
            code_version=recipes.CODE_VERSIONS[asset],
            description=DESCRIPTIONS[asset],
            kinds=KINDS[asset],
            group_name="analysis",
        )
        for asset in DESCRIPTIONS
    },
    deps=[DETECTOR],
    internal_asset_deps={asset: {dg.AssetKey(source) for source in sources} for asset, sources in SOURCES.items()},
    can_subset=True,
    partitions_def=VIDEOS,
    required_resource_keys={"desk"},
    check_specs=[checks.spec(asset) for asset in DESCRIPTIONS],
)
def one_pass(context: dg.AssetExecutionContext, raw_video: Handle) -> Iterator[Yielded]:
    """One decode of the footage for whichever of its results are selected and not yet there."""
    selected = [asset for asset in DESCRIPTIONS if asset in context.op_execution_context.selected_output_names]
    with step(context, ONE_PASS) as at:
        configurations = recipes.one_pass(at.desk.settings)
        plans = {asset: at.plan(asset, configurations[asset], {RAW_VIDEO: raw_video}) for asset in selected}
        wanted = [asset for asset, plan in plans.items() if not plan.stored]
        results = _look(at, raw_video, wanted) if wanted else {}
        made = [_made(at, plan, results, raw_video) if asset in wanted else at.reused(plan) for asset, plan in plans.items()]
    for one in made:
        yield from outputs(one, output_name=one.plan.asset)


def _look(at: Step, raw_video: Handle, wanted: list[str]) -> Results:
    """The pass itself, in a child process with limits that dies with this run."""
    from video_platform.analysis import worker

    at.begin()
    settings = at.desk.settings
    detector = detectors.usable(settings) if DETECTIONS in wanted else None
    finder = scene_model.usable(settings) if SCENES in wanted else None
    payload = {
        "path": str(raw_video.path("video")),
        "out_dir": str(at.folder),
        "wanted": wanted,
        "detection": settings.detection.model_dump(),
        "detector": detector.payload() if detector else None,
        "scenes": settings.scenes.model_dump(),
        "scene_model": finder.payload() if finder else None,
        "proxy": settings.proxy.model_dump(),
        "limits": asdict(media_limits(settings)),
    }
    duration_s = raw_video.manifest.facts.get("duration_s")
    budget = worker_budget(settings, float(duration_s) if isinstance(duration_s, int | float) else None, detector=detector, finder=finder)
    return worker.run(ONE_PASS, payload, limits=budget, on_progress=at.progress)


def _made(at: Step, plan: Plan, results: Results, raw_video: Handle) -> Made:
    known = (results.get(PROCESSED_VIDEO, {}), results["probe"], raw_video.manifest.facts)
    lengths = [facts.get("duration_s") for facts in known]
    duration_s = next((float(length) for length in lengths if isinstance(length, int | float) and length), None)
    found = {**results[plan.asset], "notes": [str(note) for note in results["coverage"]["notes"]]}
    return MAKERS[plan.asset](at, plan, found, duration_s)


def _processed_video(at: Step, plan: Plan, found: Mapping[str, Any], duration_s: float | None) -> Made:
    """Content of a video: what it is made from, because encoders differ by thread count and version."""
    video, poster = Path(found["video"]), Path(found["poster"]) if found.get("poster") else None
    files = [NewFile("video", video, "video/mp4")] + ([NewFile("poster", poster, "image/jpeg")] if poster else [])
    facts = {name: value for name, value in found.items() if name not in ("video", "poster", "notes")}
    return at.made(
        plan,
        content_hash=content_hash({"inputs": plan.inputs, "configuration": plan.configuration, "code_version": plan.code_version}),
        verdict=checks.verdict(*found["notes"], has_bytes=video.stat().st_size > 0, has_pictures=(found.get("duration_s") or 0) > 0),
        files=files,
        facts=facts,
        thumbnail=poster,
        duration_s=duration_s,
    )


def _detections(at: Step, plan: Plan, found: Mapping[str, Any], duration_s: float | None) -> Made:
    from video_platform.analysis import tables

    boxes, samples = Path(found["detections"]), Path(found["samples"])
    detections, names, digest = tables.read_detections(boxes)
    looked_at = tables.read_samples(samples)
    facts = {name: value for name, value in found.items() if name not in ("detections", "samples", "notes")}
    return at.made(
        plan,
        content_hash=content_hash(detections_content(detections, looked_at, names, digest, facts["best_guess"])),
        verdict=checks.verdict(*found["notes"], frames_were_looked_at=len(looked_at) > 0, made_by_the_configured_model=digest == plan.configuration["digest"]),
        files=[NewFile("detections", boxes, "application/vnd.apache.parquet"), NewFile("samples", samples, "application/vnd.apache.parquet")],
        facts=facts,
        duration_s=duration_s,
    )


def detections_content(detections: "Detections", samples: "Samples", names: Sequence[str], digest: str, best_guess: object) -> dict[str, object]:
    """What detections say: all that `tracks` reads of them. The model's digest is among it, because the file of tracks names the model too."""
    from video_platform.analysis import tables

    return {
        "detections": tables.content(detections),
        "samples": tables.content(samples),
        "names": list(names),
        "model": digest,
        "best_guess": best_guess,
    }


def _scenes(at: Step, plan: Plan, found: Mapping[str, Any], duration_s: float | None) -> Made:
    path = Path(found["scenes"])
    scenes = [Scene(**scene) for scene in json.loads(path.read_text())]
    in_order = all(before.end_s <= after.start_s for before, after in pairwise(scenes))
    pictures = {f"{THUMBNAIL}{each['n']}": each for each in found["thumbnails"]}
    facts = {name: value for name, value in found.items() if name not in ("scenes", "thumbnails", "notes")}
    facts["thumbnails"] = {role: {"at_s": each["at_s"], "scene": each["scene"]} for role, each in pictures.items()}
    return at.made(
        plan,
        content_hash=content_hash([{"start_s": scene.start_s, "end_s": scene.end_s} for scene in scenes]),
        verdict=checks.verdict(*found["notes"], there_is_a_scene=bool(scenes), scenes_are_in_order=in_order),
        files=[NewFile("scenes", path, "application/json"), *(NewFile(role, Path(each["path"]), "image/jpeg") for role, each in pictures.items())],
        facts=facts,
        thumbnail=next((Path(each["path"]) for each in pictures.values()), None),
        duration_s=duration_s,
        before_manifest=lambda entries: _show(at, entries, duration_s),
    )


def _show(at: Step, entries: Sequence[FileEntry], duration_s: float | None) -> None:
    """The library shows the picture as soon as its file is stored; a length that the container did not know is known now."""
    from video_platform.services.database import videos

    first = next((entry.key for entry in entries if entry.role.startswith(THUMBNAIL)), None)
    record = at.record
    videos.set_media(at.desk.platform.db, at.video_id, record.duration_s or duration_s, record.width, record.height, thumbnail=first)


MAKERS = {PROCESSED_VIDEO: _processed_video, DETECTIONS: _detections, SCENES: _scenes}
