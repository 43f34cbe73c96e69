"""Constants of an ONNX graph that other constants give, as those of PyTorch's exports of reflecting paddings."""

from __future__ import annotations

from math import prod

import numpy as np

from convfilter.filters.onnx_node import Array, Node

#: Most samples of a constant that nodes other than views compute: a file of a few bytes could ask for any number.
_MOST_COMPUTED = 2**16


def folded(node: Node) -> Array | None:
    """Return the value of a node that reads constants only; None if nodes of its kind are not computed here.

    Casts keep the numbers as they are stored.
    """
    from onnx import numpy_helper

    first = node.constant(0)
    if first is not None and node.kind in ("Identity", "Cast", "CastLike"):
        return first
    values = [value for place in range(len(node.inputs)) if (value := node.constant(place)) is not None]
    if first is None or len(values) < sum(map(bool, node.inputs)):
        return None
    if node.kind == "Reshape":
        shape = node.needed(1, "shape")
        return first.reshape([first.shape[axis] if side == 0 else int(side) for axis, side in enumerate(shape)])
    if node.kind == "Unsqueeze":
        return np.expand_dims(first, tuple(node.axes()))
    if node.kind == "Gather" and first.ndim == 1 and values[1].ndim <= 1 and values[1].size <= first.size:
        return first[values[1].astype(np.int64)]
    if node.kind == "Transpose":
        return first.transpose(node.integers("perm") or None)
    if node.kind == "Slice":
        return _sliced(node, first)
    if node.kind == "Concat" and sum(value.size for value in values) <= _MOST_COMPUTED:
        return np.concatenate(values, int(node.number("axis", 0)))
    if node.kind in _ARITHMETIC and max(value.size for value in values) <= _MOST_COMPUTED:
        return _calculated(node.kind, *values)
    value = node.attributes.get("value")
    sides = [int(side) for side in first.reshape(-1)]
    if node.kind == "ConstantOfShape" and sides and min(sides) >= 0 and prod(sides) <= _MOST_COMPUTED:
        return np.full(sides, numpy_helper.to_array(value).flat[0] if value is not None else np.float32(0))
    return None


_ARITHMETIC = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}


def _calculated(kind: str, one: Array, other: Array) -> Array | None:
    """Return a sum, difference, product or quotient; that of integers is truncated. None for a division by 0."""
    if kind == "Div" and not np.all(other):
        return None
    result = _ARITHMETIC[kind](one, other)
    return np.trunc(result).astype(one.dtype) if kind == "Div" and one.dtype.kind in "iu" else result


def _sliced(node: Node, array: Array) -> Array | None:
    """Return a slice by constants; None if its limits are none."""
    ranges = node.ranges()
    places = [slice(None)] * array.ndim
    for axis, start, end, step in ranges:
        # An end before the first sample, as of all samples backwards, is -INT_MAX.
        places[axis] = slice(start, None if step < 0 and end < -array.shape[axis] else end, step)
    return array[tuple(places)] if ranges else None
