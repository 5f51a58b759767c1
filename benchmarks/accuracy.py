"""Accuracy of detection, tracking and rules against a human annotation: MOTA, IDF1 and the F1 of events.

    python -m benchmarks.accuracy FOOTAGE RULES ANNOTATION [--rate 5] [--class person]

The annotation is MOTChallenge text: frame (from 1), object, left, top, width, height in pixels; further columns are ignored. All frames are scored: tracks
are interpolated to each frame. True events are what the same rules find in the annotation, matched one to one within a second. docs/tracking.md has figures.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from video_platform import rules
from video_platform.analysis import media, one_pass, tables
from video_platform.analysis.detect import DetectionParameters
from video_platform.analysis.evaluate import evaluate
from video_platform.analysis.frames import Decoding
from video_platform.analysis.tables import Samples, Tracks
from video_platform.analysis.track import TrackingParameters, track
from video_platform.layout import DETECTIONS
from video_platform.records import Episode

MATCH_IOU = 0.5
"""A track has found an object where their boxes overlap by this much, as in MOTChallenge."""

MATCH_S = 1.0
"""An event is found when one of the same rule starts within this."""


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


def measure(footage: Path, rules_text: str, annotation: Path, rate: float, class_name: str, camera: str) -> dict[str, Any]:
    """All figures for one clip."""
    frame_s, width, height = frame_times(footage)
    with tempfile.TemporaryDirectory() as folder:
        detection = replace(DetectionParameters(), samples_per_s=rate)
        made = one_pass.run(footage, Path(folder), one_pass.Order((DETECTIONS,), detection=detection))[DETECTIONS]
        detections, names, _ = tables.read_detections(Path(made["detections"]))
        samples = tables.read_samples(Path(made["samples"]))
    tracks = track(detections, samples, names, TrackingParameters(), aspect=width / height)
    truth = annotated(annotation, frame_s, width, height, names.index(class_name))
    camera_rules = rules.parse(rules_text, classes=names).for_camera(camera)
    expected = evaluate(truth, Samples(frame_s, np.arange(len(frame_s))), names, camera_rules).episodes
    found = evaluate(tracks, samples, names, camera_rules).episodes
    return {
        "samples": len(samples),
        "tracks of the class": len(np.unique(tracks.track_id[tracks.class_id == names.index(class_name)])),
        **mot_figures(truth, tracks, frame_s, names.index(class_name)),
        **event_figures(found, expected),
        "settings": " ".join(f"{name}={value}" for name, value in asdict(TrackingParameters()).items()),
    }


def frame_times(footage: Path) -> tuple[NDArray[np.float64], int, int]:
    """Presentation time of every frame from the first, and the size of the upright picture."""
    with media.open_video(footage) as video:
        times = [time_s for _, time_s in Decoding(video, media.Limits(), needed_fps=float("inf"))]
        return np.array(times), video.probe.width, video.probe.height


def annotated(path: Path, frame_s: NDArray[np.float64], width: int, height: int, class_id: int) -> Tracks:
    """The annotation as tracks with score 1."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    frame = rows[:, 0].astype(int) - 1
    rows, frame = rows[frame < len(frame_s)], frame[frame < len(frame_s)]
    corners = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1) / [width, height, width, height]
    count = len(rows)
    return Tracks(
        frame_s[frame], np.full(count, class_id, np.int16), np.ones(count, np.float32), corners.astype(np.float32), rows[:, 1].astype(np.int32)
    ).ordered()


def at_frames(tracks: Tracks, frame_s: NDArray[np.float64], class_id: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Ids and boxes (N, 4) of one class in every frame, linear between samples."""
    found: list[list[tuple[int, NDArray[np.float64]]]] = [[] for _ in frame_s]
    for track_id in np.unique(tracks.track_id[tracks.class_id == class_id]):
        rows = tracks.track_id == track_id
        at_s, boxes = tracks.time_s[rows], tracks.boxes[rows].astype(np.float64)
        for frame in np.flatnonzero((frame_s >= at_s[0] - 1e-6) & (frame_s <= at_s[-1] + 1e-6)):
            found[frame].append((int(track_id), np.array([np.interp(frame_s[frame], at_s, boxes[:, side]) for side in range(4)])))
    return [(np.array([one[0] for one in frame], np.int64), np.array([one[1] for one in frame]).reshape(-1, 4)) for frame in found]


def mot_figures(truth: Tracks, tracks: Tracks, frame_s: NDArray[np.float64], class_id: int) -> dict[str, Any]:
    """MOTA, IDF1 and what they count, by motmetrics."""
    import motmetrics

    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for (true_ids, true_boxes), (ids, boxes) in zip(at_frames(truth, frame_s, class_id), at_frames(tracks, frame_s, class_id), strict=True):
        overlap = iou(true_boxes, boxes)
        accumulator.update(true_ids, ids, np.where(overlap >= MATCH_IOU, 1 - overlap, np.nan))
    names = {"mota": "MOTA", "idf1": "IDF1", "num_switches": "id switches", "num_false_positives": "false boxes", "num_misses": "missed boxes"}
    row = motmetrics.metrics.create().compute(accumulator, metrics=[*names, "num_objects"], name="clip").iloc[0]
    figures = {label: float(row[name]) if name in ("mota", "idf1") else int(row[name]) for name, label in names.items()}
    return {**figures, "annotated boxes": int(row["num_objects"])}


def iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) intersection over union."""
    low, high = np.maximum(first[:, None, :2], second[None, :, :2]), np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area_first, area_second = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second))
    return shared / (area_first[:, None] + area_second[None] - shared)


def event_figures(found: Sequence[Episode], expected: Sequence[Episode]) -> dict[str, Any]:
    """Precision, recall and F1 of episodes, matched one to one per rule within `MATCH_S`."""
    matched = 0
    for rule in {episode.rule for episode in expected}:
        apart = np.abs(
            np.subtract.outer([episode.start_s for episode in found if episode.rule == rule], [episode.start_s for episode in expected if episode.rule == rule])
        )
        rows, columns = linear_sum_assignment(np.where(apart <= MATCH_S, apart, 1e6))
        matched += int((apart[rows, columns] <= MATCH_S).sum())
    return {
        "event precision": matched / max(1, len(found)),
        "event recall": matched / max(1, len(expected)),
        "event F1": 2 * matched / max(1, len(found) + len(expected)),
        "events": f"{matched} of {len(expected)} true ones, {len(found)} found",
    }


if __name__ == "__main__":
    main()
