"""The one place that opens the services for the CLI, the API, the web app and the pipeline."""

import logging
import threading
from datetime import UTC, datetime
from functools import cached_property

from video_platform import rebuilding, rules, rules_files
from video_platform.errors import PlatformError, SettingsError
from video_platform.ingest import Ingest
from video_platform.services.database import Database, open_database, rulesets
from video_platform.services.event_log import EventLog, open_log
from video_platform.services.object_store import ObjectStore, open_store
from video_platform.services.relay import Relay, open_relay
from video_platform.settings import Settings, load

log = logging.getLogger(__name__)


class Platform:
    """The services of one home, each opened when it is first used; safe to share between threads, not across a fork."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self.settings = settings
        self.db = db
        self._lock = threading.RLock()

    @cached_property
    def store(self) -> ObjectStore:
        """Where objects are kept."""
        with self._lock:
            return open_store(self.settings)

    @cached_property
    def log(self) -> EventLog:
        """Where events go."""
        with self._lock:
            return open_log(self.settings)

    @cached_property
    def ingest(self) -> Ingest:
        """The write side: footage in, corrections, deletion. What it announces leaves at once on the embedded log, else with the relay process."""
        embedded = self.settings.event_log.kind == "sqlite"
        return Ingest(self.settings, self.db, self.store, announced=self.announce if embedded else None)

    @cached_property
    def relay(self) -> Relay:
        """Sends what waits in the outbox; the log is opened when there is something to send."""
        return open_relay(self.settings, self.db, lambda: self.log)

    def announce(self) -> int:
        """Send waiting events now; returns how many left. When the log is away they stay in the outbox and the relay process sends them."""
        try:
            return self.relay.drain_events()
        except PlatformError as error:
            log.warning("events stay in the outbox: %s", error)
            return 0

    def close(self) -> None:
        """Close what was opened."""
        if "log" in self.__dict__:
            self.log.close()
        self.db.dispose()

    def __enter__(self) -> "Platform":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_platform(settings: Settings | None = None) -> Platform:
    """The platform of these settings (of the environment by default): its home made, its tables at this version, a rule set active.

    Raises:
        SettingsError: the settings, the home or the rules file they name cannot be used.
        RulesError: a fresh home names a rules file with mistakes.
        StateError: a newer version of the program wrote the database.
        DatabaseUnavailable: the database does not answer.
    """
    settings = settings or load()
    platform = Platform(settings, open_database(settings))
    if rulesets.active(platform.db) is None and not _remembered_rules(platform):
        text, source = _first_rules(settings)
        rulesets.ensure(platform.db, text, source=source, why="the first rule set of this home", now=datetime.now(UTC))
    return platform


def _remembered_rules(platform: Platform) -> bool:
    """Whether the objects still held the rules of a database that was lost; then they are in force again."""
    try:
        return bool(rebuilding.restore_rules(platform.db, platform.store))
    except PlatformError as error:
        log.warning("whether the objects hold an earlier rule set is not known: %s", error.message)
        return False


def _first_rules(settings: Settings) -> tuple[str, str]:
    if settings.rules is None:
        return rules.DEFAULT_TEXT, "default"
    try:
        return rules_files.read_file(settings.rules), str(settings.rules)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"VIDEO_PLATFORM_RULES names {settings.rules}, which cannot be read ({reason}); mend the path, or unset it", path=str(settings.rules)
        ) from error
