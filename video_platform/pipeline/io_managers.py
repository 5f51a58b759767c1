"""Publishing and finding the versions of assets. Handles and paths pass through here, never the bytes of a video.

Order of publishing: the verdict must have passed; files, put when absent under their content address; what the asset wants done before it is visible;
the manifest, last; then Dagster's own event. A reader sees the old version or the new one. Killed anywhere, the next attempt completes it.
"""

import base64
import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from video_platform import layout
from video_platform.errors import PlatformError
from video_platform.pipeline.failures import INVALID, as_dagster_errors
from video_platform.pipeline.made import Handle, Made, NewFile
from video_platform.pipeline.resources import Desk
from video_platform.pipeline.steps import failed_state, last_of_run, video_record
from video_platform.records import FileEntry, Manifest, VideoRecord

log = logging.getLogger(__name__)

MAX_THUMBNAIL_BYTES = 15_000
"""A picture in an event is base64 text (a third more bytes) and must stay below 20 KB there; a larger one is left out."""

MAX_FACTS_BYTES = 8_000
"""Facts above this are left out of the event; they stand in the manifest. With the picture an event stays below 32 KB."""

MAX_LISTED_FILES = 20
"""More files than this are counted, not listed, in an event."""


class AssetFiles(dg.IOManager):
    """The IO manager `files` of all assets."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handle_output(self, context: dg.OutputContext, obj: Made) -> None:
        """Publishes one version; on reuse nothing is written."""
        step_context = context.step_context
        tell = failed_state(self._desk, step_context.instance, obj.plan.video_id, context.run_id, obj.plan.asset)
        with as_dagster_errors(step_context.previous_attempt_count, tell):
            manifest = keep(self._desk, obj, context.run_id, tell)
            if last_of_run(step_context, obj.plan.asset):
                self._settle(obj.plan.video_id, context.run_id)
            elif obj.plan.asset == layout.LLM_SUMMARY:
                self._keep(obj.plan.video_id)
        context.add_output_metadata(event_metadata(manifest, reused=obj.reused, thumbnail=obj.thumbnail))

    def load_input(self, context: dg.InputContext) -> Handle:
        """A lazy handle; nothing is read here."""
        asset = context.asset_key.path[-1]
        record = (lambda: self._record(context.partition_key)) if asset == layout.RAW_VIDEO else None
        return Handle(self._desk.platform.store, self._desk.scratch / "inputs", context.partition_key, asset, record)

    def _record(self, video_id: str) -> VideoRecord | None:
        from video_platform.services.database import videos

        return videos.get(self._desk.platform.db, video_id)

    def _settle(self, video_id: str, run_id: str) -> None:
        """The run has no further step: a video with alerts is ready again, also when all of them were reused."""
        from video_platform.services.database import ledger, videos

        if ledger.evaluated(self._desk.platform.db, video_id, layout.ALERTS) is not None:
            videos.finished(self._desk.platform.db, video_id, run_id)
        self._keep(video_id)

    def _keep(self, video_id: str) -> None:
        from video_platform import keeping

        keeping.keep_quietly(self._desk.platform.db, self._desk.platform.store, video_id)


@dg.io_manager(required_resource_keys={"desk"}, description="Content-addressed files and a manifest per asset and video.")
def asset_files(init: dg.InitResourceContext) -> AssetFiles:
    """The resource `files`."""
    return AssetFiles(init.resources.desk)


def keep(desk: Desk, made: Made, run_id: str, tell: Callable[[str, str], None]) -> Manifest:
    """Publishes a new version, or takes the stored one; counted, and told whoever listens."""
    from video_platform.services.database import measures

    manifest = made.plan.stored or publish(desk, made, run_id, tell)
    try:
        measures.add_step(desk.platform.db, made.plan.asset, made.cost, reused=made.reused)
    except PlatformError as error:  # for the metrics; that they cannot be written now fails no run
        log.warning("a step was not counted: %s", error.message)
    desk.published(manifest, made.reused, made.cost.wall_s)
    return manifest


def publish(desk: Desk, made: Made, run_id: str, tell: Callable[[str, str], None]) -> Manifest:
    """Stores the files of a version that passed its validation, then the manifest; `tell` hears of one that did not."""
    plan = made.plan
    if not made.verdict.passed:
        failed = ", ".join(name for name, passed in made.verdict.checks.items() if not passed)
        notes = " ".join(made.verdict.notes)
        reason = f"{plan.asset} of video {plan.video_id} did not pass its validation ({failed}); the version before stays. {notes}".strip()
        tell(INVALID, reason)
        raise dg.Failure(description=reason, metadata={"code": INVALID}, allow_retries=False)
    entries = [*made.kept, *_stored(desk, plan.video_id, plan.asset, made.files)]
    if made.before_manifest is not None:
        made.before_manifest(entries)
    manifest = Manifest(
        asset=plan.asset,
        video_id=plan.video_id,
        files=entries,
        fingerprint=plan.fingerprint,
        content_hash=made.content_hash,
        code_version=plan.code_version,
        inputs=dict(plan.inputs),
        configuration=dict(plan.configuration),
        verdict=made.verdict,
        degraded=made.degraded,
        cost=made.cost,
        facts=dict(made.facts),
        run_id=run_id,
        created_at=datetime.now(UTC),
    )
    video_record(desk, plan.video_id)  # a video deleted meanwhile must not come back
    key = layout.manifest_key(plan.video_id, plan.asset)
    desk.platform.store.put_bytes(key, manifest.model_dump_json().encode(), media_type="application/json")
    if made.after_manifest is not None:
        try:
            made.after_manifest()
        except PlatformError as error:  # the version stands, whatever was to follow
            log.warning("after %s was made: %s", plan.asset, error.message)
    return manifest


def _stored(desk: Desk, video_id: str, asset: str, files: Iterable[NewFile]) -> Iterable[FileEntry]:
    for file in files:
        sha256, size_bytes = hash_file(file.path)
        key = layout.file_key(video_id, asset, sha256, file.path.suffix.removeprefix("."))
        store = desk.platform.store
        if not store.put_file(key, file.path, media_type=file.media_type) and store.stat(key).size_bytes != size_bytes:
            store.put_file(key, file.path, media_type=file.media_type, if_absent=False)  # what lay there was damaged from outside
        yield FileEntry(role=file.role, key=key, size_bytes=size_bytes, sha256=sha256, media_type=file.media_type)


def event_metadata(manifest: Manifest, *, reused: bool, thumbnail: Path | None = None) -> dict[str, dg.MetadataValue]:
    """What an event in Dagster's log carries of one version: at most 32 KB."""
    first = manifest.files[0] if manifest.files else None
    found: dict[str, dg.MetadataValue] = {}
    # Dagster's page shows them in this order: what was found and what it took, and only then where it lies.
    if thumbnail is not None and thumbnail.exists() and thumbnail.stat().st_size <= MAX_THUMBNAIL_BYTES:
        picture = base64.b64encode(thumbnail.read_bytes()).decode()
        found["thumbnail"] = dg.MetadataValue.md(f"![first picture](data:image/jpeg;base64,{picture})")
    if manifest.degraded:
        found["degraded"] = dg.MetadataValue.text(manifest.degraded[:1000])
    if manifest.facts and len(json.dumps(manifest.facts, default=str)) <= MAX_FACTS_BYTES:
        found["facts"] = dg.MetadataValue.json(dict(manifest.facts))
    if isinstance(duration_s := manifest.facts.get("duration_s"), int | float):
        found["duration_s"] = dg.MetadataValue.float(float(duration_s))
    found |= {
        "reused": dg.MetadataValue.bool(reused),
        "wall_s": dg.MetadataValue.float(round(manifest.cost.wall_s, 3)),
        "cpu_s": dg.MetadataValue.float(round(manifest.cost.cpu_s, 3)),
        "files": dg.MetadataValue.int(len(manifest.files)),
        "bytes": dg.MetadataValue.int(sum(entry.size_bytes for entry in manifest.files)),
        "manifest": dg.MetadataValue.text(layout.manifest_key(manifest.video_id, manifest.asset)),
        "fingerprint": dg.MetadataValue.text(manifest.fingerprint),
    }
    if first is not None:
        found |= {"key": dg.MetadataValue.text(first.key), "sha256": dg.MetadataValue.text(first.sha256)}
        if first.reference is not None:
            found["in_place"] = dg.MetadataValue.path(first.reference)
    if 1 < len(manifest.files) <= MAX_LISTED_FILES:
        found["keys"] = dg.MetadataValue.json({entry.role: entry.key for entry in manifest.files})
    return found


def hash_file(path: Path) -> tuple[str, int]:
    """`(sha256, size_bytes)` of a file, in flat memory."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()
