"""Drawing on a frame: what is drawn goes into the text that is edited on the page, and what that text would raise on the frame's video is counted at once."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import pandas as pd
import streamlit as st

from ui import data, rule_drafts, words
from ui.zones import Drawn, Edit, edits, zones
from video_platform import rules_drawing
from video_platform.catalog_views import VideoCard
from video_platform.errors import InputError, PlatformError
from video_platform.history import OneVideo
from video_platform.rules_drawing import ZONES
from video_platform.rules_schema import polygon_problem
from video_platform.rules_values import ANY_CAMERA

KEY = "zones"  # of the component, in the session
DRAWING = "rules-drawing"  # key of the session: what was drawn so far
SCOPE = "draw-scope"

THIS, ALL = "this camera", "all cameras"
MOST_UNDO = 50
"""Texts that are kept for going back."""


@dataclass
class Drawing:
    """What a session has drawn: the number of its last edit, the texts before each, and the text after the last."""

    applied: int = 0
    before: list[str] = field(default_factory=list)
    after: str = ""
    refused: str = ""


def frame(card: VideoCard, text: str, only: bool) -> None:
    """The frame of a video with the zones and lines of the text, for changing them."""
    try:
        shown = rules_drawing.shapes(text)
    except InputError as error:
        st.warning(f"Nothing can be drawn: {words.plain(error.message, 300)}", icon=":material/draw:")
        shown, editable = [], False
    else:
        editable = True
    if only:
        shown = [shape for shape in shown if any(fnmatchcase(card.record.camera, glob) for glob in shape.cameras)]
    state = _drawing()
    zones(
        data.media_path(data.frame_key(card)),
        shown,
        alt=f"Frame of {words.literal(card.record.original_name, 80)} with zones and lines",
        drawn=Drawn(state.applied, bool(state.before) and state.after == text, state.refused),
        problems=[polygon_problem(shape.points) if shape.section == ZONES else None for shape in shown],
        width=card.record.width,
        height=card.record.height,
        key=KEY,
        on_edited=(lambda: _take(card.record.camera)) if editable else None,
    )
    st.segmented_control("A new zone or line is for", [THIS, ALL], default=THIS, required=True, key=SCOPE)


def has_drawn() -> bool:
    """Whether this session has drawn anything; then the text stays in sight, also once everything is taken back."""
    return _drawing().applied > 0


def count_panel(card: VideoCard, text: str) -> None:
    """What the text would raise on this video, against what is stored; or why that cannot be said."""
    draft = rule_drafts.compared(text, "this text")
    with st.container(key="live-count", gap="small"):
        if draft is None:
            st.caption("Draw, or edit the text: what it would raise on this video is counted here at once.")
            return
        if draft.problems:
            st.caption(
                f"The text has {words.count(sum(each.count for each in draft.problems), 'problem')}; what it would raise is counted again once they are mended."
            )
            return
        try:
            found = data.deeds().try_rules_on(text, card.record.video_id)
        except PlatformError as error:
            st.error(words.sentence(error.message), icon=":material/error:")
            return
        if found.uncounted:
            st.caption(
                f"What the draft would raise on this video is not counted: {words.plain(found.uncounted, 300)}. Try it on what is stored, below the text."
            )
            return
        _counted(found)


def write(text: str, drawn: list[Edit], state: Drawing, cameras: tuple[str, ...]) -> str:
    """The text with what was drawn, for each edit that is new; what cannot be written is left out and said in `state`."""
    for edit in sorted(drawn, key=lambda each: each.n):
        if edit.n <= state.applied:
            continue
        state.applied, state.refused = edit.n, ""
        if edit.do == "undo":
            if state.before and state.after == text:
                text = state.after = state.before.pop()
            continue
        try:
            written = _written(text, edit, cameras)
        except InputError as error:
            state.refused = words.sentence(error.message)
            continue
        state.before = [*(state.before if state.after == text else [])[-MOST_UNDO + 1 :], text]
        text = state.after = written
    return text


def _written(text: str, edit: Edit, cameras: tuple[str, ...]) -> str:
    match edit.do:
        case "add":
            return rules_drawing.add(text, edit.section, edit.name, edit.points, cameras)
        case "redraw":
            return rules_drawing.redraw(text, edit.section, edit.name, edit.points)
        case "rename":
            return rules_drawing.rename(text, edit.section, edit.name, edit.to)
        case _:
            return rules_drawing.remove(text, edit.section, edit.name)


def _take(camera: str) -> None:
    """Write what the component told of into the text that is edited; called before the page runs."""
    told = (st.session_state.get(KEY) or {}).get("edited")
    cameras = ANY_CAMERA if st.session_state.get(SCOPE) == ALL else (words.glob(camera),)
    rule_drafts.write(write(st.session_state[rule_drafts.field()], edits(told), _drawing(), cameras))


def _drawing() -> Drawing:
    return st.session_state.setdefault(DRAWING, Drawing())


def _counted(found: OneVideo) -> None:
    sums = {what: sum(getattr(each, what) for each in found.counts) for what in ("added", "removed", "unchanged")}
    st.markdown(f"On this video the draft would add **{sums['added']}**, remove **{sums['removed']}** and leave **{sums['unchanged']}** of its alerts.")
    rows = [
        {"Rule": each.rule, "Would raise": each.added + each.unchanged, "Stored": each.removed + each.unchanged, "Added": each.added, "Removed": each.removed}
        for each in found.counts
    ]
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", key="live-counts", alt="What the draft would raise on this video, by rule")
    for rule, reason in found.cannot_evaluate:
        st.caption(f"{words.plain(rule, 80)} cannot be evaluated: {words.plain(reason, 200)}")
    st.caption(f"Counted in {found.took_s:.2f} s from what is stored. Nothing was changed, nobody was notified.")
