"""What the Pipeline page reads and asks for; kept for a few seconds, so that many open pages cost one look.

A page that stays up while a part is away says which: every reading gives None instead of raising.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import streamlit as st

from ui import opened
from video_platform import dlq, health
from video_platform.dagster_now import DagsterNow
from video_platform.errors import PlatformError
from video_platform.operations import Failed, Lag, Operations, StepTimes
from video_platform.records import VideoRecord
from video_platform.services.database import measures, outbox
from video_platform.services.database.outbox import OutboxRow, Pending

FRESH_S = 2.0
SLOW_S = 15.0
"""How old an answer may be that costs reading many small objects, or asking servers that are away."""

PAGE_FAILURES = 10
SHOWN_LETTERS = 20
SHOWN_DEAD = 20

Answer = TypeVar("Answer")


def _operations() -> Operations:
    services = opened.services()
    return Operations(services.platform, services.catalog)


def _or_none(ask: Callable[[], Answer]) -> Answer | None:
    try:
        return ask()
    except PlatformError:
        return None


@st.cache_data(ttl=SLOW_S, max_entries=1, show_spinner=False)
def parts() -> Mapping[str, health.Part]:
    """Every server and process, and whether it does its work."""
    services = opened.services()
    return health.check(services.platform, services.catalog.dagster)


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def now() -> DagsterNow | None:
    """Runs under way, sensors and daemons."""
    return _operations().dagster()


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def tallies() -> measures.Tallies | None:
    """Videos by state, failures by code."""
    return _or_none(_operations().tallies)


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def lags() -> list[Lag]:
    """How far each sensor is behind its topic."""
    return _operations().lags(now())


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def pending() -> Pending | None:
    """What has not left yet."""
    return _or_none(_operations().outbox)


@st.cache_data(ttl=SLOW_S, max_entries=1, show_spinner=False)
def step_times() -> list[StepTimes]:
    """How long steps take at present."""
    return _or_none(_operations().step_times) or []


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def names(video_ids: tuple[str, ...]) -> dict[str, VideoRecord]:
    """The records of the videos that runs belong to."""
    return _or_none(lambda: _operations().names(video_ids)) or {}


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def failed(quarantined: bool, page: int) -> Failed:
    """One page of failed videos: those that were given up, or the others; pages count from 1."""
    return _operations().failed(quarantined=quarantined, limit=PAGE_FAILURES, offset=(page - 1) * PAGE_FAILURES)


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def summaries_failed() -> Failed:
    """Videos whose summary could not be written."""
    return _operations().summaries_failed(PAGE_FAILURES)


@st.cache_data(ttl=SLOW_S, max_entries=1, show_spinner=False)
def letters() -> tuple[list[dlq.Letter], int] | None:
    """The newest dead letters, and how many the topic holds; None when the log does not answer."""
    platform = opened.services().platform
    return _or_none(lambda: (dlq.letters(platform.log, platform.db, limit=SHOWN_LETTERS), dlq.count(platform.log)))


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def given_up() -> list[OutboxRow]:
    """Rows of the outbox that can never leave by themselves."""
    return _or_none(lambda: outbox.dead(opened.services().platform.db, limit=SHOWN_DEAD)) or []


def forget() -> None:
    """Read anew at the next look."""
    for kept in (now, tallies, lags, pending, names, failed, summaries_failed, letters, given_up):
        kept.clear()
