"""Who did what: rules, settings, people, deletions, marks, retries. Rows are only added."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from video_platform.services.database.engine import Database
from video_platform.services.database.tables import audit

ACTIONS: Mapping[str, str] = {
    "sign-in": "somebody signed in; by which means",
    "sign-out": "somebody signed out",
    "sign-in-blocked": "passwords were tried so often that further ones are not looked at for a while",
    "user-add": "a person was added",
    "user-remove": "a person was removed",
    "user-role": "role or cameras of a person changed",
    "user-password": "a person's password changed",
    "user-link": "a one-time link was made",
    "user-sign-out": "a person was signed out everywhere",
    "token-add": "a token was made",
    "token-revoke": "a token was taken back",
    "rules-apply": "a rule set became the active one",
    "rules-promote": "a draft became the active rule set, for the past too",
    "rules-rollback": "an earlier rule set became the active one again, for the past too",
    "rules-reconcile": "alerts of stored videos were brought to what the active rules say; how many were raised and superseded",
    "rules-evaluate": "videos with alerts of older rules were asked for again",
    "backfill-start": "a backfill over the past was started; of which cause and how many videos",
    "backfill-pause": "a backfill was paused",
    "backfill-resume": "a backfill was resumed",
    "backfill-cancel": "a backfill was cancelled",
    "video-again": "one result of a video was asked for again, although nothing changed",
    "video-upload": "footage was taken in through web app or API",
    "video-correct": "camera or recording time of a video was corrected",
    "video-process": "a video was asked for again",
    "video-retry": "a failed or stuck video was asked for again",
    "video-delete": "a video was deleted",
    "alert-mark": "an alert was marked",
    "settings": "the platform started with other settings than before; which, and their values but for secrets",
}
"""Every action, and what it says."""

MAX_DETAIL = 2000
"""Characters of one value of a detail."""


@dataclass(frozen=True)
class Entry:
    """One line of the log; `subject` is what it was done to (a video, an alert, a person), `detail` plain JSON."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: dict[str, object]


def note(db: Database, who: str, action: str, subject: str = "", *, now: datetime, **detail: object) -> None:
    """Write a line down."""
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}; name it in ACTIONS, with its meaning")
    kept = {name: value if isinstance(value, int | float | bool | list | dict) or value is None else str(value)[:MAX_DETAIL] for name, value in detail.items()}
    with db.write() as connection:
        connection.execute(sa.insert(audit).values(at=now, who=who[:128], action=action, subject=subject[:255], detail=kept))


def page(
    db: Database, *, who: str | None = None, action: str | None = None, since: datetime | None = None, limit: int = 100, offset: int = 0
) -> tuple[list[Entry], int]:
    """Lines, newest first, and how many match."""
    conditions = [column == value for column, value in ((audit.c.who, who), (audit.c.action, action)) if value is not None]
    if since is not None:
        conditions.append(audit.c.at >= sa.bindparam("since", since, audit.c.at.type))
    with db.read() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(audit).where(*conditions)).scalar_one()
        rows = connection.execute(sa.select(audit).where(*conditions).order_by(audit.c.id.desc()).limit(limit).offset(offset)).all()
    return [Entry(**row._asdict()) for row in rows], total


def newest(db: Database, action: str) -> Entry | None:
    """The last line of this action."""
    found, _ = page(db, action=action, limit=1)
    return found[0] if found else None
