"""Sound decoded into samples on the picture's clock: gaps become silence, what overlaps is left out. For copies that browsers play, and for speech."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from video_platform.analysis.media import decoded

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream

log = logging.getLogger(__name__)

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


def is_usable(source: "AudioStream | None") -> bool:
    """Whether this sound has a form that can be decoded here."""
    return (
        source is not None
        and source.codec_context is not None
        and source.codec_context.sample_rate in PLAUSIBLE_RATES
        and 0 < source.codec_context.channels <= MAX_CHANNELS
    )


class Sound:
    """Decodes the packets of one stream; samples are float32, (channels, samples), from second 0 of the picture on without holes."""

    def __init__(self, source: "AudioStream", *, rate: int, layout: str, origin_s: Fraction) -> None:
        """`rate` is in samples a second, `layout` mono or stereo; `origin_s` is the time on the container's clock that becomes second 0."""
        import av

        self._context, self._rate, self._origin_s = source.codec_context, rate, origin_s
        self._channels = 1 if layout == "mono" else 2
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        self._given = 0
        self._picture_s = 0.0
        self._given_up = False
        self.errors = 0

    def rebase(self, origin_s: Fraction) -> None:
        """From here on, `origin_s` on the source's clock is second 0 of the samples."""
        self._origin_s = origin_s

    def reached(self, time_s: float) -> None:
        """There are pictures up to here."""
        self._picture_s = max(self._picture_s, time_s)

    def samples(self, packet: "av.Packet | None") -> Iterator[NDArray[np.float32]]:
        """The samples of one packet; damaged packets are left out and counted. None asks for what the decoder still holds."""
        if self._given_up:
            return
        frames = decoded(self._context, packet)
        if frames is None:
            self.errors += 1
        for frame in frames or ():
            yield from self._placed(frame)

    def rest(self) -> Iterator[NDArray[np.float32]]:
        """What decoder and resampler still hold, once there are no more packets."""
        yield from self.samples(None)
        for part in self._resampled(None):
            yield self._counted(part)

    def _placed(self, frame: Any) -> Iterator[NDArray[np.float32]]:
        """The samples of a decoded frame where its time stamp says, after the silence before them."""
        starts_at = None
        if frame.pts is not None and frame.time_base:
            starts_at = round((frame.pts * frame.time_base - self._origin_s) * self._rate)
        parts = self._resampled(frame)
        if not parts:
            return
        block = np.concatenate(parts, axis=1)
        if starts_at is not None:
            gap = starts_at - self._given
            if gap > MAX_GAP_S * self._rate or starts_at > (self._picture_s + MAX_AHEAD_S) * self._rate:
                self.errors += 1
            elif gap > DRIFT_S * self._rate:
                yield from self._silence(gap)
            elif gap < -DRIFT_S * self._rate:
                block = block[:, min(block.shape[1], -gap) :]
        if block.shape[1]:
            yield self._counted(block)

    def _resampled(self, frame: Any) -> list[NDArray[np.float32]]:
        """The sound of a frame in the wanted form; none, and none from here on, when it has a form that nothing takes."""
        from av.error import FFmpegError

        if self._given_up:
            return []
        try:
            return [np.asarray(part.to_ndarray(), np.float32) for part in self._resampler.resample(frame)]
        except (FFmpegError, ValueError) as error:
            if isinstance(error, MemoryError):
                raise
            log.warning("the sound is left out from here on: %s", error)
            self._given_up = True
            self.errors += 1
            return []

    def _silence(self, count: int) -> Iterator[NDArray[np.float32]]:
        chunk = max(1, int(SILENCE_CHUNK_S * self._rate))
        for start in range(0, count, chunk):
            yield self._counted(np.zeros((self._channels, min(chunk, count - start)), np.float32))

    def _counted(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        self._given += block.shape[1]
        return block
