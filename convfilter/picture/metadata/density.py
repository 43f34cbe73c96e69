"""Resolutions as formats store them: whole numbers of dots per inch, per centimetre or per metre."""

from __future__ import annotations

import math
from typing import Any

from convfilter.picture.metadata.tiff_numbers import CM_PER_INCH
from convfilter.record import NamedTuple

INCHES_PER_METRE = 1 / 0.0254
#: Largest relative change of a resolution by rounding.
_MOST_CHANGE = 0.05
#: Relative changes that differ by less are equal.
_SAME_CHANGE = 1e-6


def valid_resolution(dpi: Any) -> tuple[float, float] | None:
    """Return dots per inch, (x, y); None unless both are numbers between 0 and a million, exclusive."""
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if all(math.isfinite(value) and 0 < value < 1e6 for value in (x, y)) else None


class WholeDots(NamedTuple):
    """Units in which a format stores a resolution as a whole number of dots.

    Attributes
    ----------
    lengths : tuple of float
        Units of length in inches, the preferred one first.
    most : int
        Largest number of dots in one unit.
    """

    lengths: tuple[float, ...]
    most: int

    def of(self, dots_per_inch: tuple[float, float], preferred: int = 0) -> tuple[int, tuple[int, int]] | None:
        """Round a resolution to whole dots, in the unit in which it changes least.

        Parameters
        ----------
        dots_per_inch : (float, float)
            (x, y), above 0.
        preferred : int
            Index of the unit that is chosen unless another one changes the resolution less.

        Returns
        -------
        (int, (int, int)), or None
            Index of the unit, and the dots (x, y); None if they change by more than 5 % in each unit.
        """
        found = {}
        for index, length in enumerate(self.lengths):
            exact = [dots * length for dots in dots_per_inch]
            x, y = (min(round(dots), self.most) for dots in exact)
            found[index] = max(abs(x / exact[0] - 1), abs(y / exact[1] - 1)), (x, y)
        index = min(found, key=lambda at: found[at][0] - (_SAME_CHANGE if at == preferred else 0.0))
        change, dots = found[index]
        return (index, dots) if change <= _MOST_CHANGE else None


PER_METRE = WholeDots((INCHES_PER_METRE,), 2**31 - 1)
PER_INCH_OR_CENTIMETRE = WholeDots((1.0, 1 / CM_PER_INCH), 65535)
PER_INCH = WholeDots((1.0,), 65535)
