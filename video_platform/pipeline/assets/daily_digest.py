"""The digest of a day and its reel: one partition per day on which anything was recorded, made again when a video of that day comes, goes or changes."""

import hashlib
from datetime import UTC, date, datetime
from time import monotonic
from typing import TYPE_CHECKING

import dagster as dg

from video_platform import digests, layout
from video_platform.errors import IntegrityError, NotFound
from video_platform.fingerprints import content_hash
from video_platform.layout import DAILY_DIGEST, TRACKS
from video_platform.pipeline import day_reel
from video_platform.pipeline.failures import as_dagster_errors
from video_platform.pipeline.made import Handle
from video_platform.pipeline.partitions import DAYS
from video_platform.pipeline.resources import Desk
from video_platform.records import Cost, FileEntry, Manifest, Verdict

if TYPE_CHECKING:
    from video_platform.analysis.digest import Footage
    from video_platform.analysis.reel_day import Moment
    from video_platform.services.database.digests import Judged
    from video_platform.services.database.digests import Moment as Raised

FOOTAGE = "footage_of_the_day"
"""The source asset whose version changes with the videos of a day: Dagster then calls exactly that day's digest stale."""

footage_of_the_day = dg.AssetSpec(
    FOOTAGE,
    partitions_def=DAYS,
    group_name="days",
    description="The videos recorded on a day, with their tracks and alerts; observed when one comes, goes or changes.",
)


@dg.asset(
    name=DAILY_DIGEST,
    partitions_def=DAYS,
    deps=[FOOTAGE],
    code_version=digests.CODE_VERSION,
    required_resource_keys={"desk"},
    kinds={"json", "video"},
    group_name="days",
    description="Counts, busiest hours, alerts and gaps in footage of one day, camera by camera, and a reel of its alerts and busiest moments.",
)
def daily_digest(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """What happened on one day."""
    desk: Desk = context.resources.desk
    with as_dagster_errors(context.retry_number, lambda _code, _message: None):
        manifest, reused = _made(context, desk, date.fromisoformat(context.partition_key))
    facts = {name: value for name, value in manifest.facts.items() if isinstance(value, int | float | str)}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.content_hash),
        metadata={**facts, "reused": reused, "fingerprint": manifest.fingerprint, "key": manifest.files[0].key},
    )


def _made(context: dg.AssetExecutionContext, desk: Desk, day: date) -> tuple[Manifest, bool]:
    """The manifest of the day's digest, and whether it was there already."""
    from video_platform.services.database import digests as rows

    db, store, settings = desk.platform.db, desk.platform.store, desk.settings
    began = monotonic()
    fresh = digests.wanted(db, settings).get(day)
    if fresh is None:
        raise NotFound(f"nothing was recorded on {day}, as far as recording times are known", day=day.isoformat())
    stored = digests.manifest(store, day)
    if stored is not None and stored.fingerprint == fresh[0] and not desk.forces(DAILY_DIGEST):
        rows.made(db, day, stored.fingerprint, datetime.now(UTC))
        return stored, True
    manifest = _publish(context, desk, day, fresh[0], began, stored)
    rows.made(db, day, manifest.fingerprint, datetime.now(UTC))
    return manifest, False


def _publish(context: dg.AssetExecutionContext, desk: Desk, day: date, fingerprint: str, began: float, before: Manifest | None) -> Manifest:
    from video_platform.analysis import digest
    from video_platform.services.database import digests as rows

    zone, zone_name = digests.zone_of(desk.settings)
    first, after = digest.bounds(day, zone)
    judged = rows.judged(desk.platform.db, first, after)
    footage, moments = _footage(context, desk, judged, rows.moments(desk.platform.db, first, after))
    alerts = [digest.Raised(*each) for each in rows.raised(desk.platform.db, first, after)]
    found = digest.compose(day, zone, zone_name, footage, alerts)
    data = found.model_dump_json().encode()
    sha256 = hashlib.sha256(data).hexdigest()
    key = layout.digest_key(day.isoformat(), sha256)
    reel = day_reel.make(context, desk, day, judged, moments, before)
    store = desk.platform.store
    store.put_bytes(key, data, media_type="application/json", if_absent=True)
    manifest = Manifest(
        asset=DAILY_DIGEST,
        video_id=day.isoformat(),
        files=[FileEntry(role="digest", key=key, size_bytes=len(data), sha256=sha256, media_type="application/json"), *reel.files],
        fingerprint=fingerprint,
        content_hash=content_hash(found),
        code_version=digests.CODE_VERSION,
        configuration={"timezone": zone_name, "reel_max_s": desk.settings.reels.day_max_s},
        verdict=Verdict(
            passed=True, checks={"every_video_is_of_the_day": all(first < one.ended_at and one.recorded_at < after for one in footage)}, notes=list(reel.notes)
        ),
        degraded=reel.trouble,
        cost=Cost(wall_s=monotonic() - began),
        facts={
            "videos": sum(each.videos for each in found.cameras),
            "cameras": len(found.cameras),
            "alerts": sum(sum(each.alerts.values()) for each in found.cameras),
            "objects": sum(sum(each.objects.values()) for each in found.cameras),
            "gaps": sum(len(each.gaps) for each in found.cameras),
            **reel.facts,
        },
        run_id=context.run.run_id,
        created_at=datetime.now(UTC),
    )
    gone = [entry.key for entry in before.files if entry.key not in {kept.key for kept in manifest.files}] if before else []
    store.put_bytes(layout.digest_manifest_key(day.isoformat()), manifest.model_dump_json().encode(), media_type="application/json")
    store.delete(gone)  # a film of what was deleted or moved to another day must not stay
    return manifest


def _footage(context: dg.AssetExecutionContext, desk: Desk, judged: "list[Judged]", raised: "list[Raised]") -> "tuple[list[Footage], list[Moment]]":
    """The videos with the beginnings of their tracks, and the moments that a reel may show; one whose tracks cannot be read counts as footage without objects.

    The tracks of one video are held at a time.
    """
    from video_platform.analysis import digest, tables

    footage, moments = [], []
    of_video: dict[str, list[Raised]] = {}
    for each in raised:
        of_video.setdefault(each.video_id, []).append(each)
    for one in judged:
        objects: list[tuple[str, datetime]] = []
        try:
            tracks, names, _ = tables.read_tracks(Handle(desk.platform.store, desk.scratch / "inputs", one.video_id, TRACKS).path("tracks"))
        except (NotFound, IntegrityError) as error:
            context.log.warning(f"objects of video {one.video_id} are not counted: {error.message}")
        else:
            objects = digest.beginnings(tracks, names, one.recorded_at)
            moments += day_reel.busiest(one, tracks, names)
        moments += day_reel.alerts(one, of_video.get(one.video_id, []))
        footage.append(digest.Footage(one.camera, one.recorded_at, one.duration_s, objects))
    return footage, moments
