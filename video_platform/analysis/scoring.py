"""How good tracks and episodes are, against those of an annotation.

Boxes are compared in every frame: what was tracked at some samples a second is interpolated to the frames between, the annotation is taken as it stands. The
figures (CLEAR, identity, HOTA) are those of `trackers.eval`, which keeps to TrackEval's arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from video_platform.analysis.tables import Tracks

MATCH_IOU = 0.5
"""A box has found an object where the two overlap by this much, as in MOTChallenge."""

MATCH_S = 1.0
"""An episode also counts as found by one that starts within this of it."""

TIME_TOLERANCE_S = 1e-6
"""Times are sums of floats: less than this is no difference."""

NEVER = 1e9
"""Cost of a pair that may not be; more than all pairs of a video that may."""


class InFrame(NamedTuple):
    """The boxes of one frame: `ids` int64 (N,), `boxes` float64 (N, 4), corners, 0-1 of the upright frame."""

    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Figures of one class of objects, 0-1 unless they count boxes; None where there is nothing to divide by. MOTA may be negative.

    `det_a` and `ass_a` are the two halves of HOTA, detection and association. `objects` and `tracks` count identities, the boxes are those of all frames.
    """

    precision: float | None
    recall: float | None
    mota: float | None
    idf1: float | None
    hota: float | None
    det_a: float | None
    ass_a: float | None
    id_switches: int
    false_boxes: int
    missed_boxes: int
    annotated_boxes: int
    found_boxes: int
    objects: int
    tracks: int


class Span(NamedTuple):
    """A span of a video, with the identity of what it is about."""

    start_s: float
    end_s: float
    id: int


def annotated(tracks: Tracks, frame_s: NDArray[np.float64], class_id: int) -> list[InFrame]:
    """The boxes of one class in each frame, for tracks whose times are times of frames."""
    mine = tracks.take(tracks.class_id == class_id)
    return _by_frame(np.searchsorted(frame_s, mine.time_s - TIME_TOLERANCE_S), mine.track_id, mine.boxes.astype(np.float64), len(frame_s))


def interpolated(tracks: Tracks, frame_s: NDArray[np.float64], class_id: int) -> list[InFrame]:
    """The boxes of one class in each frame, linear in time between the samples of each track."""
    frames, ids, boxes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, 4))]
    of_class = tracks.take(tracks.class_id == class_id)
    order = np.lexsort((of_class.time_s, of_class.track_id))
    for rows in np.split(order, np.flatnonzero(np.diff(of_class.track_id[order])) + 1) if len(order) else []:
        at_s, corners = of_class.time_s[rows], of_class.boxes[rows].astype(np.float64)
        first, last = np.searchsorted(frame_s, [at_s[0] - TIME_TOLERANCE_S, at_s[-1] + TIME_TOLERANCE_S])
        within = np.arange(first, last)
        frames.append(within)
        ids.append(np.full(len(within), of_class.track_id[rows[0]], np.int64))
        boxes.append(np.stack([np.interp(frame_s[within], at_s, corners[:, side]) for side in range(4)], axis=1))
    return _by_frame(np.concatenate(frames), np.concatenate(ids), np.concatenate(boxes), len(frame_s))


def without_ignored(found: Sequence[InFrame], truth: Sequence[InFrame], ignored: Sequence[InFrame]) -> list[InFrame]:
    """`found` without the boxes that lie best on something that is neither to be found nor wrong to be found, as MOTChallenge leaves them out."""
    kept = []
    for one, true, passed_over in zip(found, truth, ignored, strict=True):
        overlap = iou(np.concatenate([true.boxes, passed_over.boxes]), one.boxes)
        rows, columns = _matched(overlap)
        drop = columns[rows >= len(true.ids)]
        kept.append(InFrame(np.delete(one.ids, drop), np.delete(one.boxes, drop, axis=0)))
    return kept


def figures(truth: Sequence[InFrame], found: Sequence[InFrame]) -> Figures:
    """The figures of `found` against `truth`, frame by frame of the same video."""
    from trackers.eval import compute_clear_metrics, compute_hota_metrics, compute_identity_metrics

    true_ids, ids = [frame.ids for frame in truth], [frame.ids for frame in found]
    overlaps = [iou(true.boxes, one.boxes) for true, one in zip(truth, found, strict=True)]
    clear = compute_clear_metrics(true_ids, ids, overlaps, threshold=MATCH_IOU)
    identity = compute_identity_metrics(true_ids, ids, overlaps, threshold=MATCH_IOU)
    hota = compute_hota_metrics(true_ids, ids, overlaps)
    boxes, found_boxes = sum(map(len, true_ids)), sum(map(len, ids))

    def known(value: float) -> float | None:
        return float(value) if boxes else None

    return Figures(
        precision=float(clear["CLR_Pr"]) if found_boxes else None,
        recall=known(clear["CLR_Re"]),
        mota=known(clear["MOTA"]),
        idf1=known(identity["IDF1"]),
        hota=known(hota["HOTA"]),
        det_a=known(hota["DetA"]),
        ass_a=known(hota["AssA"]),
        id_switches=int(clear["IDSW"]),
        false_boxes=int(clear["CLR_FP"]),
        missed_boxes=int(clear["CLR_FN"]),
        annotated_boxes=boxes,
        found_boxes=found_boxes,
        objects=_identities(true_ids),
        tracks=_identities(ids),
    )


def unmatched(wanted: Sequence[InFrame], given: Sequence[InFrame], frame_s: NDArray[np.float64], least_s: float) -> list[Span]:
    """Spans of at least `least_s` over which something that is in `wanted` has no box in `given`, longest first.

    Of annotation and tracks these are the objects that were missed; the other way round, what was followed and is nothing. A span ends with the first frame
    in which a box is there again, or in which the object itself is not.
    """
    begun: dict[int, int] = {}
    spans: list[Span] = []

    def end(identity: int, last: int) -> None:
        span = Span(float(frame_s[begun.pop(identity)]), float(frame_s[last]), identity)
        if span.end_s - span.start_s >= least_s - TIME_TOLERANCE_S:
            spans.append(span)

    for number, (one, other) in enumerate(zip(wanted, given, strict=True)):
        has_box, _ = _matched(iou(one.boxes, other.boxes))
        lacking = set(np.delete(one.ids, has_box).tolist())
        for identity in [identity for identity in begun if identity not in lacking]:
            end(identity, number - 1)
        for identity in lacking:
            begun.setdefault(identity, number)
    for identity in list(begun):
        end(identity, len(wanted) - 1)
    return sorted(spans, key=lambda span: (span.start_s - span.end_s, span.start_s, span.id))


def match_episodes(expected: Sequence[tuple[float, float]], found: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """Pairs (index in `expected`, index in `found`) of spans (start, end), one to one: as many as can be, then with the nearest starts.

    A pair may be where the spans overlap or start within `MATCH_S` of each other.
    """
    one, other = np.array(expected, np.float64).reshape(-1, 2), np.array(found, np.float64).reshape(-1, 2)
    apart = np.abs(one[:, None, 0] - other[None, :, 0])
    overlap = (one[:, None, 0] <= other[None, :, 1] + TIME_TOLERANCE_S) & (other[None, :, 0] <= one[:, None, 1] + TIME_TOLERANCE_S)
    may = overlap | (apart <= MATCH_S + TIME_TOLERANCE_S)
    rows, columns = linear_sum_assignment(np.where(may, apart, NEVER))
    return [(row, column) for row, column in zip(rows.tolist(), columns.tolist(), strict=True) if may[row, column]]


def iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) intersection over union of boxes (N, 4) and (M, 4), corners; 0 where neither has an area."""
    low, high = np.maximum(first[:, None, :2], second[None, :, :2]), np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area_first, area_second = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second))
    either = area_first[:, None] + area_second[None] - shared
    return np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)


def _matched(overlap: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the best one-to-one match of boxes that overlap by `MATCH_IOU`."""
    rows, columns = linear_sum_assignment(np.where(overlap >= MATCH_IOU, overlap, 0.0), maximize=True)
    real = overlap[rows, columns] >= MATCH_IOU
    return rows[real], columns[real]


def _by_frame(frame: NDArray[np.intp], ids: NDArray[np.int64] | NDArray[np.int32], boxes: NDArray[np.float64], frames: int) -> list[InFrame]:
    order = np.lexsort((ids, frame))
    bounds = np.searchsorted(frame[order], np.arange(frames + 1))
    return [InFrame(ids[rows].astype(np.int64), boxes[rows]) for rows in (order[bounds[i] : bounds[i + 1]] for i in range(frames))]


def _identities(ids: Sequence[NDArray[np.int64]]) -> int:
    return len(np.unique(np.concatenate(ids))) if ids else 0
