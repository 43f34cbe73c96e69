"""ONNX nodes whose conversion needs the number of channels: Split, Slice, Gather, means, softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, shown
from convfilter.filters import layers, normalizations
from convfilter.filters.network_operators import Constant, Join, Layer, Softmax
from convfilter.filters.onnx_node import Chain, Node, scaled
from convfilter.filters.onnx_resampling import cropped, depth_to_space, resized, space_to_depth
from convfilter.filters.stage import Stage

#: More channels than a layer has.
_MOST_CHANNELS = 1 << 31
#: Version of ONNX operators before which a softmax is over all axes from its axis on.
_SOFTMAX = 13


def channels_of(chain: Chain, before: int | None) -> int | None:
    """Return the number of channels that a chain computes from ``before`` channels; None if unknown."""
    for stage in chain:
        operator = stage.operator
        if isinstance(operator, Layer):
            before = len(operator.bias)
        elif isinstance(operator, Constant):
            before = operator.values.shape[2]
        elif isinstance(operator, Join):
            counts = [channels_of(branch, before) for branch in operator.branches]
            known = [count for count in counts if count is not None]
            combined = sum if operator.kind == "concat" else max
            before = combined(known) if len(known) == len(counts) else None
    return before


def channel_count(node: Node, chain: Chain) -> int:
    """Return the number of channels that a node reads; an error if it is unknown."""
    count = channels_of(chain, node.channels)
    if count is None:
        raise KernelFileError("the number of its channels is unknown; export the network with its input's shape")
    return count


def part(node: Node, chain: Chain, number: int) -> Chain:
    """Return the chain of the output ``number`` (from 0) of a Split: some of the channels.

    Raises
    ------
    KernelFileError
        Another axis is split, or the sizes do not fit.
    """
    if not node.is_of_channels(node.number("axis", 0)):
        raise KernelFileError(f"only channels can be split, got axis {node.number('axis', 0):g}")
    channels, stored = channel_count(node, chain), node.constant(1)
    sizes = node.integers("split") if stored is None else [int(size) for size in stored.reshape(-1)]
    if not sizes:
        count = int(node.number("num_outputs", node.outputs))
        largest = -(-channels // count)
        sizes = [min(largest, channels - largest * place) for place in range(count)]
    if number >= len(sizes) or min(sizes) < 1 or sum(sizes) != channels:
        raise KernelFileError(f"its {channels} channels do not split into {sizes}")
    first = sum(sizes[:number])
    return _chosen(node, chain, channels, slice(first, first + sizes[number]))


def sliced(node: Node, chain: Chain) -> Chain:
    """Append a Slice: channels at equal distances, such as the first half or all in reverse, and rows and columns.

    Raises
    ------
    KernelFileError
        Another axis is sliced, nothing is left, or rows and columns are not counted from the first one.
    """
    ranges = node.ranges()
    if not ranges:
        raise KernelFileError("only slices by constants are supported")
    of_pixels = {}
    for axis, start, end, step in ranges:
        if node.is_of_channels(axis):
            chain = _chosen(node, chain, channel_count(node, chain), _places(start, end, step))
        else:
            of_pixels[axis] = (start, end, step)
    return cropped(node, chain, of_pixels) if of_pixels else chain


def _places(start: int, end: int, step: int) -> slice:
    """Return a range of places as ONNX defines it: an end far below 0 includes the first place of a negative step."""
    return slice(start, None if step < 0 and end < -_MOST_CHANNELS else end, step)


def gathered(node: Node, chain: Chain) -> Chain:
    """Append a Gather: the channels with the given numbers, in their order.

    Raises
    ------
    KernelFileError
        Another axis is gathered, or a channel does not exist.
    """
    numbers = node.needed(1, "indices").astype(np.int64)
    axis, channels = node.number("axis", 0), channel_count(node, chain)
    if not node.is_of_channels(axis) or numbers.ndim != 1:
        raise KernelFileError(f"only channels can be gathered, by a list of their numbers, got axis {axis:g}")
    if numbers.size and not -channels <= numbers.min() <= numbers.max() < channels:
        raise KernelFileError(f"its indices must be numbers of {channels} channels, got {shown(numbers.tolist())}")
    return _chosen(node, chain, channels, numbers)


def _chosen(node: Node, chain: Chain, channels: int, places: slice | npt.NDArray[np.int64]) -> Chain:
    """Append the choice of some channels: a layer of one tap for each."""
    weight = np.eye(channels)[places, :, np.newaxis, np.newaxis]
    if not len(weight):
        raise KernelFileError(f"it leaves none of {channels} channels")
    return *chain, Stage(layers.layer(weight), name=node.name, padding="valid", padding_mode="constant")


def softmax(kind: Literal["soft", "log", "hard"]) -> Callable[[Node, Chain], Chain]:
    """Return the conversion of a softmax over the channels of each pixel, its logarithm or its maximum."""

    def chain_after(node: Node, chain: Chain) -> Chain:
        axis = node.number("axis", 1 if node.opset < _SOFTMAX else -1)
        includes_pixels = node.opset < _SOFTMAX and not node.channels_last  # rows and columns follow the axis
        if includes_pixels or not node.is_of_channels(axis):
            raise KernelFileError(f"a softmax must be over channels alone, got axis {axis:g}")
        return *chain, Stage(Softmax(kind), name=node.name)

    return chain_after


def channel_mean(node: Node, chain: Chain) -> Chain:
    """Append the mean of all channels of each pixel."""
    channels = channel_count(node, chain)
    mean = layers.layer(np.full((1, channels, 1, 1), 1 / channels))
    return *chain, Stage(mean, name=node.name, padding="valid", padding_mode="constant")


def normalized_layer(node: Node, chain: Chain) -> Chain:
    """Append a LayerNormalization over the channels of each pixel, which must be the last axis.

    Raises
    ------
    KernelFileError
        It is over other axes, or scale or bias are not one number for each channel.
    """
    if not node.channels_last:
        raise KernelFileError("only the last axis of (N, H, W, C) can be normalised")
    return normalized_channels(node, chain)


def normalized_channels(node: Node, chain: Chain) -> Chain:
    """Append a normalisation to mean 0 and variance 1 over the channels of each pixel; then scale and shift.

    Raises
    ------
    KernelFileError
        It is over another axis, or scale or bias are not one number for each channel.
    """
    axis = node.number("axis", -1)
    if not node.is_of_channels(axis):
        raise KernelFileError(f"only the channels of each pixel can be normalised, got axis {axis:g}")
    channels = channel_count(node, chain)
    numbers = [
        np.full(channels, default) if len(node.inputs) <= place else node.needed(place, name).astype(np.float64)
        for place, name, default in ((1, "scale", 1.0), (2, "bias", 0.0))
    ]
    if any(each.shape != (channels,) for each in numbers):
        raise KernelFileError(
            f"its scale and bias must be {channels} numbers, got {' and '.join(str(each.size) for each in numbers)}"
        )
    normalized = normalizations.of_pixels(node.number("epsilon", 1e-5), channels, node.name)
    return scaled(node, (*chain, *normalized), *numbers)


def multiplied(node: Node, chain: Chain) -> Chain:
    """Append the product of the channels of each pixel with a matrix: a layer of 1x1.

    Raises
    ------
    KernelFileError
        The channels are not the last axis, or the matrix does not fit.
    """
    matrix = node.needed(1, "matrix").astype(np.float64)
    if not node.channels_last or matrix.ndim != 2:
        raise KernelFileError("only the last axis of (N, H, W, C) can be multiplied with a matrix, or a vector")
    weight = np.ascontiguousarray(matrix.T)[:, :, np.newaxis, np.newaxis]
    return *chain, Stage(layers.layer(weight), name=node.name, padding="valid", padding_mode="constant")


#: Conversions of nodes that need the number of channels only.
RESAMPLING = {
    "Resize": resized, "Upsample": resized, "DepthToSpace": depth_to_space, "SpaceToDepth": space_to_depth,
}  # fmt: skip
