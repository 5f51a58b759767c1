"""Every address that the pages show: media, pages, runs."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import streamlit as st

from video_platform.layout import api_video, page_video

LIBRARY = "views/library.py"
VIDEO = "views/video.py"
ALERTS = "views/alerts.py"
RULES = "views/rules.py"
"""Page files, as `st.page_link` and `st.switch_page` want them."""


def origin() -> str:
    """Scheme, host and port that the browser used; empty outside a browser."""
    url = st.context.url
    if not url:
        return ""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def absolute(path: str) -> str:
    """A path of this service as a full address: Streamlit takes a bare path for a file on the server."""
    return origin() + path


def video(video_id: str, at_s: float | None = None) -> Mapping[str, str]:
    """Query of the video page."""
    return {"video": video_id} if at_s is None else {"video": video_id, "t": f"{at_s:.2f}"}


def video_path(video_id: str, at_s: float | None = None) -> str:
    """The path of a moment of a video in this web app."""
    return page_video(video_id, at_s)


def export(video_id: str, form: str) -> str:
    """The path of an export of a video's tracks: mot, coco, csv or jsonl."""
    return f"{api_video(video_id)}/export?format={form}"
