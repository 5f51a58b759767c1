"""What a vision model sees in the frames of a video: whether they are described and if not, why; and each caption with the way to its moment."""

import streamlit as st

from ui import data, words
from ui.detail import View
from ui.player import Row, Span, Tag, moments
from video_platform import layout
from video_platform.records import Caption, Captions, VideoState

LISTED = 500
"""Captions that the page lists; the file has all of them."""

STATES = {"described": "Its frames are described", "partly_described": "Its frames are described in part", "not_described": "Its frames are not described"}
ICONS = {"described": ":material/image_search:", "partly_described": ":material/image_search:", "not_described": ":material/hide_image:"}


def of(view: View) -> Captions | None:
    """The captions of a video, None until that was made."""
    key = data.file_key(view.manifest(layout.CAPTIONS), "captions")
    return data.captions(view.id, key) if key else None


def stands(view: View, found: Captions | None) -> None:
    """Whether frames are described, and if not, or not all, why."""
    if found is None:
        if view.record.state is VideoState.READY:
            st.caption(":material/hide_image: Its frames have not been described yet.")
        return
    why = f": {words.plain(found.reason, 400)}" if found.reason else f", {len(found.captions):,} of them."
    st.caption(f"{ICONS[found.state]} {STATES[found.state]}{why}")


def listed(view: View, found: Captions | None) -> None:
    """Each caption; clicking it seeks the player."""
    if found is None or not found.captions:
        st.markdown("No frame was described." if found else "Frames have not been described yet.")
        if found and found.reason:
            st.caption(words.sentence(found.reason, 400))
        return
    st.caption("What a vision model says of single frames. Nobody checked it. Click one to see its moment.")
    if len(found.captions) > LISTED:
        st.caption(f"The first {LISTED} of {len(found.captions):,}; the file has all of them.")
    moments("captions", [_row(each) for each in found.captions[:LISTED]], player=view.id, alt="What can be seen, frame by frame")


def _row(caption: Caption) -> Row:
    spans = [Span(caption.at_s, words.moment(caption.at_s))]
    if caption.text:
        return Row(caption.text, spans)
    return Row("Not described", spans, note=caption.reason or "", tag=Tag("Not described", "gray"), muted=True)
