"""Footage as files: what a path may be, what a file is called, what it is, and which files of a folder count."""

import fcntl
import os
import re
import signal
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from video_platform.errors import InputError, UploadRefused

CAMERA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFAULT_CAMERA = "default"

MAX_NAME = 200
"""Characters of a name that are kept: it is only shown, and 300-character names break every list."""

HEAD_BYTES = 4096
"""What is looked at to tell a container format: transport stream packets repeat every 188 bytes, everything else is told by less."""

MEDIA_TYPES = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "ts": "video/mp2t",
    "mts": "video/mp2t",
    "m2ts": "video/mp2t",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "flv": "video/x-flv",
    "wmv": "video/x-ms-wmv",
    "ogv": "video/ogg",
}
"""Extensions that may be footage, with their media types."""

UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".download", ".aria2", ".swp", "~")
"""Endings under which other programs write what is not whole yet; a leading dot says the same (rsync, our own exports)."""

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""What an address looks like; `Path` makes one slash of two."""

UNKNOWN = ("bin", "application/octet-stream")
BIDI_AND_INVISIBLE = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF}
"""Characters that turn or hide text: `cod.4pm` must not be shown as another name. The joiner of emoji stays."""


class Skipped(NamedTuple):
    """A path in a folder that is not footage; `code` is a key of `errors.MEDIA_CODES`, `reason` a sentence."""

    path: Path
    code: str
    reason: str


class Collected(NamedTuple):
    """What a path given by a person stands for."""

    files: list[Path]
    skipped: list[Skipped]


def check_camera(camera: str) -> str:
    """`camera`, when it can be the name of one.

    Raises:
        InputError: with the rule.
    """
    if CAMERA.fullmatch(camera) is None:
        raise InputError(
            f"camera name {camera[:80]!r} cannot be used: letters, digits, '.', '_' and '-', at most 64 of them, beginning with a letter or digit",
            camera=camera,
        )
    return camera


def display_name(name: str) -> str:
    """`name` as it may be shown: its last path segment in one line, control characters replaced, at most `MAX_NAME` characters, the extension kept."""
    text = "".join(_shown(character) for character in unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode()))
    text = " ".join(text.replace("\\", "/").rstrip("/").rpartition("/")[2].split())
    if not text.strip(". _?"):
        return "unnamed"
    stem, dot, extension = text.rpartition(".")
    if len(text) > MAX_NAME and dot and len(extension) <= 8:
        return f"{stem[: MAX_NAME - len(extension) - 2]}….{extension}"
    return text[:MAX_NAME]


def kind_of(head: bytes, name: str) -> tuple[str, str]:
    """`(extension, media type)` by the first bytes, else by the name; `UNKNOWN` when neither tells."""
    extension = _signature(head)
    if extension is None:
        ending = name.rpartition(".")[2].lower()
        extension = ending if ending in MEDIA_TYPES else None
    return UNKNOWN if extension is None else (extension, MEDIA_TYPES[extension])


def is_named_footage(path: Path) -> bool:
    """Whether the name alone says that this is footage."""
    return path.suffix.lower().removeprefix(".") in MEDIA_TYPES


def is_unfinished(name: str) -> bool:
    """Whether the name of a file says that its writer is not done."""
    return name.startswith(".") or name.lower().endswith(UNFINISHED)


def open_footage(path: Path, max_bytes: int) -> BinaryIO:
    """The file at `path`, opened for reading without ever waiting for it.

    Raises:
        UploadRefused: `unreadable` (a folder, pipe, socket or device, missing, no permission), `empty`, `too_large`.
    """
    try:
        _refuse_other_than_file(path, path.stat().st_mode)  # before opening: opening a device can act on it
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if isinstance(error, FileNotFoundError) and ADDRESS.match(str(path)):
            reason = "addresses are not fetched; download the footage and give the file"
        raise UploadRefused("unreadable", f"{_shown_path(path)}: {reason}.", path=str(path)) from error
    try:
        found = os.fstat(descriptor)
        _refuse_other_than_file(path, found.st_mode)
        if found.st_size == 0:
            raise UploadRefused("empty", f"{_shown_path(path)}: record or copy it again.", path=str(path))
        refuse_too_large(found.st_size, max_bytes, _shown_path(path))
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def has_writer(file: BinaryIO) -> bool:
    """Whether some process holds this file open for writing, as far as the system tells.

    Linux grants a read lease only on a file that nobody writes; it is given back at once. Where there are no leases, or the file is somebody else's, the
    answer is no.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # who opens the file meanwhile makes the kernel signal us: with one that is ignored
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def refuse_too_large(size_bytes: int, max_bytes: int, what: str) -> None:
    """Raise `UploadRefused` (`too_large`) above the limit."""
    if size_bytes > max_bytes:
        rule = f"{what} has {size_bytes} bytes or more, the limit is {max_bytes} (VIDEO_PLATFORM_MEDIA__MAX_BYTES)."
        raise UploadRefused("too_large", rule, size_bytes=size_bytes, max_bytes=max_bytes)


def collect(path: Path) -> Collected:
    """The footage that `path` stands for: itself, or what a folder holds, sorted; everything else of the folder with the reason why it is skipped.

    Links are followed only to files inside the folder: a link must not bring in what its owner did not mean to share.
    """
    if not os.path.isdir(path):  # noqa: PTH112  (`Path.is_dir` raises on a name that is too long)
        return Collected([path], [])
    found = Collected([], [])
    root = path.resolve()
    for entry in _walk(path, found.skipped):
        problem = _why_not(entry, root)
        if problem is None:
            found.files.append(entry)
        else:
            found.skipped.append(Skipped(entry, *problem))
    return found


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    def report(error: OSError) -> None:
        skipped.append(Skipped(Path(error.filename), "unreadable", f"this folder cannot be read: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=report, followlinks=False):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        skipped.extend(Skipped(Path(parent, name), "unreadable", "links to folders are not followed; name the folder itself") for name in linked)
        folders[:] = sorted(name for name in folders if name not in linked and not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _why_not(path: Path, root: Path) -> tuple[str, str] | None:
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            return "unreadable", "a link that leads out of the folder is not followed; name the file itself"
        with open_footage(path, max_bytes=2**63) as file:
            head = file.read(HEAD_BYTES)
    except UploadRefused as error:
        return str(error.code), error.message
    except OSError as error:
        return "unreadable", error.strerror or str(error)
    if kind_of(head, path.name) == UNKNOWN:
        return "not_a_video", "neither name nor content say that this is a video"
    return None


def _refuse_other_than_file(path: Path, mode: int) -> None:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    if not stat.S_ISREG(mode):
        raise UploadRefused("unreadable", f"{_shown_path(path)} is {kinds.get(stat.S_IFMT(mode), 'not a file')}; give a file.", path=str(path))


def _signature(head: bytes) -> str | None:
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov" if head[8:12] == b"qt  " or head[4:8] != b"ftyp" else "mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    if len(head) > 188 * 3 and all(head[at] == 0x47 for at in (0, 188, 376)):
        return "ts"
    starts = {b"FLV\x01": "flv", b"OggS": "ogv", b"\x00\x00\x01\xba": "mpg", b"\x00\x00\x01\xb3": "mpg", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "wmv"}
    return next((extension for start, extension in starts.items() if head.startswith(start)), None)


def _shown(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cs") or ord(character) in BIDI_AND_INVISIBLE:
        return " " if character in "\t\n\r" else "_"
    return character


def _shown_path(path: Path) -> str:
    """A path for messages: on one line, without control characters."""
    return "".join(_shown(character) for character in str(path).encode("utf-8", "replace").decode())[-500:]
