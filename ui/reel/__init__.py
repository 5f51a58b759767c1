"""A reel: a film with its chapters beside it and subtitles over it. A chapter seeks in the browser alone."""

from collections.abc import Callable
from pathlib import Path

from ui.component import registered
from video_platform.records import ReelPiece
from video_platform.reels import Reel

_REEL = registered("reel", Path(__file__).parent)


def reel(name: str, found: Reel, *, src: str, alt: str, page_of: Callable[[ReelPiece], str]) -> None:
    """Show the reel called `name` (one per page) from the signed address `src`; `page_of` gives the path of the page where a piece is seen whole."""
    data = {
        "src": src,
        "version": found.film.sha256,
        "alt": alt,
        "chapters": [{"at_s": piece.at_s, "end_s": piece.end_s, "title": piece.title, "page": page_of(piece)} for piece in found.pieces],
        "subtitles": [{"start_s": cue.start_s, "end_s": cue.end_s, "text": cue.text} for cue in found.subtitles],
    }
    _REEL(key=f"reel-{name}", data=data)
