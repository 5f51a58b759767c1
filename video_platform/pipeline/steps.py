"""One step of one video: whether it must be made at all, what making it cost, what it yields. The one place that decides on reuse."""

import logging
import resource
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from video_platform import layout, logs, recipes
from video_platform.errors import NotFound, VideoDeleted
from video_platform.fingerprints import canonical, fingerprint
from video_platform.pipeline import checks, configured, tags
from video_platform.pipeline.failures import as_dagster_errors
from video_platform.pipeline.made import Handle, Made, NewFile, Plan, read_manifest
from video_platform.pipeline.resources import Desk
from video_platform.records import Cost, FileEntry, Lane, Manifest, Verdict, VideoRecord, VideoState

if TYPE_CHECKING:
    from dagster._core.execution.context.system import StepExecutionContext

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 1.0
"""The run log and the database hear of progress at most this often."""


class Step:
    """The execution of one step, for one video."""

    def __init__(self, context: dg.AssetExecutionContext | dg.OpExecutionContext, name: str, video_id: str) -> None:
        self.context = context
        self.name = name
        self.desk: Desk = context.resources.desk
        self.video_id = video_id
        self._started = time.monotonic()
        self._cpu_s = _cpu_s()
        self._last_progress = 0.0

    @property
    def run_tags(self) -> Mapping[str, str]:
        """The tags of the run."""
        return self.context.run.tags

    @property
    def lane(self) -> Lane:
        """The lane of the run."""
        return tags.lane_of(self.run_tags)

    @cached_property
    def record(self) -> VideoRecord:
        """The video as the database knows it.

        Raises:
            NotFound: it does not.
            VideoDeleted: a tombstone stands there.
        """
        return video_record(self.desk, self.video_id)

    @cached_property
    def folder(self) -> Path:
        """An empty folder for the files of this step, on the file system of the store where that saves a copy."""
        folder = self.desk.scratch / self.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def plan(self, asset: str, settings: Mapping[str, object], inputs: Mapping[str, Handle]) -> Plan:
        """What `asset` would be made from now, and whether that is what the stored version was made from.

        Whatever the step uses must count here: `settings` holds what comes from elsewhere than `inputs` (the video's record too), and what is read from an
        input (its facts too) must be part of that input's content hash.
        """
        code_version = recipes.CODE_VERSIONS[asset]
        hashes = {name: handle.content_hash for name, handle in inputs.items()}
        plain = {name: canonical(value) for name, value in settings.items()}
        plan = Plan(asset, self.video_id, code_version, plain, hashes, fingerprint(code_version, plain, hashes))
        if self.desk.forces(asset):
            return plan
        stored = read_manifest(self.desk.platform.store, self.video_id, asset)
        if stored is None or stored.fingerprint != plan.fingerprint or stored.degraded or not self._files_are_there(stored):
            return plan
        return replace(plan, stored=stored)

    def _files_are_there(self, manifest: Manifest) -> bool:
        """One listing instead of one question per file. Footage that stays where it lies is looked at by the step that reads it: one that reuses needs none."""
        prefix = f"{layout.video_prefix(self.video_id)}{manifest.asset}/"
        sizes = {info.key: info.size_bytes for info in self.desk.platform.store.list(prefix)}
        missing = [entry.key for entry in manifest.files if entry.reference is None and sizes.get(entry.key) != entry.size_bytes]
        if missing:
            self.context.log.warning(f"{manifest.asset} is made again: {len(missing)} of its files are missing or have another size, first {missing[0]}")
        return not missing

    def begin(self) -> None:
        """Tells the database that this step is being made now, and checks that the video is still wanted."""
        from video_platform.services.database import videos

        assert self.record
        videos.started(self.desk.platform.db, self.video_id, self.context.run.run_id, self.name)

    def progress(self, fraction: float, text: str) -> None:
        """Tells the run's log and the page how far this step is; `fraction` is 0-1."""
        from video_platform.services.database import videos

        now = time.monotonic()
        if now - self._last_progress < PROGRESS_EVERY_S:
            return
        self._last_progress = now
        self.context.log.info(f"{self.name}: {fraction:.0%} {text}".rstrip())
        videos.progress(self.desk.platform.db, self.video_id, self.name, fraction)

    def made(
        self,
        plan: Plan,
        *,
        content_hash: str,
        verdict: Verdict,
        files: Sequence[NewFile] = (),
        kept: Sequence[FileEntry] = (),
        facts: Mapping[str, object] | None = None,
        degraded: str | None = None,
        thumbnail: Path | None = None,
        duration_s: float | None = None,
        tokens: int = 0,
        before_manifest: Callable[[Sequence[FileEntry]], None] | None = None,
    ) -> Made:
        """A candidate of this step, with what it cost so far; `duration_s` is the length of the footage."""
        wall_s = time.monotonic() - self._started
        factor = duration_s / wall_s if duration_s and wall_s > 0 else None
        cost = Cost(wall_s=wall_s, cpu_s=_cpu_s() - self._cpu_s, tokens=tokens, real_time_factor=factor)
        return Made(plan, content_hash, verdict, files, kept, facts or {}, degraded, cost, thumbnail, before_manifest)

    def reused(self, plan: Plan) -> Made:
        """The stored version, handed on."""
        assert plan.stored is not None
        self.context.log.info(f"{plan.asset}: reused, nothing it is made from has changed (fingerprint {plan.fingerprint[:12]})")
        return Made(plan, plan.stored.content_hash, plan.stored.verdict)


Yielded = dg.Output[Made] | dg.AssetCheckResult


def outputs(made: Made, output_name: str = "result", counted: Mapping[str, str] | None = None) -> Iterator[Yielded]:
    """What the body of an asset yields for one result; `counted` names the versions of source assets that it was made from, where the plan does not tell."""
    source_versions = configured.event_tags(configured.counted(made.plan) if counted is None else counted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # Dagster marks `data_version` of an output as beta
        yield dg.Output(made, output_name=output_name, data_version=dg.DataVersion(made.content_hash), tags=source_versions)
    yield checks.result(made.plan.asset, made.verdict)


def last_of_run(context: "StepExecutionContext", asset: str) -> bool:
    """Whether no other step of `process_video` comes after `asset` in this run; what is made in words is not waited for."""
    selected = {key.path[-1] for key in context.job_def.asset_layer.selected_asset_keys}
    steps = [name for name in layout.ASSETS if name in selected and name not in recipes.IN_WORDS]
    return bool(steps) and steps[-1] == asset


@contextmanager
def step(context: dg.AssetExecutionContext, name: str) -> Iterator[Step]:
    """The body of one step: its errors become retries, or a failed state that the page shows."""
    ids = {"video_id": context.partition_key, "run_id": context.run.run_id, "asset": name}
    tell = failed_state(context.resources.desk, context.instance, context.partition_key, context.run.run_id, name)
    with logs.about(**ids), as_dagster_errors(context.retry_number, tell):
        yield Step(context, name, context.partition_key)


def failed_state(desk: Desk, instance: dg.DagsterInstance, video_id: str, run_id: str, step_name: str) -> Callable[[str, str], None]:
    """What writes the failed state of a video into the database. What is made in words and fails leaves the video as it is, because its alerts stand, and is
    noted.

    A step may fail before it begins anything, and then the video still names an earlier run. So Dagster is asked whether this run is under way: it lets no
    two of a video be, and a process that outlived the end of its run has no word any more.
    """

    def tell(code: str, message: str) -> None:
        from video_platform import keeping
        from video_platform.services.database import outbox, search, videos

        if step_name == layout.DESCRIBED_ALERTS:
            log.warning("described_alerts of video %s failed (%s): %s The alerts that were there stay.", video_id, code, message)
        elif step_name == layout.SECOND_LOOK:
            log.warning("second_look of video %s failed (%s): %s The alerts stand as they are, and wait for none.", video_id, code, message)
            outbox.let_go_of_video(desk.platform.db, video_id)
        elif step_name == layout.SEARCH_INDEX:
            search.failed(desk.platform.db, video_id, message)
        elif step_name in recipes.IN_WORDS:  # the summary, or what it waits for
            videos.summary_failed(desk.platform.db, video_id, code, message)
        else:
            run = instance.get_run_by_id(run_id)
            videos.failed(desk.platform.db, video_id, run_id, code, message, under_way=run is not None and not run.is_finished)
        keeping.keep_quietly(desk.platform.db, desk.platform.store, video_id)

    return tell


def video_record(desk: Desk, video_id: str) -> VideoRecord:
    """The video as the database knows it.

    Raises:
        NotFound: it does not.
        VideoDeleted: a tombstone stands there.
    """
    from video_platform.services.database import videos

    found = videos.get(desk.platform.db, video_id)
    if found is None:
        raise NotFound(f"no video {video_id} is known here; take the file in with `vp ingest` first", video_id=video_id)
    if found.state is VideoState.DELETED:
        raise VideoDeleted(f"video {video_id} was deleted; take the file in again to process it", video_id=video_id, deleted_at=found.updated_at)
    return found


def _cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
