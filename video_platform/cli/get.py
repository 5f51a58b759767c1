"""`vp get`: one file of one asset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.records import FileEntry, Manifest

FIRST_ROLE = {
    "detections": "detections",
    "tracks": "tracks",
    "scenes": "scenes",
    "alerts": "alerts",
    "highlights": "reel",
    "second_look": "second_look",
    "transcript": "transcript",
    "captions": "captions",
    "described_alerts": "alerts",
    "llm_summary": "summary",
    "search_index": "passages",
}
"""The file that is meant when only the asset is named; elsewhere it is the one with role `video`."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("get")(get)


def get(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="Id of the video.")],
    asset: Annotated[
        str,
        typer.Option(
            "--asset",
            "-a",
            help="raw_video, processed_video, detections, scenes, tracks, alerts, highlights, second_look, transcript, captions, described_alerts, "
            "llm_summary or search_index.",
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it; - is standard output. Default: VIDEO-ASSET here.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="Which of the asset's files, by role; --list names them.")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="List the asset's files and write none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.")] = False,
) -> None:
    """Fetch a result: the footage, its browser copy, tracks, summary, a snapshot or a clip."""
    from video_platform.cli import opening
    from video_platform.cli import output as out
    from video_platform.errors import NotFound
    from video_platform.layout import ASSETS

    if as_json and not only_list:
        raise typer.BadParameter("--json goes with --list; without it the file itself is written")
    if only_list and (output is not None or file is not None):
        raise typer.BadParameter("--list names the files and writes none; leave --output and --file out")
    if asset not in ASSETS:
        raise typer.BadParameter(f"there is no asset {out.safe(asset)!r}; there are {', '.join(ASSETS)}")
    with opening.catalog() as (_, catalog):
        catalog.record(video)
        manifest = catalog.manifest(video, asset)
        if manifest is None:
            raise NotFound(f"{asset} of video {video} has not been made; `vp show {video}` says where it stands", video_id=video)
        if only_list:
            _list(manifest, as_json)
            return
        entry = _choose(manifest, file)
        with catalog.open_file(entry) as chunks:
            path = opening.write_out(output, f"{video}-{asset}.{entry.name.rpartition('.')[2]}", chunks)
        if path is not None:
            out.say(f"{path}: {out.size(entry.size_bytes)}, sha256 {entry.sha256}")


def _choose(manifest: "Manifest", role: str | None) -> "FileEntry":
    from video_platform.errors import NotFound

    wanted = role or FIRST_ROLE.get(manifest.asset, "video")
    entry = manifest.file(wanted)
    if entry is None:
        names = ", ".join(each.role for each in manifest.files) or "none"
        raise NotFound(f"{manifest.asset} of video {manifest.video_id} has no file {wanted!r}; it has: {names}", video_id=manifest.video_id)
    return entry


def _list(manifest: "Manifest", as_json: bool) -> None:
    from video_platform.cli import output as out

    if as_json:
        out.print_json(manifest.files)
    else:
        out.table(("file", "size", "type", "sha256"), [(each.role, out.size(each.size_bytes), each.media_type, each.sha256) for each in manifest.files])
