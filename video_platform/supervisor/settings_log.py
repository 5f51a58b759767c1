"""With which settings the platform starts, compared with those that it started with before: a line in the audit log when they differ.

Settings come from the environment, so nobody changes them here; whoever starts the platform is who is named. Of secrets only whether they are set is kept,
and of addresses not the password in them.
"""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, SecretStr

from video_platform.logs import HIDDEN, PASSWORD_IN_ADDRESS
from video_platform.services.database import Database, audit
from video_platform.settings import PREFIX, Settings

ACTION = "settings"


def plain(settings: Settings) -> dict[str, str]:
    """Every variable with its value in words, secrets without theirs."""
    found: dict[str, str] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            found.update({f"{PREFIX}{name}__{inner}".upper(): _words(getattr(value, inner)) for inner in type(value).model_fields})
        else:
            found[f"{PREFIX}{name}".upper()] = _words(value)
    return found


def note_change(db: Database, settings: Settings, who: str, now: datetime) -> list[str]:
    """Write a line when the settings are not those of the last start; returns the variables that differ."""
    current = plain(settings)
    last = audit.newest(db, ACTION)
    before = last.detail.get("all") if last else None
    if not isinstance(before, Mapping):
        audit.note(db, who, ACTION, "first start", now=now, all=current)
        return []
    changed = sorted(name for name in {*before, *current} if before.get(name) != current.get(name))
    if changed:
        diff = {name: [before.get(name), current.get(name)] for name in changed}
        audit.note(db, who, ACTION, f"{len(changed)} changed", now=now, changed=diff, all=current)
    return changed


def _words(value: object) -> str:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    words = ", ".join(str(each) for each in value) if isinstance(value, tuple) else str(value)
    return PASSWORD_IN_ADDRESS.sub(rf"\1:{HIDDEN}@", words)
