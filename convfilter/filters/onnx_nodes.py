"""Conversion of each kind of ONNX node to stages: https://onnx.ai/onnx/operators/.

A function of this module takes a node and the chain of its first input, and returns the chain of its first output. It
raises KernelFileError for attributes and shapes that it does not support. Batch normalisations, factors and activations
are fused into the layer before, if no other node reads that layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from convfilter.errors import KernelFileError, shown
from convfilter.filters import kernels, layers, normalizations
from convfilter.filters.network_operators import Layer, MaxIndices
from convfilter.filters.onnx_channels import channel_mean, multiplied, normalized_channels, normalized_layer, softmax
from convfilter.filters.onnx_node import BROADCAST, CHANNEL_NORMALIZATION, Array, Chain, Node, scaled, with_layer
from convfilter.filters.operators import Correlation, Point, PointKind, Pooling
from convfilter.filters.stage import PaddingMode, Stage
from convfilter.record import replace

#: ONNX adds 1e-9 to the standard deviation; as an addend of the variance, this is equal for a deviation of 0.
_MVN_EPSILON = 1e-18
_LARGEST = float(np.finfo(np.float32).max)
#: Axes of a 1-D signal, (N, C, W): a picture of one row.
_SIGNAL_AXES = 3


# Layers -----------------------------------------------------------------------


def _weight(node: Node) -> Array:
    """Return the weight of a convolution with four axes."""
    weight = node.needed(1, "weight")
    if weight.ndim == _SIGNAL_AXES:
        weight = weight[:, :, np.newaxis]
    return weight


def _convolution(node: Node, chain: Chain) -> Chain:
    operator = layers.layer(_weight(node), node.constant(2), groups=int(node.number("group", 1)))
    return *chain, _convolving(node, operator)


def _convolving(node: Node, operator: Layer) -> Stage:
    """Return the stage of a convolution, with the stride, dilation and padding of its node."""
    return Stage(
        operator,
        name=node.name,
        stride=node.pair("strides"),
        dilation=node.pair("dilations"),
        padding=node.padding(),
        padding_mode="constant",
    )


def _transposed(node: Node, chain: Chain) -> Chain:
    operator = layers.layer(
        _weight(node),
        node.constant(2),
        groups=int(node.number("group", 1)),
        transposed=True,
        output_padding=node.pair("output_padding", 0),
    )
    if node.integers("output_shape"):
        operator = replace(operator, output_size=node.pair("output_shape"))
    return *chain, _convolving(node, operator)


def _normalization(node: Node, chain: Chain) -> Chain:
    """Scale and shift each channel by the stored statistics of a batch normalisation."""
    if node.number("training_mode", 0):
        raise KernelFileError("it is in training mode; export the network for inference")
    names = ("scale", "bias", "mean", "variance")
    gamma, beta, mean, var = (_statistic(node, place, name) for place, name in enumerate(names, 1))
    sizes = {each.size for each in (gamma, beta, mean, var)}
    if len(sizes) > 1:
        raise KernelFileError(f"scale, bias, mean and variance must be of one size, got {sorted(sizes)}")
    if var.size and var.min() < 0:
        raise KernelFileError(f"its variance must not be negative, got {var.min():g}")
    factor = gamma / np.sqrt(var + node.number("epsilon", 1e-5))
    return scaled(node, chain, factor, beta - mean * factor)


def _statistic(node: Node, place: int, name: str) -> Array:
    """Return a constant of one finite number for each channel."""
    numbers: Array = node.needed(place, name).astype(np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise KernelFileError(f"its {name} must be finite numbers, one for each channel")
    return numbers


# Activations -------------------------------------------------------------------


def _activation(kind: PointKind, *attributes: tuple[str, float]) -> Callable[[Node, Chain], Chain]:
    """Return the conversion of an activation whose parameters are attributes with defaults."""

    def chain_after(node: Node, chain: Chain) -> Chain:
        return _activated(node, chain, Point(kind, *(node.number(name, default) for name, default in attributes)))

    return chain_after


def _activated(node: Node, chain: Chain, point: Point) -> Chain:
    """Append a point function, or fuse it into the layer before, if layers have this activation."""
    operator = node.open_layer(chain)
    if operator is not None and point.kind == "relu":
        return with_layer(node, chain, replace(operator, activation="relu"))
    if operator is not None and point.kind == "leaky_relu":
        return with_layer(node, chain, replace(operator, activation="leaky_relu", slope=point.low))
    return *chain, Stage(point, name=node.name)


def _gelu(node: Node, chain: Chain) -> Chain:
    return *chain, Stage(Point("gelu_tanh" if node.text("approximate", "none") == "tanh" else "gelu"), name=node.name)


def _per_channel(constant: Array) -> Array:
    """Return slopes of shape (1, 1, channels) as (channels,)."""
    if constant.shape[:2] != (1, 1):
        raise KernelFileError(
            f"slopes must be one for each channel, got those of {constant.shape[1]}x{constant.shape[0]} pixels"
        )
    return constant.reshape(-1)


def _prelu(node: Node, chain: Chain) -> Chain:
    slope = node.needed(1, "slope").astype(np.float64)
    if slope.size == 1:
        return _activated(node, chain, Point("leaky_relu", float(slope.reshape(-1)[0])))
    # Before broadcasting, slopes were one for each channel, without axes for rows and columns.
    slopes = slope if node.opset < BROADCAST and slope.ndim == 1 else _per_channel(node.picture(1))
    operator = node.open_layer(chain)
    if operator is not None:
        if slopes.size != len(operator.bias):
            raise KernelFileError(f"it has {slopes.size} slopes for {len(operator.bias)} channels")
        return with_layer(node, chain, replace(operator, activation="prelu", slope=slopes))
    ones = np.ones((slopes.size, 1, 1, 1))
    operator = layers.layer(ones, groups=slopes.size, activation="prelu", slope=slopes)
    return *chain, Stage(operator, name=node.name, padding="valid", padding_mode="constant")


def _clip(node: Node, chain: Chain) -> Chain:
    bounds = []
    for place, name, default in ((1, "min", -_LARGEST), (2, "max", _LARGEST)):
        constant = node.constant(place)
        bounds.append(node.number(name, default) if constant is None else float(constant.reshape(-1)[0]))
    low, high = bounds
    return *chain, Stage(Point("clip", min(low, high), high), name=node.name)


def _power(node: Node, chain: Chain) -> Chain:
    exponent = node.needed(1, "exponent")
    if exponent.size != 1 or exponent.reshape(-1)[0] % 2 or exponent.reshape(-1)[0] <= 0:
        raise KernelFileError(f"only even powers are supported, got {shown(exponent.reshape(-1)[:3].tolist())}")
    return *chain, Stage(Point("power", float(exponent.reshape(-1)[0])), name=node.name)


def _negative(node: Node, chain: Chain) -> Chain:
    return scaled(node, chain, -np.ones(1), np.zeros(1))


# Normalisations of each picture by itself --------------------------------------------


def _of_each_picture(node: Node, chain: Chain) -> Chain:
    """Normalise each channel or group to mean 0 and variance 1; then scale and shift."""
    gamma, beta = (node.needed(place, name).astype(np.float64) for place, name in ((1, "scale"), (2, "bias")))
    groups = int(node.number("num_groups", gamma.size))
    if gamma.size % groups:
        raise KernelFileError(f"its {gamma.size} channels do not divide into {groups} groups")
    return _normalized(node, chain, gamma, beta, groups)


def normalized_groups(node: Node, chain: Chain, channels: int, groups: int) -> Chain:
    """Convert an InstanceNormalization of channels that a Reshape has joined to groups.

    Raises
    ------
    KernelFileError
        Scale or bias are not one number for each group.
    """
    gamma, beta = (node.needed(place, name).astype(np.float64) for place, name in ((1, "scale"), (2, "bias")))
    if gamma.shape != (groups,) or beta.shape != (groups,):
        raise KernelFileError(f"its scale and bias must be {groups} numbers, got {gamma.size} and {beta.size}")
    each = channels // groups
    return _normalized(node, chain, np.repeat(gamma, each), np.repeat(beta, each), groups)


def _normalized(node: Node, chain: Chain, gamma: Array, beta: Array, groups: int) -> Chain:
    epsilon = node.number("epsilon", 1e-5)
    normalized = normalizations.instance(epsilon, channels=gamma.size, groups=groups, name=node.name)
    return scaled(node, (*chain, *normalized), gamma, beta)


def _mean_variance(node: Node, chain: Chain) -> Chain:
    """Normalise each channel to mean 0 and variance 1."""
    axes = sorted(axis % 4 for axis in node.integers("axes") or [0, 2, 3])
    pixel_axes = list(node.pixel_axes)
    if axes not in ([0, *pixel_axes], pixel_axes):
        raise KernelFileError(f"means must be over rows and columns of each channel, got the axes {axes}")
    return *chain, *normalizations.instance(_MVN_EPSILON, name=node.name)


def _local_response(node: Node, chain: Chain) -> Chain:
    numbers = (node.number(name, default) for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    return *chain, replace(normalizations.response(int(node.number("size", 1)), *numbers), name=node.name)


# Pooling and padding --------------------------------------------------------------


def _pooling(kind: str) -> Callable[[Node, Chain], Chain]:
    """Return the conversion of a pooling of this kind."""

    def chain_after(node: Node, chain: Chain) -> Chain:
        size = node.window()
        counts = kind == "average" and bool(node.number("count_include_pad", 0))
        power = node.number("p", 2)
        pooled = Stage(
            Pooling(kind, size, counts, power),  # type: ignore[arg-type]
            name=node.name,
            stride=node.pair("strides"),
            dilation=node.pair("dilations"),
            padding=node.padding(),
            ceil=bool(node.number("ceil_mode", 0)),
        )
        return *chain, pooled

    return chain_after


def indices(node: Node, chain: Chain) -> Chain:
    """Return the chain of a MaxPool's second output: the indices of its samples."""
    operator = MaxIndices(node.window(), bool(node.number("storage_order", 0)))
    pooled = _pooling("max")(node, ())[0]
    return *chain, replace(pooled, operator=operator, name=f"{node.name}, indices", padding_mode="constant")


def _global_pooling(kind: str) -> Callable[[Node, Chain], Chain]:
    """Return the conversion of a pooling of the whole picture."""

    def chain_after(node: Node, chain: Chain) -> Chain:
        operator = Pooling(kind, None, power=node.number("p", 2))  # type: ignore[arg-type]
        return *chain, Stage(operator, name=node.name, padding="valid")

    return chain_after


def _mean_of_all(node: Node, chain: Chain) -> Chain:
    """Convert a ReduceMean over all pixels of each channel, or over the channels of each pixel."""
    axes = sorted(axis % 4 for axis in node.axes())
    if len(axes) == 1 and node.rank == 4 and node.is_of_channels(axes[0]):
        return channel_mean(node, chain)
    if axes != list(node.pixel_axes):
        raise KernelFileError(
            f"means must be over all pixels of each channel or over all channels of each pixel, got the axes {axes}"
        )
    return _global_pooling("average")(node, chain)


_MODES: tuple[PaddingMode, ...] = ("constant", "reflect", "edge", "wrap")


def _pad(node: Node, chain: Chain) -> Chain:
    """Pad rows and columns: by an identity with padding."""
    pads = node.constant(1)
    numbers = node.integers("pads") if pads is None else [int(pad) for pad in pads.reshape(-1)]
    axes, count = node.constant(3), len(numbers) // 2
    rank = count if axes is None else node.rank
    padded_axes = range(count) if axes is None else [int(axis) % rank for axis in axes.reshape(-1)]
    ends = dict(zip(padded_axes, zip(numbers[:count], numbers[count:], strict=True), strict=True))
    rows, cols = node.pixel_axes if rank > _SIGNAL_AXES else (-1, _SIGNAL_AXES - 1)  # a signal has no axis of rows
    if any(any(padding) for axis, padding in ends.items() if axis not in (rows, cols)):
        raise KernelFileError("only rows and columns can be padded, not channels or batches")
    if min(numbers, default=0) < 0:
        raise KernelFileError(f"padding must not be negative, got {min(numbers)}")
    constant = node.constant(2)
    value = node.number("value", 0.0) if constant is None or not constant.size else float(constant.reshape(-1)[0])
    mode: PaddingMode = node.choice("mode", _MODES)  # type: ignore[assignment]
    sides = *ends.get(rows, (0, 0)), *ends.get(cols, (0, 0))
    padded = Stage(Correlation(kernels.identity()), name=node.name, padding=sides, padding_mode=mode)
    if mode != "constant" or value == 0:
        return *chain, padded
    # The level is on the scale where white is 1, unlike padding_value. So the picture is shifted, padded with 0, and
    # shifted back.
    lower, higher = (Stage(Point("bias", sign * value), name=node.name) for sign in (-1, 1))
    return *chain, lower, padded, higher


#: Activations.
ACTIVATION_NODES: Mapping[str, Callable[[Node, Chain], Chain]] = {
    "PRelu": _prelu,
    "Gelu": _gelu,
    "Relu": _activation("relu"),
    "Abs": _activation("abs"),
    "LeakyRelu": _activation("leaky_relu", ("alpha", 0.01)),
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Elu": _activation("elu", ("alpha", 1.0)),
    "Selu": _activation("selu", ("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875)),
    "Celu": _activation("celu", ("alpha", 1.0)),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "ThresholdedRelu": _activation("thresholded_relu", ("alpha", 1.0)),
    "HardSigmoid": _activation("hardsigmoid", ("alpha", 0.2), ("beta", 0.5)),
    "Shrink": _activation("shrink", ("lambd", 0.5), ("bias", 0.0)),
    "HardSwish": _activation("hardswish"),
    "Mish": _activation("mish"),
    "Swish": _activation("swish", ("alpha", 1.0)),
}
NODES: Mapping[str, Callable[[Node, Chain], Chain]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "BatchNormalization": _normalization,
    "InstanceNormalization": _of_each_picture,
    "GroupNormalization": _of_each_picture,
    "MeanVarianceNormalization": _mean_variance,
    "LayerNormalization": normalized_layer,
    CHANNEL_NORMALIZATION: normalized_channels,
    "LRN": _local_response,
    "MatMul": multiplied,
    "Softmax": softmax("soft"),
    "LogSoftmax": softmax("log"),
    "Hardmax": softmax("hard"),
    "MaxPool": _pooling("max"),
    "AveragePool": _pooling("average"),
    "LpPool": _pooling("power"),
    "GlobalMaxPool": _global_pooling("max"),
    "GlobalLpPool": _global_pooling("power"),
    "GlobalAveragePool": _global_pooling("average"),
    "ReduceMean": _mean_of_all,
    "Pad": _pad,
    "Clip": _clip,
    "Neg": _negative,
    "Pow": _power,
    **ACTIVATION_NODES,
}
#: Nodes that do nothing in inference.
NOTHING = ("Identity", "Dropout", "Cast")
#: Nodes whose result has the axes of their input.
ELEMENTWISE = (
    *NOTHING, "Add", "Sub", "Mul", "Div", "Sum", "Concat", "Clip", "Softmax", "LogSoftmax", "Hardmax",
    "LayerNormalization",
    *ACTIVATION_NODES,
)  # fmt: skip
