"""What a change outdates, and having it made again: the plan by cause, and how far each backfill is."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from ui import backfilling, data, links, rights, told, words
from ui.detail import ASSET_WORDS
from video_platform.errors import PlatformError
from video_platform.planning import CausePlan
from video_platform.planning_causes import CAUSE_WORDS, Cause
from video_platform.services.database.backfills import OPEN, Backfill, ItemState, State

LOOK_AGAIN_S = 2

BUDGETS = {"No budget": None, "10 minutes": 600.0, "1 hour": 3600.0, "2 hours": 7200.0, "8 hours": 28800.0}
"""What a person chooses from, in seconds of slots."""

STATE_WORDS = {
    State.RUNNING: ("Running", "blue", ":material/autorenew:"),
    State.PAUSED: ("Paused", "orange", ":material/pause:"),
    State.ENDED: ("Budget spent", "orange", ":material/timer_off:"),
    State.CANCELLED: ("Cancelled", "gray", ":material/cancel:"),
    State.DONE: ("Done", "green", ":material/check:"),
}
SOUGHT = "waiting-asked"  # key of the session: somebody asked what waits for a model
PLANNED = "plan-asked"  # key of the session: somebody asked for the plan of a large archive

st.title("Backfills")
try:
    rights.must_see_pipeline()
except PlatformError as error:
    st.error(words.sentence(error.message), icon=":material/lock:")
    st.stop()
st.caption(
    "Results are compared with what would be made of the same footage now. "
    "A backfill has the outdated ones made again, behind everything else; nobody is notified."
)


@told.in_words()
def outdated() -> None:
    """One card per cause."""
    st.subheader("Outdated now", anchor=False)
    if not backfilling.is_quick() and not st.session_state.get(PLANNED):
        st.markdown("There are many videos; comparing all of them takes a while.")
        if st.button("Compare all results", icon=":material/compare_arrows:"):
            st.session_state[PLANNED] = True
            st.rerun()
        return
    plan = backfilling.plan()
    open_ = {each.cause: each for each in backfilling.listed() if each.state in OPEN}
    for each in plan.causes:
        cause_card(each, open_.get(each.cause))
    for cause, reason in plan.unknown.items():
        st.info(f"**{cause}** cannot be told now: {words.plain(reason, 300)}", icon=":material/help:")
    current = f"{words.count(plan.current, 'video is', 'videos are')} up to date with the rules and settings of now."
    if plan.current or not plan.causes:
        st.markdown(current if plan.causes else f"Nothing is outdated: {current}")
    if st.button("Compare again", icon=":material/refresh:", type="tertiary"):
        backfilling.forget()
        st.rerun()


@told.in_words()
def waiting() -> None:
    """What a model has not described yet, with what it would take and the button that has it done."""
    st.subheader("Waiting for a model", anchor=False)
    if not st.session_state.get(SOUGHT):
        st.markdown("Summaries, captions, transcripts and alerts on what is seen and said, of videos for which no model was there or none answered.")
        if st.button("Look for them", icon=":material/search:", key="look-waiting"):
            st.session_state[SOUGHT] = True
            st.rerun()
        return
    found = backfilling.waiting()
    planned = found.cause(Cause.WAITING)
    if Cause.WAITING in found.unknown:
        st.info(f"No model could describe anything now: {words.plain(found.unknown[Cause.WAITING], 300)}. `vp doctor` says what to do.", icon=":material/help:")
    elif not planned.videos:
        st.markdown("No video waits for a model.")
    else:
        cause_card(planned, next((each for each in backfilling.listed() if each.state in OPEN and each.cause == Cause.WAITING), None))


def cause_card(planned: CausePlan, open_: Backfill | None) -> None:
    """What one cause outdates, and the way to have it made again."""
    with st.container(border=True, key=f"cause-{planned.cause}", gap="small"):
        about = words.span(planned.seconds / backfilling.slots())
        st.markdown(f"**{words.count(len(planned.videos), 'video')}** because {CAUSE_WORDS[planned.cause]} · about {about}")
        made = ", ".join(f"{ASSET_WORDS.get(asset, asset)} {number:,}" for asset, number in planned.assets.items())
        st.caption(f"Made again at most: {made}. Cause `{planned.cause}`")
        if open_ is not None:
            st.caption("A backfill of this cause is open; it is listed below.")
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            limit = st.number_input("At most videos", min_value=1, value=None, step=1, placeholder="All", key=f"limit-{planned.cause}", width=180)
            budget = st.selectbox("Budget", list(BUDGETS), key=f"budget-{planned.cause}", width=180)
            wanted = (planned, None if limit is None else int(limit), BUDGETS[budget])
            st.button("Start", key=f"start-{planned.cause}", type="primary", icon=":material/play_arrow:", on_click=start, args=wanted)


def start(planned: CausePlan, limit: int | None, budget_s: float | None) -> None:
    """Start a backfill of this cause."""
    did(lambda: backfilling.start(planned.cause, limit, budget_s), lambda made: f"Started: {words.count(made.total, 'video')}.")


def turn(backfill_id: str, wanted: State, budget_s: float | None = None) -> None:
    """Pause, resume or cancel."""
    did(lambda: backfilling.turn(backfill_id, wanted, budget_s), lambda after: f"{STATE_WORDS[after.state][0]}: {words.count(after.left, 'video')} left.")


def did(act: Callable[[], Backfill], said: Callable[[Backfill], str]) -> None:
    """Do what was asked for and say what came of it."""
    try:
        st.toast(said(act()), icon=":material/check:")
    except PlatformError as error:
        st.toast(words.sentence(error.message), icon=":material/error:")


@st.fragment(run_every=LOOK_AGAIN_S)
@told.in_words()
def progress() -> None:
    """Every backfill with its coverage."""
    st.subheader("Backfills", anchor=False)
    found = backfilling.listed()
    if not found:
        st.markdown("None was started yet.")
    for each in found:
        backfill_card(each)


def backfill_card(backfill: Backfill) -> None:
    """How far one is, and what can be done with it."""
    counts = backfill.counts
    label, colour, icon = STATE_WORDS[backfill.state]
    with st.container(border=True, key=f"backfill-{backfill.id}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(label, icon=icon, color=colour)  # type: ignore[arg-type]
            st.markdown(f"**{words.plain(backfill.cause)}**, started {words.ago(backfill.created_at, data.now())} by {words.plain(backfill.who, 60)}")
        ended = backfill.total - backfill.left
        st.progress(ended / max(1, backfill.total), f"{ended:,} of {words.count(backfill.total, 'video')}")
        columns = ["Done", "Reused", "Failed", "Cancelled", "Left"]
        numbers = [counts[ItemState.DONE], counts[ItemState.REUSED], counts[ItemState.FAILED], counts[ItemState.CANCELLED], backfill.left]
        st.dataframe(pd.DataFrame([numbers], columns=columns), hide_index=True, key=f"coverage-{backfill.id}", alt="How far this backfill is")
        st.caption(times(backfill))
        if backfill.reason:
            st.caption(words.sentence(backfill.reason, 300))
        actions(backfill)
        if counts[ItemState.FAILED]:
            failures(backfill)


def times(backfill: Backfill) -> str:
    """What it took, was estimated at, and has before it, in words."""
    budget = f" · budget {words.span(backfill.budget_s)}" if backfill.budget_s else ""
    rest = f" · about {words.span(backfill.left_s / backfilling.slots())} to go" if backfill.left else ""
    return f"Took {words.span(backfill.spent_s)} of {words.span(backfill.estimated_s)} estimated{budget}{rest}"


def actions(backfill: Backfill) -> None:
    """The buttons that make sense now."""
    if backfill.state not in OPEN:
        return
    key = backfill.id
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if backfill.state is State.RUNNING:
            st.button("Pause", key=f"pause-{key}", icon=":material/pause:", on_click=turn, args=(key, State.PAUSED))
        else:
            greater = st.selectbox("Budget in all", list(BUDGETS)[1:], key=f"more-{key}", width=180) if backfill.state is State.ENDED else None
            more = None if greater is None else BUDGETS[greater]
            st.button("Resume", key=f"resume-{key}", icon=":material/play_arrow:", on_click=turn, args=(key, State.RUNNING, more))
        st.button("Cancel", key=f"cancel-{key}", icon=":material/cancel:", on_click=turn, args=(key, State.CANCELLED))


def failures(backfill: Backfill) -> None:
    """Which videos failed, and why."""
    with st.expander(f"{words.count(backfill.counts[ItemState.FAILED], 'video')} failed", icon=":material/error:"):
        for item in backfilling.failures(backfill.id):
            record = data.record(item.video_id)
            name = item.video_id if record is None else words.plain(record.original_name, words.LONGEST_NAME)
            st.page_link(links.VIDEO, label=f"**{name}**", query_params=dict(links.video(item.video_id)))
            st.markdown(f":small[{words.plain(item.message or 'It failed without a word.', 500)}]")


outdated()
waiting()
progress()
