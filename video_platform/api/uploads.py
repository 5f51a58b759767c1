"""Taking footage in over HTTP with flat memory: the body is hashed and written while it arrives, in both forms that clients send.

A raw body is the file itself, described by the query. A multipart form carries one file part; its fields may come before or after the file.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from video_platform.api.shapes import Instant
from video_platform.deeds import Deeds
from video_platform.errors import InputError, UploadRefused
from video_platform.ingest import Incoming, Ingest, Ingested
from video_platform.ingest_files import DEFAULT_CAMERA, check_camera, display_name
from video_platform.records import Lane
from video_platform.services.database import refusals
from video_platform.settings import Settings

WRITE_BYTES = 1024 * 1024
"""Bytes gathered before a thread hashes and writes them: with fewer, hops between threads cost more than the work; more is memory for nothing."""

MAX_FIELDS = 16
"""Parts of a form; ours has five."""

MAX_FIELD_BYTES = 4096
"""Bytes of one field of a form; a camera's name and an instant are far below."""

FORM_OVERHEAD_BYTES = 64 * 1024
"""What the frame of a form may add to its file before its declared length alone is a reason to refuse it."""

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


@dataclass(frozen=True)
class Description:
    """What the sender says of the footage."""

    name: str | None = None
    camera: str = DEFAULT_CAMERA
    recorded_at: datetime | None = None
    lane: Lane = Lane.LIVE


class _Spout:
    """Counts and gathers the bytes of one upload, and hands them to the sink in a thread."""

    def __init__(self, sink: Incoming, limit: int) -> None:
        self._sink = sink
        self._limit = limit
        self._total = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    async def put(self, data: bytes) -> None:
        self._total += len(data)
        if self._total > self._limit:
            raise too_large(self._limit)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= WRITE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting, self._waiting_bytes = [], 0
            await run_in_threadpool(self._sink.write, data)


def limit_of(settings: Settings) -> int:
    """The largest file that may be uploaded, bytes."""
    return min(settings.web.max_upload_bytes, settings.media.max_bytes)


def too_large(limit: int) -> UploadRefused:
    """The refusal of a file above `limit` bytes."""
    return UploadRefused("too_large", f"At most {_in_words(limit)} ({limit:,} bytes) can be uploaded here.", limit_bytes=limit)


async def take_in(request: Request, ingest: Ingest, settings: Settings, described: Description, deeds: Deeds) -> Ingested:
    """Read the body of `request`, which who does `deeds` sends, into the platform; a client that goes away, or anything that fails, leaves nothing behind.

    Raises:
        UploadRefused: too large, empty, or not a form that this understands.
        starlette.requests.ClientDisconnect: the sender went away.
    """
    limit = limit_of(settings)
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary") if kind == b"multipart/form-data" else None
    if kind.startswith(b"multipart/") and not boundary:
        raise InputError("the body says multipart without form-data and a boundary; send a form with one file, or the file itself")
    declared = request.headers.get("content-length", "")
    try:
        if declared.isdecimal() and int(declared) > limit + (FORM_OVERHEAD_BYTES if boundary else 0):
            raise too_large(limit)
        return await (_form(request, ingest, limit, boundary, described, deeds) if boundary else _raw(request, ingest, limit, described, deeds))
    except UploadRefused as refused:
        if "limit_bytes" in refused.facts:
            await run_in_threadpool(_note, ingest, described, refused)
        raise


def _note(ingest: Ingest, described: Description, refused: UploadRefused) -> None:
    """Write a refusal of our own down for the page that lists them; `Ingest` does so for its own."""
    name = display_name(described.name or "upload")
    refusals.add(ingest.db, name=name, camera=described.camera, code=str(refused.facts["code"]), message=refused.message, now=datetime.now(UTC))


async def _raw(request: Request, ingest: Ingest, limit: int, described: Description, deeds: Deeds) -> Ingested:
    incoming = await run_in_threadpool(_begin, ingest, described, deeds)
    try:
        spout = _Spout(incoming, limit)
        async for chunk in request.stream():
            await spout.put(chunk)
        await spout.flush()
        return await run_in_threadpool(incoming.finish)
    except BaseException:
        # Also for a cancelled task: the server is going down or the client is gone, and the spool must not keep half a file.
        incoming.abort()
        raise


async def _form(request: Request, ingest: Ingest, limit: int, boundary: bytes, described: Description, deeds: Deeds) -> Ingested:
    form = _Form(boundary)
    incoming = None
    try:
        spout: _Spout | None = None
        async for piece in _pieces(request, form):
            if incoming is None:
                incoming = await run_in_threadpool(_begin, ingest, form.describe(described), deeds)
                spout = _Spout(incoming, limit)
            if spout is not None:
                await spout.put(piece)
        if not form.ended:
            raise InputError("the form ends in the middle; send it again")
        if incoming is None or spout is None:
            raise UploadRefused("empty", "The form has no file part with bytes in it.")
        await spout.flush()
        final = form.describe(described)
        return await run_in_threadpool(lambda: incoming.finish(name=final.name, camera=final.camera, recorded_at=final.recorded_at, lane=final.lane))
    except BaseException:
        if incoming is not None:
            incoming.abort()
        raise


async def _pieces(request: Request, form: "_Form") -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        for piece in form.feed(chunk):
            yield piece


def _begin(ingest: Ingest, described: Description, deeds: Deeds):
    return ingest.begin_stream(described.name or "upload", described.camera, described.recorded_at, described.lane, person=deeds.person, noted=deeds.uploaded)


class _Form:
    """A multipart form read as it arrives: fields are kept, the bytes of its one file are handed on."""

    def __init__(self, boundary: bytes) -> None:
        self.ended = False
        self._fields: dict[str, bytes] = {}
        self._file_name: str | None = None
        self._files = 0
        self._pieces: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._header_name = b""
        self._header_value = b""
        self._field: str | None = None
        self._parts = 0
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._header_name_continues,
                    "on_header_value": self._header_value_continues,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._part_continues,
                    "on_end": self._form_ends,
                },
            )
        except FormParserError as error:
            raise InputError(f"the form cannot be read: {error}") from error

    def feed(self, data: bytes) -> list[bytes]:
        """Read on; the bytes of the file that were in `data`."""
        if self.ended:
            return []
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InputError(f"the form cannot be read: {error}") from error
        pieces, self._pieces = self._pieces, []
        return pieces

    def describe(self, given: Description) -> Description:
        """What the form says so far, over what the query says."""
        texts = {name: value.decode("utf-8", "replace").strip() for name, value in self._fields.items()}
        name = texts.get("name") or given.name or self._file_name
        described = replace(given, name=name)
        if texts.get("camera"):
            described = replace(described, camera=check_camera(texts["camera"]))
        if texts.get("recorded_at"):
            described = replace(described, recorded_at=_instant(texts["recorded_at"]))
        if texts.get("lane"):
            described = replace(described, lane=_lane(texts["lane"]))
        return described

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MAX_FIELDS:
            raise InputError(f"the form has more than {MAX_FIELDS} parts")
        self._headers, self._field = {}, None

    def _header_name_continues(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_continues(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        # Browsers write file names in UTF-8, although headers are Latin-1 by the letter.
        self._headers[self._header_name.decode("latin-1").lower()] = self._header_value.decode("latin-1")
        self._header_name, self._header_value = b"", b""

    def _headers_end(self) -> None:
        kind, options = parse_options_header(self._headers.get("content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise InputError("a part of the form has no name")
        if b"filename" not in options:
            self._field = options[b"name"].decode("utf-8", "replace")
            self._fields[self._field] = b""
            return
        self._files += 1
        if self._files > 1:
            raise InputError("the form has more than one file; send one form for each")
        # Browsers write quotes and line ends of a name as %22, %0D, %0A and nothing else.
        name = options[b"filename"].decode("utf-8", "replace")
        self._file_name = name.replace("%22", chr(34)).replace("%0D", "\r").replace("%0A", "\n") or None

    def _part_continues(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._pieces.append(data[start:end])
            return
        self._fields[self._field] += data[start:end]
        if len(self._fields[self._field]) > MAX_FIELD_BYTES:
            raise InputError(f"field {self._field[:80]!r} of the form is longer than {MAX_FIELD_BYTES} bytes; a file part needs a filename")

    def _form_ends(self) -> None:
        self.ended = True


def _instant(text: str) -> datetime:
    try:
        return INSTANT.validate_python(text)
    except ValidationError as error:
        raise InputError(f"recorded_at {text[:80]!r} is not an instant with a time zone, like 2026-11-23T14:05:00Z") from error


def _lane(text: str) -> Lane:
    try:
        return Lane(text)
    except ValueError as error:
        raise InputError(f"lane {text[:40]!r} is none of {', '.join(Lane)}") from error


def _in_words(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:,.0f} {unit}" if size == int(size) else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")
