"""Operators of stages, as plain data: what a stage computes of each window, pixel or picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from convfilter.errors import ParameterError, shown
from convfilter.filters.checks import (
    Pair,
    is_finite,
    is_whole_number,
    number_text,
    require_choice,
    require_flag,
    require_integers,
)
from convfilter.filters.network_operators import Layer, NetworkOperator
from convfilter.filters.traits import Traits, ones
from convfilter.record import cached_property, record

if TYPE_CHECKING:  # kernels import NumPy, which help texts do not need
    import numpy as np
    import numpy.typing as npt

    from convfilter.filters.kernel import Kernel

#: Largest radius of a guided filter.
_MOST_RADIUS = 5000
#: Truncation of the Gaussian of Canny's edges, in sigmas, as in scikit-image.
CANNY_SIGMAS = 4.0
#: Largest sigma of Canny's edges, whose Gaussian is summed tap by tap.
_MOST_CANNY_SIGMA = 100.0
#: Default radius of a bilateral filter in sigmas, and its largest radius in pixels.
_BILATERAL_SIGMAS, _MOST_BILATERAL = 3.0, 500
#: Least sigma_range, as a fraction of full scale: float32 holds the squares of such differences.
_LEAST_RANGE = 1e-6


class WeightedSums(Traits):
    """Base of operators that sum each sample's neighbourhood, weighted by a kernel."""

    kernel: Kernel

    @property
    def window_kernel(self) -> Kernel:
        """The weights."""
        return self.kernel

    @property
    def is_difference(self) -> bool:
        """Whether the weights sum to zero."""
        return self.kernel.sums_to_zero


@record
class Correlation(WeightedSums):
    """Weighted sum of each sample's neighbourhood, in each channel.

    ``shift`` is added to the sum, in samples of the picture at any depth. ``remark`` tells how ambiguous weights were
    read.
    """

    kernel: Kernel
    shift: float = 0.0
    remark: str = ""

    def __post_init__(self) -> None:
        if not is_finite(self.shift):
            raise ParameterError(f"shift must be a finite number, got {shown(self.shift)}")


@record
class Gradient(Traits):
    """Magnitude ``sqrt(gx**2 + gy**2)`` of two derivative kernels of one shape."""

    x: Kernel
    y: Kernel

    @property
    def window_kernel(self) -> Kernel:
        """The weights of one derivative."""
        return self.x

    @cached_property
    def largest_length(self) -> float:
        """The largest magnitude of samples from -1 to 1."""
        from convfilter.filters.kernel import largest_length

        return largest_length(self.x.weights, self.y.weights)


@record
class UnsharpMask(WeightedSums):
    """``image + amount * (image - blurred)`` where the difference reaches the threshold.

    ``threshold`` is a fraction of full scale.
    """

    kernel: Kernel
    amount: float
    threshold: float = 0.0

    has_divisor = False

    def __post_init__(self) -> None:
        if not is_finite(self.amount):
            raise ParameterError(f"unsharp amount must be a finite number, got {shown(self.amount)}")
        if not (is_finite(self.threshold) and self.threshold >= 0):
            raise ParameterError(
                f"unsharp threshold must be a finite number of at least 0, got {shown(self.threshold)}"
            )


@record
class Pooling(Traits):
    """Largest, least or mean sample of a window of ``size`` (rows, cols); padded cells are ignored.

    ``size`` None is the whole picture. With ``count_padding`` padded cells count as zeros in a mean. ``power`` is the p
    of kind "power": (sum of ``|x|**p``)``**(1/p)``, to which padded cells add 0. Kind "sum" is the sum of the whole
    picture.
    """

    kind: Literal["max", "min", "average", "power", "sum"]
    size: Pair | None
    count_padding: bool = False
    power: float = 2.0

    has_divisor = False
    stays_in_range = True
    is_difference = False

    def __post_init__(self) -> None:
        require_choice("pooling kind", self.kind, ("max", "min", "average", "power", "sum"))
        if self.size is not None and require_integers("pooling size", self.size, "(rows, cols)", 2) < 1:
            raise ParameterError(f"pooling size must be at least 1, got {min(self.size)}")
        require_flag("count_padding", self.count_padding)
        if not is_finite(self.power):
            raise ParameterError(f"pooling power must be a finite number, got {shown(self.power)}")
        if self.count_padding and self.kind != "average":
            raise ParameterError(f"count_padding is for means, not for {self.kind} pooling; leave it out")

    @property
    def selects(self) -> bool:
        """Whether each result is the largest or the least sample of its window."""
        return self.kind in ("max", "min")

    @property
    def window_kernel(self) -> Kernel:
        """The window, which has a size."""
        assert self.size is not None
        return ones(self.size)


@record
class Rank(Traits):
    """The sample at a fraction of each window's sorted samples, interpolated as in ``numpy.percentile``.

    The window is the cells where the kernel is nonzero; the weights have no other meaning. With ``is_median``, a place
    between two samples has their mean, as in ``numpy.median``: it is rounded once, and infinite if one of them is.
    """

    kernel: Kernel
    fraction: float = 0.5
    is_median: bool = False

    has_divisor = False
    stays_in_range = True
    is_straight = True
    selects = True
    is_difference = False

    def __post_init__(self) -> None:
        if not (is_finite(self.fraction) and 0 <= self.fraction <= 1):
            raise ParameterError(f"percentile must be a fraction from 0 to 1, got {number_text(self.fraction)}")

    @property
    def window_kernel(self) -> Kernel:
        """The cells of the window."""
        return self.kernel


MorphologyKind = Literal["erode", "dilate", "open", "close", "gradient", "tophat", "blackhat"]


@record
class Morphology(Traits):
    """Smallest (``erode``) or largest sample (``dilate``) under a footprint, and compositions of both.

    The footprint is the cells where the kernel is nonzero; a dilation rotates it by 180 degrees. ``open`` is an erosion
    followed by a dilation, ``close`` the reverse; ``gradient`` is the dilation minus the erosion, ``tophat`` the
    picture minus its opening, and ``blackhat`` the closing minus the picture.
    """

    kind: MorphologyKind
    kernel: Kernel

    has_divisor = False
    stays_in_range = True

    def __post_init__(self) -> None:
        require_choice("morphology kind", self.kind, get_args(MorphologyKind))

    @property
    def window_kernel(self) -> Kernel:
        """The footprint; of two operations, the window of both."""
        if self.kind not in ("tophat", "blackhat"):
            return self.kernel
        rows, cols = self.kernel.shape
        return ones((2 * rows - 1, 2 * cols - 1))

    @property
    def selects(self) -> bool:
        """Whether each result is an extreme of samples, not a difference of two."""
        return not self.is_difference

    @property
    def is_straight(self) -> bool:
        """Whether results are differences, which do not change alpha."""
        return self.is_difference

    @property
    def is_difference(self) -> bool:
        """Whether the result is a difference of two extremes; like an edge filter, it does not change alpha."""
        return self.kind in ("gradient", "tophat", "blackhat")


@record
class Compass(Traits):
    """The largest of the sums with several kernels of one shape: one pattern, rotated to all directions."""

    kernels: tuple[Kernel, ...]

    has_divisor = False
    is_straight = True

    @property
    def window_kernel(self) -> Kernel:
        """The weights of the first direction."""
        return self.kernels[0]


@record
class Canny(Traits):
    """Edges one pixel wide: ridges of a smoothed picture's gradient that are strong, or connected to strong ones.

    ``sigma`` is in pixels. ``low`` and ``high`` are thresholds of Sobel's gradient, as fractions of full scale: a step
    from black to white has a gradient of 4. With ``only_ridges``, the result is 2 on ridges of at least ``high``, 1 on
    those of at least ``low``, and 0 elsewhere, unscaled.
    """

    sigma: float = 1.0
    low: float = 0.1
    high: float = 0.2
    only_ridges: bool = False

    def __post_init__(self) -> None:
        if not (is_finite(self.sigma) and 0 <= self.sigma <= _MOST_CANNY_SIGMA):
            raise ParameterError(f"canny sigma must be from 0 to {_MOST_CANNY_SIGMA:g}, got {number_text(self.sigma)}")
        if not (is_finite(self.low) and is_finite(self.high) and 0 <= self.low <= self.high):
            raise ParameterError(
                "canny takes thresholds with 0 <= low <= high, "
                f"got low {number_text(self.low)} and high {number_text(self.high)}"
            )

    @property
    def window_kernel(self) -> Kernel:
        """The window of the Gaussian and two more pixels on each side, which decide about a ridge."""
        side = 2 * (self.reach + 2) + 1
        return ones((side, side))

    @property
    def reach(self) -> int:
        """The radius of the Gaussian in pixels."""
        return int(CANNY_SIGMAS * self.sigma + 0.5)


@record(eq=False)
class Guided(Traits):
    """The line from a guide to the picture that fits best in each window, averaged over the windows of a pixel.

    ``radius`` is in pixels. Windows of less variance than ``epsilon``, for samples whose white is 1, are smoothed.
    ``guide`` is a (rows, cols, 1 or 3) array of such samples, or the name of a file that is read later; None: each
    channel of the picture guides itself. ``name`` is the name of that file in messages. With ``fills``, ignored pixels
    get results, too.
    """

    radius: int
    epsilon: float = 0.01
    guide: npt.NDArray[np.float32 | np.float64] | str | None = None
    name: str = ""
    fills: bool = False

    has_divisor = False
    is_straight = True
    is_difference = False

    def __post_init__(self) -> None:
        if not (is_whole_number(self.radius) and 1 <= self.radius <= _MOST_RADIUS):
            raise ParameterError(f"guided radius must be from 1 to {_MOST_RADIUS} pixels, got {shown(self.radius)}")
        if not (is_finite(self.epsilon) and self.epsilon > 0):
            raise ParameterError(f"guided eps must be a finite number above 0, got {number_text(self.epsilon)}")

    @property
    def window_kernel(self) -> Kernel:
        """The window of a mean of means."""
        return ones((4 * self.radius + 1, 4 * self.radius + 1))


@record
class Bilateral(Traits):
    """Mean of the pixels of a disk, weighted by a Gaussian of their distance and one of their colours' difference.

    ``sigma_space`` is in pixels, ``sigma_range`` a fraction of full scale. The disk has ``radius`` pixels; None: 3
    ``sigma_space``, rounded, at least 1. The difference of two colours is the sum of their channels' differences
    ("l1"), or the root of the sum of squares ("l2").
    """

    sigma_space: float
    sigma_range: float = 0.1
    radius: int | None = None
    distance: Literal["l1", "l2"] = "l1"

    has_divisor = False
    stays_in_range = True
    is_straight = True
    is_difference = False

    def __post_init__(self) -> None:
        if not (is_finite(self.sigma_space) and self.sigma_space > 0):
            raise ParameterError(
                f"bilateral sigma_space must be a finite number above 0, got {number_text(self.sigma_space)}"
            )
        if not (is_finite(self.sigma_range) and self.sigma_range >= _LEAST_RANGE):
            raise ParameterError(
                f"bilateral sigma_range is a fraction of full scale from {_LEAST_RANGE:g} on, "
                f"got {number_text(self.sigma_range)}"
            )
        if self.radius is not None and not (is_whole_number(self.radius) and 1 <= self.radius <= _MOST_BILATERAL):
            raise ParameterError(
                f"bilateral radius must be from 1 to {_MOST_BILATERAL} pixels, got {shown(self.radius)}"
            )
        if self.reach > _MOST_BILATERAL:
            raise ParameterError(
                f"a bilateral filter of sigma {self.sigma_space:g} reaches {self.reach} pixels, and "
                f"{_MOST_BILATERAL} is the most",
                remedy=f"give a smaller sigma, or {{radius={_MOST_BILATERAL}}}",
            )
        require_choice("distance", self.distance, ("l1", "l2"))

    @property
    def reach(self) -> int:
        """The radius in pixels."""
        return self.radius or max(1, int(_BILATERAL_SIGMAS * self.sigma_space + 0.5))

    @cached_property
    def kernel(self) -> Kernel:
        """The disk: weights of 1 on the pixels that count."""
        from convfilter.filters import footprints

        return footprints.disk(self.reach)

    @property
    def window_kernel(self) -> Kernel:
        """The disk."""
        return self.kernel


@record
class Orientation(Traits):
    """Direction of the gradient as hue, its magnitude as brightness; the result has three channels.

    ``turn`` is the angle from the kernels' axes to the picture's, in turns counter-clockwise.
    """

    x: Kernel
    y: Kernel
    turn: float = 0.0

    has_luminance_divisor = False
    is_straight = True

    @property
    def window_kernel(self) -> Kernel:
        """The weights of one derivative."""
        return self.x


PointKind = Literal[
    "relu", "abs", "bias", "scale", "clip", "normalize", "threshold", "invert",
    "leaky_relu", "sigmoid", "tanh", "elu", "selu", "celu", "gelu", "gelu_tanh", "softplus", "softsign",
    "thresholded_relu", "hardsigmoid", "hardswish", "mish", "swish", "shrink", "power",
]  # fmt: skip
#: Activations: kinds on the scale where white is 1.
ACTIVATIONS: tuple[str, ...] = get_args(PointKind)[8:]
#: Activations of a layer; parameters are the catalogue's defaults, except the slope.
LAYER_ACTIVATIONS = ("none", "relu", "prelu", *ACTIVATIONS[:-1])


@record
class Point(Traits):
    """A function of each colour sample; alpha does not change.

    ``low`` is the first number of a kind that has numbers (a fraction of full scale, or a factor); ``high`` is the
    upper limit of ``clip``, and the second number of an activation.
    """

    kind: PointKind
    low: float = 0.0
    high: float = 1.0

    has_luminance_divisor = False
    is_straight = True
    is_difference = False

    def __post_init__(self) -> None:
        if self.kind == "clip" and self.high < self.low:
            raise ParameterError(f"clip high must not be below low, got low {self.low:g} and high {self.high:g}")

    @property
    def removes_sign(self) -> bool:
        """Whether the result is unsigned even if the input is signed."""
        return self.kind != "scale"


Operator: TypeAlias = (
    Correlation
    | Gradient
    | UnsharpMask
    | Pooling
    | Rank
    | Morphology
    | Compass
    | Canny
    | Guided
    | Bilateral
    | Orientation
    | Point
    | Layer
    | NetworkOperator
)
