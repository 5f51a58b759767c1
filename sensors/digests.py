"""Digests of days: which day a video that came, went or changed belongs to, and its digest asked for; no other day is touched."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from sensors import run_numbers
from sensors.run_outcomes import ENDED
from video_platform import digests, errors
from video_platform.fingerprints import content_hash
from video_platform.pipeline import tags
from video_platform.pipeline.assets.daily_digest import FOOTAGE
from video_platform.pipeline.jobs import make_digest
from video_platform.pipeline.partitions import DAYS
from video_platform.pipeline.resources import Desk
from video_platform.records import Lane
from video_platform.services.database import digests as rows
from video_platform.services.database.digests import Day

INTERVAL_S = 30

MAX_ASKED = 10
"""Days that one tick asks for: an archive of years comes in at once, and its digests can wait."""

QUIET = timedelta(seconds=60)
"""A day of which something changed later than this may be about to change again."""

AT_MOST_EVERY = timedelta(minutes=10)
"""While a day goes on, its digest is not made for every file of every camera."""

AGAIN_AFTER = timedelta(hours=1)
"""A day whose run has ended and left it outdated is asked for again after this long: the disk was full, or the store away."""

LOOKED_UP = 100
"""Days whose runs are asked for at once."""


@dg.sensor(
    name="digests",
    job=make_digest,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the digest of each day whose footage changed.",
)
def digests_sensor(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[Desk]) -> dg.SensorResult | dg.SkipReason:
    """One tick."""
    try:
        return look(context, desk, datetime.now(UTC))
    except errors.ServiceError as error:
        return dg.SkipReason(f"{error.message} (the next tick tries again)")


def look(context: dg.SensorEvaluationContext, desk: Desk, now: datetime) -> dg.SensorResult:
    """One tick at `now`. The cursor is the mark of the database that was compared last, the zones of days and of cameras, and the length of the reels."""
    db = desk.platform.db
    zones = content_hash(desk.settings.recording.timezones)[:8]
    mark = f"{digests.CODE_VERSION}/{digests.zone_of(desk.settings)[1]}/{zones}/{desk.settings.reels.day_max_s:g}/{rows.mark(db)}"
    changed = rows.want(db, digests.wanted(db, desk.settings), now) if context.cursor != mark else []
    asked = _to_ask(context.instance, [day for day in rows.listed(db, outdated=True) if _due(day, desk, now)], now)
    seen = [day for day in (rows.get(db, each) for each in changed) if day is not None]
    keys = sorted({day.day.isoformat() for day in [*(day for day, _ in asked), *seen]})
    return dg.SensorResult(
        run_requests=[_run(day, before) for day, before in asked] or None,
        skip_reason=None if asked else dg.SkipReason(f"{len(seen)} days changed; none is due" if seen else "no day changed"),
        dynamic_partitions_requests=[DAYS.build_add_request(keys)] if keys else None,
        asset_events=[dg.AssetObservation(FOOTAGE, partition=day.day.isoformat(), tags={DATA_VERSION_TAG: day.wanted}) for day in seen],
        cursor=mark,
    )


def _due(day: Day, desk: Desk, now: datetime) -> bool:
    """Whether a day's digest is to be made now: nothing changed just before, and while the day goes on not too often."""
    if timedelta() <= now - day.changed_at < QUIET:
        return False
    goes_on = day.made_at is not None and now < digests.over(day.day, desk.settings)
    return not goes_on or day.made_at is None or not timedelta() <= now - day.made_at < AT_MOST_EVERY


def _to_ask(instance: dg.DagsterInstance, days: Sequence[Day], now: datetime) -> list[tuple[Day, int]]:
    """The first days that no run has now, each with how many runs it had since it changed; those that fail stand before no other."""
    found: list[tuple[Day, int]] = []
    for start in range(0, len(days), LOOKED_UP):
        part = days[start : start + LOOKED_UP]
        records = instance.get_run_records(dg.RunsFilter(tags={tags.DIGEST: [_key(day) for day in part]}))  # newest first
        for day in part:
            mine = [record for record in records if record.dagster_run.tags[tags.DIGEST] == _key(day)]
            if not mine or (mine[0].dagster_run.status in ENDED and now.timestamp() - (mine[0].end_time or 0.0) >= AGAIN_AFTER.total_seconds()):
                found.append((day, max(len(mine), run_numbers.highest(mine, f"{_key(day)}#") + 1 if mine else 0)))
        if len(found) >= MAX_ASKED:
            break
    return found[:MAX_ASKED]


def _key(day: Day) -> str:
    """What a change of a day is called; its fingerprint alone would not do: rules that are rolled back bring an earlier one back, and no key runs twice."""
    return f"{day.day.isoformat()}@{day.wanted}@{day.changed_at.timestamp():.3f}"


def _run(day: Day, before: int) -> dg.RunRequest:
    """One run for a day and what its digest is made from, after so many that did not get there."""
    own = {tags.LANE: Lane.BACKFILL.value, tags.PRIORITY: str(tags.DIGEST_PRIORITY), tags.DIGEST: _key(day)}
    return dg.RunRequest(run_key=f"{_key(day)}#{before}", partition_key=day.day.isoformat(), tags=own)
