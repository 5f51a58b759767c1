"""What a video or an alert looks like in a list, and the actions on it."""

from collections.abc import Callable, Mapping
from html import escape

import streamlit as st

from ui import data, links, rights, words
from ui.picture import picture
from video_platform.access import Role
from video_platform.catalog_views import VideoCard
from video_platform.errors import PlatformError
from video_platform.records import AlertRecord, Lifecycle, Mark, Severity, VideoRecord, VideoState

DOOMED = "delete-video"
CLIP = "shown-clip"
TARGET = "next-video"
"""Keys of the session: the video that a person wants to delete, the alert whose clip is open, the query of the video page to go to."""

OPEN, AGAIN, DELETE = "Open", "Process again", "Delete…"


def name_of(record: VideoRecord) -> str:
    """The name of a video as Markdown."""
    return words.plain(record.original_name, words.LONGEST_NAME) or record.video_id


def facts(record: VideoRecord) -> str:
    """Camera and age on one line, as Markdown."""
    parts = [words.plain(record.camera, 60), words.ago(record.ingested_at, data.now())]
    return " · ".join(part for part in parts if part)


def video_card(view: VideoCard) -> None:
    """One video of the library."""
    record = view.record
    with st.container(border=True, key=f"card-{record.video_id}", gap="xsmall"):
        opened = picture(
            record.video_id,
            src=data.media_path(view.thumbnail) if view.thumbnail else None,
            shape=str(record.state),
            href=links.video_path(record.video_id),
            alt=f"Open {words.literal(record.original_name, 80)}, {words.STATE_WORDS[record.state].lower()}",
            length=words.duration(record.duration_s),
        )
        if opened:
            go(links.video(record.video_id))
        with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
            st.page_link(links.VIDEO, label=f"**{name_of(record)}**", query_params=dict(links.video(record.video_id)), width="stretch")
            menu(record)
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            state_badge(record)
            for severity in (Severity.CRITICAL, Severity.WARNING, Severity.INFO):
                if number := view.alerts.get(severity, 0):
                    st.badge(f"{number:,}", icon=words.SEVERITY_ICONS[severity], color=words.SEVERITY_COLORS[severity], help=f"{severity} alerts")  # type: ignore[arg-type]
        st.caption(facts(record))
        if record.reference_path:
            st.markdown(f":small[:material/link: In place: {words.plain(record.reference_path, 120)}]")
        if view.title:
            st.markdown(f":small[{words.plain(view.title, 160)}]")
        if record.state is VideoState.READY and record.summary_failure_code:
            st.markdown(":small[:orange[The summary could not be written.]]")
        if record.state in (VideoState.PROCESSING, VideoState.RECEIVED):
            progress(record)
        elif record.state is VideoState.FAILED:
            st.markdown(f":small[:red[{words.plain(record.failure_message or record.failure_code or 'It failed without a word.', 200)}]]")


def state_badge(record: VideoRecord) -> None:
    """The state of a video in one word."""
    st.badge(words.STATE_WORDS[record.state], icon=words.STATE_ICONS[record.state], color=words.STATE_COLORS[record.state])  # type: ignore[arg-type]


def progress(record: VideoRecord) -> None:
    """How far a video is, as a bar and in words."""
    done = record.progress if record.state is VideoState.PROCESSING else 0.0
    st.progress(min(max(done or 0.0, 0.0), 1.0), text=words.plain(words.progress_words(record)))


def menu(record: VideoRecord) -> None:
    """What can be done with a video of a list, by who looks."""
    actions = [action for action, role in ((AGAIN, Role.OPERATOR), (DELETE, Role.ADMIN)) if rights.may(role)]
    if not actions:
        return
    key = f"menu-{record.video_id}"
    st.menu_button("", actions, key=key, icon=":material/more_vert:", type="tertiary", help="Actions", on_click=_chosen, args=(record.video_id, key))


def _chosen(video_id: str, key: str) -> None:
    choice = st.session_state.get(key)
    if choice == DELETE:
        st.session_state[DOOMED] = video_id
    elif choice == AGAIN:
        again(video_id)


def again(video_id: str) -> None:
    """Ask for processing, and say what came of it."""
    asked(data.process_again, video_id, "Asked for processing; what nothing changed for is reused.")


def summary_again(video_id: str) -> None:
    """Ask for the summary alone, and say what came of it."""
    asked(data.try_again, video_id, "Asked for the summary; it appears here when it is written.")


def asked(ask: Callable[[str], None], video_id: str, done: str) -> bool:
    """Ask for work on a video, and say what came of it; whether it was asked for."""
    try:
        ask(video_id)
    except PlatformError as error:
        st.toast(words.sentence(error.message), icon=":material/error:")
        return False
    st.toast(done, icon=":material/autorenew:")
    return True


def go(query: Mapping[str, str]) -> None:
    """Go to the video page; a fragment cannot do that by itself without leaving the browser's tree of elements confused, so the whole page runs first."""
    st.session_state[TARGET] = dict(query)
    st.rerun()


def leave_if_asked() -> None:
    """Inside a fragment: when a button asked for a dialog, let the whole page run, because dialogs belong to it."""
    if DOOMED in st.session_state or CLIP in st.session_state:
        st.rerun()


def follow() -> None:
    """Do what a card asked for: go to a video, ask whether to delete one, play a clip. Call it first on a page, before its fragments."""
    target = st.session_state.pop(TARGET, None)
    if target is not None:
        st.switch_page(links.VIDEO, query_params=target)
    doomed, clip = st.session_state.pop(DOOMED, None), st.session_state.pop(CLIP, None)
    if doomed is not None:
        _deletion(doomed)
    elif clip is not None:
        _clip(clip)


@st.dialog("Delete this video?", icon=":material/delete:")
def _deletion(video_id: str) -> None:
    try:
        record = data.video(video_id).record
    except PlatformError as error:
        st.markdown(words.sentence(error.message))
        return
    st.markdown(f"**{name_of(record)}**")
    st.markdown("The footage, everything that was made from it, and its alerts are removed. This cannot be undone; the same file can be ingested again.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it"):
            st.rerun()
        if st.button("Delete", type="primary", icon=":material/delete:"):
            try:
                data.delete(video_id)
            except PlatformError as error:
                st.error(words.sentence(error.message))
            else:
                st.switch_page(links.LIBRARY)


def nothing_here() -> None:
    """What to do with an empty library."""
    with st.container(border=True):
        st.subheader("No footage yet", anchor=False)
        st.markdown("Bring some in; it is looked at as soon as it is here.")
        st.markdown(
            "- **Here**: drop files on *Add footage* above.\n- **From a folder**: `vp ingest /path/to/videos`\n- **As it arrives**: `vp watch /path/to/folder`"
        )


# ---- alerts --------------------------------------------------------------------------------------------------------------------------------------------


def why(alert: AlertRecord) -> str:
    """Why an alert was raised, as one line of Markdown."""
    return words.plain(words.reason(alert))


def when(alert: AlertRecord) -> str:
    """The span of an alert in its video, and its wall-clock time where known, as Markdown."""
    span = f"{words.moment(alert.start_s)} to {words.moment(alert.end_s)}" if alert.end_s > alert.start_s else words.moment(alert.start_s)
    return f"{words.instant(alert.start_time)} · {span}" if alert.start_time else f"{span} in the video"


def alert_card(alert: AlertRecord, video_name: str) -> None:
    """One alert: its picture, what, where, when and why, and what a person says of it."""
    with st.container(border=True, key=f"alert-{alert.id}"):
        frame, words_of_it = st.columns([1, 2], gap="medium")
        with frame:
            opened = picture(
                alert.id,
                src=data.media_path(alert.snapshot) if alert.snapshot else None,
                shape=str(VideoState.PROCESSING),
                href=links.video_path(alert.video_id, alert.start_s),
                alt=f"Show the moment of {words.literal(alert.rule, 80)} at {words.moment(alert.start_s)}",
            )
            if opened:
                go(links.video(alert.video_id, alert.start_s))
        with words_of_it:
            _alert_words(alert, video_name)
            _alert_actions(alert)


def _alert_words(alert: AlertRecord, video_name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(str(alert.severity), icon=words.SEVERITY_ICONS[alert.severity], color=words.SEVERITY_COLORS[alert.severity])  # type: ignore[arg-type]
        st.markdown(f"**{words.plain(alert.rule, 120)}**", width="content")
        if alert.mark is not Mark.NONE:
            st.badge(words.MARK_WORDS[alert.mark], icon=":material/done_all:" if alert.mark is Mark.ACKNOWLEDGED else ":material/thumb_down:", color="gray")
        if alert.second_look is not None:
            outcome = alert.second_look.outcome
            st.badge(words.LOOK_WORDS[outcome], icon=words.LOOK_ICONS[outcome], color=words.LOOK_COLORS[outcome], help="What a vision model says of it")  # type: ignore[arg-type]
        if alert.lifecycle is Lifecycle.SUPERSEDED:
            st.badge("Superseded", icon=":material/history:", color="gray")
    st.caption(f"{words.plain(alert.camera, 60)} · {words.plain(video_name, 80)} · {when(alert)}")
    if text := why(alert):
        st.markdown(text)
    if look := words.second_look(alert):
        st.caption(words.plain(look))
    if alert.superseded_reason:
        st.caption(f"Superseded: {words.plain(alert.superseded_reason, 300)}")


def _alert_actions(alert: AlertRecord) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(links.VIDEO, label="Show the moment", icon=":material/play_circle:", query_params=dict(links.video(alert.video_id, alert.start_s)))
        if alert.clip:
            st.button("Play clip", key=f"clip-{alert.id}", icon=":material/movie:", on_click=_show_clip, args=(alert.id,))
        elif alert.lifecycle is Lifecycle.ACTIVE:
            st.caption(":material/hourglass: Clip is being made", width="content")
        if not rights.may(Role.OPERATOR):
            return
        if alert.mark is Mark.NONE:
            st.button("Acknowledge", key=f"ack-{alert.id}", icon=":material/check:", on_click=mark, args=(alert.id, Mark.ACKNOWLEDGED))
            st.button("False alarm", key=f"false-{alert.id}", icon=":material/thumb_down:", on_click=mark, args=(alert.id, Mark.FALSE))
        else:
            st.button("Undo", key=f"undo-{alert.id}", icon=":material/undo:", on_click=mark, args=(alert.id, Mark.NONE))


def mark(alert_id: str, what: Mark) -> None:
    """Record what a person says of an alert; one that is gone, or that they may not mark any more, is said."""
    try:
        data.mark(alert_id, what)
    except PlatformError as error:
        st.toast(words.sentence(error.message), icon=":material/error:")


def _show_clip(alert_id: str) -> None:
    st.session_state[CLIP] = alert_id


def _playing(url: str, label: str) -> None:
    """A video that starts by itself. Streamlit's own starts only the first time that it is drawn, and a dialog may be drawn twice while it opens."""
    st.html(f'<video src="{escape(url)}" aria-label="{escape(label)}" controls autoplay muted playsinline style="width: 100%; display: block"></video>')


@st.dialog("Clip", width="large", icon=":material/movie:")
def _clip(alert_id: str) -> None:
    try:
        alert = data.alert(alert_id)
    except PlatformError as error:
        st.markdown(words.sentence(error.message))
        return
    st.markdown(f"**{words.plain(alert.rule, 120)}** · {when(alert)}")
    if alert.clip:
        name = f"{alert.rule}-{alert.video_id}-{alert.start_s:.1f}s.mp4"
        _playing(links.absolute(data.media_path(alert.clip)), f"Clip of alert {alert.rule[:80]}")
        st.link_button("Download", links.absolute(data.media_path(alert.clip, name)), icon=":material/download:")
    if text := why(alert):
        st.markdown(text)
