"""From detections to tracks of recorded footage: ByteTrack, then what looking ahead allows (`postprocess`).

The values of `TrackingParameters` and how they were measured stand in docs/tracking.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis import postprocess
from video_platform.analysis.tables import Detections, Samples, Tracks, no_tracks
from video_platform.records import TrackLine, TrackSheet

CLASS_OFFSET = 10.0
"""Boxes of class n are moved n x 10 frame widths to the right for the tracker, so that boxes of different classes never overlap and no track changes class."""

BUFFER_UNIT = 30
"""The tracker counts its memory in frames of a 30 frames/s video, whatever the real rate."""

DEFAULT_ASPECT = 16 / 9

MIN_BOXES = 2
"""Detections that make a track; one alone is as often noise."""

SHEET_DIGITS = 4
"""Decimals of a box in the player's sheet: a tenth of a pixel in 1,000."""


@dataclass(frozen=True)
class TrackingParameters:
    """How detections become tracks; field names as in the settings group `tracking`.

    Scores are 0-1, times in seconds. `buffer_ratio`: boxes grow by this fraction on each side before they are compared.
    """

    min_score: float = 0.45
    high_score: float = 0.5
    activation_score: float = 0.6
    min_iou: float = 0.2
    buffer_ratio: float = 0.3
    lost_s: float = 1.0
    stitch_gap_s: float = 2.0
    smooth_samples: int = 3


def track(
    detections: Detections, samples: Samples, names: Sequence[str], settings: TrackingParameters | None = None, *, aspect: float = DEFAULT_ASPECT
) -> Tracks:
    """Tracks with one box at every sample between their first and last, ids from 1 by first appearance.

    `aspect` is width / height of the upright frame: positions are fractions of both, and distances need one unit.

    Raises:
        ValueError: a detection stands at a time that is no sample, or has a class that `names` lacks.
    """
    settings = settings or TrackingParameters()
    if len(detections) and int(detections.class_id.max()) >= len(names):
        raise ValueError(f"a detection has class {int(detections.class_id.max())}, but there are {len(names)} class names")
    used = detections.take(detections.score >= np.float32(settings.min_score)).ordered()
    if not len(used):
        return no_tracks()
    sample = sample_index(used.time_s, samples)
    track_id = _byte_track(used, sample, samples, settings)
    rows = np.flatnonzero(track_id > 0)
    paths = postprocess.Paths(track_id[rows], sample[rows], used.class_id[rows], used.score[rows], used.boxes[rows].astype(np.float64))
    paths = postprocess.without_short(paths, MIN_BOXES)
    paths = postprocess.stitched(paths, samples.time_s, max_gap_s=settings.stitch_gap_s, aspect=aspect)
    paths = postprocess.interpolated(paths, samples.time_s)
    paths = postprocess.smoothed(paths, settings.smooth_samples)
    return _as_tracks(paths, samples)


def sample_index(time_s: NDArray[np.float64], samples: Samples) -> NDArray[np.int64]:
    """Which sample each time belongs to; ValueError for a time that is none."""
    index = np.searchsorted(samples.time_s, time_s)
    index = np.minimum(index, len(samples) - 1) if len(samples) else index
    if not len(samples) or not np.array_equal(samples.time_s[index], time_s):
        raise ValueError("a detection stands at a time at which no frame was looked at; samples and detections belong to different videos")
    return index


def to_sheet(tracks: Tracks, samples: Samples, names: Sequence[str]) -> TrackSheet:
    """The form that the player draws; `score` is the median over the track."""
    lines = []
    order = np.lexsort((tracks.time_s, tracks.track_id))
    for rows in np.split(order, np.flatnonzero(np.diff(tracks.track_id[order])) + 1) if len(order) else []:
        times = [round(float(t), 3) for t in tracks.time_s[rows]]
        boxes = np.round(tracks.boxes[rows].astype(np.float64), SHEET_DIGITS).tolist()
        lines.append(
            TrackLine(
                id=int(tracks.track_id[rows[0]]),
                class_name=names[int(tracks.class_id[rows[0]])],
                score=round(float(np.median(tracks.score[rows])), 3),
                start_s=times[0],
                end_s=times[-1],
                times_s=times,
                boxes=[(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes],
            )
        )
    return TrackSheet(sample_rate=round(samples.rate, 3), samples=len(samples), tracks=lines)


def _byte_track(used: Detections, sample: NDArray[np.int64], samples: Samples, settings: TrackingParameters) -> NDArray[np.int64]:
    """The track id of each detection, 0 for those in no track; `used` is in time order."""
    import supervision
    from trackers import BIoU, ByteTrackTracker

    tracker = ByteTrackTracker(
        lost_track_buffer=max(1, round(settings.lost_s * BUFFER_UNIT)),
        frame_rate=samples.rate or 1.0,
        track_activation_threshold=settings.activation_score,
        minimum_consecutive_frames=1,
        minimum_iou_threshold=settings.min_iou,
        high_conf_det_threshold=settings.high_score,
        iou=BIoU(settings.buffer_ratio),
    )
    boxes = used.boxes.astype(np.float64)
    boxes[:, [0, 2]] += CLASS_OFFSET * used.class_id[:, None]
    ids = np.zeros(len(used), np.int64)
    born: dict[int, tuple[Any, int]] = {}
    starts = np.searchsorted(sample, np.arange(len(samples) + 1))
    for now in range(len(samples)):
        first, end = starts[now], starts[now + 1]
        if first == end and not tracker.tracks:
            continue
        rows = np.arange(first, end)
        seen = supervision.Detections(xyxy=boxes[first:end], confidence=used.score[first:end], class_id=rows)
        result = tracker.update(seen, timestamp=float(samples.time_s[now]))
        if result.class_id is not None and result.tracker_id is not None:
            ids[result.class_id] = result.tracker_id + 1  # the tracker's -1, no track, becomes 0
        born = _births(tracker.tracks, born, ids, rows, boxes)
    return ids


def _births(
    tracks: list[Any], born: dict[int, tuple[Any, int]], ids: NDArray[np.int64], rows: NDArray[np.int64], boxes: NDArray[np.float64]
) -> dict[int, tuple[Any, int]]:
    """Give a track's first detection its id once the tracker has named the track, which it does at the second.

    `born` maps the identity of a nameless track to the track (held, so that no other gets its identity) and the row it began with.
    """
    waiting: dict[int, tuple[Any, int]] = {}
    for tracklet in tracks:
        known = born.get(id(tracklet))
        if tracklet.tracker_id >= 0:
            if known:
                ids[known[1]] = tracklet.tracker_id + 1
        elif known:
            waiting[id(tracklet)] = known
        else:
            same = rows[(boxes[rows] == tracklet.get_state_bbox()).all(axis=1)]
            if len(same):
                waiting[id(tracklet)] = tracklet, int(same[0])
    return waiting


def _as_tracks(paths: postprocess.Paths, samples: Samples) -> Tracks:
    """Rows in their promised order, ids from 1 by first appearance (then by the tracker's own order)."""
    if not len(paths):
        return no_tracks()
    old, first = np.unique(paths.track_id, return_index=True)
    rank = np.empty(len(old), np.int32)
    rank[np.lexsort((old, paths.sample[first]))] = np.arange(1, len(old) + 1)
    track_id = rank[np.searchsorted(old, paths.track_id)]
    boxes = np.clip(paths.boxes, 0.0, 1.0).astype(np.float32)
    return Tracks(samples.time_s[paths.sample], paths.class_id, paths.score, boxes, track_id).ordered()
