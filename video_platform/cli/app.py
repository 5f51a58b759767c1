"""All commands in one application, and the way from an error to one line and an exit status."""

import typer

from video_platform.cli import (
    alerts,
    backfill,
    demo,
    digest,
    dlq,
    doctor,
    env,
    evaluate,
    export,
    get,
    ingest,
    models,
    process,
    rebuild,
    rules_past,
    search,
    serve,
    topics,
    up,
    users,
    videos,
    watch,
)

FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""Exit statuses beside 0, as shells know them: failed, wrong usage, Ctrl-C (128 + 2)."""

app = typer.Typer(
    name="vp",
    help="Video understanding on your own machine: footage in; detections, tracks, alerts, summaries and clips out.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks and the log of what happens."),
) -> None:
    """Video understanding on your own machine: footage in; detections, tracks, alerts, summaries and clips out."""
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


for module in (process, ingest, watch, up, demo, videos, get, alerts, search, export, evaluate, doctor, rebuild, env, serve, backfill, digest):
    module.register(app)
app.add_typer(models.app, name="models")
app.add_typer(rules_past.app, name="rules")
app.add_typer(topics.app, name="topics")
app.add_typer(users.app, name="users")
app.add_typer(dlq.app, name="dlq")


def run(arguments: list[str]) -> int:
    """Run the application; every error becomes one clear message and a status other than 0."""
    from typer.exceptions import Abort, TyperException

    from video_platform.cli.output import print_error
    from video_platform.errors import PlatformError, is_full

    debug = "--debug" in arguments[:1]
    try:
        status = app(args=arguments or ["--help"], prog_name="vp", standalone_mode=False)
    except (Abort, KeyboardInterrupt):
        return INTERRUPTED
    except TyperException as error:
        hint = "; a file whose name begins with - goes after --" if type(error).__name__ == "NoSuchOption" else ""
        print_error(RuntimeError(f"{error.format_message().rstrip('.')}{hint} (`vp{_command(arguments)} --help` shows how it is used)"))
        return USAGE
    except SystemExit:  # typer's word for a reader that left
        return FAILED
    except PlatformError as error:
        if debug:
            raise
        print_error(error)
        return FAILED
    except Exception as error:
        if debug:
            raise
        if is_full(error):
            print_error(RuntimeError(f"no space is left on the disk{_where(error)}; free some and run the command again"))
            return FAILED
        print_error(RuntimeError(f"{type(error).__name__}: {error}. This was not expected; run the command again as `vp --debug …` to see where it came from"))
        return FAILED
    return status if isinstance(status, int) else 0


def _where(error: Exception) -> str:
    """The file that found no room, else the home that has none."""
    from video_platform import settings

    return f" of {getattr(error, 'filename', None) or settings.load().home}"


def _command(arguments: list[str]) -> str:
    """The command that was meant, with a space before it, for the hint after a usage error."""
    names = {command.name for command in app.registered_commands}
    first, second = (*arguments[:2], "", "")[:2]
    group = next((each.typer_instance for each in app.registered_groups if each.name == first), None)
    if group is not None and group.registered_commands:
        return f" {first} {second}" if second in {command.name for command in group.registered_commands} else f" {first}"
    return f" {first}" if first in names else ""
