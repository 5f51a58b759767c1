"""One result of a video made again although nothing changed, with what that costs."""

import streamlit as st

from ui import backfilling, cards, data, rights, told, words
from ui.detail import ASSET_WORDS, View
from video_platform.access import Role
from video_platform.records import VideoState


@told.in_words()
def make_again(view: View) -> None:
    """The choice of a result, its cost and the button; nothing for who may not, or a video that is not ready."""
    made = [asset.name for asset in view.found.assets if asset.manifest is not None]
    if not made or view.record.state is not VideoState.READY or not rights.may(Role.OPERATOR):
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="make-again"):
        asset = st.selectbox("Make again, although nothing changed", made, format_func=_name, key="again-asset", width=280)
        st.button("Make again", icon=":material/replay:", key="again-start", on_click=_ask, args=(view.id, asset))
    planned = backfilling.cost_of(view.id, asset, data.version(view.id))
    follows = ", ".join(_name(each) for each in planned.assets if each != asset)
    st.caption(f"At most {words.span(planned.seconds)}." + (f" Where its content changes, these follow: {follows}." if follows else ""))


def _name(asset: str) -> str:
    return ASSET_WORDS.get(asset, asset)


def _ask(video_id: str, asset: str) -> None:
    cards.asked(lambda each: backfilling.make_again(each, asset), video_id, "Asked for; it is made before any backfill.")
