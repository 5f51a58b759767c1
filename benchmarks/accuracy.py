"""Accuracy of detection, tracking and rules against a human annotation: what `vp evaluate` says, for a file and any rate of samples.

    python -m benchmarks.accuracy FOOTAGE RULES ANNOTATION [--rate 5] [--class person]

The annotation is MOTChallenge text (docs/evaluating.md). Nothing is stored. docs/tracking.md has figures.
"""

import argparse
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from video_platform import rules
from video_platform.analysis import annotation, frames, media, one_pass, tables
from video_platform.analysis.detect import DetectionParameters
from video_platform.analysis.measure import Bench, Footage
from video_platform.analysis.track import TrackingParameters, track
from video_platform.layout import DETECTIONS
from video_platform.measuring import DEFAULT_CLASSES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footage", type=Path)
    parser.add_argument("rules", type=Path)
    parser.add_argument("annotation", type=Path)
    parser.add_argument("--rate", type=float, default=DetectionParameters().samples_per_s, help="samples per second")
    parser.add_argument("--class", dest="class_name", default="person", help="what the annotation shows")
    parser.add_argument("--camera", default="default", help="whose rules apply")
    arguments = parser.parse_args()
    result = measure(arguments.footage, arguments.rules.read_text(), arguments.annotation, arguments.rate, arguments.class_name, arguments.camera)
    for name, value in result.items():
        print(f"{name:24} {value:.3f}" if isinstance(value, float) else f"{name:24} {value}")


def measure(footage: Path, rules_text: str, truth: Path, rate: float, class_name: str, camera: str) -> dict[str, Any]:
    """All figures for one clip."""
    shown = frames.times(footage, media.Limits())
    width, height = shown["width"], shown["height"]
    with tempfile.TemporaryDirectory() as folder:
        detection = replace(DetectionParameters(), samples_per_s=rate)
        made = one_pass.run(footage, Path(folder), one_pass.Order((DETECTIONS,), detection=detection))[DETECTIONS]
        detections, names, _ = tables.read_detections(Path(made["detections"]))
        samples = tables.read_samples(Path(made["samples"]))
    tracks = track(detections, samples, names, TrackingParameters(), aspect=width / height)
    camera_rules = rules.parse(rules_text, classes=names).for_camera(camera)
    about = Footage(np.array(shown["time_s"]), width, height)
    bench = Bench(annotation.read(truth), about, names, dict.fromkeys(DEFAULT_CLASSES, class_name), camera_rules)
    figures = bench.boxes(tracks, names)[0][class_name]
    events, *_ = bench.events(bench.episodes(tracks, samples, names))
    return {
        "samples": len(samples),
        **{name.replace("_", " "): value for name, value in asdict(figures).items()},
        "event precision": events.precision,
        "event recall": events.recall,
        "event F1": events.f1,
        "events": f"{events.matched} of {events.expected} true ones, {events.alerts} found",
        "settings": " ".join(f"{name}={value}" for name, value in asdict(TrackingParameters()).items()),
    }


if __name__ == "__main__":
    main()
