"""Evaluating rules over 100 hours of tracks: CPU seconds on one core, for long and for short videos.

    python -m benchmarks.rules_over_archive [SHARE]

once for the seven first rules and once for rules of every kind and filter; SHARE (0-1) is how much of the 100 hours is really evaluated.

The tracks are synthetic: five samples a second, eight objects at a time that walk straight with some noise, tracks of 20 s on average. Reading files is not
part of it.
"""

import sys
import time
from datetime import UTC, datetime

import numpy as np

from video_platform import rules
from video_platform.analysis.evaluate import evaluate
from video_platform.analysis.tables import Samples, Tracks

NAMES = ("person", "car", "dog")
RATE = 5
OBJECTS = 8
TRACK_S = 20.0
DIFFERENT = 5
"""Videos that are made; the archive repeats them."""

RULES = """\
version: 1
zones:
  plaza: {polygon: [[0.10, 0.35], [0.90, 0.35], [0.90, 0.75], [0.10, 0.75]]}
  yard: {polygon: [[0.2, 0.1], [0.4, 0.15], [0.5, 0.3], [0.45, 0.5], [0.3, 0.55], [0.15, 0.3]]}
lines: {path: {from: [0.5, 0.2], to: [0.5, 0.9]}}
rules:
  - {name: enters, when: {enters: plaza, class: person}}
  - {name: leaves, when: {leaves: yard, class: person}}
  - {name: crosses, when: {crosses: path, class: person, direction: left_to_right}, cooldown: 0s}
  - {name: dwells, when: {dwells: plaza, class: person, for: 10s}}
  - {name: crowd, when: {count: person, in: plaza, at_least: 6, for: 2s}}
  - {name: dog, when: {appears: dog, in: plaza}}
  - {name: car, when: {appears: car, in: yard}}
"""

ALL_KINDS = (
    RULES.replace("rules:", "ignore: {tree: {polygon: [[0.8, 0.0], [1.0, 0.0], [1.0, 0.2], [0.8, 0.2]]}}\nrules:")
    + """\
  - {name: empty, when: {absent: person, in: yard, for: 20s}}
  - {name: close, when: {near: [person, car], within: 0.05, for: 1s}}
  - {name: pair, when: {near: [person, person], within: 0.05, for: 2s}, merge: 5s}
  - {name: fast, when: {speed: car, above: 0.3, for: 0.5s}}
  - {name: parked, when: {dwells: yard, class: car, for: 10s}, moving: false, min_size: 0.001}
  - {name: loiters, when: {dwells: yard, class: person, for: 20s}, max_gap: 2s, min_frames: 10}
  - {name: dark, when: {silent: x, for: 20m}}
  - {name: night, when: {enters: plaza, class: [person, car]}, min_score: {car: 0.6}, schedule: {from: "22:00", to: "06:00", timezone: Europe/Berlin}}
"""
)
RECORDED_AT = datetime(2026, 7, 1, 18, tzinfo=UTC)


def main() -> None:
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    for text in (RULES, ALL_KINDS):
        camera_rules = rules.parse(text, classes=NAMES).for_camera("x")
        for label, hours, videos in (("1 h each", 1.0, 100), ("1 min each", 1 / 60, 6000)):
            made = [video(hours, seed) for seed in range(DIFFERENT)]
            number = max(1, round(videos * share))
            started, rows, episodes = time.process_time(), 0, 0
            for n in range(number):
                tracks, samples = made[n % DIFFERENT]
                rows += len(tracks)
                episodes += len(evaluate(tracks, samples, NAMES, camera_rules, recorded_at=RECORDED_AT, explain=False).episodes)
            cpu_s = time.process_time() - started
            of = f"{len(camera_rules.rules)} rules over {number} videos of {label}"
            print(f"{of}: {rows / 1e6:.1f} M boxes, {episodes} episodes, {cpu_s:.1f} CPU s, so {cpu_s / share:.1f} for 100 h")


def video(hours: float, seed: int) -> tuple[Tracks, Samples]:
    """Synthetic tracks of one video."""
    random = np.random.default_rng(seed)
    count = int(hours * 3600 * RATE)
    sample, track_id, class_id, score, feet = [], [], [], [], []
    for _ in range(OBJECTS):
        begin = 0
        while begin < count:
            length = min(count - begin, int(random.exponential(TRACK_S) * RATE) + 3)
            part = np.linspace(0, 1, length)[:, None]
            feet.append(random.random(2) * (1 - part) + random.random(2) * part + random.normal(0, 0.003, (length, 2)))
            sample.append(np.arange(begin, begin + length))
            track_id.append(np.full(length, len(track_id) + 1))
            class_id.append(np.full(length, int(random.random() < 0.2)))
            score.append(random.uniform(0.4, 0.9, length))
            begin += length
    x, y = np.concatenate(feet).T
    boxes = np.stack([x - 0.03, y - 0.15, x + 0.03, y], axis=1).astype(np.float32)
    time_s = np.arange(count) / RATE
    columns = (np.concatenate(class_id).astype(np.int16), np.concatenate(score).astype(np.float32), boxes, np.concatenate(track_id).astype(np.int32))
    return Tracks(time_s[np.concatenate(sample)], *columns).ordered(), Samples(time_s, np.arange(count) * 6)


if __name__ == "__main__":
    main()
