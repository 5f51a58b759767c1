"""Scripted tracks: objects whose foot point goes where the test says, sampled at a fixed rate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from video_platform.analysis.tables import Samples, Tracks

NAMES = ("person", "car", "dog")
WIDTH, HEIGHT = 0.04, 0.12


@dataclass(frozen=True)
class Walk:
    """One object: `at(t)` gives its foot point, None where it is not seen; `score` for all of its boxes, or one per box in turn."""

    at: Callable[[float], tuple[float, float] | None]
    start_s: float = 0.0
    end_s: float = 10.0
    name: str = "person"
    score: float | Sequence[float] = 0.8
    track_id: int | None = None


def straight(start: tuple[float, float], end: tuple[float, float], start_s: float, end_s: float, **kwargs: object) -> Walk:
    """From one point to the other at constant speed."""

    def at(t: float) -> tuple[float, float]:
        part = (t - start_s) / (end_s - start_s)
        return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part

    return Walk(at, start_s, end_s, **kwargs)  # type: ignore[arg-type]


def steps(*stops: tuple[float, tuple[float, float] | None], end_s: float, **kwargs: object) -> Walk:
    """Standing at each stop from its time until the next stop's time; None is out of sight."""

    def at(t: float) -> tuple[float, float] | None:
        return [place for since, place in stops if since <= t + 1e-9][-1]

    return Walk(at, stops[0][0], end_s, **kwargs)  # type: ignore[arg-type]


def film(*walks: Walk, duration_s: float = 10.0, rate: float = 5.0) -> tuple[Tracks, Samples]:
    """Tracks and samples of a video in which these walks happen; ids are 1, 2 … in the given order unless a walk says otherwise."""
    times = np.arange(round(duration_s * rate) + 1) / rate
    rows = []
    for number, walk in enumerate(walks, start=1):
        seen = 0
        for t in times[(times >= walk.start_s - 1e-9) & (times <= walk.end_s + 1e-9)]:
            foot = walk.at(float(t))
            if foot is not None:
                score = walk.score if isinstance(walk.score, float) else walk.score[seen % len(walk.score)]
                box = (foot[0] - WIDTH / 2, foot[1] - HEIGHT, foot[0] + WIDTH / 2, foot[1])
                rows.append((float(t), NAMES.index(walk.name), score, box, walk.track_id or number))
                seen += 1
    samples = Samples(times, np.arange(len(times)) * 6)
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    tracks = Tracks(
        np.array(columns[0], np.float64),
        np.array(columns[1], np.int16),
        np.array(columns[2], np.float32),
        np.array(columns[3], np.float32).reshape(-1, 4),
        np.array(columns[4], np.int32),
    )
    return tracks.ordered(), samples
