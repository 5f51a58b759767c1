"""The parts of the page of one video."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import streamlit as st

from ui import cards, data, links, rights, words
from ui.player import Row, Span, StripAlert, StripScene, Tag, moments, player
from video_platform import layout
from video_platform.access import Role
from video_platform.catalog import AssetView, VideoDetail, first_notes
from video_platform.errors import MEDIA_CODES
from video_platform.records import AlertRecord, Evidence, Manifest, Sentence, Summary, VideoRecord, VideoState
from video_platform.search import Stands

SOUGHT = "sought"
"""Key of the session: the moment that a click in a table asked for, with its video."""

LISTED_SPANS = 6
"""Chips of one sentence: a sentence about forty tracks is not forty chips."""

STATE_TAGS = {"supported": None, "contradicted": Tag("Contradicted by what was found", "red"), "not_checkable": Tag("Not checked", "gray")}

NO_SUMMARY = {VideoState.FAILED: "There is no summary.", VideoState.READY: "It is written after the alerts."}
"""What is said where no summary is; in other states it is still to come."""

ASSET_WORDS: Mapping[str, str] = {
    layout.RAW_VIDEO: "Original",
    layout.PROCESSED_VIDEO: "Browser copy",
    layout.DETECTIONS: "Detections",
    layout.SCENES: "Scenes",
    layout.TRACKS: "Tracks",
    layout.ALERTS: "Alerts",
    layout.HIGHLIGHTS: "Highlights",
    layout.LLM_SUMMARY: "Summary",
    layout.SEARCH_INDEX: "Search index",
}

FILES = (
    (layout.RAW_VIDEO, "video", "Original video", None),
    (layout.PROCESSED_VIDEO, "video", "Browser copy", "browser.mp4"),
    (layout.HIGHLIGHTS, "reel", "Highlights reel", "highlights.mp4"),
    (layout.TRACKS, "tracks", "Tracks (Parquet)", "tracks.parquet"),
    (layout.DETECTIONS, "detections", "Detections (Parquet)", "detections.parquet"),
    (layout.ALERTS, "alerts", "Alerts (JSON)", "alerts.json"),
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


# ---- picture -------------------------------------------------------------------------------------------------------------------------------------------


def picture(view: View) -> None:
    """The player, or why there is none yet."""
    processed, raw = view.manifest(layout.PROCESSED_VIDEO), view.manifest(layout.RAW_VIDEO)
    key = data.file_key(processed, "video")
    if key is None:
        _no_picture(view)
        return
    tracks = view.manifest(layout.TRACKS)
    sheet, poster = data.file_key(tracks, "player"), data.file_key(processed, "poster")
    record = view.record
    player(
        view.id,
        src=data.media_path(key),
        version=key,
        alt=f"{words.literal(record.original_name, 80)}, {words.duration(record.duration_s)}",
        page=links.video_path(view.id),
        poster=data.media_path(poster) if poster else None,
        tracks=data.media_path(sheet) if sheet else None,
        tracks_version=sheet or "",
        start_s=_start(view),
        duration_s=record.duration_s or _number(processed, "duration_s"),
        width=record.width,
        height=record.height,
        sound=_has_sound(processed, raw),
        scenes=_scenes(view),
        alerts=[StripAlert(alert.id, alert.rule, str(alert.severity), alert.start_s, alert.end_s) for alert in view.alerts],
    )
    if not view.tracks and sheet:
        _nothing_detected(view)


def _no_picture(view: View) -> None:
    if view.record.state is VideoState.FAILED:
        st.markdown("There is no picture: the video could not be made playable.")
    else:
        st.skeleton(300)
        st.caption("The picture appears here when the frames have been looked at; this page shows it by itself.")


def _table_key(video_id: str) -> str:
    return f"tracks-{video_id}"


def _start(view: View) -> float | None:
    """The moment to go to: of the row that was chosen last, else of the address. It must not change by itself, or the player would jump."""
    asked = st.query_params.get("t")
    chosen = st.session_state.get(_table_key(view.id))
    rows = tuple(chosen.selection.rows) if chosen else ()
    before = st.session_state.get(SOUGHT)
    if before is None or before["video"] != view.id or before["asked"] != asked:
        before = {"video": view.id, "asked": asked, "rows": rows, "at": _seconds(asked)}
    elif rows != before["rows"]:
        at = view.tracks[rows[0]].start_s if rows and rows[0] < len(view.tracks) else before["at"]
        before = before | {"rows": rows, "at": at}
    st.session_state[SOUGHT] = before
    return before["at"]


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _number(manifest: Manifest | None, name: str) -> float | None:
    value = manifest.facts.get(name) if manifest else None
    return float(value) if isinstance(value, int | float) else None


def _has_sound(processed: Manifest | None, raw: Manifest | None) -> bool:
    for manifest in (processed, raw):
        facts_of = manifest.facts if manifest else {}
        probe = facts_of.get("probe", facts_of)
        if isinstance(probe, Mapping) and "audio_codec" in probe:
            return probe["audio_codec"] is not None
    return True


def _scenes(view: View) -> list[StripScene]:
    manifest = view.manifest(layout.SCENES)
    key = data.file_key(manifest, "scenes")
    if key is None or manifest is None:
        return []
    there = {entry.name: entry.key for entry in manifest.files}
    return [
        StripScene(scene.start_s, scene.end_s, data.media_path(there[scene.thumbnail]) if scene.thumbnail in there else None)
        for scene in data.scenes(view.id, key)
    ]


def _nothing_detected(view: View) -> None:
    manifest = view.manifest(layout.DETECTIONS)
    found = manifest.facts if manifest else {}
    frames, model = found.get("frames_looked_at"), found.get("model") or data.settings().detection.model
    looked = f"{words.count(frames, 'frame')} looked at" if isinstance(frames, int) else "The frames were looked at"
    st.info(f"**Nothing was detected.** {looked} with {words.plain(str(model))}. {_guess(found.get('best_guess'))}", icon=":material/search:")


def _guess(guess: object) -> str:
    """What came closest, in a sentence; detections give class, score and at_s."""
    if not isinstance(guess, Mapping) or "class" not in guess:
        return "It had not even a weak guess. Is the picture dark, or what you look for very small?"
    score, at_s = guess.get("score"), guess.get("at_s")
    sure = f" with score {score:.2f}" if isinstance(score, int | float) else ""
    moment = f" at {words.moment(at_s)}" if isinstance(at_s, int | float) else ""
    return f"Its best guess was {words.plain(str(guess['class']))}{sure}{moment}, too weak to follow."


# ---- summary -------------------------------------------------------------------------------------------------------------------------------------------


def summary(view: View) -> None:
    """What happens in the video, sentence by sentence, and what rules did not find."""
    written = view.summary
    if written is None:
        st.subheader("Summary", anchor=False)
        if view.record.summary_failure_code is None:
            st.caption(NO_SUMMARY.get(view.record.state, "It comes last, after the alerts."))
        _summary_failure(view)
    else:
        _summary(view, written)
    _near_misses(view)


def _summary_failure(view: View) -> None:
    """Why there is no summary, or no newer one, and what to do; everything else of the video stands."""
    record = view.record
    if record.summary_failure_code is None:
        return
    stands = "Everything else stands; the summary below is from before." if view.summary else "Everything else stands."
    reason = words.sentence(record.summary_failure_message or record.summary_failure_code, 600)
    st.warning(f"**The summary could not be written.** {reason} {stands}", icon=":material/warning:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if rights.may(Role.OPERATOR):
            st.button("Write it again", icon=":material/refresh:", key=f"summary-{record.video_id}", on_click=cards.summary_again, args=(record.video_id,))
        st.caption(f"State: `{words.literal(record.summary_failure_code, 60)}`", width="content")


def _summary(view: View, written: Summary) -> None:
    st.subheader(words.plain(written.title, 200) or "Summary", anchor=False)
    _summary_failure(view)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.badge(words.CONCERN_WORDS[written.concern], color=words.CONCERN_COLORS[written.concern], help="Concern 0 to 2")  # type: ignore[arg-type]
        st.caption(_engine(written), width="content")
    if written.overview:
        st.markdown(words.plain(written.overview))
    if written.sentences:
        st.caption("Click a sentence to see the moment it speaks of.")
        moments("summary", [_sentence(sentence) for sentence in written.sentences], player=view.id, alt="Summary, sentence by sentence")


def _engine(written: Summary) -> str:
    engine = written.engine
    if engine.name == "template":
        reason = f": {words.plain(engine.reason, 200)}" if engine.reason else ""
        return f"Written from the facts by a template{reason}"
    digest = f" ({words.plain(engine.digest[:12])})" if engine.digest else ""
    return f"Written by {words.plain(engine.model or 'a language model', 80)}{digest}"


def _sentence(sentence: Sentence) -> Row:
    spans = [Span(each.start_s, f"{_evidence_words(each)} {words.moment(each.start_s)}") for each in sentence.evidence[:LISTED_SPANS]]
    return Row(sentence.text, spans, tag=STATE_TAGS[sentence.state], muted=sentence.state != "supported")


def _evidence_words(evidence: Evidence) -> str:
    return f"{evidence.kind} {words.literal(evidence.id, 12)}" if evidence.kind in ("track", "scene") else evidence.kind


def _near_misses(view: View) -> None:
    if not view.found.near_misses and not view.found.cannot_evaluate:
        return
    st.subheader("Rules that did not fire", anchor=False)
    rows = [
        Row(f"{miss.rule}: {miss.text}", [] if miss.at_s is None else [Span(miss.at_s, words.moment(miss.at_s))], muted=True) for miss in view.found.near_misses
    ]
    rows += [Row(f"{rule}: cannot be evaluated", note=reason, tag=Tag("Cannot be evaluated", "orange")) for rule, reason in view.found.cannot_evaluate]
    moments("near-misses", rows, player=view.id, alt="Rules that did not fire, and what came closest")


# ---- lists ---------------------------------------------------------------------------------------------------------------------------------------------


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
        rows.append(Row(f"{alert.rule}{mark}", spans, note=words.reason(alert), tag=Tag(str(alert.severity), words.SEVERITY_COLORS[alert.severity])))
    st.page_link(links.ALERTS, label="Mark them, see their pictures and clips", icon=":material/notifications:", query_params={"video": view.id})
    moments("alerts", rows, player=view.id, alt="Alerts of this video")


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
    st.dataframe(table, hide_index=True, key=_table_key(view.id), on_select="rerun", selection_mode="single-row", alt="Tracks of this video")


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
