"""ONNX nodes with several inputs: sums, products and concatenations of branches, and of constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from convfilter.errors import KernelFileError
from convfilter.filters.network_operators import Constant, Join, Unpooling
from convfilter.filters.onnx_node import Array, Chain, Node, scaled
from convfilter.filters.operators import Point
from convfilter.filters.stage import Stage
from convfilter.record import replace


def affine(node: Node, chain: Chain) -> Chain:
    """Append a sum, difference, product or quotient with a constant: one number, or one per channel or per sample.

    Raises
    ------
    KernelFileError
        The constant does not fit one picture, or integers are divided.
    """
    (place,) = (place for place, name in enumerate(node.inputs) if name in node.constants)
    constant = node.picture(place)
    if node.kind == "Div":
        if node.has_integers:
            raise KernelFileError(_NO_INTEGERS)
        if place == 0:
            return *chain, Stage(Join("divide", ((_constant(node, constant),), ())), name=node.name)
        constant = 1 / constant
    negative = np.ones(1) if node.kind != "Sub" else -np.ones(1)
    if constant.shape[:2] != (1, 1):
        operand = (_constant(node, constant if node.kind != "Sub" or place == 0 else -constant),)
        negated = scaled(node, (), -np.ones(1), np.zeros(1)) if node.kind == "Sub" and place == 0 else ()
        return *chain, Stage(
            Join("multiply" if node.kind in ("Mul", "Div") else "add", (negated, operand)), name=node.name
        )
    numbers = constant.reshape(-1)
    if node.kind in ("Mul", "Div"):
        return scaled(node, chain, numbers, np.zeros(1))
    if node.kind == "Sub" and place == 0:
        return scaled(node, chain, negative, numbers)
    return scaled(node, chain, np.ones(1), negative * numbers)


def _constant(node: Node, values: Array) -> Stage:
    """Return the stage whose result is a constant (rows, cols, channels), a side of 1 being broadcast."""
    return Stage(Constant(np.ascontiguousarray(values)), name=f"{node.name}, constant")


def quotient(one: Chain, other: Chain, name: str) -> Chain | None:
    """Return the activation that is a quotient of a tensor and its function (softsign), or None."""
    added = [stage.operator for stage in other[len(one) :]]
    if other[: len(one)] == one and added == [Point("abs"), Point("bias", 1.0)]:
        return *one, Stage(Point("softsign"), name=name)
    return None


def product(one: Chain, other: Chain, name: str) -> Chain | None:
    """Return the activation that is a product of a tensor and its function (swish, hard swish, mish), or None."""
    shorter, longer = sorted((one, other), key=len)
    added = longer[len(shorter) :]
    if longer[: len(shorter)] == shorter:
        points = [stage.operator for stage in added if isinstance(stage.operator, Point)]
        kinds = [point.kind for point in points] if len(points) == len(added) else []
        if kinds == ["sigmoid"]:
            return *shorter, Stage(Point("swish", 1.0), name=name)
        if kinds == ["scale", "sigmoid"]:
            return *shorter, Stage(Point("swish", points[0].low), name=name)
        if kinds == ["softplus", "tanh"]:
            return *shorter, Stage(Point("mish"), name=name)
        if kinds == ["hardsigmoid"] and np.allclose((points[0].low, points[0].high), (1 / 6, 0.5)):
            return *shorter, Stage(Point("hardswish"), name=name)
    return None


#: Nodes that join branches.
JOINS: Mapping[str, Literal["add", "multiply", "divide", "concat"]] = {
    "Add": "add", "Sub": "add", "Sum": "add", "Mul": "multiply", "Div": "divide", "Concat": "concat",
}  # fmt: skip
_NO_INTEGERS = "quotients of integers are not supported, only those of real numbers"


def joined(node: Node, chains: Mapping[str, Chain]) -> Chain:
    """Return the common stages of the branches, followed by the stage that joins them.

    Raises
    ------
    KernelFileError
        Rows, columns or pictures are concatenated, or integers divided.
    """
    if node.kind == "Concat" and not node.is_of_channels(node.number("axis", 1)):
        raise KernelFileError(f"only channels can be concatenated, got axis {node.number('axis', 1):g}")
    if node.kind == "Div" and node.has_integers:
        raise KernelFileError(_NO_INTEGERS)
    inputs = [chains.get(name) for name in node.inputs]
    same = common_stages([chain for chain in inputs if chain is not None])
    before = next(chain for chain in inputs if chain is not None)[:same]
    branches = [
        (_constant(node, node.picture(place)),) if chain is None else chain[same:] for place, chain in enumerate(inputs)
    ]
    if len(branches) == 1:
        return *before, *branches[0]
    if node.kind == "Sub":
        branches[1] = scaled(replace(node, shared=True), branches[1], -np.ones(1), np.zeros(1))
    return *before, Stage(Join(JOINS[node.kind], tuple(branches)), name=node.name)


def common_stages(chains: Sequence[Chain]) -> int:
    """Return the number of leading stages that all chains share."""
    count = 0
    while all(len(chain) > count for chain in chains) and len({id(chain[count]) for chain in chains}) == 1:
        count += 1
    return count


def unpooled(node: Node, chains: Mapping[str, Chain]) -> Chain:
    """Append a MaxUnpool of samples and the indices of their places.

    Raises
    ------
    KernelFileError
        The output is a volume, or the samples are constants.
    """
    window, stride, pads = node.window(), node.pair("strides"), node.padding()
    assert not isinstance(pads, str)
    shape = node.constant(2)
    size = None if shape is None else tuple(int(side) for side in shape.reshape(-1)[-2:])
    values, indices = (chains.get(name) for name in node.inputs[:2])
    if values is None:
        raise KernelFileError("its samples must come from the picture, got constants")
    same = common_stages([values] if indices is None else [values, indices])
    places = (_constant(node, node.picture(1)),) if indices is None else indices[same:]
    unpooling = Unpooling(window, stride, pads, (size[0], size[1]) if size else None)
    return *values[:same], Stage(Join("unpool", (values[same:], places), unpooling), name=node.name)
