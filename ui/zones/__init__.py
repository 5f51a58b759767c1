"""Zones and lines drawn and dragged over a real frame; what was drawn comes back as edits, and the page writes them into the text of the rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from ui.component import registered
from video_platform.records import Point
from video_platform.rules_drawing import Shape
from video_platform.rules_schema import MAX_POINTS

_ZONES = registered("zones", Path(__file__).parent, "../clipboard.js", "shapes.js", "picture.js")

MOST_EDITS = 500
"""Edits that a browser may send at once; those that the page has not answered yet, each a movement of a hand."""


class Edit(BaseModel):
    """One thing that was drawn. `n` counts up in a browser's session; `points` are 0-1 of the frame, `to` is a new name."""

    n: int = Field(ge=1)
    do: Literal["add", "redraw", "rename", "remove", "undo"]
    section: Literal["zones", "lines"] = "zones"
    name: str = ""
    points: list[Point] = Field(default=[], max_length=MAX_POINTS)
    to: str = ""


@dataclass(frozen=True)
class Drawn:
    """How far the page is: the number of the last edit that it took, whether there is one to undo, and why the last one was refused."""

    applied: int = 0
    undo: bool = False
    refused: str = ""


def edits(told: object) -> list[Edit]:
    """The edits that the component told of, in order; what is no edit is left out."""
    found = []
    for raw in told[:MOST_EDITS] if isinstance(told, list) else []:
        try:
            found.append(Edit.model_validate(raw))
        except ValidationError:
            continue
    return found


def zones(
    image: str,
    shapes: Sequence[Shape],
    *,
    alt: str,
    drawn: Drawn,
    problems: Sequence[str | None],
    width: int | None = None,
    height: int | None = None,
    key: str = "zones",
    on_edited: Callable[[], None] | None = None,
) -> None:
    """Show the picture at address `image` with `shapes` over it, for changing where `on_edited` is given; `problems` are what is wrong with each.

    `width` and `height` are the frame's pixels; only their ratio counts. A line carries an arrow from its left side to its right. `on_edited` is called with
    the edits in `st.session_state[key]["edited"]`: all that are newer than `drawn.applied`.
    """
    data = {
        "image": image,
        "alt": alt,
        "width": width,
        "height": height,
        "shapes": [
            {"section": shape.section, "name": shape.name, "points": [list(point) for point in shape.points], "problem": problem}
            for shape, problem in zip(shapes, problems, strict=True)
        ],
        "editable": on_edited is not None,
        "applied": drawn.applied,
        "undo": drawn.undo,
        "refused": drawn.refused,
    }
    _ZONES(key=key, data=data, on_edited_change=on_edited or (lambda: None))
