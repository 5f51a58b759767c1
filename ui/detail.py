"""The parts of the page of one video."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import streamlit as st

from ui import cards, data, links, rights, words
from ui.player import Row, Span, Tag, moments
from video_platform import layout
from video_platform.access import Role
from video_platform.catalog_views import AssetView, VideoDetail, first_notes
from video_platform.errors import MEDIA_CODES
from video_platform.records import AlertRecord, Manifest, Summary, Transcript, VideoRecord
from video_platform.search import Stands

ASSET_WORDS: Mapping[str, str] = {
    layout.RAW_VIDEO: "Original",
    layout.PROCESSED_VIDEO: "Browser copy",
    layout.DETECTIONS: "Detections",
    layout.SCENES: "Scenes",
    layout.TRACKS: "Tracks",
    layout.ALERTS: "Alerts",
    layout.HIGHLIGHTS: "Highlights",
    layout.SECOND_LOOK: "Second look",
    layout.TRANSCRIPT: "Transcript",
    layout.CAPTIONS: "Captions",
    layout.DESCRIBED_ALERTS: "Seen and said",
    layout.LLM_SUMMARY: "Summary",
    layout.SEARCH_INDEX: "Search index",
}

FILES = (
    (layout.RAW_VIDEO, "video", "Original video", None),
    (layout.PROCESSED_VIDEO, "video", "Browser copy", "browser.mp4"),
    (layout.HIGHLIGHTS, "reel", "Highlights reel", "highlights.mp4"),
    (layout.HIGHLIGHTS, "timelapse", "Time-lapse", "timelapse.mp4"),
    (layout.TRACKS, "tracks", "Tracks (Parquet)", "tracks.parquet"),
    (layout.DETECTIONS, "detections", "Detections (Parquet)", "detections.parquet"),
    (layout.ALERTS, "alerts", "Alerts (JSON)", "alerts.json"),
    (layout.SECOND_LOOK, "second_look", "Second look at alerts (JSON)", "second-look.json"),
    (layout.CAPTIONS, "captions", "Captions (JSON)", "captions.json"),
    (layout.TRANSCRIPT, "subtitles", "Subtitles (WebVTT)", "subtitles.vtt"),
    (layout.TRANSCRIPT, "transcript", "Transcript (JSON)", "transcript.json"),
    (layout.DESCRIBED_ALERTS, "alerts", "Seen and said (JSON)", "described-alerts.json"),
    (layout.LLM_SUMMARY, "summary", "Summary (JSON)", "summary.json"),
)
"""What can be downloaded: asset, role, words, ending of the name it is saved under."""

EXPORTS = (("mot", "MOTChallenge text"), ("coco", "COCO JSON"), ("csv", "CSV"), ("jsonl", "JSON lines"))


@dataclass(frozen=True)
class View:
    """A video with what its page reads only once."""

    found: VideoDetail
    alerts: list[AlertRecord]

    @property
    def record(self) -> VideoRecord:
        """The video itself."""
        return self.found.record

    @property
    def id(self) -> str:
        """The video's id."""
        return self.found.record.video_id

    def manifest(self, asset: str) -> Manifest | None:
        """The manifest of an asset, None until it was made."""
        view = self.found.asset(asset)
        return view.manifest if view else None

    @cached_property
    def tracks(self) -> list[data.TrackRow]:
        """Tracks in order of appearance."""
        key = data.file_key(self.manifest(layout.TRACKS), "player")
        return data.tracks(self.id, key) if key else []

    @cached_property
    def summary(self) -> Summary | None:
        """The summary, None until it was written."""
        key = data.file_key(self.manifest(layout.LLM_SUMMARY), "summary")
        return data.summary(self.id, key) if key else None

    @cached_property
    def transcript(self) -> Transcript | None:
        """What is said, or why there is no text; None until somebody was to listen."""
        key = data.file_key(self.manifest(layout.TRANSCRIPT), "transcript")
        return data.transcript(self.id, key) if key else None


def facts(record: VideoRecord) -> str:
    """What is known of the footage on one line, as Markdown."""
    recorded = f"recorded {words.instant(record.recorded_at)}" if record.recorded_at else "recording time unknown"
    size = f"{record.width} × {record.height}" if record.width and record.height else ""
    parts = [words.plain(record.camera, 60), words.duration(record.duration_s), size, words.size(record.size_bytes), recorded]
    return " · ".join(part for part in parts if part)


def findable(record: VideoRecord) -> None:
    """Whether search finds the video, and if not, why."""
    found = data.standing(record)
    if found.stands is Stands.INDEXED:
        how = "by words and meaning" if found.by_meaning else "by words"
        st.caption(f":material/manage_search: Search finds {words.count(found.passages, 'passage')} of it {how}." + _because(found.reason))
    else:
        still = "Search does not find it yet." if found.stands is Stands.WAITING else "Search does not find it."
        st.caption(f":material/search_off: {still}{_because(found.reason)}")


def _because(reason: str) -> str:
    return f" {words.sentence(reason, 400)}" if reason else ""


def failure(record: VideoRecord) -> None:
    """A failed video: its named state, what happened, what to do."""
    title = MEDIA_CODES.get(record.failure_code or "", "Processing failed.")
    text = record.failure_message or ""
    body = text.removeprefix(title).strip()
    st.error(f"**{words.plain(title)}**" + (f"\n\n{words.plain(body, 600)}" if body else ""), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if rights.may(Role.OPERATOR) and st.button("Try again", icon=":material/refresh:", key=f"retry-{record.video_id}"):
            cards.again(record.video_id)
        if record.run_id and rights.opens_dagster():
            st.link_button("Open the run in Dagster", data.run_url(record.run_id), icon=":material/open_in_new:")
        if record.failure_code in MEDIA_CODES:
            st.caption("Trying again helps when the cause is gone. A file that is damaged must be sent again.", width="content")
        st.caption(f"State: `{words.literal(record.failure_code or 'failed', 60)}`", width="content")


def in_place(found: VideoDetail) -> None:
    """Where the footage lies when it was not copied, and what to do when it is not there."""
    path = found.record.reference_path
    if path is None:
        return
    st.caption(f":material/link: The footage stays where it lies: {words.plain(path, 400)}")
    if (away := found.away) is not None and found.record.failure_code != away.facts["code"]:
        st.warning(words.sentence(away.message, 900), icon=":material/link_off:")


def notes(found: VideoDetail) -> None:
    """What was noticed while the video was looked at, before anything that it made less of: a recording that is cut off, first of all."""
    if found.notes:
        st.warning("\n\n".join(words.sentence(note, 400) for note in first_notes(found.notes)), icon=":material/warning:")


def alert_list(view: View) -> None:
    """Alerts of this video; clicking one seeks the player."""
    if not view.alerts:
        made = view.manifest(layout.ALERTS) is not None
        st.markdown("No rule fired on this video." if made else "Rules have not been evaluated on this video yet.")
        if rights.sees_rules():
            st.page_link(links.RULES, label="See what the rules ask for", icon=":material/rule:")
        return
    rows = []
    for alert in view.alerts:
        spans = [Span(alert.start_s, words.moment(alert.start_s))]
        mark = "" if alert.mark == "none" else f" ({words.MARK_WORDS[alert.mark].lower()})"
        rows.append(
            Row(
                f"{alert.rule}{mark}",
                spans,
                note=" ".join(filter(None, (words.reason(alert), words.second_look(alert)))),
                tag=Tag(str(alert.severity), words.SEVERITY_COLORS[alert.severity]),
            )
        )
    st.page_link(links.ALERTS, label="Mark them, see their pictures and clips", icon=":material/notifications:", query_params={"video": view.id})
    moments("alerts", rows, player=view.id, alt="Alerts of this video")


def track_table_key(video_id: str) -> str:
    """Key of the session: the table of tracks, which the picture asks for the chosen row."""
    return f"tracks-{video_id}"


def track_table(view: View) -> None:
    """Every track; choosing a row seeks the player."""
    if not view.tracks:
        st.markdown("Nothing was followed in this video." if view.manifest(layout.TRACKS) else "Tracks have not been made yet.")
        return
    st.caption("Choose a row to see where the track begins.")
    table = pd.DataFrame(
        {
            "Track": [row.id for row in view.tracks],
            "What": [row.class_name for row in view.tracks],
            "From": [words.moment(row.start_s) for row in view.tracks],
            "To": [words.moment(row.end_s) for row in view.tracks],
            "Seconds": [round(row.end_s - row.start_s, 1) for row in view.tracks],
            "Score": [round(row.score, 2) for row in view.tracks],
        }
    )
    st.dataframe(table, hide_index=True, key=track_table_key(view.id), on_select="rerun", selection_mode="single-row", alt="Tracks of this video")


def files(view: View) -> None:
    """What was made, to take along."""
    stem = words.literal(view.record.original_name, 80).rsplit(".", 1)[0] or view.id
    with st.container(horizontal=True):
        for asset, role, label, ending in FILES:
            manifest = view.manifest(asset)
            entry = manifest.file(role) if manifest else None
            if entry is not None:
                name = f"{stem}-{ending}" if ending else words.literal(view.record.original_name, 200)
                url = links.absolute(data.media_path(entry.key, name))
                st.link_button(f"{label}, {words.size(entry.size_bytes)}", url, icon=":material/download:", key=f"file-{asset}-{role}")
    if view.manifest(layout.TRACKS):
        st.caption("Tracks in other forms")
        with st.container(horizontal=True):
            for form, label in EXPORTS:
                st.link_button(label, links.absolute(links.export(view.id, form)), icon=":material/download:", key=f"export-{form}")
    st.caption(f"Video id `{view.id}` · SHA-256 `{view.record.sha256}`")


def versions(view: View) -> None:
    """Each asset: when it was made, by which run, from what, and what it cost."""
    made = [asset for asset in view.found.assets if asset.manifest is not None]
    if not made:
        st.markdown("Nothing has been made yet.")
        return
    st.dataframe(
        pd.DataFrame([_version_row(asset) for asset in made]),
        hide_index=True,
        key=f"versions-{view.id}",
        column_config={
            "Run": st.column_config.LinkColumn("Run", display_text="Open in Dagster"),
            "Seconds": st.column_config.NumberColumn("Seconds", format="%.1f", help="Wall time of making it"),
            "× real time": st.column_config.NumberColumn("× real time", format="%.1f", help="Seconds of footage per second of work"),
        },
        alt="Versions of everything that was made from this video",
    )
    for asset in made:
        if asset.manifest and asset.manifest.degraded:
            st.warning(
                f"{ASSET_WORDS.get(asset.name, asset.name)} is not what it could be: {words.plain(asset.manifest.degraded, 300)}", icon=":material/info:"
            )


def _version_row(asset: AssetView) -> dict[str, object]:
    manifest = asset.manifest
    assert manifest is not None
    return {
        "What": ASSET_WORDS.get(asset.name, asset.name),
        "Made": words.instant(manifest.created_at),
        "Last run": "reused" if asset.reused else "made",
        "Run": data.run_url(asset.run_id) if asset.run_id and rights.opens_dagster() else None,
        "Seconds": manifest.cost.wall_s,
        "× real time": manifest.cost.real_time_factor,
        "Version": manifest.code_version,
        "Fingerprint": manifest.fingerprint[:12],
        "Checks": "passed" if manifest.verdict.passed else "failed: " + ", ".join(name for name, passed in manifest.verdict.checks.items() if not passed),
    }
