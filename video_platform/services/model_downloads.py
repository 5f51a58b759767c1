"""Fetching a model's files into a folder that appears only when it is whole.

What is fetched lies in `.NAME.part` beside the others until then, so a pull that was cut off, killed or found the disk full goes on where it stopped. Where
the files come from, and whether they are the right ones, is `model_sources`'.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from video_platform import model_files
from video_platform.errors import IntegrityError, StateError, StoreFull, is_full
from video_platform.model_files import Pulled, PulledFile
from video_platform.model_registry import Entry, Registry
from video_platform.services.model_sources import Source
from video_platform.settings import PREFIX, Settings

MARGIN_BYTES = 64 * 1024**2
"""Of free disk that a model leaves."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and those of the whole (0 when unknown)."""


def pull(settings: Settings, registry: Registry, entry: Entry, *, again: bool = False, on_progress: Progress | None = None) -> Pulled:
    """Have the files of `entry` in its folder, with their record; what is there and right is not fetched `again` unless asked.

    Raises:
        HubUnavailable: the source does not answer, or breaks off again and again.
        IntegrityError: a file has not the promised hash, or the source is no model that can be loaded.
        NotFound: the source has no such model, folder or package.
        StoreFull: no room on the disk. StateError: another process fetches it.
    """
    holder = registry.holder(entry)
    target = model_files.folder(settings, registry, holder)
    with _alone(target):
        there = None if again else _there(settings, registry, holder, target)
        if there is not None:
            return there
        with _disk(target):
            return _fetched(settings, holder, target, on_progress or (lambda done, whole: None))


def _there(settings: Settings, registry: Registry, entry: Entry, target: Path) -> Pulled | None:
    """The record of files that are all there with their sizes; None when something has to be fetched. Whoever loads them compares the hashes."""
    try:
        record = model_files.pulled(settings, registry, entry)
    except IntegrityError:
        return None
    files = record.files if record else {}
    whole = all((target / name).is_file() and (target / name).stat().st_size == each.size_bytes for name, each in files.items())
    return record if whole else None


def _fetched(settings: Settings, entry: Entry, target: Path, on_progress: Progress) -> Pulled:
    with Source(settings, entry) as source:
        revision, wanted = source.listing()
        names = {each.name for each in wanted}
        lost = sorted(set(entry.sha256) - names)
        wrong = f"{lost[0]} is not there" if lost else model_files.problem(entry, names)
        if wrong:
            raise IntegrityError(f"{entry.source} is no model that {entry.runs_on.value} can load here: {wrong}", model=entry.name)
        part = _part(target, f"{entry.source}@{revision}")
        whole = sum(each.size_bytes or 0 for each in wanted)
        _require_room(part, whole)
        files: dict[str, PulledFile] = {}
        for each in wanted:
            done = sum(file.size_bytes for file in files.values())
            files[each.name] = source.bring(each, part / each.name, lambda there, done=done: on_progress(done + there, whole))
    return _finished(entry, revision, part, target, files)


def _finished(entry: Entry, revision: str, part: Path, target: Path, files: Mapping[str, PulledFile]) -> Pulled:
    """Look at what was fetched, write its record, and put the folder in its place."""
    for name in files:
        if name.endswith(".json") and name != model_files.WORDS:
            key = model_files.wants_code((part / name).read_bytes())
            if key:
                shutil.rmtree(part)
                raise IntegrityError(f"{entry.source}: {name} wants code to be run that comes with the model ({key}); that is not done", model=entry.name)
    try:
        classes = model_files.classes_of(entry, part)
    except IntegrityError:
        shutil.rmtree(part)
        raise
    record = Pulled(source=entry.source, asked=entry.revision, revision=revision, files=dict(files), classes=classes, pulled_at=datetime.now(UTC))
    (part / SOURCE_NOTE).unlink(missing_ok=True)
    for stray in {path.name for path in part.iterdir()} - set(files):
        (part / stray).unlink()
    (part / model_files.RECORD).write_text(record.model_dump_json(indent=1))
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return record


SOURCE_NOTE = ".source"
"""Beside files that are being fetched: which source and revision they are of."""


def _part(target: Path, source: str) -> Path:
    """The folder in which files are gathered; emptied when it held those of another source or revision."""
    part = target.with_name(f".{target.name}.part")
    note = part / SOURCE_NOTE
    if part.exists() and (not note.is_file() or note.read_text() != source):
        shutil.rmtree(part)
    part.mkdir(parents=True, exist_ok=True)
    note.write_text(source)
    return part


def _require_room(part: Path, whole: int) -> None:
    there = sum(path.stat().st_size for path in part.iterdir())
    free = shutil.disk_usage(part).free
    if whole - there + MARGIN_BYTES > free:
        raise StoreFull(
            f"{part.parent} has {free / 1e9:.1f} GB free, and {(whole - there) / 1e9:.1f} GB are to be fetched: free some, or name another folder with "
            f"{PREFIX}MODELS__FOLDER",
            path=str(part.parent),
        )


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One process fetches a model at a time."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock").open("w")
    except OSError as error:
        if is_full(error):
            raise StoreFull(f"no space is left in {target.parent}", path=str(target.parent)) from error
        raise StateError(f"{target.parent} cannot be written: {error.strerror}; name another folder with {PREFIX}MODELS__FOLDER") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(f"another process is fetching {target.name}; wait for it") from error
        yield


@contextmanager
def _disk(target: Path) -> Iterator[None]:
    """A full disk is named; what was fetched so far stays."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StoreFull(f"no space is left in {target.parent}; free some and pull again: it goes on where it stopped", path=str(target.parent)) from error
        raise
