"""Figures of a video from exported files alone: what `vp export --format csv` and `vp alerts --json` wrote, an annotation and a rules file.

Written apart from the platform, of which it uses nothing: numpy, scipy and motmetrics only. It knows footage of a constant frame rate, rules of the kinds
`enters` and `crosses` in any direction, and zones that are upright rectangles.
"""

import csv
import json
from itertools import pairwise

import motmetrics
import numpy as np
import yaml
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

HELD_S, SLACK_S = 0.4, 0.05


def annotated_boxes(path):
    """frame -> {object: (left, top, right, bottom)} of every line."""
    found = {}
    for line in path.read_text().splitlines():
        frame, object_id, left, top, width, height = (float(text) for text in line.split(",")[:6])
        found.setdefault(int(frame), {})[int(object_id)] = (left, top, left + width, top + height)
    return found


def tracked_boxes(path, class_name):
    """frame -> {track: box}, with the frames between two exported ones filled in along a line."""
    rows = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            if row["class"] == class_name:
                left, top, width, height = (float(row[name]) for name in ("left", "top", "width", "height"))
                rows.setdefault(int(row["track_id"]), []).append((int(row["frame"]), (left, top, left + width, top + height)))
    found = {}
    for track, given in rows.items():
        for (frame, box), (next_frame, next_box) in zip(given, [*given[1:], (given[-1][0] + 1, given[-1][1])], strict=True):
            for between in range(frame, next_frame):
                part = (between - frame) / (next_frame - frame)
                found.setdefault(between, {})[track] = tuple(a + (b - a) * part for a, b in zip(box, next_box, strict=True))
    return found


def overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared)


def tracking(truth, tracks, frames):
    """MOTA, IDF1, precision, recall by motmetrics, and HOTA by its definition (Luiten et al. 2020)."""
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    overlaps = []
    for frame in range(1, frames + 1):
        true, found = truth.get(frame, {}), tracks.get(frame, {})
        table = np.array([[overlap(a, b) for b in found.values()] for a in true.values()]).reshape(len(true), len(found))
        accumulator.update(list(true), list(found), np.where(table >= 0.5, 1 - table, np.nan))
        overlaps.append((list(true), list(found), table))
    names = ["mota", "idf1", "precision", "recall", "num_switches", "num_false_positives", "num_misses", "num_objects"]
    row = motmetrics.metrics.create().compute(accumulator, metrics=names).iloc[0]
    return {**{name: float(row[name]) for name in names}, "hota": hota(overlaps)}


def hota(overlaps):
    objects = {name: number for number, name in enumerate(sorted({each for true, _, _ in overlaps for each in true}))}
    tracks = {name: number for number, name in enumerate(sorted({each for _, found, _ in overlaps for each in found}))}
    potential = np.zeros((len(objects), len(tracks)))
    of_object, of_track = np.zeros(len(objects)), np.zeros(len(tracks))
    indexed = [(np.array([objects[each] for each in true], int), np.array([tracks[each] for each in found], int), table) for true, found, table in overlaps]
    for rows, columns, table in indexed:
        of_object[rows] += 1
        of_track[columns] += 1
        if table.size:
            either = table.sum(axis=0)[None, :] + table.sum(axis=1)[:, None] - table
            potential[np.ix_(rows, columns)] += np.divide(table, either, out=np.zeros_like(table), where=either > 0)
    likeness = potential / (of_object[:, None] + of_track[None, :] - potential)
    values = []
    for alpha in np.arange(1, 20) * 0.05:
        pairs = np.zeros_like(potential)
        for rows, columns, table in indexed:
            if table.size:
                picked = linear_sum_assignment(-likeness[np.ix_(rows, columns)] * table)
                for row, column in zip(*picked, strict=True):
                    pairs[rows[row], columns[column]] += table[row, column] >= alpha - 1e-12
        hits = pairs.sum()
        detection = hits / (of_object.sum() + of_track.sum() - hits)
        association = (pairs * pairs / np.maximum(1, of_object[:, None] + of_track[None, :] - pairs)).sum() / max(1, hits)
        values.append((detection * association) ** 0.5)
    return float(np.mean(values))


def expected_events(truth, rules_file, width, height, frame_rate):
    """rule -> [(start, end)] of what a person who reads docs/rules.md expects in the annotation."""
    given = yaml.safe_load(rules_file.read_text())
    paths = {}
    for frame in sorted(truth):
        for object_id, (left, _, right, bottom) in truth[frame].items():
            paths.setdefault(object_id, []).append(((frame - 1) / frame_rate, ((left + right) / 2 / width, bottom / height)))
    found = {}
    for rule in given["rules"]:
        when = rule["when"]
        events = found.setdefault(rule["name"], [])
        for path in paths.values():
            if "enters" in when:
                corners = np.array(given["zones"][when["enters"]]["polygon"])
                (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
                state = [x0 <= x <= x1 and y0 <= y <= y1 for _, (x, y) in path]
                events += [event for event, before, after in changes(path, state) if state[after] and not state[before]]
            else:
                line = given["lines"][when["crosses"]]
                state = [side(line["from"], line["to"], point) > 0 for _, point in path]
                events += [event for event, before, after in changes(path, state) if passages(path, state, line, before, after) % 2]
    return found


def changes(path, state):
    """((start, end), first row of the state before, first row of the new state): a state counts once held for 0.4 s."""
    first = [0, *(row for row in range(1, len(state)) if state[row] != state[row - 1])]
    last = [*(row - 1 for row in first[1:]), len(state) - 1]
    held = [(a, b) for a, b in zip(first, last, strict=True) if path[b][0] - path[a][0] >= HELD_S - SLACK_S]
    for (before, _), (after, end) in pairwise(held):
        if state[before] != state[after]:
            start_s = path[after][0]
            counted = next((row for row in range(after, end) if path[row][0] >= start_s + HELD_S - SLACK_S), end)
            yield (start_s, path[counted][0]), before, after


def side(start, end, point):
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def passages(path, state, line, before, after):
    """How often the way from one state to the other goes through the line itself, not past its ends."""
    through = 0
    for row in range(before + 1, after + 1):
        if state[row] != state[row - 1]:
            a, b = path[row - 1][1], path[row][1]
            through += side(a, b, line["from"]) * side(a, b, line["to"]) <= 0
    return through


def events(expected, alerts_file):
    """rule -> (annotated, alerts, both): the most pairs of spans that overlap or start within a second."""
    alerts = json.loads(alerts_file.read_text())
    found = {}
    for rule, spans in expected.items():
        raised = [(alert["start_s"], alert["end_s"]) for alert in alerts if alert["rule"] == rule and alert["lifecycle"] == "active"]
        may = [[(a <= d + 1e-6 and c <= b + 1e-6) or abs(a - c) <= 1 + 1e-6 for c, d in raised] for a, b in spans]
        both = (maximum_bipartite_matching(csr_matrix(np.array(may, int))) >= 0).sum() if spans and raised else 0
        found[rule] = (len(spans), len(raised), int(both))
    return found
