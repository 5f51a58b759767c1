"""Upload: drop or choose files; the browser sends them straight to the API, so that no size and no run of the page matters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ui.component import registered

_UPLOAD = registered("upload", Path(__file__).parent)


@dataclass(frozen=True)
class Uploaded:
    """A file that the API took in since the last run of the page."""

    video_id: str
    name: str


def upload(url: str, cameras: Sequence[str]) -> Uploaded | None:
    """Show the upload area; answers once for every file that was taken in. `url` is the API's collection of videos, `cameras` are suggested names."""
    result = _UPLOAD(key="upload", data={"url": url, "cameras": list(cameras)}, on_uploaded_change=lambda: None)
    told = result.uploaded
    return Uploaded(str(told["video_id"]), str(told["name"])) if told else None
