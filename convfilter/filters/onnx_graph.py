"""The graph of an ONNX model, as chains of stages.

A graph is traversed once, in order. Each tensor that depends on the input has a *chain*: the stages that compute it. A
node appends a stage to the chain of its input, or joins the chains of several. Unsupported nodes are an error only if
the requested chain needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.errors import ConvfilterError, KernelFileError, shown
from convfilter.filters.onnx_branches import JOINS, affine, joined, product, quotient, unpooled
from convfilter.filters.onnx_channels import RESAMPLING, channel_count, gathered, part, sliced
from convfilter.filters.onnx_constants import folded
from convfilter.filters.onnx_layouts import Layouts
from convfilter.filters.onnx_node import Node
from convfilter.filters.onnx_nodes import NODES, NOTHING, indices
from convfilter.filters.onnx_patterns import Patterns
from convfilter.filters.stage import Stage
from convfilter.record import replace

if TYPE_CHECKING:
    import onnx

Array: TypeAlias = npt.NDArray[Any]
Chain: TypeAlias = tuple[Stage, ...]

_EXTERNAL = 1  # TensorProto.EXTERNAL
_INTEGERS = (2, 3, 4, 5, 6, 7, 12, 13)  # of TensorProto.DataType
#: Nodes that choose channels by constants.
_CHOICES = {"Slice": sliced, "Gather": gathered}
#: Names of nodes that an error lists.
_SHOWN = 12
#: Reasons why nodes of kinds that are supported in part are refused.
_UNSUPPORTED = {
    "Squeeze": "only one of the axes 2 and 3 can be removed",
    "Unsqueeze": "only one of the axes 2 and 3 can be added",
}


class Graph:
    """A model's graph, with its constants."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
        self._constants: dict[str, Array] = {}
        for tensor in self._graph.initializer:
            self._constants[tensor.name] = _array(tensor)
        inputs = [each for each in self._graph.input if each.name not in self._constants]
        if not self._graph.node:
            raise KernelFileError("this is not a usable ONNX model: it has no nodes")
        if not inputs:
            raise KernelFileError("the network has no input")
        self._input = inputs[0].name
        self._has_integers = inputs[0].type.tensor_type.elem_type in _INTEGERS
        self._axes = [axis.dim_value for axis in inputs[0].type.tensor_type.shape.dim]
        self._layouts = Layouts(model, self._input, {*self._constants})
        self._patterns = Patterns(self._graph)
        self._uses = Counter(name for node in self._graph.node for name in node.input)

    @property
    def channels(self) -> int | None:
        """Channels of the network's input; None if the file does not say."""
        place = -1 if self._layouts.has_channels_last(self._input) else 1
        return (self._axes[place] or None) if len(self._axes) in (3, 4) else None

    def chain(self, until: str | None) -> Chain:
        """Return the stages that compute a tensor, by default the first output."""
        target = self._graph.output[0].name if until is None else self._target(until)
        chains: dict[str, Chain | str] = {self._input: ()}
        last = ""  # the last supported node
        for number, proto in enumerate(self._graph.node):
            if self._is_constant(proto):
                continue
            shared = any(self._uses[name] > 1 for name in proto.input if name in chains)
            node = Node.of(proto, number, self._constants, self._opset, shared, rank=len(self._axes) or 4)
            node = replace(node, channels=self.channels, has_integers=self._has_integers)
            node = self._layouts.laid(self._patterns.recognised(node))
            chain = self._chain_or_reason(node, chains, proto.output[0])
            if chain is None:
                continue
            chains[proto.output[0]] = chain
            for place, output in enumerate(proto.output):
                if place and output:
                    chains[output] = self._chain_of_output(node, place, chains)
            reason = self._layouts.no_picture(proto.output[0])
            if not isinstance(chain, str) and not reason:
                last = node.name
            if target in proto.output:
                if reason and not isinstance(chain, str):
                    chains[target] = f"node {node.described}: {reason}"
                break
        result = chains.get(target)
        if result is None:
            raise KernelFileError(f"{shown(target)} does not come from the network's input")
        if isinstance(result, str):
            raise KernelFileError(f"{result}; until={last} ends the network before it" if last else result)
        return result

    def convolution(self, name: str) -> Stage:
        """Return the stage of one convolution."""
        known = []
        for number, proto in enumerate(self._graph.node):
            if self._is_constant(proto) or proto.op_type not in ("Conv", "ConvTranspose"):
                continue
            node = Node.of(proto, number, self._constants, self._opset)
            if name in (node.name, *proto.output, *proto.input[1:2]):
                return NODES[proto.op_type](node, ())[-1]
            known.append(node.name)
        raise KernelFileError(f"no convolution is called {shown(name)}; the network's are {_listed(known)}")

    def _is_constant(self, proto: onnx.NodeProto) -> bool:
        """Record the output of a node that reads constants only, and return whether it is one."""
        value = _constant(proto) if proto.op_type == "Constant" else self._shape(proto)
        if value is None and all(name in self._constants for name in proto.input[:1]):
            value = folded(Node.of(proto, 0, self._constants))
        if value is not None:
            self._constants[proto.output[0]] = value
        return value is not None

    def _shape(self, proto: onnx.NodeProto) -> Array | None:
        """Return the value of a Shape node whose input has a known shape, else None."""
        shape = self._layouts.known_shape(proto.input[0]) if proto.op_type == "Shape" else []
        if not shape:
            return None
        node = Node.of(proto, 0, {})
        return np.array(shape[int(node.number("start", 0)) : int(node.number("end", len(shape)))], np.int64)

    def _target(self, until: str) -> str:
        """Return the name of the tensor that ``until`` names, itself or by its node."""
        names = []
        for number, proto in enumerate(self._graph.node):
            node = Node.of(proto, number, {})
            if until in (node.name, *proto.output):
                return until if until in proto.output else str(proto.output[0])
            names.append(node.name)
        raise KernelFileError(f"no node is called {shown(until)}; the network's are {_listed(names)}")

    def _chain_or_reason(self, node: Node, chains: Mapping[str, Chain | str], output: str) -> Chain | str | None:
        """Return a node's chain of stages, or the reason why it has none; None if it does not depend on the input."""
        if node.kind == "Reshape":  # its result's inferred shape decides
            self._layouts.add_shape(node, output)
            node = replace(node, inputs=node.inputs[:1])
        dependent = [chains[name] for name in node.inputs if name in chains]
        if not dependent:
            return None
        for each in dependent:
            if isinstance(each, str):
                return each
        inputs = {name: each for name in node.inputs if not isinstance(each := chains.get(name, ""), str)}
        missing = [name for name in node.inputs if name and name not in chains and name not in node.constants]
        if missing:
            return f"node {node.described} needs {shown(missing[0])}, which is {self._missing(missing[0], node.name)}"
        try:
            chain = self._layouts.chain_of(node, inputs, output)
            return self._chain_of_picture(node, inputs) if chain is None else chain
        except ConvfilterError as error:
            return f"node {node.described}: {error}"

    def _missing(self, name: str, reader: str) -> str:
        """Return why a tensor is not known to the node that reads it."""
        if any(name == each.name for each in self._graph.input):
            return "another input of the network; only its first input is the picture"
        is_before = True
        for number, proto in enumerate(self._graph.node):
            is_before = is_before and Node.of(proto, number, {}).name != reader
            if name in proto.output and is_before:
                kind = shown(proto.op_type, quotes=False)
                return f"computed from constants ({kind}); fold constants when exporting the network"
            if name in proto.output:
                return "computed after it: the graph has a cycle, or its nodes are not in order"
        return "neither an input of the network nor the output of a node"

    def _chain_of_output(self, node: Node, number: int, chains: Mapping[str, Chain | str]) -> Chain | str:
        """Return the chain of a node's second or later output, or the reason why that output has none."""
        before = chains[node.inputs[0]]
        if isinstance(before, str):
            return before
        try:
            if node.kind == "Split":
                return part(node, before, number)
            if node.kind == "MaxPool":
                return indices(node, before)
        except ConvfilterError as error:
            return f"node {node.described}: {error}"
        return f"node {node.described}: only its first output is supported"

    def _chain_of_picture(self, node: Node, chains: Mapping[str, Chain]) -> Chain:
        """Return the chain of a node that reads pictures."""
        first, *others = [chains[name] for name in node.inputs if name in chains]
        if node.kind in NOTHING:
            return first
        if node.kind in ("Squeeze", "Unsqueeze") and node.axes() in ([2], [3], [-1], [-2]):
            return first  # a signal of one axis is a picture of one row, or of one column
        if node.kind in ("Add", "Sub", "Mul", "Div") and not others:
            return affine(node, first)
        if node.kind in ("Mul", "Div") and len(others) == 1:
            activation = (product if node.kind == "Mul" else quotient)(first, others[0], node.name)
            if activation is not None:
                return activation
        if node.kind in JOINS:
            return joined(node, chains)
        if node.kind == "MaxUnpool":
            return unpooled(node, chains)
        if node.kind == "Split":
            return part(node, first, 0)
        if node.kind in _CHOICES:
            return _CHOICES[node.kind](node, first)
        if node.kind in RESAMPLING and not others:
            shape = tuple(self._layouts.known_shape(node.inputs[0])) if node.kind == "Resize" else ()
            return RESAMPLING[node.kind](replace(node, shape=shape), first, channel_count(node, first))
        if node.kind not in NODES:
            raise KernelFileError(_UNSUPPORTED.get(node.kind, "nodes of this kind are not supported"))
        if others:
            raise KernelFileError("only its first input may come from the picture; the others must be constants")
        self._require_axes(node)
        return NODES[node.kind](node, first)

    def _require_axes(self, node: Node) -> None:
        """Refuse a convolution along one axis in a network whose input is pictures, unless it squeezes them."""
        weight = node.constant(1) if node.kind in ("Conv", "ConvTranspose") else None
        squeezes = any(proto.op_type in ("Squeeze", "Unsqueeze") for proto in self._graph.node)
        if weight is not None and weight.ndim < len(self._axes) and not squeezes:
            raise KernelFileError(
                f"its weight must have {len(self._axes)} axes, as the network's input, got the shape {weight.shape}"
            )


def _array(tensor: onnx.TensorProto) -> Array:
    """Return the values of a stored tensor; bfloat16 and the like become float32."""
    from onnx import numpy_helper

    if tensor.data_location == _EXTERNAL:
        raise KernelFileError(
            f"the weights of {shown(tensor.name)} lie in another file; "
            "put all into one with onnx.save(onnx.load(FILE), NEW)"
        )
    array: Array = numpy_helper.to_array(tensor)
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def _constant(proto: onnx.NodeProto) -> Array:
    """Return the value of a Constant node."""
    from onnx import helper

    attribute = proto.attribute[0]
    if attribute.name == "value":
        return _array(attribute.t)
    return np.asarray(helper.get_attribute_value(attribute))


def _listed(names: list[str]) -> str:
    """Return the first names as text, for messages."""
    listed = ", ".join(names[:_SHOWN]) + (f", ... ({len(names)} in all)" if len(names) > _SHOWN else "")
    return shown(listed, quotes=False) if names else "none"
