"""Where a model's files come from, a hub, a server, a folder or an installed package: which files there are, and each of them whole and with its hash.

A hub's branch is resolved to a commit first; every file is compared with the hash of the registry, and with the one that the hub itself states.
"""

import hashlib
import importlib.metadata
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urljoin, urlsplit

import httpx
from pydantic import BaseModel, Field, ValidationError

from video_platform import extras
from video_platform.errors import HubUnavailable, IntegrityError, NotFound, StateError
from video_platform.hosts import is_loopback
from video_platform.model_files import PulledFile
from video_platform.model_registry import TAKEN, Entry, Sha256, SourceKind
from video_platform.settings import PREFIX, Settings

CONNECT_S = 10.0
SILENCE_S = 60.0
"""Longest silence within a download before it is tried again."""

TRIES = 6
"""Connections in a row that bring nothing new before it is given up; what was fetched is kept."""

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
"""Between two tries."""

MAX_LISTING_BYTES = 8 * 1024 * 1024
MAX_FILES = 200
MAX_MODEL_BYTES = 64 * 1024**3
"""Largest model that is fetched, whatever its source says."""

TEXTS = (".json", ".txt")
MAX_TEXT_BYTES = 64 * 1024**2
"""Largest text of a model; they are read whole. The vocabulary of a model of a hundred languages has 17 MB."""

CHUNK_BYTES = 1024 * 1024
PARTIAL_CONTENT = 206
RANGE_REFUSED = 416

DOCS = "docs/models.md"
WITHOUT_NETWORK = (
    f"without a network, bring the model's folder from a machine that has one and name it in an entry of your own (source: folder:/PATH, {DOCS}), "
    f"or set {PREFIX}MODELS__HUB to a mirror"
)


@dataclass(frozen=True)
class Wanted:
    """One file: where it is, and what is known of it before: size, SHA-256, or the hash that git gives a file. `path` for those on this machine."""

    name: str
    url: str = ""
    path: Path | None = None
    size_bytes: int | None = None
    sha256: str = ""
    git_sha1: str = ""

    @property
    def most_bytes(self) -> int:
        """Larger than this it is not what its name says."""
        return MAX_TEXT_BYTES if self.name.endswith(TEXTS) else MAX_MODEL_BYTES


class _Lfs(BaseModel):
    sha256: Sha256


class _Sibling(BaseModel):
    rfilename: str
    size: Annotated[int, Field(ge=0, le=MAX_MODEL_BYTES)] | None = None
    blobId: str = ""
    lfs: _Lfs | None = None


class _Listing(BaseModel):
    sha: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]
    siblings: list[_Sibling]


class Source:
    """The source of one entry: which files it has, and each of them."""

    def __init__(self, settings: Settings, entry: Entry) -> None:
        self._entry = entry
        self._hub = settings.models.hub
        self._base = self._hub if entry.kind is SourceKind.HUB else entry.place
        local = is_loopback(urlsplit(self._base).hostname or "")
        self._client = httpx.Client(
            timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
            follow_redirects=True,
            trust_env=not local,  # proxies of the environment lead to the hub, and nowhere from here to here
            headers={"accept-encoding": "identity"},
            event_hooks={"request": [_checked(local)]},
        )

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def listing(self) -> tuple[str, list[Wanted]]:
        """The exact revision, and the files that are taken of it, texts before weights."""
        match self._entry.kind:
            case SourceKind.HUB:
                revision, wanted = self._on_hub()
            case SourceKind.HTTPS | SourceKind.HTTP:
                base = self._entry.place if self._entry.place.endswith("/") else f"{self._entry.place}/"
                revision, wanted = self._entry.revision, [Wanted(name, urljoin(base, quote(name))) for name in self._entry.sha256]
            case SourceKind.FOLDER:
                revision, wanted = self._entry.revision, _in_folder(self._entry, Path(self._entry.place).expanduser())
            case SourceKind.PIP:
                revision, wanted = _in_package(self._entry)
            case kind:
                raise StateError(f"{self._entry.name} comes from {kind.value}: there is nothing to fetch")
        if len(wanted) > MAX_FILES or sum(each.size_bytes or 0 for each in wanted) > MAX_MODEL_BYTES:
            raise IntegrityError(f"{self._entry.source} is more than {MAX_FILES} files or {MAX_MODEL_BYTES} bytes", model=self._entry.name)
        long = next((each.name for each in wanted if (each.size_bytes or 0) > each.most_bytes), None)
        if long:
            raise IntegrityError(f"{long} of {self._entry.source} is larger than {MAX_TEXT_BYTES} bytes, which no text of a model is", model=self._entry.name)
        return revision, sorted(wanted, key=lambda each: (not each.name.endswith(TEXTS), each.name))

    def bring(self, wanted: Wanted, path: Path, on_progress: Callable[[int], None]) -> PulledFile:
        """The file at `path`, whole and with the right hash."""
        expected = {each for each in (wanted.sha256, self._entry.sha256.get(wanted.name, "")) if each}
        for fresh in (False, True):
            resumed = path.exists() and not fresh
            if fresh:
                path.unlink(missing_ok=True)
            _copied(wanted.path, path, on_progress) if wanted.path else self._downloaded(wanted, path, on_progress)
            sha256, git_sha1 = _hashes(path)
            if expected <= {sha256} and wanted.git_sha1 in ("", git_sha1):
                return PulledFile(sha256=sha256, size_bytes=path.stat().st_size)
            if not resumed:
                break  # what was fetched in one go is wrong at its source
        path.unlink()
        raise IntegrityError(
            f"{wanted.name} of {self._entry.source} has SHA-256 {sha256}, not {', '.join(sorted(expected)) or 'the one that the hub states'}: it was thrown "
            "away; somebody changed it, or the registry names another revision",
            expected=", ".join(sorted(expected)),
            actual=sha256,
        )

    def _on_hub(self) -> tuple[str, list[Wanted]]:
        entry = self._entry
        asked = entry.revision or "main"
        text = self._asked(f"{self._hub}/api/models/{entry.place}/revision/{quote(asked, safe='')}?blobs=true")
        try:
            found = _Listing.model_validate_json(text)
        except ValidationError as error:
            raise HubUnavailable(f"what answers at {self._hub} is no hub of models; {WITHOUT_NETWORK}") from error
        return found.sha, [
            Wanted(
                each.rfilename,
                f"{self._hub}/{entry.place}/resolve/{found.sha}/{quote(each.rfilename)}",
                size_bytes=each.size,
                sha256=each.lfs.sha256 if each.lfs else "",
                git_sha1="" if each.lfs else each.blobId,
            )
            for each in found.siblings
            if _is_taken(entry, each.rfilename)
        ]

    def _asked(self, url: str) -> bytes:
        """A small answer."""
        with _reached(self._base), self._client.stream("GET", url) as reply:
            self._require(reply, url)
            text = b""
            for chunk in reply.iter_bytes():
                text += chunk
                if len(text) > MAX_LISTING_BYTES:
                    raise HubUnavailable(f"the answer of {self._base} is larger than {MAX_LISTING_BYTES} bytes")
            return text

    def _downloaded(self, wanted: Wanted, path: Path, on_progress: Callable[[int], None]) -> None:
        """Bytes after those that are there, over as many connections as it takes; `TRIES` in a row that bring none end it."""
        fruitless, wait_s = 0, FIRST_WAIT_S
        while True:
            before = path.stat().st_size if path.exists() else 0
            if wanted.size_bytes is not None and before == wanted.size_bytes:
                return
            try:
                with _reached(self._base):
                    self._one_connection(wanted, path, before, on_progress)
                return
            except HubUnavailable:
                after = path.stat().st_size if path.exists() else 0
                fruitless, wait_s = (0, FIRST_WAIT_S) if after > before else (fruitless + 1, min(LONGEST_WAIT_S, wait_s * 2))
                if fruitless >= TRIES:
                    raise
            time.sleep(wait_s)

    def _one_connection(self, wanted: Wanted, path: Path, there: int, on_progress: Callable[[int], None]) -> None:
        with self._client.stream("GET", wanted.url, headers={"range": f"bytes={there}-"} if there else {}) as reply:
            if reply.status_code == RANGE_REFUSED:
                path.unlink()
                raise HubUnavailable(f"{self._base} has fewer bytes of {wanted.name} than were fetched")
            self._require(reply, wanted.url)
            follows = reply.status_code == PARTIAL_CONTENT and reply.headers.get("content-range", "").startswith(f"bytes {there}-")
            there = there if follows else 0  # a server that knows no ranges begins anew
            most = wanted.most_bytes if wanted.size_bytes is None else wanted.size_bytes
            with path.open("ab" if follows else "wb") as file:
                for chunk in reply.iter_raw():  # as it comes: what waits for a full chunk would be lost with the connection
                    there += len(chunk)
                    if there > most:
                        file.truncate(0)
                        raise IntegrityError(f"{wanted.name} of {self._entry.source} is larger than {most} bytes", model=self._entry.name)
                    file.write(chunk)
                    on_progress(there)
            if wanted.size_bytes is not None and there < wanted.size_bytes:
                raise HubUnavailable(f"{self._base} ended {wanted.name} after {there} of {wanted.size_bytes} bytes")

    def _require(self, reply: httpx.Response, url: str) -> None:
        where = f"{url.partition('?')[0]} ({reply.status_code})"
        if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
            raise NotFound(
                f"there is no {where}, or not for everybody: look at source and revision of {self._entry.name}; a model that needs an account is fetched by "
                f"you and named as a folder ({DOCS})",
                model=self._entry.name,
            )
        if reply.status_code not in (httpx.codes.OK, PARTIAL_CONTENT):
            raise HubUnavailable(f"no answer that could be used came from {where}")


def _checked(local: bool) -> Callable[[httpx.Request], None]:
    """Redirects lead to https only; from loopback also to loopback."""

    def check(request: httpx.Request) -> None:
        if request.url.scheme != "https" and not (local and is_loopback(request.url.host)):
            raise HubUnavailable(f"the source leads to {request.url.scheme}://{request.url.host}, which is not safe")

    return check


@contextmanager
def _reached(base: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise HubUnavailable(f"{base} does not answer ({type(error).__name__}); {WITHOUT_NETWORK}", address=base) from error


def _is_taken(entry: Entry, name: str) -> bool:
    """Whether a file of the source is fetched: one whose name the engine knows."""
    return bool(TAKEN[entry.runs_on].fullmatch(name))


def _in_folder(entry: Entry, folder: Path) -> list[Wanted]:
    try:
        paths = [path for path in folder.iterdir() if _is_taken(entry, path.name) and path.is_file()]
        return [Wanted(path.name, path=path, size_bytes=path.stat().st_size) for path in paths]
    except OSError as error:
        raise NotFound(f"the folder {folder} of {entry.name} cannot be read: {error.strerror}", path=str(folder)) from error


def _in_package(entry: Entry) -> tuple[str, list[Wanted]]:
    """The files in an installed Python package, which is looked into and never imported."""
    distribution, _, inside = entry.place.partition("/")
    version = f"=={entry.revision}" if entry.revision else ""
    install = extras.install_package(f"{distribution}{version}")
    try:
        package = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError as error:
        raise NotFound(f"the files of {entry.name} come in the Python package {distribution}, which is not installed: {install}", model=entry.name) from error
    if entry.revision and package.version != entry.revision:
        raise NotFound(f"{entry.name} is in {distribution} {entry.revision}, and {package.version} is installed: {install}", model=entry.name)
    return package.version, _in_folder(entry, Path(str(package.locate_file(inside))))


def _copied(source: Path, path: Path, on_progress: Callable[[int], None]) -> None:
    there = 0
    with source.open("rb") as read, path.open("wb") as file:
        while chunk := read.read(CHUNK_BYTES):
            file.write(chunk)
            there += len(chunk)
            on_progress(there)


def _hashes(path: Path) -> tuple[str, str]:
    """SHA-256 of a file, and the hash under which git knows it."""
    sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
            git_sha1.update(chunk)
    return sha256.hexdigest(), git_sha1.hexdigest()
