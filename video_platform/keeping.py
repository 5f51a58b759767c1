"""What only the database knows, kept among the objects: the rows of each video, tombstones, and the versions of the rule set.

A copy is written after the transaction that it copies, by whoever made it; the reconcile sensor writes what a kill left out. Two that write at once cannot
leave the older state: whoever finds that the video has changed meanwhile writes again.
"""

import hashlib
import json
import logging
import time
from dataclasses import asdict
from datetime import datetime

from video_platform import layout
from video_platform.errors import PlatformError
from video_platform.services.database import Database, copies, rulesets
from video_platform.services.object_store import ObjectStore

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""A video that changes under each of these is in a run's hands, which keeps it when it is done."""

BATCH = 50
"""Out-of-date copies that are looked up at once."""

JSON = "application/json"


def keep(db: Database, store: ObjectStore, video_id: str) -> bool:
    """Write the copy of a video as the database knows it now; returns whether it is up to date.

    Raises:
        StoreUnavailable, StoreFull, DatabaseUnavailable: it is tried again by the reconcile sensor.
    """
    for _ in range(ATTEMPTS):
        found = copies.read(db, video_id)
        if found is None:
            return False
        copy, updated_at = found
        here, elsewhere = layout.record_key(video_id), layout.tombstone_key(video_id)
        if copy.deleted:
            here, elsewhere = elsewhere, here
        store.put_bytes(here, copy.model_dump_json().encode(), media_type=JSON)
        if copy.deleted or copy.generation > 1:
            store.delete([elsewhere])
        if copies.kept(db, video_id, updated_at):
            return True
    return False


def keep_quietly(db: Database, store: ObjectStore, video_id: str) -> None:
    """The same, where something else matters more: what fails is logged, and left to the reconcile sensor."""
    try:
        keep(db, store, video_id)
    except PlatformError as error:
        log.warning("the copy of video %s is written later: %s", video_id, error.message)


def keep_stale(db: Database, store: ObjectStore, before: datetime, budget_s: float) -> int:
    """Write copies that are missing or out of date, of videos that have not changed since `before`, until the time is used up; returns how many."""
    written, deadline = 0, time.monotonic() + budget_s
    while time.monotonic() < deadline and (ids := copies.stale(db, before, BATCH)):
        before_this = written
        for video_id in ids:
            written += keep(db, store, video_id)
            if time.monotonic() > deadline:
                break
        if written == before_this:
            break
    return written


def keep_rules_quietly(db: Database, store: ObjectStore) -> None:
    """The same as `keep_rules`, where the rules are in force already: what fails is logged, and left to the reconcile sensor."""
    try:
        keep_rules(db, store)
    except PlatformError as error:
        log.warning("the copy of the rules is written later: %s", error.message)


def keep_rules(db: Database, store: ObjectStore) -> int:
    """Write the versions of the rule set that have no copy yet; returns how many."""
    there = {info.key for info in store.list(layout.RULE_SETS)}
    written = 0
    for version in rulesets.versions(db, limit=rulesets.ALL):
        key = layout.rules_key(version.id, hashlib.sha256(version.text.encode()).hexdigest())
        if key not in there:
            store.put_bytes(key, json.dumps({**asdict(version), "applied_at": version.applied_at.isoformat()}, ensure_ascii=False).encode(), media_type=JSON)
            written += 1
    return written
