"""Arrays of samples as pictures hold them, and how many channels they have."""

from __future__ import annotations

from typing import Any, Literal

import numpy.typing as npt

Pixels = npt.NDArray[Any]
Model = Literal["gray", "rgb", "cmyk"]

#: Colour channels of each model, alpha not counted.
CHANNELS: dict[str, int] = {"gray": 1, "rgb": 3, "cmyk": 4}


def channels_of(pixels: Pixels) -> int:
    """Count the channels of a (H, W) or (H, W, C) array."""
    return 1 if pixels.ndim == 2 else int(pixels.shape[2])
