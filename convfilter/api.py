"""The filters as functions on arrays.

Images are (rows, cols) or (rows, cols, channels) arrays of uint8, uint16, int16, uint32, float32 or float64, or of
bool, which becomes 0 and 1 in float32; results have the image's type. White is the largest integer of a type, and 1.0
for floats. int16, uint32 and float64 are summed in float64, and no weight is left out for speed: integer results are
rounded once, and floats have rounding errors only. Sizes and other pairs are (rows, cols), or one number for both. An
image may also be a ``Picture`` with its alpha, an xarray ``DataArray``, whose labels the result has too, or any object
with ``__array__`` or ``__dlpack__``. A ``Picture`` of a file of int8 or int32 gives results of that type.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, TypeAlias, Unpack, get_args

import numpy as np
import numpy.typing as npt

from convfilter.array_run import run_operator, run_stages
from convfilter.arrays import known_type
from convfilter.errors import ParameterError, shown
from convfilter.filters import kernels
from convfilter.filters.kernel import Kernel, from_array
from convfilter.filters.operators import Compass, Correlation, Gradient, Operator, Orientation
from convfilter.filters.operators import UnsharpMask as _UnsharpMask
from convfilter.filters.stage import Stage, require_finite_padding
from convfilter.images import Image, ImageLike, require_shape
from convfilter.keywords import (
    FilterKeywords,
    FloatPair,
    IntPair,
    documented,
    pair_of,
    stages_of,
    whole_pair,
)
from convfilter.planning import Plan, plan_stack

Axis: TypeAlias = Literal["x", "y", "magnitude", "orientation"]


@documented(FilterKeywords)
def convolve(image: ImageLike, kernel: npt.ArrayLike | Kernel, **keywords: Unpack[FilterKeywords]) -> Image:
    """Filter each channel of an image with a kernel.

    Cross-correlation, the "convolution" of CNN literature:
    ``out[y, x] = sum of w[i, j] * image[y*S + i*D - P, x*S + j*D - P]``.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
    kernel : (K_h, K_w) array_like, or Kernel
        Finite weights; a 1-D kernel is one row.
    **keywords
        As listed under Other Parameters.

    Returns
    -------
    array
        ``floor((I + P_before + P_after - D*(K-1) - 1) / S) + 1`` pixels per axis, of the image's type
        (rounded half to even once, and clipped) or ``dtype``.

    Raises
    ------
    ParameterError
        The image or a keyword is out of range.
    KernelFileError
        The kernel has no weights, or one of them is not finite.
    SizeError
        The result has no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    >>> convolve(image, [[1, 2, 1]], padding="valid")
    array([[ 4,  8],
           [20, 24],
           [36, 40]], dtype=uint8)
    """
    weights = kernel if isinstance(kernel, Kernel) else _of_array(kernel)
    return run_operator(image, "convolve", Correlation(weights), keywords)


@documented(FilterKeywords)
def gaussian_blur(
    image: ImageLike, sigma: FloatPair, *, truncate: float | None = None, **keywords: Unpack[FilterKeywords]
) -> Image:
    """Blur with a Gaussian.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
    sigma : float or (rows, cols)
        Standard deviation in pixels, at least 0; 0 does not blur along an axis.
    truncate : float, optional
        Cut at ``int(truncate * sigma + 0.5)`` pixels, as ``scipy.ndimage``; by
        default the Gaussian is whole.
    **keywords
        As listed under Other Parameters.

    Raises
    ------
    ParameterError
        A parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> gaussian_blur(np.eye(3, dtype=np.uint8) * 200, 0.5)
    array([[162,  36,   2],
           [ 36, 128,  36],
           [  2,  36, 162]], dtype=uint8)
    """
    kernel = _gaussian(*pair_of(sigma, "sigma"), truncate)
    return run_operator(image, "gaussian", Correlation(kernel), keywords)


@documented(FilterKeywords)
def box_blur(image: ImageLike, size: IntPair, **keywords: Unpack[FilterKeywords]) -> Image:
    """Replace each pixel by the mean of a window of ``size`` (rows, cols); exact for integers.

    Raises
    ------
    ParameterError
        A size below 1, or another parameter out of range.

    Examples
    --------
    >>> import numpy as np
    >>> box_blur(np.array([[0, 0, 9, 0, 0]], np.uint8), (1, 3))
    array([[0, 3, 3, 3, 0]], dtype=uint8)
    """
    return run_operator(image, "box", Correlation(kernels.box(*whole_pair(size, "size"))), keywords)


@documented(FilterKeywords)
def sobel(image: ImageLike, axis: Axis = "magnitude", *, size: int = 3, **keywords: Unpack[FilterKeywords]) -> Image:
    """Find edges with Sobel's kernels: smoothing 1 2 1, difference +1 0 -1.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
    axis : {"x", "y", "magnitude", "orientation"}
        ``x`` finds vertical edges (k1 = [+1 0 -1; +2 0 -2; +1 0 -1]), ``y`` is its transpose, ``magnitude`` is
        sqrt(gx**2 + gy**2). ``orientation`` gives three channels: the hue is the direction in which the luminance rises
        (red to the right, counter-clockwise), the brightness the magnitude of the gradient.
    size : {3, 5, 7}
        Size of the kernels; 5 and 7 have OpenCV's weights, with the sign of size 3.
    **keywords
        As listed under Other Parameters.

    Raises
    ------
    ParameterError
        A parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> sobel(np.array([[0, 0, 10, 10]] * 3, np.float32), "x")[1].tolist()
    [0.0, -40.0, -40.0, 0.0]
    """
    return run_operator(image, "sobel", _derivative("sobel", axis, size), keywords, signed=True)


@documented(FilterKeywords)
def scharr(image: ImageLike, axis: Axis = "magnitude", **keywords: Unpack[FilterKeywords]) -> Image:
    """Find edges with Scharr's kernels, smoothing 3 10 3; otherwise as :func:`sobel`."""
    return run_operator(image, "scharr", _derivative("scharr", axis), keywords, signed=True)


@documented(FilterKeywords)
def prewitt(image: ImageLike, axis: Axis = "magnitude", **keywords: Unpack[FilterKeywords]) -> Image:
    """Find edges with Prewitt's kernels, smoothing 1 1 1; otherwise as :func:`sobel`."""
    return run_operator(image, "prewitt", _derivative("prewitt", axis), keywords, signed=True)


@documented(FilterKeywords)
def frei_chen(image: ImageLike, axis: Axis = "magnitude", **keywords: Unpack[FilterKeywords]) -> Image:
    """Find edges with Frei and Chen's isotropic kernels, 1 sqrt(2) 1 over 2 sqrt(2); otherwise as :func:`sobel`."""
    return run_operator(image, "freichen", _derivative("freichen", axis), keywords, signed=True)


@documented(FilterKeywords)
def farid(image: ImageLike, axis: Axis = "magnitude", **keywords: Unpack[FilterKeywords]) -> Image:
    """Find edges with the matched kernels of Farid and Simoncelli, 5x5; otherwise as :func:`sobel`."""
    return run_operator(image, "farid", _derivative("farid", axis), keywords, signed=True)


@documented(FilterKeywords)
def kirsch(image: ImageLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Find edges with Kirsch's compass: the largest sum of 5 5 5; -3 0 -3; -3 -3 -3 rotated to eight directions."""
    return run_operator(image, "kirsch", Compass(kernels.compass("kirsch")), keywords, signed=True)


@documented(FilterKeywords)
def robinson(image: ImageLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Find edges with Robinson's compass: the largest sum of 1 2 1; 0 0 0; -1 -2 -1 rotated to eight directions."""
    return run_operator(image, "robinson", Compass(kernels.compass("robinson")), keywords, signed=True)


@documented(FilterKeywords)
def laplacian(image: ImageLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Sum the second differences along both axes: 0 1 0, 1 -4 1, 0 1 0."""
    return run_operator(image, "laplacian", Correlation(kernels.laplacian()), keywords, signed=True)


@documented(FilterKeywords)
def unsharp_mask(
    image: ImageLike,
    sigma: FloatPair = 1.0,
    amount: float = 1.0,
    threshold: float = 0.0,
    **keywords: Unpack[FilterKeywords],
) -> Image:
    """Sharpen: ``image + amount * (image - blurred)`` where the difference reaches the threshold.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
    sigma : float or (rows, cols)
        Standard deviation of the blur in pixels.
    amount : float
        Strength; 1 doubles the difference from the blurred image.
    threshold : float
        Smallest difference that is sharpened, as a fraction of full scale.
    **keywords
        As listed under Other Parameters.

    Raises
    ------
    ParameterError
        A parameter is out of range.
    """
    kernel = kernels.gaussian(*pair_of(sigma, "sigma"))
    return run_operator(image, "unsharp", _UnsharpMask(kernel, amount, threshold), keywords)


@documented(FilterKeywords)
def apply(image: ImageLike, *specs: str | Stage, **keywords: Unpack[FilterKeywords]) -> Image:
    """Run a stack of filters, first to last, with nothing rounded or clipped in between.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
    *specs : str or Stage
        Such as ``"gaussian:4"`` or ``"sobel:magnitude,stride=2"``; sizes in the text are WIDTHxHEIGHT.
    **keywords
        As listed under Other Parameters; keywords of a stage apply to every spec that does not set them itself.

    Raises
    ------
    SpecError
        A spec does not parse.
    ParameterError
        A parameter is out of range.
    SizeError
        A stage leaves no output.
    """
    stages = stages_of(specs, keywords)
    return run_stages(image, stages, keywords)


def plan(
    shape: tuple[int, ...],
    *specs: str | Stage,
    dtype: npt.DTypeLike = np.uint8,
    alpha: bool = False,
    gray: bool = False,
    algorithm: str | None = None,
) -> Plan:
    """Plan a stack for images of ``shape`` and ``dtype``: sizes, algorithms and cost, without running it.

    Raises
    ------
    SpecError, ParameterError, SizeError
        As :func:`apply`.
    """
    try:
        known = known_type(np.dtype(dtype))
    except TypeError:
        raise ParameterError(f"dtype must be a type of samples, got {shown(dtype)}") from None
    shape = require_shape(shape, known, alpha=alpha, gray=gray)
    stages = stages_of(specs, {})
    require_finite_padding(stages)
    return plan_stack(stages, shape, known, alpha=alpha, gray=gray, algorithm=algorithm)


#: Cached: in a repeated call, making the weights takes as long as all other work before the pixels.
_gaussian_of_numbers = lru_cache(maxsize=16, typed=True)(kernels.gaussian)


def _gaussian(*parameters: Any) -> Kernel:
    """Return a Gaussian, cached unless a parameter is a NumPy scalar; other values raise an error."""
    numbers = all(isinstance(each, int | float | None) for each in parameters)
    return (_gaussian_of_numbers if numbers else kernels.gaussian)(*parameters)


def _of_array(weights: npt.ArrayLike) -> Kernel:
    """Return the kernel of an array; kernels of small arrays are cached."""
    if type(weights) is np.ndarray and weights.dtype.kind in "iuf" and 0 < weights.size <= _SMALL:
        return _of_bytes(weights.tobytes(), weights.dtype, weights.shape)
    return from_array(weights)


#: Most weights of a cached kernel.
_SMALL = 32 * 32


@lru_cache(maxsize=16)
def _of_bytes(data: bytes, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Kernel:
    return from_array(np.frombuffer(data, dtype).reshape(shape))


def _derivative(family: str, axis: str, size: int = 3) -> Operator:
    x, y = (kernels.derivative(family, name, size) for name in "xy")
    if not isinstance(axis, str) or axis not in get_args(Axis):
        raise ParameterError(f"axis must be one of {', '.join(get_args(Axis))}, got {shown(axis)}")
    if axis == "magnitude":
        return Gradient(x, y)
    if axis == "orientation":
        return Orientation(x, y)
    return Correlation(x if axis == "x" else y)
