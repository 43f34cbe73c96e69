"""Nodes that reorder, join or flatten axes (Transpose, Reshape, Flatten), and Gemm and MatMul as convolutions.

A product of a matrix with all samples of a map of C channels and H x W pixels is a convolution with kernels of H x W
pixels and no padding: on a picture of the network's own size it gives one pixel, and on a larger one it moves over the
map (J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from convfilter.errors import KernelFileError, shown
from convfilter.filters import layers
from convfilter.filters.onnx_node import Chain, Node
from convfilter.filters.onnx_nodes import ACTIVATION_NODES, ELEMENTWISE, NODES, NOTHING, normalized_groups
from convfilter.filters.stage import Stage
from convfilter.record import cached_property, record, replace

if TYPE_CHECKING:
    import onnx

#: Orders of the axes after the first: 1 channels, 2 rows, 3 columns.
_CHANNELS_FIRST, _CHANNELS_LAST = (1, 2, 3), (2, 3, 1)
#: Permutations from (N, H, W, C) to (N, C, H, W), and back.
_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
_AXES = 4
_FLATTENING = ("Flatten", "Reshape")
_PRODUCTS = ("Gemm", "MatMul")
#: Nodes that treat each sample of a vector alike, and those that may read the channels of one pixel.
_POINTWISE = {*NOTHING, "Clip", "Neg", *ACTIVATION_NODES} - {"PRelu"}
_OF_VECTORS = {*ELEMENTWISE, "Neg", "BatchNormalization"}
_GROUPS = "channels in groups are no picture; an InstanceNormalization and a Reshape back must follow"
_EXPANDED = "only a pixel can be expanded, to the size of a picture that it is added to or multiplied with next"
_TRANSPOSE = "only transposes between (N, H, W, C) and (N, C, H, W) are supported, and others before a Flatten"


@record
class _Vector:
    """A map of which all samples are one vector.

    Attributes
    ----------
    sizes : tuple of int
        Sizes of the map's axes, in the order of the vector's samples, the last one changing fastest.
    order : tuple of int
        The axes of these sizes: 1 channels, 2 rows, 3 columns.
    """

    sizes: tuple[int, ...]
    order: tuple[int, ...] = _CHANNELS_FIRST

    @property
    def is_pixel(self) -> bool:
        """Whether the map is one pixel, so that the vector holds its channels."""
        return all(size == 1 for size, axis in zip(self.sizes, self.order, strict=True) if axis != 1)

    @property
    def described(self) -> str:
        """The size of the map, for messages."""
        channels, rows, cols = (self.sizes[self.order.index(axis)] for axis in _CHANNELS_FIRST)
        return f"{channels} channels of {cols}x{rows} pixels"


class Layouts:
    """Orders of the axes of a graph's tensors, and which of them are vectors.

    Parameters
    ----------
    model : onnx.ModelProto
    picture : str
        Name of the network's input.
    constants : set of str
        Names of the graph's stored constants.
    """

    def __init__(self, model: onnx.ModelProto, picture: str, constants: set[str]) -> None:
        self._model, self._input = model, picture
        self._channels_last = _channels_last(model.graph.node, constants)
        self._vectors: dict[str, _Vector] = {}
        #: (channels, groups) of maps with the shape (N, groups, samples of a group).
        self._groups: dict[str, tuple[int, int]] = {}
        #: Shapes of these maps before they were joined.
        self._maps: dict[str, list[int]] = {}
        #: Shapes of single pixels that an Expand repeats.
        self._expanded: dict[str, list[int]] = {}
        #: Orders of axes that only a Flatten may read.
        self._orders: dict[str, tuple[int, ...]] = {}

    @cached_property
    def _shapes(self) -> dict[str, list[int]]:
        """The inferred shape of each tensor for one picture, 0 for unknown sizes."""
        from onnx import shape_inference

        for each in self._model.graph.input:
            batch = each.type.tensor_type.shape.dim[:1]
            if each.name == self._input and batch and batch[0].dim_value < 1:  # PaddlePaddle writes -1
                batch[0].dim_value = 1
        graph = shape_inference.infer_shapes(self._model, data_prop=True).graph
        return {
            each.name: [axis.dim_value for axis in each.type.tensor_type.shape.dim]
            for each in (*graph.input, *graph.value_info, *graph.output)
            if each.type.tensor_type.HasField("shape")
        }

    def known_shape(self, name: str) -> list[int]:
        """Return the inferred shape of a tensor for one picture; empty if a size is unknown."""
        shape = self._shapes.get(name, [])
        return shape if min(shape, default=0) > 0 else []

    def add_shape(self, node: Node, output: str) -> None:
        """Add the shape of a Reshape's result that inference has left out, if its second input is known."""
        before, sides = self.known_shape(node.inputs[0]), node.constant(1)
        if self._shapes.get(output) or not before or sides is None or sides.size > _AXES:
            return
        shape = [before[axis] if side == 0 and axis < len(before) else int(side) for axis, side in enumerate(sides)]
        rest = -math.prod(shape)
        if -1 in shape and rest > 0:
            shape[shape.index(-1)] = math.prod(before) // rest
        self._shapes[output] = shape

    def has_channels_last(self, name: str) -> bool:
        """Whether a tensor has the layout (N, H, W, C)."""
        return name in self._channels_last

    def laid(self, node: Node) -> Node:
        """Return the node with the layout of its inputs: ``channels_last``, and ``rank`` if they are vectors."""
        if any(name in self._vectors for name in node.inputs):
            return replace(node, rank=2, channels_last=True)
        return replace(node, channels_last=any(name in self._channels_last for name in node.inputs))

    def no_picture(self, name: str) -> str:
        """Return why a tensor that has a chain is no picture; "" if it is one."""
        if name in self._orders:
            return _TRANSPOSE
        if name in self._groups:
            return _GROUPS
        if name in self._expanded:
            return _EXPANDED
        vector = self._vectors.get(name)
        if vector is None or vector.is_pixel:
            return ""
        return f"a vector of {vector.described} is no picture; a Gemm or MatMul must follow"

    def chain_of(self, node: Node, chains: Mapping[str, Chain], output: str) -> Chain | None:
        """Return the chain of a node that changes the layout or multiplies a vector; None for other nodes.

        Parameters
        ----------
        node : Node
        chains : mapping of str to Chain
            Those of its inputs.
        output : str
            Name of its first output.

        Raises
        ------
        KernelFileError
            The node cannot read its input's layout.
        """
        source = node.inputs[0]
        vectors = [self._vectors[name] for name in node.inputs if name in self._vectors]
        if vectors:
            return self._of_vectors(node, chains, output, vectors)
        if source in self._groups or (node.kind == "Reshape" and self._joins_groups(node, output)):
            return self._of_groups(node, chains[source], output)
        if node.kind in _FLATTENING or (node.kind == "Squeeze" and node.axes() in ([2, 3], [-2, -1])):
            self._vectors[output] = _flattened(self._shapes.get(source), self._shapes.get(output), self._order(node))
            return chains[source]
        if node.kind == "Transpose":
            self._transpose(node, output)
            return chains[source]
        if node.kind == "Expand" or any(name in self._expanded for name in node.inputs):
            return self._of_expanded(node, chains, output)
        if any(name in self._orders for name in node.inputs):
            raise KernelFileError("its input has another order of axes than (N, C, H, W); only a Flatten can follow")
        if node.kind == "ReduceMean" and not node.number("keepdims", 1):
            return self._mean(node, chains[source], output)
        return None

    def _joins_groups(self, node: Node, output: str) -> bool:
        """Whether a Reshape joins neighbouring channels of a picture, from (N, C, H, W) to (N, groups, samples)."""
        before, after = self._shapes.get(node.inputs[0], []), self._shapes.get(output, [])
        if len(before) != _AXES or len(after) != 3 or self._order(node) != _CHANNELS_FIRST:
            return False
        channels, groups = before[1], after[1]
        return channels > 0 and groups > 0 and channels % groups == 0 and after[2] == math.prod(before[1:]) // groups

    def _of_groups(self, node: Node, chain: Chain, output: str) -> Chain:
        """Return the chain of a Reshape to groups of channels or back, or of a normalisation of groups."""
        source = node.inputs[0]
        before, after = self._shapes.get(source, []), self._shapes.get(output, [])
        if source not in self._groups:
            self._groups[output] = before[1], after[1]
            self._maps[output] = before
            return chain
        if node.kind == "InstanceNormalization":
            self._groups[output], self._maps[output] = self._groups[source], self._maps[source]
            return normalized_groups(node, chain, *self._groups[source])
        if node.kind == "Reshape" and after[1:] == self._maps[source][1:]:
            return chain
        raise KernelFileError(_GROUPS)

    def _of_expanded(self, node: Node, chains: Mapping[str, Chain], output: str) -> Chain | None:
        """Return the chain of an Expand of a pixel, which stays one; None for a node that joins it with a picture."""
        sides = node.constant(1) if node.kind == "Expand" else None
        before = self.known_shape(node.inputs[0])
        if sides is not None and before[2:] == [1, 1] and sides.size == _AXES and sides.reshape(-1)[1] == before[1]:
            self._expanded[output] = sides.reshape(-1).tolist()
            return chains[node.inputs[0]]
        shapes = [self._expanded.get(name) or self.known_shape(name) for name in node.inputs]
        of_pictures = [name for name in node.inputs if name in chains and name not in self._expanded]
        if node.kind not in ("Add", "Sub", "Mul", "Div") or shapes[0] != shapes[-1] or not of_pictures:
            raise KernelFileError(_EXPANDED)
        return None

    def _order(self, node: Node) -> tuple[int, ...]:
        """Return the order of axes of a node's first input."""
        return self._orders.get(node.inputs[0], _CHANNELS_LAST if node.channels_last else _CHANNELS_FIRST)

    def _mean(self, node: Node, chain: Chain, output: str) -> Chain:
        """Return the chain of a mean over all pixels whose result is a vector of the channels."""
        pooled, shape = NODES[node.kind](node, chain), self._shapes.get(output, [])
        if len(shape) != 2 or shape[1] < 1:
            raise KernelFileError("the number of its channels is unknown; export the network with its input's shape")
        self._vectors[output] = _Vector((shape[1], 1, 1))
        return pooled

    def _transpose(self, node: Node, output: str) -> None:
        """Record the order of axes of a Transpose's result."""
        perm, before = tuple(node.integers("perm")), self._order(node)
        if perm in (_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST) and node.inputs[0] not in self._orders:
            return
        if perm[:1] != (0,) or sorted(perm) != [*range(_AXES)]:
            raise KernelFileError(_TRANSPOSE)
        order = tuple(before[axis - 1] for axis in perm[1:])
        if order != _CHANNELS_FIRST:
            self._orders[output] = order

    def _of_vectors(
        self, node: Node, chains: Mapping[str, Chain], output: str, vectors: Sequence[_Vector]
    ) -> Chain | None:
        """Return the chain of a node that reads vectors; None for one that reads the channels of a pixel."""
        vector = vectors[0]
        if node.kind in _PRODUCTS and len(chains) == 1:
            (chain,) = chains.values()
            chain, self._vectors[output] = _multiplied(node, chain, vector)
            return chain
        if vector.is_pixel and _adds_pixel_axes(node, self._shapes.get(output, [])):
            return chains[node.inputs[0]]
        if node.kind in _FLATTENING and self._shapes.get(output, ()) == self._shapes.get(node.inputs[0]):
            self._vectors[output] = vector
            return chains[node.inputs[0]]
        if node.kind not in _OF_VECTORS or len(vectors) < len(chains):
            raise KernelFileError("nodes of this kind are not supported for vectors")
        if not vector.is_pixel and node.kind not in _POINTWISE:
            raise KernelFileError(f"its input is a vector of {vector.described}; a Gemm or MatMul must follow")
        joins = vector.is_pixel and node.kind == "Concat"
        self._vectors[output] = _Vector((sum(each.sizes[0] for each in vectors), 1, 1)) if joins else vector
        return None


def _channels_last(nodes: Sequence[onnx.NodeProto], constants: set[str]) -> set[str]:
    """Return the tensors in (N, H, W, C) layout: between Transposes to and from it, through elementwise nodes."""
    tensors: set[str] = set()
    for proto in nodes:
        perm = tuple(value for each in proto.attribute if each.name == "perm" for value in each.ints)
        if proto.op_type == "Transpose" and perm in (_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST):
            tensors.add(proto.input[0] if perm == _TO_CHANNELS_FIRST else proto.output[0])
    constants = constants.union(*(proto.output for proto in nodes if proto.op_type == "Constant"))
    elementwise = [
        proto
        for proto in nodes
        if proto.op_type in ELEMENTWISE or (proto.op_type == "MatMul" and proto.input[1] in constants)
    ]
    before = -1
    while len(tensors) > before:
        before = len(tensors)
        for proto in elementwise:
            names = {*proto.input, *proto.output[:1]} - constants
            if names & tensors:
                tensors |= names
    return tensors


def _adds_pixel_axes(node: Node, result: Sequence[int]) -> bool:
    """Whether a node makes a vector of channels a picture of one pixel, (N, C, 1, 1)."""
    if node.kind == "Unsqueeze":
        return sorted(node.axes()) in ([2, 3], [-2, -1])
    return node.kind == "Reshape" and len(result) == _AXES and list(result[2:]) == [1, 1]


def _flattened(sizes: Sequence[int] | None, result: Sequence[int] | None, order: tuple[int, ...]) -> _Vector:
    """Return the vector that a Flatten or Reshape makes of a map.

    Parameters
    ----------
    sizes, result : sequence of int, optional
        Inferred shapes of the map and of the result, 0 for unknown sizes.
    order : tuple of int
        Order of the map's axes after the first.

    Raises
    ------
    KernelFileError
        The sizes are unknown, or the result is no vector of all samples.
    """
    if sizes is None or len(sizes) != _AXES or min(sizes[1:]) < 1:
        raise KernelFileError(
            "the size of its map is unknown; export the network with the height and width of its input"
        )
    if result is None or len(result) != 2 or result[1] != np.prod(sizes[1:]):
        raise KernelFileError("only all samples of a map can become one vector, (N, C * H * W)")
    vector = _Vector(tuple(sizes[1:]), order)
    return _Vector((int(result[1]), 1, 1)) if vector.is_pixel else vector


def _multiplied(node: Node, chain: Chain, vector: _Vector) -> tuple[Chain, _Vector]:
    """Append the product of a matrix with a vector, as a convolution of its map.

    Raises
    ------
    KernelFileError
        The matrix or the bias does not fit, or the vector is not the first operand.
    """
    if node.number("transA", 0) or node.inputs[0] in node.constants:
        raise KernelFileError("only a vector times a constant matrix is supported")
    matrix, bias = node.needed(1, "matrix").astype(np.float64), node.constant(2)
    if matrix.ndim != 2:
        raise KernelFileError(f"its matrix must have two axes, got the shape {shown(matrix.shape)}")
    weight = matrix if node.number("transB", 0) else matrix.T
    if weight.shape[1] != np.prod(vector.sizes):
        raise KernelFileError(f"a matrix of {shown(matrix.shape)} does not fit {vector.described}")
    weight = weight.reshape(-1, *vector.sizes).transpose(0, *(1 + vector.order.index(axis) for axis in _CHANNELS_FIRST))
    outputs = len(weight)
    if bias is not None:
        if bias.size not in (1, outputs):
            raise KernelFileError(f"its bias must have {outputs} numbers, got the shape {shown(bias.shape)}")
        bias = np.broadcast_to(bias.reshape(-1).astype(np.float64) * node.number("beta", 1.0), outputs)
    operator = layers.layer(np.ascontiguousarray(weight) * node.number("alpha", 1.0), bias)
    stage = Stage(operator, name=node.name, padding="valid", padding_mode="constant")
    return (*chain, stage), _Vector((outputs, 1, 1))
