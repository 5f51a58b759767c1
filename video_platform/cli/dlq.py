"""`vp dlq`: messages that could not be used, why, and the way back to their topic."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.dlq import Letter

app = typer.Typer(help="Messages that could not be used (the dead-letter topic).")

SHOWN_DETAIL = 70
MOST_LETTERS = 100_000

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Only with this reason: oversize, malformed, unknown_video …")]


@app.command("list")
def listing(
    reason: Reason = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that were not replayed.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LETTERS, help="At most so many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first: when, why, where the letter lies and where its message stood."""
    from video_platform import dlq
    from video_platform.cli import opening, output

    with opening.platform() as platform:
        found = dlq.letters(platform.log, platform.db, limit=None if waiting else limit, reason=reason)
        total = dlq.count(platform.log)
    shown = [letter for letter in found if not (waiting and letter.replayed)][:limit]
    if as_json:
        output.print_json([_json(letter) for letter in shown])
        return
    if not shown:
        output.say("No dead letters." if not total else f"None of these; the topic holds {output.count(total, 'dead letter', 'dead letters')} in all.")
        return
    rows = [
        (output.instant(each.at), each.reason, output.safe(each.detail, SHOWN_DETAIL), each.origin, output.size(each.size_bytes), _state(each), each.place)
        for each in shown
    ]
    output.table(("at", "reason", "detail", "stood at", "size", "", "letter"), rows)
    if len(shown) == limit and total > limit:
        output.note(f"the topic holds {total} in all; --limit shows more")


@app.command("show")
def show(
    letter: Annotated[str, typer.Argument(metavar="COORDINATES", help="topic/partition/offset of the letter, or of where its message stood.")],
    target: Annotated[Path | None, typer.Option("-o", "--output", help="Write the message's value here, byte for byte (- is standard output).")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter whole: reason, coordinates, headers and value of the message."""
    from video_platform import dlq
    from video_platform.cli import opening, output

    if target is not None and as_json:
        raise typer.BadParameter("--output writes the value alone; leave it or --json out")
    with opening.platform() as platform:
        found = dlq.find(platform.log, platform.db, dlq.Place.parse(letter))
    if target is not None:
        written = opening.write_out(target, f"{found.id[:16]}.bin", iter([found.message.value]))
        if written is not None:
            output.note(f"{output.safe(written)}: {output.size(len(found.message.value))}")
        return
    if as_json:
        output.print_json({**_json(found), **_content(found)})
        return
    output.say(f"letter {found.place} of {output.instant(found.at)}: {found.reason}")
    output.say(f"why: {found.detail}")
    output.say(f"stood at: {found.origin}, {output.size(found.size_bytes)}")
    output.say(f"replay: {_state(found) or f'possible: vp dlq replay {found.place}'}" + (f" ({found.obstacle})" if found.obstacle else ""))
    output.say(f"key: {_text(found.message.key)}")
    output.table(("header", "value"), [(name, _text(value)) for name, value in found.message.headers])
    output.say(_text(found.message.value))


@app.command("replay")
def replay(
    letters: Annotated[list[str] | None, typer.Argument(metavar="COORDINATES…", help="topic/partition/offset of letters.", show_default=False)] = None,
    reason: Reason = None,
    force: Annotated[bool, typer.Option("--force", help="Send again what was replayed already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send messages to the topic they came from again, once the cause is gone: by coordinates, or all with one reason that were not replayed yet."""
    from video_platform import dlq
    from video_platform.cli import opening, output
    from video_platform.cli.videos import who
    from video_platform.errors import PlatformError

    if bool(letters) == (reason is not None):
        raise typer.BadParameter("say which: coordinates, or --reason")
    done: list[dict[str, object]] = []
    with opening.platform() as platform:
        found = dlq.letters(platform.log, platform.db, limit=None, reason=reason) if reason is not None else []
        wanted: list[dlq.Letter | str] = [*(each for each in found if force or not each.replayed), *(dict.fromkeys(letters or []))]
        for each in wanted:
            try:
                letter = each if isinstance(each, dlq.Letter) else dlq.find(platform.log, platform.db, dlq.Place.parse(each))
                before = letter.replayed and not force
                arrived = dlq.replay(platform.log, platform.db, letter, who(), force=force)
                done.append({"letter": str(letter.place), "replayed_to": str(arrived), "already": before, "error": None})
            except PlatformError as error:
                done.append({"letter": each if isinstance(each, str) else str(each.place), "replayed_to": None, "already": False, "error": error.message})
        asleep = opening.nobody_processes(platform.settings)
    if as_json:
        output.print_json(done)
    else:
        for line in done:
            if line["error"]:
                output.print_error(RuntimeError(str(line["error"])))
            else:
                output.say(f"{line['letter']}: {'was replayed before, it lies' if line['already'] else 'replayed, lies'} at {line['replayed_to']}")
        if not wanted:
            output.say(f"Nothing to replay with reason {output.safe(reason)}." if not found else "All of these were replayed before; --force sends them again.")
        if asleep and any(not line["error"] for line in done):
            output.note("nothing processes on this home now; start `vp up`")
    if any(line["error"] for line in done):
        raise typer.Exit(1)


def _state(letter: "Letter") -> str:
    from video_platform.cli import output

    if letter.replay is not None:
        return f"replayed {output.instant(letter.replay.begun_at)}" if letter.replayed else "replay cut short"
    return "evidence only" if letter.obstacle else ""


def _json(letter: "Letter") -> dict[str, object]:
    replay = letter.replay
    return {
        "id": letter.id,
        "letter": str(letter.place),
        "stood_at": str(letter.origin),
        "at": letter.at,
        "reason": letter.reason,
        "detail": letter.detail,
        "size_bytes": letter.size_bytes,
        "replayable": letter.obstacle is None,
        "obstacle": letter.obstacle,
        "replayed_at": replay.begun_at if replay is not None else None,
        "replayed_by": replay.who if replay is not None else None,
        "replayed_to": f"{replay.topic}/{replay.partition}/{replay.offset}" if replay is not None and replay.offset is not None else None,
    }


def _content(letter: "Letter") -> dict[str, object]:
    """Key, headers and value as text; what is no text as `hex:…`."""
    message = letter.message
    return {"key": _text(message.key), "headers": [[name, _text(value)] for name, value in message.headers], "value": _text(message.value)}


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"hex:{data.hex()}"
