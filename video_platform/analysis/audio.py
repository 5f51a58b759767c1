"""Sound for a proxy or clip: copied where browsers play it, else encoded as AAC, always on the picture's clock."""

import logging
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from video_platform.analysis.sound import MAX_GAP_S, Sound, is_usable

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream
    from av.container.output import OutputContainer

log = logging.getLogger(__name__)

BIT_RATE = 128_000
SAMPLE_RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
"""Rates that AAC players take; any other becomes 48 kHz."""


class AudioCopy:
    """Copies packets as they are, shifted so that second 0 is the first frame of the picture."""

    def __init__(self, output: "OutputContainer", source: "AudioStream", *, origin_s: Fraction) -> None:
        """`origin_s` is the time on the container's clock that becomes 0."""
        self._output = output
        self._stream = output.add_stream_from_template(source)
        self._time_base = source.time_base or Fraction(1, 90_000)
        self._origin = round(origin_s / self._time_base)
        self._last_dts: int | None = None

    def rebase(self, origin_s: Fraction) -> None:
        """From here on, `origin_s` on the source's clock is second 0 of the output."""
        self._origin = round(origin_s / self._time_base)

    def write(self, packet: "av.Packet") -> None:
        """Write one packet; what begins before second 0, or does not advance, is left out."""
        if packet.pts is None or packet.dts is None:
            return
        pts, dts = packet.pts - self._origin, packet.dts - self._origin
        if self._last_dts is not None and dts - self._last_dts > MAX_GAP_S / self._time_base:
            return  # this time stamp would make the file last for years
        if pts < 0 or (self._last_dts is not None and dts <= self._last_dts):
            return
        self._last_dts = dts
        packet.pts, packet.dts = pts, dts
        packet.stream = self._stream
        self._output.mux(packet)

    def reached(self, time_s: float) -> None:
        """Nothing is put in here, so pictures do not matter."""

    def finish(self) -> None:
        """Nothing is held back."""


class AudioEncode:
    """Decodes packets and encodes AAC; gaps become silence."""

    def __init__(self, output: "OutputContainer", source: "AudioStream", *, origin_s: Fraction) -> None:
        context = source.codec_context
        self._rate = context.sample_rate if context.sample_rate in SAMPLE_RATES else 48_000
        self._layout = "mono" if context.channels == 1 else "stereo"
        self._output = output
        self._stream = output.add_stream("aac", rate=self._rate, layout=self._layout)
        self._stream.bit_rate = BIT_RATE
        self._sound = Sound(source, rate=self._rate, layout=self._layout, origin_s=origin_s)
        self._written = 0

    def rebase(self, origin_s: Fraction) -> None:
        """From here on, `origin_s` on the source's clock is second 0 of the output."""
        self._sound.rebase(origin_s)

    def reached(self, time_s: float) -> None:
        """Pictures are written up to here."""
        self._sound.reached(time_s)

    def write(self, packet: "av.Packet") -> None:
        """Decode one packet and encode its sound; damaged packets are left out."""
        for block in self._sound.samples(packet):
            self._encode(block)

    def finish(self) -> None:
        """Encode what is still held back."""
        for block in self._sound.rest():
            self._encode(block)
        self._output.mux(self._stream.encode(None))

    def _encode(self, block: "np.ndarray[Any, Any]") -> None:
        import av

        made = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._layout)
        made.sample_rate, made.pts, made.time_base = self._rate, self._written, Fraction(1, self._rate)
        self._written += block.shape[1]
        self._output.mux(self._stream.encode(made))


def add_audio(output: "OutputContainer", source: "AudioStream | None", *, origin_s: Fraction, copy: tuple[str, ...]) -> "AudioCopy | AudioEncode | None":
    """Sound for `output`: a copy when the source's codec is among `copy`, else AAC; None when there is no sound or it cannot be had."""
    if source is None or not is_usable(source):
        return None
    from av.error import FFmpegError

    try:
        if source.codec_context.codec.canonical_name in copy:
            return AudioCopy(output, source, origin_s=origin_s)
        return AudioEncode(output, source, origin_s=origin_s)
    except (FFmpegError, ValueError) as error:
        log.warning("the sound is left out: %s", error)
        return None
