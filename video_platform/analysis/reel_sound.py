"""The sound of a reel: that of its pieces, from videos of any kind, in one AAC track; silence where a piece has none."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from video_platform.analysis.audio import BIT_RATE
from video_platform.analysis.media import decoded
from video_platform.analysis.sound import DRIFT_S, SILENCE_CHUNK_S, is_usable

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream
    from av.container.output import OutputContainer

RATE = 48_000
CHANNELS = 2
LAYOUT = "stereo"


class ReelSound:
    """Sound of one output; call `begin` for each piece, `write` for its packets, `end` when it is over. Use it from one thread."""

    def __init__(self, output: "OutputContainer") -> None:
        self._output = output
        self._stream = output.add_stream("aac", rate=RATE, layout=LAYOUT)
        self._stream.bit_rate = BIT_RATE
        self._source: Any = None
        self._resampler: Any = None
        self._written = 0
        self._shift_s = self._until_s = 0.0
        self._placing = True
        self.errors = 0

    def begin(self, source: "AudioStream | None", *, origin_s: float, at_s: float, end_s: float) -> None:
        """What comes next is of `source`: its moment `origin_s` (seconds on its container's clock) is heard at `at_s`, and nothing of it after `end_s`."""
        import av

        self._source = source.codec_context if source is not None and is_usable(source) else None
        self._resampler = av.AudioResampler(format="fltp", layout=LAYOUT, rate=RATE)
        self._shift_s, self._until_s = at_s - origin_s, end_s
        self._placing = True
        self._silence(round(at_s * RATE) - self._written)

    def write(self, packet: "av.Packet") -> None:
        """Decode one packet and place its sound; damaged packets are left out and counted."""
        if self._source is None:
            return
        frames = decoded(self._source, packet)
        if frames is None:
            self.errors += 1
        for frame in frames or ():
            self._place(frame)

    def end(self, at_s: float) -> None:
        """The piece is over at `at_s`: silence up to there where its sound ended before."""
        self._silence(round(at_s * RATE) - self._written)

    def finish(self) -> None:
        """Encode what is still held back."""
        self._output.mux(self._stream.encode(None))

    def _place(self, frame: Any) -> None:
        """Encode what of a decoded frame belongs to the piece, where its time stamp says."""
        from av.error import FFmpegError

        try:
            parts = [part.to_ndarray() for part in self._resampler.resample(frame)]
        except (FFmpegError, ValueError) as error:
            if isinstance(error, MemoryError):
                raise
            self._source, self.errors = None, self.errors + 1
            return
        if not parts:
            return
        block = np.concatenate(parts, axis=1)
        if frame.pts is not None and frame.time_base:
            gap = round((float(frame.pts * frame.time_base) + self._shift_s) * RATE) - self._written
            drift = 0.0 if self._placing else DRIFT_S * RATE  # a piece begins where its pictures do; within it a clock may be a little unsteady
            if gap > drift:
                self._silence(min(gap, round(self._until_s * RATE) - self._written))
            elif gap < -drift:
                block = block[:, min(block.shape[1], -gap) :]
        block = block[:, : max(0, round(self._until_s * RATE) - self._written)]
        if block.shape[1]:
            self._placing = False
            self._encode(block)

    def _silence(self, count: int) -> None:
        chunk = round(SILENCE_CHUNK_S * RATE)
        for start in range(0, count, chunk):
            self._encode(np.zeros((CHANNELS, min(chunk, count - start)), np.float32))

    def _encode(self, block: "np.ndarray[Any, Any]") -> None:
        import av

        made = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=LAYOUT)
        made.sample_rate, made.pts, made.time_base = RATE, self._written, Fraction(1, RATE)
        self._written += block.shape[1]
        self._output.mux(self._stream.encode(made))
