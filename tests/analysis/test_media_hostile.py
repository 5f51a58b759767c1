"""Files that try to make the platform open something else: nothing but the file itself is ever opened, on disk or network."""

import ctypes
import os
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import av
import clips
import pytest

from video_platform.analysis import media
from video_platform.errors import MediaError

IN_OPEN = 0x20


class Canary:
    """A web server and a file that nobody may touch; `touched` says whether somebody did."""

    def __init__(self, folder: Path) -> None:
        self.hits: list[str] = []
        canary = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                canary.hits.append(self.path)
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/secret.ts"
        self.sibling = clips.make(folder / "sibling.ts", frames=10).path
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._watch, os.fsencode(self.sibling), IN_OPEN) >= 0

    def touched(self) -> bool:
        try:
            return bool(os.read(self._watch, 65_536))
        except BlockingIOError:
            return bool(self.hits)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        os.close(self._watch)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    made = Canary(tmp_path)
    yield made
    made.close()


def hls(*targets: str) -> bytes:
    parts = "".join(f"#EXTINF:1.0,\n{target}\n" for target in targets)
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n{parts}#EXT-X-ENDLIST\n".encode()


EVIL = {
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


@pytest.mark.parametrize("name", EVIL)
def test_a_file_that_points_elsewhere_is_refused_and_nothing_else_is_opened(tmp_path: Path, canary: Canary, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(EVIL[name](canary))
    with pytest.raises(MediaError) as caught:
        media.probe(path)
    assert caught.value.code in ("format_refused", "not_a_video")
    assert not canary.touched()


def test_the_canary_notices_a_careless_reader(tmp_path: Path, canary: Canary) -> None:
    path = tmp_path / "playlist.m3u8"
    path.write_bytes(hls(canary.sibling.name))
    with av.open(str(path)):
        pass
    assert canary.touched()


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


@pytest.mark.parametrize("kind", ["alis", "url "])
def test_a_movie_that_keeps_its_pictures_in_another_file_gets_none(tmp_path: Path, canary: Canary, kind: str) -> None:
    clip = clips.make(tmp_path / "a.mov", frames=10)
    target = canary.url.encode() + b"\0"
    with_reference(clip.path, alias(canary.sibling.name) if kind == "alis" else struct.pack(">I4sI", 12 + len(target), b"url ", 0) + target)
    try:
        with media.open_video(clip.path) as video:
            for _ in video.container.decode(video.stream):
                pass
    except MediaError:
        pass
    assert not canary.touched()
