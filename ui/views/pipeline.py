"""What waits, what goes on, what failed and why, and whether every server and process does its work."""

import pandas as pd
import streamlit as st

from ui import cards, data, links, operating, rights, told, words
from video_platform.dagster_now import RunNow
from video_platform.errors import PlatformError
from video_platform.records import VideoRecord, VideoState

LOOK_AGAIN_S = 3
SHOWN_RUNS = 20
"""Runs that are described one by one; what waits behind them is counted."""

TIMED_S = 0.1
"""A step that takes less does nothing with the footage; how many times faster than it plays that is says nothing."""

PART_WORDS = {
    "database": "Database",
    "objects": "Object store",
    "events": "Event log",
    "relay": "Relay (events and notifications)",
    "runs": "Dagster's daemons (queue)",
    "sensors": "Sensors",
    "language_model": "Language model",
    "vision_model": "Vision model",
    "models": "Models being fetched",
    "disk": "Disk",
}
JOB_WORDS = {
    "process_video": "Processing",
    "describe_video": "Writing the summary",
    "process_and_describe": "Processing",
    "make_digest": "Making the digest of a day",
    "judge_videos": "Judging many videos by changed rules",
    "ingest_object": "Taking a file in from the inbox",
}
"""What a run of each job does."""

LANE_WORDS = {"live": "live", "request": "asked for", "backfill": "backfill", "describe": "summaries", "": "other"}
SENSOR_WORDS = {"video_events": "to be processed", "processed_videos": "to be described", "inbox_uploads": "put into the inbox"}
ASSET_WORDS = {
    "raw_video": "Checking the file",
    "processed_video": "Browser copy",
    "detections": "Detections",
    "scenes": "Scenes",
    "tracks": "Tracks",
    "alerts": "Alerts",
    "highlights": "Clips",
    "second_look": "Second look",
    "transcript": "Transcript",
    "captions": "Captions",
    "described_alerts": "Seen and said",
    "llm_summary": "Summary",
    "search_index": "Search index",
}

cards.follow()
st.title("Pipeline")


def let_in() -> None:
    """Stop here for who may not look; asked again at each look, because a page stays open."""
    try:
        rights.must_see_pipeline()
    except PlatformError as error:
        st.error(words.sentence(error.message), icon=":material/lock:")
        st.stop()


let_in()


@st.fragment(run_every=LOOK_AGAIN_S)
@told.in_words()
def overview() -> None:
    """The figures, the health of every part, and what goes on."""
    let_in()
    figures()
    servers()
    going_on()
    waiting()


def figures() -> None:
    """How many videos stand where."""
    found, at = operating.tallies(), operating.now()
    if found is None:
        st.error("The database does not answer, so nothing is known of videos. The page looks again by itself.", icon=":material/error:")
        return
    queued = sum(run.waits for run in at.runs) if at else 0
    with st.container(horizontal=True, key="figures"):
        for label, number in (
            ("Waiting", found.videos[VideoState.RECEIVED]),
            ("Processing", found.videos[VideoState.PROCESSING]),
            ("Ready", found.videos[VideoState.READY]),
            ("Failed", found.videos[VideoState.FAILED]),
            ("Runs queued", queued),
        ):
            st.metric(label, f"{number:,}", border=True, width=150)


def servers() -> None:
    """One line per server and process; open when something is wrong."""
    found = operating.parts()
    troubled = [name for name, part in found.items() if not part.ok]
    title = f"{words.count(len(troubled), 'part')} not well" if troubled else "Every server and process does its work"
    with st.expander(title, icon=":material/error:" if troubled else ":material/check_circle:", expanded=bool(troubled)):
        for name, part in found.items():
            colour, icon = ("green", ":material/check:") if part.ok else ("red" if part.needed else "orange", ":material/error:")
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.badge(PART_WORDS.get(name, words.literal(name, 40)), icon=icon, color=colour)  # type: ignore[arg-type]
                st.markdown(f":small[{words.plain(part.detail, 400)}]", width="stretch")


def going_on() -> None:
    """Runs in words: what each does, for which video, how long."""
    at = operating.now()
    st.subheader("Now", anchor=False)
    if at is None:
        st.markdown("Dagster has no records here yet. `vp up` starts what processes videos.")
        return
    busy = [run for run in at.runs if not run.waits]
    records = operating.names(tuple(run.video_id for run in busy[:SHOWN_RUNS] if run.video_id))
    if not busy:
        st.markdown("Nothing is being processed.")
    for run in busy[:SHOWN_RUNS]:
        run_line(run, records.get(run.video_id))
    if len(busy) > SHOWN_RUNS:
        st.caption(f"and {len(busy) - SHOWN_RUNS:,} more")


def run_line(run: RunNow, record: VideoRecord | None) -> None:
    """One run that goes on."""
    doing = JOB_WORDS.get(run.job, words.plain(run.job, 60))
    if record is not None and record.state is VideoState.PROCESSING and run.job.startswith("process"):
        doing = words.plain(words.progress_words(record))
    if run.status == "canceling":
        doing = f"Being cancelled: {doing}"
    since = "" if run.started_at is None else f" · for {words.duration((data.now() - run.started_at).total_seconds())}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(LANE_WORDS.get(run.lane, words.literal(run.lane, 20)), color="blue")
        if record is not None:
            st.page_link(links.VIDEO, label=cards.name_of(record), query_params=dict(links.video(record.video_id)))
        st.markdown(f"{doing}{since}", width="content")
        st.link_button("Run", data.run_url(run.run_id), icon=":material/open_in_new:", type="tertiary")


def waiting() -> None:
    """What waits in the queue, on topics and in the outbox, in one table."""
    at, pending = operating.now(), operating.pending()
    st.subheader("Waiting", anchor=False)
    rows: list[tuple[str, str]] = []
    if at is not None:
        queued: dict[str, int] = {}
        for run in at.runs:
            if run.waits:
                queued[run.lane] = queued.get(run.lane, 0) + 1
        rows += [(f"Queue, {LANE_WORDS.get(lane, words.literal(lane, 20))}", words.count(number, "run")) for lane, number in sorted(queued.items())]
    for lag in operating.lags():
        what = SENSOR_WORDS.get(lag.sensor, lag.sensor)
        rows.append((f"Topic {lag.topic}", "unknown: the event log does not answer" if lag.unread is None else f"{words.count(lag.unread, 'event')} {what}"))
    if pending is not None:
        age = f", the oldest for {words.duration(pending.lag_s(data.now()))}" if pending.waiting else ""
        rows.append(("Events to be sent", f"{pending.events:,}{age if pending.events else ''}"))
        rows.append(("Notifications to be sent", f"{pending.notifications:,}{age if pending.notifications else ''}"))
    st.dataframe(pd.DataFrame(rows, columns=["Where", "What waits"]), hide_index=True, width="stretch")
    if pending is not None and pending.last_error:
        st.caption(f"The last attempt to send failed: {words.plain(pending.last_error, 300)}")


def steps() -> None:
    """Seconds per step, of the newest finished videos."""
    st.subheader("Time per step", anchor=False)
    found = operating.step_times()
    if not found:
        st.markdown("No video is finished yet.")
        return
    rows = [
        (
            ASSET_WORDS.get(each.asset, each.asset),
            round(each.median_s, 2),
            round(each.longest_s, 2),
            None if each.real_time_factor is None or each.median_s < TIMED_S else round(each.real_time_factor, 1),
            each.count,
        )
        for each in found
    ]
    st.dataframe(pd.DataFrame(rows, columns=["Step", "Usual, s", "Longest, s", "Times real time", "Videos"]), hide_index=True, width="stretch", placeholder="")
    st.caption("Of the newest finished videos, as their results say; three steps of one pass share its time. What was reused took nothing.")


@st.fragment(run_every=LOOK_AGAIN_S)
@told.in_words()
def troubles() -> None:
    """Everything that wants a person."""
    let_in()
    st.subheader("Failed", anchor=False)
    given_up, failed, summaries = operating.failed(True, 1), operating.failed(False, 1), operating.summaries_failed()
    if not given_up.total + failed.total + summaries.total:
        st.markdown("Nothing has failed.")
    if given_up.total:
        st.markdown(f"**In quarantine: {words.count(given_up.total, 'video')}.** Each was tried several times and waits for you.")
        failures(operating.failed(True, at_page("quarantined", given_up.total)).items, summary=False)
    if failed.total:
        st.markdown(f"**Could not be processed: {words.count(failed.total, 'video')}.**")
        failures(operating.failed(False, at_page("failed", failed.total)).items, summary=False)
    if summaries.total:
        st.markdown(f"**Ready, without a summary: {words.count(summaries.total, 'video')}.**")
        failures(summaries.items, summary=True)


def at_page(key: str, total: int) -> int:
    """The page that is chosen of so many failures."""
    pages = max(1, -(-total // operating.PAGE_FAILURES))
    return min(st.pagination(pages, key=f"{key}-page"), pages) if pages > 1 else 1


def failures(records: list[VideoRecord], *, summary: bool) -> None:
    """One line per video: what happened, since when, and a button that tries again."""
    for record in records:
        message = record.summary_failure_message if summary else record.failure_message
        with st.container(border=True, key=f"trouble-{'summary' if summary else 'video'}-{record.video_id}", gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link(links.VIDEO, label=f"**{cards.name_of(record)}**", query_params=dict(links.video(record.video_id)), width="stretch")
                if record.run_id:
                    st.link_button("Run", data.run_url(record.run_id), icon=":material/open_in_new:", type="tertiary")
                key = f"again-{'summary' if summary else 'video'}-{record.video_id}"
                st.button("Try again", key=key, icon=":material/replay:", on_click=try_again, args=(record.video_id,))
            st.markdown(words.sentence(message or "It failed without a word", 500))
            st.caption(f"{words.plain(record.camera, 60)} · {words.ago(record.updated_at, data.now())}")


def try_again(video_id: str) -> None:
    """Ask for a video or its summary anew."""
    if cards.asked(data.try_again, video_id, "Asked for; it starts when its turn comes."):
        operating.forget()


@st.fragment(run_every=LOOK_AGAIN_S)
@told.in_words()
def unusable() -> None:
    """Messages and files that nobody can use, with the reason."""
    let_in()
    st.subheader("Not usable", anchor=False)
    found = operating.letters()
    if found is None:
        st.markdown("The event log does not answer, so its dead letters are not known.")
    elif found[0]:
        letters, total = found
        rows = [
            (words.instant(letter.at), str(letter.origin), letter.reason, words.literal(letter.detail, 300), "replayed" if letter.replayed else "")
            for letter in letters
        ]
        st.markdown(f"**Dead letters: {words.count(total, 'message')}** that could not be used. `vp dlq show` shows one, `vp dlq replay` sends it again.")
        st.dataframe(pd.DataFrame(rows, columns=["When", "Where it stood", "Reason", "In words", ""]), hide_index=True, width="stretch")
    dead = operating.given_up()
    if dead:
        rows = [(words.instant(row.created_at), row.topic or row.channel or "", words.literal(row.error or "", 300)) for row in dead]
        st.markdown("**Given up:** events and notifications that could not leave.")
        st.dataframe(pd.DataFrame(rows, columns=["When", "To", "Why"]), hide_index=True, width="stretch")
    refused = data.recent_refusals()
    if refused:
        rows = [
            (words.instant(each.at), words.literal(each.name, 120), words.literal(each.camera, 60), words.literal(each.message, 300), each.times)
            for each in refused
        ]
        st.markdown("**Refused footage:** files that were not taken in.")
        st.dataframe(pd.DataFrame(rows, columns=["When", "File", "Camera", "Why", "Times"]), hide_index=True, width="stretch")
    if not dead and not refused and not (found and found[0]):
        st.markdown("Every message and every file could be used.")


overview()
steps()
troubles()
unusable()
with st.container(horizontal=True):
    st.link_button("Dagster's page: runs", data.dagster_url("runs"), icon=":material/open_in_new:")
    st.link_button("Sensors", data.dagster_url("automation"), icon=":material/open_in_new:")
    st.link_button("Assets", data.dagster_url("assets"), icon=":material/open_in_new:")
