"""Zones, lines and rules: drawn over a real frame, as text, and as a draft that can be applied."""

import streamlit as st

from ui import data, links, rights, rule_drafts, rule_drawing, rule_precision, rule_trials, words
from video_platform.access import Role
from video_platform.catalog_views import VideoCard
from video_platform.errors import Problem

st.title("Rules")

active = rule_drafts.active()
if active is None:
    st.error("There is no active rule set. Start `vp up` once, or run `vp rules apply FILE`.", icon=":material/error:")
    st.stop()
_, active_problems = rule_drafts.parsed(active.text)


def problem_list(text: str, problems: list[Problem]) -> None:
    """Every problem with its line, and the line itself."""
    lines = text.splitlines()
    st.error(f"{words.count(sum(each.count for each in problems), 'problem')}; nothing of it is used until they are mended.", icon=":material/error:")
    for problem in problems:
        where = f"Line {problem.line}" + (f", column {problem.column}" if problem.column else "") if problem.line else "The file"
        where = f"{words.plain(problem.file)}, {where[:1].lower()}{where[1:]}" if problem.file else where
        st.markdown(f"**{where}**: {words.plain(': '.join(part for part in (problem.field, problem.message) if part))}")
        if 0 < problem.line <= len(lines) and not problem.file:
            st.code(f"{problem.line:>4} | {lines[problem.line - 1][:300]}", language=None, wrap_lines=True)


def lacking_list(text: str) -> None:
    """Rules that nothing here can evaluate, with what to install or set."""
    for rule, reason in rule_drafts.lacking(text).items():
        st.warning(f"{words.plain(rule, 80)} cannot be evaluated: {words.plain(reason, 600)}", icon=":material/visibility_off:")


def draft_panel(draft: rule_drafts.Draft, key: str) -> None:
    """A draft against the active rules: what it changes, what that would mean for all that is stored, and the ways to end it."""
    assert active is not None
    base = rule_drafts.stands_on(key, active)
    if draft.problems:
        problem_list(draft.text, draft.problems)
        return
    if base != active.id:
        rule_trials.moved_on(key, base, active)
    changed = "; ".join(words.plain(change, 120) for change in draft.changed) or "only comments or layout changed"
    st.markdown(f"**{words.plain(draft.source)}** differs from the active rules: {changed}.")
    lacking_list(draft.text)
    with st.expander("Show the difference", icon=":material/difference:", expanded=True):
        st.code(draft.diff, language="diff", wrap_lines=True)
    rule_trials.trial_panel(draft, key)
    if rights.may(Role.ADMIN):
        rule_trials.promotion_form(draft, key, base)
    else:
        st.caption("An admin can promote it.")
    rule_trials.discard_button(draft, key)


def frame_panel(text: str) -> None:
    """A real frame with the zones and lines of its camera in `text`, for drawing, and what that would raise on its video."""
    cards = [card for card in data.frames().items if card.thumbnail]
    if not cards:
        st.info("Zones are drawn over a real frame. Process a video first; its frame appears here.", icon=":material/image:")
        st.page_link(links.LIBRARY, label="Add footage", icon=":material/video_library:")
        return
    names = {card.record.video_id: card for card in cards}
    wanted = st.query_params.get("frame")
    chosen = st.selectbox(
        "Frame of",
        list(names),
        index=list(names).index(wanted) if wanted in names else 0,
        format_func=lambda video_id: frame_name(names[video_id]),
        key="frame-of",
    )
    card = names[chosen]
    only = st.toggle("Only what applies to this camera", value=True, key="only-camera")
    rule_drawing.frame(card, text, only)
    rule_drawing.count_panel(card, text)


def frame_name(card: VideoCard) -> str:
    """What a frame is called in the list."""
    return f"{words.literal(card.record.original_name, 60)} ({words.literal(card.record.camera, 40)})"


if rule_trials.DONE in st.session_state:
    rule_trials.outcome()

file_draft = rule_drafts.draft()
if file_draft is not None and not rule_trials.is_discarded(file_draft):
    st.subheader("The rules file has changed", anchor=False)
    draft_panel(file_draft, "file")
elif file_draft is None:
    rule_drafts.stand_on("file", None)

edited_text = rule_drafts.edited(active)
left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader("On the picture", anchor=False)
    frame_panel(edited_text)
with right:
    st.subheader("Active rules", anchor=False)
    by = f" by {words.plain(active.who, 60)}" if active.who else ""
    reason = f": {words.plain(active.why, 200)}" if active.why else ""
    st.caption(f"Version {active.id}, applied {words.instant(active.applied_at)}{by}{reason}")
    if active_problems:
        problem_list(active.text, active_problems)
    lacking_list(active.text)
    st.code(active.text, language="yaml", line_numbers=True, wrap_lines=True)
    path = data.settings().rules
    if path is None:
        st.caption("Draw or edit here, or keep the rules in a file and name it in VIDEO_PLATFORM_RULES: its changes then appear here as a draft.")
    edited = rule_drafts.compared(edited_text, "this text")
    with st.expander("Edit", icon=":material/edit:", expanded=edited is not None or rule_drawing.has_drawn()):
        st.text_area("Rules", height=360, key=rule_drafts.field(), label_visibility="collapsed")
        if edited is None:
            st.caption("No difference from the active rules.")
        else:
            draft_panel(edited, rule_drafts.EDITOR)

with st.expander("Versions", icon=":material/history:"):
    rule_trials.versions_panel(active)
    rule_precision.table()
