"""Which pictures of a stream no other is decoded from, told by the headers of their packets: those that a decoder may leave out.

A packet holds units, each after its length (MP4, Matroska) or after a start code (transport streams, raw files). The first unit of a picture says it for all
of that picture: H.264 by `nal_ref_idc` (ITU-T H.264, 7.4.1), HEVC by its type (ITU-T H.265, table 7-1).
"""

from collections.abc import Iterator

START_CODE = b"\x00\x00\x01"

H264_PICTURES = range(1, 6)
HEVC_PICTURES = range(32)
"""Types of units that hold a part of a picture."""

HEVC_UNREFERENCED = range(0, 15, 2)
"""Types of pictures of which none of the same layer is decoded."""

IN_AVCC, IN_HVCC = 4, 21
"""Byte of a stream's header that says in its last two bits how long lengths are, less one."""


class References:
    """Of one stream of `codec`, h264 or hevc, with its `header` as the container stores it, which may be empty."""

    def __init__(self, codec: str, header: bytes | None) -> None:
        self._h264 = codec == "h264"
        at = IN_AVCC if self._h264 else IN_HVCC
        self._length = (header[at] & 3) + 1 if header and len(header) > at and header[0] == 1 else 0

    def unreferenced(self, data: bytes) -> bool:
        """Whether the picture of this packet may be left out; not where it holds none, or what is no unit."""
        for first in self._firsts(data):
            kind = first & 31 if self._h264 else first >> 1 & 63
            if kind in (H264_PICTURES if self._h264 else HEVC_PICTURES):
                return first >> 5 & 3 == 0 if self._h264 else kind in HEVC_UNREFERENCED
        return False

    def _firsts(self, data: bytes) -> Iterator[int]:
        """The first byte of each unit."""
        at = 0 if self._length else data.find(START_CODE)
        while 0 <= at < len(data):
            begins = at + (self._length or len(START_CODE))
            if begins >= len(data):
                return
            yield data[begins]
            at = begins + int.from_bytes(data[at:begins], "big") if self._length else data.find(START_CODE, begins)
