"""`vp rules what-if`, `promote`, `diff`, `rollback`: rules over the past."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from video_platform.cli.rules import AsJson, On, RulesFile, app

if TYPE_CHECKING:
    from video_platform.history import Reconciled, WhatIf
    from video_platform.platform import Platform
    from video_platform.services.database.rulesets import RuleVersion

KINDS = ("added", "removed", "unchanged")
SHOWN = 20
"""Alerts of each kind that a person reads in a terminal; `--json` has all."""

Why = Annotated[str, typer.Option("--why", help="A word on the reason, kept with the version.")]
NotifyPast = Annotated[bool, typer.Option("--notify-past", help="Also notify the channels of what the rules find in footage that was there before.")]


@app.command("what-if")
def what_if(
    file: RulesFile,
    since: Annotated[str | None, typer.Option("--since", help="Only videos since then: 2h, 3d, 1w, or 2026-11-23T08:30.")] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="Only this camera, or those of a pattern such as gate-*.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which alerts a rules file would add, remove and leave in everything that is stored. Nothing is written, nobody is notified."""
    from video_platform.cli import drafts, opening, output
    from video_platform.cli.videos import deeds
    from video_platform.supervisor.prepare import read_rules

    after = opening.moment_or_ago(since) if since else None
    with opening.catalog() as (platform, catalog):
        text = read_rules(platform.settings, file)[0]
        found = deeds(platform, catalog).try_rules(text, since=after, camera=camera)
        drafts.note(platform.settings.home, file, found.base or 0)
        try:
            if as_json:
                output.print_json({**_summary(found), **{what: list(found.alerts(platform, what)) for what in KINDS}})
            else:
                _show(platform, found)
        finally:
            found.forget()


@app.command("promote")
def promote(file: RulesFile, why: Why = "", on: On = None, notify_past: NotifyPast = False, as_json: AsJson = False) -> None:
    """Make a rules file the active rule set and bring the alerts of all stored videos to it. Interrupted, the same command goes on.

    Once somebody else's rules have become active since the file was last tried or compared (`what-if`, `diff`), it is refused; of a file that never was
    it is said what it takes the place of.
    """
    from video_platform.cli import drafts, opening
    from video_platform.cli.videos import deeds
    from video_platform.supervisor.prepare import read_rules

    with opening.catalog() as (platform, catalog):
        home = platform.settings.home
        text = read_rules(platform.settings, file)[0]
        base = on or drafts.version_of(home, file)
        if base is None:
            base = _untried(platform, file, text)
        version, done = deeds(platform, catalog).promote_rules(text, source=str(file), why=why, notify_past=notify_past, base=base)
        drafts.note(home, file, version.id)
    _say_done(version, done, as_json)


def _untried(platform: "Platform", file: Path, text: str) -> int | None:
    """The version that a file takes the place of which nobody tried here, said with what it changes; what becomes active from now on is not overlooked."""
    from video_platform.cli import output
    from video_platform.services.database import rulesets

    active = rulesets.active(platform.db)
    if active is None or active.text == text:
        return None
    because = f" ({output.safe(active.why, 80)})" if active.why else ""
    changes = _changes(active.text, text)
    told = "; ".join(f"{what} {how}" for what, how in list((changes or {}).items())[:SHOWN]) or "no change to a rule, zone or line"
    said = told if changes is not None else "what it changes cannot be told"
    output.note(
        f"{file} was never tried or compared here (`vp rules what-if`, `vp rules diff`): it takes the place of version {active.id} by {active.who}{because}"
    )
    output.note(f"  with {said}; `vp rules rollback {active.id}` brings that back")
    return active.id


@app.command("rollback")
def rollback(
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="Number of the version (`vp rules list --versions`).")],
    why: Why = "",
    notify_past: NotifyPast = False,
    as_json: AsJson = False,
) -> None:
    """Make what an earlier version said the active rule set, as a new version, and bring the alerts of all stored videos to it."""
    from video_platform.cli import opening
    from video_platform.cli.videos import deeds

    with opening.catalog() as (platform, catalog):
        made, done = deeds(platform, catalog).roll_back_rules(version, why=why, notify_past=notify_past)
    _say_done(made, done, as_json)


@app.command("diff")
def diff(
    before: Annotated[str, typer.Argument(metavar="VERSION|FILE", help="Number of a version, or a rules file.")],
    after: Annotated[str | None, typer.Argument(metavar="VERSION|FILE", help="The other one; default: the active version.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two versions of the rules, or a rules file with one."""
    from video_platform.cli import opening, output

    with opening.platform() as platform:
        one, other = _text(platform, before), _text(platform, after)
        _note_compared(platform, before, after)
    changes = _changes(one[1], other[1])
    lines = list(difflib.unified_diff(one[1].splitlines(), other[1].splitlines(), one[0], other[0], lineterm="", n=3))
    if as_json:
        output.print_json({"before": one[0], "after": other[0], "changes": changes, "diff": "\n".join(lines)})
        return
    for what, how in (changes or {}).items():
        output.say(f"{what}: {how}")
    if not lines:
        output.say("They are the same.")
    for line in lines:
        output.say(line)


def _text(platform: "Platform", given: str | None) -> tuple[str, str]:
    """Name and text of a version or file."""
    from video_platform.services.database import rulesets
    from video_platform.supervisor.prepare import read_rules

    if given is None:
        active = rulesets.versions(platform.db, limit=1)
        return (f"version {active[0].id}", active[0].text) if active else ("no rules", "")
    if given.isdecimal() and not Path(given).exists():
        return f"version {int(given)}", rulesets.get(platform.db, int(given)).text
    return given, read_rules(platform.settings, Path(given))[0]


def _note_compared(platform: "Platform", before: str, after: str | None) -> None:
    """Who has compared a file with the active version knows that version."""
    from video_platform.cli import drafts
    from video_platform.services.database import rulesets

    active = rulesets.active(platform.db)
    number = 0 if active is None else active.id
    for file, other in ((before, after), (after, before)):
        is_file = file is not None and not (file.isdecimal() and not Path(file).exists())
        if is_file and (other is None or other == str(number)):
            drafts.note(platform.settings.home, Path(str(file)), number)


def _changes(before: str, after: str) -> dict[str, str] | None:
    """What differs, None where one of them cannot be read."""
    from video_platform import rules
    from video_platform.errors import RulesError

    try:
        return rules.parse(before).changes(rules.parse(after))
    except RulesError:
        return None


def _summary(found: "WhatIf") -> dict[str, object]:
    return {
        "base_version": found.base,
        "videos": found.videos,
        "hours": found.hours,
        "took_s": found.took_s,
        "rules": found.counts,
        "cannot_evaluate": [{"rule": rule, "reason": reason, "videos": number} for rule, reason, number in found.cannot_evaluate],
        "left_out": [{"video_id": video_id, "reason": reason} for video_id, reason in found.left_out],
    }


def _show(platform: "Platform", found: "WhatIf") -> None:
    from video_platform.cli import alerts, output

    counts = ", ".join(f"{found.total(what):,} {what}" for what in KINDS)
    output.say(f"{output.count(found.videos, 'video', 'videos')}, {output.hours(found.hours)} of footage, judged in {found.took_s:.1f} s: {counts}.")
    if found.counts:
        output.table(("rule", "camera", *KINDS), [(each.rule, each.camera, each.added, each.removed, each.unchanged) for each in found.counts])
    for rule, reason, number in found.cannot_evaluate:
        output.say(f"rule {rule} cannot be evaluated in {output.count(number, 'video', 'videos')}: {reason}")
    for video_id, reason in found.left_out[:SHOWN]:
        output.note(f"video {video_id} is left out: {reason}")
    if len(found.left_out) > SHOWN:
        output.note(f"{len(found.left_out) - SHOWN} more videos are left out; --json lists them")
    for what in KINDS[:2]:
        if total := found.total(what):
            output.say(f"\n{what.capitalize()}" + (f", the first {SHOWN} of {total:,} (--json has all)" if total > SHOWN else "") + ":")
            alerts.show(list(found.alerts(platform, what, limit=SHOWN)))
    output.say("\nNothing was changed. `vp rules promote FILE` makes it so.")


def _say_done(version: "RuleVersion", done: "Reconciled", as_json: bool) -> None:
    from dataclasses import asdict

    from video_platform.cli import output

    if as_json:
        left_out = [{"video_id": video_id, "reason": reason} for video_id, reason in done.left_out]
        waiting = [{"rule": rule, "reason": reason, "videos": number} for rule, reason, number in done.waiting]
        output.print_json({"version": version.id, **asdict(done), "left_out": left_out, "waiting": waiting})
    else:
        output.say(f"version {version.id} is active")
        numbers = ", ".join(f"{getattr(done, what):,} {what}" for what in ("raised", "superseded", "revived", "kept"))
        output.say(f"{output.count(done.videos, 'video', 'videos')} judged again: {numbers}; {output.count(done.notified, 'notification', 'notifications')}")
        if done.videos:
            output.say("pictures and clips follow behind live footage (`vp backfill status`)")
    for rule, reason, number in done.waiting:
        output.say(f"rule {rule} in {output.count(number, 'video', 'videos')}: {reason}")
    for video_id, reason in done.left_out[:SHOWN]:
        output.note(f"video {video_id} keeps its alerts for now: {reason}")
