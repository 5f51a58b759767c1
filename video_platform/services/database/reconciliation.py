"""Bringing the alerts ledger to what an evaluation says; the only writer of what an alert *is*."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from video_platform import events
from video_platform.layout import ALERTS, BUCKET
from video_platform.records import AlertRecord, Episode, Lane, Lifecycle, Mark, OpenState, Severity, VideoRecord
from video_platform.services.database import ledger_rows, outbox, videos
from video_platform.services.database.decisions import RuleFacts, decide, facts, new_id, plain
from video_platform.services.database.engine import Database
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
    `video.processed.v1` from the next; the same key announces once. `unjudged` are rules that could not be judged whole: what they raised before stays.
    `provisional`: something that was to be asked is away, so this does not count as an evaluation, and the next one may be the first.
    `second_look_s`: how long notifications of a video's first evaluation, which a second look at its alerts follows, wait for that.
    """

    video_id: str
    asset: str
    fingerprint: str
    content_hash: str
    tracks_hash: str
    rules_version: str
    episodes: Sequence[Episode]
    rule_facts: RuleFacts
    lane: Lane
    run_id: str | None
    now: datetime
    processed_key: str
    open_states: Sequence[OpenState] = ()
    notify: bool = False
    fresh_hours: float = FRESH_HOURS
    unjudged: Collection[str] = ()
    provisional: bool = False
    second_look_s: float = 0.0


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
        return reconcile_locked(connection, videos.lock(connection, evaluation.video_id), evaluation)


def reconcile_locked(connection: Connection, video: VideoRecord, evaluation: EvaluationInput) -> LedgerChange:
    """The same inside a transaction that holds the video's row (`videos.lock`); what else is written in it stands or falls with it."""
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
        for decision in decide(self.rows, self.input.episodes, self.input.tracks_hash):
            for row, episode in decision.kept:
                self._keep(row, episode)
            for row in decision.gone if decision.rule not in self.input.unjudged else ():
                self._supersede(row)
            for new in decision.new:
                self._add(new.episode, split_of=new.split_of)
        if not self.input.provisional:
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

    def _keep(self, row: Row, episode: Episode) -> None:
        wanted = {**facts(self.video, episode, self.input.rule_facts), "lifecycle": str(Lifecycle.ACTIVE), "superseded_reason": None}
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
        alert_id = new_id(self.video, self.input.asset, episode, self.taken)
        values = {
            **facts(self.video, episode, self.input.rule_facts),
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

    def _reason(self, row: Row) -> str:
        if row.rule not in self.input.rule_facts:
            return f"rule {row.rule!r} does not apply to this video any more (rules {self.input.rules_version})"
        if row.tracks_hash != self.input.tracks_hash:
            return f"the video was tracked again, and rule {row.rule!r} does not find this in the new tracks"
        return f"rule {row.rule!r} does not find this any more (rules {self.input.rules_version})"

    def _announce(self, event_type: str, alert: AlertRecord, n: str) -> None:
        event_id = events.event_id(event_type, alert.video_id, n)
        if len(alert.model_dump_json().encode()) > LARGE_ALERT_BYTES:
            alert = alert.model_copy(update={"why": {"shortened": True}, "track_ids": alert.track_ids[:MAX_EVENT_TRACKS]})
        body = events.AlertBody(video_id=alert.video_id, lane=self.input.lane, alert=alert)
        self.events.append(events.Event(event_id, event_type, self.input.now, alert.video_id, body))

    def _notify(self, alert_id: str, rule: str) -> None:
        _, channels = self.input.rule_facts.get(rule, (Severity.WARNING, ()))
        if not channels or not (self.input.notify or self._speaks_by_itself()):
            return
        self.change.notified.append(alert_id)
        wait = min(timedelta(seconds=self.input.second_look_s), outbox.LONGEST_SECOND_LOOK)
        not_before = self.input.now + wait if wait and self.before is None else None
        for channel in sorted(set(channels)):
            row_id = events.event_id("notification", self.video.video_id, f"{alert_id}:{channel}")
            self.notices.append(outbox.Notice(row_id, channel, self.video.video_id, alert_id, not_before))

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
            "open_states": [plain(asdict(state)) for state in given.open_states],
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
