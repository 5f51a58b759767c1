"""Telling people of alerts, through the channels that the rules name.

A channel is an Apprise address in an environment variable; the rules file holds the variable's name only. At most `per_hour` messages go to a channel in any
hour: what is above leaves together, in one digest. Whatever happens to a notification stands in the deliveries of its alert.

Where alerts get a second look, a notification may wait for it some seconds (`outbox.LONGEST_SECOND_LOOK`). It then says what came of that; it leaves without,
too, and whatever that is.
"""

import json
import logging
import os
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import unquote

from video_platform import layout, rules
from video_platform.errors import RulesError, ServiceError
from video_platform.hosts import url_of
from video_platform.records import Lifecycle, Severity
from video_platform.rules import RuleSet
from video_platform.services.database import Database, delivery, outbox, rulesets
from video_platform.services.database.delivery import Subject
from video_platform.services.database.outbox import Kind, OutboxRow
from video_platform.settings import Settings

log = logging.getLogger(__name__)

HOUR = timedelta(hours=1)

GIVE_UP_AFTER = timedelta(hours=24)
"""Nobody can act on an alert of yesterday: after this a notification is given up, visibly."""

MOST_AT_ONCE = 1000
"""Notifications taken in hand together, so that a flood becomes one digest instead of several."""

ANSWER_S = 60.0
"""Longest time for one message: a service that answers a byte now and then would otherwise hold up all channels for ever."""

MIN_SECRET_CHARS = 4
"""Shorter parts of an address are words like `tg` that would make holes in every message."""

DIGEST_LINES = 20
"""Alerts that a digest lists one by one; chat services refuse long messages."""


class NotDelivered(ServiceError):
    """A message did not get through; the text says why, without the address."""

    retriable = True


class Sender(Protocol):
    """Whoever brings a message to an address."""

    def send(self, address: str, title: str, body: str, severity: Severity) -> None:
        """Deliver, or raise `NotDelivered`."""
        ...


class AppriseSender:
    """Brings messages to whatever Apprise knows: mail, chat, push, webhooks. Follows no redirects: an address means itself.

    A service that does not answer within `answer_s` is not waited for; until it has hung up, nothing more is sent to it.
    """

    def __init__(self, *, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._busy: dict[str, threading.Thread] = {}

    def send(self, address: str, title: str, body: str, severity: Severity) -> None:
        """See `Sender.send`."""
        self._busy = {known: thread for known, thread in self._busy.items() if thread.is_alive()}
        if address in self._busy:
            raise NotDelivered("the service has not answered the message before this one yet")
        outcome: list[NotDelivered | None] = []

        def work() -> None:
            try:
                _send(address, title, body, severity)
            except NotDelivered as error:
                outcome.append(error)
            else:
                outcome.append(None)

        thread = threading.Thread(target=work, name="notification", daemon=True)
        thread.start()
        thread.join(self._answer_s)
        if not outcome:
            self._busy[address] = thread
            raise NotDelivered(f"the service did not answer within {self._answer_s:g} s; it may have got the message")
        if outcome[0] is not None:
            raise outcome[0]


def _send(address: str, title: str, body: str, severity: Severity) -> None:
    """One message through Apprise."""
    import apprise

    asset = apprise.AppriseAsset(app_id="video-platform", app_desc="alerts", app_url="", http_redirects=False, secure_logging=True)
    service = apprise.Apprise(asset=asset)
    kinds = {Severity.INFO: apprise.NotifyType.INFO, Severity.WARNING: apprise.NotifyType.WARNING, Severity.CRITICAL: apprise.NotifyType.FAILURE}
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as captured:
        try:
            known = service.add(address)
            sent = known and service.notify(title=title, body=body, notify_type=kinds[severity], body_format=apprise.NotifyFormat.TEXT)
        except Exception as error:  # a hundred services' code: whatever it raises, the other channels go on
            raise NotDelivered(f"the service's code failed: {type(error).__name__}") from error
        said = captured.getvalue()  # pyright: ignore[reportAttributeAccessIssue]  (it is a StringIO, Apprise's annotation says less)
    if not known:
        raise NotDelivered("its address is not one that Apprise understands; see https://github.com/caronc/apprise/wiki for the forms")
    if not sent:
        raise NotDelivered(_without_secrets(said, address) or "the service refused the message without saying why")


def understood(address: str) -> bool:
    """Whether Apprise knows what to do with an address; asks no service."""
    import apprise

    said = logging.getLogger("apprise")
    before, said.disabled = said.disabled, True  # the answer is enough, and what it says may have parts of the address
    try:
        return bool(apprise.Apprise(asset=apprise.AppriseAsset(secure_logging=True)).add(address))
    finally:
        said.disabled = before


class Notifications:
    """Takes due notifications from the outbox and delivers them, channel by channel; one channel's trouble holds back no other."""

    def __init__(
        self,
        db: Database,
        sender: Sender,
        *,
        per_hour: int,
        page: Callable[[], str],
        environment: Mapping[str, str] | None = None,
        looked_at: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`looked_at`: alerts over tracks get a second look, so that a message says when there was none yet. `clock` counts seconds and is set by nobody."""
        self._db, self._sender, self._per_hour, self._page = db, sender, per_hour, page
        self._environment = os.environ if environment is None else environment
        self._rules: tuple[int, RuleSet] | None = None
        self._looked_at, self._clock = looked_at, clock
        self._waiting_since: dict[str, float] = {}

    def drain(self, worker: str, now: datetime) -> int:
        """Deliver what is due; returns how many notifications got through."""
        done, started = 0, self._clock()
        self._end_long_waits(now, started)
        for channel in outbox.due_keys(self._db, Kind.NOTIFICATION, now):
            lease_s = self._clock() - started + outbox.LEASE_S  # `now` stands still while the channels before this one take their time
            rows = outbox.claim(self._db, worker, MOST_AT_ONCE, lease_s, now, kind=Kind.NOTIFICATION, key=channel)
            done += self._channel(channel, rows, worker, now, started)
        return done

    def _end_long_waits(self, now: datetime, at_s: float) -> None:
        """What was seen waiting for a second look for as long as that may take leaves, wherever the clock of the machine was set meanwhile."""
        before = self._waiting_since
        self._waiting_since = {row_id: before.get(row_id, at_s) for row_id in outbox.waiting_for_a_look(self._db, now)}
        longest_s = outbox.LONGEST_SECOND_LOOK.total_seconds()
        if over := [row_id for row_id, since_s in self._waiting_since.items() if at_s - since_s >= longest_s]:
            outbox.let_go_of(self._db, over)

    def _channel(self, channel: str, rows: list[OutboxRow], worker: str, now: datetime, started: float) -> int:
        subjects = delivery.subjects(self._db, rows)
        wanted = [row for row in rows if self._still_wanted(channel, row, subjects.get(row.alert_id or ""), now)]
        if not wanted:
            return 0
        try:
            address = self._address(channel)
        except NotDelivered as error:
            self._failed(wanted, error.message, now)
            return 0
        sent_at = delivery.messages_since(self._db, channel, now - HOUR)
        room = self._per_hour - len(sent_at)
        if room <= 0:
            outbox.release(self._db, wanted, worker, until=sent_at[len(sent_at) - self._per_hour] + HOUR)
            return 0
        # The last message of the hour is kept for a digest, unless it is enough for all that is left.
        single = len(wanted) if len(wanted) < room or len(wanted) == 1 else room - 1
        messages = [[row] for row in wanted[:single]] + ([wanted[single:]] if wanted[single:] else [])
        done = 0
        told: dict[tuple[str, str], str] = {}
        for position, message in enumerate(messages):
            held_until = now + timedelta(seconds=self._clock() - started + outbox.LEASE_S)
            held = {row.seq for row in outbox.renew(self._db, [row for later in messages[position:] for row in later], worker, held_until)}
            mine = [row for row in message if row.seq in held]  # another relay has what this one held for too long
            mine = [row for row in mine if not self._told_meanwhile(channel, row, subjects[row.alert_id or ""], told, now)]
            if mine and not self._send(channel, address, mine, subjects, now):
                outbox.release(self._db, [row for later in messages[position + 1 :] for row in later], worker)
                return done
            for alert in (subjects[row.alert_id or ""].alert for row in mine):
                told[alert.rule, alert.camera] = alert.video_id
            done += len(mine)
        return done

    def _told_meanwhile(self, channel: str, row: OutboxRow, subject: Subject, told: Mapping[tuple[str, str], str], now: datetime) -> bool:
        """Whether a message that just left told of the same rule and camera, of another video, and the rule wants peace after that."""
        video_id = told.get((subject.alert.rule, subject.alert.camera))
        return video_id is not None and video_id != subject.alert.video_id and not self._still_wanted(channel, row, subject, now)

    def _still_wanted(self, channel: str, row: OutboxRow, subject: Subject | None, now: datetime) -> bool:
        """Whether the notification is to be sent; otherwise its delivery says why not."""
        if subject is None or subject.alert.lifecycle is Lifecycle.SUPERSEDED:
            reason = "the alert was superseded before its notification left"
            delivery.delivered(self._db, [row], state="withdrawn", message_id=None, now=now, error=reason)
            return False
        rule = self._active_rules().rule(subject.alert.rule)
        if rule is not None and rule.notify_again_after_s > 0:
            told = delivery.told_lately(self._db, channel, subject.alert, timedelta(seconds=rule.notify_again_after_s), now)
            if told is not None:
                reason = f"told at {told:%H:%M:%S} UTC; rule {rule.name!r} notifies again after {rule.notify_again_after_s:g} s"
                delivery.delivered(self._db, [row], state="quieted", message_id=None, now=now, error=reason)
                return False
        return True

    def _send(self, channel: str, address: str, rows: Sequence[OutboxRow], subjects: Mapping[str, Subject], now: datetime) -> bool:
        about = [subjects[row.alert_id or ""] for row in rows]
        page, looked_at = self._page(), self._looked_at
        title, body = message_of(about[0], page, looked_at=looked_at) if len(about) == 1 else digest_of(about, page, looked_at=looked_at)
        severity = max((subject.alert.severity for subject in about), key=list(Severity).index)
        try:
            self._sender.send(address, title, body, severity)
        except NotDelivered as error:
            self._failed(rows, f"channel {channel!r}: {error.message}", now)
            return False
        delivery.delivered(self._db, rows, state="sent" if len(rows) == 1 else "digest", message_id=str(uuid.uuid4()), now=now)
        return True

    def _failed(self, rows: Sequence[OutboxRow], reason: str, now: datetime) -> None:
        log.warning("%d notifications wait: %s", len(rows), reason)
        for give_up in (False, True):
            part = [row for row in rows if (now - row.created_at > GIVE_UP_AFTER) is give_up]
            if part:
                delivery.not_delivered(self._db, part, reason, now, give_up=give_up)

    def _address(self, channel: str) -> str:
        variable = self._active_rules().channels.get(channel)
        if variable is None:
            raise NotDelivered(f"channel {channel!r} is not in the active rules; add it below 'channels:' or take it from the rule")
        address = self._environment.get(variable, "").strip()
        if not address:
            raise NotDelivered(f"channel {channel!r} has no address: set the environment variable {variable} to its Apprise URL and restart")
        return address

    def _active_rules(self) -> RuleSet:
        version = rulesets.active(self._db)
        if version is None:
            return rules.parse(rules.DEFAULT_TEXT)
        if self._rules is None or self._rules[0] != version.id:
            try:
                self._rules = (version.id, version.rule_set)
            except RulesError as error:
                log.warning("the active rules cannot be read by this version of the program: %s", error)
                return rules.parse(rules.DEFAULT_TEXT)
        return self._rules[1]


def message_of(subject: Subject, page: str, *, looked_at: bool = False) -> tuple[str, str]:
    """Title and text for one alert: what, where, when, and the address of the moment; `page` is the address of the web app.

    With `looked_at`, an alert over tracks without a second look says so.
    """
    alert = subject.alert
    lines = [
        f"Rule {alert.rule} ({alert.kind}) on camera {alert.camera}, in {subject.video_name}",
        f"{_when(subject)}, for {max(0.0, alert.end_s - alert.start_s):.1f} s",
    ]
    if alert.track_ids:
        lines.append(f"Tracks {', '.join(str(track) for track in alert.track_ids[:DIGEST_LINES])}" + (" …" if len(alert.track_ids) > DIGEST_LINES else ""))
    if look := _look(subject, looked_at):
        lines.append(f"Second look: {look}")
    lines.append(_link(subject, page))
    return f"{alert.severity.capitalize()}: {alert.rule} at {alert.camera}", "\n".join(lines)


def digest_of(subjects: Sequence[Subject], page: str, *, looked_at: bool = False) -> tuple[str, str]:
    """Title and text for many alerts: how many of what, the first of them with their moments, and where all of them are; `looked_at` as for `message_of`."""
    tally = Counter((subject.alert.rule, subject.alert.camera) for subject in subjects)
    lines = [f"{count} x {rule} at {camera}" for (rule, camera), count in sorted(tally.items(), key=lambda entry: (-entry[1], entry[0]))[:DIGEST_LINES]]
    lines.append("")
    for subject in subjects[:DIGEST_LINES]:
        look = _look(subject, looked_at)
        said = f", second look: {look}" if look else ""
        lines.append(f"{subject.alert.rule} at {subject.alert.camera}, {_when(subject)}{said}: {_link(subject, page)}")
    if len(subjects) > DIGEST_LINES:
        lines.append(f"and {len(subjects) - DIGEST_LINES} more")
    lines.append(f"All: {page}/alerts")
    return f"{len(subjects)} alerts", "\n".join(lines)


def web_address(settings: Settings) -> str:
    """The address of the web app: where `vp up` says that it serves, else where the settings put it."""
    try:
        said = json.loads((settings.home / "addresses.json").read_text(encoding="utf-8"))["web"]
        if isinstance(said, str) and said:
            return said.rstrip("/")
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return url_of(settings.web.host, settings.web.port)


def _when(subject: Subject) -> str:
    alert = subject.alert
    minutes, seconds = divmod(max(0.0, alert.start_s), 60.0)
    moment = f"at {int(minutes)}:{seconds:04.1f}"
    return moment if alert.start_time is None else f"{moment} ({alert.start_time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC)"


def _look(subject: Subject, looked_at: bool) -> str:
    """What came of the second look, in our words: a model's own repeat what stands written in pictures, and go to no phone. Empty where none is taken."""
    look = subject.alert.second_look
    if look is None:
        return "unverified, there is no answer yet" if looked_at and subject.alert.asset == layout.ALERTS else ""
    return f"{look.outcome} by {look.model}" if look.outcome != "unverified" and look.model else look.outcome


def _link(subject: Subject, page: str) -> str:
    return page + layout.page_video(subject.alert.video_id, subject.alert.start_s)


def _without_secrets(text: str, address: str) -> str:
    """What Apprise said, on one line, without any part of the address that may be a token, as it is written or decoded."""
    pieces = {piece for form in (address, unquote(address)) for piece in re.split(r"[/?&=:@#;,\s]+", form) if len(piece) >= MIN_SECRET_CHARS}
    for part in sorted({address, *pieces}, key=len, reverse=True):
        text = text.replace(part, "***")
    return " ".join(text.split())[:500]
