"""Our crossings and entries beside the counters of supervision, on the same tracks: every difference with its reason.

    python -m benchmarks.counters FOOTAGE

Both see the same tracks: those whose median score reaches 0.5. Tracks are kept in the cache of the benchmarks. docs/rules.md explains the table.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from benchmarks.footage import CACHE
from video_platform import rules
from video_platform.analysis import geometry, media, one_pass, tables
from video_platform.analysis.evaluate import evaluate
from video_platform.analysis.observed import Observed
from video_platform.analysis.states import HOLD_S, TOLERANCE_S
from video_platform.analysis.tables import Samples, Tracks
from video_platform.analysis.track import TrackingParameters, track
from video_platform.layout import DETECTIONS
from video_platform.rules import CameraRules

SAME_S = 1.0
"""Two counts of one track are the same crossing when they lie this close together."""

RULES = """\
version: 1
zones:
  plaza: {polygon: [[0.10, 0.35], [0.90, 0.35], [0.90, 0.75], [0.10, 0.75]]}
lines:
  middle: {from: [0.5, 0.2], to: [0.5, 0.95]}
  slanted: {from: [0.2, 0.85], to: [0.8, 0.45]}
  short: {from: [0.62, 0.35], to: [0.62, 0.6]}
defaults: {cooldown: 0s}
rules:
  - {name: middle, when: {crosses: middle, class: person}}
  - {name: slanted, when: {crosses: slanted, class: person}}
  - {name: short, when: {crosses: short, class: person}}
  - {name: plaza, when: {enters: plaza, class: person}}
"""


@dataclass(frozen=True)
class Count:
    """One counted crossing or entry: the id of the track, when, and towards which side (True: left of the line, or into the zone)."""

    track: int
    at_s: float
    towards: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("footage", type=Path)
    tracks, samples, names, width, height = tracked(parser.parse_args().footage)
    camera_rules = rules.parse(RULES, classes=names).for_camera("any")
    seen = Observed(tracks, samples, names, camera_rules, width / height)
    people = seen.ids[seen.matching(camera_rules.rules[0])]
    tracks = tracks.take(np.isin(tracks.track_id, people))
    seen = Observed(tracks, samples, names, camera_rules, width / height)
    print(f"{len(samples)} samples, {len(people)} people, {width}x{height}\n")
    print("| what | supervision | it counts | we count | the same | only it | only we |\n|---|---|---|---|---|---|---|")
    reasons: list[str] = []
    for what, label, theirs in [*lines(tracks, samples, camera_rules, width, height), *zones(tracks, samples, camera_rules, width, height)]:
        ours = counted(tracks, samples, names, camera_rules, what)
        both, only_it, only_we = compared(theirs, ours)
        print(f"| {what} | {label} | {len(theirs)} | {len(ours)} | {both} | {len(only_it)} | {len(only_we)} |")
        for which, counts in (("only it", only_it), ("only we", only_we)):
            reasons += [f"{what}, {label}, {which}: track {one.track} at {one.at_s:.1f} s: {why(tracks, seen, camera_rules, what, one)}" for one in counts]
    inside_table(tracks, camera_rules, width, height)
    print("\nEvery difference:", *(reasons or ["none"]), sep="\n- ")


def tracked(footage: Path) -> tuple[Tracks, Samples, tuple[str, ...], int, int]:
    """The tracks of a file as the platform makes them, from the cache where they are; width and height of the upright picture."""
    with media.open_video(footage) as video:
        width, height = video.probe.width, video.probe.height
    folder = CACHE / f"tracks-{hashlib.sha256(footage.read_bytes()).hexdigest()[:16]}"
    if not (folder / "tracks.parquet").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            made = one_pass.run(footage, Path(scratch), one_pass.Order((DETECTIONS,)))[DETECTIONS]
            detections, names, digest = tables.read_detections(Path(made["detections"]))
            samples = tables.read_samples(Path(made["samples"]))
        tables.write_samples(folder / "samples.parquet", samples)
        found = track(detections, samples, names, TrackingParameters(), aspect=width / height)
        tables.write_tracks(folder / "tracks.parquet", found, names=names, digest=digest)
    tracks, names, _ = tables.read_tracks(folder / "tracks.parquet")
    return tracks, tables.read_samples(folder / "samples.parquet"), names, width, height


def counted(tracks: Tracks, samples: Samples, names: Sequence[str], camera_rules: CameraRules, rule: str) -> list[Count]:
    """What our rule of this name counts."""
    found = [episode for episode in evaluate(tracks, samples, names, camera_rules, explain=False).episodes if episode.rule == rule]
    return [Count(episode.track_ids[0], episode.start_s, episode.why.get("direction") != "left_to_right") for episode in found]


def lines(tracks: Tracks, samples: Samples, camera_rules: CameraRules, width: int, height: int) -> list[tuple[str, str, list[Count]]]:
    """What supervision's `LineZone` counts, by line and by how it is set."""
    foot = (sv.Position.BOTTOM_CENTER,)
    found = []
    for name, (start, end) in camera_rules.lines.items():
        a, b = sv.Point(start[0] * width, start[1] * height), sv.Point(end[0] * width, end[1] * height)
        ways = {
            "LineZone, four corners": sv.LineZone(a, b),
            "LineZone, foot point": sv.LineZone(a, b, triggering_anchors=foot),
            "LineZone, foot point, 3 frames": sv.LineZone(a, b, triggering_anchors=foot, minimum_crossing_threshold=3),
        }
        for label, zone in ways.items():
            counts: list[Count] = []
            for at_s, boxes in frames(tracks, samples, width, height):
                into, out = zone.trigger(boxes)
                ids = boxes.tracker_id if boxes.tracker_id is not None else np.zeros(0, int)
                counts += [Count(int(ids[n]), at_s, bool(into[n])) for n in np.flatnonzero(into | out)]
            found.append((name, label, counts))
    return found


def zones(tracks: Tracks, samples: Samples, camera_rules: CameraRules, width: int, height: int) -> list[tuple[str, str, list[Count]]]:
    """Entries by supervision's `PolygonZone`, which says who is inside: outside in one sample of a track, inside in its next."""
    found = []
    for name, polygon in camera_rules.zones.items():
        zone, last, counts = sv.PolygonZone(np.rint(np.array(polygon) * [width, height]).astype(int)), dict[int, bool](), list[Count]()
        for at_s, boxes in frames(tracks, samples, width, height):
            inside = zone.trigger(boxes)
            for n, track_id in enumerate(boxes.tracker_id if boxes.tracker_id is not None else ()):
                if inside[n] and last.get(int(track_id)) is False:
                    counts.append(Count(int(track_id), at_s, True))
                last[int(track_id)] = bool(inside[n])
        found.append((name, "PolygonZone, frame by frame", counts))
    return found


def frames(tracks: Tracks, samples: Samples, width: int, height: int) -> list[tuple[float, sv.Detections]]:
    """Each sample's boxes, in pixels, as supervision takes them."""
    first, last = np.searchsorted(tracks.time_s, samples.time_s), np.searchsorted(tracks.time_s, samples.time_s, side="right")
    scale = np.array([width, height, width, height], np.float64)
    return [
        (float(at_s), sv.Detections(xyxy=tracks.boxes[a:b] * scale, class_id=tracks.class_id[a:b].astype(int), tracker_id=tracks.track_id[a:b].astype(int)))
        for at_s, a, b in zip(samples.time_s, first, last, strict=True)
    ]


def compared(theirs: list[Count], ours: list[Count]) -> tuple[int, list[Count], list[Count]]:
    """How many counts are the same, and which only one of the two has."""
    left, only_it = list(ours), []
    for count in theirs:
        same = [one for one in left if (one.track, one.towards) == (count.track, count.towards) and abs(one.at_s - count.at_s) <= SAME_S]
        if same:
            left.remove(min(same, key=lambda one: abs(one.at_s - count.at_s)))
        else:
            only_it.append(count)
    return len(theirs) - len(only_it), only_it, left


def why(tracks: Tracks, seen: Observed, camera_rules: CameraRules, what: str, count: Count) -> str:
    """What our rule goes by at the change of side that is nearest to a count, and what it makes of it."""
    track = int(np.flatnonzero(seen.ids == count.track)[0])
    rows = np.arange(seen.first[track], seen.last[track] + 1)
    x, y, at_s = seen.x[rows], seen.y[rows], seen.time_s[rows]
    state = geometry.inside(camera_rules.zones[what], x, y) if what in camera_rules.zones else geometry.cross(*camera_rules.lines[what], x, y) < 0
    flips = np.flatnonzero((state[1:] != state[:-1]) & (state[1:] == count.towards)) + 1
    if not len(flips):
        return "the foot point changes no side; a corner of the box does"
    at = int(flips[np.argmin(np.abs(at_s[flips] - count.at_s))])
    before = at - 1 - int(np.argmax(np.append(state[:at][::-1] != state[at - 1], True))) + 1
    after = at + int(np.argmax(np.append(state[at:] != state[at], True))) - 1
    held_before, held_after = float(at_s[at - 1] - at_s[before]), float(at_s[after] - at_s[at])
    facts = f"foot point changes side at {at_s[at]:.1f} s, {held_before:.1f} s on the one side, {held_after:.1f} s on the other"
    if min(held_before, held_after) < HOLD_S - TOLERANCE_S:
        return f"{facts}: less than {HOLD_S} s is passed over"
    if what in camera_rules.lines:
        along = float(geometry.fraction_along(*camera_rules.lines[what], x[[at - 1]], y[[at - 1]], x[[at]], y[[at]])[0])
        if not 0 <= along <= 1:
            return f"{facts}, at {along:.2f} of the line's length: beyond its end"
        boxes = tracks.boxes[tracks.track_id == count.track]
        whole = [int(on_one_side(camera_rules.lines[what], boxes[a : b + 1]).sum()) for a, b in ((before, at - 1), (at, after))]
        foot = between_ends(camera_rules.lines[what], x, y)
        feet = [int(foot[a : b + 1].sum()) for a, b in ((before, at - 1), (at, after))]
        samples = f"of {at - before} samples before and {after - at + 1} after"
        where = f"{facts}, at {along:.2f} of the line's length"
        return f"{where}; {samples}, {feet[0]} and {feet[1]} have the foot, {whole[0]} and {whole[1]} the whole box between its ends and beside it"
    return facts


def between_ends(line: tuple[tuple[float, float], tuple[float, float]], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points lie between the perpendiculars at the ends of a line: supervision looks at no others."""
    (x1, y1), (x2, y2) = line
    along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / ((x2 - x1) ** 2 + (y2 - y1) ** 2)
    return (along >= 0) & (along <= 1)


def on_one_side(line: tuple[tuple[float, float], tuple[float, float]], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which boxes have all four corners between the ends of a line and on one side of it."""
    corners = [(boxes[:, n].astype(np.float64), boxes[:, m].astype(np.float64)) for n in (0, 2) for m in (1, 3)]
    left = np.array([geometry.cross(*line, x, y) < 0 for x, y in corners])
    return np.all([between_ends(line, x, y) for x, y in corners], axis=0) & (left.all(axis=0) | ~left.any(axis=0))


def inside_table(tracks: Tracks, camera_rules: CameraRules, width: int, height: int) -> None:
    """Box by box: who is inside, by our test in fractions and by supervision's mask of whole pixels."""
    x, y = geometry.foot_points(tracks.boxes)
    for name, polygon in camera_rules.zones.items():
        corners = np.rint(np.array(polygon) * [width, height]).astype(int)
        boxes = sv.Detections(xyxy=tracks.boxes * np.array([width, height, width, height], np.float64))
        theirs, ours = sv.PolygonZone(corners).trigger(boxes), geometry.inside(polygon, x, y)
        differ = np.flatnonzero(theirs != ours)
        away = edge_distance_px(polygon, x[differ], y[differ], width, height)
        furthest = f"all within {away.max():.2f} pixels of an edge" if len(differ) else "no difference"
        print(
            f"\n{name}, box by box: {len(tracks)} boxes, {int(ours.sum())} inside by us, {int(theirs.sum())} by PolygonZone, {len(differ)} differ: {furthest}"
        )


def edge_distance_px(polygon: Sequence[tuple[float, float]], x: NDArray[np.float64], y: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Pixels between each point and the nearest edge."""
    edges = [geometry.distance_to_segment(polygon[i - 1], polygon[i], x, y, width / height) for i in range(len(polygon))]
    return np.min(edges, axis=0) * width


if __name__ == "__main__":
    main()
