"""What tests of taking footage in look at: events that wait, files left over, objects; and footage whose alerts were made by hand."""

from datetime import UTC, datetime
from pathlib import Path

from video_platform import events
from video_platform.platform import Platform
from video_platform.records import Episode, Lane, Severity
from video_platform.services.database import ledger, outbox
from video_platform.services.database.outbox import Kind

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41"


def announced(platform: Platform) -> list[events.Event]:
    return [events.decode(row.message) for row in outbox.waiting(platform.db, Kind.EVENT)]


def leftovers(platform: Platform) -> list[Path]:
    folders = [platform.store.incoming, platform.settings.spool]
    return [path for folder in folders if folder is not None and folder.is_dir() for path in folder.iterdir()]


def objects(platform: Platform) -> list[str]:
    """Footage and what was made of it: without the copies of rows."""
    keys = [info.key for info in platform.store.list("")]
    return [key for key in keys if not key.startswith("records/") and not key.endswith("/record.json")]


def with_alert(platform: Platform, video_id: str, *, channels: tuple[str, ...] = ()) -> str:
    facts = {"person": (Severity.WARNING, channels)}
    episodes = [Episode("person", "appears", 10, 20, (1,), None, None)]
    given = ledger.EvaluationInput(video_id, "alerts", "f", "c", "t", "r", episodes, facts, Lane.LIVE, None, datetime.now(UTC), "1")
    return ledger.reconcile(platform.db, given).raised[0]
