"""Which moments the reel of a day shows: alerts first, the most severe before the others, then activity; each camera has its turn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from video_platform.analysis.reel_plan import SHORTEST_S, Piece, cut

RANKS = ("critical", "warning", "info", "activity")
"""In this order moments are chosen."""

PIECE_S = 8.0
"""The longest piece: a day has many."""

MOST = 200
"""Pieces of a reel, whatever its length."""


@dataclass(frozen=True)
class Moment:
    """A piece of one video of the day; `rank` is one of `RANKS`, `weight` says which of two moments of one rank and camera is chosen first (the larger)."""

    video_id: str
    camera: str
    recorded_at: datetime
    piece: Piece
    rank: str
    weight: float = 0.0

    @property
    def at(self) -> datetime:
        """The instant at which it begins."""
        return self.recorded_at + timedelta(seconds=self.piece.start_s)


def choose(moments: Iterable[Moment], max_s: float) -> list[Moment]:
    """The moments that fit into `max_s`, in order of time; of more than fit, an even choice over the day."""
    by_rank: dict[str, list[Moment]] = {rank: [] for rank in RANKS}
    for moment in moments:
        by_rank[moment.rank].append(replace(moment, piece=cut(moment.piece, PIECE_S)))
    chosen: list[Moment] = []
    left_s = max_s
    for rank in RANKS:
        for moment in _in_turn(by_rank[rank]):
            shortest = min(SHORTEST_S, moment.piece.length_s)
            if left_s <= 0 or left_s < shortest or len(chosen) == MOST:
                break
            if any(_overlap(moment, other) for other in chosen):
                continue
            piece = cut(moment.piece, left_s)
            chosen.append(replace(moment, piece=piece))
            left_s -= piece.length_s
    return sorted(chosen, key=lambda moment: (moment.at, moment.camera, moment.video_id))


def _overlap(a: Moment, b: Moment) -> bool:
    """Whether both show the same moment of one video."""
    return a.video_id == b.video_id and a.piece.start_s < b.piece.end_s and b.piece.start_s < a.piece.end_s


def _in_turn(moments: Sequence[Moment]) -> list[Moment]:
    """One moment of each camera, then the second of each, and so on."""
    by_camera: dict[str, list[Moment]] = {}
    for moment in sorted(moments, key=lambda moment: (-moment.weight, moment.at, moment.video_id)):
        by_camera.setdefault(moment.camera, []).append(moment)
    turns = [(turn, camera, moment) for camera, own in by_camera.items() for turn, moment in enumerate(_spread(own))]
    return [moment for _, _, moment in sorted(turns, key=lambda each: each[:2])]


def _spread(moments: Sequence[Moment]) -> list[Moment]:
    """Moments of one weight in an order of which every beginning is spread over all of them: that of the van der Corput sequence."""
    if len({moment.weight for moment in moments}) > 1:
        return list(moments)
    bits = max(1, (len(moments) - 1).bit_length())
    return [moments[index] for index in sorted(range(len(moments)), key=lambda index: int(f"{index:0{bits}b}"[::-1], 2))]
