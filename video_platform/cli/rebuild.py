"""`vp rebuild-index`: a lost database from the objects."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.rebuilding import Rebuilt

NOT_BACK = "Not back, because no object holds it: marks on alerts, deliveries of notifications, refused footage, and who is signed in."

SHOWN = 10
"""Copies that cannot be read are named up to this many."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild-index")(rebuild_index)


def rebuild_index(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Bring a lost database back from the objects: videos, alerts with their ids, tombstones, rules.

    Adds only what is missing, so it is safe on any database and may be run again. Notifies nobody and starts nothing; marks and deliveries are not back.
    """
    from rich.progress import Progress

    from video_platform import rebuilding
    from video_platform.cli import opening, output

    with opening.platform() as platform, Progress(console=output.console(error=True), transient=True) as progress:
        task = progress.add_task("videos", total=None)
        found = rebuilding.rebuild(
            platform.db, platform.store, dry_run=dry_run, on_video=lambda done, total: progress.update(task, completed=done, total=total)
        )
    if as_json:
        output.print_json({**vars(found), "dry_run": dry_run, "not_back": NOT_BACK})
    else:
        _say(found, dry_run=dry_run)
    if found.unreadable:
        raise typer.Exit(1)


def _say(found: "Rebuilt", *, dry_run: bool) -> None:
    from video_platform.cli import output

    would = "would come back" if dry_run else "came back"
    output.say(
        f"{output.count(len(found.videos), 'video', 'videos')} with {output.count(found.alerts, 'alert', 'alerts')} {would}; {found.known:,} were there."
    )
    if found.indexed:
        output.say(f"Search {'would find' if dry_run else 'finds'} {output.count(len(found.indexed), 'video', 'videos')} again.")
    if found.tombstones:
        output.say(f"{output.count(len(found.tombstones), 'deletion', 'deletions')} {would}: those videos stay deleted.")
    if found.rules:
        versions = f"{output.count(len(found.rules), 'version lies', 'versions lie')} among the objects"
        output.say(f"Rules: {versions}{'' if dry_run else '; the newest is in force'}.")
    if found.rules_differ:
        numbers = ", ".join(str(number) for number in found.rules_differ)
        output.say(f"Rules: the database has other rules under the numbers {numbers}, which stay; `vp rules list` shows which are in force.")
    if found.from_manifests:
        output.say(
            f"{len(found.from_manifests)} of the videos had no copy of their rows: their names and superseded alerts are lost, `vp set` corrects cameras."
        )
    if found.bare:
        output.say(f"{output.count(len(found.bare), 'file', 'files')} of footage of which nothing else is known: `vp up` takes them up and processes them.")
    for reason in list(found.unreadable.values())[:SHOWN]:
        output.note(f"error: {reason}")
    if len(found.unreadable) > SHOWN:
        output.note(f"error: {len(found.unreadable) - SHOWN} more copies cannot be read (`--json` lists them)")
    if found.videos or found.tombstones:
        output.say(NOT_BACK)
