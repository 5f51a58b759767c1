"""What happened on a day: counts, busiest hours, alerts and gaps, camera by camera."""

import pandas as pd
import streamlit as st

from ui import data, days, links, words
from ui.reel import reel as film
from video_platform.errors import PlatformError
from video_platform.records_days import CameraDay, Digest

st.title("Days")
known = days.listed()
if not known:
    st.info(
        "There is no digest yet. One is made for each day on which anything was recorded; videos whose recording time is unknown are of no day: "
        "the page of a video corrects it.",
        icon=":material/calendar_today:",
    )
    st.page_link(links.LIBRARY, label="Library", icon=":material/video_library:")
    st.stop()
labels = [str(day.day) for day in known]
chosen = st.selectbox("Day", labels, key="day", bind="query-params", width=200)
day = known[labels.index(chosen if chosen in labels else labels[0])]
try:
    shown = days.read(day.day)
except PlatformError as error:
    st.info(words.sentence(error.message), icon=":material/hourglass_empty:")
    st.stop()
if not shown.day.current:
    st.caption("Footage of this day came, went or changed since; its digest is made again within minutes.")


def figures(digest: Digest) -> None:
    """Sums over the cameras that are seen."""
    sums = {
        "Videos": f"{sum(each.videos for each in digest.cameras):,}",
        "Footage": words.span(sum(each.footage_s for each in digest.cameras)),
        "Objects": f"{sum(sum(each.objects.values()) for each in digest.cameras):,}",
        "Alerts": f"{sum(sum(each.alerts.values()) for each in digest.cameras):,}",
        "Gaps": f"{sum(len(each.gaps) for each in digest.cameras):,}",
    }
    with st.container(horizontal=True, key="figures"):
        for label, text in sums.items():
            st.metric(label, text, border=True, width=160)


def hours(digest: Digest) -> None:
    """When most was seen and raised."""
    st.subheader("By hour", anchor=False)
    names = [f"{hour:02d}" for hour in range(24)]
    table = pd.DataFrame(
        {
            "Objects": [sum(each.objects_by_hour[hour] for each in digest.cameras) for hour in range(24)],
            "Alerts": [sum(each.alerts_by_hour[hour] for each in digest.cameras) for hour in range(24)],
        },
        index=pd.Index(names, name="Hour"),
    )
    st.bar_chart(table, stack=False, x_label=f"Hour, {words.literal(digest.timezone, 60)}", y_label="Began in it", height=260)


def cameras(digest: Digest) -> None:
    """One row per camera."""
    st.subheader("Cameras", anchor=False)
    st.dataframe(pd.DataFrame([row(each) for each in digest.cameras]), hide_index=True, key="cameras", alt="Cameras on this day")


def row(camera: CameraDay) -> dict[str, object]:
    """A camera in the table."""
    return {
        "Camera": words.literal(camera.camera, 60),
        "Videos": camera.videos,
        "Footage": words.duration(camera.footage_s),
        "Objects": ", ".join(f"{name} {count}" for name, count in camera.objects.items()),
        "Alerts": ", ".join(f"{words.literal(rule, 60)} {count}" for rule, count in camera.alerts.items()),
        "Busiest": ", ".join(f"{hour:02d}:00" for hour in camera.busiest_hours),
        "Gaps": len(camera.gaps),
    }


def gaps(digest: Digest) -> None:
    """Every gap, longest first."""
    found = sorted(((each.camera, gap) for each in digest.cameras for gap in each.gaps), key=lambda pair: -pair[1].seconds)
    if not found:
        return
    st.subheader("Gaps in footage", anchor=False)
    rows = [(words.literal(camera, 60), words.instant(gap.start), words.instant(gap.end), words.span(gap.seconds)) for camera, gap in found]
    st.dataframe(pd.DataFrame(rows, columns=["Camera", "From", "To", "Length"]), hide_index=True, key="gaps", alt="Gaps in footage on this day")


def reel(digest: Digest) -> None:
    """The film of the day, where there is one."""
    try:
        found = days.reel(digest.day)
    except PlatformError as error:
        st.caption(words.sentence(error.message))
        return
    if found is None:
        return
    st.subheader("Reel", anchor=False)
    film(
        str(digest.day),
        found,
        src=days.reel_path(digest.day, found),
        alt=f"Reel of {digest.day}, {words.duration(found.seconds)}",
        page_of=lambda piece: links.video_path(piece.video_id, piece.start_s),
    )
    st.link_button("Download", links.absolute(days.reel_path(digest.day, found, f"{digest.day}.mp4")), icon=":material/download:")


figures(shown.digest)
reel(shown.digest)
hours(shown.digest)
cameras(shown.digest)
gaps(shown.digest)
st.caption(f"Days are those of {words.plain(shown.digest.timezone, 60)}. Made {words.ago(shown.day.made_at or data.now(), data.now())}.")
