"""What planning, the engine and the executor ask of an operator, whatever method computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # kernels import NumPy, which help texts do not need
    from convfilter.filters.checks import Pair
    from convfilter.filters.kernel import Kernel


class Traits:
    """Base of all operators: each states in its class how it differs from these properties.

    Attributes
    ----------
    has_divisor : bool
        Whether the epilogue divides results by the divisor of :attr:`window_kernel`.
    has_luminance_divisor : bool
        Whether the epilogue divides results of luminance by its divisor.
    stays_in_range : bool
        Whether results lie between the smallest and the largest sample.
    """

    has_divisor = True
    has_luminance_divisor = True
    stays_in_range = False

    @property
    def window_kernel(self) -> Kernel:
        """The window of an output, and its weights if results are weighted sums; here a single pixel."""
        return ones((1, 1))

    @property
    def is_straight(self) -> bool:
        """Whether results of pictures with alpha are straight colours; else the epilogue divides them by alpha."""
        return False

    @property
    def selects(self) -> bool:
        """Whether each result is one of the samples of its window, or between two of them: extremes and ranks."""
        return False

    @property
    def is_difference(self) -> bool:
        """Whether results compare samples, and so are valid only if all pixels of their window are."""
        return True


def ones(size: Pair) -> Kernel:
    """Return a window whose weights have no meaning."""
    import numpy as np

    from convfilter.filters.kernel import Kernel

    return Kernel(factors=(np.ones(size[0]), np.ones(size[1])))
