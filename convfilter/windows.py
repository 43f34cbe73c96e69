"""Functions on arrays for filters of windows that are not weighted sums: ranks, extremes, edges, smoothing.

Images are (rows, cols) or (rows, cols, channels) arrays of uint8, uint16 or float32; sizes are (rows, cols).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
import numpy.typing as npt

from convfilter.api import run_operator
from convfilter.errors import ParameterError
from convfilter.filters import footprints
from convfilter.filters.kernels import Kernel
from convfilter.filters.stage import Bilateral, Canny, Guided, Morphology, PaddingMode, Rank
from convfilter.guides import samples_of
from convfilter.keywords import FilterKeywords, Image, ImageLike, RunKeywords, documented, whole_pair

#: N, (rows, cols), "disk:RADIUS", or an array that is not 0 where a pixel counts.
WindowLike: TypeAlias = int | tuple[int, int] | str | npt.NDArray[np.generic] | list[list[float]]


@documented(FilterKeywords)
def median(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Take the median of each window, as ``numpy.median`` defines it, rounded once.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array of uint8, uint16 or float32
        With ``alpha``, pixels vote with their opacity; transparent ones have no vote.
    window : int, (rows, cols), str or (K_h, K_w) array_like
        A side, or both; ``"disk:3"``, all pixels whose centres lie within 3 pixels; or a footprint, whose
        pixels count where it is not 0.
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``. A window that holds a NaN gives NaN.

    Raises
    ------
    ParameterError
        A window without pixels, or another parameter out of range.
    SizeError
        Nothing is left of the image.

    Examples
    --------
    >>> import numpy as np
    >>> median(np.array([[1, 2, 90, 4, 5]], np.uint8), (1, 3))
    array([[1, 2, 4, 5, 5]], dtype=uint8)
    """
    return run_operator(image, "median", Rank(window_of(window), 0.5), keywords)


@documented(FilterKeywords)
def percentile(image: ImageLike, window: WindowLike, p: float, **keywords: Unpack[FilterKeywords]) -> Image:
    """Take a percentile of each window, as ``numpy.percentile`` defines it by its method "linear", rounded once.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array of uint8, uint16 or float32
    window : int, (rows, cols), str or (K_h, K_w) array_like
        As for :func:`median`.
    p : float
        The fraction of a window's samples below the result, from 0 (the least) to 1 (the largest).
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``.

    Raises
    ------
    ParameterError
        ``p`` is no fraction, or another parameter is out of range.
    SizeError
        Nothing is left of the image.

    Examples
    --------
    >>> import numpy as np
    >>> percentile(np.array([[1, 2, 90, 4, 5]], np.uint8), (1, 3), 1.0)
    array([[ 2, 90, 90, 90,  5]], dtype=uint8)
    """
    return run_operator(image, "percentile", Rank(window_of(window), p), keywords)


@documented(FilterKeywords)
def erode(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Erode: take the least sample under a footprint, ``min of f(x + b) for b in the footprint``.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array of uint8, uint16 or float32
        With ``alpha``, extremes are those of colours times alpha, as in pooling.
    window : int, (rows, cols), str or (K_h, K_w) array_like
        The footprint; as for :func:`median`.
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``. A NaN under the footprint gives NaN.

    Raises
    ------
    ParameterError
        A footprint without pixels, or another parameter out of range.
    SizeError
        Nothing is left of the image.

    Examples
    --------
    >>> import numpy as np
    >>> erode(np.array([[5, 2, 9, 4, 7]], np.uint8), (1, 3))
    array([[2, 2, 2, 4, 4]], dtype=uint8)
    """
    return run_operator(image, "erode", Morphology("erode", window_of(window)), keywords)


@documented(FilterKeywords)
def dilate(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Dilate: take the largest sample under the footprint rotated by 180 degrees, ``max of f(x - b)``.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "dilate", Morphology("dilate", window_of(window)), keywords)


@documented(FilterKeywords)
def opening(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Erode, then dilate: bright details smaller than the footprint disappear.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "opening", Morphology("open", window_of(window)), keywords)


@documented(FilterKeywords)
def closing(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Dilate, then erode: dark details smaller than the footprint disappear.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "closing", Morphology("close", window_of(window)), keywords)


@documented(FilterKeywords)
def morphological_gradient(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Subtract the erosion from the dilation: edges, as wide as the footprint.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "morphological_gradient", Morphology("gradient", window_of(window)), keywords)


@documented(FilterKeywords)
def top_hat(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Subtract the opening from the image: what is bright and smaller than the footprint stays.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "top_hat", Morphology("tophat", window_of(window)), keywords)


@documented(FilterKeywords)
def black_hat(image: ImageLike, window: WindowLike, **keywords: Unpack[FilterKeywords]) -> Image:
    """Subtract the image from the closing: what is dark and smaller than the footprint stays.

    Parameters, result and errors as for :func:`erode`.
    """
    return run_operator(image, "black_hat", Morphology("blackhat", window_of(window)), keywords)


@documented(RunKeywords)
def canny(
    image: ImageLike, sigma: float = 1.0, low: float = 0.1, high: float = 0.2, **keywords: Unpack[RunKeywords]
) -> Image:
    """Find edges one pixel wide, as ``skimage.feature.canny`` does on each channel.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array of uint8, uint16 or float32
        What is transparent counts as black; alpha stays.
    sigma : float
        Standard deviation of the Gaussian before, in pixels, 0 to 100; it is cut at 4 sigma.
    low, high : float
        Magnitudes of Sobel's gradient, as fractions of full scale: ridges of ``high`` are edges, and those of ``low``
        that hang together with one, by sides or corners. The gradient of a step is 4 times the step.
    **keywords
        See Other Parameters.

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
    return run_operator(image, "canny", Canny(sigma, low, high), keywords)


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
    """Smooth all but edges: the mean of the pixels around, weighted by their distance and by how near their colour is.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array of uint8, uint16 or float32
        All channels of a pixel have one weight, that of their colour. With ``alpha``, pixels also count with their
        opacity, a transparent one takes the mean of those around whatever their colours, and alpha stays.
    sigma_space : float
        Standard deviation of the Gaussian of the distance, in pixels, above 0.
    sigma_range : float
        Standard deviation of the Gaussian of how colours differ, as a fraction of full scale; above 0.
    radius : int, optional
        Pixels whose centres lie within so many pixels count, 1 to 500; by default within 3 ``sigma_space``. The ``d``
        of OpenCV is ``2 * radius + 1``.
    distance : {"l1", "l2"}
        How two colours differ: by the sum of their channels' differences, as in OpenCV, or by the root of the sum of
        their squares.
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
        Nothing is left of the image.

    References
    ----------
    C. Tomasi, R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.

    Examples
    --------
    >>> import numpy as np
    >>> bilateral_filter(np.array([[0, 4, 2, 200, 204, 202]], np.uint8), 1, 0.02).tolist()
    [[1, 2, 3, 201, 203, 202]]
    """
    reach = None if radius is None else whole_pair(radius, "radius")[0]
    return run_operator(image, "bilateral", Bilateral(sigma_space, sigma_range, reach, distance), keywords)


@documented(RunKeywords)
def guided_filter(
    image: ImageLike,
    radius: int,
    eps: float = 0.01,
    guide: ImageLike | None = None,
    *,
    padding_mode: PaddingMode = "edge",
    **keywords: Unpack[RunKeywords],
) -> Image:
    """Smooth all but edges: in every window a straight line from the guide to the image, and the mean of all lines.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array of uint8, uint16 or float32
        What is transparent counts as black; alpha stays.
    radius : int
        Of the windows, in pixels, 1 to 5000; the time does not depend on it.
    eps : float
        The variance below which a window is smoothed, for samples whose white is 1; above 0.
    guide : (H, W) or (H, W, 3) array of uint8, uint16 or float32, optional
        Whose edges are kept, for all channels; that of three colours by their covariance. By default each channel
        guides itself.
    padding_mode : {"edge", "reflect", "symmetric", "wrap"}
        What lies beyond the border, for both means.
    **keywords
        See Other Parameters.

    Returns
    -------
    array
        Of the image's type, or ``dtype``.

    Raises
    ------
    ParameterError
        A parameter out of range, or a guide of another size.

    References
    ----------
    K. He, J. Sun, X. Tang, "Guided image filtering", ECCV 2010.

    Examples
    --------
    >>> import numpy as np
    >>> guided_filter(np.array([[0, 2, 0, 200, 202, 200]], np.uint8), 1, 0.001).tolist()
    [[1, 1, 1, 200, 201, 201]]
    """
    samples = None
    if guide is not None:
        array = np.asarray(guide)
        if array.ndim not in (2, 3):
            raise ParameterError(f"a guide is an image, got an array of shape {array.shape}")
        samples = samples_of(array)
    operator = Guided(whole_pair(radius, "radius")[0], eps, samples)
    settled: Any = {**keywords, "padding_mode": padding_mode}
    return run_operator(image, "guided", operator, settled)


def window_of(window: WindowLike) -> Kernel:
    """Return a window as a kernel that is not 0 where a pixel counts.

    Raises
    ------
    ParameterError
        It has no pixels, or is none.
    """
    if isinstance(window, str):
        return footprints.of_text(window)
    if isinstance(window, int | np.integer) or (isinstance(window, tuple) and np.ndim(window) == 1):
        return footprints.rectangle(*whole_pair(window, "window"))
    return footprints.of_cells(window)
