"""What each kind of ONNX node is as stages: https://onnx.ai/onnx/operators/.

A function of this module takes a node and the chain of its input, and returns the chain of what it gives. Batch
normalisations, factors and activations become part of the layer before them, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, shown
from convfilter.filters import kernels, layers
from convfilter.filters.stage import Correlation, Join, Layer, PaddingMode, Point, PointKind, Pooling, Stage
from convfilter.record import record

if TYPE_CHECKING:
    import onnx

Array: TypeAlias = npt.NDArray[Any]
Chain: TypeAlias = tuple[Stage, ...]

_PLANE = 2
#: The version of operators that broadcast their inputs.
_BROADCAST = 7
_LARGEST = float(np.finfo(np.float32).max)


@record
class Node:
    """A node of a graph.

    Attributes
    ----------
    name : str
        Its own, or what it gives.
    kind : str
        Such as "Conv".
    inputs : tuple of str
    attributes : dict
    constants : dict
        All constants of the graph that are known here.
    opset : int
        The version of ONNX's operators that the model is written in.
    shared : bool
        Other nodes see its input, too: so the layer that gives it stays as it is, and is computed once for all.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    constants: Mapping[str, Array]
    opset: int = 0
    shared: bool = False

    @classmethod
    def of(
        cls,
        proto: onnx.NodeProto,
        number: int,
        constants: Mapping[str, Array],
        opset: int = 0,
        shared: bool = False,
    ) -> Node:
        """Make one of what the file holds."""
        from onnx import helper

        attributes = {each.name: helper.get_attribute_value(each) for each in proto.attribute}
        name = proto.name or (proto.output[0] if proto.output else f"{proto.op_type}_{number}")
        return cls(str(name), proto.op_type, tuple(proto.input), attributes, constants, opset, shared)

    def open_layer(self, chain: Chain) -> Layer | None:
        """Return the layer that a chain ends with, if what follows may become a part of it."""
        operator = chain[-1].operator if chain and not self.shared else None
        return operator if isinstance(operator, Layer) and operator.activation == "none" else None

    @property
    def described(self) -> str:
        """The name and the kind."""
        return f"{shown(self.name)} ({shown(self.kind, quotes=False)})"

    def constant(self, place: int) -> Array | None:
        """Return an input that is a constant; None where it is left out."""
        if place >= len(self.inputs) or not self.inputs[place]:
            return None
        return self.constants.get(self.inputs[place])

    def needed(self, place: int, what: str) -> Array:
        """Return a constant that must be there."""
        found = self.constant(place)
        if found is None:
            raise KernelFileError(f"its {what} is no constant")
        return found

    def number(self, name: str, default: float) -> float:
        """Return an attribute that is a number."""
        return float(self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is a text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def integers(self, name: str) -> list[int]:
        """Return an attribute that is a list of whole numbers; empty where it is left out."""
        return [int(value) for value in self.attributes.get(name, ())]

    def axes(self) -> list[int]:
        """Return axes, an attribute of old versions and an input of new ones."""
        given = self.constant(1)
        return self.integers("axes") if given is None else [int(axis) for axis in given.reshape(-1)]

    def pair(self, name: str, default: int = 1) -> tuple[int, int]:
        """Return an attribute of both axes; of a signal of one axis, which is a picture of one row, of the second."""
        values = self.integers(name) or [default] * _PLANE
        if len(values) > _PLANE:
            raise KernelFileError(f"volumes are no pictures, got {name} of {len(values)} axes")
        return (values[0], values[1]) if len(values) == _PLANE else (default, values[0])

    def padding(self) -> str | tuple[int, int, int, int]:
        """Return the padding as a stage has it."""
        words = {"SAME_UPPER": "same_upper", "SAME_LOWER": "same_lower", "VALID": "valid"}
        automatic = self.text("auto_pad", "NOTSET")
        if automatic != "NOTSET":
            return words[automatic]
        pads = self.integers("pads") or [0] * 4
        if len(pads) == 2:  # of one axis
            pads = [0, pads[0], 0, pads[1]]
        if len(pads) != 4:
            raise KernelFileError(f"volumes are no pictures, got {len(pads)} pads")
        top, left, bottom, right = pads
        return top, bottom, left, right


# Layers -----------------------------------------------------------------------


def _weight(node: Node) -> Array:
    weight = node.needed(1, "weight")
    if weight.ndim == 3:  # of one axis
        weight = weight[:, :, np.newaxis]
    return weight


def _convolution(node: Node, chain: Chain) -> Chain:
    operator = layers.layer(_weight(node), node.constant(2), groups=int(node.number("group", 1)))
    return *chain, _convolving(node, operator)


def _convolving(node: Node, operator: Layer) -> Stage:
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
    if node.number("training_mode", 0):
        raise KernelFileError("it is one of training; export the network for inference")
    gamma, beta, mean, var = (node.needed(place, "statistics").astype(np.float64) for place in range(1, 5))
    factor = gamma / np.sqrt(var + node.number("epsilon", 1e-5))
    return _scaled(node, chain, factor, beta - mean * factor)


def affine(node: Node, chain: Chain) -> Chain:
    """Return the chain after a sum or product with a constant: one for all samples, or one for each channel."""
    (place,) = (place for place, name in enumerate(node.inputs) if name in node.constants)
    constant = node.needed(place, "constant").astype(np.float64)
    numbers = _per_channel(constant)
    if node.kind == "Add":
        return _scaled(node, chain, np.ones(1), numbers)
    if node.kind == "Sub":
        return _scaled(node, chain, np.ones(1), -numbers) if place == 1 else _scaled(node, chain, -np.ones(1), numbers)
    if node.kind == "Mul":
        return _scaled(node, chain, numbers, np.zeros(1))
    if place == 0:
        raise KernelFileError("it divides by the picture")
    return _scaled(node, chain, 1 / numbers, np.zeros(1))


def _per_channel(constant: Array) -> Array:
    """Return a constant as one number, or one for each channel: (1,), (C, 1, 1) or (1, C, 1, 1)."""
    if constant.size == 1:
        return constant.reshape(1)
    if constant.ndim not in (3, 4) or constant.size != constant.shape[-3]:
        raise KernelFileError(f"constants are one for each channel, got the shape {shown(constant.shape)}")
    return constant.reshape(-1)


def _scaled(node: Node, chain: Chain, factor: Array, shift: Array) -> Chain:
    """Multiply each channel and add to it: in the layer before, or as points, or as a layer of one pixel."""
    operator = node.open_layer(chain)
    if operator is not None:
        made = replace(
            operator,
            weight=operator.weight * _broadcast(factor, operator)[:, np.newaxis, np.newaxis, np.newaxis],
            bias=operator.bias * factor + shift,
        )
        return _with_layer(node, chain, made)
    if factor.size == shift.size == 1:
        points = (Point("scale", float(factor[0])),) if factor[0] != 1 else ()
        if shift[0] != 0:
            points = (*points, Point("bias", float(shift[0])))
        return *chain, *(Stage(point, name=node.name) for point in points)
    channels = max(factor.size, shift.size)
    weight = np.broadcast_to(factor, channels).reshape(-1, 1, 1, 1)
    operator = layers.layer(weight, np.broadcast_to(shift, channels), groups=channels)
    return *chain, Stage(operator, name=node.name, padding="valid", padding_mode="constant")


def _with_layer(node: Node, chain: Chain, layer: Layer) -> Chain:
    """Return a chain whose last layer has taken a node in."""
    return *chain[:-1], replace(chain[-1], operator=layer, name=f"{chain[-1].name}+{node.name}")


def _broadcast(factor: Array, operator: Layer) -> Array:
    return np.broadcast_to(factor, operator.bias.shape)


# Activations -------------------------------------------------------------------


def _activation(kind: PointKind, *attributes: tuple[str, float]) -> Callable[[Node, Chain], Chain]:
    """Make the function of an activation, whose numbers are attributes with defaults."""

    def chain_after(node: Node, chain: Chain) -> Chain:
        return _activated(node, chain, Point(kind, *(node.number(name, default) for name, default in attributes)))

    return chain_after


def _activated(node: Node, chain: Chain, point: Point) -> Chain:
    """Apply a function of samples: ReLU and its like at the end of the layer before."""
    operator = node.open_layer(chain)
    if operator is not None and point.kind == "relu":
        return _with_layer(node, chain, replace(operator, activation="relu"))
    if operator is not None and point.kind == "leaky_relu":
        return _with_layer(node, chain, replace(operator, activation="leaky_relu", slope=point.low))
    return *chain, Stage(point, name=node.name)


def _gelu(node: Node, chain: Chain) -> Chain:
    return *chain, Stage(Point("gelu_tanh" if node.text("approximate", "none") == "tanh" else "gelu"), name=node.name)


def _prelu(node: Node, chain: Chain) -> Chain:
    slope = node.needed(1, "slope").astype(np.float64)
    if slope.size == 1:
        return _activated(node, chain, Point("leaky_relu", float(slope.reshape(-1)[0])))
    # Before operators were broadcast, slopes were one for each channel, without axes for rows and columns.
    slopes = slope if node.opset < _BROADCAST and slope.ndim == 1 else _per_channel(slope)
    operator = node.open_layer(chain)
    if operator is not None:
        if slopes.size != len(operator.bias):
            raise KernelFileError(f"it has {slopes.size} slopes for {len(operator.bias)} channels")
        return _with_layer(node, chain, replace(operator, activation="prelu", slope=slopes))
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


def _negative(node: Node, chain: Chain) -> Chain:
    return _scaled(node, chain, -np.ones(1), np.zeros(1))


def quotient(one: Chain, other: Chain, name: str) -> Chain:
    """Return x / (1 + abs(x)), a softsign.

    Raises
    ------
    KernelFileError
        Another quotient.
    """
    added = [stage.operator for stage in other[len(one) :]]
    if other[: len(one)] == one and added == [Point("abs"), Point("bias", 1.0)]:
        return *one, Stage(Point("softsign"), name=name)
    raise KernelFileError("it divides branches, which a chain of filters cannot")


def product(one: Chain, other: Chain) -> Chain | None:
    """Return a product of a tensor and a function of it that is an activation: swish, hard swish or mish; else None."""
    shorter, longer = sorted((one, other), key=len)
    added = longer[len(shorter) :]
    if longer[: len(shorter)] == shorter:
        points = [stage.operator for stage in added if isinstance(stage.operator, Point)]
        kinds = [point.kind for point in points] if len(points) == len(added) else []
        name = added[-1].name if added else ""
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
JOINS: Mapping[str, Literal["add", "multiply", "concat"]] = {
    "Add": "add", "Sum": "add", "Mul": "multiply", "Concat": "concat",
}  # fmt: skip


def joined(node: Node, flows: Sequence[Chain]) -> Chain:
    """Return the chain up to where branches part, and then the stage that joins them."""
    same = 0
    while all(len(flow) > same for flow in flows) and len({id(flow[same]) for flow in flows}) == 1:
        same += 1
    branches = tuple(flow[same:] for flow in flows)
    return *flows[0][:same], Stage(Join(JOINS[node.kind], branches), name=node.name)


# Normalisations of each picture by itself --------------------------------------------


def _of_each_picture(node: Node, chain: Chain) -> Chain:
    """Take the mean of each channel, or of each group, off; divide by the standard deviation; scale and add."""
    gamma, beta = (node.needed(place, what).astype(np.float64) for place, what in ((1, "scale"), (2, "bias")))
    groups = int(node.number("num_groups", gamma.size))
    if gamma.size % groups:
        raise KernelFileError(f"its {gamma.size} channels do not divide into {groups} groups")
    means: Chain = (Stage(Pooling("average", None), name=f"{node.name}, means", padding="valid"),)
    if groups < gamma.size:
        members = gamma.size // groups
        of_group = np.kron(np.eye(groups), np.full((members, members), 1 / members))
        layer = layers.layer(of_group[:, :, np.newaxis, np.newaxis])
        means = (*means, Stage(layer, name=f"{node.name}, groups", padding="valid", padding_mode="constant"))
    off = (*means, Stage(Point("scale", -1.0), name=f"{node.name}, off"))
    spread = (
        Stage(Point("power", 2.0), name=f"{node.name}, squares"),
        *means,
        Stage(Point("bias", node.number("epsilon", 1e-5)), name=f"{node.name}, epsilon"),
        Stage(Point("power", -0.5), name=f"{node.name}, one over the root"),
    )
    centred = *chain, Stage(Join("add", ((), off)), name=f"{node.name}, centred")
    even = *centred, Stage(Join("multiply", ((), spread)), name=f"{node.name}, divided")
    return _scaled(node, even, gamma, beta)


def local_response(node: Node, chain: Chain, channels: int | None) -> Chain:
    """Divide each sample by a power of the squares of the channels around it (A. Krizhevsky et al., 2012)."""
    if channels is None:
        raise KernelFileError("how many channels it has is not known")
    size = int(node.number("size", 1))
    before, behind = (size - 1) // 2, size // 2
    distance = np.arange(channels) - np.arange(channels)[:, np.newaxis]
    near = ((distance >= -before) & (distance <= behind)) * (node.number("alpha", 1e-4) / size)
    layer = layers.layer(near[:, :, np.newaxis, np.newaxis], np.full(channels, node.number("bias", 1.0)))
    divisor = (
        Stage(Point("power", 2.0), name=f"{node.name}, squares"),
        Stage(layer, name=f"{node.name}, channels around", padding="valid", padding_mode="constant"),
        Stage(Point("power", -node.number("beta", 0.75)), name=f"{node.name}, power"),
    )
    return *chain, Stage(Join("multiply", ((), divisor)), name=node.name)


# Pooling and padding --------------------------------------------------------------


def _pooling(kind: str) -> Callable[[Node, Chain], Chain]:
    def chain_after(node: Node, chain: Chain) -> Chain:
        size = node.pair("kernel_shape")
        counts = kind == "average" and bool(node.number("count_include_pad", 0))
        power = node.number("p", 2)
        made = Stage(
            Pooling(kind, size, counts, power),  # type: ignore[arg-type]
            name=node.name,
            stride=node.pair("strides"),
            dilation=node.pair("dilations"),
            padding=node.padding(),
            ceil=bool(node.number("ceil_mode", 0)),
        )
        return *chain, made

    return chain_after


def _global_pooling(kind: str) -> Callable[[Node, Chain], Chain]:
    def chain_after(node: Node, chain: Chain) -> Chain:
        return *chain, Stage(Pooling(kind, None), name=node.name, padding="valid")  # type: ignore[arg-type]

    return chain_after


_MODES: Mapping[str, PaddingMode] = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def _pad(node: Node, chain: Chain) -> Chain:
    pads = node.constant(1)
    numbers = node.integers("pads") if pads is None else [int(pad) for pad in pads.reshape(-1)]
    axes = node.constant(3)
    wanted = [0] * 8
    chosen = range(len(numbers) // 2) if axes is None else [int(axis) % 4 for axis in axes.reshape(-1)]
    for place, axis in enumerate(chosen):
        wanted[axis], wanted[axis + 4] = numbers[place], numbers[place + len(numbers) // 2]
    if any((wanted[0], wanted[1], wanted[4], wanted[5])):
        raise KernelFileError("it pads channels or pictures, not their sides")
    if min(wanted) < 0:
        raise KernelFileError("it cuts off; say valid padding instead")
    constant = node.constant(2)
    value = node.number("value", 0.0) if constant is None or not constant.size else float(constant.reshape(-1)[0])
    mode = _MODES[node.text("mode", "constant")]
    sides = wanted[2], wanted[6], wanted[3], wanted[7]
    padded = Stage(Correlation(kernels.identity()), name=node.name, padding=sides, padding_mode=mode)
    if mode != "constant" or value == 0:
        return *chain, padded
    # The level counts with white as 1, which padding_value does not: so zeros stand where the level is.
    lower, higher = (Stage(Point("bias", sign * value), name=node.name) for sign in (-1, 1))
    return *chain, lower, padded, higher


NODES: Mapping[str, Callable[[Node, Chain], Chain]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "BatchNormalization": _normalization,
    "InstanceNormalization": _of_each_picture,
    "GroupNormalization": _of_each_picture,
    "MaxPool": _pooling("max"),
    "AveragePool": _pooling("average"),
    "LpPool": _pooling("power"),
    "GlobalMaxPool": _global_pooling("max"),
    "GlobalAveragePool": _global_pooling("average"),
    "Pad": _pad,
    "Clip": _clip,
    "Neg": _negative,
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
    "HardSwish": _activation("hardswish"),
    "Mish": _activation("mish"),
    "Swish": _activation("swish", ("alpha", 1.0)),
}
