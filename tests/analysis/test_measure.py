"""A scripted video measured against a scripted annotation, with figures known beforehand."""

import numpy as np
import pytest
from judged import EAST, OUT, WEST, rule_set
from walks import NAMES, film, steps

from video_platform import rules
from video_platform.analysis import annotation
from video_platform.analysis.measure import Bench, Footage, Found
from video_platform.errors import AnnotationError, InputError

RATE, SECONDS, SIZE = 5.0, 10.0, 1000
ENTERS = "name: enters, when: {enters: plaza, class: person}"
CROSSES = "name: crosses, when: {crosses: path, class: person, direction: any}"
DOGS = "name: dogs, when: {appears: dog}"
QUIET = "name: quiet, when: {silent: yard, for: 60s}"
SEES = 'name: sees, when: {sees: "a drone"}'


def text(*walks, columns="1,1,1"):
    """An annotation of these walks, every frame of 5 a second."""
    tracks, samples = film(*walks, duration_s=SECONDS, rate=RATE)
    lines = []
    for time_s, object_id, (x1, y1, x2, y2) in zip(tracks.time_s, tracks.track_id, tracks.boxes.astype(float) * SIZE, strict=True):
        frame = int(np.searchsorted(samples.time_s, time_s - 1e-6)) + 1
        lines.append(f"{frame},{object_id},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},{columns}\n")
    return "".join(lines)


def bench(given, *lines, classes=None, **more):
    frame_s = np.arange(round(SECONDS * RATE) + 1) / RATE
    return Bench(annotation.parse(given), Footage(frame_s, SIZE, SIZE), NAMES, classes or {1: "person"}, rule_set(*lines or (ENTERS,)), **more)


def walker(*stops, **given):
    return steps(*stops, end_s=SECONDS, **given)


GOES_IN = walker((0, OUT), (4, WEST))
GOES_IN_LATE = walker((0, OUT), (7, WEST))
GOES_EAST = walker((0, WEST), (5, EAST))


def test_what_was_followed_without_fault_agrees_wholly():
    tracks, samples = film(GOES_IN, GOES_EAST, duration_s=SECONDS, rate=RATE)
    against = bench(text(GOES_IN, GOES_EAST), ENTERS, CROSSES)
    figures, missing = against.boxes(tracks, NAMES)
    assert (figures["person"].mota, figures["person"].idf1, figures["person"].hota) == pytest.approx((1, 1, 1))
    total, scores, differences = against.events(against.episodes(tracks, samples, NAMES))
    assert [(each.rule, each.expected, each.alerts, each.matched, each.f1) for each in scores] == [("enters", 1, 1, 1, 1.0), ("crosses", 1, 1, 1, 1.0)]
    assert (total.expected, total.precision, total.recall, differences, missing) == (2, 1.0, 1.0, [], [])


def test_a_late_alert_is_false_and_one_is_lacking():
    against = bench(text(GOES_IN), ENTERS)
    tracks, samples = film(GOES_IN_LATE, duration_s=SECONDS, rate=RATE)
    total, (score,), differences = against.events(against.episodes(tracks, samples, NAMES))
    assert (score.precision, score.recall, score.f1, total.matched) == (0, 0, 0, 0)
    assert [(each.what, each.name, round(each.start_s, 3), each.ids) for each in differences] == [
        ("no alert", "enters", 4.0, (1,)),
        ("false alert", "enters", 7.0, (1,)),
    ]
    _, missing = against.boxes(tracks, NAMES)
    assert [(each.what, round(each.start_s, 3), round(each.end_s, 3)) for each in missing] == [("not followed", 4.0, 6.8), ("nothing there", 4.0, 6.8)]


def test_alerts_of_the_ledger_keep_their_ids_and_other_rules_are_no_matter():
    against = bench(text(GOES_IN), ENTERS)
    found = [Found("enters", 4.9, 5.3, (9,), "right"), Found("enters", 9.0, 9.4, (8,), "wrong"), Found("gone", 1.0, 2.0, (), "other")]
    total, _, differences = against.events(found)
    assert (total.expected, total.alerts, total.matched) == (1, 2, 1)
    assert [(each.what, each.alert_id) for each in differences] == [("false alert", "wrong")]


def test_what_an_annotation_says_nothing_of_is_not_measured():
    against = bench(text(GOES_IN), ENTERS, DOGS, QUIET, SEES)
    total, scores, _ = against.events([Found("dogs", 1.0, 2.0, (1,))])
    assert ([each.rule for each in scores], total.alerts) == (["enters"], 0)
    reasons = dict(against.not_measured)
    assert reasons.keys() == {"dogs", "quiet", "sees"}
    assert reasons["dogs"] == "the annotation has no class dog"
    with_dogs = bench(text(GOES_IN), DOGS, classes={1: "person", 2: "dog"})
    assert (with_dogs.not_measured, with_dogs.events([Found("dogs", 1.0, 2.0, (1,))])[0].precision) == ([], 0)


def test_classes_are_measured_apart():
    dog = walker((0, (0.8, 0.8)), name="dog")
    tracks, _ = film(GOES_IN, dog, duration_s=SECONDS, rate=RATE)
    given = text(GOES_IN) + text(walker((0, (0.8, 0.8)), track_id=2), columns="1,17,1")
    figures, _ = bench(given, classes={1: "person", 17: "dog"}).boxes(tracks, NAMES)
    assert {name: (each.objects, each.mota) for name, each in figures.items()} == {"person": (1, 1.0), "dog": (1, 1.0)}
    assert bench(given).left_out == {17: 51}
    with pytest.raises(InputError, match=r"has boxes of class 17, and asked for was 1 \(person\); say what they are, such as `--class 17=person`"):
        bench(text(GOES_IN, columns="1,17,1"))
    with pytest.raises(InputError, match="no class 'drone'"):
        bench(given, classes={1: "drone"})
    with pytest.raises(AnnotationError, match="frame 52 of a video that has 51"):
        bench(given + "52,1,1,1,5,5,1,1,1\n")


def test_what_is_not_to_be_considered_is_neither_missed_nor_false():
    ghost = walker((0, (0.8, 0.8)), track_id=2)
    tracks, _ = film(GOES_IN, ghost, duration_s=SECONDS, rate=RATE)
    against = bench(text(GOES_IN) + text(ghost, columns="0,1,1"))
    figures, missing = against.boxes(tracks, NAMES)
    assert (against.ignored, figures["person"].false_boxes, figures["person"].missed_boxes, missing) == (51, 0, 0, [])
    without, _ = against.boxes(film(GOES_IN, duration_s=SECONDS, rate=RATE)[0], NAMES)
    assert without["person"].mota == 1
    assert bench(text(GOES_IN)).boxes(tracks, NAMES)[0]["person"].false_boxes == 51
    with pytest.raises(InputError, match="no box that is to be considered"):
        bench(text(ghost, columns="0,1,1"))


def test_only_frames_that_were_annotated_are_compared_when_that_is_asked_for():
    every_fifth = "".join(line for line in text(GOES_IN).splitlines(keepends=True) if (int(line.split(",")[0]) - 1) % 5 == 0 and int(line.split(",")[0]) <= 31)
    tracks, samples = film(GOES_IN, duration_s=SECONDS, rate=RATE)
    whole = bench(every_fifth, ENTERS).boxes(tracks, NAMES)[0]["person"]
    assert (whole.annotated_boxes, whole.false_boxes) == (7, 44)
    some = bench(every_fifth, ENTERS, only_annotated=True)
    assert (some.scored, some.boxes(tracks, NAMES)[0]["person"].mota) == (7, 1.0)
    total, *_ = some.events([*some.episodes(tracks, samples, NAMES), Found("enters", 9.0, 9.4, (1,))])
    assert (total.expected, total.alerts, total.matched) == (1, 1, 1), "what happens after the last annotated frame is not judged"


def test_rules_of_another_camera_are_no_matter():
    mine = rules.parse(f"version: 1\nrules:\n  - {{{DOGS}, cameras: [gate]}}\n", classes=NAMES).for_camera("yard")
    frame_s = np.arange(51) / RATE
    against = Bench(annotation.parse(text(GOES_IN)), Footage(frame_s, SIZE, SIZE), NAMES, {1: "person"}, mine)
    total, scores, differences = against.events([])
    assert (total.expected, total.precision, total.f1, scores, differences, against.not_measured) == (0, None, None, [], [], [])
