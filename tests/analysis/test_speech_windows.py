"""Windows of voice in sound that comes in pieces; here sound is voice where it is not silent, so what must be found is known."""

import numpy as np
import pytest

from video_platform.analysis.speech_windows import BLOCK_S, RATE, WINDOW_S, joined, windows

SECOND = RATE


def loud(sound):
    """Stretches that are not silent, cut at the longest that a window may be."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (sound != 0).astype(int), [0]])))
    found = []
    for start, end in edges.reshape(-1, 2).tolist():
        found += [(at, min(at + int(WINDOW_S * RATE), end)) for at in range(start, end, int(WINDOW_S * RATE))]
    return found


def sound_of(length_s, spans_s):
    """Samples that number themselves where there is voice, so that every window shows where it came from."""
    sound = np.zeros(int(length_s * RATE), np.float32)
    for start, end in spans_s:
        at = np.arange(int(start * RATE), int(end * RATE))
        sound[at] = at + 1
    return sound


def pieces(sound, size):
    return [sound[at : at + size] for at in range(0, len(sound), size)]


def test_no_sound_and_silence_have_no_windows():
    assert list(windows([], loud)) == []
    assert list(windows([np.zeros(RATE, np.float32)], loud)) == []


def test_near_stretches_are_heard_together_and_far_ones_apart():
    assert joined([(0, SECOND), (2 * SECOND, 3 * SECOND), (9 * SECOND, 10 * SECOND)]) == [[(0, SECOND), (2 * SECOND, 3 * SECOND)], [(9 * SECOND, 10 * SECOND)]]


def test_no_window_is_longer_than_the_model_hears():
    found = list(windows([sound_of(100, [(second, second + 0.5) for second in range(100)])], loud))
    assert len(found) > 3
    assert all(len(each.samples) <= WINDOW_S * RATE for each in found)
    assert sum(each.voice_s for each in found) == pytest.approx(50.0)


@pytest.mark.parametrize("size", [1024, 70 * RATE, 10**9], ids=["frames", "long pieces", "all at once"])
def test_windows_lie_where_the_voice_is_however_the_sound_is_cut(size):
    """Also across the borders of what is looked at at once (120 s)."""
    spans = [(3, 5), (5.5, 9), (BLOCK_S - 1, BLOCK_S + 4), (2 * BLOCK_S - 0.5, 2 * BLOCK_S), (300, 330), (399.5, 400)]
    sound = sound_of(400, spans)
    found = list(windows(pieces(sound, size), loud))
    for each in found:
        first = int(each.start_s * RATE)
        assert np.array_equal(each.samples, sound[first : first + len(each.samples)])
    assert sum(each.voice_s for each in found) == pytest.approx(sum(end - start for start, end in spans))
    assert [round(each.start_s, 3) for each in found][:3] == [3.0, BLOCK_S - 1, 2 * BLOCK_S - 0.5]
    assert found[0].voice_s == pytest.approx(5.5)
    starts = [each.start_s for each in found]
    assert starts == sorted(starts)
