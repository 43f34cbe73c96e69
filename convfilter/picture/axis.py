"""The place of a result's pixels on the grid of the picture that was filtered."""

from __future__ import annotations

from convfilter.record import NamedTuple


class Axis(NamedTuple):
    """The pixels of a result along one axis, on the grid of the picture that was filtered.

    Attributes
    ----------
    start : float
        Position of the centre of the first pixel, in pixels of the picture, whose first pixel has its centre at 0.
    jump : float
        Distance of the centres of neighbouring pixels, in pixels of the picture.
    size : int
        Number of pixels.
    """

    start: float
    jump: float
    size: int
