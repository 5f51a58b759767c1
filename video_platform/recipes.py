"""What each result is made from: the version of its logic, its configuration, its inputs. Steps make by it, plans compare with it.

A result counts as current while the recipe of now, over the inputs it used, gives its stored fingerprint. Everything that a step uses and that does not come
from an input stands in the configuration here; what is read from an input is part of that input's content hash.
"""

from collections.abc import Iterable, Mapping

from video_platform import detectors, sentence_model
from video_platform.layout import (
    ALERTS,
    ASSETS,
    DETECTIONS,
    HIGHLIGHTS,
    LLM_SUMMARY,
    PASSAGE_SOURCES,
    PROCESSED_VIDEO,
    RAW_VIDEO,
    SCENES,
    SEARCH_INDEX,
    TRACKS,
)
from video_platform.records import EarlierFootage, VideoRecord
from video_platform.rules import CameraRules
from video_platform.settings import Settings

Configuration = dict[str, object]

CODE_VERSIONS: Mapping[str, str] = {
    RAW_VIDEO: "1",
    PROCESSED_VIDEO: "1",
    DETECTIONS: "1",
    SCENES: "1",
    TRACKS: "1",
    ALERTS: "3",
    HIGHLIGHTS: "1",
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
    HIGHLIGHTS: (ALERTS, PROCESSED_VIDEO),
    LLM_SUMMARY: (TRACKS, SCENES),
    SEARCH_INDEX: (LLM_SUMMARY, TRACKS, *(asset for asset in PASSAGE_SOURCES if asset in ASSETS)),
}
"""The inputs whose content counts. `alerts` also draws its pictures from the footage, which decides none of them."""

WHERE_THERE: Mapping[str, tuple[str, ...]] = {SEARCH_INDEX: PASSAGE_SOURCES}
"""Inputs that an asset does without until they are made: a video without sound has no transcript, and is found by its summary."""

IN_WORDS = (LLM_SUMMARY, SEARCH_INDEX)
"""Made by `describe_video`, after the rest: what is not waited for, and what a language model may take its time over."""

BEFORE_S = 5.0
AFTER_S = 5.0
"""A clip begins and ends this long before and after its alert."""

MAX_CLIP_S = 60.0
"""A longer alert (somebody stays for an hour) has a clip of its beginning; the whole is on the page of the video."""

REEL_MAX_S = 60.0
"""Length of the reel: what a person looks at without skipping."""

REEL_SPAN_S = 6.0
"""How much of one alert the reel shows."""


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
        SCENES: settings.scenes.model_dump(),
    }


def tracks(settings: Settings, record: VideoRecord) -> Configuration:
    """The tracker's settings; distances need the shape of the picture."""
    return {**settings.tracking.model_dump(), "aspect": record.aspect}


def alerts(rules: CameraRules, record: VideoRecord, earlier: EarlierFootage | None) -> Configuration:
    """The rules of the video's camera, camera and recording time, and what the footage before it hands on."""
    handed_on = {"earlier": earlier} if earlier else {}
    return {**rules.configuration(record.camera, record.recorded_at), "aspect": record.aspect, **handed_on}


def highlights(record: VideoRecord) -> Configuration:
    """How clips are cut; they end with the footage."""
    cut = {"before_s": BEFORE_S, "after_s": AFTER_S, "max_clip_s": MAX_CLIP_S, "reel_max_s": REEL_MAX_S, "reel_span_s": REEL_SPAN_S}
    return {**cut, "duration_s": record.duration_s}


def search_index(settings: Settings) -> Configuration:
    """The model that turns sentences into vectors, None where search goes by words alone."""
    found = sentence_model.find(settings.search)
    return {"model": found.model.digest if found.model else None}
