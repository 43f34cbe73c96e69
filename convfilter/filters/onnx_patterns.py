"""Groups of ONNX nodes that compute what one node of a newer version, or of another kind, does.

Exporters write functions without a node of their own as several nodes. The last node of such a group is replaced with
one node that reads the group's input; the others stay for those who read their results.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.filters.onnx_node import CHANNEL_NORMALIZATION, Node
from convfilter.filters.onnx_resampling import LAST
from convfilter.record import replace

if TYPE_CHECKING:
    import onnx

_AXES = 4
#: Products of products in a group.
_DEEPEST = 2
#: Longest way back through nodes that only change the shape, or pad.
_LONGEST = 8


class Patterns:
    """Recognises the groups of a graph.

    Parameters
    ----------
    graph : onnx.GraphProto
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._producers = {output: proto for proto in graph.node for output in proto.output}

    def recognised(self, node: Node) -> Node:
        """Return the node that a group ending in ``node`` amounts to, or ``node`` itself."""
        find = _ENDS.get(node.kind)
        return (find(self, node) if find else None) or node

    def _before(self, node: Node, name: str) -> Node | None:
        """Return the node that computes a tensor; None for the network's input and constants."""
        proto = self._producers.get(name)
        return None if proto is None or name in node.constants else Node.of(proto, 0, node.constants, node.opset)

    def _of_kind(self, node: Node, name: str, *kinds: str) -> Node | None:
        """Return the node that computes a tensor if it is of one of these kinds."""
        before = self._before(node, name)
        return before if before is not None and before.kind in kinds else None

    def _factors(self, node: Node, last: str = "", depth: int = 0) -> tuple[float, list[str]]:
        """Return the constant and the tensors whose product a Mul is; NaN for constants of several numbers.

        ``last`` is a tensor that is not divided further. Only a few nodes are followed back: n squares of squares have
        2**n factors.
        """
        constant = 1.0
        tensors: list[str] = []
        for name in node.inputs:
            factor = node.constants.get(name)
            inner = self._of_kind(node, name, "Mul") if name != last and depth < _DEEPEST else None
            if factor is not None:
                constant *= _number(factor)
            elif inner is not None:
                more, others = self._factors(inner, last, depth + 1)
                constant, tensors = constant * more, [*tensors, *others]
            else:
                tensors.append(name)
        return constant, tensors

    # The groups, by the kind of their last node -----------------------------------------------------------

    def _gelu(self, node: Node) -> Node | None:
        """Find ``x * (1 + erf(x / sqrt(2))) / 2``, in any order of the factors."""
        for name in self._factors(node)[1]:
            added = self._of_kind(node, name, "Add")
            one, rest = _operands(added)
            erf = self._of_kind(node, rest, "Erf") if one == 1 else None
            scaled = self._of_kind(node, erf.inputs[0], "Mul", "Div") if erf else None
            factor, source = _operands(scaled)
            if scaled is None or not math.isclose(
                factor if scaled.kind == "Mul" else 1 / (factor or math.nan), math.sqrt(0.5), rel_tol=1e-4
            ):
                continue
            constant, tensors = self._factors(node, source)
            if sorted(tensors) == sorted([source, name]) and math.isclose(constant, 0.5, rel_tol=1e-4):
                return _replaced(node, "Gelu", source)
        return None

    def _divided(self, node: Node) -> Node | None:
        if node.inputs[0] in node.constants or node.inputs[1] in node.constants:
            return None
        return self._layer_normalization(node) or self._local_response(node)

    def _layer_normalization(self, node: Node) -> Node | None:
        """Find ``(x - mean) / sqrt(mean of (x - mean)**2 + epsilon)`` over channels."""
        centred = self._of_kind(node, node.inputs[0], "Sub")
        root = self._of_kind(node, node.inputs[1], "Sqrt")
        added = self._of_kind(node, root.inputs[0], "Add") if root else None
        epsilon, variance = _operands(added)
        means = [self._of_kind(node, name, "ReduceMean") for name in (centred.inputs[1] if centred else "", variance)]
        squares = self._of_kind(node, means[1].inputs[0], "Pow", "Mul") if means[1] else None
        if centred is None or means[0] is None or means[1] is None or squares is None:
            return None
        is_square = squares.kind == "Mul" or _number(squares.constant(1)) == 2
        read = set(squares.inputs if squares.kind == "Mul" else squares.inputs[:1])
        axes = means[0].axes()
        same = means[0].inputs[0] == centred.inputs[0] and read == {node.inputs[0]} and axes == means[1].axes()
        if not (is_square and same and len(axes) == 1 and math.isfinite(epsilon)):
            return None
        return _replaced(node, CHANNEL_NORMALIZATION, centred.inputs[0], axis=axes[0], epsilon=epsilon)

    def _local_response(self, node: Node) -> Node | None:
        """Find ``x / (bias + alpha * mean of x * x over channels)**beta``, as PyTorch exports a local response.

        The channels become the depth of a volume, whose mean an AveragePool takes.
        """
        power = self._of_kind(node, node.inputs[1], "Pow")
        added = self._of_kind(node, power.inputs[0], "Add") if power else None
        bias, name = _operands(added)
        scaled = self._of_kind(node, name, "Mul") if added else None
        alpha, name = _operands(scaled)
        pool = self._last_pool(node, name) if scaled else None
        source = node.inputs[0]
        if power is None or pool is None or self._root(pool, pool.inputs[0]) != [source, source]:
            return None
        window, beta = pool.integers("kernel_shape"), _number(power.constant(1))
        if len(window) != 3 or window[1:] != [1, 1] or window[0] % 2 == 0:
            return None
        return _replaced(node, "LRN", source, size=window[0], alpha=alpha, beta=beta, bias=bias)

    def _last_pool(self, node: Node, name: str) -> Node | None:
        """Return the AveragePool whose result, in another shape, is a tensor."""
        for _ in range(_LONGEST):
            before = self._of_kind(node, name, "AveragePool", "Reshape", "Squeeze", "If")
            if before is None or before.kind == "AveragePool":
                return before
            name = _squeezed(before) if before.kind == "If" else before.inputs[0]
        return None

    def _root(self, node: Node, name: str) -> list[str]:
        """Return the inputs of the Mul whose result, in another shape and padded, is a tensor."""
        for _ in range(_LONGEST):
            before = self._of_kind(node, name, "Mul", "Pad", "Reshape", "Unsqueeze")
            if before is None:
                break
            if before.kind == "Mul":
                return list(before.inputs)
            name = before.inputs[0]
        return []

    def _padded(self, node: Node) -> Node | None:
        """Find a circular padding: the last rows or columns, then all, then the first ones."""
        axis = int(node.number("axis", 0)) % _AXES
        parts = [self._of_kind(node, name, "Slice") for name in node.inputs]
        sources = {part.inputs[0] for part in parts if part}
        whole = [place for place, name in enumerate(node.inputs) if name in sources]
        if len(sources) != 1 or len(whole) != 1 or axis < 2 or len(parts) > 3:
            return None
        pads = [0] * (2 * _AXES)
        for place, part in enumerate(parts):
            before = place < whole[0]
            ranges = part.ranges() if part else []
            if place == whole[0]:
                continue
            if len(ranges) != 1 or ranges[0][0] % _AXES != axis or abs(place - whole[0]) > 1:
                return None
            _, start, end, step = ranges[0]
            if step != 1 or (start >= 0 or end < LAST if before else start != 0 or not 0 < end < LAST):
                return None
            pads[axis if before else axis + _AXES] = -start if before else end
        return _replaced(node, "Pad", *sources, mode="wrap", pads=pads)

    def _shuffled(self, node: Node) -> Node | None:
        """Find a channel shuffle: a Reshape of (N, groups, members, H, W) after groups and members are exchanged."""
        turned = self._of_kind(node, node.inputs[0], "Transpose")
        parted = self._of_kind(node, turned.inputs[0], "Reshape") if turned else None
        if turned is None or parted is None or turned.integers("perm") != [0, 2, 1, 3, 4]:
            return None
        sides, result = parted.constant(1), node.constant(1)
        if sides is None or result is None or sides.size != _AXES + 1 or result.size != _AXES:
            return None
        groups, members = int(sides[1]), int(sides[2])
        if groups * members != result[1] or min(groups, members) < 1:
            return None
        order = np.arange(groups * members).reshape(groups, members).T.reshape(-1)
        gathered = _replaced(node, "Gather", parted.inputs[0], axis=1)
        name = f"{node.name}, channels"
        return replace(gathered, inputs=(*gathered.inputs, name), constants={**node.constants, name: order})


_ENDS = {
    "Mul": Patterns._gelu,
    "Div": Patterns._divided,
    "Concat": Patterns._padded,
    "Reshape": Patterns._shuffled,
}


def _squeezed(node: Node) -> str:
    """Return the tensor that the branch of an If squeezes; "" if there is none."""
    branch = node.attributes.get("then_branch")
    squeezes = [] if branch is None else [proto for proto in branch.node if proto.op_type == "Squeeze"]
    return str(squeezes[0].input[0]) if squeezes else ""


def _replaced(node: Node, kind: str, *inputs: str, **attributes: Any) -> Node:
    return replace(node, kind=kind, inputs=inputs, attributes=attributes)


def _number(constant: Any) -> float:
    """Return a constant of one number, else NaN."""
    return float(np.asarray(constant).reshape(-1)[0]) if constant is not None and np.size(constant) == 1 else math.nan


def _operands(node: Node | None) -> tuple[float, str]:
    """Return the constant and the name of the tensor that a node of two inputs joins; NaN and "" for other nodes."""
    if node is None or len(node.inputs) != 2:
        return math.nan, ""
    first, second = node.inputs
    if first in node.constants:
        first, second = second, first
    if first in node.constants or second not in node.constants:
        return math.nan, ""
    return _number(node.constants[second]), first
