"""`vp rules`: check, look at, apply and draw rules."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.services.database.rulesets import RuleVersion

app = typer.Typer(help="Rules: what raises an alert.")

SHOWN_CHANGES = 20
"""Changes that a person reads in a terminal; `vp rules diff` has all."""

LOOKED_BACK = 10
"""Versions among which the one is looked for that was replaced: more than become active while one command runs."""

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
RulesFile = Annotated[Path, typer.Argument(metavar="FILE", help="A rules file (docs/rules.md).")]
On = Annotated[
    int | None,
    typer.Option(
        "--on", min=1, metavar="VERSION", help="The version that the file was made from; default: the one that it was last tried on or compared with."
    ),
]


@app.command("check")
def check(file: RulesFile, as_json: AsJson = False) -> None:
    """Say every mistake of a rules file with its line, and what would change if it were applied."""
    from video_platform import evaluable, settings
    from video_platform.cli import opening, output
    from video_platform.errors import RulesError
    from video_platform.services.database import rulesets
    from video_platform.supervisor.prepare import read_rules

    try:
        rule_set = read_rules(settings.load(), file)[1]
    except RulesError as error:
        if as_json:
            output.print_json({"valid": False, "problems": list(error.facts["problems"])})  # type: ignore[call-overload]
        else:
            for problem in error.facts["problems"]:  # type: ignore[attr-defined]
                output.note(f"{file}: {problem}")
        raise typer.Exit(1) from None
    with opening.platform() as platform:
        active = rulesets.active(platform.db)
    changes: dict[str, str] = {}
    unreadable = ""
    try:
        changes = dict(active.rule_set.changes(rule_set)) if active else {}
    except RulesError as error:
        unreadable = error.message
    lacking = evaluable.why_not(platform.settings, rule_set)
    unlooked = evaluable.why_unverified(platform.settings, rule_set)
    if as_json:
        more = {"unverified": unlooked} if unlooked else {}
        output.print_json({"valid": True, "rules": [rule.name for rule in rule_set.rules], "changes": changes, "cannot_evaluate": lacking, **more})
        return
    counted = (
        output.count(len(rule_set.rules), "rule", "rules"),
        output.count(len(rule_set.zones), "zone", "zones"),
        output.count(len(rule_set.lines), "line", "lines"),
    )
    output.say(f"{file}: valid, {', '.join(counted)}")
    for name, reason in lacking.items():
        output.say(f"  rule {name} cannot be evaluated: {reason}")
    if unlooked:
        output.say(f"  {unlooked}")
    for what, how in changes.items():
        output.say(f"  {what}: {how}, compared with what is active")
    if unreadable:
        output.note(f"  what is active cannot be compared: {unreadable}")
    elif not changes:
        output.say("  says the same as what is active")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of rules files, for editors that complete and check while one writes."""
    from video_platform import rules_json_schema
    from video_platform.cli import output

    output.say(rules_json_schema.text().rstrip())


@app.command("list")
def listing(
    all_versions: Annotated[bool, typer.Option("--versions", help="The versions instead, newest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the active rules, or the versions of the rule set; when this version of the program cannot read the rules, the versions too."""
    from video_platform import evaluable
    from video_platform.cli import opening, output
    from video_platform.errors import RulesError
    from video_platform.services.database import rulesets

    with opening.platform() as platform:
        versions = rulesets.versions(platform.db)
    if not versions:
        output.print_json([]) if as_json else output.say("No rules are active.")
        return
    active = versions[0]
    told = [{"version": each.id, "source": each.source, "applied_at": each.applied_at, "who": each.who, "why": each.why} for each in versions]
    if all_versions:
        output.print_json(told) if as_json else _table_of(versions)
        return
    try:
        rule_set = active.rule_set
    except RulesError as error:
        if as_json:
            output.print_json({**told[0], "rules": None, "problem": error.message, "versions": told})
        else:
            _table_of(versions)
            output.print_error(error)
        raise typer.Exit(1) from None
    lacking = evaluable.why_not(platform.settings, rule_set)
    rows = [
        {
            "name": rule.name,
            "kind": rule.kind,
            "severity": rule.severity,
            "channels": rule.channels,
            "cameras": rule.cameras,
            "cannot_evaluate": lacking.get(rule.name),
        }
        for rule in rule_set.rules
    ]
    if as_json:
        output.print_json({"version": active.id, "source": active.source, "applied_at": active.applied_at, "who": active.who, "rules": rows})
        return
    output.say(f"version {active.id} from {active.source}, applied {output.instant(active.applied_at)} by {active.who}")
    columns = ("rule", "kind", "severity", "channels", "cameras", "cannot be evaluated")
    output.table(columns, [[", ".join(cell) if isinstance(cell, tuple) else cell for cell in row.values()] for row in rows])


def _table_of(versions: "Sequence[RuleVersion]") -> None:
    from video_platform.cli import output

    rows = [(str(each.id), each.source, output.instant(each.applied_at), each.who, each.why) for each in versions]
    output.table(("version", "source", "applied", "by", "why"), rows)


@app.command("apply")
def apply(
    file: RulesFile,
    why: Annotated[str, typer.Option("--why", help="A word on the reason, kept with the version.")] = "",
    on: On = None,
) -> None:
    """Make a rules file the active rule set. It judges videos that come from now on; `vp rules promote` is for the past too."""
    from video_platform.cli import drafts, opening, output
    from video_platform.cli.videos import deeds
    from video_platform.services.database import rulesets
    from video_platform.supervisor.prepare import read_rules

    with opening.catalog() as (platform, catalog):
        text = read_rules(platform.settings, file)[0]
        before = rulesets.active(platform.db)
        home = platform.settings.home
        now = deeds(platform, catalog).apply_rules(text, source=str(file), why=why, base=on or drafts.version_of(home, file))
        drafts.note(home, file, now.id)
        older = len(rulesets.outdated_in_any(platform.db))
        replaced = next((each for each in rulesets.versions(platform.db, limit=LOOKED_BACK) if each.id < now.id), None)
    if before and before.id == now.id:
        output.say(f"version {now.id} was already active")
    else:
        output.say(f"version {now.id} is active" + (f"; {_takes_the_place_of(replaced, now)}" if replaced else ""))
    if older:
        output.say(f"{output.count(older, 'video has', 'videos have')} alerts of older rules; `vp retry --older-rules` makes only their alerts again")


def _takes_the_place_of(before: "RuleVersion", now: "RuleVersion") -> str:
    """What an applied version replaces: how many rules there were and are, and which of them, of the zones and of the lines changed."""
    from video_platform.cli import output
    from video_platform.errors import RulesError

    named = f"it takes the place of version {before.id}"
    try:
        earlier, later = before.rule_set, now.rule_set
    except RulesError:
        return f"{named}, which this version of the program cannot read"
    changes = [f"{output.safe(what, output.SHOWN_NAME)} {how}" for what, how in earlier.changes(later).items()]
    more = [f"{len(changes) - SHOWN_CHANGES} more"] if len(changes) > SHOWN_CHANGES else []
    told = ", ".join([*changes[:SHOWN_CHANGES], *more]) or "no change to a rule, zone or line"
    return f"{named}: {output.count(len(earlier.rules), 'rule', 'rules')} before, {len(later.rules)} now ({told})"


@app.command("preview")
def preview(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="Id of the video.")],
    target: Annotated[Path, typer.Option("--output", "-o", help="The JPEG file to write.")],
    file: Annotated[Path | None, typer.Option("--rules", help="A rules file; default: the active rules.")] = None,
    at_s: Annotated[float | None, typer.Option("--at", min=0, help="Second of the video; default: its middle.")] = None,
) -> None:
    """Draw zones and lines on a frame of a video."""
    from video_platform import preview as drawing
    from video_platform import rules
    from video_platform.cli import opening, output
    from video_platform.services.database import rulesets
    from video_platform.supervisor.prepare import read_rules

    with opening.catalog() as (platform, catalog):
        record = catalog.record(video)
        if file is not None:
            rule_set = read_rules(platform.settings, file)[1]
        else:
            active = rulesets.active(platform.db)
            rule_set = active.rule_set if active else rules.parse(rules.DEFAULT_TEXT)
        shown = rule_set.for_camera(record.camera)
        moment = at_s if at_s is not None else (record.duration_s or 0.0) / 2
        drawing.draw(platform.settings, platform.store, record, shown, at_s=moment, target=target)
    drawn = f"{output.count(len(shown.zones), 'zone', 'zones')} and {output.count(len(shown.lines), 'line', 'lines')}"
    output.say(f"{target}: {drawn} for camera {record.camera}, at {output.clock(moment)}")
