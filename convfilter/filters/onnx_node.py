"""A node of an ONNX graph with its attributes and constants, and the fusion of a node into the layer before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, shown
from convfilter.filters import layers
from convfilter.filters.network_operators import Layer
from convfilter.filters.operators import Point
from convfilter.filters.parameters import MOST_PIXELS
from convfilter.filters.stage import Stage
from convfilter.record import record, replace

if TYPE_CHECKING:
    import onnx

Array: TypeAlias = npt.NDArray[Any]
Chain: TypeAlias = tuple[Stage, ...]

_PLANE = 2
_AXES = 4
#: First version of ONNX operators that broadcasts inputs.
BROADCAST = 7
#: Kind of the node that stands for a layer normalisation in parts, whose axis may be any; no kind of ONNX.
CHANNEL_NORMALIZATION = "normalization of channels"


@record
class Node:
    """A node of a graph.

    Attributes
    ----------
    name : str
        Name of the node, or of its output.
    kind : str
        Kind of operator, such as "Conv".
    inputs : tuple of str
    attributes : dict
    constants : dict
        All known constants of the graph.
    opset : int
        Version of ONNX's operators in the model.
    shared : bool
        Whether other nodes read its input, too: the layer before is then computed once, and nothing is fused into it.
    channels_last : bool
        Whether its input has the layout (N, H, W, C).
    rank : int
        Number of axes of the network's input: 4 are (N, C, H, W), 3 are (N, C, W), 2 are (H, W). For a node that reads
        a vector of channels it is 2, (N, C), with ``channels_last``.
    channels : int, optional
        Channels of the network's input, if the file names their number.
    has_integers : bool
        Whether the network's input holds integers.
    outputs : int
        Number of outputs.
    shape : tuple of int
        Shape of the first input of a Resize, for one picture; empty if unknown.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    constants: Mapping[str, Array]
    opset: int = 0
    shared: bool = False
    channels_last: bool = False
    rank: int = 4
    channels: int | None = None
    has_integers: bool = False
    outputs: int = 1
    shape: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        proto: onnx.NodeProto,
        number: int,
        constants: Mapping[str, Array],
        opset: int = 0,
        shared: bool = False,
        channels_last: bool = False,
        rank: int = 4,
    ) -> Node:
        """Return a node of the file.

        Parameters
        ----------
        proto : onnx.NodeProto
        number : int
            Position of the node in the graph, which names a node without a name and without outputs.
        constants, opset, shared, channels_last, rank
            As the attributes.
        """
        from onnx import helper

        attributes = {each.name: helper.get_attribute_value(each) for each in proto.attribute}
        name = proto.name or (proto.output[0] if proto.output else f"{proto.op_type}_{number}")
        inputs, outputs = tuple(proto.input), len(proto.output)
        return cls(
            str(name), proto.op_type, inputs, attributes, constants, opset, shared, channels_last, rank, outputs=outputs
        )  # fmt: skip

    def open_layer(self, chain: Chain) -> Layer | None:
        """Return the last layer of a chain if the node may be fused into it."""
        operator = chain[-1].operator if chain and not self.shared else None
        return operator if isinstance(operator, Layer) and operator.activation == "none" else None

    @property
    def described(self) -> str:
        """Name and kind, for messages."""
        return f"{shown(self.name)} ({shown(self.kind, quotes=False)})"

    def constant(self, place: int) -> Array | None:
        """Return the input ``place`` (from 0) if it is a constant; None if it is not, or omitted."""
        if place >= len(self.inputs) or not self.inputs[place]:
            return None
        return self.constants.get(self.inputs[place])

    def needed(self, place: int, name: str) -> Array:
        """Return an input that must be a constant; ``name`` names it in the error.

        Raises
        ------
        KernelFileError
            The input is omitted, or computed from the picture.
        """
        constant = self.constant(place)
        if constant is None:
            raise KernelFileError(f"its {name} must be a constant stored in the file")
        return constant

    def number(self, name: str, default: float) -> float:
        """Return an attribute that is a number."""
        return float(self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is a text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def integers(self, name: str) -> list[int]:
        """Return an attribute that is a list of integers; empty if omitted."""
        return [int(value) for value in self.attributes.get(name, ())]

    def axes(self) -> list[int]:
        """Return the attribute ``axes`` or, as in newer versions of ONNX, the second input; empty if omitted."""
        axes = self.constant(1)
        return self.integers("axes") if axes is None else [int(axis) for axis in axes.reshape(-1)]

    def ranges(self) -> list[tuple[int, int, int, int]]:
        """Return (axis, start, end, step) of each axis that a Slice selects from; empty if they are no constants."""
        names = ("starts", "ends", "axes", "steps")
        stored = (self.constant(place) for place in range(1, 5))
        starts, ends, axes, steps = (
            self.integers(name) if array is None else [int(number) for number in array.reshape(-1)]
            for name, array in zip(names, stored, strict=True)
        )
        if len(starts) != len(ends) or not starts:
            return []
        return [*zip(axes or range(len(starts)), starts, ends, steps or [1] * len(starts), strict=True)]

    def pair(self, name: str, default: int = 1) -> tuple[int, int]:
        """Return an attribute of one number for each axis, (rows, cols); a 1-D signal is a picture of one row.

        Raises
        ------
        KernelFileError
            The attribute is for volumes.
        """
        values = self._limited(name) or [default] * _PLANE
        if len(values) > _PLANE:
            raise KernelFileError(f"pictures have two axes, got {name} of {len(values)}; volumes are not supported")
        return (values[0], values[1]) if len(values) == _PLANE else (default, values[0])

    def _limited(self, name: str) -> list[int]:
        """Return numbers of pixels; an error for more than a SPEC may state."""
        values = self.integers(name)
        if max(values, default=0) > MOST_PIXELS:
            raise KernelFileError(f"its {name} must be at most {MOST_PIXELS}, got {max(values)}")
        return values

    def choice(self, name: str, known: Sequence[str]) -> str:
        """Return an attribute that is one of the ``known`` texts, by default the first.

        Raises
        ------
        KernelFileError
            The attribute is another text.
        """
        value = self.text(name, known[0])
        if value not in known:
            raise KernelFileError(f"its {name} must be one of {', '.join(known)}, got {shown(value)}")
        return value

    def window(self) -> tuple[int, int]:
        """Return the window of a pooling, (rows, cols).

        Raises
        ------
        KernelFileError
            The attribute ``kernel_shape`` is missing.
        """
        if "kernel_shape" not in self.attributes:
            raise KernelFileError("its kernel_shape is missing")
        return self.pair("kernel_shape")

    def padding(self) -> str | tuple[int, int, int, int]:
        """Return the padding in a stage's form: a word, or (top, bottom, left, right).

        Raises
        ------
        KernelFileError
            The padding is unknown, or for volumes.
        """
        automatic = self.choice("auto_pad", ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"))
        if automatic != "NOTSET":
            return automatic.lower()
        pads = self._limited("pads") or [0] * 4
        if len(pads) == 2:  # a 1-D signal
            pads = [0, pads[0], 0, pads[1]]
        if len(pads) != 4:
            raise KernelFileError(f"pads of a picture are 4 numbers, got {len(pads)}; volumes are not supported")
        top, left, bottom, right = pads
        return top, bottom, left, right

    @property
    def pixel_axes(self) -> tuple[int, int]:
        """The axes of rows and columns in a tensor of four axes."""
        return (1, 2) if self.channels_last else (2, 3)

    def is_of_channels(self, axis: float) -> bool:
        """Whether an axis is the axis of channels; a tensor of two axes has no such axis."""
        place = int(axis) + (self.rank if axis < 0 else 0)
        return (self.rank > _PLANE or self.channels_last) and place == (self.rank - 1 if self.channels_last else 1)

    def picture(self, place: int) -> Array:
        """Return a constant operand as (rows, cols, channels); a side of 1 is broadcast.

        Raises
        ------
        KernelFileError
            The constant is for several pictures, or has more axes.
        """
        constant = self.needed(place, "constant").astype(np.float64)
        if self.opset < BROADCAST and "axis" in self.attributes:  # the place of its first axis
            following = self.rank - int(self.number("axis", 0)) % self.rank - constant.ndim
            constant = constant.reshape(*constant.shape, *[1] * following)
        if self.rank == _AXES - 1 and constant.ndim > 1:
            constant = np.expand_dims(constant, -2)
        if constant.ndim > _AXES or (constant.ndim == _AXES and constant.shape[0] != 1):
            raise KernelFileError(
                f"a constant must fit one picture, (1, C, H, W), got the shape {shown(constant.shape)}"
            )
        operand: Array = constant.reshape((1,) * (_AXES - constant.ndim) + constant.shape)[0]
        return operand if self.channels_last else operand.transpose(1, 2, 0)


def scaled(node: Node, chain: Chain, factor: Array, shift: Array) -> Chain:
    """Append a scale and a shift: fused into the layer before, as point operations, or as a 1x1 layer.

    Parameters
    ----------
    node : Node
    chain : tuple of Stage
    factor, shift : (1,) or (channels,) array

    Raises
    ------
    KernelFileError
        There are neither one number nor as many as the layer before has channels.
    """
    operator = node.open_layer(chain)
    if operator is not None:
        if max(factor.size, shift.size) not in (1, len(operator.bias)):
            raise KernelFileError(f"it has {max(factor.size, shift.size)} numbers for {len(operator.bias)} channels")
        fused = replace(
            operator,
            weight=operator.weight * _broadcast(factor, operator)[:, np.newaxis, np.newaxis, np.newaxis],
            bias=operator.bias * factor + shift,
        )
        return with_layer(node, chain, fused)
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
    """Return a chain with a node fused into its last layer."""
    return *chain[:-1], replace(chain[-1], operator=layer, name=f"{chain[-1].name}+{node.name}")


def _broadcast(factor: Array, operator: Layer) -> Array:
    """Return one factor for each output channel of a layer."""
    return np.broadcast_to(factor, operator.bias.shape)
