"""The pages and how to get from one to the other."""

from pathlib import Path

import streamlit as st

from ui import data, links, rights, told, words
from video_platform.access import Role
from video_platform.errors import ServiceError, SignInRefused

LOOK_AGAIN_S = 2

st.set_page_config(page_title="Video platform", page_icon=str(Path(__file__).with_name("icon.svg")), layout="wide")

try:
    person = rights.person()
except SignInRefused as refused:
    st.title("Signed out")
    st.markdown(words.sentence(refused.message))
    st.stop()
except ServiceError as error:  # nobody can say who looks
    st.error(words.sentence(error.message), icon=":material/error:")
    st.stop()

rules = [st.Page("views/rules.py", title="Rules", icon=":material/rule:", url_path="rules", help="Zones, lines and rules: what counts as an alert.")]
pipeline = [
    st.Page(
        "views/pipeline.py",
        title="Pipeline",
        icon=":material/account_tree:",
        url_path="pipeline",
        help="What waits, what goes on, what failed and why, and the health of every server.",
    )
]
backfills = [
    st.Page(
        "views/backfills.py",
        title="Backfills",
        icon=":material/history:",
        url_path="backfills",
        help="What a change of rules, settings or models outdates, and having it made again.",
    )
]
access = [st.Page("views/access.py", title="Access", icon=":material/group:", url_path="access", help="Who may sign in, and who did what.")]
page = st.navigation(
    [
        st.Page(
            "views/library.py", title="Library", icon=":material/video_library:", default=True, help="All videos: add footage, see what is done, open one."
        ),
        st.Page("views/alerts.py", title="Alerts", icon=":material/notifications:", url_path="alerts", help="What the rules found, newest first, live."),
        st.Page("views/digest.py", title="Days", icon=":material/calendar_today:", url_path="days", help="What happened on a day, camera by camera."),
        *(rules if rights.sees_rules() else ()),
        *((*backfills, *pipeline) if rights.sees_pipeline() else ()),
        *(access if person.may(Role.ADMIN) else ()),
        st.Page("views/video.py", title="Video", icon=":material/movie:", url_path="video", visibility="hidden"),
    ],
    position="top",
)


@st.fragment(run_every=LOOK_AGAIN_S)
@told.in_words()
def models() -> None:
    """How far the language models are that are being fetched; drawn, and looked at again, only while there are any."""
    pulls = data.model_pulls()
    if not pulls:
        st.rerun()
    for each in pulls:
        st.progress((each.percent or 0) / 100, f"{each.words}. Until it is there, summaries are written by the template.")


with told.in_words():
    if data.model_pulls():
        models()
    page.run()
if rights.signs_in():
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right"):
        st.caption(f"Signed in as {words.plain(person.name, 80)} ({person.role})", width="content")
        st.link_button("Sign out", links.absolute("/sign-out"), icon=":material/logout:", type="tertiary")
