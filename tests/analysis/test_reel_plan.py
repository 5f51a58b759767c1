"""Which moments a reel shows, and how fast a time-lapse goes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform.analysis import reel_plan, tables
from video_platform.analysis.reel_plan import LONGEST_S, SHORTEST_S


def tracks(*spans, classes=None, rate=5.0):
    """A track per span, `rate` boxes a second."""
    rows = [(at, number) for number, (start, end) in enumerate(spans, 1) for at in np.arange(start, end, 1 / rate)]
    at_s, ids = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.int32)
    class_id = np.array([(classes or [0] * len(spans))[row[1] - 1] for row in rows], np.int16)
    return tables.Tracks(at_s, class_id, np.full(len(rows), 0.8, np.float32), np.full((len(rows), 4), 0.5, np.float32), ids).ordered()


alerts = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.floats(0, 600), st.floats(0, 60)).map(lambda each: (each[0], each[1], each[1] + each[2])), max_size=60
)


@given(alerts, st.floats(5, 120))
def test_a_reel_of_alerts_keeps_its_budget_and_each_piece_its_alert(found, max_s):
    pieces = reel_plan.of_alerts(found, 600.0, max_s)
    assert bool(pieces) == bool(found)
    assert sum(piece.length_s for piece in pieces) <= max_s + 1e-6
    assert all(0 <= piece.start_s <= piece.anchor_s <= piece.end_s <= 600 for piece in pieces)
    assert all(piece.end_s <= later.start_s + 1e-9 for piece, later in pairwise(pieces))
    assert {piece.anchor_s for piece in pieces} <= {start for _, start, _ in found}


def test_alerts_of_one_moment_are_one_piece_and_the_others_are_chapters_of_their_own():
    pieces = reel_plan.of_alerts(
        [("enters", 10.0, 10.5), ("crowd", 11.0, 40.0), ("enters", 11.5, 12.0), ("leaves", 16.0, 16.2), ("enters", 99.0, 99.0)], 100.0, 60.0
    )
    assert [piece.title for piece in pieces] == ["enters ×2, crowd", "leaves", "enters"]
    assert [(piece.start_s, piece.end_s) for piece in pieces] == [(7.0, 15.0), (15.0, 19.0), (96.0, 100.0)]
    assert reel_plan.of_alerts([("stays", 10.0, 500.0)], None, 60.0)[0].end_s == 10.0 + LONGEST_S


def test_activity_is_shown_where_most_of_it_is():
    found = tracks((0, 60), (200, 230), (202, 230), (204, 230), classes=[1, 0, 0, 0])
    (piece,) = reel_plan.of_activity(found, ["person", "car"], 15.0, 300.0)
    assert piece.start_s + reel_plan.PAD_S >= 200
    assert piece.end_s <= 231
    assert piece.title == "activity: person ×3"
    assert piece.length_s == pytest.approx(15.0)
    whole = reel_plan.of_activity(found, ["person", "car"], 300.0, 300.0)
    assert [piece.title for piece in whole] == ["activity: car", "activity: person ×3"]
    assert reel_plan.of_activity(tables.no_tracks(), [], 60.0) == []


@given(st.lists(st.tuples(st.floats(0, 3000), st.floats(0.3, 400)).map(lambda each: (each[0], each[0] + each[1])), max_size=6), st.floats(5, 60))
def test_a_time_lapse_fits_and_shows_nothing_but_activity(spans, max_s):
    found = tracks(*spans, rate=1.0)
    shown = reel_plan.activity(found, 4000.0)
    speed, moments = reel_plan.lapse(shown, max_s, 15.0)
    assert len(moments) / 15 <= max_s + 1e-6
    assert speed >= reel_plan.MIN_SPEED
    assert moments == sorted(moments)
    assert all(any(start - 1e-6 <= moment <= end + 1e-6 for start, end in shown) for moment in moments)
    assert all(0 <= start < end for start, end in shown)


def test_a_budget_of_nothing_makes_nothing():
    found = tracks((0, 60))
    assert reel_plan.of_alerts([("r", 1.0, 2.0)], None, 0.0) == reel_plan.of_activity(found, ["person"], 0.0) == []
    assert reel_plan.lapse([(0.0, 60.0)], 0.0, 15.0)[1] == []


def test_very_many_alerts_are_thinned_evenly():
    pieces = reel_plan.of_alerts([("r", 10.0 * n, 10.0 * n) for n in range(100)], None, 30.0)
    assert len(pieces) == 30 / SHORTEST_S
    assert all(later.anchor_s - piece.anchor_s == pytest.approx(100.0, abs=1) for piece, later in pairwise(pieces))
