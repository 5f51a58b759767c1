"""What a rule finds before it becomes an episode, and what merging and cooldown make of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

SAME_MOMENT_S = 1e-6
"""Sums of sample times differ by rounding; what starts at the very end of a cooldown is reported."""

GREATEST = ("count", "stayed_s", "held_s", "absent_s", "speed")
LEAST = ("closest",)

CONTINUES = "continues"
CONTINUED_FROM = "continued_from"


@dataclass(frozen=True)
class Hit:
    """One thing that a rule found in a video.

    `tracks` are positions in the `Observed`, `row` its row at the start, None when nobody is there; `facts` are of its kind; `video` is a position too.
    """

    start_s: float
    end_s: float
    tracks: tuple[int, ...]
    row: int | None
    facts: dict[str, object]
    video: int = 0


def merged(hits: Sequence[Hit], merge_s: float) -> list[Hit]:
    """One rule's hits in one video, in time order, with those that overlap or lie at most `merge_s` apart made one; it says of how many it is made."""
    groups: list[list[Hit]] = []
    end_s = float("-inf")
    for hit in hits:
        if groups and hit.start_s <= end_s + merge_s + SAME_MOMENT_S:
            groups[-1].append(hit)
        else:
            groups.append([hit])
            end_s = hit.end_s
        end_s = max(end_s, hit.end_s)
    return [group[0] if len(group) == 1 else _one(group) for group in groups]


def _one(group: Sequence[Hit]) -> Hit:
    facts = {**group[0].facts, "merged": len(group)}
    if any(hit.facts.get(CONTINUES) for hit in group):
        facts[CONTINUES] = True
    chosen: tuple[tuple[tuple[str, ...], Callable[..., float]], ...] = ((GREATEST, max), (LEAST, min))
    for names, choose in chosen:
        for name in names:
            values = [value for hit in group if isinstance(value := hit.facts.get(name), int | float)]
            if values:
                facts[name] = choose(values)
    tracks = tuple(sorted({track for hit in group for track in hit.tracks}))
    return Hit(group[0].start_s, max(hit.end_s for hit in group), tracks, group[0].row, facts, group[0].video)


def after_cooldown(hits: Sequence[Hit], cooldown_s: float) -> list[Hit]:
    """Those of one rule's hits in one video, in time order, that start no sooner than `cooldown_s` after the last one kept; that one counts the others."""
    kept: list[Hit] = []
    more: list[int] = []
    for hit in hits:
        if kept and hit.start_s < kept[-1].start_s + cooldown_s - SAME_MOMENT_S:
            more[-1] += 1
        else:
            kept.append(hit)
            more.append(0)
    return [replace(hit, facts={**hit.facts, "more_within_cooldown": n}) if n else hit for hit, n in zip(kept, more, strict=True)]
