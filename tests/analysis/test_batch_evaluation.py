"""Many videos judged together give what judging each alone gives, to the last bit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import IN, OUT, rule_set
from walks import NAMES, film, steps, straight

from video_platform import rules
from video_platform.analysis import batch_evaluation, continuing
from video_platform.analysis.batch_evaluation import Footage, Judge
from video_platform.analysis.evaluate import evaluate
from video_platform.analysis.tables import Samples, Tracks
from video_platform.records import EarlierFootage

START = datetime(2026, 11, 23, 17, 59, tzinfo=UTC)

EVERY_KIND = rules.parse(
    """\
version: 1
zones:
  plaza: {polygon: [[0.10, 0.35], [0.90, 0.35], [0.90, 0.75], [0.10, 0.75]]}
  yard: {polygon: [[0.2, 0.1], [0.4, 0.15], [0.5, 0.3], [0.45, 0.5], [0.3, 0.55], [0.15, 0.3]]}
lines: {path: {from: [0.5, 0.2], to: [0.5, 0.9]}}
ignore: {tree: {polygon: [[0.8, 0.0], [1.0, 0.0], [1.0, 0.4], [0.8, 0.4]]}}
rules:
  - {name: enters, when: {enters: plaza, class: person}}
  - {name: leaves, when: {leaves: yard, class: person}, cooldown: 3s}
  - {name: crosses, when: {crosses: path, class: person, direction: left_to_right}, cooldown: 0s}
  - {name: crosses-any, when: {crosses: path, class: [person, car]}, cooldown: 0s, min_frames: 5}
  - {name: dwells, when: {dwells: plaza, class: person, for: 4s}}
  - {name: crowd, when: {count: person, in: plaza, at_least: 2, for: 1s}}
  - {name: appears, when: {appears: person}}
  - {name: car, when: {appears: car, in: yard}, merge: 6s}
  - {name: empty, when: {absent: person, in: yard, for: 5s}}
  - {name: close, when: {near: [person, car], within: 0.1, for: 1s}}
  - {name: pair, when: {near: [person, person], within: 0.2, for: 1s}, merge: 5s}
  - {name: fast, when: {speed: car, above: 0.1, for: 0.5s}}
  - {name: parked, when: {dwells: yard, class: car, for: 4s}, moving: false, min_size: 0.001}
  - {name: loiters, when: {dwells: yard, class: person, for: 6s}, max_gap: 2s, min_frames: 10}
  - {name: about, when: {appears: person, in: plaza}, max_gap: 1s, cooldown: 0s}
  - {name: dark, when: {silent: yard, for: 30s}}
  - {name: evening, when: {dwells: plaza, class: [person, car], for: 2s}, min_score: {car: 0.6}, schedule: {from: "18:00", to: "06:00", timezone: UTC}}
  - {name: crowd-evening, when: {count: person, at_least: 2, for: 1s}, schedule: {from: "18:00", to: "06:00", timezone: UTC}}
  - {name: fast-evening, when: {speed: person, above: 0.1, for: 0.4s}, schedule: {from: "18:00", to: "06:00", timezone: UTC}}
  - {name: close-evening, when: {near: [person, person], within: 0.3, for: 1s}, schedule: {from: "18:00", to: "06:00", timezone: UTC}}
""",
    classes=NAMES,
).for_camera("yard")


def wandering(random: np.random.Generator, *, seconds: float, objects: int, rate: int) -> tuple[Tracks, Samples]:
    """Objects that walk, stand, are lost for a moment and come back as somebody else; a few boxes belong to no track."""
    count = int(seconds * rate)
    rows = []
    ids = iter(random.permutation(np.arange(1, 200)).tolist())
    for _ in range(objects):
        at, name = 0, int(random.integers(0, 2))
        foot = random.random(2)
        while at < count:
            length = min(count - at, int(random.exponential(5 * rate)) + 1)
            target = foot if random.random() < 0.3 else random.random(2)
            id_ = next(ids) if random.random() < 0.9 else -1
            for n in range(length):
                part = n / max(1, length - 1)
                x, y = foot * (1 - part) + target * part + random.normal(0, 0.002, 2)
                rows.append(((at + n) / rate, name, random.uniform(0.4, 0.9), (x - 0.03, y - 0.15, x + 0.03, y), id_))
            foot, at = target, at + length + int(random.integers(0, 3 * rate))
    at_s, class_id, score, boxes, id_ = zip(*rows, strict=True) if rows else ((), (), (), np.zeros((0, 4)), ())
    columns = (np.array(class_id, np.int16), np.array(score, np.float32), np.array(boxes, np.float32).reshape(-1, 4), np.array(id_, np.int32))
    samples = np.arange(count) / rate
    return Tracks(np.array(at_s, float), *columns).ordered(), Samples(samples, np.arange(count) * 6)


def camera(seed: int, videos: int) -> list[Footage]:
    """Files of one camera, one after the other with and without gaps; the recording time of some is unknown, one has nobody in it, one no sample at all."""
    random = np.random.default_rng(seed)
    found: list[Footage] = []
    begins, last = START, None
    for n in range(videos):
        seconds = float(random.choice([0.0, 3.0, 12.0, 30.0])) if n else 15.0
        rate = int(random.choice([2, 5, 10]))
        tracks, samples = wandering(random, seconds=seconds, objects=int(random.integers(0, 9)), rate=rate)
        known = random.random() < 0.9
        judge = Judge(f"{n:016x}", begins if known else None, float(random.choice([1.0, 16 / 9])), last if known else None)
        found.append(Footage(judge, tracks, samples, NAMES if random.random() < 0.9 else NAMES[:2]))
        ends = begins + timedelta(seconds=seconds)
        if known:
            last = EarlierFootage(judge.video_id, begins, ends)
        begins = ends + timedelta(seconds=float(random.choice([0.2, 1.0, 60.0])))
    return found


def alone(videos: list[Footage], camera_rules: rules.CameraRules) -> list[batch_evaluation.Judged]:
    """Each video judged by itself, with what the one before it handed on."""
    still_open: dict[str, tuple] = {}
    done = []
    for one in videos:
        judge = one.judge
        earlier = replace(judge.earlier, open=still_open[judge.earlier.video_id]) if judge.earlier else None
        earlier = continuing.counted(camera_rules, judge.recorded_at, earlier)
        when = {"recorded_at": judge.recorded_at, "earlier": earlier}
        evaluation = evaluate(one.tracks, one.samples, one.names, camera_rules, **when, aspect=judge.aspect or 1.0)
        still_open[judge.video_id] = tuple(evaluation.open)
        done.append(batch_evaluation.Judged(judge.video_id, evaluation, earlier))
    return done


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_together_is_what_each_alone_gives(seed):
    videos = camera(seed, 6)
    assert list(batch_evaluation.evaluate(videos, EVERY_KIND)) == alone(videos, EVERY_KIND)


def test_every_kind_was_among_what_was_compared():
    found = {episode.rule for seed in range(12) for one in alone(camera(seed, 6), EVERY_KIND) for episode in one.evaluation.episodes}
    assert found == {rule.name for rule in EVERY_KIND.rules}


@pytest.mark.parametrize("most", [1, 60, 400])
def test_however_many_are_judged_at_once(most, monkeypatch):
    videos = camera(7, 9)
    monkeypatch.setattr(batch_evaluation, "MAX_ROWS", most)
    assert list(batch_evaluation.evaluate(videos, EVERY_KIND)) == alone(videos, EVERY_KIND)


def test_without_near_misses_everything_else_is_the_same():
    videos = camera(3, 4)
    expected = [replace(one, evaluation=replace(one.evaluation, near_misses=[])) for one in alone(videos, EVERY_KIND)]
    assert list(batch_evaluation.evaluate(videos, EVERY_KIND, explain=False)) == expected


def test_no_state_goes_from_one_video_to_the_next():
    """The same track id stands on the left in one file and on the right in the next: nobody crossed anything."""
    crosses = rule_set("name: crosses, when: {crosses: path, class: person}", "name: enters, when: {enters: plaza, class: person}")
    left, right = film(steps((0, OUT), end_s=5), duration_s=5), film(steps((0, IN), end_s=5), duration_s=5)
    walks = film(straight(OUT, IN, 0, 5), duration_s=5)
    videos = [Footage(Judge(f"{n:016x}"), *made, NAMES) for n, made in enumerate((left, right, walks))]
    found = [[episode.rule for episode in one.evaluation.episodes] for one in batch_evaluation.evaluate(videos, crosses)]
    assert found[:2] == [[], []]
    assert "enters" in found[2]


def test_nothing_at_all():
    assert list(batch_evaluation.evaluate([], EVERY_KIND)) == []
