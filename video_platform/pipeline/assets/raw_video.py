"""The footage itself: the stored object is verified once and probed. Its content is its bytes."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from video_platform import recipes, recording_time
from video_platform.budgets import PROBE_SECONDS, media_limits, worker_budget
from video_platform.errors import FootageAway, IntegrityError
from video_platform.layout import RAW_VIDEO
from video_platform.pipeline import checks
from video_platform.pipeline.io_managers import hash_file
from video_platform.pipeline.partitions import VIDEOS
from video_platform.pipeline.steps import Step, Yielded, outputs, step
from video_platform.records import FileEntry, VideoRecord
from video_platform.services import references


@dg.asset(
    name=RAW_VIDEO,
    partitions_def=VIDEOS,
    code_version=recipes.CODE_VERSIONS[RAW_VIDEO],
    io_manager_key="files",
    required_resource_keys={"desk"},
    check_specs=[checks.spec(RAW_VIDEO)],
    kinds={"video"},
    group_name="footage",
    description="The footage as it was taken in: verified against its recorded size and SHA-256, and probed.",
)
def raw_video(context: dg.AssetExecutionContext) -> Iterator[Yielded]:
    """The stored object, verified and probed."""
    with step(context, RAW_VIDEO) as at:
        plan = at.plan(RAW_VIDEO, recipes.raw_video(at.record), {})
        if plan.stored and plan.stored.file("video") != _entry(at.record):
            plan = replace(plan, stored=None)  # it lies elsewhere now: the same bytes, but the manifest has to say where
        if plan.stored:
            _look_again(at, at.record)
            made = at.reused(plan)
        else:
            at.begin()
            path = _verified(at, at.record)
            probe = _probe(at, path)
            made = at.made(
                plan,
                content_hash=at.record.sha256,
                verdict=checks.verdict(size_matches=True, sha256_matches=True, has_pictures=probe["width"] > 0 and probe["height"] > 0),
                kept=[_entry(at.record)],
                facts=probe,
                duration_s=probe["duration_s"],
            )
    yield from outputs(made)


def _entry(record: VideoRecord) -> FileEntry:
    return FileEntry(
        role="video", key=record.object_key, size_bytes=record.size_bytes, sha256=record.sha256, media_type=record.media_type, reference=record.reference_path
    )


def _look_again(at: Step, record: VideoRecord) -> None:
    """A file in place that was only touched counts as the same again. One that is away is for the steps that need its pixels to say: the others do not."""
    if record.reference_path is not None and references.standing(record) == "changed":
        with suppress(FootageAway):
            _confirm(at, record)


def _confirm(at: Step, record: VideoRecord) -> Path:
    from video_platform.services.database import videos

    modified_ns = references.confirm(record)
    if modified_ns != record.reference_modified_ns:
        videos.confirm_reference(at.desk.platform.db, record.video_id, str(record.reference_path), modified_ns)
    return Path(str(record.reference_path))


def _verified(at: Step, record: VideoRecord) -> Path:
    """A local file whose bytes are what was promised: a copy, or the one that stays where it lies."""
    if record.reference_path is not None:
        return _confirm(at, record)
    folder = at.desk.scratch / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    path = at.desk.platform.store.fetch(record.object_key, folder)
    sha256, size_bytes = hash_file(path)
    if (sha256, size_bytes) != (record.sha256, record.size_bytes):
        raise IntegrityError(
            f"the stored footage {record.object_key} is not what was taken in: {size_bytes} bytes with SHA-256 {sha256[:16]}…, "
            f"recorded {record.size_bytes} bytes with {record.sha256[:16]}…; delete the video and take the file in again",
            expected=record.sha256,
            actual=sha256,
        )
    return path


def _probe(at: Step, path: Path) -> dict[str, Any]:
    """What the container says, found in a child process because the container may be hostile; also recorded in the database."""
    from video_platform.analysis import worker
    from video_platform.services.database import videos

    settings = at.desk.settings
    payload = {"path": str(path), "limits": asdict(media_limits(settings))}
    probe = worker.run("probe", payload, limits=worker_budget(settings, PROBE_SECONDS))
    probe.pop("cost", None)  # the cost of the step as a whole stands in the manifest
    known_s = probe["duration_s"] or at.record.duration_s  # where the container does not say it, decoding did
    videos.set_media(at.desk.platform.db, at.video_id, known_s, probe["width"], probe["height"])
    told = recording_time.from_container(probe["created"], datetime.now(UTC)) if settings.recording.from_container else None
    if told and videos.note_recorded_at(at.desk.platform.db, at.video_id, told):
        at.context.log.info(f"recorded at {told.isoformat()}, says the container; correct it with `vp set {at.video_id} --recorded-at TIME`")
    return probe
