"""Zones and lines drawn over a real frame; clicking it shows and copies coordinates for the rules file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from streamlit.components.v2 import component

from video_platform.records import Point

_HERE = Path(__file__).parent

_ZONES = component(
    "video_platform_zones",
    html=(_HERE / "zones.html").read_text(encoding="utf-8"),
    css=(_HERE / "zones.css").read_text(encoding="utf-8"),
    js="\n".join(path.read_text(encoding="utf-8") for path in (_HERE.parent / "clipboard.js", _HERE / "zones.js")),
)


def zones(
    image: str,
    *,
    polygons: Mapping[str, Sequence[Point]],
    lines: Mapping[str, tuple[Point, Point]],
    alt: str,
    width: int | None = None,
    height: int | None = None,
) -> None:
    """Show the picture at address `image` with `polygons` and `lines` (name -> points, 0-1 of the frame, y downward) over it.

    `width` and `height` are the frame's pixels; only their ratio counts. A line carries an arrow from its left side to its right.
    """
    data = {
        "image": image,
        "alt": alt,
        "width": width,
        "height": height,
        "zones": [{"name": name, "polygon": [list(point) for point in polygon]} for name, polygon in polygons.items()],
        "lines": [{"name": name, "from": list(start), "to": list(end)} for name, (start, end) in lines.items()],
    }
    _ZONES(key="zones", data=data)
