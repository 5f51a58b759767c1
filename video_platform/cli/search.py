"""`vp search`: moments by what was said of them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from video_platform.search import Found, Hit

MOST_HITS = 100
"""As many as are ranked."""

SHOWN_TEXT = 160


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search")(search)


def search(
    query: Annotated[list[str], typer.Argument(metavar="QUERY…", help="What to look for: a sentence or a few words, any text, with or without quotes.")],
    camera: Annotated[str | None, typer.Option("--camera", help="Only of this camera.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="From then on: 90s, 15m, 2h, 3d, 1w ago, or 2026-11-23T08:30.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before then, written alike.")] = None,
    class_name: Annotated[str | None, typer.Option("--class", help="Only while something of this class was followed: person, car.")] = None,
    alert: Annotated[str | None, typer.Option("--alert", help="Only during alerts of this rule; * for any.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_HITS, help="At most so many, the best first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Find moments in all videos by what their summaries say, by words and by meaning."""
    from video_platform.cli import opening, output
    from video_platform.search import Filters, Search

    filters = Filters(
        camera=camera,
        since=opening.moment_or_ago(since) if since else None,
        until=opening.moment_or_ago(until) if until else None,
        class_name=class_name,
        alert=alert,
    )
    with opening.catalog() as (platform, catalog):
        found = Search(platform.settings, platform.db, catalog).find(" ".join(query), filters, limit=limit)
        if as_json:
            output.print_json(_as_json(found))
        else:
            _show(found, [f"{catalog.addresses().web}{_page(hit)}" for hit in found.hits])


def _page(hit: "Hit") -> str:
    from video_platform.layout import page_video

    return page_video(hit.video.video_id, hit.passage.start_s)


def _as_json(found: "Found") -> dict[str, Any]:
    return {
        "mode": found.mode,
        "note": found.note,
        "indexed": found.indexed,
        "videos": found.videos,
        "items": [
            {
                "video_id": hit.video.video_id,
                "name": hit.video.original_name,
                "camera": hit.video.camera,
                "kind": hit.passage.kind,
                "id": hit.passage.passage_id,
                "text": hit.passage.text,
                "state": hit.passage.state,
                "start_s": hit.passage.start_s,
                "end_s": hit.passage.end_s,
                "start_time": hit.moment,
                "classes": hit.passage.classes,
                "words": hit.words,
                "likeness": hit.likeness,
                "why": hit.why,
                "thumbnail": hit.thumbnail,
                "page": _page(hit),
            }
            for hit in found.hits
        ],
    }


def _show(found: "Found", addresses: list[str]) -> None:
    from video_platform.cli import output

    if found.note:
        output.note(f"by words alone: {found.note}")
    if found.indexed < found.videos:
        output.note(f"{found.indexed:,} of {output.count(found.videos, 'video', 'videos')} can be found; `vp show VIDEO` says why one cannot")
    if not found.hits:
        output.say("Nothing found.")
        return
    rows = [
        (
            output.instant(hit.moment) or "unknown",
            output.safe(hit.video.camera, 30),
            f"{output.clock(hit.passage.start_s)}–{output.clock(hit.passage.end_s)}",
            output.safe(hit.passage.text, SHOWN_TEXT) + ("" if hit.passage.state == "supported" else f" [{output.safe(hit.passage.state, 30)}]"),
            output.safe(hit.why, 80),
            address,
        )
        for hit, address in zip(found.hits, addresses, strict=True)
    ]
    output.table(("when", "camera", "in the video", "what", "why", "watch"), rows)
