"""Operators of neural networks, as plain data: layers, the joining of branches, and functions across channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from convfilter.filters.checks import Pair
from convfilter.filters.traits import Traits, ones
from convfilter.record import cached_property, record

if TYPE_CHECKING:  # NumPy is not needed for help texts
    import numpy as np
    import numpy.typing as npt

    from convfilter.filters.kernel import Kernel
    from convfilter.filters.stage import Stage


@record
class LocalResponse(Traits):
    """Local response normalisation: each sample over a power of the squares of ``size`` channels around it.

    ``x / (bias + alpha / size * sum of squares)**beta`` for samples whose white is 1; opacity is not a channel.
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    is_straight = True


@record
class Softmax(Traits):
    """Shares of the channels of each pixel: ``exp(x) / sum of exp(x)`` for samples whose white is 1.

    ``kind`` "log" is the natural logarithm of the shares; "hard" is 1 for the first largest channel, and 0 for the
    others. Opacity is not a channel.
    """

    kind: Literal["soft", "log", "hard"] = "soft"

    is_straight = True


@record
class MaxIndices(Traits):
    """Index of the largest sample of each window: ``(channel * rows + row) * cols + col`` of the picture.

    The first of equal samples counts. With ``by_columns``, the index is ``(channel * cols + col) * rows + row``. White
    stands for 1, as in a layer.
    """

    size: Pair
    by_columns: bool = False

    is_straight = True

    @property
    def window_kernel(self) -> Kernel:
        """The window."""
        return ones(self.size)


@record(eq=False)
class Constant(Traits):
    """Constant samples: a (rows, cols, channels) array; a side of 1 is broadcast to the input."""

    values: npt.NDArray[np.float64]

    is_straight = True


@record(eq=False)
class Layer(Traits):
    """Kernels across channels, then an activation; ``layers.layer`` checks the numbers and makes a layer.

    ``weight`` is (C_out, C_in / groups, K_h, K_w), ``bias`` (C_out,), both float64, for samples whose white is 1. If
    ``transposed``, the stage's stride is the distance of the input's samples on the grid of the result, its padding is
    cut off, and ``output_padding`` adds rows and columns at the end; ``output_size`` sets the size of the result
    instead. ``slope`` is the slope of leaky_relu, or the (C_out,) slopes of prelu.
    """

    weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    groups: int = 1
    activation: str = "none"
    slope: float | npt.NDArray[np.float64] = 0.01
    transposed: bool = False
    output_padding: Pair = (0, 0)
    output_size: Pair | None = None

    has_luminance_divisor = False
    is_straight = True

    @property
    def window_kernel(self) -> Kernel:
        """The window of all channels."""
        return ones((self.weight.shape[2], self.weight.shape[3]))

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return int(self.weight.shape[1]) * self.groups

    @cached_property
    def fractions(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The weights as numerators and one divisor for each output channel; see ``Kernel``."""
        from convfilter.filters.kernel import fractions_of

        return fractions_of(self.weight)

    @cached_property
    def absolute_sums(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """For each output channel: the sum of its numerators' magnitudes, and whether all are integers."""
        numerators = self.fractions[0].reshape(len(self.weight), -1)
        return abs(numerators).sum(axis=1), (numerators == numerators.round()).all(axis=1)


@record
class Unpooling:
    """A pooling to invert: its window, stride and padding (top, bottom, left, right), and the size of the result.

    Indices refer to the picture before pooling, whose size follows from these numbers; a larger ``output_size`` adds
    zeros at the end.
    """

    window: Pair
    stride: Pair
    padding: tuple[int, int, int, int]
    output_size: Pair | None = None

    def pooled(self, rows: int, cols: int) -> Pair:
        """Return the size before pooling to ``rows`` x ``cols``."""
        top, bottom, left, right = self.padding
        height = (rows - 1) * self.stride[0] + self.window[0] - top - bottom
        return height, (cols - 1) * self.stride[1] + self.window[1] - left - right


@record
class Join(Traits):
    """Branches with the same input, joined by sum, product, quotient, or concatenation of channels.

    An empty branch is the input itself. All branches have one size; a branch may have a single pixel unless branches
    are concatenated. With ``unpooling`` there are two branches: samples, and the indices of ``MaxIndices`` that place
    them among zeros.
    """

    kind: Literal["add", "multiply", "divide", "concat", "unpool"]
    branches: tuple[tuple[Stage, ...], ...]
    unpooling: Unpooling | None = None

    is_straight = True


#: Operators of networks besides layers.
NetworkOperator: TypeAlias = Join | LocalResponse | Softmax | MaxIndices | Constant
