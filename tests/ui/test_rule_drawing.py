"""What the drawing component tells of, written into the text that is edited: each edit once, in order, with a way back."""

from ui_seed import RULES

from ui.rule_drawing import Drawing, write
from ui.zones import Edit, edits
from video_platform import rules

ANY = ("*",)
MOVED = [[0.1, 0.35], [0.8, 0.35], [0.9, 0.95], [0.1, 0.95]]


def told(n: int, **more: object) -> dict[str, object]:
    return {"n": n, "do": "redraw", "section": "zones", "name": "plaza", "points": MOVED, **more}


def test_edits_that_were_written_already_are_not_written_twice() -> None:
    state = Drawing()
    first = write(RULES, edits([told(1)]), state, ANY)
    assert "[0.8, 0.35]" in first
    added = told(2, do="add", name="yard")
    text = write(first, edits([told(1), added]), state, ("plaza",))  # the browser had not heard of the first yet
    assert rules.parse(text).all_zones["yard"].cameras == ("plaza",)
    assert (write(text, edits([told(1), added]), state, ANY), state.applied, state.refused) == (text, 2, "")


def test_undo_goes_back_edit_by_edit_but_never_over_what_was_typed() -> None:
    state = Drawing()
    once = write(RULES, edits([told(1)]), state, ANY)
    twice = write(once, edits([told(2, do="rename", to="square")]), state, ANY)
    assert "enters: square" in twice
    assert write(twice, edits([{"n": 3, "do": "undo"}]), state, ANY) == once
    assert write(once, edits([{"n": 4, "do": "undo"}]), state, ANY) == RULES
    again = write(RULES, edits([told(5)]), state, ANY)
    typed = again + "# mine\n"
    assert write(typed, edits([{"n": 6, "do": "undo"}]), state, ANY) == typed


def test_what_cannot_be_written_is_said_and_the_rest_goes_on() -> None:
    state = Drawing()
    text = write(RULES, edits([told(1, name="nowhere")]), state, ANY)
    assert text == RULES
    assert "nowhere" in state.refused
    assert write(text, edits([told(1, name="nowhere"), told(2)]), state, ANY) != RULES
    assert state.refused == ""


def test_what_is_no_edit_is_left_out() -> None:
    assert edits(None) == edits("x") == edits([7, {}, told(0), told(1, do="format"), told(1, section="rules"), told(1, points=[[0, 1]] * 201)]) == []
    assert edits([told(3)]) == [Edit(n=3, do="redraw", section="zones", name="plaza", points=[(x, y) for x, y in MOVED])]
