"""The reel and the time-lapse of one video on its page."""

from html import escape

import streamlit as st

from ui import data, links, opened, words
from ui.detail import View
from ui.reel import reel as film
from video_platform import layout, reels
from video_platform.errors import PlatformError

REEL_OF = {
    "alerts": "Its alerts, each from a little before.",
    "activity": "No rule found anything in it; this is where most was followed.",
}
"""What a reel shows, by the fact of the manifest."""


def reel(view: View) -> None:
    """The reel with its chapters, and the time-lapse below it; or why there is none."""
    manifest = view.manifest(layout.HIGHLIGHTS)
    if manifest is None:
        st.caption("It is made after the alerts.")
        return
    try:
        found = reels.of_video(opened.services().catalog.store, manifest)
    except PlatformError as error:
        st.caption(words.sentence(error.message))
        return
    if found is None:
        st.caption("There is nothing to show: no alert, and nothing was followed.")
        return
    st.caption(REEL_OF.get(str(manifest.facts.get("reel_of")), ""))
    film(
        view.id,
        found,
        src=data.media_path(found.film.key),
        alt=f"Reel of {words.literal(view.record.original_name, 80)}, {words.duration(found.seconds)}",
        page_of=lambda piece: links.video_path(piece.video_id, piece.start_s),
    )
    if found.timelapse is not None:
        st.markdown(f"**Time-lapse of activity**, {manifest.facts.get('speed', 0):g} times faster than life")
        url = links.absolute(data.media_path(found.timelapse.key))
        st.html(f'<video src="{escape(url)}" aria-label="Time-lapse" controls muted playsinline preload="none" style="width: 60%; min-width: 18rem"></video>')
