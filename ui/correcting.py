"""Camera and recording time of a video, corrected on its page."""

from datetime import UTC, datetime, tzinfo

import streamlit as st

from ui import cards, data, rights, words
from video_platform.access import Role
from video_platform.records import VideoRecord

CAMERA_CHARACTERS, TIME_CHARACTERS = 64, 40
CAMERA, TIME = "correct-camera", "correct-time"
"""Keys of the session: the two fields."""


def correction(record: VideoRecord) -> None:
    """The form, behind a button; nothing for who may not correct videos."""
    if not rights.may(Role.OPERATOR):
        return
    zone = data.settings().recording.zone_of(record.camera) or UTC
    with st.popover("Correct camera or time", icon=":material/edit_calendar:", type="tertiary"), st.form("correct", border=False):
        camera = st.text_input("Camera", record.camera, max_chars=CAMERA_CHARACTERS, key=CAMERA)
        before = f"{record.recorded_at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if record.recorded_at else ""
        told = st.text_input(f"First frame recorded at ({zone})", before, max_chars=TIME_CHARACTERS, placeholder="2026-11-23 08:30", key=TIME)
        st.caption("Only what depends on them is made again: alerts, clips, the digest of the day. No picture is looked at anew.")
        if not st.form_submit_button("Correct", icon=":material/check:"):
            return
        recorded_at = None if told.strip() in ("", before) else _instant(told, zone)
        if told.strip() not in ("", before) and recorded_at is None:
            st.error(f"{words.literal(told, TIME_CHARACTERS)!r} is not a time; write 2026-11-23 08:30, or 2026-11-23 08:30+01:00 for another zone.")
            return
        if camera.strip() == record.camera and recorded_at is None:
            st.info("Nothing was changed.", icon=":material/info:")
            return
    if cards.asked(lambda video_id: data.correct(video_id, camera.strip(), recorded_at), record.video_id, "Corrected; what depends on it is made again."):
        for field in (CAMERA, TIME):  # what was typed gives way to what is stored now
            del st.session_state[field]
        st.rerun()


def _instant(text: str, zone: tzinfo) -> datetime | None:
    """An instant from what a person wrote, by the clock of `zone` where they name none; None for what is no time."""
    try:
        told = datetime.fromisoformat(text.strip())
        return (told if told.tzinfo else told.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
