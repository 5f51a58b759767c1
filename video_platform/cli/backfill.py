"""`vp plan` and `vp backfill`: what would be made again over the past, and having it made."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.planning import CausePlan
    from video_platform.planning_causes import Cause
    from video_platform.services.database.backfills import Backfill, State

app = typer.Typer(help="Make again over the past what a change outdates.")

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")]
Budget = Annotated[str | None, typer.Option("--budget", help="Stop asking when runs have taken so long: 90s, 20m, 2h.")]

SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smh])")
UNITS = {"s": 1, "m": 60, "h": 3600}

SHOWN_FAILED = 20
MOST_VIDEOS = 1_000_000


def register(app_: typer.Typer) -> None:
    """Add the commands."""
    app_.command("plan")(plan)
    app_.command("describe")(describe)
    app_.add_typer(app, name="backfill")


def plan(
    cause: Annotated[list[str] | None, typer.Option("--cause", help="Only of this cause; may be repeated.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Say what results are outdated, why, and what making them again would take. Changes nothing."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import deeds
    from video_platform.planning_causes import CAUSE_WORDS, EVERY

    with opening.catalog() as (platform, catalog):
        found = deeds(platform, catalog).plan([_cause(each) for each in cause] if cause else EVERY)
        slots = platform.settings.runs.backfill_slots
    if as_json:
        output.print_json(
            {
                "causes": [_as_json(each) for each in found.causes],
                "videos": found.videos,
                "current": found.current,
                "seconds": round(found.seconds, 1),
                "run": {"seconds": round(found.run.seconds, 2), "measured": found.run.runs},
                "unknown": {str(each): reason for each, reason in found.unknown.items()},
            }
        )
        return
    if found.causes:
        rows = [(str(each.cause), CAUSE_WORDS[each.cause], len(each.videos), _assets(each), _span(each.seconds / slots)) for each in found.causes]
        output.table(("cause", "why", "videos", "at most these are made", "about"), rows)
        together = f"; all causes together about {_span(found.seconds / slots)}" if len(found.causes) > 1 else ""
        is_are = "is" if found.videos == 1 else "are"
        output.say(f"{found.current} of {output.count(found.videos, 'video', 'videos')} {is_are} current{together}")
        by = f"measured over the last {found.run.runs}" if found.run.runs else "an estimate: none was measured here yet"
        output.say(f"a run is counted with {found.run.seconds:.1f} s beside its steps, {by}")
        output.say("`vp backfill start --cause CAUSE` has the others made again")
    else:
        output.say(f"Nothing is outdated: {output.count(found.videos, 'video', 'videos')}.")
    for each, reason in found.unknown.items():
        output.note(f"{each}: cannot be told now: {reason}")


def describe(
    waiting: Annotated[bool, typer.Option("--waiting", help="The videos that no model described, or only in part, and that one could describe now.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=MOST_VIDEOS, help="At most so many videos, newest first.")] = None,
    budget: Budget = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are and about how long it takes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have summaries written that wait for a model: missing ones, stand-ins, and the template's from when there was no model."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import deeds
    from video_platform.errors import StateError
    from video_platform.planning_causes import Cause

    if not waiting:
        raise typer.BadParameter("say which videos: --waiting")
    budget_s = None if budget is None else _seconds(budget)
    with opening.catalog() as (platform, catalog):
        found = deeds(platform, catalog).plan([Cause.WAITING])
        if Cause.WAITING in found.unknown:
            raise StateError(f"no model could describe anything now: {found.unknown[Cause.WAITING]}; `vp doctor` says what there is and what to do")
        chosen = found.cause(Cause.WAITING).videos[:limit]
        seconds = sum(video.seconds for video in chosen) / platform.settings.runs.llm_slots
        started = deeds(platform, catalog).start_backfill(Cause.WAITING, limit=limit, budget_s=budget_s) if chosen and not dry_run else None
        nobody = opening.nobody_processes(platform.settings)
    if as_json:
        output.print_json({"videos": len(chosen), "seconds": round(seconds, 1), "backfill": None if started is None else _status(started)})
        return
    output.say(f"{output.count(len(chosen), 'video waits', 'videos wait')} for a model" + (f", about {_span(seconds)}" if chosen else ""))
    if started is not None:
        output.say(f"{started.id}: asked for, behind everything else; `vp backfill status {started.id}` says how far it is")
        if nobody:
            output.note("nothing processes on this home now; start `vp up`")


@app.command("start")
def start(
    cause: Annotated[str, typer.Option("--cause", help="Why results are outdated, as `vp plan` names it.")],
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=MOST_VIDEOS, help="At most so many videos, newest first.")] = None,
    budget: Budget = None,
    as_json: AsJson = False,
) -> None:
    """Have what a cause outdates made again, behind everything else; nobody is notified."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import deeds

    budget_s = None if budget is None else _seconds(budget)
    with opening.catalog() as (platform, catalog):
        started = deeds(platform, catalog).start_backfill(_cause(cause), limit=limit, budget_s=budget_s)
        nobody = opening.nobody_processes(platform.settings)
        slots = platform.settings.runs.backfill_slots
    if as_json:
        output.print_json(_status(started))
    else:
        output.say(f"{started.id}: {output.count(started.total, 'video', 'videos')}, about {_span(started.estimated_s / slots)}")
    if nobody:
        output.note("nothing processes on this home now; start `vp up`")


@app.command("status")
def status(
    backfill: Annotated[str | None, typer.Argument(metavar="ID", help="Its id, or the beginning of it.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Say how far backfills are; of one also which videos failed, and why."""
    from video_platform.cli import opening, output
    from video_platform.services.database import backfills
    from video_platform.services.database.backfills import ItemState

    with opening.platform() as platform:
        found = backfills.page(platform.db) if backfill is None else [backfills.get(platform.db, backfill)]
        failed = [] if backfill is None else backfills.listed(platform.db, found[0].id, states=[ItemState.FAILED])
        nobody = opening.nobody_processes(platform.settings) and any(each.state == "running" for each in found)
        slots = platform.settings.runs.backfill_slots
    if as_json:
        told = [_status(each) for each in found]
        output.print_json(told if backfill is None else {**told[0], "failures": [{"video_id": item.video_id, "message": item.message} for item in failed]})
        return
    if not found:
        output.say("No backfills. `vp plan` says whether anything is outdated.")
        return
    columns = ("backfill", "cause", "state", "videos", "done", "reused", "failed", "left", "took", "estimated", "rest about")
    output.table(columns, [_row(each, slots) for each in found])
    for each in found:
        if each.reason:
            output.say(f"{each.id[:8]} {each.state}: {each.reason}")
    for item in failed[:SHOWN_FAILED]:
        output.say(f"{item.video_id} failed: {item.message}")
    if len(failed) > SHOWN_FAILED:
        output.note(f"{len(failed) - SHOWN_FAILED} more failed; --json lists all")
    if nobody:
        output.note("nothing processes on this home now; start `vp up`")


@app.command("pause")
def pause(backfill: Id) -> None:
    """Ask for nothing more of a backfill and take what waits out of the queue; runs that have begun come to their end."""
    from video_platform.services.database.backfills import State

    _turn(backfill, State.PAUSED)


@app.command("resume")
def resume(backfill: Id, budget: Budget = None) -> None:
    """Go on with a backfill that was paused or has spent its budget."""
    from video_platform.services.database.backfills import State

    _turn(backfill, State.RUNNING, budget)


@app.command("cancel")
def cancel(backfill: Id) -> None:
    """End a backfill for good; what is made stays."""
    from video_platform.services.database.backfills import State

    _turn(backfill, State.CANCELLED)


def _turn(backfill: str, wanted: "State", budget: str | None = None) -> None:
    from video_platform.cli import opening, output
    from video_platform.cli.videos import deeds

    with opening.catalog() as (platform, catalog):
        after = deeds(platform, catalog).turn_backfill(backfill, wanted, budget_s=None if budget is None else _seconds(budget))
    output.say(f"{after.id}: {after.state}, {output.count(after.left, 'video', 'videos')} left")


def _cause(text: str) -> "Cause":
    from video_platform.cli import output
    from video_platform.planning_causes import Cause

    if text not in list(Cause):
        raise typer.BadParameter(f"a cause is one of {', '.join(Cause)}; got {output.safe(text)!r}")
    return Cause(text)


def _seconds(text: str) -> float:
    from video_platform.cli import output
    from video_platform.services.database.backfills import MAX_BUDGET_S

    span = SPAN.fullmatch(text.strip())
    seconds = float(span[1]) * UNITS[span[2]] if span else 0.0
    if not 0 < seconds <= MAX_BUDGET_S:
        raise typer.BadParameter(f"a budget is a time such as 90s, 20m or 2h, at most {MAX_BUDGET_S / 3600:.0f}h; got {output.safe(text)!r}")
    return seconds


def _span(seconds: float) -> str:
    """A length of time in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _assets(planned: "CausePlan") -> str:
    return ", ".join(f"{asset} {count}" for asset, count in planned.assets.items())


def _as_json(planned: "CausePlan") -> dict[str, object]:
    return {"cause": str(planned.cause), "assets": planned.assets, "videos": len(planned.videos), "seconds": round(planned.seconds, 1)}


def _status(backfill: "Backfill") -> dict[str, object]:
    named = {name: getattr(backfill, name) for name in ("id", "cause", "lane", "state", "reason", "who", "created_at", "budget_s")}
    sums = {name: round(getattr(backfill, name), 1) for name in ("estimated_s", "spent_s", "left_s")}
    return {**named, "videos": backfill.total, **{str(state): count for state, count in backfill.counts.items()}, "left": backfill.left, **sums}


def _row(backfill: "Backfill", slots: int) -> tuple[object, ...]:
    counts = backfill.counts
    coverage = (backfill.total, counts["done"], counts["reused"], counts["failed"], backfill.left)  # type: ignore[index]
    rest = _span(backfill.left_s / slots) if backfill.left else ""
    return (backfill.id[:8], backfill.cause, str(backfill.state), *coverage, _span(backfill.spent_s), _span(backfill.estimated_s), rest)
