"""Types of arrays of samples, and their numbers of channels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

#: An (H, W) or (H, W, C) array of a type in ``sample_types``.
Pixels = np.ndarray[tuple[Any, ...], np.dtype[Any]]
#: Colour models; alpha is counted apart.
Model = Literal["gray", "rgb", "cmyk"]

#: Number of colour channels of each model, without alpha.
CHANNELS: dict[str, int] = {"gray": 1, "rgb": 3, "cmyk": 4}


def channels_of(pixels: Pixels) -> int:
    """Count the channels of a (H, W) or (H, W, C) array."""
    return 1 if pixels.ndim == 2 else int(pixels.shape[2])
