"""What is drawn on the picture of an alert."""

import numpy as np
import seeded

from video_platform.analysis import tables
from video_platform.pipeline import judging


def test_only_who_is_there_at_that_moment_has_a_box():
    found = seeded.tracks()
    came_later = tables.Tracks(found.time_s + 10.0, found.class_id, found.score, found.boxes, found.track_id + 2)
    both = tables.Tracks(*(np.concatenate([getattr(found, each), getattr(came_later, each)]) for each in ("time_s", "class_id", "score", "boxes", "track_id")))
    assert float(found.time_s.max()) < 9.0, "the two pairs are never there together"
    drawn = judging._boxes(both, [1, 2, 3, 4], 0.0, "person")
    assert [each["label"] for each in drawn] == ["person #1", "person #2"]
    assert drawn[0]["box"] == [0.1, 0.2, 0.2, 0.6]
    assert [each["label"] for each in judging._boxes(both, [1, 2, 3, 4], 10.0, "person")] == ["person #3", "person #4"]
