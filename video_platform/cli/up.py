"""`vp up`: everything that this home needs, supervised."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from video_platform.settings import Settings
    from video_platform.supervisor.stack import Addresses
    from video_platform.supervisor.supervision import Supervision


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up)


def up(
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port of the web app, instead of the settings'.")] = None,
) -> None:
    """Run the platform: web app, API, sensors, queue, relay. Ctrl-C ends all of it."""
    from video_platform import settings

    loaded = settings.load()
    if port is not None:
        loaded = loaded.model_copy(update={"web": loaded.web.model_copy(update={"port": port})})
    serve(loaded, "vp up", announce)


def announce(settings: "Settings", addresses: "Addresses", _supervision: "Supervision") -> None:
    """Tell where everything is, once it answers."""
    from video_platform.cli import output

    for name, wanted, got in (("web app", settings.web.port, addresses.web_port), ("Dagster", settings.dagster.port, addresses.dagster_port)):
        if wanted not in (0, got):
            output.say(f"port {wanted} is taken, so the {name} answers on {got}")
    output.say(f"\nweb app and API: {addresses.web}\nDagster's page:  {addresses.dagster}\nCtrl-C ends everything.")


def serve(settings: "Settings", what: str, on_ready: "Callable[[Settings, Addresses, Supervision], None]") -> None:
    """Hold the home as `what`, prepare it, and supervise until the end is asked for.

    `on_ready` is called once, when everything answers, and must not block.
    """
    from video_platform.cli import output
    from video_platform.errors import StateError
    from video_platform.platform import open_platform
    from video_platform.supervisor import database_lock, lock, stack
    from video_platform.supervisor.prepare import prepare
    from video_platform.supervisor.supervision import Supervision

    with lock.hold(settings.lock_file, what), ExitStack() as held:
        with open_platform(settings) as platform:
            for line in prepare(platform):
                output.say(line)
        settings.dagster_home.mkdir(parents=True, exist_ok=True)
        addresses = stack.choose_addresses(settings)
        specs = stack.specs(settings, addresses, stack.write_workspace(settings, addresses))
        logs = settings.home / "logs"

        def ready() -> None:
            stack.write_addresses(settings, addresses)
            on_ready(settings, addresses, supervision)

        lost: list[str] = []

        def end(reason: str) -> None:
            lost.append(reason)
            supervision.request_end()

        supervision = Supervision(specs, home=settings.home, logs=logs, say=output.say, on_ready=ready)
        held.enter_context(database_lock.hold(settings, what, end))
        output.say(f"starting; logs are in {logs}")
        try:
            supervision.run()
        finally:
            stack.forget_addresses(settings, addresses)
        if lost:
            raise StateError(lost[0])
        output.say("everything has ended")
