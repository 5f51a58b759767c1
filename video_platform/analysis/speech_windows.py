"""Where somebody speaks: stretches of voice in sound that comes piece by piece, joined into windows that a speech model hears whole.

Voice is found by Silero VAD, which faster-whisper brings: a small network that gives each 32 ms a probability. Memory does not grow with the sound.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples a second that voice detection and Whisper want."""

WINDOW_S = 28.0
"""Longest window: Whisper hears 30 s at once."""

JOINED_S = 2.0
"""Stretches of voice with a shorter pause between them are heard together: words around a word help to understand it."""

BLOCK_S = 120.0
"""So much sound is looked at at once: 8 MB."""

SHORTEST_MS, PAUSE_MS, PAD_MS = 250, 500, 200
"""A shorter sound is no voice; a shorter pause ends no stretch; so much is heard before and after one, because soft beginnings count as silence."""

Sound = NDArray[np.float32]
Span = tuple[int, int]
FindVoice = Callable[[Sound], Sequence[Span]]
"""Sound -> stretches of voice, first and last sample, in order, none longer than `WINDOW_S`."""


@dataclass(frozen=True, eq=False)
class Window:
    """Sound in which somebody speaks: `samples` at `RATE`, beginning at `start_s`; `voice_s` of it is voice."""

    start_s: float
    samples: Sound
    voice_s: float


def silero() -> FindVoice:
    """Silero VAD; ImportError without the extra [speech]."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        min_speech_duration_ms=SHORTEST_MS, min_silence_duration_ms=PAUSE_MS, speech_pad_ms=PAD_MS, max_speech_duration_s=WINDOW_S - 2 * PAD_MS / 1000
    )
    return lambda sound: [(int(each["start"]), int(each["end"])) for each in get_speech_timestamps(sound, options, RATE)]


def windows(sound: Iterable[Sound], find_voice: FindVoice) -> Iterator[Window]:
    """The windows of sound that comes in pieces of any length, in order. What may go on in the next piece is looked at again with it."""
    first, held, waiting = 0, [], 0
    for piece in sound:
        held.append(piece)
        waiting += len(piece)
        if waiting >= BLOCK_S * RATE:
            block = np.concatenate(held)
            spans, settled = _settled(joined(find_voice(block)), len(block))
            yield from (_window(block, first, span) for span in spans)
            first, held, waiting = first + settled, [block[settled:]], len(block) - settled
    if held:
        block = np.concatenate(held)
        yield from (_window(block, first, span) for span in joined(find_voice(block)))


def joined(stretches: Iterable[Span]) -> list[list[Span]]:
    """Stretches grouped into windows: those near each other together, none longer than `WINDOW_S`."""
    found: list[list[Span]] = []
    for start, end in stretches:
        if found and start - found[-1][-1][1] <= JOINED_S * RATE and end - found[-1][0][0] <= WINDOW_S * RATE:
            found[-1].append((start, end))
        else:
            found.append([(start, end)])
    return found


def _settled(groups: list[list[Span]], length: int) -> tuple[list[list[Span]], int]:
    """The groups that nothing later in the sound can change, and how many samples are done with."""
    whole = length - int(JOINED_S * RATE)
    done = [group for group in groups if group[-1][1] < whole]
    open_from = min((group[0][0] for group in groups if group[-1][1] >= whole), default=whole)
    return done, min(open_from, whole)


def _window(block: Sound, first: int, spans: list[Span]) -> Window:
    start, end = spans[0][0], spans[-1][1]
    return Window((first + start) / RATE, block[start:end], sum(last - begin for begin, last in spans) / RATE)
