"""Ready videos: what of their results Dagster was not told, what is missing all the same, and summaries that nobody else will write."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from sensors.reconcile_tick import UNREAD, Tick
from sensors.reconcile_unfinished import MAX_ATTEMPTS, MAX_REQUESTS, ask_again
from video_platform import layout, recipes
from video_platform.events import TOPIC_PROCESSED, TOPIC_VIDEO_EVENTS
from video_platform.pipeline import tags
from video_platform.pipeline.failures import CANCELLED, QUARANTINED, SUMMARY_MESSAGES
from video_platform.pipeline.io_managers import event_metadata
from video_platform.pipeline.jobs import PROCESS_ASSETS
from video_platform.pipeline.made import read_manifest, speaks_of
from video_platform.records import Manifest, VideoRecord, VideoState

PAGE = 50
"""Ready videos that one tick looks at: eight small objects each, and one query per asset for all of them."""

NEW_SUMMARY = timedelta(days=1)
"""A younger summary that search does not know was left by a run that was killed; an older one is from before there was search, and left to a backfill."""

HISTORY = 40
"""Materialisations per video and asset that are read to find the newest of each."""


def mend_ready(tick: Tick) -> None:
    """The next page of ready videos: partition, manifests, catalogue, summary."""
    from video_platform.services.database import videos

    ids = sorted(videos.ids(tick.desk.platform.db, (VideoState.READY,)))
    following = [video_id for video_id in ids if video_id > tick.memory.after][:PAGE]
    tick.memory.after = following[-1] if len(following) == PAGE else ""
    records = [record for record in (videos.get(tick.desk.platform.db, video_id) for video_id in following) if record is not None and tick.quiet(record)]
    catalogued = _catalogued(tick.context.instance, [record.video_id for record in records])
    for record in records:
        _ready_one(tick, record, catalogued)


def _ready_one(tick: Tick, record: VideoRecord, catalogued: dict[tuple[str, str], str]) -> None:
    store, video_id = tick.desk.platform.store, record.video_id
    manifests = {asset: manifest for asset in layout.ASSETS if (manifest := read_manifest(store, video_id, asset)) is not None}
    if video_id not in tick.partitions:
        tick.add.add(video_id)
        tick.say(f"{video_id}: its partition was missing")
    missing = [asset for asset in PROCESS_ASSETS if asset not in manifests]
    if missing and tick.requested < MAX_REQUESTS and not tick.on_its_way(video_id, TOPIC_VIDEO_EVENTS):
        tick.say(f"{video_id}: no manifest of {', '.join(missing)}")
        ask_again(tick, record, f"No result of {', '.join(missing)} is left when it has run.")
    for asset, manifest in manifests.items():
        if catalogued.get((asset, video_id)) != manifest.content_hash:
            tick.events.append(_report(manifest))
            tick.say(f"{video_id}: {asset} was made, but Dagster was not told")
    asked_for_summary = not missing and _summary(tick, record, manifests)
    if not missing:
        tick.memory.attempts.pop(video_id, None)
        if not asked_for_summary:
            tick.memory.summaries.pop(video_id, None)


def _summary(tick: Tick, record: VideoRecord, manifests: dict[str, Manifest]) -> bool:
    """Asks for the summary when it is missing or speaks of other inputs than there are and nobody else will; whether it is."""
    from video_platform.services.database import videos

    sources = {asset: manifests[asset] for asset in recipes.INPUTS[layout.LLM_SUMMARY] if asset in manifests}
    if speaks_of(manifests.get(layout.LLM_SUMMARY), sources):
        return _index(tick, record, manifests)
    if tick.on_its_way(record.video_id, TOPIC_PROCESSED) or not (tick.is_lost(record.video_id, TOPIC_PROCESSED) or tick.quiet(record, UNREAD)):
        return True
    attempt = tick.memory.summaries.get(record.video_id, 0) + 1
    if attempt > MAX_ATTEMPTS or record.summary_failure_code == CANCELLED:
        if record.summary_failure_code is None:
            videos.summary_failed(tick.desk.platform.db, record.video_id, QUARANTINED, SUMMARY_MESSAGES[QUARANTINED].format(attempts=MAX_ATTEMPTS))
        return True
    _ask_to_describe(tick, record, attempt, "its summary", "", list(sources.values()))
    return True


def _index(tick: Tick, record: VideoRecord, manifests: dict[str, Manifest]) -> bool:
    """Asks for what a run that ended after the summary left out, the index or what is seen and said; whether it is. Older ones are left to a backfill."""
    summary, index = manifests[layout.LLM_SUMMARY], manifests.get(layout.SEARCH_INDEX)
    there = [name for name in recipes.INPUTS[layout.SEARCH_INDEX] if name in manifests]
    is_new = tick.now - summary.created_at <= NEW_SUMMARY
    speaks = index is not None and all(index.inputs.get(name) == manifests[name].content_hash for name in there)
    found = speaks or (index is None and not is_new)
    if found and (layout.DESCRIBED_ALERTS in manifests or not is_new):
        return False
    attempt = tick.memory.summaries.get(record.video_id, 0) + 1
    if attempt > MAX_ATTEMPTS or tick.on_its_way(record.video_id, TOPIC_PROCESSED) or not tick.quiet(record, UNREAD):
        return True
    what = "what is seen and said in it" if found else "what search finds of it"
    _ask_to_describe(tick, record, attempt, what, "index:", [manifests[name] for name in there])
    return True


def _ask_to_describe(tick: Tick, record: VideoRecord, attempt: int, what: str, mark: str, sources: Sequence[Manifest]) -> None:
    """Asks for a run that describes the video: `what` is missing, `mark` keeps the keys of the reasons apart, `sources` is what the run starts from."""
    tick.memory.summaries[record.video_id] = attempt
    made_from = "-".join(manifest.content_hash[:16] for manifest in sources)
    own = {tags.PRIORITY: str(tags.DESCRIBE_PRIORITY[record.lane]), tags.CAMERA: record.camera, tags.ASKED_LANE: record.lane.value}
    tick.runs.append(dg.RunRequest(run_key=f"{record.video_id}@reconcile:{mark}{made_from}:{attempt}", partition_key=record.video_id, tags=own))
    tick.add.add(record.video_id)
    tick.say(f"{record.video_id}: {what} is asked for, attempt {attempt}")


def _catalogued(instance: dg.DagsterInstance, video_ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """`(asset, video_id)` -> data version of the newest materialisation that Dagster knows."""
    found: dict[tuple[str, str], str] = {}
    for asset in layout.ASSETS if video_ids else ():
        filter_ = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=list(video_ids))
        for record in instance.fetch_materializations(filter_, limit=HISTORY * len(video_ids)).records:
            materialization = record.asset_materialization
            if materialization is not None and record.partition_key is not None:
                found.setdefault((asset, record.partition_key), (materialization.tags or {}).get("dagster/data_version", ""))
    return found


def _report(manifest: Manifest) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=manifest.asset,
        partition=manifest.video_id,
        description="Reported by the reconcile sensor: the version was published, its run ended before it could say so.",
        metadata=event_metadata(manifest, reused=False),
        tags={"dagster/data_version": manifest.content_hash},
    )
