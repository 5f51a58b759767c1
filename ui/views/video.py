"""One video: play it with what was found drawn over it, and everything that was made from it."""

import streamlit as st

from ui import again, cards, correcting, data, detail, detail_captions, detail_picture, detail_speech, detail_summary, films, links, told, words
from video_platform.errors import NotFound, VideoDeleted
from video_platform.records import VideoState

LOOK_AGAIN_S = 2

cards.follow()
video_id = st.query_params.get("video", "")
try:
    found = data.video(video_id)
except (NotFound, VideoDeleted) as error:
    st.title("No such video")
    st.markdown(words.sentence(error.message))
    st.page_link(links.LIBRARY, label="To the library", icon=":material/arrow_back:")
    st.stop()

record = found.record
shown_version = data.version(video_id)


@st.fragment(run_every=LOOK_AGAIN_S)
@told.in_words()
def status() -> None:
    """How far the video is. When something that the page shows has changed, or its addresses are to be renewed, the page runs again; the player stays."""
    cards.leave_if_asked()
    if data.version(video_id) != shown_version or data.addresses_epoch() != epoch:
        st.rerun()
    current = data.record(video_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if current is not None:
            cards.state_badge(current)
            st.caption(detail.facts(current), width="content")
            cards.menu(current)
    if current is not None and current.state in (VideoState.PROCESSING, VideoState.RECEIVED):
        cards.progress(current)
    if current is not None and current.state is VideoState.FAILED:
        detail.failure(current)


epoch = data.addresses_epoch()
st.page_link(links.LIBRARY, label="Library", icon=":material/arrow_back:")
st.title(cards.name_of(record), anchor=False)
status()

correcting.correction(record)
detail.in_place(found)
detail.notes(found)
view = detail.View(found, data.alerts_of(video_id))
left, right = st.columns([3, 2], gap="large")
with left:
    detail_picture.picture(view)
with right:
    detail_summary.summary(view)
    detail.findable(record)
    described = detail_captions.of(view)
    detail_captions.stands(view, described)

spoken, seen = len(view.transcript.segments) if view.transcript else 0, len(described.captions) if described else 0
names = [f"Alerts ({len(view.alerts)})", f"Tracks ({len(view.tracks)})", "Reel", f"Speech ({spoken})", f"Captions ({seen})", "Files", "How it was made"]
alerts, tracks, reel, speech, captions, files, versions = st.tabs(names)
with alerts:
    detail.alert_list(view)
with tracks:
    detail.track_table(view)
with reel:
    films.reel(view)
with speech:
    detail_speech.speech(view)
with captions:
    detail_captions.listed(view, described)
with files:
    detail.files(view)
with versions:
    detail.versions(view)
    again.make_again(view)
