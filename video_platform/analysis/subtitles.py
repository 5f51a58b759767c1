"""Subtitles in WebVTT from a transcript; its words are hostile text, so nothing in them can be markup or the end of a cue."""

from collections.abc import Iterator, Sequence

from video_platform.records import SpeechSegment, SpokenWord

CUE_CHARACTERS = 84
"""Two lines of 42, as broadcasters have it."""

CUE_S = 6.0
"""Longest time of one cue: what is read at ease."""

LEAST_CUE_S = 0.3
"""A shorter cue only flickers; it stays until then, or until the next one."""


def vtt(segments: Sequence[SpeechSegment]) -> str:
    """The subtitles, cues in order of time."""
    cues = sorted(cue for segment in segments for cue in _cues(segment))
    starts = [start for start, _, _ in cues]
    lines = ["WEBVTT", ""]
    for number, (start, end, text) in enumerate(cues):
        following = starts[number + 1] if number + 1 < len(cues) else float("inf")
        shown_until = max(end, min(start + LEAST_CUE_S, following))
        lines += [f"{_stamp(start)} --> {_stamp(max(shown_until, start + 0.001))}", _escaped(text), ""]
    return "\n".join(lines)


def _cues(segment: SpeechSegment) -> Iterator[tuple[float, float, str]]:
    """`(start_s, end_s, text)`: a segment whole, or where it is too long, by its words."""
    if not segment.words or (len(segment.text) <= CUE_CHARACTERS and segment.end_s - segment.start_s <= CUE_S):
        yield segment.start_s, segment.end_s, segment.text
        return
    held: list[SpokenWord] = []
    for word in segment.words:
        if held and (len(_line(held)) + 1 + len(word.text) > CUE_CHARACTERS or word.end_s - held[0].start_s > CUE_S):
            yield held[0].start_s, held[-1].end_s, _line(held)
            held = []
        held.append(word)
    yield held[0].start_s, held[-1].end_s, _line(held)


def _line(words: Sequence[SpokenWord]) -> str:
    return " ".join(word.text for word in words)


def _escaped(text: str) -> str:
    """On one line, with `&`, `<` and `>` as WebVTT wants them: so there is no tag, no `-->` and no blank line."""
    plain = " ".join(text.split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _stamp(seconds: float) -> str:
    thousandths = round(max(0.0, seconds) * 1000)
    return f"{thousandths // 3_600_000:02d}:{thousandths // 60_000 % 60:02d}:{thousandths // 1000 % 60:02d}.{thousandths % 1000:03d}"
