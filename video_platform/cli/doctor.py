"""`vp doctor`: what is configured, whether it answers, and what to do if not."""

import os
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from video_platform.rules import RuleSet
    from video_platform.settings import Settings

LOW_DISK_BYTES = 2 * 1024**3
"""Below this much free space a few videos fill the disk."""

OTHERS = stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH
"""What a home gives to nobody but its owner and, in a container, its group."""

NO_ROOM = "there is no room on its disk: take other files away there, or move it to a larger one"
"""What to do about whatever met a full disk. Not `vp delete`: that writes to the database first."""

State = Literal["ok", "look", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `advice` says what to do unless it is ok, or how there would be more."""

    what: str
    state: State
    found: str
    advice: str = ""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="First make what is missing: topics, bucket, the bucket's notification rule.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look at everything this installation needs; exits with 1 when something is broken."""
    from video_platform.cli import mending, output

    found = [*(mending.mend() if fix else []), *findings()]
    if as_json:
        output.print_json([asdict(each) for each in found])
    else:
        output.table(("", "what", "found"), [(each.state, each.what, each.found + (f"\n→ {each.advice}" if each.advice else "")) for each in found])
    if any(each.state == "bad" for each in found):
        raise typer.Exit(1)


def findings() -> Iterator[Finding]:
    """All findings; settings first, because nothing else can be looked at without them."""
    from video_platform import __version__, settings
    from video_platform.cli import mending
    from video_platform.errors import SettingsError

    yield Finding("version", "ok", f"{__version__}, Python {sys.version.split()[0]}")
    try:
        loaded = settings.load()
    except SettingsError as error:
        yield Finding("settings", "bad", str(error), "correct the variable, or unset it to have the default (docs/settings.md)")
        return
    yield Finding("settings", "ok", f"objects in {loaded.objects.kind}, events in {loaded.event_log.kind}, runs started by {loaded.runs.launcher} launcher")
    yield _home(loaded)
    yield _asked("database", lambda: _database(loaded), "look at VIDEO_PLATFORM_DATABASE__URL, and whether the server runs")
    objects = _asked("objects", lambda: _store(loaded), "look at VIDEO_PLATFORM_OBJECTS__*, and whether the server runs")
    yield objects
    if loaded.objects.kind == "s3":
        yield _strangers(loaded)
    if objects.state != "bad":
        yield mending.inbox(loaded)
    events = _asked("events", lambda: _log(loaded), "look at VIDEO_PLATFORM_EVENT_LOG__*, and whether the brokers run")
    yield events
    if events.state != "bad":
        yield mending.topics(loaded)
    yield _asked("rules", lambda: _rules(loaded), "`vp rules list` and `vp rules check FILE` say more")
    if loaded_rules := _active_rules(loaded):
        yield _notifications(loaded, loaded_rules)
    yield _detector(loaded)
    yield _scenes(loaded)
    yield from _language_models(loaded)
    yield _speech(loaded)
    yield _search(loaded)
    yield _asked("web", lambda: _web(loaded), "docs/settings.md says when another address than loopback is safe")
    yield _sign_in(loaded)
    yield _running(loaded)


def _home(settings: "Settings") -> Finding:
    from video_platform.cli.output import size
    from video_platform.errors import is_full

    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = settings.home / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        advice = NO_ROOM if is_full(error) else "set VIDEO_PLATFORM_HOME to a folder that you own"
        return Finding("home", "bad", f"{settings.home} cannot be written: {error.strerror}", advice)
    if settings.home.stat().st_mode & OTHERS:
        found = f"{settings.home} can be read by every user of this machine, with the footage in it"
        return Finding("home", "look", found, f"chmod 700 {shlex.quote(str(settings.home))}")
    free = shutil.disk_usage(settings.home).free
    if not free:
        return Finding("home", "bad", f"{settings.home}, nothing is free", NO_ROOM)
    if free < LOW_DISK_BYTES:
        return Finding("home", "look", f"{settings.home}, only {size(free)} free", "delete videos (`vp delete`), or move the home to a larger disk")
    return Finding("home", "ok", f"{settings.home}, {size(free)} free")


def _asked(what: str, ask: Callable[[], str], advice: str) -> Finding:
    from video_platform.errors import is_full

    try:
        return Finding(what, "ok", ask())
    except Exception as error:  # whatever a driver raises is the finding
        return Finding(what, "bad", str(error) or type(error).__name__, NO_ROOM if is_full(error) else advice)


def _database(settings: "Settings") -> str:
    from video_platform.services.database import open_database

    db = open_database(settings)
    try:
        return db.check()
    finally:
        db.dispose()


def _store(settings: "Settings") -> str:
    from video_platform.services.object_store import open_store

    return open_store(settings).check()


def _strangers(settings: "Settings") -> Finding:
    from video_platform.errors import PlatformError
    from video_platform.services.s3_exposure import exposure

    try:
        found = exposure(settings.objects)
    except PlatformError as error:
        return Finding("objects for strangers", "look", error.message, "run this again when the store answers")
    if found:
        what, _, advice = found.partition(": ")
        return Finding("objects for strangers", "bad", what, advice)
    return Finding("objects for strangers", "ok", "nothing without a key: listing, reading and writing are refused")


def _log(settings: "Settings") -> str:
    from video_platform.services.event_log import open_log

    log = open_log(settings)
    try:
        return log.check()
    finally:
        log.close()


def _rules(settings: "Settings") -> str:
    from video_platform.platform import open_platform
    from video_platform.supervisor.prepare import describe_rules

    with open_platform(settings) as platform:
        return describe_rules(platform)


def _active_rules(settings: "Settings") -> "RuleSet | None":
    """The rules that count now; None where they cannot be read, which the finding on rules says."""
    from video_platform.errors import PlatformError
    from video_platform.platform import open_platform
    from video_platform.services.database import rulesets

    with suppress(PlatformError, OSError), open_platform(settings) as platform:
        active = rulesets.active(platform.db)
        return active.rule_set if active else None
    return None


def _notifications(settings: "Settings", active: "RuleSet") -> Finding:
    """Whether every channel that a rule names has an address here, and what services answered."""
    from video_platform.cli.output import count
    from video_platform.platform import open_platform
    from video_platform.services import notify
    from video_platform.services.database import delivery

    named = sorted({channel for rule in active.rules for channel in rule.channels})
    if not named:
        return Finding("notifications", "ok", "no rule names a channel, so nobody is told of alerts (docs/notifying.md)")
    problems = []
    for channel in named:
        variable = active.channels[channel]
        address = os.environ.get(variable, "").strip()
        if not address:
            problems.append(f"{channel}: {variable} is not set here")
        elif not notify.understood(address):
            problems.append(f"{channel}: what {variable} holds is no address that Apprise understands")
    with open_platform(settings) as platform:
        for channel, (waiting, error) in delivery.troubles(platform.db).items():
            problems.append(f"{channel}: {count(waiting, 'notification waits', 'notifications wait')}, the last attempt: {error}")
    if problems:
        return Finding("notifications", "look", "; ".join(problems), "addresses are set where `vp up` is started; how to try one stands in docs/notifying.md")
    return Finding("notifications", "ok", f"to {', '.join(named)}: addresses are set here, and no attempt failed that still waits")


def _detector(settings: "Settings") -> Finding:
    from video_platform import detectors
    from video_platform.errors import IntegrityError, ModelMissing, SettingsError

    try:
        known = detectors.usable(settings)
    except ModelMissing as error:
        return Finding("detector", "bad", error.message, "or set VIDEO_PLATFORM_DETECTION__MODEL to nanodet-g-int8, which ships")
    except (SettingsError, IntegrityError) as error:
        return Finding("detector", "bad", error.message, "docs/models.md; nanodet-g-int8 ships and needs nothing")
    problem = _other_files(known.folder, known.files)
    if problem:
        return Finding("detector", "bad", problem, f"`vp models pull {known.name} --again`; of a model that ships: install the package again")
    return Finding("detector", "ok", f"{known.name}, {len(known.classes)} classes; `vp models check` tries it")


def _scenes(settings: "Settings") -> Finding:
    from video_platform import scene_model
    from video_platform.errors import IntegrityError, SettingsError

    try:
        known = scene_model.usable(settings)
    except (SettingsError, IntegrityError) as error:
        return Finding("scenes", "bad", error.message, "docs/models.md; mode fast needs nothing")
    if known is None:
        return Finding("scenes", "ok", "fast: by colours")
    problem = _other_files(known.folder, known.files)
    if problem:
        return Finding("scenes", "bad", problem, f"`vp models pull {known.name} --again`")
    return Finding("scenes", "ok", f"accurate: {known.name}; `vp models check {known.name}` tries it")


def _other_files(folder: Path, files: Mapping[str, str]) -> str | None:
    """The first file of a model that is missing, or not the one that it should be."""
    import hashlib

    for name, sha256 in files.items():
        try:
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return f"{folder / name} is not the file that belongs to the model"
        except OSError as error:
            return f"{folder / name} cannot be read: {error.strerror}"
    return None


def _language_models(settings: "Settings") -> Iterator[Finding]:
    from video_platform.services import language_models

    models = settings.language_model
    for what, state in (("language model", language_models.writer(models)), ("vision model", language_models.seer(models))):
        if state is not None:
            yield Finding(what, "ok" if state.ok else "look", state.found, state.advice)
    yield _captions(settings)
    yield _second_look(settings)


def _captions(settings: "Settings") -> Finding:
    from video_platform import captioning

    describer = captioning.choose(settings)
    if describer.eyes.model is not None and describer.prompt is not None:
        return Finding("captions", "ok", f"frames are described by {describer.eyes.name}")
    missed = describer.eyes.lack not in ("none_named", "not_wanted")
    return Finding(
        "captions", "look" if missed else "ok", f"frames are not described: {describer.reason}", "docs/captions.md says what they add" if missed else ""
    )


def _second_look(settings: "Settings") -> Finding:
    from video_platform import second_looking

    found, as_wanted = second_looking.describe(settings)
    return Finding("second look", "ok" if as_wanted else "look", found, "" if as_wanted else "docs/rules.md (A second look) says what is needed")


def _speech(settings: "Settings") -> Finding:
    from video_platform import speech_model

    found = speech_model.find(settings)
    if found.model is not None:
        return Finding("speech", "ok", f"{found.model.name} listens; `vp models check {found.model.name}` tries it")
    if settings.speech.model == speech_model.NONE:
        return Finding("speech", "ok", f"nobody listens: {found.reason}")
    return Finding("speech", "bad" if found.demanded else "look", f"nobody listens: {found.reason}", "docs/speech.md says what listening gives")


def _search(settings: "Settings") -> Finding:
    from video_platform import sentence_model

    found = sentence_model.find(settings)
    if found.model is not None:
        return Finding("search", "ok", f"by words, and by meaning with the model in {found.model.folder}")
    return Finding("search", "ok" if not settings.search.meaning else "look", f"by words alone: {found.reason}", "docs/search.md says what meaning adds")


def _web(settings: "Settings") -> str:
    from video_platform.hosts import is_loopback

    settings.check_exposure()
    web = settings.web
    open_to_all = settings.access.sign_in == "none" and not is_loopback(web.host)
    where = ", reached from the network without sign-in" if open_to_all else ""
    return f"{web.host}:{web.port}{where}, answers for loopback names{''.join(f', {name}' for name in web.hosts)} (VIDEO_PLATFORM_WEB__HOSTS)"


def _sign_in(settings: "Settings") -> Finding:
    from datetime import UTC, datetime

    from video_platform.access import Role
    from video_platform.errors import PlatformError, is_full
    from video_platform.services.database import open_database, users
    from video_platform.services.openid import Provider

    how = settings.access.sign_in
    if how == "none":
        return Finding("sign-in", "ok", "none: whoever reaches the web app may do everything (docs/access.md)")
    try:
        if how == "oidc":
            Provider(settings.oidc, "").begin()
            return Finding("sign-in", "ok", f"at {settings.oidc.issuer}, which answers")
        db = open_database(settings)
        try:
            people = users.listing(db, datetime.now(UTC))
        finally:
            db.dispose()
    except PlatformError as error:
        advice = NO_ROOM if is_full(error) else "look at VIDEO_PLATFORM_OIDC__* and VIDEO_PLATFORM_DATABASE__URL, and whether the servers answer"
        return Finding("sign-in", "bad", error.message, advice)
    admins = sum(user.person.role is Role.ADMIN for user in people)
    found = f"by {'name and password, and by link' if how == 'users' else 'link'}; {len(people)} may sign in, {admins} of them as admin"
    return Finding(
        "sign-in", "ok" if admins else "look", found, "" if admins else "`vp users add NAME --role admin` adds one, else nobody can do what admins may"
    )


def _running(settings: "Settings") -> Finding:
    from video_platform.catalog import ADDRESSES_FILE
    from video_platform.supervisor import lock

    if settings.dagster.code_server:
        return Finding(
            "running", "ok", "each process has a container or machine of its own: the page Pipeline and /api/healthz say which of them do their work"
        )
    owner = lock.owner(settings.lock_file)
    if owner is None:
        return Finding("running", "look", "nothing runs on this home", "`vp up` starts it; `vp process PATH` needs nothing running")
    addresses = ""
    with suppress(OSError):
        addresses = f"; {Path(settings.home / ADDRESSES_FILE).read_text()}"
    return Finding("running", "ok", f"{owner.what}, process {owner.pid}, since {owner.since}{addresses}")
