"""A picture of one shape for all footage, upright or wide, that opens a page of the app; a sign in its place while there is none."""

from pathlib import Path

from ui.component import registered

_PICTURE = registered("picture", Path(__file__).parent)


def picture(name: str, *, src: str | None, shape: str, href: str, alt: str, length: str = "") -> bool:
    """Show the picture at address `src`, or the sign `shape` (received, processing, ready, failed); True in the run after it was clicked.

    `name` is unique on the page; `href` is where a click in a new tab leads; `length` is written in the corner.
    """
    data = {"src": src, "shape": shape, "href": href, "alt": alt, "length": length}
    return bool(_PICTURE(key=f"picture-{name}", data=data, on_opened_change=lambda: None).opened)
