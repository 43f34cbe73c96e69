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
    value = node.attributes.get("value")
    sides = [int(side) for side in first.reshape(-1)]
    if node.kind == "ConstantOfShape" and sides and min(sides) >= 0 and prod(sides) <= _MOST_COMPUTED:
        return np.full(sides, numpy_helper.to_array(value).flat[0] if value is not None else np.float32(0))
    return None


def _sliced(node: Node, array: Array) -> Array | None:
    """Return a slice by constants; None before version 10 of ONNX's operators, where they are attributes."""
    starts, ends = node.constant(1), node.constant(2)
    if starts is None or ends is None:
        return None
    axes, steps = node.constant(3), node.constant(4)
    places = [slice(None)] * array.ndim
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        step = 1 if steps is None else int(steps[number])
        # An end before the first sample, as of all samples backwards, is -INT_MAX.
        stop = None if step < 0 and end < -array.shape[number if axes is None else int(axes[number])] else end
        places[number if axes is None else int(axes[number])] = slice(start, stop, step)
    return array[tuple(places)]
