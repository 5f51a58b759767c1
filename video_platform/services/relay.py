"""The relay: takes what waits in the outbox to the event log and to people.

`drain` sends what is due and returns; `run` does it until it is told to stop. Several relays may run at once, and one may be killed at any line: rows are held
by lease, and leave at least once, under the same id. `python -m video_platform.services.relay` is the process that `vp up` supervises.
"""

import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from video_platform import logs
from video_platform.errors import EventError, NotFound, PlatformError
from video_platform.services.database import Database, delivery, measures, open_database, outbox
from video_platform.services.database.outbox import Kind, OutboxRow
from video_platform.services.event_log import EventLog, open_log
from video_platform.services.notify import AppriseSender, Notifications, web_address
from video_platform.settings import RetentionSettings, Settings, load

log = logging.getLogger(__name__)

BATCH = 200
"""Events appended together: one durable write for all of them, and small enough to be sent well within the lease."""

SHORTEST_WAIT_S = 0.2
LONGEST_WAIT_S = 1.0
"""How long an idle relay waits before it looks again: quick after work, slower the longer nothing comes. A look is one indexed read."""

WAIT_GROWTH = 1.5

NOTIFICATION_PATIENCE_S = 3.0
"""How long a stopping relay waits for a message that is on its way; one that is cut off is sent again by the next relay."""

LOG_WAIT_S = 30.0
"""The longest pause after the event log did not answer."""

POISON_ATTEMPTS = 5
"""An event that the log refuses for what it is, not for where the log is, is given up after so many attempts; it stays visible."""

PRUNE_EVERY = timedelta(minutes=10)
"""How often rows that have left long ago are forgotten."""

HEARTBEAT = "relay"
BEAT_EVERY = timedelta(seconds=15)
"""How often a running relay says that it is alive: it has no port at which it could be asked."""


class Relay:
    """Sends outbox rows; `event_log` is called when there is something to send, and again after the log went away."""

    def __init__(
        self,
        db: Database,
        event_log: EventLog | Callable[[], EventLog],
        notifications: Notifications | None,
        worker: str,
        retention: RetentionSettings | None = None,
    ) -> None:
        self._db, self._notifications, self.worker = db, notifications, worker
        self._retention = retention or RetentionSettings()
        self._open_log: Callable[[], EventLog] = event_log if callable(event_log) else lambda: event_log
        self._log_failures = 0
        self._log_retry_at: datetime | None = None
        self._pruned_at: datetime | None = None
        self._beat_at: datetime | None = None
        self._said: dict[str, str] = {}
        self._turn = threading.Lock()

    def drain(self, now: datetime | None = None, limit: int = 1000) -> int:
        """Send what is due, at most about `limit` rows; returns how many left. A log that is away is no error: its rows wait."""
        now = now or datetime.now(UTC)
        done = self.drain_events(now, limit)
        return done + (self._notifications.drain(self.worker, now) if self._notifications is not None else 0)

    def drain_events(self, now: datetime | None = None, limit: int = 1000) -> int:
        """The same for events alone, which is quick enough to be done wherever they are written."""
        now = now or datetime.now(UTC)
        done = 0
        with self._turn:
            while done < limit and not self._pauses(now):
                rows = outbox.claim(self._db, self.worker, min(BATCH, limit - done), outbox.LEASE_S, now, kind=Kind.EVENT)
                if not rows:
                    break
                sent = self._append_all(rows, now)
                done += sent
                if sent < len(rows):
                    break
        return done

    def run(self, stop: threading.Event, alive: Path | None = None) -> None:
        """Drain until `stop` is set; events in hand are finished first. Notifications have a thread of their own: a slow mail server holds up no event.

        The file `alive` is touched after each look at the outbox that succeeded.
        """
        people = threading.Thread(target=self._loop, args=(stop, "notifications", self._drain_notifications), name="notifications", daemon=True)
        people.start()
        self._loop(stop, "events", self._drain_and_prune, alive)
        people.join(NOTIFICATION_PATIENCE_S)

    def _loop(self, stop: threading.Event, what: str, work: Callable[[], int], alive: Path | None = None) -> None:
        wait_s = SHORTEST_WAIT_S
        while not stop.is_set():
            try:
                done = work()
                self._say(what, "")
                if alive is not None:
                    _touch(alive)
            except PlatformError as error:
                done = 0
                self._say(what, f"the outbox cannot be read, {what} wait: {error}")
            except Exception as error:  # a fault of the program: the other loop goes on, and what was claimed is tried again when its lease has run out
                done = 0
                if not self._said.get(what):
                    log.exception("%s", what)
                self._say(what, f"{what} wait, because the program failed: {type(error).__name__}")
            wait_s = SHORTEST_WAIT_S if done else min(LONGEST_WAIT_S, wait_s * WAIT_GROWTH)
            if not done:
                stop.wait(wait_s)

    def _drain_and_prune(self) -> int:
        now = datetime.now(UTC)
        self._beat(now)
        self._prune(now)
        return self.drain_events(now)

    def _drain_notifications(self) -> int:
        return self._notifications.drain(self.worker, datetime.now(UTC)) if self._notifications is not None else 0

    def _append_all(self, rows: Sequence[OutboxRow], now: datetime) -> int:
        """Append claimed rows topic by topic; returns how many left."""
        by_topic: dict[str, list[OutboxRow]] = {}
        for row in rows:
            by_topic.setdefault(row.topic or "", []).append(row)
        done = 0
        for position, (topic, group) in enumerate(by_topic.items()):
            try:
                done += self._append(topic, group, now)
            except PlatformError as error:
                self._log_is_away(group, error, now)
                rest = [row for later in list(by_topic.values())[position + 1 :] for row in later]
                outbox.release(self._db, rest, self.worker)
                break
        else:
            self._log_is_back(now)
        return done

    def _append(self, topic: str, rows: Sequence[OutboxRow], now: datetime) -> int:
        """Append rows of one topic; raises only what says that the log as a whole is away."""
        event_log = self._open_log()
        try:
            event_log.append(topic, [row.message for row in rows])
        except NotFound:
            event_log.create_topics()
            return self._one_by_one(event_log, topic, rows, now)
        except EventError:
            return self._one_by_one(event_log, topic, rows, now)
        outbox.sent(self._db, rows, now)
        return len(rows)

    def _one_by_one(self, event_log: EventLog, topic: str, rows: Sequence[OutboxRow], now: datetime) -> int:
        """Find out which row the log refuses; the later ones of its key wait for it, all others leave."""
        done, stuck = 0, set[str]()
        for position, row in enumerate(rows):
            if row.key in stuck:
                outbox.release(self._db, [row], self.worker)
                continue
            try:
                event_log.append(topic, [row.message])
            except EventError as error:
                given_up = row.attempts + 1 >= POISON_ATTEMPTS
                outbox.failed(self._db, [row], error.message, now, dead=given_up)
                with logs.about(video_id=row.key, event_id=row.id):
                    log.warning("event for %s %s: %s", topic, "is given up" if given_up else "was refused", error)
                if not given_up:
                    stuck.add(row.key)
                continue
            except PlatformError:
                outbox.release(self._db, rows[position:], self.worker)
                raise
            outbox.sent(self._db, [row], now)
            done += 1
        return done

    def _log_is_away(self, rows: Sequence[OutboxRow], error: PlatformError, now: datetime) -> None:
        outbox.failed(self._db, rows, error.message, now)
        self._log_failures += 1
        self._log_retry_at = now + timedelta(seconds=min(LOG_WAIT_S, outbox.backoff_s(self._log_failures)))
        self._say("events to the log", f"the event log is away, events wait in the outbox: {error}")

    def _pauses(self, now: datetime) -> bool:
        """Whether the log gets time to come back; a pause that seems longer than any is one that began before the clock was set back."""
        return self._log_retry_at is not None and timedelta() < self._log_retry_at - now <= timedelta(seconds=LOG_WAIT_S)

    def _log_is_back(self, now: datetime) -> None:
        if self._log_failures:
            outbox.hasten(self._db, Kind.EVENT, now)
        self._log_failures, self._log_retry_at = 0, None
        self._say("events to the log", "")

    def _prune(self, now: datetime) -> None:
        if self._pruned_at is None or abs(now - self._pruned_at) >= PRUNE_EVERY:
            outbox.prune(self._db, now - timedelta(days=self._retention.outbox_days))
            delivery.prune(self._db, now - timedelta(days=self._retention.deliveries_days))
            self._pruned_at = now

    def _beat(self, now: datetime) -> None:
        if self._beat_at is None or abs(now - self._beat_at) >= BEAT_EVERY:
            measures.beat(self._db, HEARTBEAT, self.worker, now)
            self._beat_at = now

    def _say(self, what: str, trouble: str) -> None:
        """One line when trouble begins, one when it ends."""
        before = self._said.get(what, "")
        if bool(before) != bool(trouble):
            log.warning("%s", trouble) if trouble else log.info("%s leave again", what)
        self._said[what] = trouble


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):  # a full disk keeps no event from leaving
        path.touch()


def worker_name() -> str:
    """A name that no other relay has: host, process, and a random part for several in one process."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"


def open_relay(settings: Settings, db: Database, event_log: EventLog | Callable[[], EventLog]) -> Relay:
    """A relay with the notification channels of these settings."""
    looked_at = settings.second_look.enabled
    notifications = Notifications(db, AppriseSender(), per_hour=settings.notify.per_hour, page=lambda: web_address(settings), looked_at=looked_at)
    return Relay(db, event_log, notifications, worker_name(), settings.retention)


def main() -> int:
    """Run until SIGTERM or SIGINT; says `ready` once it drains. An argument names a file that is touched as a sign of life."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load()
        logs.configure(settings, "relay")
        db = open_database(settings)
    except PlatformError as error:
        log.error("%s", error)
        return 1
    opened: list[EventLog] = []

    def event_log() -> EventLog:
        if not opened:
            opened.append(open_log(settings))
        return opened[0]

    logs.announce(log, f"relay ready, process {os.getpid()}")
    try:
        open_relay(settings, db, event_log).run(stop, Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    finally:
        for each in opened:
            each.close()
        db.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
