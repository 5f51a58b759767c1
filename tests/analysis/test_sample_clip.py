"""Detection, tracking and rules on the real sample clip, as a demo runs them."""

from pathlib import Path

import numpy as np
import pytest

from video_platform import rules
from video_platform.analysis import one_pass, tables
from video_platform.analysis.evaluate import evaluate
from video_platform.analysis.track import to_sheet, track
from video_platform.layout import DETECTIONS

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    made = one_pass.run(SAMPLES / "crossing.mp4", tmp_path_factory.mktemp("clip"), one_pass.Order((DETECTIONS,)))[DETECTIONS]
    detections, names, _ = tables.read_detections(Path(made["detections"]))
    samples = tables.read_samples(Path(made["samples"]))
    return track(detections, samples, names, aspect=4 / 3), samples, names


def test_people_are_followed_from_their_first_to_their_last_sample(clip):
    tracks, samples, names = clip
    people = np.unique(tracks.track_id[tracks.class_id == names.index("person")])
    assert 10 <= len(people) <= 18
    lengths = [line.end_s - line.start_s for line in to_sheet(tracks, samples, names).tracks if line.class_name == "person"]
    assert np.median(lengths) > 5
    for person in people:
        at_s = tracks.time_s[tracks.track_id == person]
        assert np.diff(at_s).max() == pytest.approx(0.2)  # no sample between is missing


def test_the_demo_shows_a_handful_of_alerts_and_one_near_miss(clip):
    tracks, samples, names = clip
    text = (SAMPLES / "rules.demo.yaml").read_text()
    evaluation = evaluate(tracks, samples, names, rules.parse(text, classes=names).for_camera("demo"), aspect=4 / 3)
    assert 5 <= len(evaluation.episodes) <= 12
    assert {episode.kind for episode in evaluation.episodes} == {"enters", "crosses", "dwells", "count"}
    (miss,) = evaluation.near_misses
    assert miss.rule == "crowd"
    assert miss.text.endswith("in crossroads at most; the rule wants 6")
    assert evaluation.cannot_evaluate == []
