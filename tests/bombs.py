"""Small files that ask for a lot: made by hand from honest ones, box by box."""

import os
import random
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import clips
import psutil

Box = tuple[int, int]
"""Where a box begins, and its size."""


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, Box]]:
    """The boxes of an ISO media file between two positions."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        yield kind, (start, size)
        start += max(8, size)


def find(data: bytes, *path: bytes) -> Box:
    """The first box along a path of kinds, such as moov, trak, mdia, mdhd."""
    start, end = 0, len(data)
    for depth, wanted in enumerate(path):
        at, size = next(box for kind, box in boxes(data, start, end) if kind == wanted)
        start, end = at + 8, at + size
        if depth == len(path) - 1:
            return at, size
    raise AssertionError


def put(path: Path, offset: int, value: bytes, *kinds: bytes) -> None:
    """Overwrite bytes at `offset` inside the box along `kinds`."""
    data = bytearray(path.read_bytes())
    at, _ = find(bytes(data), *kinds)
    data[at + offset : at + offset + len(value)] = value
    path.write_bytes(data)


def png_in_mov(path: Path, width: int, height: int) -> None:
    """One black picture of any size, 12000 x 12000 in 420 KB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width * 3 + 1)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    with av.open(str(path), "w", format="mov") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        packet = av.Packet(picture)
        packet.pts = packet.dts = 0
        packet.time_base, packet.stream, packet.is_keyframe = Fraction(1), stream, True
        output.mux(packet)


def large_h264(path: Path, width: int, height: int) -> None:
    """A few black pictures of any size, 8192 x 8192 in a few KB."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "threads": "1", "x264-params": "rc-lookahead=0:sliced-threads=0"}
        frame = av.VideoFrame(width, height, "yuv420p")
        for number in range(2):
            frame.pts, frame.time_base = number, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def many_frames(path: Path, frames: int, per_second: int) -> None:
    """A second of coded pictures, copied again and again: 120,000 of them in a few MB."""
    short = clips.make(path.with_suffix(".ts"), frames=25, size=(64, 64), fps=25, gop=25)
    with av.open(str(short.path)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [(bytes(packet), packet.is_keyframe) for packet in source.demux(video=0) if packet.size]
        for number in range(frames):
            packet = av.Packet(packets[number % len(packets)][0])
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, per_second), stream, packets[number % len(packets)][1]
            output.mux(packet)
    short.path.unlink()


def many_streams(path: Path, count: int) -> None:
    """The one track of a clip, stated `count` times."""
    clips.make(path, frames=10)
    data = path.read_bytes()
    moov, size = find(data, b"moov")
    trak, length = find(data, b"moov", b"trak")
    copies = data[trak : trak + length] * (count - 1)
    path.write_bytes(data[:moov] + struct.pack(">I", size + len(copies)) + data[moov + 4 : moov + size] + copies + data[moov + size :])


def in_moov(path: Path, content: bytes) -> None:
    """Add boxes to the index of a clip; its index stands behind its pictures, so none of them moves."""
    clips.make(path, frames=10)
    data = path.read_bytes()
    moov, size = find(data, b"moov")
    path.write_bytes(data[:moov] + struct.pack(">I", size + len(content)) + data[moov + 4 : moov + size] + content + data[moov + size :])


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def huge_title(path: Path, size_bytes: int) -> None:
    """A title of any length, as phones write it."""
    text = box(b"\xa9nam", box(b"data", struct.pack(">II", 1, 0) + b"A" * size_bytes))
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(10))
    in_moov(path, box(b"udta", box(b"meta", bytes(4) + handler + box(b"ilst", text))))


def nested(path: Path, depth: int) -> None:
    """Boxes in boxes in boxes."""
    content = b""
    for _ in range(depth):
        content = box(b"udta", content) if len(content) < 2**31 else content
    in_moov(path, content)


def stated_count(path: Path, kind: bytes, offset: int) -> None:
    """A table of the index that says it has two thousand million entries."""
    clips.make(path, frames=10, b_frames=1)
    put(path, offset, struct.pack(">I", 0x7FFFFFFF), b"moov", b"trak", b"mdia", b"minf", b"stbl", kind)


def stated_duration(path: Path, duration: int) -> None:
    """Two seconds of pictures that say they last as long as they like."""
    clips.make(path, frames=60)
    put(path, 8 + 4 + 8 + 4, struct.pack(">I", duration), b"moov", b"mvhd")
    put(path, 8 + 4 + 8 + 4, struct.pack(">I", duration), b"moov", b"trak", b"mdia", b"mdhd")


def stamped(path: Path, stamps: Callable[[int], int], frames: int = 60) -> None:
    """Pictures with time stamps of any kind, in units of 1/1000 s."""
    short = clips.make(path.with_suffix(".ts"), frames=frames)
    with av.open(str(short.path)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            packet.pts = packet.dts = stamps(number)
            packet.time_base, packet.stream = Fraction(1, 1000), stream
            output.mux(packet)
    short.path.unlink()


def sound_from_nowhere(path: Path, jump_s: int, codec: str = "mp2") -> None:
    """Sound whose clock jumps ahead again and again, beside two seconds of pictures, in a file that says it lasts two seconds."""
    short = clips.make(path.with_name("short.mkv"), frames=60, audio=codec)
    with av.open(str(short.path)) as source, av.open(str(path), "w") as output:
        made = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        jumps = 0
        for packet in source.demux():
            if not packet.size:
                continue
            if packet.stream.type == "audio":
                jumps += 1
                packet.pts = packet.dts = packet.pts + int(jumps * jump_s / packet.time_base)
            packet.stream = made[packet.stream.index]
            output.mux(packet)
    short.path.unlink()
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3
    path.write_bytes(data[:at] + struct.pack(">d", 2000.0) + data[at + 8 :])


def stated_sound(path: Path, channels: int, rate: int) -> None:
    """Uncompressed sound that says it has so many channels at such a rate."""
    clips.make(path, frames=30, audio="pcm_s16le", audio_rate=48_000)
    data = path.read_bytes()
    at = data.rindex(b"sowt") + 4
    path.write_bytes(data[: at + 16] + struct.pack(">H", channels) + data[at + 18 : at + 24] + struct.pack(">HH", rate, 0) + data[at + 28 :])


def mutated(data: bytes, seed: int) -> bytes:
    """Some bytes changed, cut out or doubled, most of them where the index is."""
    chance = random.Random(seed)
    made = bytearray(data)
    index = data.rfind(b"moov")
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(max(0, index), len(made)) if index > 0 and chance.random() < 0.7 else chance.randrange(len(made))
        match chance.randrange(4):
            case 0:
                made[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
            case 1:
                made[at] ^= 1 << chance.randrange(8)
            case 2:
                del made[at : at + chance.randrange(1, 64)]
            case _:
                made[at:at] = made[at : at + chance.randrange(1, 64)]
        if len(made) < 16:
            break
    return bytes(made)


WORKER = b"video_platform.analysis.worker"


@contextmanager
def peak_of_children() -> Iterator[list[int]]:
    """The largest resident memory that any child of this process has while the block runs, bytes, in a list of one."""
    found, over = [0], threading.Event()
    me = psutil.Process(os.getpid())

    def watch() -> None:
        while not over.is_set():
            for child in me.children():
                try:
                    if WORKER not in Path(f"/proc/{child.pid}/cmdline").read_bytes():
                        continue  # between fork and exec it still has the memory of this process
                    lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
                except OSError:
                    continue
                found[0] = max(found[0], *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
