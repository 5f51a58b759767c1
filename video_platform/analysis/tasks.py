"""The tasks that the child process knows: plain JSON in, plain JSON out, files as paths."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

Progress = Callable[[float, str], None]
Task = Callable[[dict[str, Any], Progress], dict[str, Any]]


def probe(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{path}` -> the fields of `records.VideoProbe`."""
    from video_platform.analysis import media

    return asdict(media.probe(payload["path"], _limits(payload)))


def frame_times(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{path}` -> `{time_s, width, height}`: when every frame is shown, in seconds from the first, and the size of the upright picture."""
    from video_platform.analysis import frames

    return frames.times(Path(payload["path"]), _limits(payload), on_progress=progress, threads=_threads(payload))


def one_pass(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{path, out_dir, wanted, detection, detector, scenes, proxy}` -> see `one_pass.run`; the groups hold the fields of their settings groups, `detector` a
    `KnownDetector`.
    """
    from video_platform.analysis import one_pass as module
    from video_platform.analysis.detect import DetectionParameters
    from video_platform.analysis.proxy import ProxyParameters
    from video_platform.analysis.scenes import SceneParameters
    from video_platform.detectors import KnownDetector

    order = module.Order(
        tuple(payload["wanted"]),
        detection=DetectionParameters(**payload.get("detection", {})),
        scenes=SceneParameters(**payload.get("scenes", {})),
        proxy=ProxyParameters(**payload.get("proxy", {})),
        limits=_limits(payload),
        threads=_threads(payload),
        detector=KnownDetector.of(payload["detector"]) if payload.get("detector") else None,
    )
    return module.run(Path(payload["path"]), Path(payload["out_dir"]), order, on_progress=progress)


def snapshots(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{path, out_dir, wanted: [{id, at_s, boxes: [{box, label}], zones, lines}]}` -> `{id: path | {"error": text}}`."""
    from video_platform.analysis import snapshots as module

    wanted = [module.Wanted.of(each) for each in payload["wanted"]]
    return module.make(Path(payload["path"]), Path(payload["out_dir"]), wanted, limits=_limits(payload), on_progress=progress)


def frame(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{path, at_s, out_path, max_width}` -> `{at_s, width, height}` of the frame that was written as JPEG."""
    from video_platform.analysis import snapshots as module

    return module.one(Path(payload["path"]), payload["at_s"], Path(payload["out_path"]), max_width=payload.get("max_width"), limits=_limits(payload))


def stills(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{path, out_dir, wanted: [{id, at_s}]}` -> `{id: {path, digest, at_s} | {"error": text}}`."""
    from video_platform.analysis import stills as module

    wanted = [module.Wanted(each["id"], float(each["at_s"])) for each in payload["wanted"]]
    return module.make(Path(payload["path"]), Path(payload["out_dir"]), wanted, limits=_limits(payload), on_progress=progress)


def clips(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{path, out_dir, wanted: [{id, start_s, end_s}], reel: {spans, max_s} | null}` -> `{"clips": {id: path}, "reel": path | null, ...}`."""
    from video_platform.analysis import clips as module

    wanted = [module.Wanted(each["id"], each["start_s"], each["end_s"]) for each in payload.get("wanted", ())]
    reel = payload.get("reel") or {}
    spans = [(start, end) for start, end in reel.get("spans", ())]
    return module.make(
        Path(payload["path"]),
        Path(payload["out_dir"]),
        wanted,
        reel_spans=spans,
        reel_max_s=reel.get("max_s", module.REEL_MAX_S),
        limits=_limits(payload),
        threads=_threads(payload),
        on_progress=progress,
    )


def model_check(payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """`{engine, task, folder, files, detector}` -> what loading the model and running it showed; see `model_checks.look`."""
    from video_platform.analysis import model_checks

    return model_checks.look(payload, progress)


TASKS: Mapping[str, Task] = {task.__name__: task for task in (probe, frame_times, one_pass, snapshots, frame, stills, clips, model_check)}


def _limits(payload: dict[str, Any]) -> Any:
    from video_platform.analysis.media import Limits

    return Limits(**payload.get("limits", {}))


def _threads(payload: dict[str, Any]) -> int:
    return int(payload.get("threads", 2))
