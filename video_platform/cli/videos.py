"""`vp videos`, `show`, `set`, `delete`, `retry`: the videos that are here."""

import getpass
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.catalog import Catalog
    from video_platform.catalog_views import VideoCard, VideoDetail
    from video_platform.deeds import Deeds
    from video_platform.platform import Platform
    from video_platform.records import Summary

MOST_VIDEOS = 100_000
"""A list of more is a question for the API, page by page."""

MOST_ALERTS_SHOWN = 500

LONGEST_TEXT = 200
"""As on the page and in the API: each word is a condition of the query."""

MOST_MOMENTS_SHOWN = 4
"""Of the evidence of a sentence; the page has all of it."""

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Video = Annotated[str, typer.Argument(metavar="VIDEO", help="Id of the video.")]
Videos = Annotated[list[str], typer.Argument(metavar="VIDEO…", help="Ids of videos.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("videos")(videos)
    app.command("show")(show)
    app.command("set")(correct)
    app.command("delete")(delete)
    app.command("retry")(retry)


def videos(
    state: Annotated[str | None, typer.Option("--state", help="received, processing, ready, failed or deleted.")] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="Only of this camera.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Only with this in the name or id.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_VIDEOS, help="At most so many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List videos, newest first."""
    from video_platform.cli import opening, output
    from video_platform.records import VideoState

    if state is not None and state not in list(VideoState):
        raise typer.BadParameter(f"a state is {', '.join(VideoState)}; got {output.safe(state)!r}")
    if text is not None and len(text) > LONGEST_TEXT:
        raise typer.BadParameter(f"a name or id is looked for by at most {LONGEST_TEXT} characters; `vp search` takes whole sentences")
    with opening.catalog() as (_, catalog):

        def page(page_limit: int, offset: int) -> "tuple[list[VideoCard], int]":
            found = catalog.videos(state=VideoState(state) if state else None, camera=camera, text=text, limit=page_limit, offset=offset)
            return found.items, found.total

        found, total = opening.in_pages(page, limit)
    if as_json:
        output.print_json([{**card.record.model_dump(mode="json"), "title": card.title, "alerts": card.alerts} for card in found])
        return
    if not found:
        output.say("No videos. `vp process FILE` looks at one here; `vp ingest FILE` hands it to a running `vp up`.")
        return
    output.table(("video", "name", "camera", "state", "length", "alerts", "recorded"), [_row(card) for card in found])
    if total > len(found):
        output.note(f"{total - len(found)} older ones are not shown; --limit shows more")


def _row(card: "VideoCard") -> tuple[object, ...]:
    from video_platform.cli import output

    record = card.record
    more = record.step if record.state == "processing" else record.failure_code or (record.summary_failure_code and "no summary")
    state = f"{record.state}: {more}" if more else record.state
    name = output.safe(record.original_name, output.SHOWN_NAME)
    counted = ", ".join(f"{count} {severity}" for severity, count in card.alerts.items())
    return record.video_id, name, output.safe(record.camera, 30), state, output.clock(record.duration_s), counted, output.instant(record.recorded_at)


def show(video: Video, as_json: AsJson = False) -> None:
    """Show one video: where it stands, what was made of it and from what, alerts, summary, and what came close to an alert."""
    from video_platform.catalog_views import LACKS
    from video_platform.cli import alerts, opening, output
    from video_platform.layout import page_video
    from video_platform.search import Search

    with opening.catalog() as (platform, catalog):
        detail = catalog.video(video)
        findable = Search(platform.settings, platform.db, catalog).standing(detail.record)
        summary, captions, heard = catalog.summary(video), catalog.captions(video), catalog.transcript(video)
        found = catalog.alerts(video_id=video, limit=MOST_ALERTS_SHOWN).items
        pages = catalog.addresses()
    if as_json:
        output.print_json(
            {
                **detail.record.model_dump(mode="json"),
                "in_place": None if detail.record.reference_path is None else detail.away.facts["code"] if detail.away else "there",
                "notes": detail.notes,
                "assets": detail.assets,
                "alerts": found,
                "summary": summary,
                "captions": captions,
                "speech": None if heard is None else {**heard.model_dump(mode="json", exclude={"segments"}), "segments": len(heard.segments)},
                "near_misses": detail.near_misses,
                "search": findable,
                "cannot_evaluate": [{"rule": rule, "reason": reason} for rule, reason in detail.cannot_evaluate],
            }
        )
        return
    _show_record(detail)
    _show_summary(detail, summary)
    alerts.show(found, of_one=True)
    for miss in detail.near_misses:
        output.say(f"rule {miss.rule} did not fire: {miss.text}" + (f" (at {output.clock(miss.at_s)})" if miss.at_s is not None else ""))
    for rule, reason in detail.cannot_evaluate:
        output.say(f"rule {rule} cannot be evaluated: {reason}")
    if heard is not None:
        lines = f", {output.count(len(heard.segments), 'line', 'lines')}" if heard.segments else ""
        output.say(f"speech: {LACKS.get(heard.state, heard.state)}{lines}{f': {output.safe(heard.reason)}' if heard.reason else ''}")
    if captions is not None:
        described = sum(bool(each.text) for each in captions.captions)
        output.say(f"captions: {output.count(described, 'frame', 'frames')} described{f': {output.safe(captions.reason)}' if captions.reason else ''}")
    how = f", {output.count(findable.passages, 'passage', 'passages')}{' by words and meaning' if findable.by_meaning else ' by words'}"
    output.say(f"search: {findable.stands}{how if findable.passages else ''}{f': {findable.reason}' if findable.reason else ''}")
    _show_assets(detail)
    output.say(f"page (while `vp up` runs): {pages.web}{page_video(video)}")


def _show_record(detail: "VideoDetail") -> None:
    from video_platform.catalog_views import first_notes
    from video_platform.cli import output

    record = detail.record
    output.say(f"{record.video_id}  {output.safe(record.original_name, output.SHOWN_NAME)}")
    picture = f", {record.width}x{record.height}" if record.width else ""
    length = output.clock(record.duration_s) or "?"
    recorded = output.instant(record.recorded_at) or "at an unknown time"
    output.say(f"camera {record.camera}, recorded {recorded}, {length} long{picture}, {output.size(record.size_bytes)}")
    step = f" ({record.step}, {record.progress or 0:.0%})" if record.state == "processing" and record.step else ""
    output.say(f"state: {record.state}{step}")
    if record.reference_path is not None:
        away = detail.away
        output.say(f"in place: {output.safe(record.reference_path)}" + (f"\n{away.facts['code']}: {output.safe(away.message)}" if away else ""))
    if record.failure_message:
        output.say(f"failed: {record.failure_message}")
    for note in first_notes(detail.notes):
        output.say(f"note: {note}")


def _show_assets(detail: "VideoDetail") -> None:
    from video_platform.cli import output

    rows = []
    for asset in detail.assets:
        manifest = asset.manifest
        if manifest is None:
            rows.append((asset.name, "not made", "", "", ""))
            continue
        verdict = "valid" if manifest.verdict.passed else "invalid"
        state = f"{verdict}, degraded: {manifest.degraded}" if manifest.degraded else verdict
        rows.append(
            (asset.name, state, output.size(sum(file.size_bytes for file in manifest.files)), output.instant(manifest.created_at), manifest.fingerprint[:12])
        )
    output.table(("asset", "state", "size", "made", "made from"), rows)


def _show_summary(detail: "VideoDetail", summary: "Summary | None") -> None:
    from video_platform.cli import output

    if failure := detail.record.summary_failure_message:
        output.say(f"summary failed: {failure}")
        before = "; the one below is from before" if summary else ""
        output.say(f"  everything else stands{before}. `vp retry {detail.record.video_id}` asks for the summary alone")
    if summary is None:
        return
    engine = summary.engine
    output.say(f"summary: {summary.title} [{engine.name}{f': {engine.model}' if engine.model else ''}{f', {engine.reason}' if engine.reason else ''}]")
    for sentence in summary.sentences:
        if sentence.state == "supported":
            at = ", ".join(dict.fromkeys(output.clock(each.start_s) for each in sentence.evidence[:MOST_MOMENTS_SHOWN]))
            output.say(f"  {sentence.text}" + (f"  ({at})" if at else ""))


def correct(
    video: Video,
    camera: Annotated[str | None, typer.Option("--camera", help="The camera that recorded it.")] = None,
    recorded_at: Annotated[str | None, typer.Option("--recorded-at", help="When its first frame was recorded: 2026-11-23T08:30.")] = None,
) -> None:
    """Correct the camera or the recording time; only what depends on them is made again."""
    from video_platform.cli import opening, output

    if camera is None and recorded_at is None:
        raise typer.BadParameter("say what to correct: --camera or --recorded-at")
    with opening.catalog() as (platform, catalog):
        changed = deeds(platform, catalog).correct(
            video,
            camera=camera,
            recorded_at=opening.moment(recorded_at) if recorded_at is not None else None,
        )
    output.say(f"{video}: corrected; alerts and clips are evaluated again" if changed else f"{video}: it already says so, nothing changes")


def delete(
    video: Videos,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete videos with everything made of them; what remains is a line that they were here."""
    from video_platform.cli import opening

    with opening.catalog() as (platform, catalog):
        if not yes:
            _ask_to_delete([catalog.record(each).original_name for each in video])

        def delete_one(video_id: str) -> str:
            deleted, cancelled = deeds(platform, catalog).delete(video_id)
            runs = f", {len(cancelled)} running cancelled" if cancelled else ""
            return f"{video_id}: deleted ({deleted.objects} objects, {deleted.alerts} alerts{runs})"

        for_each(video, delete_one)


def _ask_to_delete(names: Sequence[str]) -> None:
    from video_platform.cli import output

    if not sys.stdin.isatty():
        raise typer.BadParameter("deleting needs --yes where nobody can be asked")
    for name in names:
        output.say(f"  {output.safe(name, output.SHOWN_NAME)}")
    typer.confirm(f"Delete {'it' if len(names) == 1 else f'these {len(names)} videos'} with everything made of them?", abort=True)


def retry(
    video: Annotated[list[str] | None, typer.Argument(metavar="VIDEO…", help="Ids of videos.", show_default=False)] = None,
    older_rules: Annotated[bool, typer.Option("--older-rules", help="Videos with alerts of older rules; they go last, nobody is notified.")] = False,
    asset: Annotated[str | None, typer.Option("--asset", help="Make this result again, although nothing changed.")] = None,
) -> None:
    """Process failed videos again; of a ready one whose summary failed, only the summary. What is up to date is reused, but for --asset."""
    from video_platform.cli import opening, output

    if older_rules == bool(video) or (older_rules and asset):
        raise typer.BadParameter("say which: ids of videos, or --older-rules")
    with opening.catalog() as (platform, catalog):

        def retry_one(video_id: str) -> str:
            if asset is not None:
                planned = deeds(platform, catalog).again(video_id, asset)
                return f"{video_id}: asked for again: {', '.join(planned.assets)} at most, about {planned.seconds:.0f} s"
            deeds(platform, catalog).retry(video_id)
            return f"{video_id}: asked for again"

        if older_rules:
            output.say(
                f"{output.count(len(deeds(platform, catalog).evaluate_again()), 'video', 'videos')} asked for again; only alerts and clips are made anew"
            )
        else:
            for_each(video or [], retry_one)
        if opening.nobody_processes(platform.settings):
            output.note("nothing processes on this home now; start `vp up`")


def for_each(video_ids: Sequence[str], act: Callable[[str], str]) -> None:
    """Do `act` for each video, printing its line; go on after a failure, and exit with 1 at the end if there was one."""
    from video_platform.cli import output
    from video_platform.errors import PlatformError

    failures = 0
    for video_id in dict.fromkeys(video_ids):
        try:
            output.say(act(video_id))
        except PlatformError as error:
            failures += 1
            output.print_error(error)
    if failures:
        raise typer.Exit(1)


def deeds(platform: "Platform", catalog: "Catalog") -> "Deeds":
    """Changes, as whoever is at the terminal: who may write the home's files may do everything."""
    from video_platform.access import Person, Role
    from video_platform.deeds import Deeds

    return Deeds(platform, catalog, Person(who(), Role.ADMIN))


def who() -> str:
    """Who is at the terminal, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
