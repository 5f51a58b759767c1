"""Which moments a reel shows, and how fast a time-lapse goes: pure functions over alerts and tracks.

Times are seconds from the first frame of the video; `max_s` is the length budget of what is made.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from video_platform.analysis.tables import Tracks

Span = tuple[float, float]

LEAD_S = 3.0
"""A piece begins this much before its alert: what led to it."""

SHORT_LEAD_S = 1.0
"""Where the piece before would reach into it, a piece begins this much before its alert."""

AFTER_S = 3.0
LONGEST_S = 9.0
"""A piece of an alert goes on at least, and at most, this long after its beginning."""

SHORTEST_S = 3.0
"""A piece of a reel is never shorter: less cannot be followed."""

WINDOW_S = 8.0
"""Activity is chosen in windows of this length."""

GAP_S = 2.0
"""Activity that pauses for less goes on."""

PAD_S = 0.5
"""Activity is shown from this much before its first box to this much after its last."""

MIN_SPEED = 4.0
"""A slower time-lapse would be the footage itself."""

NAMED = 3
"""Rules or classes that a title names; the rest is counted."""


@dataclass(frozen=True)
class Piece:
    """A span to be shown, why, and the moment of it that must not be cut away."""

    start_s: float
    end_s: float
    title: str
    anchor_s: float

    @property
    def length_s(self) -> float:
        """Seconds that it takes."""
        return self.end_s - self.start_s


def of_alerts(alerts: Iterable[tuple[str, float, float]], duration_s: float | None, max_s: float) -> list[Piece]:
    """Pieces for alerts `(rule, start_s, end_s)`, in order of time; those of nearly the same moment are one, and no moment is in two.

    Too long together, each is cut to its share around its alert.
    """
    pieces: list[Piece] = []
    rules: list[Counter[str]] = []
    limit = duration_s or float("inf")
    for rule, start, end in sorted(alerts, key=lambda alert: (alert[1], alert[2], alert[0])):
        first, last = max(0.0, start - LEAD_S), min(max(end, start + AFTER_S), start + LONGEST_S, limit)
        if last <= first:
            continue
        before = pieces[-1] if pieces else None
        if before is not None and start - before.anchor_s < SHORTEST_S:
            rules[-1][rule] += 1
            pieces[-1] = replace(before, end_s=max(before.end_s, last), title=listed(rules[-1]))
            continue
        if before is not None and first < before.end_s:
            first = max(first, min(before.end_s, start - SHORT_LEAD_S))
            pieces[-1] = replace(before, end_s=first)
        rules.append(Counter([rule]))
        pieces.append(Piece(first, last, rule, start))
    return fitted(pieces, max_s)


def of_activity(tracks: Tracks, names: Sequence[str], max_s: float, duration_s: float | None = None) -> list[Piece]:
    """Pieces of the busiest windows, in order of time, as many as fit; the title counts the tracks of each class."""
    chosen, left_s = [], max_s
    for (start, end), _ in windows(tracks, duration_s):
        length = min(end - start, left_s)
        if length <= 0 or length < min(SHORTEST_S, end - start):
            break
        chosen.append((start, start + length))
        left_s -= length
    return [active(tracks, names, span) for span in merged(chosen)]


def windows(tracks: Tracks, duration_s: float | None = None) -> list[tuple[Span, int]]:
    """The activity in windows of about `WINDOW_S`, the busiest first, each with how many boxes are in it."""
    found: list[Span] = []
    for start, end in activity(tracks, duration_s):
        edges = np.linspace(start, end, max(1, round((end - start) / WINDOW_S)) + 1).tolist()
        found += list(pairwise(edges))
    boxes = [int(np.searchsorted(tracks.time_s, end) - np.searchsorted(tracks.time_s, start)) for start, end in found]
    return sorted(zip(found, boxes, strict=True), key=lambda each: (-each[1], each[0]))


def active(tracks: Tracks, names: Sequence[str], span: Span) -> Piece:
    """A piece for a span of activity."""
    rows = (tracks.time_s >= span[0]) & (tracks.time_s <= span[1])
    _, first = np.unique(tracks.track_id[rows], return_index=True)
    classes = Counter(names[int(class_id)] for class_id in tracks.class_id[rows][first])
    return Piece(*span, f"activity: {listed(classes)}", (span[0] + span[1]) / 2)


def fitted(pieces: Sequence[Piece], max_s: float) -> list[Piece]:
    """The pieces within `max_s` together (none within 0): of very many an even choice, the longer ones cut to an equal share that holds their anchor."""
    if max_s <= 0:
        return []
    if sum(piece.length_s for piece in pieces) <= max_s:
        return list(pieces)
    most = max(1, int(max_s // SHORTEST_S))
    if len(pieces) > most:
        pieces = [pieces[index * len(pieces) // most] for index in range(most)]
    share, left_s = max_s, max_s
    for count, length in zip(range(len(pieces), 0, -1), sorted(piece.length_s for piece in pieces), strict=True):
        share = left_s / count
        if length >= share:
            break
        left_s -= length
    return [cut(piece, share) for piece in pieces]


def cut(piece: Piece, length_s: float) -> Piece:
    """The piece, or what of it holds its anchor where it is longer than `length_s`."""
    if piece.length_s <= length_s:
        return piece
    start = max(piece.start_s, min(piece.anchor_s - length_s / 3, piece.end_s - length_s))
    return replace(piece, start_s=start, end_s=start + length_s)


def activity(tracks: Tracks, duration_s: float | None = None) -> list[Span]:
    """The spans in which anything is followed, as far as the footage goes; short pauses do not part them."""
    if not len(tracks):
        return []
    times = np.unique(tracks.time_s)
    ends = np.flatnonzero(np.diff(times) > GAP_S)
    starts = np.concatenate(([0], ends + 1))
    ends = np.concatenate((ends, [len(times) - 1]))
    return merged(
        [(max(0.0, float(times[first]) - PAD_S), min(float(times[last]) + PAD_S, duration_s or float("inf"))) for first, last in zip(starts, ends, strict=True)]
    )


def lapse(spans: Sequence[Span], max_s: float, rate: float) -> tuple[float, list[float]]:
    """How much faster than life a time-lapse of `spans` goes that lasts `max_s` at most, and the moment that each of its frames (`rate` a second) shows."""
    if max_s <= 0:
        return MIN_SPEED, []
    total = sum(end - start for start, end in spans)
    speed = max(MIN_SPEED, total / max_s)
    positions = np.arange(int(total / speed * rate)) * (speed / rate)
    bounds = np.concatenate(([0.0], np.cumsum([end - start for start, end in spans])))
    found = []
    for index, (start, _) in enumerate(spans):
        inside = positions[(positions >= bounds[index]) & (positions < bounds[index + 1])]
        found += (start + inside - bounds[index]).tolist()
    return speed, found


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in time order, those that overlap or touch joined."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def listed(counted: Counter[str]) -> str:
    """Names with their counts where above one, the most frequent first."""
    most = sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    words = [name if count == 1 else f"{name} ×{count}" for name, count in most[:NAMED]]
    return ", ".join(words) + (f" and {len(most) - NAMED} more" if len(most) > NAMED else "")
