"""Sound for a proxy or clip: copied where browsers play it, else encoded as AAC, always on the picture's clock."""

import logging
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream
    from av.container.output import OutputContainer

log = logging.getLogger(__name__)

BIT_RATE = 128_000
SAMPLE_RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
"""Rates that AAC players take; any other becomes 48 kHz."""

PLAUSIBLE_RATES = range(4000, 384_001)
"""Sound that says another rate is left out: a second of one sample a second would become 48,000, and a small file gigabytes."""

MAX_CHANNELS = 32
"""More than any camera has, and than a resampler takes."""

DRIFT_S = 0.1
"""Sound that is further than this from where its time stamp says is moved there: silence is put in, or samples are dropped."""

SILENCE_CHUNK_S = 1.0

MAX_GAP_S = 3600.0
"""A longer step of the sound's clock is a clock that was set, as for pictures: the sound goes on where it is."""

MAX_AHEAD_S = 600.0
"""How far silence may run ahead of the pictures: a few damaged packets could otherwise ask for years of it."""


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
        import av

        self._source = context = source.codec_context
        self._rate = context.sample_rate if context.sample_rate in SAMPLE_RATES else 48_000
        self._layout = "mono" if context.channels == 1 else "stereo"
        self._output, self._origin_s = output, origin_s
        self._stream = output.add_stream("aac", rate=self._rate, layout=self._layout)
        self._stream.bit_rate = BIT_RATE
        self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
        self._written = 0
        self._picture_s = 0.0
        self._given_up = False
        self.errors = 0

    def rebase(self, origin_s: Fraction) -> None:
        """From here on, `origin_s` on the source's clock is second 0 of the output."""
        self._origin_s = origin_s

    def reached(self, time_s: float) -> None:
        """Pictures are written up to here."""
        self._picture_s = max(self._picture_s, time_s)

    def write(self, packet: "av.Packet") -> None:
        """Decode one packet and encode its sound; damaged packets are left out and counted."""
        if not self._given_up:
            self._decode(packet)

    def finish(self) -> None:
        """Encode what is still held back."""
        if not self._given_up:
            self._decode(None)
        for part in self._resampled(None):
            self._encode(part)
        self._output.mux(self._stream.encode(None))

    def _decode(self, packet: "av.Packet | None") -> None:
        from av.error import EOFError, FFmpegError

        try:
            frames = self._source.decode(packet)
        except EOFError:
            return
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.errors += 1
            return
        for frame in frames:
            self._place(frame)

    def _place(self, frame: Any) -> None:
        """Encode a decoded frame where its time stamp says."""
        starts_at = None
        if frame.pts is not None and frame.time_base:
            starts_at = round((frame.pts * frame.time_base - self._origin_s) * self._rate)
        samples = self._resampled(frame)
        if not samples:
            return
        block = np.concatenate(samples, axis=1)
        if starts_at is not None:
            gap = starts_at - self._written
            if gap > MAX_GAP_S * self._rate or starts_at > (self._picture_s + MAX_AHEAD_S) * self._rate:
                self.errors += 1
            elif gap > DRIFT_S * self._rate:
                self._silence(gap)
            elif gap < -DRIFT_S * self._rate:
                block = block[:, min(block.shape[1], -gap) :]
        if block.shape[1]:
            self._encode(block)

    def _resampled(self, frame: Any) -> "list[np.ndarray[Any, Any]]":
        """The sound of a frame in the wanted form; none, and none from here on, when it has a form that nothing takes."""
        from av.error import FFmpegError

        if self._given_up:
            return []
        try:
            return [part.to_ndarray() for part in self._resampler.resample(frame)]
        except (FFmpegError, ValueError) as error:
            if isinstance(error, MemoryError):
                raise
            log.warning("the sound is left out from here on: %s", error)
            self._given_up = True
            self.errors += 1
            return []

    def _silence(self, count: int) -> None:
        channels = 1 if self._layout == "mono" else 2
        chunk = max(1, int(SILENCE_CHUNK_S * self._rate))
        for start in range(0, count, chunk):
            self._encode(np.zeros((channels, min(chunk, count - start)), np.float32))

    def _encode(self, block: "np.ndarray[Any, Any]") -> None:
        import av

        made = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._layout)
        made.sample_rate, made.pts, made.time_base = self._rate, self._written, Fraction(1, self._rate)
        self._written += block.shape[1]
        self._output.mux(self._stream.encode(made))


def add_audio(output: "OutputContainer", source: "AudioStream | None", *, origin_s: Fraction, copy: tuple[str, ...]) -> "AudioCopy | AudioEncode | None":
    """Sound for `output`: a copy when the source's codec is among `copy`, else AAC; None when there is no sound or it cannot be had."""
    if (
        source is None
        or source.codec_context is None
        or source.codec_context.sample_rate not in PLAUSIBLE_RATES
        or not 0 < source.codec_context.channels <= MAX_CHANNELS
    ):
        return None
    from av.error import FFmpegError

    try:
        if source.codec_context.codec.canonical_name in copy:
            return AudioCopy(output, source, origin_s=origin_s)
        return AudioEncode(output, source, origin_s=origin_s)
    except (FFmpegError, ValueError) as error:
        log.warning("the sound is left out: %s", error)
        return None
