"""Subtitles as players read them."""

import re
from itertools import pairwise

from video_platform.analysis.subtitles import CUE_CHARACTERS, CUE_S, vtt
from video_platform.records import SpeechSegment, SpokenWord

CUE = re.compile(r"(\d\d):(\d\d):(\d\d)\.(\d{3}) --> (\d\d):(\d\d):(\d\d)\.(\d{3})")


def segment(text: str, start_s: float = 0.0, word_s: float = 0.4) -> SpeechSegment:
    words = [
        SpokenWord(text=word, start_s=start_s + at * word_s, end_s=start_s + (at + 1) * word_s, probability=0.9) for at, word in enumerate(text.split(" "))
    ]
    return SpeechSegment(id="0", text=text, start_s=start_s, end_s=words[-1].end_s, words=words)


def cues(text: str) -> list[tuple[float, float, str]]:
    """What a player shows: `(start_s, end_s, text)`; fails for a block that is no cue."""
    head, *blocks = text.strip().split("\n\n")
    assert head == "WEBVTT"
    found = []
    for block in blocks:
        times, *lines = block.split("\n")
        match = CUE.fullmatch(times)
        assert match, times
        numbers = [int(each) for each in match.groups()]
        start, end = (hours * 3600 + minutes * 60 + seconds + thousandths / 1000 for hours, minutes, seconds, thousandths in (numbers[:4], numbers[4:]))
        found.append((start, end, "\n".join(lines)))
    return found


def test_times_and_words():
    assert cues(vtt([segment("Please call for help.", 3725.5)])) == [(3725.5, 3727.1, "Please call for help.")]


def test_nothing_said_is_an_empty_file_that_players_read():
    assert cues(vtt([])) == []


def test_a_long_run_of_speech_is_cut_by_its_words():
    text = " ".join(f"word{number}" for number in range(60))
    found = cues(vtt([segment(text, 10.0)]))
    assert " ".join(shown for _, _, shown in found) == text
    assert all(len(shown) <= CUE_CHARACTERS and end - start <= CUE_S + 0.001 for start, end, shown in found)
    assert all(before[1] <= after[0] + 0.001 for before, after in pairwise(found))


def test_words_cannot_end_a_cue_or_be_markup():
    hostile = "<script>x</script> 00:00.000 --> 99:00.000 &amp; <c.red> a\n\nNOTE b"
    ((_, _, shown),) = cues(vtt([segment(hostile)]))
    assert "<" not in shown
    assert "-->" not in shown
    assert "\n" not in shown
    assert "&lt;script&gt;" in shown
    assert "&amp;amp;" in shown


def test_the_shortest_word_is_still_seen():
    word = SpokenWord(text="No!", start_s=1.0, end_s=1.0, probability=0.5)
    ((start, end, _),) = cues(vtt([SpeechSegment(id="0", text="No!", start_s=1.0, end_s=1.0, words=[word])]))
    assert end - start >= 0.3
