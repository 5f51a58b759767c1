"""Chapters and subtitles: what is written is read back, hostile text stays text, and cues go to the clock of the reel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform.analysis.passages import plain
from video_platform.analysis.reel_words import Cue, cues_of, shown, vtt


def test_what_is_written_is_read_back():
    cues = [Cue(0.0, 2.5, "gate: person-enters"), Cue(2.5, 3725.25, "a & b < c")]
    assert vtt(cues).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.500\ngate: person-enters\n")
    assert "01:02:05.250" in vtt(cues)
    assert cues_of(vtt(cues)) == cues


@given(st.text(max_size=200))
def test_no_text_becomes_markup_or_another_cue(text):
    written = vtt([Cue(1.0, 2.0, text), Cue(3.0, 4.0, "after")])
    assert written.count("-->") == (2 if plain(text) else 1)
    assert "<" not in written
    found = cues_of(written)
    assert [cue.text for cue in found] == [each for each in (plain(text), "after") if each]


def test_hostile_files_give_cues_or_nothing():
    text = (
        "WEBVTT\r\n\r\nNOTE nothing\r\n\r\n1\r\n00:01.000 --> 00:02.000 align:left\r\n<v Bob><i>help &amp; fire</i>\r\nnow\r\n\r\n00:xx --> 00:03.000\r\nno\r\n"
    )
    assert cues_of(text) == [Cue(1.0, 2.0, "help & fire now")]
    assert cues_of("") == cues_of("\x00" * 50) == []


@pytest.mark.parametrize(
    ("cue", "expected"),
    [
        (Cue(12.0, 14.0, "in"), (7.0, 9.0)),
        (Cue(8.0, 12.0, "over the start"), (5.0, 7.0)),
        (Cue(19.0, 40.0, "over the end"), (14.0, 15.0)),
        (Cue(9.0, 10.1, "hardly in"), None),
        (Cue(20.0, 22.0, "after"), None),
        (Cue(15.0, 15.1, "short"), (10.0, 10.1)),
    ],
)
def test_cues_go_to_the_clock_of_the_reel(cue, expected):
    """The reel shows 10 to 20 s of the video from its fifth second on."""
    found = [(each.start_s, each.end_s) for each in shown([cue], 10.0, 20.0, 5.0)]
    assert found == ([] if expected is None else [pytest.approx(expected)])
