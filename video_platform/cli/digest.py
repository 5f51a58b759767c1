"""`vp digest`: what happened on a day."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.digests import Shown
    from video_platform.platform import Platform
    from video_platform.records_days import CameraDay

SHOWN_GAPS = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("digest")(digest)


def digest(
    day: Annotated[str | None, typer.Argument(metavar="DAY", help="2026-11-23; without it the last day with a digest.", show_default=False)] = None,
    listed: Annotated[bool, typer.Option("--list", help="The days on which anything was recorded, newest first.")] = False,
    reel: Annotated[Path | None, typer.Option("--reel", help="Write the reel of the day there; - is standard output.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say what happened on a day, camera by camera: footage and its gaps, what was followed, alerts, busiest hours."""
    from video_platform import digests
    from video_platform.cli import opening, output
    from video_platform.errors import NotFound
    from video_platform.services.database import digests as rows

    if listed and (day is not None or reel is not None):
        raise typer.BadParameter("--list names all days; leave the day and --reel out")
    if reel is not None and as_json:
        raise typer.BadParameter("--reel writes a film; leave it or --json out")
    wanted = _day(day) if day else None
    with opening.platform() as platform:
        if listed:
            days = rows.listed(platform.db)
            if as_json:
                output.print_json([{"day": str(each.day), "videos": each.videos, "made_at": each.made_at, "current": each.current} for each in days])
            else:
                output.table(("day", "videos", "digest"), [(str(each.day), each.videos, _standing(each.made is not None, each.current)) for each in days])
            return
        wanted = wanted or digests.newest(platform.db)
        shown = None if wanted is None else digests.read(platform.db, platform.store, wanted)
        if reel is not None:
            if shown is None:
                raise NotFound("no day has a digest yet, so none has a reel: `vp up` makes them for each day on which anything was recorded")
            _write_reel(platform, shown.digest.day, reel)
            return
    if shown is None:
        output.print_json(None) if as_json else output.say("No digest yet: `vp up` makes one for each day on which anything was recorded.")
        return
    if as_json:
        output.print_json({**shown.digest.model_dump(mode="json"), "current": shown.day.current, "made_at": shown.day.made_at})
        return
    _show(shown)


def _write_reel(platform: "Platform", day: date, target: Path) -> None:
    from video_platform import reels
    from video_platform.cli import opening, output
    from video_platform.errors import NotFound

    found = reels.of_day(platform.db, platform.store, day)
    if found is None:
        raise NotFound(f"{day} has no reel: nothing of it could be shown; `vp digest {day}` says what happened", day=day.isoformat())
    with platform.store.open(found.film.key) as chunks:
        path = opening.write_out(target, f"{day}.mp4", chunks)
    if path is not None:
        output.say(f"{path}: {output.clock(found.seconds)}, {output.count(len(found.pieces), 'chapter', 'chapters')}, {output.size(found.film.size_bytes)}")


def _show(shown: "Shown") -> None:
    from video_platform.cli import output

    found = shown.digest
    output.say(f"{found.day} ({found.timezone}): {output.count(sum(each.videos for each in found.cameras), 'video', 'videos')}")
    if not shown.day.current:
        output.note("footage of this day came, went or changed since; its digest is made again")
    columns = ("camera", "videos", "footage", "objects", "alerts", "busiest hours", "gaps")
    output.table(columns, [_row(each) for each in found.cameras])
    for camera in found.cameras:
        for gap in camera.gaps[:SHOWN_GAPS]:
            output.say(f"{output.safe(camera.camera, 40)}: no footage from {output.instant(gap.start)} to {output.instant(gap.end)}")
        if len(camera.gaps) > SHOWN_GAPS:
            output.note(f"{len(camera.gaps) - SHOWN_GAPS} more gaps; --json lists all")


def _row(camera: "CameraDay") -> tuple[object, ...]:
    from video_platform.cli import output

    objects = ", ".join(f"{name} {count}" for name, count in camera.objects.items())
    alerts = ", ".join(f"{output.safe(rule, 40)} {count}" for rule, count in camera.alerts.items())
    hours = ", ".join(f"{hour}:00" for hour in camera.busiest_hours)
    return (output.safe(camera.camera, 30), camera.videos, output.clock(camera.footage_s), objects, alerts, hours, len(camera.gaps))


def _standing(made: bool, current: bool) -> str:
    return "current" if current else "is made again" if made else "is made soon"


def _day(text: str) -> date:
    from video_platform.cli import output

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"a day is written 2026-11-23; got {output.safe(text, 40)!r}") from None
