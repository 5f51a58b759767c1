"""What an evaluation makes of the alerts that the ledger has of a video: which stay, which go, which are new. Nothing is written here.

`reconciliation` does what is decided, `history` tells what a draft would do; both ask here, so that a draft promises what is then done.
"""

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

from video_platform import events
from video_platform.records import Episode, Lifecycle, Severity, VideoRecord
from video_platform.services.database.matching import Span, match, splits

RuleFacts = Mapping[str, tuple[Severity, Sequence[str]]]
"""Severity and notification channels of each rule that was evaluated."""


@dataclass(frozen=True)
class New:
    """An episode that no alert is; a piece of the alert `split_of`, if of any."""

    episode: Episode
    split_of: str | None


@dataclass(frozen=True)
class Decision:
    """What becomes of the alerts of one rule: those that `kept` pairs with an episode stay or come back, those `gone` were active and match nothing."""

    rule: str
    kept: list[tuple[Any, Episode]]
    gone: list[Any]
    new: list[New]


def decide(rows: Sequence[Any], episodes: Sequence[Episode], tracks_hash: str) -> list[Decision]:
    """Rule by rule what becomes of the alerts of one video and asset (`rows` of `alerts`, superseded ones included, in order of time)."""
    rows_of: dict[str, list[Any]] = {}
    episodes_of: dict[str, list[Episode]] = {}
    for row in rows:
        rows_of.setdefault(row.rule, []).append(row)
    for episode in sorted(episodes, key=lambda each: (each.rule, each.start_s, each.end_s, each.track_ids, each.kind, each.place or ())):
        episodes_of.setdefault(episode.rule, []).append(episode)
    return [_of_rule(rule, rows_of.get(rule, []), episodes_of.get(rule, []), tracks_hash) for rule in sorted({*rows_of, *episodes_of})]


def _of_rule(rule: str, rows: Sequence[Any], episodes: Sequence[Episode], tracks_hash: str) -> Decision:
    row_spans = [_row_span(row) for row in rows]
    episode_spans = [_episode_span(episode, tracks_hash) for episode in episodes]
    matched = match(row_spans, episode_spans)
    taken = set(matched.values())
    kept = [(rows[matched[index]], episode) for index, episode in enumerate(episodes) if index in matched]
    gone = [row for index, row in enumerate(rows) if index not in taken and row.lifecycle == Lifecycle.ACTIVE]
    wholes = [row_spans[at] for at in sorted(taken)]
    new = []
    for index, episode in enumerate(episodes):
        if index not in matched:
            whole = next((span for span in wholes if splits(span, episode_spans[index])), None)
            new.append(New(episode, whole.key if whole else None))
    return Decision(rule, kept, gone, new)


def facts(video: VideoRecord, episode: Episode, rule_facts: RuleFacts) -> dict[str, object]:
    """What an evaluation says of an alert, as columns of the ledger."""
    severity, _ = rule_facts.get(episode.rule, (Severity.WARNING, ()))
    return {
        "camera": video.camera,
        "kind": episode.kind,
        "severity": str(severity),
        "start_s": float(episode.start_s),
        "end_s": float(episode.end_s),
        "start_time": None if video.recorded_at is None else video.recorded_at + timedelta(seconds=float(episode.start_s)),
        "track_ids": [int(track) for track in episode.track_ids],
        "place_x": None if episode.place is None else float(episode.place[0]),
        "place_y": None if episode.place is None else float(episode.place[1]),
        "score": None if episode.score is None else float(episode.score),
        "why": plain(episode.why),
    }


def new_id(video: VideoRecord, asset: str, episode: Episode, taken: set[str]) -> str:
    """An id that follows from what was found, so that two homes with the same footage and rules agree; it is not in `taken`, and then is."""
    name = (video.video_id, video.generation, asset, episode.rule, f"{episode.start_s:.3f}", f"{episode.end_s:.3f}", *episode.track_ids)
    nth = 0
    while (alert_id := str(uuid.uuid5(events.NAMESPACE, "\n".join(str(part) for part in (*name, f"#{nth}"))))) in taken:
        nth += 1
    taken.add(alert_id)
    return alert_id


def plain(value: object) -> object:
    """JSON values as they come back from the database, so that an unchanged alert compares equal."""
    match value:
        case None | bool() | str():
            return value
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case Integral():
            return int(value)
        case Real():
            return float(value) if math.isfinite(value) else None
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return str(value)


def _row_span(row: Any) -> Span:
    place = None if row.place_x is None or row.place_y is None else (row.place_x, row.place_y)
    return Span(row.start_s, row.end_s, frozenset(row.track_ids), row.tracks_hash, place, row.id, row.lifecycle == Lifecycle.ACTIVE)


def _episode_span(episode: Episode, tracks_hash: str) -> Span:
    return Span(float(episode.start_s), float(episode.end_s), frozenset(episode.track_ids), tracks_hash, episode.place, repr(episode.track_ids))
