"""Plans of single stages on a picture of ordinary size."""

import numpy as np

from convfilter.planning import Task, applicable


def methods(stage, dtype=np.uint8):
    """Return the algorithms that can compute a stage on samples of a type."""
    return applicable(Task.of(stage, (600, 600, 3), np.dtype(dtype)))
