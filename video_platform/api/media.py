"""Bytes of a video's files, by signed address, with Range, from whatever store holds them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from video_platform.api.problems import problem
from video_platform.api.services import Ours
from video_platform.api.signing import MediaSigner, SignatureRefused, open_signer
from video_platform.layout import api_media
from video_platform.records import FileEntry

__all__ = ["MediaSigner", "SignatureRefused", "open_signer", "router"]

router = APIRouter(tags=["media"])

SHOWN_INLINE = frozenset(
    {"video/mp4", "video/webm", "video/quicktime", "video/x-matroska", "image/jpeg", "image/png", "image/webp", "application/json", "text/vtt"}
)
"""What a browser may show; anything else is handed over as a file of unknown kind, so that nothing a visitor uploaded runs as a page of ours."""

POLICY = "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'"
"""Even if a file were taken for a document it has no origin and may load nothing but itself."""

MAX_NAME = 200
"""Characters of a file name in a header: below what file systems and proxies allow."""


class RangeNotSatisfiable(ValueError):
    """A range that starts behind the end of the file."""


@dataclass(frozen=True)
class Span:
    """`length` bytes from `offset`."""

    offset: int
    length: int


def parse_range(header: str | None, size_bytes: int) -> Span | None:
    """The one span that a Range header asks for, None when the whole file is to be sent.

    As RFC 9110 allows, what is malformed, of another unit or of several ranges is answered with the whole file.

    Raises:
        RangeNotSatisfiable: the span holds no byte of the file.
    """
    if header is None:
        return None
    unit, _, wanted = header.partition("=")
    first, dash, last = wanted.strip().partition("-")
    first, last = first.strip(), last.strip()
    digits = all(text == "" or (text.isascii() and text.isdecimal() and len(text) <= 18) for text in (first, last))
    if unit.strip().lower() != "bytes" or not dash or not digits or not (first or last):
        return None
    if not first:
        length = min(int(last), size_bytes)
        if length == 0:
            raise RangeNotSatisfiable(header)
        return Span(size_bytes - length, length)
    start, end = int(first), int(last) if last else size_bytes - 1
    if last and end < start:
        return None
    if start >= size_bytes:
        raise RangeNotSatisfiable(header)
    return Span(start, min(end, size_bytes - 1) - start + 1)


def disposition(kind: str, name: str) -> str:
    """A Content-Disposition header for a file of any name: an ASCII form for old clients and the true one as RFC 5987 writes it."""
    clean = "".join(sign if sign.isprintable() else "_" for sign in name.replace("/", "_").replace("\\", "_"))[:MAX_NAME].strip(" .") or "file"
    plain = "".join(sign if " " <= sign <= "~" and sign not in '"%;' else "_" for sign in clean)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(clean.encode('utf-8', 'replace'), safe='')}"


class ObjectResponse(StreamingResponse):
    """Streams an opened object in chunks; it is opened before the first header leaves, so that a lost object is an error and not a cut answer."""

    def __init__(self, source: AbstractContextManager[Iterator[bytes]], status: int, headers: dict[str, str], media_type: str) -> None:
        super().__init__(iter(()), status, headers, media_type)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chunks = await run_in_threadpool(self._source.__enter__)
        try:
            self.body_iterator = iterate_in_threadpool(chunks)
            await super().__call__(scope, receive, send)
        finally:
            self._source.__exit__(None, None, None)


@router.head("/videos/{video_id}/media/{asset}/{name}", include_in_schema=False)
@router.get("/videos/{video_id}/media/{asset}/{name}", response_class=Response, operation_id="get_media")
def media(
    request: Request,
    ours: Ours,
    video_id: str,
    asset: str,
    name: str,
    expires: Annotated[str, Query(max_length=32)] = "",
    signature: Annotated[str, Query(max_length=200)] = "",
    download: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """One file of a video, in parts if a Range is asked for. The address comes signed from the other routes and ends after some minutes."""
    request.app.state.signer.check(_signed_path(video_id, asset, name), expires, signature, ours.person)
    entry = ours.catalog.media_file(video_id, asset, name)
    headers = _headers(entry, download, request.app.state.signer.life_s)
    if _none_match(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        with ours.catalog.open_file(entry, length=0):  # footage that stays where it lies may be gone
            pass
        return Response(status_code=200, headers=headers | {"content-length": str(entry.size_bytes)}, media_type=_media_type(entry))
    wanted = request.headers.get("range")
    if wanted is not None and request.headers.get("if-range", headers["etag"]).strip() != headers["etag"]:
        wanted = None
    try:
        span = parse_range(wanted, entry.size_bytes)
    except RangeNotSatisfiable:
        text = f"this file has {entry.size_bytes} bytes; the range starts behind its end"
        return problem(416, "Range Not Satisfiable", text, headers={"content-range": f"bytes */{entry.size_bytes}", "accept-ranges": "bytes"})
    if span is None:
        return ObjectResponse(ours.catalog.open_file(entry), 200, headers | {"content-length": str(entry.size_bytes)}, _media_type(entry))
    headers["content-range"] = f"bytes {span.offset}-{span.offset + span.length - 1}/{entry.size_bytes}"
    headers["content-length"] = str(span.length)
    return ObjectResponse(ours.catalog.open_file(entry, offset=span.offset, length=span.length), 206, headers, _media_type(entry))


def _signed_path(video_id: str, asset: str, name: str) -> str:
    """The path as it was signed; a video id that is none never was."""
    try:
        return api_media(video_id, asset, name)
    except ValueError as error:
        raise SignatureRefused("this address was not made by this server") from error


def _headers(entry: FileEntry, download: str | None, life_s: float) -> dict[str, str]:
    inline = download is None and entry.media_type in SHOWN_INLINE
    return {
        "etag": f'"{entry.sha256}"',
        "accept-ranges": "bytes",
        "cache-control": f"private, max-age={int(life_s)}, immutable",
        "content-disposition": disposition("inline" if inline else "attachment", download or entry.name),
        "content-security-policy": POLICY,
    }


def _media_type(entry: FileEntry) -> str:
    return entry.media_type if entry.media_type in SHOWN_INLINE else "application/octet-stream"


def _none_match(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in header.split(","))
