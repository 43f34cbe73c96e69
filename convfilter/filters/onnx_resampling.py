"""ONNX nodes that change the number of pixels: Resize by whole factors, DepthToSpace, SpaceToDepth, slices of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from convfilter.errors import KernelFileError
from convfilter.filters import kernels, layers
from convfilter.filters.kernel import Kernel
from convfilter.filters.network_operators import Layer
from convfilter.filters.onnx_node import Chain, Node
from convfilter.filters.operators import Correlation
from convfilter.filters.stage import Stage

_AXES = 4
#: An end of a slice from which on it includes the last sample.
LAST = 2**31 - 1
#: Most rows and columns that a slice leaves out: a file of a few bytes could ask for any number.
_MOST_LEFT_OUT = 4096
#: Version of ONNX operators from which on a Resize says where pixels lie.
_COORDINATES = 11
#: Largest side of the blocks of a DepthToSpace, and largest factor of a Resize.
_LARGEST_BLOCK = 64
#: Orders of the channels of a block: block by block, or channel by channel.
_BLOCK_ORDERS = ("DCR", "CRD")
#: Modes of choosing the nearest sample that repeat each sample if the factor is whole.
_REPEATING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
}


def resized(node: Node, chain: Chain, channels: int) -> Chain:
    """Append a Resize by whole factors: each pixel is repeated, or pixels are interpolated linearly.

    Raises
    ------
    KernelFileError
        The factors are not whole, too large or unknown, or samples are interpolated otherwise.
    """
    factors = _factors(node)
    down, along = (factors[axis] for axis in node.pixel_axes)
    is_whole = down.is_integer() and along.is_integer() and min(down, along) >= 1
    mode, offset = node.text("mode", "nearest"), _offset_of(node)
    if not (is_whole and math.prod(factors) == down * along) or offset is None:
        raise KernelFileError(
            "only a Resize of rows and columns by whole factors, nearest or linear, without aligned corners, is "
            f"supported, got {mode} by {down:g} and {along:g}"
        )
    if max(down, along) > _LARGEST_BLOCK:
        raise KernelFileError(f"a Resize may be by factors up to {_LARGEST_BLOCK}, got {down:g} and {along:g}")
    factor = int(down), int(along)
    if mode == "nearest":
        operator = layers.layer(np.ones((channels, 1, *factor)), groups=channels, transposed=True)
        return *chain, _resampling(node, operator, factor)
    return *chain, *_interpolating(node, channels, factor, (offset * (down - 1), offset * (along - 1)))


def _factors(node: Node) -> list[float]:
    """Return the factors of a Resize, one for each axis."""
    scales = node.constant(2 if node.kind == "Resize" and len(node.inputs) > 2 else 1)
    factors = node.attributes.get("scales", ()) if scales is None else scales.reshape(-1)
    sizes = node.constant(3)
    if sizes is not None and sizes.size == len(node.shape) == _AXES:
        factors = sizes.reshape(-1) / np.array(node.shape)
    if len(factors) != _AXES:
        raise KernelFileError(
            "its scales must be 4 constants; for a Resize to given sizes, export the network with the height and width "
            "of its input"
        )
    return [float(each) for each in factors]


def _offset_of(node: Node) -> float | None:
    """Return 0.5 if the centres of pixels are aligned, 0 if their corners are; None for an unsupported Resize."""
    is_old = node.kind == "Upsample" or node.opset < _COORDINATES
    place = "asymmetric" if is_old else node.text("coordinate_transformation_mode", "half_pixel")
    if node.text("mode", "nearest") == "linear":
        return {"asymmetric": 0.0, "half_pixel": 0.5, "pytorch_half_pixel": 0.5}.get(place)
    how = place, node.text("nearest_mode", "round_prefer_floor")
    return 0.0 if node.text("mode", "nearest") == "nearest" and (is_old or how in _REPEATING) else None


def _interpolating(
    node: Node, channels: int, factor: tuple[int, int], shifts: tuple[float, float]
) -> tuple[Stage, Stage]:
    """Return the stages of a linear interpolation: the border repeated, then a transposed convolution by triangles.

    An output o at distance d from ``factor * i`` has the weight ``1 - |d - shift| / factor`` of the sample i.
    """
    triangles, cut = [], []
    for each, shift in zip(factor, shifts, strict=True):
        first, last = math.floor(shift - each) + 1, math.ceil(shift + each) - 1
        triangles.append(1 - abs(np.arange(first, last + 1) - shift) / each)
        cut += [each - first, last + 1]
    weight = np.broadcast_to(np.outer(*triangles), (channels, 1, triangles[0].size, triangles[1].size))
    operator = layers.layer(np.ascontiguousarray(weight), groups=channels, transposed=True)
    top, bottom, left, right = cut
    return (
        Stage(Correlation(kernels.identity()), name=f"{node.name}, border", padding=(1, 1, 1, 1)),
        Stage(operator, name=node.name, stride=factor, padding=(top, bottom, left, right), padding_mode="constant"),
    )


def depth_to_space(node: Node, chain: Chain, channels: int) -> Chain:
    """Append a DepthToSpace (PyTorch's PixelShuffle): groups of channels become blocks of pixels."""
    side = _block(node)
    outputs = channels // side**2
    if outputs * side**2 != channels:
        raise KernelFileError(f"its {channels} channels do not divide into blocks of {side}x{side} pixels")
    by_columns = node.choice("mode", _BLOCK_ORDERS) == "DCR"
    shape = (side, side, outputs) if by_columns else (outputs, side, side)
    order = np.arange(channels).reshape(shape)
    order = order.transpose(2, 0, 1) if by_columns else order  # (output channel, row, column)
    weight = np.zeros((channels, *order.shape))
    weight.reshape(channels, -1)[order.reshape(-1), np.arange(channels)] = 1
    return *chain, _resampling(node, layers.layer(weight, transposed=True), (side, side))


def space_to_depth(node: Node, chain: Chain, channels: int) -> Chain:
    """Append a SpaceToDepth: blocks of pixels become channels."""
    side = _block(node)
    outputs = channels * side**2
    weight = np.eye(outputs).reshape(side, side, channels, outputs).transpose(3, 2, 0, 1)
    if node.choice("mode", _BLOCK_ORDERS) == "CRD":
        weight = np.eye(outputs).reshape(outputs, channels, side, side)
    return *chain, _resampling(node, layers.layer(np.ascontiguousarray(weight)), (side, side))


def _block(node: Node) -> int:
    """Return the side of the blocks of a DepthToSpace or SpaceToDepth."""
    side = int(node.number("blocksize", 0))
    if not 1 <= side <= _LARGEST_BLOCK:
        raise KernelFileError(f"its blocksize must be from 1 to {_LARGEST_BLOCK}, got {side}")
    if node.channels_last:
        raise KernelFileError("its input must have the layout (N, C, H, W)")
    return side


def cropped(node: Node, chain: Chain, ranges: Mapping[int, tuple[int, int, int]]) -> Chain:
    """Append a slice of rows and columns: a kernel of one tap that reaches over the pixels left out, with a stride.

    Parameters
    ----------
    node : Node
    chain : tuple of Stage
    ranges : mapping of int to (start, end, step)
        For each axis that is sliced.

    Raises
    ------
    KernelFileError
        Another axis is sliced, or rows and columns are counted from the wrong side: their number is unknown.
    """
    before, window, stride = [0, 0], [1, 1], [1, 1]
    for given, (start, end, step) in ranges.items():
        axis = given % _AXES
        if axis not in node.pixel_axes or node.rank != _AXES:
            raise KernelFileError(f"only channels, rows and columns can be sliced, got the axis {axis}")
        after = 0 if end >= LAST else -end
        if start < 0 or after < 0 or step < 1:
            raise KernelFileError(
                f"rows and columns can be sliced from a first one on, with an end counted from the last one, "
                f"got {start}:{end}:{step}"
            )
        if max(start, after) > _MOST_LEFT_OUT:
            raise KernelFileError(f"a slice may leave out {_MOST_LEFT_OUT} rows, got {max(start, after)}")
        place = node.pixel_axes.index(axis)
        before[place], window[place], stride[place] = start, start + after + 1, step
    weights = np.zeros(window)
    weights[before[0], before[1]] = 1
    return *chain, Stage(Correlation(Kernel(weights)), name=node.name, stride=(stride[0], stride[1]), padding="valid")


def _resampling(node: Node, operator: Layer, stride: tuple[int, int]) -> Stage:
    """Return the stage of a layer whose stride is its kernel's size."""
    return Stage(operator, name=node.name, stride=stride, padding="valid", padding_mode="constant")
