"""What the Backfills page reads and asks for. A plan reads every manifest, so it is kept for a while; how far backfills are is asked anew each time."""

import streamlit as st

from ui import data, opened, rights
from video_platform.planning import Plan, PlannedVideo
from video_platform.planning_causes import Cause
from video_platform.records import VideoState
from video_platform.services.database import backfills
from video_platform.services.database.backfills import Backfill, Item, ItemState, State

PLAN_S = 60
"""How old a plan may be: what was made since is compared once more before it is asked for."""

AT_ONCE = 1000
"""Ready videos up to which the page plans without being asked: some seconds."""

SHOWN = 20
SHOWN_FAILURES = 50


def is_quick() -> bool:
    """Whether a plan over all videos is there in seconds."""
    return data.counts()[VideoState.READY] <= AT_ONCE


def plan() -> Plan:
    """What is outdated, and why."""
    rights.must_see_pipeline()
    return _plan()


@st.cache_data(ttl=PLAN_S, max_entries=1, show_spinner="Comparing results with what would be made now …")
def _plan() -> Plan:
    return data.deeds().plan()


def waiting() -> Plan:
    """The videos that wait for a model, which is asked whether it is there."""
    rights.must_see_pipeline()
    return _waiting()


@st.cache_data(ttl=PLAN_S, max_entries=1, show_spinner="Looking for videos that no model described …")
def _waiting() -> Plan:
    return data.deeds().plan([Cause.WAITING])


def listed() -> list[Backfill]:
    """The newest backfills; what somebody asked for of single videos is not among them."""
    rights.must_see_pipeline()
    return [each for each in backfills.page(opened.services().platform.db, limit=SHOWN) if each.cause != backfills.AGAIN]


def failures(backfill_id: str) -> list[Item]:
    """The first videos of a backfill that failed."""
    return backfills.listed(opened.services().platform.db, backfill_id, states=[ItemState.FAILED], limit=SHOWN_FAILURES)


def slots() -> int:
    """How many runs of backfills go on at once."""
    return data.settings().runs.backfill_slots


def start(cause: Cause, limit: int | None, budget_s: float | None) -> Backfill:
    """Have what a cause outdates made again."""
    try:
        return data.deeds().start_backfill(cause, limit=limit, budget_s=budget_s)
    finally:
        forget()


def turn(backfill_id: str, wanted: State, budget_s: float | None = None) -> Backfill:
    """Pause, resume or cancel one."""
    return data.deeds().turn_backfill(backfill_id, wanted, budget_s=budget_s)


def make_again(video_id: str, asset: str) -> None:
    """Ask for one result of a video although nothing changed."""
    data.deeds().again(video_id, asset)
    data.forget_lists()


def cost_of(video_id: str, asset: str, version: str) -> PlannedVideo:
    """What that would take at most; `version` is what the page shows now."""
    return _cost_of(rights.person().cameras, video_id, asset, version)


@st.cache_data(max_entries=64, show_spinner=False)
def _cost_of(seen: data.Cameras, video_id: str, asset: str, version: str) -> PlannedVideo:
    return data.deeds().cost_of(video_id, asset)


def forget() -> None:
    """Plan anew at the next look."""
    _plan.clear()
    _waiting.clear()
