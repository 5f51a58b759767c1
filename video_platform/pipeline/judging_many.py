"""The job of a backfill after a change of rules: many videos in one run, each as its own steps would do it.

A run for each video would add seconds to its work. Here one run judges them one after the other: ledger, manifest, then Dagster's
event for that partition, with the versions that Dagster compares. What a kill leaves is a video that is done, and others that are not; the next run
goes on there. A video that cannot be judged is said so and holds up no other.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    extract_data_version_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from video_platform import recipes
from video_platform.errors import PlatformError, ServiceError, StateError, VideoDeleted, WorkerCrashed, is_full
from video_platform.layout import ALERTS, HIGHLIGHTS, PROCESSED_VIDEO, RAW_VIDEO, TRACKS
from video_platform.pipeline import checks, cutting, judging, tags
from video_platform.pipeline.configured import RULES
from video_platform.pipeline.failures import as_dagster_errors, failure_code
from video_platform.pipeline.io_managers import event_metadata, keep
from video_platform.pipeline.judging import ActiveRules
from video_platform.pipeline.made import Handle, Made, read_manifest
from video_platform.pipeline.resources import Desk
from video_platform.pipeline.steps import Step, failed_state
from video_platform.records import VideoRecord

if TYPE_CHECKING:
    from video_platform.services.database.backfills import Item, ItemState

JUDGE_VIDEOS = "judge_videos"
JUDGE = "judge"
"""The job, and its one op: Dagster wants their names to differ."""

VIDEOS_FIELD = "videos"

UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]

ROUNDS = 3
"""How often a video is judged when its tracks are made anew meanwhile; then whoever makes them judges it."""

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


def run_config(video_ids: list[str]) -> dict[str, object]:
    """The configuration of a run for these videos."""
    return {"ops": {JUDGE: {"config": {VIDEOS_FIELD: video_ids}}}}


@dg.op(
    name=JUDGE,
    config_schema={VIDEOS_FIELD: dg.Field([str], description="ids of videos, in the order in which they are judged")},
    required_resource_keys={"desk"},
    out=dg.Out(dg.Nothing),
    description="Judges each video by the active rules and cuts its clips; reports the assets alerts and highlights of its partition.",
)
def judge_each(context: dg.OpExecutionContext) -> Iterator[Event | dg.Output[None]]:
    """Many videos, one after the other."""
    batch = _Batch(context)
    with as_dagster_errors(context.retry_number, lambda _code, _message: None):
        for video_id in context.op_config[VIDEOS_FIELD]:
            yield from batch.video(video_id)
            batch.tidy()
    yield dg.Output(None)


@dg.job(name=JUDGE_VIDEOS, executor_def=dg.in_process_executor, description="Alerts and clips of many videos by changed rules; asked for by backfills.")
def judge_videos() -> None:
    """Many videos in one run."""
    judge_each()


class _Batch:
    """One run. Of a backfill it makes only what that still asks this run for, and says of each video what became of it."""

    def __init__(self, context: dg.OpExecutionContext) -> None:
        self._context = context
        self._desk: Desk = context.resources.desk
        self._run_id = context.run.run_id
        self._backfill, self._request = (context.run.tags.get(tag, "") for tag in (tags.HISTORY, tags.REQUEST))
        self._active: ActiveRules | None = None
        self._began = time.monotonic() - _launching_s(context)

    def video(self, video_id: str) -> Iterator[Event]:
        """One video, unless nobody asks for it any more; what is wrong with it alone is written down."""
        from video_platform.services.database.backfills import ItemState

        item = self._item(video_id)
        if self._backfill and item is None:
            return
        made: list[str] = []
        try:
            yield from self._judged(video_id, made)
        except _InOtherHands as error:
            self._say(item, ItemState.WAITING, message=error.message)
        except VideoDeleted as error:
            self._say(item, ItemState.FAILED, message=error.message)
        except WorkerCrashed as error:  # may be its footage, so it is not this run that is tried again
            self._context.log.warning(error.message)
            self._say(item, ItemState.WAITING, message=error.message, failed=True)
        except dg.Failure as error:  # an invalid result; the failed state was told where that was found
            self._say(item, ItemState.FAILED, message=error.description)
        except Exception as error:
            if isinstance(error, ServiceError) or is_full(error):
                raise
            self._failed(video_id, item, error)
        else:
            self._say(item, ItemState.DONE if made else ItemState.REUSED, made=made)

    def tidy(self) -> None:
        """Removes the copies of inputs before the next video's come: of as many as are in one run they would fill a disk."""
        shutil.rmtree(self._desk.scratch / "inputs", ignore_errors=True)

    def _judged(self, video_id: str, made: list[str]) -> Iterator[Event]:
        """Alerts, then clips; names of what was not reused go into `made`."""
        self._must_be_free(video_id)
        for _ in range(ROUNDS):
            self._active = judging.active_rules(self._desk, self._active)
            at = self._step(ALERTS, video_id)
            tracks = self._handle(video_id, TRACKS)
            alerts = judging.judge(at, self._active, tracks, self._handle(video_id, RAW_VIDEO, at))
            yield from self._kept(at, alerts, made, {RULES: self._active.data_version})
            now = read_manifest(self._desk.platform.store, video_id, TRACKS)
            if now is None or now.content_hash == tracks.content_hash:
                break
        at = self._step(HIGHLIGHTS, video_id)
        clips = cutting.cut(at, self._handle(video_id, ALERTS), self._handle(video_id, TRACKS), self._handle(video_id, PROCESSED_VIDEO))
        yield from self._kept(at, clips, made, {})
        self._ready(video_id)

    def _must_be_free(self, video_id: str) -> None:
        """A run that works on the video judges it by the same rules, and must not be crossed."""
        if self._context.instance.get_runs_count(dg.RunsFilter(tags={tags.VIDEO: video_id}, statuses=UNDER_WAY)):
            raise _InOtherHands("another run had it in hand")

    def _step(self, asset: str, video_id: str) -> Step:
        return Step(self._context, asset, video_id)

    def _handle(self, video_id: str, asset: str, at: Step | None = None) -> Handle:
        record = None if at is None else (lambda: _record(at))
        return Handle(self._desk.platform.store, self._desk.scratch / "inputs", video_id, asset, record)

    def _kept(self, at: Step, made: Made, names: list[str], sources: Mapping[str, str]) -> Iterator[Event]:
        """Publishes a version and tells Dagster."""
        asset, video_id = made.plan.asset, at.video_id
        tell = failed_state(self._desk, self._context.instance, video_id, self._run_id, asset)
        manifest = keep(self._desk, made, self._run_id, tell)
        if not made.reused:
            names.append(asset)
        versions = {DATA_VERSION_TAG: made.content_hash, DATA_VERSION_IS_USER_PROVIDED_TAG: "true", CODE_VERSION_TAG: recipes.CODE_VERSIONS[asset]}
        yield dg.AssetMaterialization(
            asset_key=asset,
            partition=video_id,
            metadata=event_metadata(manifest, reused=made.reused, thumbnail=made.thumbnail),
            tags={**versions, **self._inputs(asset, video_id, sources)},
        )
        yield checks.evaluation(asset, video_id, made.verdict)

    def _inputs(self, asset: str, video_id: str, sources: Mapping[str, str]) -> dict[str, str]:
        """The versions of what it was made from, as an event of its own step would name them."""
        found: dict[str, str] = {}
        graph = [(name, video_id) for name in (*recipes.INPUTS[asset], *((RAW_VIDEO,) if asset == ALERTS else ()))]
        for name, partition in [*graph, *((source, None) for source in sources)]:
            key = dg.AssetKey(name)
            record = self._context.instance.get_latest_data_version_record(key, partition is None, partition)
            version = None if record is None else extract_data_version_from_entry(record.event_log_entry)
            if version is not None and record is not None:
                found |= {get_input_data_version_tag(key): version.value, get_input_event_pointer_tag(key): str(record.storage_id)}
        return found | {get_input_data_version_tag(dg.AssetKey(source)): version for source, version in sources.items()}

    def _ready(self, video_id: str) -> None:
        from video_platform import keeping
        from video_platform.services.database import videos

        videos.finished(self._desk.platform.db, video_id, self._run_id)
        keeping.keep_quietly(self._desk.platform.db, self._desk.platform.store, video_id)

    def _failed(self, video_id: str, item: "Item | None", error: Exception) -> None:
        from video_platform.services.database.backfills import ItemState

        known = isinstance(error, PlatformError)
        message = error.message if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}. This is a fault of the program."
        self._context.log.warning(f"video {video_id} could not be judged: {message}", exc_info=not known)
        failed_state(self._desk, self._context.instance, video_id, self._run_id, ALERTS)(failure_code(error), message)
        self._say(item, ItemState.FAILED, message=message)

    def _item(self, video_id: str) -> "Item | None":
        from video_platform.services.database import backfills

        if not self._backfill:
            return None
        asked = backfills.asked_of(self._desk.platform.db, self._backfill, self._request)
        return next((item for item in asked if item.video_id == video_id), None)

    def _say(self, item: "Item | None", state: "ItemState", *, made: list[str] | None = None, message: str | None = None, failed: bool = False) -> None:
        from video_platform.services.database import backfills

        now = time.monotonic()
        spent_s, self._began = now - self._began, now
        if item is not None:
            backfills.settle(self._desk.platform.db, item, state, now=datetime.now(UTC), spent_s=spent_s, made=made or (), message=message, failed=failed)


class _InOtherHands(StateError):
    """The video is left to the run that has it."""


def _launching_s(context: dg.OpExecutionContext) -> float:
    """How long this run has held its slot before its first step began."""
    begun = context.instance.get_records_for_run(context.run.run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING, limit=1).records
    return max(0.0, time.time() - begun[0].timestamp) if begun else 0.0


def _record(at: Step) -> VideoRecord:
    return at.record
