"""`vp watch`: take in what appears in a folder."""

import os
import re
import signal
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from video_platform.platform import Platform

SETTLED_S = 10.0
"""A file counts once neither its size nor its time has changed for so long: recorders write in bursts of a few seconds."""

LOOK_S = 2.0
"""Between two looks at the folder; polling also works on network drives, where change notifications do not."""

CAMERA_CHARACTERS = 64
"""Longest camera name (`ingest_files.check_camera`)."""

RETRY_S = 60.0
"""A file that could not be taken for a passing reason (the store is full or away) is tried again after this long."""


@dataclass(frozen=True)
class Seen:
    """A file as one look found it; equal twice, `SETTLED_S` apart, means that nobody writes it."""

    size_bytes: int
    modified_ns: int


class Journal:
    """What was taken from a folder, in the home, so that a restart takes nothing twice. A file that changed counts as new."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS taken (path BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL, outcome TEXT NOT NULL)"
        )

    def knows(self, path: Path, seen: Seen) -> bool:
        """Whether this very file was dealt with."""
        row = self._connection.execute("SELECT size_bytes, modified_ns FROM taken WHERE path = ?", (os.fsencode(path),)).fetchone()
        return row == (seen.size_bytes, seen.modified_ns)

    def record(self, path: Path, seen: Seen, outcome: str) -> None:
        """Remember that this file was dealt with; `outcome` is its video id, or why it was refused."""
        self._connection.execute("INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?)", (os.fsencode(path), seen.size_bytes, seen.modified_ns, outcome))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Watch:
    """The state of watching one folder: since when each file looks as it does."""

    def __init__(self, folder: Path, journal: Journal, *, settled_s: float = SETTLED_S) -> None:
        self._folder = folder
        self._journal = journal
        self._settled_s = settled_s
        self._since: dict[Path, tuple[Seen, float]] = {}

    def settled(self, now: float) -> list[tuple[Path, Seen]]:
        """Look once; files that are new to the journal and have not changed for long enough. `now` is monotonic seconds."""
        current: dict[Path, tuple[Seen, float]] = {}
        for path, seen in _files(self._folder):
            before = self._since.get(path)
            current[path] = before if before is not None and before[0] == seen else (seen, now)
        self._since = current
        return [(path, seen) for path, (seen, since) in sorted(current.items()) if now - since >= self._settled_s and not self._journal.knows(path, seen)]

    def unsettled(self, now: float) -> int:
        """How many files the last look found that are neither dealt with nor to be tried again later."""
        return sum(since <= now and not self._journal.knows(path, seen) for path, (seen, since) in self._since.items())

    def wait_again(self, path: Path, now: float) -> None:
        """Do not offer this file again before `RETRY_S` from now."""
        seen, _ = self._since[path]
        self._since[path] = (seen, now + RETRY_S - self._settled_s)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("watch")(watch)


def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; DIR/gate-1/x.mp4 is footage of camera gate-1.")],
    camera: Annotated[str, typer.Option("--camera", help="The camera of files that lie in DIR itself.")] = "default",
    in_place: Annotated[bool, typer.Option("--in-place", help="Leave the files where they lie: read from there, never copied, moved or deleted.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Take what is there now, then end.")] = False,
) -> None:
    """Take in every video that appears in a folder, once it is whole (unchanged for 10 s); a running `vp up` processes it. Ctrl-C ends it."""
    from video_platform.cli import opening, output
    from video_platform.errors import NotFound
    from video_platform.ingest_files import check_camera

    if not folder.is_dir():
        raise NotFound(f"{output.safe(folder)} is not a folder; make it, or name another one")
    check_camera(camera)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with opening.platform() as platform:
        journal = Journal(platform.settings.home / "watch.db")
        try:
            failed = _run(platform, Watch(folder.absolute(), journal), journal, folder.absolute(), camera, stop, once=once, in_place=in_place)
        finally:
            journal.close()
    if failed and once:
        raise typer.Exit(1)


def _run(platform: "Platform", watching: Watch, journal: Journal, folder: Path, camera: str, stop: threading.Event, *, once: bool, in_place: bool) -> int:
    from video_platform.cli import opening, output
    from video_platform.cli.ingest import see_the_same

    output.say(f"watching {output.safe(folder)}; Ctrl-C ends it")
    if in_place:
        output.note(see_the_same(platform.settings))
    if opening.nobody_processes(platform.settings):
        output.note("nothing processes on this home now; start `vp up`")
    failed = 0
    while not stop.is_set():
        now = time.monotonic()
        for path, seen in watching.settled(now):
            if stop.is_set():
                break
            outcome = _take(platform, path, camera_of(folder, path, camera), in_place=in_place)
            if outcome is None:
                failed += 1
                watching.wait_again(path, now)
            else:
                failed += outcome.startswith("refused")
                journal.record(path, seen, outcome)
        if once and not watching.unsettled(now):
            break
        stop.wait(LOOK_S)
    return failed


def _take(platform: "Platform", path: Path, camera: str, *, in_place: bool) -> str | None:
    """Take one file in; its video id, or "refused: …", or None when it is worth trying again."""
    from video_platform.cli import output
    from video_platform.cli.ingest import arrived, where
    from video_platform.errors import InputError, PlatformError

    try:
        taken = platform.ingest.ingest_path(path, camera=camera, in_place=in_place)
    except InputError as error:
        output.note(output.failure(path, error))
        return None if error.facts.get("code") == "changing" else f"refused: {error}"
    except (PlatformError, OSError) as error:
        output.note(f"{output.failure(path, error)}; it is tried again in {RETRY_S:g} s")
        return None
    output.say(f"{output.safe(path)}: {taken.video_id} {arrived(taken)}, camera {output.safe(camera)}{where(taken.record)}")
    return taken.video_id


def camera_of(folder: Path, path: Path, default: str) -> str:
    """The camera of a file: the first folder below the watched one, `default` for a file that lies in it."""
    below = path.relative_to(folder).parts[:-1]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", below[0]).strip("-._")[:CAMERA_CHARACTERS] if below else ""
    return name or default


def _files(folder: Path) -> Iterator[tuple[Path, Seen]]:
    """Every finished-looking video file below `folder`; links are not followed, what cannot be read is passed over until it can."""
    from video_platform.ingest_files import is_named_footage, is_unfinished

    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if is_unfinished(name) or not is_named_footage(Path(name)):
                continue
            path = Path(root, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield path, Seen(status.st_size, status.st_mtime_ns)
