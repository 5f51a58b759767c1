"""`vp ingest`: hand footage to the platform that runs on this home (or will)."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from video_platform.ingest import Ingest, Ingested
    from video_platform.platform import Platform
    from video_platform.records import Lane, VideoRecord
    from video_platform.settings import Settings

LANES = ("live", "request", "backfill")
WAIT_LOOK_S = 1.0
"""Between two looks at the database while `--wait` waits."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ingest")(ingest)


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Videos, or folders of them.")],
    camera: Annotated[str, typer.Option("--camera", help="The camera that recorded them.")] = "default",
    recorded_at: Annotated[str | None, typer.Option("--recorded-at", help="When the first frame was recorded: 2026-11-23T08:30.")] = None,
    lane: Annotated[str, typer.Option("--lane", help="live (goes first), request or backfill (goes last, notifies nobody).")] = "live",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until they are processed; failed ones count.")] = False,
    in_place: Annotated[bool, typer.Option("--in-place", help="Leave the files where they lie: read from there, never copied, moved or deleted.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Take footage in and announce it; a running `vp up` processes it."""
    from video_platform.cli import opening, output
    from video_platform.ingest_files import check_camera
    from video_platform.records import Lane

    if lane not in LANES:
        raise typer.BadParameter(f"a lane is {', '.join(LANES)}; got {output.safe(lane)!r}")
    check_camera(camera)
    recorded = opening.moment(recorded_at) if recorded_at else None
    with opening.platform() as platform:
        if wait and not dry_run and opening.nobody_processes(platform.settings):
            raise typer.BadParameter("nothing runs on this home, so --wait would wait for ever; start `vp up`, or use `vp process`")
        batch = Batch(as_json)
        for path in files(platform.ingest, paths, batch):
            if dry_run:
                batch.would_take(path, platform.settings.media.max_bytes)
            else:
                _take(platform, batch, path, camera, recorded, Lane(lane), in_place=in_place)
        if wait:
            batch.failed += _wait(platform, batch.taken, quiet=as_json)
        if as_json:
            output.print_json(batch.rows)
        elif not dry_run and batch.taken:
            if in_place:
                output.note(see_the_same(platform.settings))
            if not wait:
                _say_who_processes(platform)
    if batch.failed:
        raise typer.Exit(1)


class Batch:
    """What became of the paths of one command: rows for `--json`, lines for people, ids that were taken, failures counted."""

    def __init__(self, quiet: bool) -> None:
        self.rows: list[dict[str, object]] = []
        self.taken: list[str] = []
        self.failed = 0
        self._quiet = quiet

    def skipped(self, path: Path, reason: str) -> None:
        """A file of a folder that is no footage; that is no failure."""
        self._row(path, "skipped", f"skipped, {reason}", reason=reason)

    def refused(self, path: Path, error: Exception) -> None:
        """Footage that could not be taken in."""
        from video_platform.cli import output

        self.failed += 1
        self.rows.append({"path": str(path), "state": "refused", "reason": str(error), "code": getattr(error, "facts", {}).get("code")})
        if not self._quiet:
            output.note(output.failure(path, error))

    def would_take(self, path: Path, max_bytes: int) -> None:
        """What a dry run says of a file."""
        from video_platform.cli import output
        from video_platform.errors import UploadRefused
        from video_platform.ingest_files import open_footage

        try:
            with open_footage(path, max_bytes):
                self._row(path, "would be taken", f"would be taken, {output.size(path.stat().st_size)}")
        except (UploadRefused, OSError) as error:
            self.refused(path, error)

    def took(self, path: Path, taken: "Ingested") -> None:
        """Footage that is known now."""
        self.taken.append(taken.video_id)
        words = f"{taken.video_id} {arrived(taken)}{where(taken.record)}"
        self._row(path, "taken" if taken.created else "already there", words, video_id=taken.video_id, in_place=taken.record.reference_path)

    def _row(self, path: Path, state: str, words: str, **more: object) -> None:
        from video_platform.cli import output

        self.rows.append({"path": str(path), "state": state, **more})
        if not self._quiet:
            output.say(f"{output.safe(path)}: {words}")


def files(ingest: "Ingest", paths: list[Path], batch: Batch) -> Iterator[Path]:
    """The files to take of paths and folders, each once; what is skipped goes into `batch`.

    A file of a folder that is named like footage but is empty or unreadable is offered too: it is refused in words, counted and written down.
    """
    from video_platform.errors import PlatformError
    from video_platform.ingest_files import is_named_footage

    seen: set[Path] = set()
    for path in paths:
        try:
            found, skipped = ingest.collect(path)
        except (PlatformError, OSError) as error:
            batch.refused(path, error)
            continue
        broken = {each.path for each in skipped if each.code != "not_a_video" and is_named_footage(each.path) and not each.path.is_symlink()}
        for each in skipped:
            if each.path not in broken:
                batch.skipped(each.path, each.reason)
        for file in sorted((*found, *broken)):
            if (resolved := file.resolve()) not in seen:
                seen.add(resolved)
                yield file


def arrived(taken: "Ingested") -> str:
    """What became of footage, in words."""
    return "taken in" if taken.created else "already there, had failed; it is processed anew" if taken.again else "already there"


def where(record: "VideoRecord") -> str:
    """Words for a video whose footage stays where it lies."""
    from video_platform.cli import output

    return "" if record.reference_path is None else f", stays at {output.safe(record.reference_path)}"


def see_the_same(settings: "Settings") -> str:
    """What footage in place asks of whoever processes it."""
    if settings.event_log.kind == "kafka":
        return "the files stay where they are: every machine that processes or serves them has to see them under the same path, and says so if not"
    return "the files stay where they are; whoever moves or changes one finds its video named `moved` or `changed`"


def _take(platform: "Platform", batch: Batch, path: Path, camera: str, recorded_at: "datetime | None", lane: "Lane", *, in_place: bool) -> None:
    from video_platform.errors import InputError, StateError, StoreFull

    try:
        taken = platform.ingest.ingest_path(path, camera=camera, recorded_at=recorded_at, lane=lane, in_place=in_place)
    except (InputError, StateError, StoreFull, OSError) as error:
        batch.refused(path, error)
    else:
        batch.took(path, taken)


def _wait(platform: "Platform", video_ids: list[str], *, quiet: bool) -> int:
    """Wait until each video is ready, failed or deleted; returns how many are not ready."""
    from video_platform.cli import opening, output
    from video_platform.errors import StateError
    from video_platform.records import VideoState

    waiting = dict.fromkeys(video_ids)
    not_ready = 0
    while waiting:
        for video_id in list(waiting):
            record = _record(platform, video_id)
            if record is None or record.state in (VideoState.READY, VideoState.FAILED, VideoState.DELETED):
                del waiting[video_id]
                not_ready += record is None or record.state is not VideoState.READY
                if not quiet and record is not None:
                    output.say(f"{video_id}: {record.state}" + (f", {record.failure_message}" if record.failure_message else ""))
        if waiting and opening.nobody_processes(platform.settings):
            raise StateError(f"`vp up` has ended while {output.count(len(waiting), 'video waits', 'videos wait')}; start it again, it goes on with them")
        if waiting:
            time.sleep(WAIT_LOOK_S)
    return not_ready


def _record(platform: "Platform", video_id: str) -> "VideoRecord | None":
    from video_platform.services.database import videos

    return videos.get(platform.db, video_id)


def _say_who_processes(platform: "Platform") -> None:
    from video_platform.cli import opening, output

    if opening.nobody_processes(platform.settings):
        output.note("nothing processes on this home now; start `vp up`")
