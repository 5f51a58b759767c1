"""`vp up`: everything that this home needs, supervised."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from video_platform.settings import Settings
    from video_platform.supervisor.stack import Addresses
    from video_platform.supervisor.supervision import Supervision


OWNER = "owner"
GUEST = "guest"
"""Names of the two people of `vp up --share`."""

GUEST_ROLE = "viewer"
"""What a guest may do when nobody says more."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up)


def up(
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port of the web app, instead of the settings'.")] = None,
    share: Annotated[bool, typer.Option("--share", help="Ask for a sign-in, and print a link that lets a guest in once.")] = False,
    role: Annotated[str | None, typer.Option("--role", help="With --share: role of the guest, viewer (default), operator or admin.")] = None,
    camera: Annotated[list[str] | None, typer.Option("--camera", help="With --share: only this camera for the guest; may be given several times.")] = None,
) -> None:
    """Run the platform: web app, API, sensors, queue, relay. Ctrl-C ends all of it."""
    from video_platform import settings

    if not share and (role is not None or camera):
        raise typer.BadParameter("--role and --camera say what the guest of --share may do; `vp users add` adds other people")
    loaded = settings.load()
    if port is not None:
        loaded = loaded.model_copy(update={"web": loaded.web.model_copy(update={"port": port})})
    if share and loaded.access.sign_in == "none":
        loaded = loaded.model_copy(update={"access": loaded.access.model_copy(update={"sign_in": "link"})})
    if share:
        from video_platform.access import check_cameras
        from video_platform.cli.users import role_of

        check_cameras(role_of(role or GUEST_ROLE), camera or ())

    def ready(settings: "Settings", addresses: "Addresses", supervision: "Supervision") -> None:
        announce(settings, addresses, supervision)
        if share:
            invite(settings, addresses, role or GUEST_ROLE, camera)

    serve(loaded, "vp up", ready)


def announce(settings: "Settings", addresses: "Addresses", _supervision: "Supervision") -> None:
    """Tell where everything is, once it answers."""
    from video_platform.cli import output

    for name, wanted, got in (("the web app", settings.web.port, addresses.web_port), ("Dagster's page", settings.dagster.port, addresses.dagster_port)):
        if wanted not in (0, got):
            output.say(f"port {wanted} is taken, so {name} answers on {got}")
    by_link = "  (lets in who comes by a link; `vp users link NAME` makes one)" if settings.access.sign_in == "link" else ""
    output.say(f"\nweb app and API: {base_of(settings, addresses)}{by_link}\nDagster's page:  {addresses.dagster}\nCtrl-C ends everything.")


def base_of(settings: "Settings", addresses: "Addresses") -> str:
    """The address under which people reach the web app: the public one of the settings, else where it answers."""
    return settings.access.public_url.rstrip("/") or addresses.web


def invite(settings: "Settings", addresses: "Addresses", role: str, cameras: list[str] | None) -> None:
    """Print a link for whoever runs this, and one for a guest."""
    from video_platform.access import Role
    from video_platform.cli import output
    from video_platform.cli.users import link_for
    from video_platform.cli.videos import who
    from video_platform.platform import open_platform
    from video_platform.services.database import audit, users

    base = base_of(settings, addresses)
    with open_platform(settings) as platform:
        owner = users.find(platform.db, OWNER)
        if owner is not None and owner.role is not Role.ADMIN:
            users.set_role(platform.db, OWNER, Role.ADMIN, ())
        if users.find(platform.db, GUEST) is not None:
            # What a guest may do is what was said last; whoever came in by an earlier link is out.
            with platform.db.together():
                users.remove(platform.db, GUEST)
                audit.note(platform.db, who(), "user-remove", GUEST, now=datetime.now(UTC))
        mine = link_for(platform, OWNER, "admin", None, who())
        given = link_for(platform, GUEST, role, cameras, who())
    lasts = f"each works once, within {settings.access.link_minutes:g} minutes"
    output.say(f"\nfor you (admin):   {base}{mine}\nfor your guest ({role}): {base}{given}\n{lasts}; `vp users link NAME` makes others.")


def serve(settings: "Settings", what: str, on_ready: "Callable[[Settings, Addresses, Supervision], None]") -> None:
    """Hold the home as `what`, prepare it, and supervise until the end is asked for.

    `on_ready` is called once, when everything answers, and must not block.
    """
    from video_platform.cli import output
    from video_platform.cli.videos import who
    from video_platform.errors import StateError
    from video_platform.platform import open_platform
    from video_platform.supervisor import database_lock, lock, stack
    from video_platform.supervisor.prepare import prepare
    from video_platform.supervisor.settings_log import note_change
    from video_platform.supervisor.supervision import Supervision

    with lock.hold(settings.lock_file, what), ExitStack() as held:
        with open_platform(settings) as platform:
            for line in prepare(platform):
                output.say(line)
            note_change(platform.db, settings, who(), datetime.now(UTC))
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
