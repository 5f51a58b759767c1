"""How good detection, tracking and alerts of a video are, against an annotation: as they are stored, and as other settings would make them.

Of the stored results nothing is made again: tracks come from the store, alerts from the ledger. Nothing is written: no result, no alert, no run.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform.catalog import Catalog
from video_platform.errors import StateError
from video_platform.layout import ALERTS
from video_platform.platform import Platform
from video_platform.records import AlertRecord, Lifecycle, VideoRecord
from video_platform.rules import CameraRules
from video_platform.second_pass import Followed, Progress, StoredTracks, work
from video_platform.services import references
from video_platform.services.database import footage, rulesets

if TYPE_CHECKING:
    from video_platform.analysis.measure import Bench, Difference, Footage, Found, RuleScore
    from video_platform.analysis.scoring import Figures

PAGE = 500
"""Alerts read from the ledger at once."""

DEFAULT_CLASSES: Mapping[int, str] = {-1: "person", 1: "person"}
"""MOTChallenge annotates pedestrians: as class 1, or without saying so (-1)."""

STORED = "stored"
"""What the results as they are stored are called."""


@dataclass(frozen=True)
class Measured:
    """The figures under one set of settings: by class, over all rules (`events`) and by rule, and every span over which platform and annotation differ.

    `changes` are the settings that differ from those with which the stored results were made.
    """

    name: str
    changes: dict[str, str]
    classes: "dict[str, Figures]"
    events: "RuleScore"
    rules: "list[RuleScore]"
    differences: "list[Difference]"


@dataclass(frozen=True)
class Comparison:
    """What was measured: the stored results first, then those of other settings, if any were asked for.

    `frames` were compared. `left_out` counts annotated boxes of classes that were not asked for by their number, `ignored` those not to be considered.
    `not_measured` holds (rule, reason), `notes` what a reader must know.
    """

    record: VideoRecord
    frames: int
    rules_version: str
    left_out: dict[int, int]
    ignored: int
    not_measured: list[tuple[str, str]]
    notes: list[str]
    settings: list[Measured]


def measure(
    platform: Platform,
    catalog: Catalog,
    video_id: str,
    truth: Path,
    *,
    classes: Mapping[int, str] = DEFAULT_CLASSES,
    changes: Mapping[str, str] | None = None,
    only_annotated: bool = False,
    considered_only: bool = False,
    on_progress: Progress | None = None,
) -> Comparison:
    """Measure the stored results of a video against the annotation in `truth` (MOTChallenge text), and those that changed settings would give.

    `classes` maps class numbers of the annotation (-1 where it gives none) to classes of the detector. `changes` maps some of `second_pass.NAMES` to values;
    all others stay as they were when the stored results were made. `only_annotated` compares only frames that the file names;
    with `considered_only`, boxes of MOT15 that are marked as not to be considered are not.

    Raises:
        NotFound, VideoDeleted: there is no such video.
        StateError: it was not tracked, or not judged, yet.
        AnnotationError: with every line that cannot be used, or cannot be of this video.
        InputError: a class or setting that does not exist, or an annotation without any box to be found.
        SettingsError, ModelMissing: another detector that is not here.
        FootageAway, MediaError, WorkerError: the footage cannot be decoded.
    """
    from video_platform.analysis import annotation
    from video_platform.analysis.measure import Bench

    record = catalog.record(video_id)
    tracked = StoredTracks(platform.settings, catalog, record)
    judged = rulesets.judged_by(platform.db, video_id)
    if judged is None:
        raise StateError(f"no rules have judged video {video_id} yet; process it first (`vp process {video_id}`)", video_id=video_id)
    wanted = tracked.changed(changes or {})
    given = annotation.read(truth, considered_only=considered_only)
    platform.settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="evaluate-", dir=platform.settings.scratch) as scratch:
        folder = Path(scratch)
        path = references.footage(catalog.store, record, folder)
        facts = work(platform.settings, record, "frame_times", {"path": str(path)}, on_progress)
        stored, rules = tracked.read(folder), judged.rule_set.for_camera(record.camera)
        bench = Bench(given, _about(platform, record, rules, facts), stored.names, classes, rules, only_annotated=only_annotated)
        settings = [_measured(bench, STORED, {}, stored, _alerts(catalog, video_id))]
        if changes:
            other = tracked.again(wanted, path, folder, on_progress)
            name = " ".join(f"{name}={value}" for name, value in changes.items())
            settings.append(_measured(bench, name, dict(changes), other, bench.episodes(other.tracks, other.samples, other.names)))
    notes = _notes(platform, judged, tracked)
    if given.counted_all_the_same:
        marked = f"{given.counted_all_the_same:,} boxes of this MOT15 file are marked as not to be considered"
        notes.append(f"{marked} and count all the same; --considered-only leaves them out")
    return Comparison(record, bench.scored, judged.version, bench.left_out, bench.ignored, bench.not_measured, notes, settings)


def _measured(bench: "Bench", name: str, changes: dict[str, str], followed: Followed, found: "list[Found]") -> Measured:
    classes, missing = bench.boxes(followed.tracks, followed.names)
    events, rules, differences = bench.events(found)
    return Measured(name, changes, classes, events, rules, [*differences, *missing])


def _about(platform: Platform, record: VideoRecord, rules: CameraRules, facts: Mapping[str, Any]) -> "Footage":
    """The footage as the rules know it; what the camera's footage before hands on counts for the annotation as it did for the video."""
    import numpy as np

    from video_platform.analysis import continuing
    from video_platform.analysis.measure import Footage

    earlier = continuing.counted(rules, record.recorded_at, footage.before(platform.db, record))
    return Footage(np.array(facts["time_s"], np.float64), facts["width"], facts["height"], record.recorded_at, earlier)


def _alerts(catalog: Catalog, video_id: str) -> "list[Found]":
    """The active alerts that the rules raised over the tracks of a video, as the ledger has them."""
    from video_platform.analysis.measure import Found

    found: list[AlertRecord] = []
    while True:
        page = catalog.alerts(video_id=video_id, lifecycle=Lifecycle.ACTIVE, limit=PAGE, offset=len(found))
        found += page.items
        if len(found) >= page.total or not page.items:
            return [Found(each.rule, each.start_s, each.end_s, tuple(each.track_ids), each.id) for each in found if each.asset == ALERTS]


def _notes(platform: Platform, judged: rulesets.JudgedBy, tracked: StoredTracks) -> list[str]:
    """What makes the stored alerts others than those that would be made now."""
    notes = []
    active = rulesets.active(platform.db)
    if active is not None and str(active.id) != judged.version:
        notes.append(f"the alerts come from version {judged.version} of the rules, and are measured by it; version {active.id} is active")
    if judged.tracks_hash != tracked.content_hash:
        notes.append("the alerts come from earlier tracks than the stored ones; `vp process` brings them up to date")
    return notes
