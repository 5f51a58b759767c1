"""What is said in a video, on its page; or why there is no text."""

import streamlit as st

from ui import words
from ui.detail import View
from ui.player import Row, Span, moments
from video_platform import layout
from video_platform.catalog_views import LACKS
from video_platform.records import Transcript

LISTED_SEGMENTS = 500
"""Lines of speech that the page lists: an hour of conversation."""


def without_subtitles(view: View) -> None:
    """Why the player has no subtitles; nothing where it has, or where nobody was to listen yet."""
    if view.transcript is not None and view.transcript.state != "spoken":
        st.caption(f":material/subtitles_off: No subtitles: {_no_words(view.transcript)}")


def speech(view: View) -> None:
    """What is said, run by run; clicking one seeks the player. Or why there is no text."""
    heard = view.transcript
    if heard is None:
        st.markdown("Nobody has listened to this video yet.")
        return
    if heard.state != "spoken":
        st.markdown(f"There is no text: {_no_words(heard)}")
        return
    manifest = view.manifest(layout.TRANSCRIPT)
    listened = f" by {words.plain(str(manifest.facts['model']), 80)}" if manifest and manifest.facts.get("model") else ""
    st.caption(f"Heard{listened}, with mistakes. Click a line to hear it.")
    rows = [Row(each.text, [Span(each.start_s, words.moment(each.start_s))]) for each in heard.segments[:LISTED_SEGMENTS]]
    moments("speech", rows, player=view.id, alt="What is said in this video")
    if len(heard.segments) > LISTED_SEGMENTS:
        st.caption(f"{len(heard.segments) - LISTED_SEGMENTS} more lines stand in the files: Transcript, Subtitles.")


def _no_words(heard: Transcript) -> str:
    if heard.state == "no_audio" and heard.reason:  # says it all; the state's own words would say it twice
        return words.plain(heard.reason, 400)
    state = LACKS.get(heard.state, heard.state)
    return f"{state}: {words.plain(heard.reason, 400)}" if heard.reason else state
