"""The embedded object store: a folder, one file per object, the key as its path.

A file is written beside the objects, brought to the disk, and then linked or renamed to its place in one step, so that a kill, a power cut or a full disk
at any moment leaves the old object or the new one. Media types follow from the extension.
"""

import errno
import fcntl
import mimetypes
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from video_platform.errors import InputError, PlatformError, StoreFull, StoreUnavailable
from video_platform.services.object_store import (
    CHUNK_BYTES,
    MAX_GET_BYTES,
    RESERVED,
    ObjectInfo,
    check_folder_prefix,
    check_foreign_key,
    check_key,
    check_prefix,
    missing,
    too_large,
)
from video_platform.units import GIB

LEFTOVER_AGE_S = 6 * 3600.0
"""An unfinished file that nobody wrote to for so long belonged to a killed process: hashing the largest allowed upload takes minutes."""

PLACE_TRIES = 5
"""A delete may take away an emptied folder just before a file is linked into it; then it is made again."""

MEDIA_TYPES = {
    ".avi": "video/x-msvideo",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".parquet": "application/vnd.apache.parquet",
    ".webm": "video/webm",
}
"""What the platform writes and takes in; the rest is looked up in Python's own table, without the system's files."""
_OTHER_TYPES = mimetypes.MimeTypes()

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FolderStore:
    """An `ObjectStore` in the folder `root`, which is made when missing; what killed writers left there is swept away."""

    incoming: Path

    def __init__(self, root: Path, *, leftover_age_s: float = LEFTOVER_AGE_S) -> None:
        self.root = root
        self.incoming = root / RESERVED
        with self._errors("open"):
            self.incoming.mkdir(parents=True, exist_ok=True)
            self._sweep(leftover_age_s)

    def put_file(self, key: str, path: Path, *, media_type: str, if_absent: bool = True, move: bool = False) -> bool:
        """See `ObjectStore.put_file`; moving costs nothing when the file lies in `incoming`."""
        target = self._path(key)
        there = if_absent and _is_object(target)
        if not there:
            path.stat()  # a missing source is the caller's error, not the store's
        with self._errors(key):
            placed = not there and self._take_in(path, target, if_absent=if_absent, move=move)
            if move:
                path.unlink(missing_ok=True)
        return placed

    def put_bytes(self, key: str, data: bytes, *, media_type: str, if_absent: bool = False) -> bool:
        """See `ObjectStore.put_bytes`."""
        target = self._path(key)
        if if_absent and _is_object(target):
            return False
        with self._errors(key), self._unfinished() as unfinished:
            with unfinished.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            return self._place(unfinished, target, if_absent=if_absent)

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """See `ObjectStore.open`."""
        with self._errors(key):
            descriptor = self._open(key)
        try:
            yield self._chunks(key, descriptor, offset, length)
        finally:
            os.close(descriptor)

    def get_bytes(self, key: str, *, max_bytes: int = MAX_GET_BYTES) -> bytes:
        """See `ObjectStore.get_bytes`."""
        with self.open(key, length=max_bytes + 1) as chunks:
            data = b"".join(chunks)
        if len(data) > max_bytes:
            raise too_large(key, self.stat(key).size_bytes, max_bytes)
        return data

    def stat(self, key: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        path = self._path(key)
        with self._errors(key):
            try:
                found = path.lstat()
            except GONE as error:
                raise missing(key) from error
        if not stat.S_ISREG(found.st_mode):
            raise missing(key)
        return _info(key, found)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`; objects that come or go meanwhile may be in it or not."""
        folder, _, start = check_prefix(prefix).rpartition("/")
        with self._errors(prefix):
            yield from self._walk(f"{folder}/" if folder else "", start)

    def delete(self, keys: Iterable[str]) -> int:
        """See `ObjectStore.delete`; folders that become empty go too."""
        removed = 0
        touched: set[Path] = set()
        for path in [self._path(key) for key in keys]:
            with self._errors(str(path)):
                try:
                    path.unlink()
                except GONE:
                    continue
                removed += 1
                touched.add(self._prune(path.parent))
        for folder in touched:
            with self._errors(str(folder)), suppress(FileNotFoundError):  # another delete may have emptied more
                _folder_to_disk(folder)
        return removed

    def delete_prefix(self, prefix: str) -> int:
        """See `ObjectStore.delete_prefix`."""
        return self.delete([info.key for info in self.list(check_folder_prefix(prefix))])

    def take_away(self, info: ObjectInfo) -> bool:
        """See `ObjectStore.take_away`: moved aside first, looked at, put back when it is another file. Its folder stays, whoever records into it needs it."""
        path = self._path(check_foreign_key(info.key))
        with self._errors(info.key), self._unfinished() as aside:
            try:
                path.rename(aside)
            except GONE:
                return False
            same = _is_object(aside) and _info(info.key, aside.lstat()).etag == info.etag
            if not same:
                self._place(aside, path, if_absent=True)  # where a third file came meanwhile, that is the newest
            return same

    def move(self, key: str, target: str) -> None:
        """See `ObjectStore.move`."""
        source, place = self.root / check_foreign_key(key), self._path(target)
        with self._errors(target):
            if not _is_object(source):
                raise missing(key)
            self._make_folder(place.parent)
            source.replace(place)
            _folder_to_disk(place.parent)

    def local_path(self, key: str) -> Path:
        """See `ObjectStore.local_path`."""
        self.stat(key)
        return self._path(key)

    def fetch(self, key: str, folder: Path) -> Path:
        """See `ObjectStore.fetch`: the store's own file."""
        return self.local_path(key)

    def check(self) -> str:
        """See `ObjectStore.check`: writes and removes a small file."""
        with self._errors("check"), self._unfinished() as unfinished:
            unfinished.write_bytes(b"ok")
        return f"folder {self.root}, {shutil.disk_usage(self.root).free / GIB:.1f} GiB free"

    # ---- writing ---------------------------------------------------------------------------------------------------------------------------------------

    def _take_in(self, path: Path, target: Path, *, if_absent: bool, move: bool) -> bool:
        """Bring the file at `path` to `target`: by renaming where it may be consumed and lies on the same file system, else by a copy."""
        if move and path.stat().st_dev == self.incoming.stat().st_dev:
            with path.open("rb") as source:
                os.fsync(source.fileno())
            return self._place(path, target, if_absent=if_absent)
        with self._unfinished() as unfinished:
            shutil.copyfile(path, unfinished)
            with unfinished.open("rb") as copy:
                os.fsync(copy.fileno())
            return self._place(unfinished, target, if_absent=if_absent)

    def _place(self, source: Path, target: Path, *, if_absent: bool) -> bool:
        """Give a finished file its name, in one step that lasts; False when the name was taken and `if_absent`."""
        for attempt in range(PLACE_TRIES):
            try:
                self._make_folder(target.parent)
                placed = self._link(source, target) if if_absent else self._rename(source, target)
            except FileNotFoundError:
                if attempt + 1 == PLACE_TRIES or not source.exists():
                    raise
                continue
            if placed:
                with suppress(FileNotFoundError):  # deleted again already, folder and all
                    _folder_to_disk(target.parent)
            return placed
        raise AssertionError("the last attempt returns or raises")

    def _rename(self, source: Path, target: Path) -> bool:
        source.replace(target)
        return True

    def _link(self, source: Path, target: Path) -> bool:
        """Create only: a hard link fails when the name exists, whoever made it."""
        try:
            os.link(source, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with (self.incoming / "lock").open("w") as lock:  # a file system without hard links: our own processes take turns
                fcntl.flock(lock, fcntl.LOCK_EX)
                return not target.exists() and self._rename(source, target)
        return True

    def _make_folder(self, folder: Path) -> None:
        """Make a folder with its parents; each new name is brought to the disk."""
        if folder.is_dir() or folder == self.root:
            return
        self._make_folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
        if _is_object(folder):  # one look: whoever deletes beside this may take the folder away again, and then placing tries again
            raise NotADirectoryError(errno.ENOTDIR, "an object lies where a folder is needed", str(folder))
        _folder_to_disk(folder.parent)

    @contextmanager
    def _unfinished(self) -> Iterator[Path]:
        """A name for a file in `incoming`, which is gone afterwards."""
        path = self.incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _sweep(self, leftover_age_s: float) -> None:
        oldest = time.time() - leftover_age_s
        for entry in os.scandir(self.incoming):
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and entry.name != "lock" and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()

    def _prune(self, folder: Path) -> Path:
        """Remove `folder` and its parents as far as they are empty; the first one that stays."""
        while folder != self.root:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                break
            folder = folder.parent
        return folder

    # ---- reading ---------------------------------------------------------------------------------------------------------------------------------------

    def _open(self, key: str) -> int:
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except GONE as error:
            raise missing(key) from error
        except OSError as error:
            if error.errno != errno.ELOOP:  # what O_NOFOLLOW says to a symbolic link
                raise
            raise missing(key) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise missing(key)
        return descriptor

    def _chunks(self, key: str, descriptor: int, offset: int, length: int | None) -> Iterator[bytes]:
        left = length
        while left is None or left > 0:
            with self._errors(key):
                chunk = os.pread(descriptor, CHUNK_BYTES if left is None else min(CHUNK_BYTES, left), offset)
            if not chunk:
                return
            yield chunk
            offset += len(chunk)
            left = None if left is None else left - len(chunk)

    def _walk(self, folder: str, start: str) -> Iterator[ObjectInfo]:
        """Objects below `folder` ("" or "a/b/") whose next segment starts with `start`, in the order of whole keys."""
        try:
            entries = [(entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name, entry) for entry in os.scandir(self.root / folder)]
        except GONE:
            return
        for name, entry in sorted(entries, key=lambda pair: os.fsencode(pair[0])):
            if not name.startswith(start) or (not folder and name == f"{RESERVED}/"):
                continue
            if name.endswith("/"):
                yield from self._walk(folder + name, "")
                continue
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield _info(folder + name, found)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except PlatformError:
            raise
        except OSError as error:
            if error.errno in NO_SPACE:
                raise StoreFull(f"no space is left for objects in {self.root}: free some; nothing of {what!r} was stored", path=str(self.root)) from error
            if error.errno in (errno.ENOTDIR, errno.EISDIR):
                raise InputError(f"object key {what!r} cannot be used in a folder: another object is named like its folder or below it", key=what) from error
            raise StoreUnavailable(f"the object folder {self.root} cannot be used for {what!r}: {error.strerror or error}", path=str(self.root)) from error


def _is_object(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    extension = Path(key).suffix.lower()
    media_type = MEDIA_TYPES.get(extension) or _OTHER_TYPES.guess_type(key)[0]
    return ObjectInfo(key, found.st_size, media_type, datetime.fromtimestamp(found.st_mtime, UTC), f"{found.st_mtime_ns:x}-{found.st_size:x}")


def _folder_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
