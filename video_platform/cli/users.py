"""`vp users`: who may sign in, links and tokens, and who did what."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from video_platform.access import Role
    from video_platform.platform import Platform
    from video_platform.signing_in import Doors

app = typer.Typer(help="Who may use web app, API and Dagster's page (docs/access.md).")

MOST_LINES = 100_000
"""A longer log is read in parts, by time."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the person.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, operator or admin.")]
Cameras = Annotated[list[str] | None, typer.Option("--camera", help="Only this camera, or a pattern such as gate-*; may be given several times. Default: all.")]


@app.command("add")
def add(
    name: Name,
    role: RoleName = "viewer",
    camera: Cameras = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="No password: this person uses links or tokens.")] = False,
) -> None:
    """Add a person; asks for the password, or reads it as one line where there is no terminal."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import who
    from video_platform.services.database import audit, users

    wanted = role_of(role)
    with opening.platform() as platform:
        kept = None if no_password else doors(platform).hash(password())
        with platform.db.together():
            person = users.add(platform.db, name, wanted, camera or (), password=kept, now=now())
            audit.note(platform.db, who(), "user-add", person.name, now=now(), role=str(person.role), cameras=list(person.cameras) if person.cameras else None)
    output.say(f"{person.name}: added as {person.role}, {cameras_in_words(person.cameras)}")


@app.command("list")
def listing(as_json: AsJson = False) -> None:
    """List everybody who may sign in."""
    from video_platform.cli import opening, output
    from video_platform.services.database import users

    with opening.platform() as platform:
        found = users.listing(platform.db, now())
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("Nobody yet; `vp users add NAME` adds a person.")
        return
    rows = [
        (
            each.name,
            each.person.role,
            cameras_in_words(each.person.cameras),
            "provider" if each.kind == users.OIDC else "password" if each.has_password else "links",
            each.sessions,
            each.tokens,
            output.instant(each.signed_in_at) or "never",
        )
        for each in found
    ]
    output.table(("name", "role", "cameras", "signs in by", "browsers", "tokens", "last signed in"), rows)


@app.command("remove")
def remove(name: Name) -> None:
    """Remove a person with their tokens; whoever is signed in as them is out within seconds."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import who
    from video_platform.services.database import audit, users

    with opening.platform() as platform, platform.db.together():
        users.remove(platform.db, known(name))
        audit.note(platform.db, who(), "user-remove", known(name), now=now())
    output.say(f"{known(name)}: removed")


@app.command("role")
def role(
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
    camera: Annotated[list[str] | None, typer.Option("--camera", help="From now on only this camera or pattern, or * for all. Default: as before.")] = None,
) -> None:
    """Give a person another role, and other cameras where some are named; they have to sign in again."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import who
    from video_platform.services.database import audit, users

    wanted = role_of(role)
    with opening.platform() as platform, platform.db.together():
        person = users.set_role(platform.db, known(name), wanted, camera or None)
        cameras = list(person.cameras) if person.cameras else None
        audit.note(platform.db, who(), "user-role", person.name, now=now(), role=str(person.role), cameras=cameras)
    output.say(f"{person.name}: {person.role}, {cameras_in_words(person.cameras)}")


@app.command("password")
def change_password(
    name: Name, remove: Annotated[bool, typer.Option("--remove", help="Take the password away: links and tokens stay possible.")] = False
) -> None:
    """Give a person another password; they have to sign in again."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import who
    from video_platform.services.database import audit, users

    with opening.platform() as platform:
        kept = None if remove else doors(platform).hash(password())
        with platform.db.together():
            users.set_password(platform.db, known(name), kept)
            audit.note(platform.db, who(), "user-password", known(name), now=now(), removed=remove)
    output.say(f"{known(name)}: the password is {'gone' if remove else 'changed'}")


@app.command("link")
def link(
    name: Name,
    role: Annotated[str | None, typer.Option("--role", help="For a new person: viewer (default), operator or admin.")] = None,
    camera: Cameras = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=1, max=60 * 24 * 31, help="How long it can be used; default: the settings'.")] = None,
) -> None:
    """Print a link that signs this person in, once; somebody who is not known is added without a password."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import who

    with opening.catalog() as (platform, catalog):
        base = platform.settings.access.public_url or catalog.addresses().web
        path = link_for(platform, known(name), role, camera, who(), minutes)
        lasts = platform.settings.access.link_minutes if minutes is None else minutes
        closed = platform.settings.access.sign_in != "none"
    output.say(f"{base}{path}")
    output.note(f"it signs {known(name)} in once, within {lasts:g} minutes")
    if not closed:
        output.note("sign-in is off in these settings; the link is of use where `vp up --share` runs, or VIDEO_PLATFORM_ACCESS__SIGN_IN is set")


@app.command("token")
def token(
    name: Name, days: Annotated[float | None, typer.Option("--days", min=0.01, max=3660, help="How long it is good; default: until it is revoked.")] = None
) -> None:
    """Print a token with which a program speaks for this person; it is shown once."""
    from datetime import timedelta

    from video_platform.cli import opening, output
    from video_platform.cli.videos import who
    from video_platform.services.database import audit, sessions

    with opening.platform() as platform:
        expires_at = None if days is None else now() + timedelta(days=days)
        with platform.db.together():
            secret, made = sessions.make_token(platform.db, known(name), now=now(), expires_at=expires_at)
            audit.note(platform.db, who(), "token-add", made.name, now=now(), token=made.id, expires_at=expires_at.isoformat() if expires_at else None)
    output.say(secret)
    until = f" until {output.instant(expires_at)}" if expires_at else ""
    output.note(f"token {made.id} of {made.name}{until}; it is not shown again. Send it as `Authorization: Bearer …`; `vp users revoke` takes it back")


@app.command("tokens")
def tokens(name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only of this person.")] = None, as_json: AsJson = False) -> None:
    """List tokens, without their secrets."""
    from video_platform.cli import opening, output
    from video_platform.services.database import sessions

    with opening.platform() as platform:
        found = sessions.tokens_of(platform.db, None if name is None else known(name))
    if as_json:
        output.print_json(found)
    elif not found:
        output.say("No tokens.")
    else:
        rows = [(each.id, each.name, output.instant(each.created_at), output.instant(each.expires_at) or "revoked") for each in found]
        output.table(("token", "of", "made", "good until"), rows)


@app.command("revoke")
def revoke(name: Name, token: Annotated[str | None, typer.Option("--token", help="Id of the token to take back.")] = None) -> None:
    """Take a token back; without `--token`, sign this person out everywhere."""
    from video_platform.cli import opening, output
    from video_platform.cli.videos import who
    from video_platform.errors import NotFound
    from video_platform.services.database import audit, sessions, users

    with opening.platform() as platform:
        if token is not None:
            with platform.db.together():
                sessions.revoke_token(platform.db, known(name), token)
                audit.note(platform.db, who(), "token-revoke", known(name), now=now(), token=token)
            output.say(f"{known(name)}: token {token} is of no use any more")
            return
        if users.find(platform.db, known(name)) is None:
            raise NotFound(f"there is no person {known(name)!r}; `vp users list` names them")
        with platform.db.together():
            ended = sessions.end_all(platform.db, known(name))
            audit.note(platform.db, who(), "user-sign-out", known(name), now=now(), browsers=ended)
    output.say(f"{known(name)}: signed out of {output.count(ended, 'browser', 'browsers')}")


@app.command("audit")
def audit_log(
    person: Annotated[str | None, typer.Option("--who", help="Only what this person did.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this action.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Not older than this: 90s, 15m, 2h, 3d, 1w, or a time.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LINES, help="At most so many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List who did what, newest first."""
    import json

    from video_platform.cli import opening, output
    from video_platform.services.database import audit

    if action is not None and action not in audit.ACTIONS:
        raise typer.BadParameter(f"an action is {', '.join(audit.ACTIONS)}; got {output.safe(action)!r}")
    after = opening.moment_or_ago(since) if since else None
    with opening.platform() as platform:
        entries, total = opening.in_pages(
            lambda size, offset: audit.page(platform.db, who=person, action=action, since=after, limit=size, offset=offset), limit
        )
    if as_json:
        output.print_json(entries)
        return
    if not entries:
        output.say("No lines.")
        return
    rows = [(output.instant(e.at), e.who, e.action, e.subject, json.dumps(e.detail, ensure_ascii=False) if e.detail else "") for e in entries]
    output.table(("when", "who", "action", "to", "more"), rows)
    if total > len(entries):
        output.note(f"{total - len(entries)} older lines are not shown; --limit shows more")


def link_for(platform: "Platform", name: str, role: str | None, cameras: list[str] | None, by: str, minutes: float | None = None) -> str:
    """The path of a link for a person, who is added when not known.

    Raises:
        InputError: rights were given for somebody who has others.
    """
    from video_platform.access import Person, check_cameras
    from video_platform.errors import InputError
    from video_platform.services.database import audit, users

    person = users.find(platform.db, name)
    if person is None:
        with platform.db.together():
            person = users.add(platform.db, name, role_of(role or "viewer"), cameras or (), password=None, now=now())
            audit.note(platform.db, by, "user-add", name, now=now(), role=str(person.role), cameras=list(person.cameras) if person.cameras else None)
    elif role is not None or cameras:
        wanted = Person(name, role_of(role or person.role), check_cameras(role_of(role or person.role), cameras or ()))
        if wanted != person:
            raise InputError(f"{name} is {person.role}, {cameras_in_words(person.cameras)}; `vp users role {name}` changes that", name=name)
    return doors(platform).link(name, by, minutes)


def doors(platform: "Platform") -> "Doors":
    """The ways in of this installation."""
    from video_platform.signing_in import Doors

    return Doors(platform.settings, platform.db)


def role_of(text: str) -> "Role":
    """A role by its name."""
    from video_platform.access import Role

    try:
        return Role(text)
    except ValueError:
        raise typer.BadParameter(f"a role is {', '.join(Role)}; got {text[:40]!r}") from None


def known(text: str) -> str:
    """A person's name as it is kept."""
    from video_platform.access import check_name

    return check_name(text)


def cameras_in_words(cameras: tuple[str, ...] | None) -> str:
    """Which cameras somebody may see."""
    return "all cameras" if cameras is None else f"cameras {', '.join(cameras)}" if cameras else "no camera"


def password() -> str:
    """A password from the terminal, asked for twice, or from one line of standard input."""
    import getpass
    import sys

    from video_platform.errors import InputError

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise InputError("the two are not the same; nothing was changed")
    return first


def now() -> "datetime":
    """The present instant."""
    from datetime import UTC, datetime

    return datetime.now(UTC)
