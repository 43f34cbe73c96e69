"""ONNX nodes whose conversion needs the number of channels: Split, Slice, Gather, Resize by repetition, softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, shown
from convfilter.filters import layers
from convfilter.filters.network_operators import Constant, Join, Layer, Softmax
from convfilter.filters.onnx_node import Chain, Node
from convfilter.filters.stage import Stage

_AXES = 4
#: More channels than a layer has.
_MOST_CHANNELS = 1 << 31
#: Version of ONNX operators before which a softmax is over all axes from its axis on.
_SOFTMAX = 13
#: Modes of choosing the nearest sample that repeat each sample if the factor is whole.
_REPEATING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
}


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


def _channels(node: Node, chain: Chain) -> int:
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
    channels, stored = _channels(node, chain), node.constant(1)
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
    """Append a Slice: channels at equal distances, such as the first half, or all in reverse.

    Raises
    ------
    KernelFileError
        Another axis is sliced, or no channel is left.
    """
    names = ("starts", "ends", "axes", "steps")
    stored = [node.constant(place) for place in range(1, 5)]
    given = [node.integers(name) if array is None else array.ravel() for name, array in zip(names, stored, strict=True)]
    starts, ends, axes, steps = ([int(number) for number in each] for each in given)
    if len(starts) != 1 or len(ends) != 1 or len(axes) != 1 or not node.is_of_channels(axes[0]):
        raise KernelFileError(f"only channels can be sliced, by constants, got the axes {axes}")
    return _chosen(node, chain, _channels(node, chain), _places(starts[0], ends[0], steps[0] if steps else 1))


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
    axis, channels = node.number("axis", 0), _channels(node, chain)
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


def repeated(node: Node, chain: Chain) -> Chain:
    """Append a Resize that repeats each pixel a whole number of times.

    Raises
    ------
    KernelFileError
        Samples are interpolated, or the factors are not whole or unknown.
    """
    scales = node.constant(2 if node.kind == "Resize" and len(node.inputs) > 2 else 1)
    factors = node.attributes.get("scales", ()) if scales is None else scales.reshape(-1)
    if len(factors) != _AXES:
        raise KernelFileError("its scales must be 4 constants; a Resize to given sizes is not supported")
    down, along = (float(factors[axis]) for axis in node.pixel_axes)
    is_whole = down.is_integer() and along.is_integer() and min(down, along) >= 1
    how = node.text("coordinate_transformation_mode", "half_pixel"), node.text("nearest_mode", "round_prefer_floor")
    nearest = node.text("mode", "nearest") == "nearest" and (node.kind == "Upsample" or how in _REPEATING)
    if not (is_whole and nearest and float(np.prod(factors)) == down * along):
        raise KernelFileError(
            "only a Resize of rows and columns by whole factors, to the nearest sample, is supported, "
            f"got {node.text('mode', 'nearest')} by {down:g} and {along:g}"
        )
    channels, factor = _channels(node, chain), (int(down), int(along))
    operator = layers.layer(np.ones((channels, 1, *factor)), groups=channels, transposed=True)
    return *chain, Stage(operator, name=node.name, stride=factor, padding="valid", padding_mode="constant")


def softmax(kind: Literal["soft", "log", "hard"]) -> Callable[[Node, Chain], Chain]:
    """Return the conversion of a softmax over the channels of each pixel, its logarithm or its maximum."""

    def chain_after(node: Node, chain: Chain) -> Chain:
        axis = node.number("axis", 1 if node.opset < _SOFTMAX else -1)
        includes_pixels = node.opset < _SOFTMAX and not node.channels_last  # rows and columns follow the axis
        if includes_pixels or not node.is_of_channels(axis):
            raise KernelFileError(f"a softmax must be over channels alone, got axis {axis:g}")
        return *chain, Stage(Softmax(kind), name=node.name)

    return chain_after
