"""Direction and magnitude of a gradient, as colours."""

from __future__ import annotations

import numpy as np

from convfilter.planning.method import Grid, Method

ORIENTATION = Method(
    "orientation",
    lambda task: 2.0 * np.count_nonzero(task.kernel.matrix),
    grid=lambda _: Grid(1, 0),
)
