"""What each result is made from: the version of its logic, its configuration, its inputs. Steps make by it, plans compare with it.

A result counts as current while the recipe of now, over the inputs it used, gives its stored fingerprint. Everything that a step uses and that does not come
from an input stands in the configuration here; what is read from an input is part of that input's content hash.
"""

from collections.abc import Iterable, Mapping

from video_platform import detectors, scene_model, sentence_model, speech_model
from video_platform.layout import (
    ALERTS,
    ASSETS,
    CAPTIONS,
    DETECTIONS,
    HIGHLIGHTS,
    LLM_SUMMARY,
    PASSAGE_SOURCES,
    PROCESSED_VIDEO,
    RAW_VIDEO,
    SCENES,
    SEARCH_INDEX,
    TRACKS,
    TRANSCRIPT,
)
from video_platform.records import EarlierFootage, VideoRecord
from video_platform.rules import CameraRules
from video_platform.settings import Settings

Configuration = dict[str, object]

CODE_VERSIONS: Mapping[str, str] = {
    RAW_VIDEO: "1",
    PROCESSED_VIDEO: "1",
    DETECTIONS: "1",
    SCENES: "2",
    TRACKS: "1",
    ALERTS: "2",
    HIGHLIGHTS: "2",
    TRANSCRIPT: "1",
    CAPTIONS: "1",
    LLM_SUMMARY: "1",
    SEARCH_INDEX: "1",
}
"""Raise one when the same inputs and configuration give another result of that asset."""

INPUTS: Mapping[str, tuple[str, ...]] = {
    RAW_VIDEO: (),
    PROCESSED_VIDEO: (RAW_VIDEO,),
    DETECTIONS: (RAW_VIDEO,),
    SCENES: (RAW_VIDEO,),
    TRACKS: (DETECTIONS,),
    ALERTS: (TRACKS,),
    HIGHLIGHTS: (ALERTS, TRACKS, PROCESSED_VIDEO),
    TRANSCRIPT: (RAW_VIDEO,),
    CAPTIONS: (RAW_VIDEO, TRACKS, SCENES),
    LLM_SUMMARY: (TRACKS, SCENES, *(asset for asset in PASSAGE_SOURCES if asset in ASSETS)),
    SEARCH_INDEX: (LLM_SUMMARY, TRACKS, *(asset for asset in PASSAGE_SOURCES if asset in ASSETS)),
}
"""The inputs whose content counts. `alerts` also draws its pictures from the footage, which decides none of them."""

WHERE_THERE: Mapping[str, tuple[str, ...]] = {LLM_SUMMARY: PASSAGE_SOURCES, SEARCH_INDEX: PASSAGE_SOURCES}
"""Inputs that an asset does without until they are made: a video without sound has no transcript, and is found by its summary."""

IN_WORDS = (TRANSCRIPT, CAPTIONS, LLM_SUMMARY, SEARCH_INDEX)
"""Made by `describe_video`, after the rest: what is not waited for, and what a language model may take its time over."""

BY_MODELS = frozenset({TRANSCRIPT, CAPTIONS, LLM_SUMMARY})
"""Of these, what waits for a slot of pool llm."""

BEFORE_S = 5.0
AFTER_S = 5.0
"""A clip begins and ends this long before and after its alert."""

MAX_CLIP_S = 60.0
"""A longer alert (somebody stays for an hour) has a clip of its beginning; the whole is on the page of the video."""


def following(assets: Iterable[str]) -> list[str]:
    """These assets and all that is made from them, directly or not, in the order of the graph."""
    found = set(assets)
    for asset in ASSETS:
        if found.intersection(INPUTS[asset]):
            found.add(asset)
    return [asset for asset in ASSETS if asset in found]


def raw_video(record: VideoRecord) -> Configuration:
    """The footage is what was taken in."""
    return {"sha256": record.sha256, "size_bytes": record.size_bytes}


def one_pass(settings: Settings) -> dict[str, Configuration]:
    """What counts for each result of the pass over pixels: a proxy setting must not make detections again."""
    return {
        PROCESSED_VIDEO: settings.proxy.model_dump(),
        DETECTIONS: {**settings.detection.model_dump(), "digest": detectors.model_digest(settings)},
        SCENES: scenes(settings),
    }


def scenes(settings: Settings) -> Configuration:
    """What counts in the mode: the threshold of colours in `fast`, the model in `accurate`."""
    model = scene_model.known(settings)
    if model is None:
        return settings.scenes.model_dump(exclude={"mode", "model"})
    return {**settings.scenes.model_dump(exclude={"model", "threshold"}), "digest": model.digest}


def tracks(settings: Settings, record: VideoRecord) -> Configuration:
    """The tracker's settings; distances need the shape of the picture."""
    return {**settings.tracking.model_dump(), "aspect": record.aspect}


def alerts(rules: CameraRules, record: VideoRecord, earlier: EarlierFootage | None) -> Configuration:
    """The rules of the video's camera, camera and recording time, and what the footage before it hands on."""
    handed_on = {"earlier": earlier} if earlier else {}
    return {**rules.configuration(record.camera, record.recorded_at), "aspect": record.aspect, **handed_on}


def highlights(settings: Settings, record: VideoRecord) -> Configuration:
    """How clips are cut and reels are made; they end with the footage, and camera and time of recording are written on them."""
    cut = {"before_s": BEFORE_S, "after_s": AFTER_S, "max_clip_s": MAX_CLIP_S, "duration_s": record.duration_s}
    made = {"reel_max_s": settings.reels.max_s, "timelapse_max_s": settings.reels.timelapse_max_s}
    return {**cut, **made, "camera": record.camera, "recorded_at": record.recorded_at, "zone": zone_name(settings, record)}


def zone_name(settings: Settings, record: VideoRecord) -> str:
    """The time zone that moments of a video are written in, empty for this machine's; where its recording time is unknown none is needed."""
    zone = settings.recording.zone_of(record.camera) if record.recorded_at else None
    return zone.key if zone else ""


def transcript(settings: Settings) -> Configuration:
    """The model that listens, None where nobody does: a model that comes or goes outdates what was said without or with it."""
    found = speech_model.find(settings)
    return {"model": found.model.digest if found.model else None, "wanted": settings.speech.model or None}


def search_index(settings: Settings) -> Configuration:
    """The model that turns sentences into vectors, None where search goes by words alone."""
    found = sentence_model.find(settings.search)
    return {"model": found.model.digest if found.model else None}
