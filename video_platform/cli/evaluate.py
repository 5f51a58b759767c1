"""`vp evaluate`: how good the results are, against an annotation or by what people said of alerts."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.catalog import Catalog
    from video_platform.measuring import Comparison, Difference, Measured
    from video_platform.services.database.marks import By, MarkedAlerts

SHOWN = 20
"""Differences of a kind that a person reads in a terminal; `--json` has all."""

CLASS = re.compile(r"(?:(\d{1,9})=)?([^=]*[^=\s][^=]*)")

FIGURES = {
    "precision": "precision",
    "recall": "recall",
    "mota": "MOTA",
    "idf1": "IDF1",
    "hota": "HOTA",
    "det_a": "  detection (DetA)",
    "ass_a": "  association (AssA)",
    "id_switches": "id switches",
    "false_boxes": "false boxes",
    "missed_boxes": "missed boxes",
    "tracks": "tracks",
}
"""Field of `Figures` -> what the table calls it."""

WORDS = {
    "no alert": "Should have been alerted and was not",
    "false alert": "Alerted, and not in the annotation",
    "not followed": "Annotated, and not followed",
    "nothing there": "Followed, and not in the annotation",
}
"""What a difference is called over the list of its kind."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    video: Annotated[str | None, typer.Argument(metavar="[VIDEO]", help="Id of the video.")] = None,
    truth: Annotated[Path | None, typer.Option("--truth", help="Its annotation, as MOTChallenge text.")] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="What is annotated: a class of the detector (default person), or N=CLASS for class number N. May be repeated."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--with", help="Measure this setting beside the stored results, such as detection.samples_per_s=10. May be repeated."),
    ] = None,
    only_annotated: Annotated[bool, typer.Option("--only-annotated", help="Compare only frames that the annotation names.")] = False,
    considered_only: Annotated[bool, typer.Option("--considered-only", help="Also leave out what a MOT15 file marks as not to be considered.")] = False,
    marks: Annotated[bool, typer.Option("--marks", help="Instead: the precision of each rule by what people said of its alerts.")] = False,
    by: Annotated[str, typer.Option("--by", help="With --marks: count by month, week or day; all is one number.")] = "all",
    rule: Annotated[str | None, typer.Option("--rule", help="With --marks: only this rule.")] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="With --marks: only this camera.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="With --marks: only what happened since then: 2h, 3d, 1w, or 2026-11-23T08:30.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Measure detection, tracking and alerts of a video against an annotation, or each rule by the marks on its alerts. Nothing is changed."""
    if marks:
        if video or truth or classes or settings or only_annotated or considered_only:
            raise typer.BadParameter("--marks speaks of all videos and knows no annotation; only --by, --rule, --camera, --since and --json go with it")
        _marks(by, rule, camera, since, as_json)
        return
    if video is None or truth is None:
        raise typer.BadParameter("name a video and its annotation: vp evaluate VIDEO --truth FILE; or ask for --marks")
    if rule or camera or since or by != "all":
        raise typer.BadParameter("--by, --rule, --camera and --since go with --marks")
    _against_truth(video, truth, _classes(classes or []), _settings(settings or []), only_annotated, considered_only, as_json)


def _against_truth(
    video: str, truth: Path, classes: Mapping[int, str], changes: Mapping[str, str], only_annotated: bool, considered_only: bool, as_json: bool
) -> None:
    from video_platform import measuring
    from video_platform.cli import opening, output

    with opening.catalog() as (platform, catalog):
        found = measuring.measure(
            platform,
            catalog,
            video,
            truth,
            classes=classes or measuring.DEFAULT_CLASSES,
            changes=changes,
            only_annotated=only_annotated,
            considered_only=considered_only,
        )
        if as_json:
            output.print_json(_comparison(catalog, found))
        else:
            _show(catalog, found)


def _classes(given: Sequence[str]) -> dict[int, str]:
    """`person` (class 1, and boxes without a class), `3=car`."""
    found: dict[int, str] = {}
    for text in given:
        match = CLASS.fullmatch(text.strip())
        if match is None:
            raise typer.BadParameter(f"--class names a class of the detector, or N=CLASS: --class person --class 3=car; got {text[:80]!r}")
        numbers = (int(match[1]),) if match[1] else (-1, 1)
        for number in numbers:
            if number in found:
                raise typer.BadParameter(f"--class says twice what class {max(number, 1)} is; give the others as N=CLASS")
            found[number] = match[2].strip()
    return found


def _settings(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise typer.BadParameter(f"--with takes NAME=VALUE, each name once, such as --with tracking.lost_s=2; got {text[:80]!r}")
        found[name.strip()] = value.strip()
    return found


def _comparison(catalog: "Catalog", found: "Comparison") -> dict[str, object]:
    return {
        "video_id": found.record.video_id,
        "name": found.record.original_name,
        "camera": found.record.camera,
        "frames": found.frames,
        "rules_version": found.rules_version,
        "left_out": {str(number): count for number, count in found.left_out.items()},
        "ignored": found.ignored,
        "not_measured": [{"rule": rule, "reason": reason} for rule, reason in found.not_measured],
        "notes": found.notes,
        "settings": [_measured(catalog, found, each) for each in found.settings],
    }


def _measured(catalog: "Catalog", found: "Comparison", one: "Measured") -> dict[str, object]:
    from dataclasses import asdict

    all_rules = {name: value for name, value in asdict(one.events).items() if name not in ("rule", "kind")}
    return {
        "name": one.name,
        "changes": one.changes,
        "classes": {name: asdict(figures) for name, figures in one.classes.items()},
        "events": all_rules,
        "rules": [asdict(score) for score in one.rules],
        "differences": [{**asdict(each), "page": _page(catalog, found, each)} for each in one.differences],
    }


def _page(catalog: "Catalog", found: "Comparison", each: "Difference") -> str:
    """The moment on the page of the video, while `vp up` runs."""
    from video_platform.layout import page_video

    return catalog.addresses().web + page_video(found.record.video_id, each.start_s)


def _show(catalog: "Catalog", found: "Comparison") -> None:
    from video_platform.cli import output

    record, names = found.record, [each.name for each in found.settings]
    output.say(f"{output.safe(record.original_name, output.SHOWN_NAME)} ({record.video_id}), {output.count(found.frames, 'frame', 'frames')} compared")
    for number, count in found.left_out.items():
        output.note(f"{output.count(count, 'box', 'boxes')} of class {'none' if number < 0 else number} left out; --class {max(number, 0)}=NAME takes them in")
    if found.ignored:
        output.note(f"{output.count(found.ignored, 'box is', 'boxes are')} marked as not to be considered: neither to be found nor wrong to be found")
    for note in found.notes:
        output.note(note)
    for name, figures in found.settings[0].classes.items():
        output.say(f"\n{name}: {output.count(figures.objects, 'object', 'objects')}, {output.count(figures.annotated_boxes, 'box', 'boxes')} annotated")
        rows = [(said, *(_figure(getattr(each.classes[name], field)) for each in found.settings)) for field, said in FIGURES.items()]
        output.table(("", *names), rows)
    output.say(f"\nAlerts, by version {found.rules_version} of the rules" + ("" if found.settings[0].rules else ": no rule that could be measured"))
    for one in found.settings:
        if one.rules:
            columns = ("rule", "annotated", "alerts", "both", "precision", "recall", "F1")
            scores = [*one.rules, *([one.events] if len(one.rules) > 1 else [])]
            rows = [
                (each.rule or "all rules", each.expected, each.alerts, each.matched, *(_figure(value) for value in (each.precision, each.recall, each.f1)))
                for each in scores
            ]
            output.table(columns, rows, title=one.name if len(found.settings) > 1 else None)
    for rule, reason in found.not_measured:
        output.say(f"rule {rule} is not measured: {reason}")
    for one in found.settings:
        _show_differences(catalog, found, one)


def _show_differences(catalog: "Catalog", found: "Comparison", one: "Measured") -> None:
    from video_platform.cli import output

    for what, words in WORDS.items():
        mine = [each for each in one.differences if each.what == what]
        if mine:
            at = f" ({one.name})" if len(found.settings) > 1 else ""
            more = f", the first {SHOWN} of {len(mine):,} (--json has all)" if len(mine) > SHOWN else ""
            output.say(f"\n{words}{at}{more}:")
            rows = [
                (each.name, f"{output.clock(each.start_s)}–{output.clock(each.end_s)}", ", ".join(map(str, each.ids[:8])), _page(catalog, found, each))
                for each in mine[:SHOWN]
            ]
            output.table(("rule" if what in ("no alert", "false alert") else "class", "in the video", "ids", "page (while `vp up` runs)"), rows)


def _figure(value: object) -> object:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def _marks(by: str, rule: str | None, camera: str | None, since: str | None, as_json: bool) -> None:
    from video_platform.cli import opening, output
    from video_platform.services.database.marks import By

    if by not in list(By):
        raise typer.BadParameter(f"--by is {', '.join(By)}; got {by!r}")
    after = opening.moment_or_ago(since) if since else None
    with opening.catalog() as (_, catalog):
        found = catalog.marked(by=By(by), rule=rule, camera=camera, since=after)
    if as_json:
        output.print_json({"by": by, "rules": [each.as_json() for each in found]})
    else:
        _show_marks(found, By(by))


def _show_marks(found: "Sequence[MarkedAlerts]", by: "By") -> None:
    from video_platform.cli import output
    from video_platform.services.database.marks import By

    if not found:
        output.say("No alerts.")
        return
    spans = () if by is By.ALL else (str(by),)
    rows = [
        (output.safe(each.rule, 40), each.version, *((each.start,) if spans else ()), each.acknowledged, each.false, each.unmarked, _figure(each.precision))
        for each in found
    ]
    output.table(("rule", "version", *spans, "right", "false", "no mark", "precision"), rows)
    if not any(each.acknowledged or each.false for each in found):
        output.note("nobody has marked an alert yet: acknowledge the right ones and call the others false, on the page or through the API")
