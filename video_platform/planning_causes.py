"""Why results are made again: the causes that plans and backfills are of, and their words."""

from collections.abc import Mapping
from enum import StrEnum


class Cause(StrEnum):
    """Why results are outdated; each is a row of the table in docs/backfills.md."""

    RULES = "rules"
    RECORDING = "recording"
    TRACKER = "tracker"
    DETECTOR = "detector"
    PROXY = "proxy"
    SCENES = "scenes"
    SPEECH = "speech"
    CAPTIONS = "captions"
    SUMMARY = "summary"
    VISION = "vision"
    SEARCH = "search"
    REELS = "reels"
    PROGRAM = "program"
    UNFINISHED = "unfinished"
    WAITING = "waiting"


EVERY = tuple(each for each in Cause if each is not Cause.WAITING)
"""What a plan is over where nobody says: `waiting` names again what `summary` and `unfinished` do, chosen for whoever has just got a model."""

OF_ONE_MODEL = (Cause.SUMMARY, Cause.CAPTIONS, Cause.VISION)
"""Causes of one who is asked for words: who writes summaries, who describes frames, who answers questions about them. In the order of `Present`."""

OF_ALL_MODELS = frozenset({Cause.UNFINISHED, Cause.WAITING})
"""Causes that all of these have a part in: whether what waits for one can be made now."""

ASKED_OF_MODELS = OF_ALL_MODELS | frozenset(OF_ONE_MODEL)
"""Causes that can be told only by asking the language-model server what it has now."""

CAUSE_WORDS: Mapping[Cause, str] = {
    Cause.RULES: "rules, zones, lines or cooldowns changed",
    Cause.RECORDING: "camera or recording time was corrected",
    Cause.TRACKER: "tracker settings changed",
    Cause.DETECTOR: "the detector or its settings changed",
    Cause.PROXY: "settings of the browser copy changed",
    Cause.SCENES: "settings of scenes, or the model that finds them, changed",
    Cause.SPEECH: "the model that listens to speech changed, came or went",
    Cause.CAPTIONS: "the model that describes frames, its prompt or its settings changed, or it came or went",
    Cause.SUMMARY: "the model that writes summaries, or its prompt, changed",
    Cause.VISION: "the model that answers questions about frames or looks at alerts, its prompt, or how often it is asked, changed",
    Cause.SEARCH: "the model that search by meaning uses changed, came or went",
    Cause.REELS: "settings of reels changed",
    Cause.PROGRAM: "this version of the program makes them otherwise",
    Cause.UNFINISHED: "missing, a stand-in, or made from other inputs than there are now",
    Cause.WAITING: "no model described them, and one could now",
}
