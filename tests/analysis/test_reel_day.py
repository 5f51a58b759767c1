"""The reel of a day: the most severe first, every camera in turn, within the budget."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from video_platform.analysis.reel_day import PIECE_S, Moment, choose
from video_platform.analysis.reel_plan import Piece

MORNING = datetime(2026, 11, 23, 8, tzinfo=UTC)


def moment(camera, minute, rank, length=6.0, weight=0.0, start=100.0):
    piece = Piece(start, start + length, f"{rank} {minute}", start + 2)
    return Moment(f"{camera}{minute}", camera, MORNING + timedelta(minutes=minute), piece, rank, weight)


def test_alerts_come_before_activity_and_severe_ones_before_others():
    found = choose([moment("a", 1, "activity", weight=99), moment("a", 2, "info"), moment("a", 3, "critical"), moment("a", 4, "warning")], 12.0)
    assert [each.piece.title for each in found] == ["critical 3", "warning 4"]


def test_each_camera_has_its_turn_and_of_many_an_even_choice_is_made():
    busy = [moment("busy", minute, "warning") for minute in range(64)]
    found = choose([*busy, moment("quiet", 200, "warning")], 30.0)
    assert [each.camera for each in found] == ["busy", "busy", "busy", "busy", "quiet"]
    minutes = [(each.recorded_at - MORNING).total_seconds() / 60 for each in found[:4]]
    assert minutes == [0, 16, 32, 48]


def test_the_same_moment_is_not_shown_twice():
    alert = moment("a", 1, "info", start=100.0)
    assert choose([moment("a", 1, "activity", start=103.0), alert], 60.0) == [alert]


moments = st.lists(
    st.builds(
        moment, st.sampled_from("abc"), st.integers(0, 500), st.sampled_from(["critical", "warning", "info", "activity"]), st.floats(0.5, 40), st.floats(0, 9)
    ),
    max_size=60,
)


@given(moments, st.floats(10, 120))
def test_a_reel_keeps_its_budget_and_the_order_of_the_day(found, max_s):
    chosen = choose(found, max_s)
    assert sum(each.piece.length_s for each in chosen) <= max_s + 1e-6
    assert all(each.piece.length_s <= PIECE_S + 1e-6 for each in chosen)
    assert [each.at for each in chosen] == sorted(each.at for each in chosen)
    assert bool(chosen) == bool(found)
