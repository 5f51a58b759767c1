"""What a file's first bytes say, before any demuxer sees them: names the failed state of what is not a video."""

import os
import struct
from typing import Protocol

from video_platform.errors import MediaError

HEAD_BYTES = 4096
"""Enough for every signature below and for telling text from data."""

TEXT_SAMPLE_BYTES = 512
"""A container has zero bytes or control characters long before this."""

POINTERS = (
    b"#EXTM3U",
    b"#EXT-X",
    b"ffconcat",
    b"v=0",
    b"<?xml",
    b"<MPD",
    b"<smil",
    b"[playlist]",
    b"[Reference]",
    b"http://",
    b"https://",
    b"rtsp://",
    b"file:",
)
"""Beginnings of texts that name other files or addresses: playlists, manifests, session descriptions, lists of parts."""

SOUND = {b"ID3": "MP3", b"fLaC": "FLAC", b"\xff\xfb": "MP3", b"\xff\xf3": "MP3", b"\xff\xf2": "MP3", b"\xff\xf1": "AAC", b"\xff\xf9": "AAC", b"#!AMR": "AMR"}
PICTURES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "bitmap", b"II*\x00": "TIFF", b"MM\x00*": "TIFF"}
OTHERS = {
    b"OggS": "Ogg",
    b"FLV\x01": "Flash video",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "Windows Media (ASF)",
    b"\x06\x0e\x2b\x34": "MXF",
    b".RMF": "RealMedia",
    b"PK\x03\x04": "a ZIP archive",
    b"%PDF": "a PDF",
}

MAX_BOXES = 10_000
"""Top-level boxes that are looked at in search of the index of an MP4; fragmented recordings have two per fragment."""


class Bytes(Protocol):
    """What is needed of a file."""

    size_bytes: int

    def head(self, size: int) -> bytes:
        """The first bytes."""
        ...

    def fileno(self) -> int:
        """The descriptor."""
        ...


def sniff(file: Bytes) -> None:
    """Refuse what is known not to be a video; MediaError with the failed state."""
    head = file.head(HEAD_BYTES)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.lower().startswith(tuple(pointer.lower() for pointer in POINTERS)):
        raise MediaError("format_refused", "It is a text that points at other files; give the video itself.")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        raise MediaError("no_video_stream", "It is a WAVE sound file.")
    for signature, name in SOUND.items():
        if head.startswith(signature):
            raise MediaError("no_video_stream", f"It is a sound file ({name}).")
    for signature, name in PICTURES.items():
        if head.startswith(signature):
            raise MediaError("not_a_video", f"It is a single picture ({name}).")
    for signature, name in OTHERS.items():
        if head.startswith(signature):
            raise MediaError("format_refused", f"It is {name}; accepted are MP4, MOV, Matroska, WebM, AVI and MPEG.")
    if _is_text(head[:TEXT_SAMPLE_BYTES]):
        raise MediaError("not_a_video", "It is a text.")


def why_unopened(file: Bytes, formats: str) -> MediaError:
    """The failed state of a file that no accepted demuxer could open."""
    head = file.head(HEAD_BYTES)
    if _is_iso_media(head):
        if index_is_cut(file):
            return MediaError("truncated", "Its index (moov) is missing: the recording was cut off before it was finished, and cannot be played by anything.")
        return MediaError("not_a_video", "It begins like an MP4 but its index is damaged.")
    if head[:4] == b"\x1aE\xdf\xa3":
        return MediaError("truncated" if file.size_bytes < HEAD_BYTES else "not_a_video", "It begins like Matroska but its header cannot be read.")
    if head[:4] == b"RIFF":
        return MediaError("truncated" if file.size_bytes < HEAD_BYTES else "not_a_video", "It begins like AVI but its header cannot be read.")
    return MediaError("not_a_video", f"None of the accepted containers ({formats}) recognises it.")


def index_is_cut(file: Bytes) -> bool:
    """Whether this is an MP4 or MOV whose index is missing or ends too early."""
    return _is_iso_media(file.head(HEAD_BYTES)) and not _has_box(file, b"moov")


def _is_iso_media(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")


def _is_text(head: bytes) -> bool:
    """Whether these bytes are printable UTF-8 (a character cut at the end is forgiven)."""
    if any(byte < 32 and byte not in b"\t\r\n\f\x1b" for byte in head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and len(head) > 4
    return True


def _has_box(file: Bytes, wanted: bytes) -> bool:
    """Whether an ISO media file has the top-level box `wanted` wholly inside it."""
    offset = 0
    for _ in range(MAX_BOXES):
        header = os.pread(file.fileno(), 16, offset)
        if len(header) < 8:
            return False
        size, kind = struct.unpack(">I4s", header[:8])
        if size == 1 and len(header) == 16:
            size = struct.unpack(">Q", header[8:])[0]
        elif size == 0:
            size = file.size_bytes - offset
        if size < 8 or offset + size > file.size_bytes:
            return False
        if kind == wanted:
            return True
        offset += size
    return False
