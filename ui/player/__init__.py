"""The player: a video with boxes drawn over its playing picture, a timeline, and rows of the page that seek it.

`player` and `moments` of one page belong together by the same `player` name. A row seeks in the browser alone; Python does not run, nothing reloads.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ui.component import registered

_HERE = Path(__file__).parent
_PLAYER = registered("player", _HERE, "../clipboard.js", "boxes.js", "timeline.js")
_MOMENTS = registered("moments", _HERE)


@dataclass(frozen=True)
class StripScene:
    """A scene on the timeline; `thumbnail` is an address or None."""

    start_s: float
    end_s: float
    thumbnail: str | None


@dataclass(frozen=True)
class StripAlert:
    """An alert on the timeline; `severity` is info, warning or critical."""

    id: str
    rule: str
    severity: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Span:
    """A moment that a row points at, and the words on its chip."""

    at_s: float
    label: str


@dataclass(frozen=True)
class Tag:
    """A short coloured word of a row: gray, blue, green, orange or red."""

    text: str
    color: str


@dataclass(frozen=True)
class Row:
    """A sentence or fact; clicking it seeks to the first span. `muted` rows are shown as less certain."""

    text: str
    spans: Sequence[Span] = ()
    note: str = ""
    tag: Tag | None = None
    muted: bool = False


def player(
    name: str,
    *,
    src: str,
    version: str,
    alt: str,
    page: str,
    poster: str | None = None,
    tracks: str | None = None,
    tracks_version: str = "",
    subtitles: str | None = None,
    subtitles_version: str = "",
    language: str | None = None,
    start_s: float | None = None,
    duration_s: float | None = None,
    pictures_s: float | None = None,
    width: int | None = None,
    height: int | None = None,
    sound: bool = False,
    scenes: Sequence[StripScene] = (),
    alerts: Sequence[StripAlert] = (),
) -> None:
    """Show the player called `name` (one per page).

    `page` is the path of this page, for links to a moment. `src`, `poster` and `tracks` are signed addresses, which may change at will; the video is loaded
    again only when `version` (what the file says) changes, and then at the moment being watched. `tracks` answers a `records.TrackSheet`, `subtitles` WebVTT in
    `language`. `start_s` is a moment to go to; it acts when it changes. `pictures_s` is when the pictures end, None where nobody knows: sound may
    go on, and what is asked for then shows the last picture.
    """
    data = {
        "player": name,
        "src": src,
        "version": version,
        "alt": alt,
        "page": page,
        "poster": poster,
        "tracks": tracks,
        "tracks_version": tracks_version,
        "subtitles": subtitles,
        "subtitles_version": subtitles_version,
        "language": language,
        "start_s": start_s,
        "duration_s": duration_s,
        "pictures_s": pictures_s,
        "width": width,
        "height": height,
        "sound": sound,
        "scenes": [asdict(scene) for scene in scenes],
        "alerts": [asdict(alert) for alert in alerts],
    }
    _PLAYER(key=f"player-{name}", data=data)


def moments(name: str, rows: Sequence[Row], *, player: str, alt: str) -> None:
    """Show rows that seek the player called `player`; `name` tells this list from others on the page."""
    _MOMENTS(key=f"moments-{name}", data={"player": player, "alt": alt, "rows": [asdict(row) for row in rows]})
