"""Files that try to make the platform open something else, and a web server and a file that notice when it does."""

import ctypes
import os
import struct
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import clips
from loopback import noting

IN_OPEN = 0x20


class Canary:
    """A web server and a file that nobody may touch; `touched` says whether somebody did."""

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()
        address, self.hits = self._open.enter_context(noting())
        self.url = f"{address}/secret.ts"
        self.sibling = clips.make(folder / "sibling.ts", frames=10).path
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._watch, os.fsencode(self.sibling), IN_OPEN) >= 0

    def touched(self) -> bool:
        try:
            return bool(os.read(self._watch, 65_536))
        except BlockingIOError:
            return bool(self.hits)

    def forget(self) -> None:
        """What has happened so far was the test's own doing."""
        self.hits.clear()
        try:
            os.read(self._watch, 65_536)
        except BlockingIOError:
            return

    def close(self) -> None:
        self._open.close()
        os.close(self._watch)


def hls(*targets: str) -> bytes:
    parts = "".join(f"#EXTINF:1.0,\n{target}\n" for target in targets)
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n{parts}#EXT-X-ENDLIST\n".encode()


EVIL: dict[str, Callable[["Canary"], bytes]] = {
    "playlist-url.mp4": lambda c: hls(c.url),
    "playlist-url.m3u8": lambda c: hls(c.url),
    "playlist-sibling.m3u8": lambda c: hls(c.sibling.name),
    "playlist-file.mp4": lambda c: hls(f"file://{c.sibling}"),
    "playlist-both.ts": lambda c: hls(c.url, c.sibling.name),
    "playlist-bom.mp4": lambda c: b"\xef\xbb\xbf\n" + hls(c.sibling.name),
    "concat.mp4": lambda c: f"ffconcat version 1.0\nfile {c.sibling.name}\n".encode(),
    "concat-absolute.mp4": lambda c: f"ffconcat version 1.0\nfile '{c.sibling}'\n".encode(),
    "concat.ffconcat": lambda c: f"ffconcat version 1.0\nfile {c.url}\n".encode(),
    "session.mp4": lambda c: b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    "session.sdp": lambda c: b"v=0\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 5006 RTP/AVP 33\r\n",
    "manifest.mp4": lambda c: f'<?xml version="1.0"?><MPD type="static" mediaPresentationDuration="PT1S"><BaseURL>{c.url}</BaseURL></MPD>'.encode(),
    "manifest.mpd": lambda c: f"<MPD><Period><BaseURL>{c.sibling}</BaseURL></Period></MPD>".encode(),
    "smooth.ism": lambda c: f'<smil><video src="{c.url}"/></smil>'.encode(),
    "address.mp4": lambda c: c.url.encode(),
    "list.txt": lambda c: f"file '{c.sibling}'\n".encode(),
    "playlist-behind-zeros.mp4": lambda c: bytes(64) + hls(c.url, c.sibling.name),
}
"""Name -> content; none of them is a video."""


def with_reference(path: Path, entry: bytes) -> None:
    """Replace the data reference of an MP4 (whose index stands last) by `entry`, which names another file."""
    data = bytearray(path.read_bytes())
    at = data.index(b"dref") - 4
    size = struct.unpack_from(">I", data, at)[0]
    made = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    grown = len(made) - size
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        start = data.rindex(box, 0, at) - 4
        struct.pack_into(">I", data, start, struct.unpack_from(">I", data, start)[0] + grown)
    data[at : at + size] = made
    path.write_bytes(data)


def alias(name: str) -> bytes:
    """A QuickTime alias record that names a file of the same folder."""
    body = bytearray(150)
    struct.pack_into(">I", body, 0, 0)
    body[50] = min(63, len(name))
    body[51 : 51 + len(name)] = name.encode()
    path = name.encode()
    record = bytes(body) + struct.pack(">hH", 2, len(path)) + path + (b"\0" if len(path) % 2 else b"") + struct.pack(">hH", -1, 0)
    return struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record


def moved_pictures(path: Path, canary: Canary, kind: str) -> None:
    """A movie whose pictures lie in another file, by its data reference."""
    clips.make(path, frames=10)
    target = canary.url.encode() + b"\0"
    with_reference(path, alias(canary.sibling.name) if kind == "alis" else struct.pack(">I4sI", 12 + len(target), b"url ", 0) + target)


def element(identity: bytes, content: bytes) -> bytes:
    """A Matroska element."""
    return identity + struct.pack(">BI", 0x08, len(content)) + content


def linked_segments(path: Path, canary: Canary) -> None:
    """A Matroska file whose next and previous segments lie in other files, by name and by id."""
    clips.make(path, frames=10)
    names = element(b"\x3c\x83\xab", canary.sibling.name.encode()) + element(b"\x3e\x83\xbb", canary.url.encode())
    ids = element(b"\x3c\xb9\x23", bytes(range(16))) + element(b"\x3e\xb9\x23", bytes(range(16, 32)))
    data = path.read_bytes()
    info = data.index(b"\x15\x49\xa9\x66")
    size, digits = data[info + 4], next(count for count in range(1, 9) if data[info + 4] & (0x80 >> count - 1))
    length = int.from_bytes(bytes([size & (0xFF >> digits)]) + data[info + 5 : info + 4 + digits], "big")
    body = data[info + 4 + digits : info + 4 + digits + length]
    # The segment's own size is overwritten by "unknown", so that nothing else has to move.
    segment = data.index(b"\x18\x53\x80\x67")
    head = data[: segment + 4] + b"\x01" + b"\xff" * 7 + data[segment + 12 : info]
    path.write_bytes(head + element(b"\x15\x49\xa9\x66", body + names + ids) + data[info + 4 + digits + length :])


def captions_that_point(path: Path, canary: Canary) -> None:
    """Titles, tags and subtitles with addresses in every way that a player could follow."""
    short = clips.make(path.with_name("short.mkv"), frames=30)
    with av.open(str(short.path)) as source, av.open(str(path), "w") as output:
        pictures = output.add_stream_from_template(source.streams.video[0])
        words = output.add_stream("ass")
        for name in ("title", "artist", "comment", "filename", "url"):
            output.metadata[name] = canary.url if name != "filename" else str(canary.sibling)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                output.mux(packet)
        text = f'0,0,Default,,0,0,0,,<img src="{canary.url}"><a href="{canary.url}">x</a>{{\\fn{canary.url}}} file://{canary.sibling}'
        said = av.Packet(text.encode())
        said.pts = said.dts = 0
        said.time_base, said.duration, said.stream = Fraction(1, 1000), 500, words
        output.mux(said)
    short.path.unlink()


POINTING: dict[str, Callable[[Path, Canary], None]] = {
    "pictures elsewhere on disk": lambda folder, canary: moved_pictures(folder / "a.mov", canary, "alis"),
    "pictures elsewhere on the network": lambda folder, canary: moved_pictures(folder / "a.mov", canary, "url "),
    "linked segments": lambda folder, canary: linked_segments(folder / "a.mkv", canary),
    "captions and fonts": lambda folder, canary: captions_that_point(folder / "a.mkv", canary),
}
"""Real videos that name other files: they may be processed, and nothing else is opened."""
