"""Whether two pictures show one view, whatever the light: what is switched on, dimmed or clouded over is the same place as before."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SAME_VIEW = 0.75
"""Likeness from which two pictures show one view. Of pictures of one camera 0.2 to 3 s apart all have 0.88 or more, at full or at a fifth of the light; where
people who walk by fill much of the picture, half have 0.92 or more. Of different views, parts of one place among them, none has more than 0.67."""

DARK = 32
"""Brightness (0-255, black is 0 or 16) below which a place counts for nothing if both pictures are dark there: bars above and below are in every picture."""

LEAST_LIT = 0.05
"""Part of a picture that must not be dark for it to be compared."""

GREY = 128.0
"""Level of the two planes of colour where there is none."""

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Parts of the brightness (ITU-R BT.601)."""

BLUE_RANGE, RED_RANGE = 0.564, 0.713
"""What brings the differences of blue and red from the brightness to the range of the planes of colour (the same)."""

View = NDArray[np.float32]
"""(3, N): brightness and two colours, which are 0 for grey, of some thousand places of a picture."""


def of_planes(planes: Sequence[NDArray[np.uint8]]) -> View:
    """The view of a picture as three planes (H, W), one of brightness and two of colour."""
    view = np.stack([plane.ravel() for plane in planes]).astype(np.float32)
    view[1:] -= GREY
    return view


def of_rgb(picture: NDArray[np.uint8]) -> View:
    """The view of a picture (H, W, 3)."""
    red, green, blue = picture.reshape(-1, 3).T.astype(np.float32)
    brightness = RED * red + GREEN * green + BLUE * blue
    return np.stack([brightness, BLUE_RANGE * (blue - brightness), RED_RANGE * (red - brightness)]).astype(np.float32, copy=False)


def likeness(one: View, other: View) -> float:
    """Correlation (-1 to 1) of two views with as many places; more or less light does not change it. 0 where hardly anything can be seen."""
    lit = np.maximum(one[0], other[0]) > DARK
    if lit.mean() < LEAST_LIT:
        return 0.0
    first, second = (_centred(view[:, lit]) for view in (one, other))
    scale = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(first @ second) / scale if scale else 0.0


def _centred(view: View) -> View:
    """The numbers of a view in one row, brightness as its difference from the mean."""
    return np.concatenate([view[0] - view[0].mean(), view[1], view[2]])
