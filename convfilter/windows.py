"""Nonlinear filters of windows as functions on arrays: ranks, morphology, Canny's edges, edge-preserving smoothing.

:mod:`convfilter.api` describes images, results and sizes.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
import numpy.typing as npt

from convfilter.array_run import run_operator
from convfilter.arrays import as_array, of_known_type
from convfilter.errors import ParameterError, shown
from convfilter.filters import footprints
from convfilter.filters.checks import require_unmasked, with_mask
from convfilter.filters.kernel import Kernel
from convfilter.filters.operators import Bilateral, Canny, Guided, Morphology, Rank
from convfilter.filters.stage import PaddingModes
from convfilter.guide_pictures import samples_of
from convfilter.images import Image, ImageLike
from convfilter.keywords import (
    FilterKeywords,
    IntPair,
    RunKeywords,
    ScaledKeywords,
    documented,
    real,
    require_known,
    whole,
    whole_pair,
)

#: N, (rows, cols), "disk:RADIUS", or an array that is nonzero where a pixel belongs to the window.
WindowLike: TypeAlias = int | tuple[int, int] | str | npt.NDArray[np.generic] | list[list[float]]


@documented(FilterKeywords)
def median(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Median of each window, as ``numpy.median`` defines it, rounded once.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
        With ``alpha``, opacity is the weight of a sample: a weighted median.
    window : int, (rows, cols), str or (K_h, K_w) array_like
        Side in pixels, or both sides; ``"disk:R"``, the pixels whose centres lie within R pixels; or a footprint, an
        array that is nonzero where a pixel belongs to the window.
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``. A window that holds a NaN gives NaN.

    Raises
    ------
    ParameterError
        The window has no pixels, or another parameter is out of range.
    SizeError
        The result has no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> median(np.array([[1, 2, 90, 4, 5]], np.uint8), (1, 3))
    array([[1, 2, 4, 5, 5]], dtype=uint8)
    """
    return run_operator(image, "median", Rank(window_of(window), is_median=True), keywords)


@documented(FilterKeywords)
def percentile(image: ImageLike, window: WindowLike, p: float, **keywords: Unpack[FilterKeywords]) -> Image:
    """Percentile of each window, as ``numpy.percentile`` defines it with method "linear", rounded once.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
    window : int, (rows, cols), str or (K_h, K_w) array_like
        As for :func:`median`.
    p : float
        Fraction of the window's samples below the result: 0 for the minimum, 0.9 for the 90th percentile, 1 for the
        maximum.
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``.

    Raises
    ------
    ParameterError
        ``p`` is not from 0 to 1, or another parameter is out of range.
    SizeError
        The result has no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> percentile(np.array([[1, 2, 90, 4, 5]], np.uint8), (1, 3), 1.0)
    array([[ 2, 90, 90, 90,  5]], dtype=uint8)
    """
    return run_operator(image, "percentile", Rank(window_of(window), real(p, "p")), keywords)


@documented(FilterKeywords)
def erode(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Erosion: the minimum under a footprint, ``min of f(x + b) for b in the footprint``.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
        With ``alpha``, colours times alpha are compared, as in pooling.
    window : int, (rows, cols), str or (K_h, K_w) array_like
        The footprint; as for :func:`median`. The origin of an even side K is cell (K - 1) // 2; in a dilation it is
        cell K // 2, so that both read the same pixels.
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``. A NaN under the footprint gives NaN.

    Raises
    ------
    ParameterError
        The footprint has no pixels, or another parameter is out of range.
    SizeError
        The result has no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> erode(np.array([[5, 2, 9, 4, 7]], np.uint8), (1, 3))
    array([[2, 2, 2, 4, 4]], dtype=uint8)
    """
    return run_operator(image, "erode", Morphology("erode", window_of(window)), keywords)


@documented(FilterKeywords)
def dilate(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Dilation: the maximum under the footprint rotated by 180 degrees, ``max of f(x - b) for b in the footprint``.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "dilate", Morphology("dilate", window_of(window)), keywords)


@documented(FilterKeywords)
def opening(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Open: an erosion, then a dilation, which removes bright details smaller than the footprint.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "opening", Morphology("open", window_of(window)), keywords)


@documented(FilterKeywords)
def closing(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Close: a dilation, then an erosion, which removes dark details smaller than the footprint.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "closing", Morphology("close", window_of(window)), keywords)


@documented(FilterKeywords)
def morphological_gradient(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Morphological gradient: the dilation minus the erosion. Edges are as wide as the footprint.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "morphological_gradient", Morphology("gradient", window_of(window)), keywords)


@documented(FilterKeywords)
def top_hat(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """White top hat: the image minus its opening. Bright details smaller than the footprint remain.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "top_hat", Morphology("tophat", window_of(window)), keywords)


@documented(FilterKeywords)
def black_hat(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Black top hat: the closing minus the image. Dark details smaller than the footprint remain.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "black_hat", Morphology("blackhat", window_of(window)), keywords)


@documented(RunKeywords)
def canny(
    image: ImageLike, sigma: float = 1.0, low: float = 0.1, high: float = 0.2, **keywords: Unpack[RunKeywords]
) -> Image:
    """Canny's edges, one pixel wide, as ``skimage.feature.canny`` finds them in each channel.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
        With ``alpha``, edges of colours over black are found; alpha does not change.
    sigma : float
        Standard deviation of the Gaussian blur, in pixels, 0 to 100; its kernel is cut at 4 sigma.
    low, high : float
        Thresholds of the magnitude of Sobel's gradient, as fractions of full scale; a step has a gradient of 4 times
        the step. Ridges of at least ``high`` are edges, and ridges of at least ``low`` that are connected to these by
        sides or corners.
    **keywords
        See Other Parameters. The blur leaves ignored pixels out; results are valid where the 3x3 pixels around are, or
        with ``fill``, where a valid pixel is within 4 sigma.

    Returns
    -------
    array
        White on black, of the image's type or ``dtype``.

    Raises
    ------
    ParameterError
        A parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> canny(np.repeat([[0, 0, 0, 255, 255, 255]], 5, 0).astype(np.uint8), 0)[2].tolist()
    [0, 0, 255, 255, 0, 0]
    """
    require_known(keywords, RunKeywords)
    operator = Canny(real(sigma, "sigma"), real(low, "low"), real(high, "high"))
    return run_operator(image, "canny", operator, keywords)


@documented(FilterKeywords)
def bilateral_filter(
    image: ImageLike,
    sigma_space: float,
    sigma_range: float = 0.1,
    *,
    radius: int | None = None,
    distance: Literal["l1", "l2"] = "l1",
    **keywords: Unpack[FilterKeywords],
) -> Image:
    """Bilateral filter: the mean of the pixels around each, weighted by distance and by difference of colour.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
        A pixel has one weight for all channels. With ``alpha``, weights are also multiplied by opacity; a transparent
        pixel becomes the mean of the pixels around it, with weights of distance only; alpha does not change.
    sigma_space : float
        Standard deviation of the Gaussian of distance, in pixels, above 0.
    sigma_range : float
        Standard deviation of the Gaussian of difference of colour, as a fraction of full scale, above 0.
    radius : int, optional
        Radius of the window, a disk, in pixels, 1 to 500; by default 3 ``sigma_space``, rounded. OpenCV's ``d`` is
        ``2 * radius + 1``.
    distance : {"l1", "l2"}
        Difference of two colours: the sum of the magnitudes of their channels' differences, as in OpenCV, or the root
        of the sum of squares.
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``.

    Raises
    ------
    ParameterError
        A parameter is out of range.
    SizeError
        The result has no pixels.

    References
    ----------
    C. Tomasi, R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.

    Examples
    --------
    >>> import numpy as np
    >>> bilateral_filter(np.array([[0, 4, 2, 200, 204, 202]], np.uint8), 1, 0.02).tolist()
    [[1, 2, 3, 201, 203, 202]]
    """
    reach = None if radius is None else whole(radius, "radius")
    operator = Bilateral(real(sigma_space, "sigma_space"), real(sigma_range, "sigma_range"), reach, distance)
    return run_operator(image, "bilateral", operator, keywords)


@documented(ScaledKeywords)
def guided_filter(
    image: ImageLike,
    radius: int,
    eps: float = 0.01,
    guide: ImageLike | None = None,
    *,
    stride: IntPair = 1,
    padding_mode: PaddingModes = "edge",
    dilation: IntPair = 1,
    **keywords: Unpack[ScaledKeywords],
) -> Image:
    """Guided filter: a linear function of the guide is fitted to the image in each window, and all fits are averaged.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array
        With ``alpha``, colours over black are filtered; alpha does not change.
    radius : int
        Radius of the windows, which are squares, in pixels, 1 to 5000; the time does not depend on it.
    eps : float
        Variance below which a window is smoothed, for samples whose white is 1; above 0.
    guide : (H, W) or (H, W, 3) array, optional
        Image whose edges stay sharp, used for all channels; three colours are fitted together, by their covariance. By
        default each channel is its own guide. Pixels that ``mask`` or ``ignore`` leaves out are left out of the fits.
        With ``fill`` they take the guide's sample; where it is unknown, the mean of the means of their windows.
    stride : int or (rows, cols)
        Distance in pixels between two outputs, at least 1; the rows and columns between are not returned.
    padding_mode : {"edge", "reflect", "symmetric", "wrap"} or (rows, cols) of these
        Samples beyond the border, for both means.
    dilation : int or (rows, cols)
        Distance in pixels between two pixels of a window, at least 1, for both means.
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``. Of floats, samples beyond 2**20 times white, which is 1, count as infinite,
        and pixels whose fits depend on an infinity or a NaN are NaN: divide larger samples first.

    Raises
    ------
    ParameterError
        A parameter is out of range, or the guide has another size.

    References
    ----------
    K. He, J. Sun, X. Tang, "Guided image filtering", ECCV 2010.

    Examples
    --------
    >>> import numpy as np
    >>> guided_filter(np.array([[0, 2, 0, 200, 202, 200]], np.uint8), 1, 0.001).tolist()
    [[1, 1, 1, 200, 201, 201]]
    """
    require_known(keywords, ScaledKeywords)
    samples = None
    if guide is not None:
        values = np.asanyarray(with_mask(guide))
        require_unmasked("a guide", values)
        array = np.asarray(values)
        if array.ndim not in (2, 3):
            got = f"an array of shape {array.shape}" if array.ndim else shown(guide)
            raise ParameterError(f"a guide is an image, got {got}; read a file with convfilter.read")
        # Whole numbers of other types than an image's have no white to divide by.
        samples = samples_of(array if array.dtype.kind in "iu" else of_known_type(array))
    operator = Guided(whole(radius, "radius"), real(eps, "eps"), samples)
    all_keywords: Any = {**keywords, "stride": stride, "padding_mode": padding_mode, "dilation": dilation}
    return run_operator(image, "guided", operator, all_keywords)


def window_of(window: WindowLike) -> Kernel:
    """Convert a window to a kernel that is nonzero where a pixel belongs to it.

    Raises
    ------
    ParameterError
        The window has no pixels, or is neither a size, a text nor an array.
    """
    if isinstance(window, str):
        return footprints.of_text(window)
    require_unmasked("a footprint", window)
    cells = as_array(window, "window")
    if cells.ndim == 0 or (isinstance(window, tuple) and cells.ndim == 1):
        return footprints.rectangle(*whole_pair(window, "window"))
    return footprints.of_cells(cells)
