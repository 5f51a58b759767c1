"""`vp export`: tracks and alerts in formats of other tools."""

from pathlib import Path
from typing import Annotated

import typer

EXTENSION = {"mot": "txt", "coco": "json", "csv": "csv", "jsonl": "jsonl"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="Id of the video.")],
    format_name: Annotated[str, typer.Option("--format", "-f", help="mot (MOTChallenge text), coco, csv or jsonl.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it; - is standard output. Default: VIDEO.EXTENSION here.")] = None,
) -> None:
    """Write the tracks of a video in a format that other tools read."""
    from video_platform import exports
    from video_platform.cli import opening
    from video_platform.cli import output as out

    if format_name not in EXTENSION:
        raise typer.BadParameter(f"a format is {', '.join(EXTENSION)}; got {out.safe(format_name)!r}")
    with opening.catalog() as (_, catalog):
        catalog.record(video)
        path = opening.write_out(output, f"{video}.{EXTENSION[format_name]}", iter(exports.export(catalog, video, format_name)))
        if path is not None:
            out.say(f"{path}: {out.size(path.stat().st_size)}")
