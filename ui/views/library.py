"""All videos: what they are, how far they are, and the way to bring more."""

import streamlit as st

from ui import cards, data, moments, rights, told, words
from ui.upload import upload
from video_platform.access import Role
from video_platform.layout import api_videos
from video_platform.records import VideoState

LOOK_AGAIN_S = 2
OPENED = "add-footage-opened"  # key of the session: whether the way to add footage stood open when the page was first seen
SHOWN_STATES = [VideoState.READY, VideoState.PROCESSING, VideoState.RECEIVED, VideoState.FAILED]

cards.follow()
st.title("Library")
known = sum(data.counts()[state] for state in SHOWN_STATES)

taken_in = None
opened = st.session_state.setdefault(OPENED, known == 0)  # not by what is there now: the first video that came in would close it over its queue
if rights.may(Role.OPERATOR):
    with st.expander("Add footage", icon=":material/upload:", expanded=opened):
        taken_in = upload(api_videos(), data.cameras())
        st.caption("Any size and several at once. Many files, or files that stay where they are: `vp ingest PATH`, `vp watch FOLDER`.")
if taken_in:
    data.forget_lists()
    st.toast(f"{words.plain(taken_in.name, words.LONGEST_NAME)} is in", icon=":material/check:")

question = moments.box()
with st.container(horizontal=True, vertical_alignment="top"):
    text = st.text_input(
        "Find", key="q", type="search", placeholder="Name or id", icon=":material/search:", bind="query-params", width=280, max_chars=data.LONGEST_FIND
    )
    camera = st.selectbox("Camera", data.cameras(), index=None, key="camera", placeholder="All cameras", bind="query-params", width=220)
    states = st.segmented_control(
        "State",
        SHOWN_STATES,
        selection_mode="multi",
        format_func=lambda state: words.STATE_WORDS[state],
        key="state",
        bind="query-params",
    )
chosen = tuple(state for state in SHOWN_STATES if state in states)
filtered = bool(text or camera or chosen)

if question.strip():
    moments.results(question, camera)
    st.stop()

total = data.videos(text, camera, chosen, 1).total
pages = max(1, -(-total // data.PAGE_VIDEOS))
slot = st.container()
page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
page = min(page, pages)


@st.fragment(run_every=LOOK_AGAIN_S)
@told.in_words()
def shelf() -> None:
    """The cards, looked at again while they change."""
    cards.leave_if_asked()
    found = data.videos(text, camera, chosen, page)
    if found.items:
        st.caption(words.count(found.total, "video"))
        with st.grid("auto", min_column_width=260, gap="medium"):
            for view in found.items:
                cards.video_card(view)
    elif filtered:
        st.info("No video matches. Clear the search, the camera or the states above.", icon=":material/search_off:")
    else:
        cards.nothing_here()


with slot:
    shelf()

if refused := data.recent_refusals():
    with st.expander(f"Not taken in ({len(refused)})", icon=":material/block:"):
        st.caption("Files that came in and could not be used. Mend them and send them again.")
        for each in refused:
            times = f", {each.times} times" if each.times > 1 else ""
            st.markdown(
                f"**{words.plain(each.name, words.LONGEST_NAME)}** from {words.plain(each.camera)}: {words.plain(each.message)} "
                f":small[{words.ago(each.at, data.now())}{times}]"
            )
