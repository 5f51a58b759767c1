"""The picture of the page of one video: the player at the moment that was asked for, or why there is none yet."""

import math
from collections.abc import Mapping

import streamlit as st

from ui import data, detail_speech, links, words
from ui.detail import View, track_table_key
from ui.player import StripAlert, StripScene, player
from video_platform import layout
from video_platform.records import Manifest, VideoState

SOUGHT = "sought"
"""Key of the session: the moment that a click in a table asked for, with its video."""


def picture(view: View) -> None:
    """The player, or why there is none yet."""
    processed, raw = view.manifest(layout.PROCESSED_VIDEO), view.manifest(layout.RAW_VIDEO)
    key = data.file_key(processed, "video")
    if key is None:
        _no_picture(view)
        return
    tracks = view.manifest(layout.TRACKS)
    heard, titles = view.transcript, data.file_key(view.manifest(layout.TRANSCRIPT), "subtitles")
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
        subtitles=data.media_path(titles) if titles else None,
        subtitles_version=titles or "",
        language=heard.language if heard else None,
        start_s=_start(view),
        duration_s=record.duration_s or _number(processed, "duration_s"),
        pictures_s=_number(processed, "duration_s"),
        width=record.width,
        height=record.height,
        sound=_has_sound(processed, raw),
        scenes=_scenes(view),
        alerts=[StripAlert(alert.id, alert.rule, str(alert.severity), alert.start_s, alert.end_s) for alert in view.alerts],
    )
    detail_speech.without_subtitles(view)
    if not view.tracks and sheet:
        _nothing_detected(view)


def _no_picture(view: View) -> None:
    if view.record.state is VideoState.FAILED:
        st.markdown("There is no picture: the video could not be made playable.")
    else:
        st.skeleton(300)
        st.caption("The picture appears here when the frames have been looked at; this page shows it by itself.")


def _start(view: View) -> float | None:
    """The moment to go to: of the row that was chosen last, else of the address. It must not change by itself, or the player would jump."""
    asked = st.query_params.get("t")
    chosen = st.session_state.get(track_table_key(view.id))
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
