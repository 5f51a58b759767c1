"""`vp process`: the whole graph for some files, here and now, without a daemon."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from video_platform.catalog import Catalog
    from video_platform.cli.ingest import Batch
    from video_platform.local_run import LocalOutcome, StepOutcome
    from video_platform.platform import Platform
    from video_platform.records import AlertRecord


@dataclass
class Result:
    """One processed video, for the table and for `--json`."""

    video_id: str
    name: str
    created: bool
    outcome: "LocalOutcome"
    alerts: "list[AlertRecord]"
    title: str | None
    engine: str | None
    notes: list[str]
    wall_s: float

    @property
    def interrupted(self) -> bool:
        """Whether the run was ended from outside."""
        return self.outcome.interrupted


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("process")(process)


def process(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Videos, folders of them, or ids of videos that are here already.")],
    camera: Annotated[str, typer.Option("--camera", help="The camera that recorded them; rules may be meant for some cameras only.")] = "default",
    recorded_at: Annotated[str | None, typer.Option("--recorded-at", help="When the first frame was recorded: 2026-11-23T08:30.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make every result again, also those that are up to date.")] = False,
    notify: Annotated[bool, typer.Option("--notify", help="Send notifications also for alerts found on a second look.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Take footage in and look at it right here: detections, tracks, alerts, clips, summary. Needs nothing running."""
    from video_platform import detectors, scene_model
    from video_platform.cli import opening, output
    from video_platform.cli.ingest import Batch
    from video_platform.errors import PlatformError
    from video_platform.ingest_files import DEFAULT_CAMERA, check_camera

    check_camera(camera)
    if (camera != DEFAULT_CAMERA or recorded_at is not None) and (known := ids(paths)):
        raise typer.BadParameter(f"{known[0]} is here already, so --camera and --recorded-at would say nothing of it; `vp set` corrects them")
    recorded = opening.moment(recorded_at) if recorded_at else None
    batch = Batch(as_json)
    results: list[Result] = []
    with opening.catalog() as (platform, catalog):
        detectors.usable(platform.settings)
        scene_model.usable(platform.settings)
        _refuse_when_owned(platform)
        for video_id, name, created in _videos(platform, batch, paths, camera, recorded):
            try:
                results.append(_process(platform, catalog, video_id, name, created, force=force, notify=notify, quiet=as_json))
            except PlatformError as error:
                batch.refused(Path(name), error)
            if results and results[-1].interrupted:
                break
    interrupted = any(result.interrupted for result in results)
    failed = batch.failed + sum(not result.outcome.success for result in results)
    if as_json:
        output.print_json({"videos": [_plain(result) for result in results], "files": batch.rows})
    else:
        _show(results)
        if failed:
            output.note(f"{failed} of {batch.failed + len(results)} could not be processed")
    if interrupted:
        raise KeyboardInterrupt
    if failed:
        raise typer.Exit(1)


def ids(paths: list[str]) -> list[str]:
    """Those of the paths that are ids of videos; a file of such a name is a file."""
    from video_platform.layout import is_video_id

    return [path for path in paths if is_video_id(path) and not Path(path).exists()]


def _refuse_when_owned(platform: "Platform") -> None:
    """Refuse before anything is taken in; each run takes the lock itself."""
    from video_platform.supervisor import lock

    with lock.hold(platform.settings.lock_file, "vp process"):
        return


def _videos(platform: "Platform", batch: "Batch", paths: list[str], camera: str, recorded_at: "datetime | None") -> "Iterator[tuple[str, str, bool]]":
    """`(video_id, name, newly taken in)` of every path; what cannot be taken goes into `batch`. The lane is `request`: somebody waits for it here."""
    from video_platform.cli.ingest import files
    from video_platform.errors import InputError, StateError, StoreFull
    from video_platform.records import Lane
    from video_platform.services.database import videos

    known = ids(paths)
    for video_id in known:
        record = videos.get(platform.db, video_id)
        yield video_id, record.original_name if record else video_id, False
    for path in files(platform.ingest, [Path(path) for path in paths if path not in known], batch):
        try:
            taken = platform.ingest.ingest_path(path, camera=camera, recorded_at=recorded_at, lane=Lane.REQUEST, announce=False)
        except (InputError, StateError, StoreFull, OSError) as error:
            batch.refused(path, error)
        else:
            batch.took(path, taken)
            yield taken.video_id, path.name, taken.created


def _process(platform: "Platform", catalog: "Catalog", video_id: str, name: str, created: bool, *, force: bool, notify: bool, quiet: bool) -> Result:
    from video_platform import local_run
    from video_platform.catalog_views import LACKS
    from video_platform.cli import output

    def heard(step: "StepOutcome") -> None:
        if not quiet and step.state != "skipped":
            took = f" in {step.wall_s:.1f} s" if step.wall_s else ""
            output.say(f"  {step.asset}: {step.state}{took}" + (f" ({LACKS[step.holds]})" if step.holds in LACKS else ""))

    catalog.record(video_id)  # of one that is deleted, or never was, nothing can be made
    begun = time.monotonic()
    outcome = local_run.process(platform.settings, video_id, force=force, notify=notify, on_event=heard)
    summary = catalog.summary(video_id) if outcome.success else None
    engine = f"{summary.engine.name} {summary.engine.model or ''}".strip() if summary else None
    found = catalog.alerts(video_id=video_id, limit=1000).items
    notes = catalog.video(video_id).notes if outcome.success else []
    return Result(video_id, name, created, outcome, found, summary.title if summary else None, engine, notes, time.monotonic() - begun)


def _plain(result: Result) -> dict[str, object]:
    outcome = result.outcome
    return {
        "video_id": result.video_id,
        "name": result.name,
        "created": result.created,
        "run_id": outcome.run_id,
        "success": outcome.success,
        "failure_code": outcome.failure_code,
        "failure_message": outcome.failure_message,
        "steps": outcome.steps,
        "alerts": result.alerts,
        "title": result.title,
        "engine": result.engine,
        "notes": result.notes,
        "wall_s": round(result.wall_s, 3),
    }


def _row(result: Result) -> tuple[object, ...]:
    """A line of the table; the steps by name were said while they were made."""
    from collections import Counter

    from video_platform.cli import output

    states = Counter(step.state for step in result.outcome.steps)
    counted = ", ".join(f"{states[state]} {state}" for state in ("made", "reused", "failed", "skipped") if states[state])
    return result.video_id, output.safe(result.name, 40), counted, len(result.alerts), round(result.wall_s, 1)


def _show(results: list[Result]) -> None:
    from video_platform.catalog_views import first_notes
    from video_platform.cli import output

    if not results:
        return
    output.say()
    output.table(("video", "name", "results", "alerts", "seconds"), [_row(result) for result in results])
    for result in results:
        if result.interrupted:
            output.note(f"{result.video_id}: interrupted; run it again, what is done is reused")
        elif not result.outcome.success:
            which = f"{output.safe(result.name, output.SHOWN_NAME)} ({result.video_id})"
            output.note(f"error: {which}: {result.outcome.failure_code}: {result.outcome.failure_message}")
        elif result.title:
            output.say(f"{result.video_id}: {result.title} [{result.engine}]")
        for note in first_notes(result.notes):
            output.say(f"{result.video_id}: note: {note}")
    done = [result.video_id for result in results if result.outcome.success]
    if done:
        output.say(f"\nlook closer: `vp show {done[-1]}`, `vp alerts --video {done[-1]}`, or `vp up` for the page")
