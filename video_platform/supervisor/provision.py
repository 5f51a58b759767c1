"""What a deployment needs before its first process starts: roles and tables, bucket and accounts, the rule that announces uploads, topics, Dagster's slots.

Run by `vp prepare` with the administrators' keys, which no other process gets. Doing it again changes nothing, or brings new passwords and tables in.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from video_platform import events, local_run
from video_platform.errors import PlatformError, SettingsError
from video_platform.platform import open_platform
from video_platform.services import minio_accounts
from video_platform.services.bucket_rule import BucketRule
from video_platform.services.database import roles
from video_platform.services.minio_accounts import Account
from video_platform.services.s3_store import S3Store
from video_platform.settings import Settings

WAIT_S = 300.0
"""How long servers that start at the same time may take."""

LOOK_AGAIN_S = 2.0


@dataclass(frozen=True)
class Secrets:
    """A folder of files, one secret each. A file that is missing or empty means that somebody else looks after what it is for."""

    folder: Path

    def get(self, name: str) -> str:
        """The secret, empty for none."""
        try:
            return (self.folder / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise SettingsError(f"the secret {self.folder / name} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from error


def provision(settings: Settings, secrets: Secrets, access_keys: dict[Account, str], wait_s: float = WAIT_S) -> Iterator[str]:
    """Do it all, telling each thing that was done. The settings name the owner of the tables and the store's administrator; no `access_keys`, no accounts.

    Raises:
        PlatformError: a server did not answer within `wait_s`, or refused.
    """
    end = time.monotonic() + wait_s

    def patiently(work: Callable[[], list[str]]) -> list[str]:
        while True:
            try:
                return work()
            except PlatformError as error:
                if not error.retriable or time.monotonic() > end:
                    raise
            time.sleep(LOOK_AGAIN_S)

    if admin := secrets.get("postgres_admin_url"):
        yield from patiently(lambda: roles.make(admin, settings.database_url, [secrets.get("database_url")]))
        yield from patiently(lambda: roles.make(admin, settings.dagster.storage_url.get_secret_value(), [secrets.get("dagster_read_url")]))
    yield from patiently(lambda: _platform(settings))
    local_run.prepare_instance(settings)
    yield "Dagster's tables are there"
    if admin:
        yield roles.allow(settings.database_url, secrets.get("database_url"), write=True)
        yield roles.allow(settings.dagster.storage_url.get_secret_value(), secrets.get("dagster_read_url"), write=False)
    keys = {account: (name, key) for account, name in access_keys.items() if (key := secrets.get(f"s3_{account}_key"))}
    if settings.objects.kind == "s3" and keys:
        yield from patiently(lambda: minio_accounts.make(settings.objects, keys))
    if settings.objects.kind == "s3" and settings.event_log.kind == "kafka":
        try:
            yield BucketRule(S3Store(settings.objects), settings.objects.events_target).mend()
        except PlatformError as error:  # the inbox is looked at all the same
            yield f"uploads to the inbox are found by looking, not announced: {error.message}"


def _platform(settings: Settings) -> list[str]:
    with open_platform(settings) as platform:
        made = platform.log.create_topics(events.TOPICS)
        return [
            f"database: {platform.db.check()}",
            f"objects: {platform.store.check()}",
            f"topics: {('made ' + ', '.join(made)) if made else 'all were there'}",
        ]
