"""Which episode of a new evaluation is which alert of the ledger: a maximum-weight one-to-one assignment.

The weight of a pair that lies at most `GAP_S` apart is

    (overlap + 2) / (union + 2)                 how much of both they share; for a gap g: (2 - g) / (union + 2)
    + 0.5 max(0, 1 - |difference of starts| / 2)
    + 0.5 max(0, 1 - distance / 0.25)           of the tested points at the start
    + 4 x Jaccard of the track ids              when both come from the same tracks
    + 0.25                                      when the alert is active

so that an alert keeps its id when a rule is edited (same tracks) and when the footage is tracked again (other ids, slightly other times).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_platform.records import Point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GAP_S = 2.0
"""Seconds that an alert and an episode may lie apart and still be the same thing."""

TRACKED_BY_NOBODY = ""
"""In place of the hash of tracks, of alerts that name none: what is seen and said."""

PLACE_REACH = 0.25
"""Fraction of the frame beyond which two tested points tell nothing."""

START_WEIGHT = 0.5
PLACE_WEIGHT = 0.5
TRACKS_WEIGHT = 4.0
ACTIVE_WEIGHT = 0.25


@dataclass(frozen=True)
class Span:
    """What matching looks at: seconds, track ids with the hash of the tracks they count in, the tested point at the start, a tie-breaking `key`."""

    start_s: float
    end_s: float
    track_ids: frozenset[int]
    tracks_hash: str
    place: Point | None
    key: str
    active: bool = True


def gap_s(one: Span, other: Span) -> float:
    """Seconds between two spans; negative by how much they overlap."""
    return max(one.start_s, other.start_s) - min(one.end_s, other.end_s)


def weights(alerts: Sequence[Span], episodes: Sequence[Span]) -> "NDArray[np.float64]":
    """The weight of every pair, shape (episodes, alerts); 0 where the two are too far apart to be the same thing."""
    import numpy as np

    a_start, a_end = np.array([span.start_s for span in alerts]), np.array([span.end_s for span in alerts])
    e_start, e_end = np.array([[span.start_s] for span in episodes]), np.array([[span.end_s] for span in episodes])
    gap = np.maximum(a_start, e_start) - np.minimum(a_end, e_end)
    union = np.maximum(a_end, e_end) - np.minimum(a_start, e_start)
    total = (GAP_S - gap) / (union + GAP_S) + START_WEIGHT * np.maximum(0.0, 1.0 - np.abs(a_start - e_start) / GAP_S)
    nowhere = (math.nan, math.nan)
    a_place, e_place = np.array([span.place or nowhere for span in alerts]), np.array([span.place or nowhere for span in episodes])
    distance = np.hypot(a_place[None, :, 0] - e_place[:, None, 0], a_place[None, :, 1] - e_place[:, None, 1])
    total += np.nan_to_num(PLACE_WEIGHT * np.maximum(0.0, 1.0 - distance / PLACE_REACH), nan=0.0)
    for (episode, alert), jaccard in _shared_tracks(alerts, episodes).items():
        total[episode, alert] += TRACKS_WEIGHT * jaccard
    total += ACTIVE_WEIGHT * np.array([span.active for span in alerts])
    return np.where(gap > GAP_S, 0.0, total)


def weight(alert: Span, episode: Span) -> float:
    """The weight of one pair, as `weights` has it; most alerts lie alone, and a matrix of one costs as much as one of a thousand."""
    gap = gap_s(alert, episode)
    if gap > GAP_S:
        return 0.0
    union = max(alert.end_s, episode.end_s) - min(alert.start_s, episode.start_s)
    total = (GAP_S - gap) / (union + GAP_S) + START_WEIGHT * max(0.0, 1.0 - abs(alert.start_s - episode.start_s) / GAP_S)
    if alert.place is not None and episode.place is not None:
        distance = math.hypot(alert.place[0] - episode.place[0], alert.place[1] - episode.place[1])
        total += PLACE_WEIGHT * max(0.0, 1.0 - distance / PLACE_REACH)
    if alert.tracks_hash == episode.tracks_hash and (shared := len(alert.track_ids & episode.track_ids)):
        total += TRACKS_WEIGHT * shared / len(alert.track_ids | episode.track_ids)
    return total + ACTIVE_WEIGHT * alert.active


def match(alerts: Sequence[Span], episodes: Sequence[Span]) -> dict[int, int]:
    """Episode index -> alert index, the heaviest one-to-one assignment; the same for any order of the input."""
    matched: dict[int, int] = {}
    for alert_group, episode_group in _groups(alerts, episodes):
        matched.update(_assign(alerts, episodes, alert_group, episode_group))
    return matched


def splits(alert: Span, episode: Span) -> bool:
    """Whether an unmatched episode is a piece of this alert rather than something new: they touch, and the same tracks do not tell them apart."""
    if gap_s(alert, episode) > 0.0:
        return False
    told_apart = alert.tracks_hash == episode.tracks_hash and alert.track_ids and episode.track_ids and not alert.track_ids & episode.track_ids
    return not told_apart


def _groups(alerts: Sequence[Span], episodes: Sequence[Span]) -> list[tuple[list[int], list[int]]]:
    """Alerts and episodes in groups that lie more than `GAP_S` apart, so that an hour of footage costs small assignments instead of one huge one."""
    spans = [(span.start_s, span.end_s, span.key, 0, index) for index, span in enumerate(alerts)]
    spans += [(span.start_s, span.end_s, span.key, 1, index) for index, span in enumerate(episodes)]
    groups: list[tuple[list[int], list[int]]] = []
    reach = float("-inf")
    for start_s, end_s, _, side, index in sorted(spans):
        if start_s - reach > GAP_S:
            groups.append(([], []))
        reach = max(reach, end_s)
        groups[-1][side].append(index)
    return [group for group in groups if group[0] and group[1]]


def _assign(alerts: Sequence[Span], episodes: Sequence[Span], alert_group: list[int], episode_group: list[int]) -> dict[int, int]:
    if len(alert_group) == len(episode_group) == 1:
        alert, episode = alert_group[0], episode_group[0]
        return {episode: alert} if weight(alerts[alert], episodes[episode]) > 0.0 else {}
    from scipy.optimize import linear_sum_assignment

    found = weights([alerts[index] for index in alert_group], [episodes[index] for index in episode_group])
    rows, columns = linear_sum_assignment(found, maximize=True)
    return {episode_group[row]: alert_group[column] for row, column in zip(rows.tolist(), columns.tolist(), strict=True) if found[row, column] > 0.0}


def _shared_tracks(alerts: Sequence[Span], episodes: Sequence[Span]) -> dict[tuple[int, int], float]:
    """`(episode, alert)` -> Jaccard index of their track ids, for the pairs that come from the same tracks and share some."""
    holders: dict[tuple[str, int], list[int]] = {}
    for index, span in enumerate(alerts):
        for track in span.track_ids:
            holders.setdefault((span.tracks_hash, track), []).append(index)
    found: dict[tuple[int, int], float] = {}
    for index, span in enumerate(episodes):
        for alert in {alert for track in span.track_ids for alert in holders.get((span.tracks_hash, track), ())}:
            both = alerts[alert].track_ids
            found[index, alert] = len(span.track_ids & both) / len(span.track_ids | both)
    return found
