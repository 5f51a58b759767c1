"""Facts of made-up footage that summaries are written from."""

from video_platform.analysis.summary_facts import Facts, gather
from video_platform.records import Scene, TrackLine, TrackSheet

NAMES = ("person", "dog", "car", "bus", "wine glass", "knife")
DURATION_S = 41.0


def line(number: int, name: str, start_s: float, end_s: float, way: tuple[float, float] = (0.1, 0.9), foot: float = 0.8) -> TrackLine:
    """A track whose foot point goes from `way[0]` to `way[1]` across the frame."""
    steps = [step / 9 for step in range(10)]
    middles = [way[0] + (way[1] - way[0]) * step for step in steps]
    return TrackLine(
        id=number,
        class_name=name,
        score=0.8,
        start_s=start_s,
        end_s=end_s,
        times_s=[start_s + (end_s - start_s) * step for step in steps],
        boxes=[(x - 0.02, foot - 0.2, x + 0.02, foot) for x in middles],
    )


def facts_of(*lines: TrackLine, duration_s: float = DURATION_S, samples: int = 205, scenes: tuple[Scene, ...] = (), **more) -> Facts:
    return gather(TrackSheet(sample_rate=5, samples=samples, tracks=list(lines)), scenes, duration_s=duration_s, names=NAMES, **more)


PLAZA = facts_of(
    line(1, "person", 1, 12),
    line(2, "person", 3, 9, (0.2, 0.8)),
    line(5, "person", 4, 30, (0.9, 0.1)),
    line(7, "person", 20, 39, (0.5, 0.5)),
    line(8, "dog", 3, 9, (0.2, 0.75)),
    scenes=(Scene(0, 0, 20), Scene(1, 20, DURATION_S)),
)
