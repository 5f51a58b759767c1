"""What kills and deletions left behind: partitions and objects of deleted videos, footage without a row, rows without a copy, scratch of ended runs."""

import shutil
from collections.abc import Iterable

from sensors.reconcile_tick import QUIET, UNREAD, Tick
from video_platform import errors, layout
from video_platform.records import VideoState

SHARDS = 256
"""The store is looked through by the first two digits of the video id, one share a tick: all of it in about two hours."""

KEEP_S = 5.0
"""Time for writing copies of rows in a tick, which has 60 s; those of an installation that never had any take some hours."""


def finish_deletions(tick: Tick) -> list[str]:
    """Finishes half-done deletions; the partitions that have to go."""
    from video_platform.services.database import videos

    db = tick.desk.platform.db
    tombstones = videos.ids(db, (VideoState.DELETED,))
    gone = sorted(tick.partitions.intersection(tombstones) - tick.busy)
    for video_id in tick.desk.platform.ingest.finish_deletes(gone):  # a run that was still ending may have written after the deletion
        tick.say(f"{video_id}: what a deletion left was removed")
    if gone:
        tick.say(f"{len(gone)} partitions of deleted videos go")
    return gone


def look_through_store(tick: Tick) -> None:
    """One share of the store: footage that no row knows (killed between object and row) is taken up, objects of deleted videos go.

    Where the database was lost no row knows any of it: what was made of it comes back without a run, or every alert would be raised again.
    """
    from video_platform.services.database import videos

    prefix = f"videos/{tick.memory.shard:02x}"
    tick.memory.shard = (tick.memory.shard + 1) % SHARDS
    left: dict[str, str | None] = {}
    for info in tick.desk.platform.store.list(prefix):
        video_id, _, rest = info.key.removeprefix("videos/").partition("/")
        if tick.now - info.modified_at >= UNREAD:
            is_footage = rest.startswith(f"{layout.RAW_VIDEO}/") and not rest.endswith(".json")
            left[video_id] = info.key if is_footage else left.get(video_id)
    suspects = []
    for video_id, footage in left.items():
        known = videos.get(tick.desk.platform.db, video_id)
        if known is None and layout.is_video_id(video_id):
            _adopt(tick, video_id, footage)
        elif known is not None and known.state is VideoState.DELETED and tick.quiet(known):
            suspects.append(video_id)
    for video_id in tick.desk.platform.ingest.finish_deletes(suspects):
        tick.say(f"{video_id}: objects that came after its deletion were removed")


def _adopt(tick: Tick, video_id: str, footage: str | None) -> None:
    from video_platform import rebuilding

    try:
        if rebuilding.restore_video(tick.desk.platform.db, tick.desk.platform.store, video_id):
            tick.say(f"{video_id}: the database had lost it, and it came back from the objects")
        elif footage is not None:
            tick.desk.platform.ingest.adopt(footage)
            tick.say(f"{video_id}: its footage lay in the store without a row and was taken up")
    except (errors.InputError, errors.IntegrityError) as error:
        tick.say(f"{footage or video_id} is left alone: {error.message}")


def keep_copies(tick: Tick) -> None:
    """Copies of rows that a kill or an outage left out, and of what changes without one."""
    from video_platform import keeping

    db, store = tick.desk.platform.db, tick.desk.platform.store
    try:
        keeping.keep_rules(db, store)
        if written := keeping.keep_stale(db, store, tick.now - QUIET, KEEP_S):
            tick.say(f"{written} copies of rows were written")
    except errors.StoreFull as error:  # what else this tick mends needs no room
        tick.say(f"copies of rows wait: {error.message}")


def clear_scratch(tick: Tick, live: Iterable[str]) -> None:
    """Folders of runs that have ended without clearing up, and uploads whose process was killed."""
    if swept := tick.desk.platform.ingest.sweep():
        tick.say(f"{swept} unfinished uploads of processes that were killed are removed")
    folder = tick.desk.settings.scratch
    for entry in folder.iterdir() if folder.is_dir() else ():
        run = tick.context.instance.get_run_by_id(entry.name) if entry.name not in live else None
        if run is not None and run.is_finished:
            shutil.rmtree(entry, ignore_errors=True)
