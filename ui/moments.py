"""Moments that were found by what was said of them: the box, its filters, and what it finds."""

from datetime import UTC, date, datetime, time, timedelta

import streamlit as st

from ui import cards, data, links, words
from ui.picture import picture
from video_platform.search import ANY_ALERT, Found, Hit

LONGEST_QUESTION = 10_000
"""Characters that the box takes; of more than `search.MAX_QUESTION` the beginning is looked for."""

NOT_FACTS = {"contradicted": ("Contradicted by what was found", "red"), "not_checkable": ("Not checked", "gray")}
KINDS = {"summary": "Summary", "caption": "Caption", "transcript": "Speech"}
ANY = "Any alert"


def box() -> str:
    """Where a question is typed; it is part of the page's address."""
    return st.text_input(
        "Search moments",
        key="find",
        type="search",
        placeholder="What happens: two persons cross, a truck stops at the gate",
        icon=":material/manage_search:",
        bind="query-params",
        max_chars=LONGEST_QUESTION,
    )


def results(question: str, camera: str | None) -> None:
    """What is found, with filters by time, class and alert above it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        days = st.date_input("Days (UTC)", value=[], key="found-days", width=240)
        class_name = st.text_input("Class", key="found-class", placeholder="person, car …", width=180)
        alert = st.selectbox("Alert", [ANY, *data.rules_with_alerts()], index=None, key="found-alert", placeholder="With or without", width=220)
    since, until = _span(days)
    found = data.found(question, camera, since, until, class_name.strip() or None, ANY_ALERT if alert == ANY else alert)
    _how(found)
    if not found.hits:
        st.info("No moment matches. Other words may, or fewer filters.", icon=":material/search_off:")
        return
    with st.grid("auto", min_column_width=260, gap="medium"):
        for hit in found.hits:
            _card(hit)


def _span(days: object) -> tuple[datetime | None, datetime | None]:
    """From the beginning of the first day to the end of the last, in UTC as all times on the pages."""
    chosen = [day for day in days if isinstance(day, date)] if isinstance(days, tuple) else []
    if not chosen:
        return None, None
    return datetime.combine(chosen[0], time.min, UTC), datetime.combine(chosen[-1] + timedelta(days=1), time.min, UTC)


def _how(found: Found) -> None:
    """How many, of which videos, and how they were looked for."""
    parts = [words.count(len(found.hits), "moment")]
    if found.indexed < found.videos:
        parts.append(f"{found.indexed:,} of {found.videos:,} videos can be found")
    st.caption(" · ".join(parts))
    if found.note:
        st.caption(f":material/info: Found by words alone: {words.plain(found.note, 400)}")


def _card(hit: Hit) -> None:
    """One moment: picture, what was said, when, where, and why it is here."""
    video_id, at_s = hit.video.video_id, hit.passage.start_s
    name = f"{video_id}-{hit.passage.position}"
    with st.container(border=True, key=f"moment-{name}", gap="xsmall"):
        opened = picture(
            f"moment-{name}",
            src=data.media_path(hit.thumbnail) if hit.thumbnail else None,
            shape=str(hit.video.state),
            href=links.video_path(video_id, at_s),
            alt=f"Open {words.literal(hit.video.original_name, 80)} at {words.duration(at_s)}",
            length=words.duration(at_s),
        )
        if opened:
            cards.go(links.video(video_id, at_s))
        st.markdown(words.plain(hit.passage.text, 400))
        query = dict(links.video(video_id, at_s))
        st.page_link(links.VIDEO, label=f"**{words.duration(at_s)}** {cards.name_of(hit.video)}", query_params=query, width="stretch")
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.badge(KINDS.get(hit.passage.kind, hit.passage.kind), color="gray")
            if told := NOT_FACTS.get(hit.passage.state):
                st.badge(told[0], color=told[1])  # type: ignore[arg-type]
        st.caption(" · ".join(part for part in (words.plain(hit.video.camera, 60), words.instant(hit.moment) if hit.moment else "") if part))
        st.markdown(f":small[{words.sentence(hit.why, 200)}]")
