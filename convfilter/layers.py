"""Layers of convolutional networks as functions on arrays: pooling, convolution with bias, transposed convolution.

:mod:`convfilter.api` describes images, results and sizes.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Unpack

import numpy.typing as npt

from convfilter.array_run import run_stages
from convfilter.errors import ParameterError
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Pooling
from convfilter.filters.stage import Stage
from convfilter.images import Image, ImageLike
from convfilter.keywords import (
    FilterKeywords,
    IntPair,
    PaddingLike,
    PoolKeywords,
    TransposedKeywords,
    documented,
    real,
    require_known,
    stage_values,
    whole_pair,
)


@documented(PoolKeywords)
def max_pool(
    image: ImageLike,
    size: IntPair | Literal["global"],
    stride: IntPair | None = None,
    padding: PaddingLike = 0,
    **keywords: Unpack[PoolKeywords],
) -> Image:
    """Max pooling: the largest sample of each window of ``size`` (rows, cols); padded cells are ignored.

    The stride is the window's size by default; size "global" is the whole image. With ``ceil=True`` a last window that
    begins on the image counts although it ends beyond the padding.

    Raises
    ------
    ParameterError
        A parameter is out of range.
    SizeError
        The result has no pixels, or a window holds only padding.

    Examples
    --------
    >>> import numpy as np
    >>> max_pool(np.arange(16, dtype=np.uint8).reshape(4, 4), 2)
    array([[ 5,  7],
           [13, 15]], dtype=uint8)
    """
    return _pool(image, Pooling("max", _window(size)), stride, padding, keywords)


@documented(PoolKeywords)
def min_pool(
    image: ImageLike,
    size: IntPair | Literal["global"],
    stride: IntPair | None = None,
    padding: PaddingLike = 0,
    **keywords: Unpack[PoolKeywords],
) -> Image:
    """Min pooling: the smallest sample of each window of ``size`` (rows, cols); padded cells are ignored.

    The stride is the window's size by default. Errors as in :func:`max_pool`.
    """
    return _pool(image, Pooling("min", _window(size)), stride, padding, keywords)


@documented(PoolKeywords)
def average_pool(
    image: ImageLike,
    size: IntPair | Literal["global"],
    stride: IntPair | None = None,
    padding: PaddingLike = 0,
    *,
    count_padding: bool = False,
    **keywords: Unpack[PoolKeywords],
) -> Image:
    """Average pooling: the mean of each window of ``size`` (rows, cols); padded cells do not count.

    With ``count_padding`` padded cells count as zeros, as in PyTorch (``count_include_pad``); cells that ``ceil`` adds
    beyond the padding never count. Sums are float64, so a mean is infinite where the sum of its window exceeds that
    type. Other parameters and errors are those of :func:`max_pool`.
    """
    return _pool(image, Pooling("average", _window(size), count_padding), stride, padding, keywords)


@documented(PoolKeywords)
def lp_pool(
    image: ImageLike,
    size: IntPair | Literal["global"],
    stride: IntPair | None = None,
    padding: PaddingLike = 0,
    *,
    p: float = 2.0,
    **keywords: Unpack[PoolKeywords],
) -> Image:
    """Lp pooling: ``(sum of |x|**p) ** (1/p)`` of each window of ``size`` (rows, cols); padded cells add 0.

    The stride is the window's size by default; size "global" is the whole image. Errors as in :func:`max_pool`.
    """
    power = real(p, "p")
    if not (math.isfinite(power) and power > 0):
        raise ParameterError(f"p must be a finite number above 0, got {p}")
    return _pool(image, Pooling("power", _window(size), power=power), stride, padding, keywords)


@documented(FilterKeywords)
def conv2d(
    image: ImageLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    *,
    groups: int = 1,
    mean: npt.ArrayLike | None = None,
    var: npt.ArrayLike | None = None,
    gamma: npt.ArrayLike | None = None,
    beta: npt.ArrayLike | None = None,
    eps: float = 1e-5,
    activation: str = "none",
    slope: npt.ArrayLike | None = None,
    **keywords: Unpack[FilterKeywords],
) -> Image:
    """Convolutional layer: kernels across channels, then batch normalisation, then an activation.

    Parameters
    ----------
    image : (H, W) or (H, W, C_in) array
        For bias and activation white is 1, for any sample type. With ``alpha``, the layer reads colours over black.
    weight : (C_out, C_in / groups, K_h, K_w) array_like
    bias : (C_out,) array_like, optional
    groups : int
        Number of groups of output channels; each group reads its own share of the input channels.
    mean, var, gamma, beta : (C_out,) array_like, optional
        Parameters of a batch normalisation in inference.
    eps : float
        Addend of ``var``.
    activation : {"none", "relu", "prelu", "leaky_relu", "sigmoid", "tanh", "elu", "gelu", "hardswish", ...}
        The filter of that name with its default parameters; "gelu_tanh" is ``gelu:tanh``.
    slope : float, or (C_out,) array_like, optional
        Slope of leaky_relu, by default 0.01; prelu needs one slope, or one for each output channel.
    **keywords
        As listed under Other Parameters, but the default of ``padding_mode`` is "constant": zeros. The default of
        ``padding`` is "same", as for ``layer:``; PyTorch's default is 0.

    Returns
    -------
    (H', W') or (H', W', C_out) array
        Of the image's type, or ``dtype``.

    Raises
    ------
    KernelFileError
        Weights are not finite, or shapes do not match.
    ParameterError
        Another parameter is out of range, or the image's channels do not match the weight.
    SizeError
        The result has no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> mean_of_channels = np.full((1, 3, 1, 1), 1 / 3)
    >>> conv2d(np.array([[[3, 6, 9]]], np.uint8), mean_of_channels).ravel()
    array([6], dtype=uint8)
    """
    from convfilter.filters.layers import layer

    operator = layer(
        weight, bias, mean=mean, var=var, gamma=gamma, beta=beta, eps=eps,
        activation=activation, slope=slope, groups=groups,
    )  # fmt: skip
    return _run_layer(image, "conv2d", operator, keywords)


@documented(TransposedKeywords)
def conv_transpose2d(
    image: ImageLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    *,
    stride: IntPair = 1,
    padding: PaddingLike = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    mean: npt.ArrayLike | None = None,
    var: npt.ArrayLike | None = None,
    gamma: npt.ArrayLike | None = None,
    beta: npt.ArrayLike | None = None,
    eps: float = 1e-5,
    activation: str = "none",
    slope: npt.ArrayLike | None = None,
    **keywords: Unpack[TransposedKeywords],
) -> Image:
    """Transposed convolutional layer: each sample times the kernel is added to the result, ``stride`` pixels apart.

    The result has ``(size - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1`` pixels on an axis.

    Parameters
    ----------
    image, bias, groups, mean, var, gamma, beta, eps, activation, slope
        As for :func:`conv2d`.
    weight : (C_in, C_out / groups, K_h, K_w) array_like
    stride : int or (rows, cols)
        Distance of two samples in the result.
    padding : str, int, (rows, cols), ((top, bottom), (left, right)) or (left, top, right, bottom)
        Pixels cropped from the result: the padding of the convolution that is transposed. "same_upper" leaves
        ``size * stride`` pixels.
    output_padding : int or (rows, cols)
        Rows and columns added below and to the right, fewer than stride or dilation.

    Returns
    -------
    (H', W') or (H', W', C_out) array
        Of the image's type, or ``dtype``.

    Raises
    ------
    KernelFileError, ParameterError, SizeError
        As for :func:`conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> twice = np.ones((1, 1, 2, 2))
    >>> conv_transpose2d(np.array([[3, 6]], np.uint8), twice, stride=2)
    array([[3, 3, 6, 6],
           [3, 3, 6, 6]], dtype=uint8)

    Notes
    -----
    V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4.
    """
    from convfilter.filters.layers import layer

    operator = layer(
        weight, bias, mean=mean, var=var, gamma=gamma, beta=beta, eps=eps, activation=activation, slope=slope,
        groups=groups, transposed=True, output_padding=whole_pair(output_padding, "output_padding"),
    )  # fmt: skip
    require_known(keywords, TransposedKeywords)
    return _run_layer(image, "conv_transpose2d", operator, {**keywords, "stride": stride, "padding": padding})


def _window(size: IntPair | Literal["global"]) -> tuple[int, int] | None:
    return None if isinstance(size, str) and size == "global" else whole_pair(size, "size")


def _pool(
    image: ImageLike, operator: Pooling, stride: IntPair | None, padding: PaddingLike, keywords: PoolKeywords
) -> Image:
    require_known(keywords, PoolKeywords)
    geometry = stage_values({"stride": (operator.size or 1) if stride is None else stride, "padding": padding})
    name = "lppool" if operator.kind == "power" else f"{operator.kind}pool"
    stage = Stage(operator, name=name, **geometry, **stage_values(keywords))
    return run_stages(image, [stage], keywords)


def _run_layer(image: ImageLike, name: str, operator: Layer, keywords: Any) -> Image:
    values = {"padding_mode": "constant", **stage_values(keywords)}
    return run_stages(image, [Stage(operator, name=name, **values)], keywords)
