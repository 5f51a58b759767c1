"""Bringing the alerts ledger to what an evaluation says; the only writer of what an alert *is*."""

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from numbers import Integral, Real

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from video_platform import events
from video_platform.layout import ALERTS, BUCKET
from video_platform.records import AlertRecord, Episode, Lane, Lifecycle, Mark, OpenState, Severity, VideoRecord
from video_platform.services.database import ledger_rows, outbox, videos
from video_platform.services.database.engine import Database
from video_platform.services.database.matching import Span, match, splits
from video_platform.services.database.tables import alerts, evaluations

FRESH_HOURS = 24.0
"""Footage recorded longer ago than this notifies nobody, unless asked: nobody can act on it any more."""

LARGE_ALERT_BYTES = events.MAX_BODY_BYTES - 8 * 1024
"""An alert above this travels without its reasons and with its first tracks only: an event's body has a limit, and the ledger holds the rest."""

MAX_EVENT_TRACKS = 1000


@dataclass(frozen=True)
class EvaluationInput:
    """One evaluation of one video by one producing asset.

    `rule_facts` names every rule that was evaluated: severity and notification channels. `notify` asks for notifications of what is raised also when the
    ledger would stay silent: it speaks by itself only on a video's first evaluation, not in the backfill lane, and not of footage recorded over
    `fresh_hours` ago. `open_states` still held at the end of the video: the camera's next one may go on with them. `processed_key` tells one
    `video.processed.v1` from the next; the same key announces once.
    """

    video_id: str
    asset: str
    fingerprint: str
    content_hash: str
    tracks_hash: str
    rules_version: str
    episodes: Sequence[Episode]
    rule_facts: Mapping[str, tuple[Severity, Sequence[str]]]
    lane: Lane
    run_id: str | None
    now: datetime
    processed_key: str
    open_states: Sequence[OpenState] = ()
    notify: bool = False
    fresh_hours: float = FRESH_HOURS


@dataclass(frozen=True)
class LedgerChange:
    """What a reconciliation did, as alert ids; `alerts` are the active ones of this video and asset, in order of time.

    `kept` were active and still are, `revived` had been superseded; `split` are pieces of another alert and raised nothing; `notified` of the raised were
    handed to their channels.
    """

    alerts: list[AlertRecord]
    raised: list[str] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    notified: list[str] = field(default_factory=list)


def reconcile(db: Database, evaluation: EvaluationInput) -> LedgerChange:
    """Bring the ledger to what this evaluation says, with everything that follows from it, in one transaction.

    Matching is per video, asset and rule, superseded alerts included (`matching`): a match keeps id and mark, and revives silently; an alert without a
    match becomes superseded with its reason; an episode without one is a piece of an alert that it touches, or raised once. Events, notifications, the
    state of the video and the evaluation's fingerprint are rows of the same transaction. The same evaluation again changes nothing.

    Raises:
        NotFound, VideoDeleted: there is nothing to write to.
    """
    import scipy.optimize  # noqa: F401  (here, so that its import does not fall into the transaction)

    with db.write() as connection:
        video = videos.lock(connection, evaluation.video_id)
        return _Reconciliation(connection, video, evaluation).run()


class _Reconciliation:
    """One run of `reconcile`, inside its transaction."""

    def __init__(self, connection: Connection, video: VideoRecord, evaluation: EvaluationInput) -> None:
        self.connection, self.video, self.input = connection, video, evaluation
        key = (evaluations.c.video_id == video.video_id, evaluations.c.asset == evaluation.asset)
        self.before = connection.execute(sa.select(evaluations).where(*key)).one_or_none()
        self.rows = connection.execute(
            sa.select(alerts)
            .where(alerts.c.video_id == video.video_id, alerts.c.asset == evaluation.asset)
            .order_by(alerts.c.start_s, alerts.c.end_s, alerts.c.id)
        ).all()
        self.taken = {row.id for row in self.rows}
        self.change = LedgerChange(alerts=[])
        self.new_rows: list[dict[str, object]] = []
        self.events: list[events.Event] = []
        self.notices: list[outbox.Notice] = []
        self._revision: int | None = None

    def run(self) -> LedgerChange:
        """Rule by rule, then what belongs to the video as a whole."""
        episodes = sorted(self.input.episodes, key=lambda each: (each.rule, each.start_s, each.end_s, each.track_ids, each.kind, each.place or ()))
        for rule in sorted({row.rule for row in self.rows} | {episode.rule for episode in episodes}):
            self._rule([row for row in self.rows if row.rule == rule], [episode for episode in episodes if episode.rule == rule])
        self._record_evaluation()
        if self.new_rows:
            self.connection.execute(sa.insert(alerts), self.new_rows)
        active = ledger_rows.select(self.connection, alerts.c.video_id == self.video.video_id, alerts.c.asset == self.input.asset, ledger_rows.ACTIVE)
        if self.input.asset == ALERTS:
            videos.make_ready(self.connection, self.video, self.input.run_id, self.input.now)
            self.events.append(self._processed(len(active)))
        outbox.add_events(self.connection, self.events, self.input.now)
        outbox.add_notifications(self.connection, self.notices, self.input.now)
        return replace(self.change, alerts=active)

    def _rule(self, rows: list[Row], episodes: list[Episode]) -> None:
        row_spans = [_row_span(row) for row in rows]
        episode_spans = [_episode_span(episode, self.input.tracks_hash) for episode in episodes]
        matched = match(row_spans, episode_spans)
        for index, episode in enumerate(episodes):
            if index in matched:
                self._keep(rows[matched[index]], episode)
        for index, row in enumerate(rows):
            if index not in matched.values() and row.lifecycle == Lifecycle.ACTIVE:
                self._supersede(row)
        for index, episode in enumerate(episodes):
            if index not in matched:
                whole = next((row_spans[at] for at in sorted(matched.values()) if splits(row_spans[at], episode_spans[index])), None)
                self._add(episode, split_of=whole.key if whole else None)

    def _keep(self, row: Row, episode: Episode) -> None:
        wanted = {**self._facts(episode), "lifecycle": str(Lifecycle.ACTIVE), "superseded_reason": None}
        (self.change.kept if row.lifecycle == Lifecycle.ACTIVE else self.change.revived).append(row.id)
        changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if changed:
            self._update(row.id, **changed, updated_at=self.input.now, revision=self._next_revision())
        if row.tracks_hash != self.input.tracks_hash:
            self._update(row.id, tracks_hash=self.input.tracks_hash)

    def _supersede(self, row: Row) -> None:
        times = row.supersedes + 1
        said = {"lifecycle": Lifecycle.SUPERSEDED, "superseded_reason": self._reason(row), "updated_at": self.input.now}
        self._update(row.id, **said, supersedes=times, revision=self._next_revision())
        self.change.superseded.append(row.id)
        if row.split_of is None:
            self._announce(events.ALERT_SUPERSEDED, ledger_rows.record(row).model_copy(update=said), f"{row.id}:{times}")

    def _add(self, episode: Episode, split_of: str | None) -> None:
        alert_id = self._new_id(episode)
        values = {
            **self._facts(episode),
            "id": alert_id,
            "video_id": self.video.video_id,
            "asset": self.input.asset,
            "rule": episode.rule,
            "lifecycle": str(Lifecycle.ACTIVE),
            "mark": str(Mark.NONE),
            "tracks_hash": self.input.tracks_hash,
            "rules_version": self.input.rules_version,
            "supersedes": 0,
            "split_of": split_of,
            "raised_at": self.input.now,
            "updated_at": self.input.now,
            "revision": self._next_revision(),
        }
        self.new_rows.append(values)
        if split_of is not None:
            self.change.split.append(alert_id)
            return
        self.change.raised.append(alert_id)
        self._announce(events.ALERT_RAISED, ledger_rows.record_of(values), alert_id)
        if not _told_before(episode):
            self._notify(alert_id, episode.rule)

    def _facts(self, episode: Episode) -> dict[str, object]:
        """What an evaluation says of an alert, as columns."""
        severity, _ = self.input.rule_facts.get(episode.rule, (Severity.WARNING, ()))
        recorded_at = self.video.recorded_at
        return {
            "camera": self.video.camera,
            "kind": episode.kind,
            "severity": str(severity),
            "start_s": float(episode.start_s),
            "end_s": float(episode.end_s),
            "start_time": None if recorded_at is None else recorded_at + timedelta(seconds=float(episode.start_s)),
            "track_ids": [int(track) for track in episode.track_ids],
            "place_x": None if episode.place is None else float(episode.place[0]),
            "place_y": None if episode.place is None else float(episode.place[1]),
            "score": None if episode.score is None else float(episode.score),
            "why": _plain(episode.why),
        }

    def _new_id(self, episode: Episode) -> str:
        """An id that follows from what was found, so that two homes with the same footage and rules agree; free in this video's ledger."""
        video = self.video
        name = (video.video_id, video.generation, self.input.asset, episode.rule, f"{episode.start_s:.3f}", f"{episode.end_s:.3f}", *episode.track_ids)
        nth = 0
        while (alert_id := str(uuid.uuid5(events.NAMESPACE, "\n".join(str(part) for part in (*name, f"#{nth}"))))) in self.taken:
            nth += 1
        self.taken.add(alert_id)
        return alert_id

    def _reason(self, row: Row) -> str:
        if row.rule not in self.input.rule_facts:
            return f"rule {row.rule!r} does not apply to this video any more (rules {self.input.rules_version})"
        if row.tracks_hash != self.input.tracks_hash:
            return f"the video was tracked again, and rule {row.rule!r} does not find this in the new tracks"
        return f"rule {row.rule!r} does not find this any more (rules {self.input.rules_version})"

    def _announce(self, event_type: str, alert: AlertRecord, n: str) -> None:
        event_id = events.event_id(event_type, alert.video_id, n)
        if len(alert.model_dump_json()) > LARGE_ALERT_BYTES:
            alert = alert.model_copy(update={"why": {"shortened": True}, "track_ids": alert.track_ids[:MAX_EVENT_TRACKS]})
        body = events.AlertBody(video_id=alert.video_id, lane=self.input.lane, alert=alert)
        self.events.append(events.Event(event_id, event_type, self.input.now, alert.video_id, body))

    def _notify(self, alert_id: str, rule: str) -> None:
        _, channels = self.input.rule_facts.get(rule, (Severity.WARNING, ()))
        if not channels or not (self.input.notify or self._speaks_by_itself()):
            return
        self.change.notified.append(alert_id)
        for channel in sorted(set(channels)):
            row_id = events.event_id("notification", self.video.video_id, f"{alert_id}:{channel}")
            self.notices.append(outbox.Notice(row_id, channel, self.video.video_id, alert_id))

    def _speaks_by_itself(self) -> bool:
        recorded_at = self.video.recorded_at
        fresh = recorded_at is None or self.input.now - recorded_at <= timedelta(hours=self.input.fresh_hours)
        return self.before is None and self.input.lane is not Lane.BACKFILL and fresh

    def _record_evaluation(self) -> None:
        given = self.input
        key = {"video_id": self.video.video_id, "asset": given.asset}
        said = {
            "fingerprint": given.fingerprint,
            "content_hash": given.content_hash,
            "tracks_hash": given.tracks_hash,
            "rules_version": given.rules_version,
            "open_states": [_plain(asdict(state)) for state in given.open_states],
        }
        if self.before is None:
            values = {**key, **said, "run_id": given.run_id, "first_at": given.now, "evaluated_at": given.now}
            self.connection.execute(sa.insert(evaluations).values(**values))
        elif any(getattr(self.before, name) != value for name, value in said.items()):
            where = (evaluations.c.video_id == key["video_id"], evaluations.c.asset == key["asset"])
            self.connection.execute(sa.update(evaluations).where(*where).values(**said, run_id=given.run_id, evaluated_at=given.now))

    def _processed(self, active: int) -> events.Event:
        video, given = self.video, self.input
        body = events.ProcessedBody(
            video_id=video.video_id,
            bucket=BUCKET,
            camera=video.camera,
            recorded_at=video.recorded_at,
            lane=given.lane,
            alerts=active,
            tracks_hash=given.tracks_hash,
            run_id=given.run_id,
        )
        event_id = events.event_id(events.VIDEO_PROCESSED, video.video_id, given.processed_key)
        return events.Event(event_id, events.VIDEO_PROCESSED, given.now, video.video_id, body)

    def _update(self, alert_id: str, **values: object) -> None:
        self.connection.execute(sa.update(alerts).where(alerts.c.id == alert_id).values(**values))

    def _next_revision(self) -> int:
        if self._revision is None:
            self._revision = ledger_rows.next_revision(self.connection)
        return self._revision


def _told_before(episode: Episode) -> bool:
    """Whether this goes on with what an alert of the video before was raised for: one thing notifies once."""
    origin = episode.why.get("continued_from")
    return isinstance(origin, Mapping) and bool(origin.get("reported"))


def _row_span(row: Row) -> Span:
    place = None if row.place_x is None or row.place_y is None else (row.place_x, row.place_y)
    return Span(row.start_s, row.end_s, frozenset(row.track_ids), row.tracks_hash, place, row.id, row.lifecycle == Lifecycle.ACTIVE)


def _episode_span(episode: Episode, tracks_hash: str) -> Span:
    return Span(float(episode.start_s), float(episode.end_s), frozenset(episode.track_ids), tracks_hash, episode.place, repr(episode.track_ids))


def _plain(value: object) -> object:
    """JSON values as they come back from the database, so that an unchanged alert compares equal."""
    match value:
        case None | bool() | str():
            return value
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case Integral():
            return int(value)
        case Real():
            return float(value) if math.isfinite(value) else None
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return str(value)
