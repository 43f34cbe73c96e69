"""Convolutional layers: kernels across channels, with batch normalisation folded in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, ParameterError, shown
from convfilter.filters.checks import is_finite, require_unmasked
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import LAYER_ACTIVATIONS

_AXES = 4
_SLOPE = 0.01
_EPS = 1e-5


def layer(
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    *,
    mean: npt.ArrayLike | None = None,
    var: npt.ArrayLike | None = None,
    gamma: npt.ArrayLike | None = None,
    beta: npt.ArrayLike | None = None,
    eps: float = _EPS,
    activation: str = "none",
    slope: npt.ArrayLike | None = None,
    groups: int = 1,
    transposed: bool = False,
    output_padding: tuple[int, int] = (0, 0),
) -> Layer:
    """Return a convolutional layer: weights across channels, then batch normalisation, then an activation.

    Parameters
    ----------
    weight : (C_out, C_in / groups, K_h, K_w) array_like of real numbers
        If ``transposed``, (C_in, C_out / groups, K_h, K_w), the order of PyTorch and ONNX.
    bias : (C_out,) array_like, optional
    mean, var, gamma, beta : (C_out,) array_like, optional
        Parameters of a batch normalisation in inference, ``gamma * (x - mean) / sqrt(var + eps) + beta``; without
        ``mean`` and ``var``, the layer is not normalised.
    eps : float
        Addend of ``var``, above 0.
    activation : {"none", "relu", "prelu", "leaky_relu", "sigmoid", "tanh", "elu", ...}
        One of ``LAYER_ACTIVATIONS``: the filter of that name with its default parameters.
    slope : float, or (C_out,) array_like, optional
        Slope for negative values: of leaky_relu, by default 0.01; of prelu, one for all channels or one for each.
    groups : int
        Number of groups of output channels; each group reads its own share of the input channels.
    transposed : bool
        Whether the convolution is transposed: each sample adds its weights to the result, ``stride`` apart.
    output_padding : (rows, cols)
        Rows and columns that a transposed convolution adds at the end.

    Raises
    ------
    KernelFileError
        Numbers are not finite, or shapes do not match; the message names both.
    ParameterError
        The activation is unknown, or eps or groups out of range.

    Notes
    -----
    Batch normalisation: S. Ioffe, C. Szegedy (2015). It is folded into weight and bias in float64.
    """
    weights = _oriented(weight, groups, output_padding, transposed=transposed)
    channels = len(weights)
    if not isinstance(activation, str) or activation not in LAYER_ACTIVATIONS:
        raise ParameterError(f"activation must be one of {', '.join(LAYER_ACTIVATIONS)}, got {shown(activation)}")
    slopes = _slopes(slope, activation, channels)
    biases = np.zeros(channels) if bias is None else _per_channel("bias", bias, channels)
    if mean is not None or var is not None:
        weights, biases = _normalised(weights, biases, mean, var, gamma, beta, eps)
    elif gamma is not None or beta is not None:
        raise KernelFileError("gamma and beta belong to a batch normalisation, which needs mean and var too")
    _require_float32("weight with its batch normalisation", weights)
    _require_float32("bias with its batch normalisation", biases)
    return Layer(weights, biases, groups, activation, slopes, transposed, output_padding)


def _oriented(
    weight: npt.ArrayLike, groups: int, output_padding: tuple[int, int], *, transposed: bool
) -> npt.NDArray[np.float64]:
    """Return the weights as (C_out, C_in / groups, K_h, K_w), those of an ordinary convolution."""
    weights = _numbers("weight", weight)
    if weights.ndim != _AXES or 0 in weights.shape:
        raise KernelFileError(
            f"weight must have the shape {'(C_in, C_out' if transposed else '(C_out, C_in'}, K_h, K_w), "
            f"none of them 0, got {shown(weights.shape)}"
        )
    if isinstance(groups, bool) or not isinstance(groups, int | np.integer):
        raise ParameterError(f"groups must be a whole number, got {shown(groups)}")
    if groups < 1:
        raise ParameterError(f"groups must be at least 1, got {groups}")
    if min(output_padding) < 0:
        raise ParameterError(f"output_padding must be at least 0, got {min(output_padding)}")
    if transposed:
        weights = _flipped(weights, groups)
    elif output_padding != (0, 0):
        raise ParameterError("output_padding is for transposed convolutions; leave it out")
    if len(weights) % groups:
        raise KernelFileError(f"the {len(weights)} output channels of weight do not divide into {groups} groups")
    return weights


def _normalised(
    weights: npt.NDArray[np.float64],
    biases: npt.NDArray[np.float64],
    mean: npt.ArrayLike | None,
    var: npt.ArrayLike | None,
    gamma: npt.ArrayLike | None,
    beta: npt.ArrayLike | None,
    eps: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return weights and biases into which a batch normalisation is folded."""
    if not (is_finite(eps) and eps > 0):
        raise ParameterError(f"eps must be a finite number above 0, got {shown(eps)}")
    channels = len(biases)
    variance = np.ones(channels) if var is None else _per_channel("var", var, channels)
    if variance.min() < 0:
        raise KernelFileError(f"var must not be negative, got {variance.min():g}")
    scale = np.ones(channels) if gamma is None else _per_channel("gamma", gamma, channels)
    factor = scale / np.sqrt(variance + eps)
    centre = np.zeros(channels) if mean is None else _per_channel("mean", mean, channels)
    biases = (biases - centre) * factor
    if beta is not None:
        biases = biases + _per_channel("beta", beta, channels)
    return weights * factor[:, np.newaxis, np.newaxis, np.newaxis], biases


def _flipped(weights: npt.NDArray[np.float64], groups: int) -> npt.NDArray[np.float64]:
    """Return the weights of the ordinary convolution over samples with inserted zeros that equals a transposed one."""
    inputs = weights.shape[0]
    if inputs % groups:
        raise KernelFileError(f"the {inputs} input channels of weight do not divide into {groups} groups")
    parts = weights.reshape(groups, inputs // groups, *weights.shape[1:]).swapaxes(1, 2)
    flipped: npt.NDArray[np.float64] = parts.reshape(-1, inputs // groups, *weights.shape[2:])[:, :, ::-1, ::-1]
    return np.ascontiguousarray(flipped)


def _slopes(slope: npt.ArrayLike | None, activation: str, channels: int) -> float | npt.NDArray[np.float64]:
    """Return one slope, or one for each channel of a prelu."""
    if slope is None:
        if activation == "prelu":
            raise ParameterError(f"prelu needs its slope: one for all channels, or {channels}")
        return _SLOPE
    numbers = _array("slope", slope)
    if numbers.dtype.kind not in "fiu":
        raise ParameterError(f"slope must be a number, got {shown(slope)}")
    if numbers.size and not np.isfinite(numbers).all():
        raise ParameterError(f"slope must be a finite number, got {numbers[~np.isfinite(numbers)][0]}")
    if numbers.size == 1:
        return float(numbers.reshape(-1)[0])
    if activation != "prelu":
        raise ParameterError(f"slope must be one number, got the shape {shown(numbers.shape)}; prelu takes more")
    return _per_channel("slope", numbers.reshape(-1), channels)


def _per_channel(name: str, values: npt.ArrayLike, channels: int) -> npt.NDArray[np.float64]:
    numbers = _numbers(name, values)
    if numbers.shape != (channels,):
        raise KernelFileError(
            f"{name} must have the shape ({channels},), as weight has {channels} output channels, "
            f"got {shown(numbers.shape)}"
        )
    return numbers


def _numbers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = _array(name, values)
    if array.dtype.kind not in "fiu":
        raise KernelFileError(f"{name} must hold real numbers, got {shown(str(array.dtype), quotes=False)}")
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
        raise KernelFileError(f"{name} must be finite, got {numbers[place]} at {shown(place)}")
    _require_float32(name, numbers)
    return numbers


def _array(name: str, values: npt.ArrayLike) -> npt.NDArray[np.generic]:
    require_unmasked(name, values)
    try:
        return np.asarray(values)
    except ValueError:
        raise KernelFileError(f"{name} must be an array whose rows have one length, got {shown(values)}") from None


def _require_float32(name: str, numbers: npt.NDArray[np.float64]) -> None:
    largest = np.abs(numbers).max() if numbers.size else 0.0
    if not largest <= np.finfo(np.float32).max:
        raise KernelFileError(f"{name} must fit float32, got {largest:g}")
