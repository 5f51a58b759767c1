import subprocess
import sys

import numpy as np
import pytest
from walks import NAMES, Walk, film, steps, straight

from video_platform.analysis import tables
from video_platform.analysis.tables import Detections, Samples
from video_platform.analysis.track import TrackingParameters, to_sheet, track
from video_platform.settings import TrackingSettings


def seen(*walks: Walk, duration_s: float = 10.0, rate: float = 5.0, missing: tuple[float, ...] = (), noise: float = 0.0) -> tuple[Detections, Samples]:
    """What a detector would say of these walks, without ids; at the `missing` times it saw nothing."""
    tracks, samples = film(*walks, duration_s=duration_s, rate=rate)
    keep = ~np.isin(np.round(tracks.time_s, 6), np.round(missing, 6))
    jitter = np.random.default_rng(7).normal(0, noise, tracks.boxes.shape).astype(np.float32)
    rows = Detections(tracks.time_s, tracks.class_id, tracks.score, np.clip(tracks.boxes + jitter, 0, 1))
    return rows.take(keep).ordered(), samples


def ids_and_spans(tracks):
    return {
        int(i): (round(float(tracks.time_s[tracks.track_id == i].min()), 2), round(float(tracks.time_s[tracks.track_id == i].max()), 2))
        for i in np.unique(tracks.track_id)
    }


def test_two_people_who_pass_each_other_keep_their_ids():
    found = track(*seen(straight((0.1, 0.5), (0.9, 0.5), 0, 10), straight((0.9, 0.62), (0.1, 0.62), 0, 10), noise=0.002), NAMES)
    assert found.count == 2
    for i, direction in ((1, 1), (2, -1)):
        x = found.boxes[found.track_id == i, 0]
        assert len(x) == 51
        assert (np.diff(x) * direction > 0).all()


def test_a_track_begins_with_its_first_detection():
    assert ids_and_spans(track(*seen(steps((2, (0.5, 0.5)), end_s=4)), NAMES)) == {1: (2.0, 4.0)}


def test_one_detection_alone_is_no_track():
    assert len(track(*seen(steps((2, (0.5, 0.5)), end_s=2)), NAMES)) == 0


def test_ids_count_from_one_by_first_appearance():
    found = track(*seen(steps((5, (0.2, 0.5)), end_s=8), steps((1, (0.8, 0.5)), end_s=3), steps((3, (0.5, 0.5)), end_s=9)), NAMES)
    assert ids_and_spans(found) == {1: (1.0, 3.0), 2: (3.0, 9.0), 3: (5.0, 8.0)}


def test_a_gap_is_filled_at_every_sample_along_the_way():
    found = track(*seen(straight((0.2, 0.5), (0.6, 0.5), 0, 8), duration_s=8, missing=(3.0, 3.2, 3.4)), NAMES, TrackingParameters(smooth_samples=1))
    assert found.count == 1
    assert len(found) == 41
    middle = (found.boxes[:, 0] + found.boxes[:, 2]) / 2
    assert middle == pytest.approx(0.2 + 0.05 * found.time_s, abs=1e-5)


def test_a_person_hidden_for_longer_than_the_tracker_remembers_is_joined():
    walk = Walk(lambda t: None if 3 < t < 4.8 else (0.1 + 0.08 * t, 0.5), 0, 10)
    assert ids_and_spans(track(*seen(walk), NAMES)) == {1: (0.0, 10.0)}
    assert track(*seen(walk), NAMES, TrackingParameters(stitch_gap_s=0)).count == 2


def test_nobody_is_joined_across_more_than_the_longest_gap():
    walk = Walk(lambda t: None if 3 < t < 5.6 else (0.1 + 0.04 * t, 0.5), 0, 10)
    assert ids_and_spans(track(*seen(walk), NAMES)) == {1: (0.0, 3.0), 2: (5.6, 10.0)}


def test_another_person_elsewhere_is_not_the_one_who_left():
    found = track(*seen(straight((0.1, 0.5), (0.3, 0.5), 0, 3), straight((0.3, 0.9), (0.1, 0.9), 4.2, 8)), NAMES)
    assert found.count == 2


def test_a_track_never_changes_class():
    found = track(*seen(steps((0, (0.5, 0.5)), end_s=4, name="car"), steps((4.2, (0.5, 0.5)), end_s=8, name="dog")), NAMES)
    assert ids_and_spans(found) == {1: (0.0, 4.0), 2: (4.2, 8.0)}
    assert [NAMES[int(found.class_id[found.track_id == i][0])] for i in (1, 2)] == ["car", "dog"]


def test_objects_of_two_classes_in_one_place_are_two_tracks():
    found = track(*seen(steps((0, (0.5, 0.5)), end_s=4, name="car"), steps((0, (0.5, 0.5)), end_s=4)), NAMES)
    assert found.count == 2
    assert all(len(np.unique(found.class_id[found.track_id == i])) == 1 for i in (1, 2))


def test_weak_detections_begin_no_track_but_may_continue_one():
    assert len(track(*seen(steps((0, (0.5, 0.5)), end_s=4, score=0.55)), NAMES)) == 0
    assert ids_and_spans(track(*seen(steps((0, (0.5, 0.5)), end_s=4, score=(0.7, 0.46, 0.46))), NAMES)) == {1: (0.0, 4.0)}
    assert len(track(*seen(steps((0, (0.5, 0.5)), end_s=4, score=0.4)), NAMES)) == 0


def test_jitter_is_smoothed_without_pulling_the_ends_in():
    detections, samples = seen(straight((0.2, 0.5), (0.8, 0.5), 0, 10), noise=0.004)
    truth = film(straight((0.2, 0.5), (0.8, 0.5), 0, 10))[0].boxes
    raw = np.abs(track(detections, samples, NAMES, TrackingParameters(smooth_samples=1)).boxes - truth).mean()
    found = track(detections, samples, NAMES)
    assert np.abs(found.boxes - truth).mean() < 0.8 * raw
    assert np.array_equal(found.boxes[[0, -1]], detections.boxes[[0, -1]])


def test_every_box_stands_at_a_sample_and_there_is_one_per_track_and_sample():
    found = track(*seen(*(straight((0.1, y), (0.9, y), 0, 10) for y in (0.3, 0.5, 0.7)), noise=0.003, missing=(2.0, 5.0, 5.2)), NAMES)
    assert np.isin(found.time_s, film()[1].time_s).all()
    assert len(np.unique(np.stack([found.track_id, np.round(found.time_s * 5)]), axis=1).T) == len(found)
    assert (np.lexsort((found.track_id, found.time_s)) == np.arange(len(found))).all()


def test_uneven_samples_are_followed_by_their_times():
    times = np.cumsum(np.r_[0.0, np.tile([0.1, 0.3, 0.2], 15)])
    boxes = np.stack([0.1 + 0.08 * times, np.full(len(times), 0.4), 0.14 + 0.08 * times, np.full(len(times), 0.5)], axis=1).astype(np.float32)
    detections = Detections(times, np.zeros(len(times), np.int16), np.full(len(times), 0.8, np.float32), boxes)
    assert track(detections, Samples(times, np.arange(len(times))), NAMES).count == 1


def test_the_same_detections_always_give_the_same_tracks():
    given = seen(*(straight((0.1, y), (0.9, 1.1 - y), 0, 10) for y in (0.3, 0.5, 0.7, 0.8)), noise=0.01)
    first, second = (tables.content(track(*given, NAMES)) for _ in range(2))
    assert first == second


def test_no_detections_are_no_tracks():
    detections, samples = tables.no_detections(), film()[1]
    assert len(track(detections, samples, NAMES)) == 0
    assert to_sheet(tables.no_tracks(), samples, NAMES).tracks == []


def test_detections_of_another_video_are_refused():
    detections, samples = seen(steps((0, (0.5, 0.5)), end_s=4))
    with pytest.raises(ValueError, match="different videos"):
        track(detections, Samples(samples.time_s + 0.01, samples.frame), NAMES)
    with pytest.raises(ValueError, match="class 0, but there are 0"):
        track(detections, samples, ())


def test_the_sheet_has_what_the_player_draws():
    detections, samples = seen(steps((2, (0.5, 0.5)), end_s=4, score=(0.7, 0.8, 0.9)))
    sheet = to_sheet(track(detections, samples, NAMES), samples, NAMES)
    (line,) = sheet.tracks
    assert (sheet.sample_rate, sheet.samples) == (5.0, 51)
    assert (line.id, line.class_name, line.score, line.start_s, line.end_s) == (1, "person", 0.8, 2.0, 4.0)
    assert line.times_s[:2] == [2.0, 2.2]
    assert line.boxes[0] == (0.48, 0.38, 0.52, 0.5)


def test_parameters_have_the_names_and_values_of_the_settings():
    assert TrackingParameters(**TrackingSettings().model_dump()) == TrackingParameters()


def test_the_tracker_is_imported_only_when_something_is_tracked():
    code = "import sys, video_platform.analysis.track; sys.exit(bool({'trackers', 'supervision', 'scipy', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
