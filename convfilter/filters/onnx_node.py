"""A node of an ONNX graph, and what becomes part of the layer before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, shown
from convfilter.filters import layers
from convfilter.filters.stage import Layer, Point, Stage
from convfilter.record import record

if TYPE_CHECKING:
    import onnx

Array: TypeAlias = npt.NDArray[Any]
Chain: TypeAlias = tuple[Stage, ...]

_PLANE = 2
_AXES = 4
#: The version of operators that broadcast their inputs.
BROADCAST = 7


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
    turned : bool
        What it sees is (N, H, W, C).
    rank : int
        Axes of the network's input: of 3, (N, C, W); of 2, (H, W).
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    constants: Mapping[str, Array]
    opset: int = 0
    shared: bool = False
    turned: bool = False
    rank: int = 4

    @classmethod
    def of(
        cls,
        proto: onnx.NodeProto,
        number: int,
        constants: Mapping[str, Array],
        opset: int = 0,
        shared: bool = False,
        turned: bool = False,
        rank: int = 4,
    ) -> Node:
        """Make one of what the file holds."""
        from onnx import helper

        attributes = {each.name: helper.get_attribute_value(each) for each in proto.attribute}
        name = proto.name or (proto.output[0] if proto.output else f"{proto.op_type}_{number}")
        return cls(str(name), proto.op_type, tuple(proto.input), attributes, constants, opset, shared, turned, rank)

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

    def picture(self, place: int) -> Array:
        """Return a constant that stands beside a picture, as (rows, cols, channels); a side of 1 is for all.

        Raises
        ------
        KernelFileError
            It is one of several pictures, or has more axes.
        """
        constant = self.needed(place, "constant").astype(np.float64)
        if self.opset < BROADCAST and "axis" in self.attributes:  # where its first axis is
            behind = self.rank - int(self.number("axis", 0)) % self.rank - constant.ndim
            constant = constant.reshape(*constant.shape, *[1] * behind)
        if self.rank == _AXES - 1 and constant.ndim > 1:
            constant = np.expand_dims(constant, -2)
        if constant.ndim > _AXES or (constant.ndim == _AXES and constant.shape[0] != 1):
            raise KernelFileError(f"constants are for one picture, got the shape {shown(constant.shape)}")
        whole: Array = constant.reshape((1,) * (_AXES - constant.ndim) + constant.shape)[0]
        return whole if self.turned else whole.transpose(1, 2, 0)


def scaled(node: Node, chain: Chain, factor: Array, shift: Array) -> Chain:
    """Multiply each channel and add to it: in the layer before, or as points, or as a layer of one pixel."""
    operator = node.open_layer(chain)
    if operator is not None:
        made = replace(
            operator,
            weight=operator.weight * _broadcast(factor, operator)[:, np.newaxis, np.newaxis, np.newaxis],
            bias=operator.bias * factor + shift,
        )
        return with_layer(node, chain, made)
    if factor.size == shift.size == 1:
        points = (Point("scale", float(factor[0])),) if factor[0] != 1 else ()
        if shift[0] != 0:
            points = (*points, Point("bias", float(shift[0])))
        return *chain, *(Stage(point, name=node.name) for point in points)
    channels = max(factor.size, shift.size)
    weight = np.broadcast_to(factor, channels).reshape(-1, 1, 1, 1)
    operator = layers.layer(weight, np.broadcast_to(shift, channels), groups=channels)
    return *chain, Stage(operator, name=node.name, padding="valid", padding_mode="constant")


def with_layer(node: Node, chain: Chain, layer: Layer) -> Chain:
    """Return a chain whose last layer has taken a node in."""
    return *chain[:-1], replace(chain[-1], operator=layer, name=f"{chain[-1].name}+{node.name}")


def _broadcast(factor: Array, operator: Layer) -> Array:
    return np.broadcast_to(factor, operator.bias.shape)
