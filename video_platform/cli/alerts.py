"""`vp alerts`: what the rules found."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.records import AlertRecord

MOST_ALERTS = 100_000
"""A list of more belongs into an export."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("alerts")(alerts)


def alerts(
    video: Annotated[str | None, typer.Option("--video", help="Only of this video.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Only of this rule.")] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="Only of this camera.")] = None,
    severity: Annotated[str | None, typer.Option("--severity", help="info, warning or critical.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Not older than this: 90s, 15m, 2h, 3d, 1w.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="From this time on: 2026-11-23T08:30.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Before this time.")] = None,
    superseded: Annotated[bool, typer.Option("--superseded", help="Also those that the present rules no longer yield.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_ALERTS, help="At most so many, newest first.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List alerts, newest first."""
    from video_platform.cli import opening, output
    from video_platform.records import Lifecycle, Severity

    if since and start:
        raise typer.BadParameter("give --since or --from, not both")
    if severity is not None and severity not in list(Severity):
        raise typer.BadParameter(f"a severity is {', '.join(Severity)}; got {severity!r}")
    after = opening.moment_or_ago(since) if since else opening.moment(start) if start else None
    with opening.catalog() as (_, catalog):
        if video is not None:
            catalog.record(video)

        def page(page_limit: int, offset: int) -> "tuple[list[AlertRecord], int]":
            found = catalog.alerts(
                video_id=video,
                rule=rule,
                camera=camera,
                severity=Severity(severity) if severity else None,
                lifecycle=None if superseded else Lifecycle.ACTIVE,
                since=after,
                until=opening.moment(end) if end else None,
                limit=page_limit,
                offset=offset,
            )
            return found.items, found.total

        found, total = opening.in_pages(page, limit)
    if as_json:
        output.print_json(found)
        return
    show(found, of_one=video is not None)
    if total > len(found):
        output.note(f"{total - len(found)} older ones are not shown; --limit shows more")


def show(found: "list[AlertRecord]", *, of_one: bool = False) -> None:
    """Alerts as a table, or the words that there are none; `of_one`: all are of a video that was named already."""
    from video_platform.cli import output

    if not found:
        output.say("No alerts.")
        return
    timed = any(alert.start_time for alert in found)  # a column of nothing but "unknown" takes the room of others
    rows = [
        (
            *((output.instant(alert.start_time) or "unknown",) if timed else ()),
            output.safe(alert.rule, 40),
            alert.severity,
            output.safe(alert.camera, 30),
            f"{output.clock(alert.start_s)}–{output.clock(alert.end_s)}",
            *(() if of_one else (alert.video_id,)),
            ", ".join(str(track) for track in alert.track_ids[:8]),
            ", ".join([alert.lifecycle, *([alert.mark] if alert.mark != "none" else []), *([alert.second_look.outcome] if alert.second_look else [])]),
        )
        for alert in found
    ]
    output.table((*(("when",) if timed else ()), "rule", "severity", "camera", "in the video", *(() if of_one else ("video",)), "tracks", "state"), rows)
