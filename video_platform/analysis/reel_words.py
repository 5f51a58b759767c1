"""Chapters and subtitles of a reel as WebVTT (https://www.w3.org/TR/webvtt1/), and reading the subtitles of a video."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from video_platform.analysis.passages import plain

HEADER = "WEBVTT\n"
TIMING = re.compile(r"((?:\d{2,}:)?\d{2}:\d{2}\.\d{3})[ \t]+-->[ \t]+((?:\d{2,}:)?\d{2}:\d{2}\.\d{3})(?:[ \t].*)?")
TAG = re.compile(r"<[^>]*>")
ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&lrm;", ""), ("&rlm;", ""), ("&amp;", "&"))

MAX_CUES = 20_000
"""Of one file that is read: a day of speech has fewer."""

MIN_CUE_S = 0.3
"""What is left of a cue at the edge of a piece is shown from this length on."""


@dataclass(frozen=True)
class Cue:
    """A line of text from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    text: str


def vtt(cues: Iterable[Cue]) -> str:
    """A WebVTT file; texts are cleaned, and marked-up so that nothing in them is markup."""
    blocks = [HEADER]
    for cue in cues:
        text = plain(cue.text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if text and cue.end_s > cue.start_s:
            blocks.append(f"{_time(cue.start_s)} --> {_time(cue.end_s)}\n{text}\n")
    return "\n".join(blocks)


def cues_of(text: str) -> list[Cue]:
    """The cues of a WebVTT file in order of time, without markup and settings; what is no cue is left out."""
    found = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        lines = block.strip("\n").split("\n")
        place = next((index for index, line in enumerate(lines[:2]) if TIMING.fullmatch(line.strip())), None)
        if place is None:
            continue
        match = TIMING.fullmatch(lines[place].strip())
        words = plain(_unescaped(" ".join(lines[place + 1 :])))
        if match and words:
            found.append(Cue(_seconds(match[1]), _seconds(match[2]), words))
    return sorted(found, key=lambda cue: (cue.start_s, cue.end_s))[:MAX_CUES]


def shown(cues: Sequence[Cue], start_s: float, end_s: float, at_s: float) -> list[Cue]:
    """What of `cues` is said from `start_s` to `end_s` of a video, on the clock of a reel that shows this span from `at_s` on."""
    found = []
    for cue in cues:
        first, last = max(cue.start_s, start_s), min(cue.end_s, end_s)
        if last - first >= min(MIN_CUE_S, cue.end_s - cue.start_s) > 0:
            found.append(Cue(at_s + first - start_s, at_s + last - start_s, cue.text))
    return found


def _unescaped(text: str) -> str:
    text = TAG.sub("", text)
    for written, meant in ENTITIES:
        text = text.replace(written, meant)
    return text


def _seconds(text: str) -> float:
    parts = text.split(":")
    return sum(float(part) * 60**place for place, part in enumerate(reversed(parts)))


def _time(seconds: float) -> str:
    whole = max(0, round(seconds * 1000))
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d}.{whole % 1000:03d}"
