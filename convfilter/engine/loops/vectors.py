"""Vectors as loops use them: as many samples as one register holds, in names instead of in hope.

Left to vectorise by itself, the compiler sends the sums through memory after
every few taps, and uses half of the registers' width where it fears for the
processor's clock. The functions here say what is wanted. As plain Python they
work on short NumPy arrays; in a loop that is compiled, each becomes an
instruction or two. Every lane is summed in the order that is written, whatever
the number of lanes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import types
from numba.extending import lower_builtin, models, register_model, type_callable


@cache
def vector_bytes() -> int:
    """Return how wide the vectors of this processor are: 64 bytes with AVX-512, else 32."""
    return 64 if binding.get_host_cpu_features().get("avx512vl") else 32


# As plain Python -----------------------------------------------------------------


def lanes(array):
    """Return how many samples of ``array`` make up a vector."""
    return vector_bytes() // array.itemsize


def spread(array, value):
    """Return a vector for ``array`` that holds ``value`` everywhere."""
    return np.full(lanes(array), value, array.dtype)


def read(array, index):
    """Return the samples of ``array`` from ``index`` on."""
    return array[index : index + lanes(array)].copy()


def read_part(array, index, count):
    """Return the first ``count`` samples from ``index`` on, and zeros: nothing else is touched."""
    vector = np.zeros(lanes(array), array.dtype)
    kept = min(max(count, 0), lanes(array))
    vector[:kept] = array[index : index + kept]
    return vector


def write(array, index, vector):
    """Store ``vector`` from ``index`` on."""
    array[index : index + lanes(array)] = vector


def write_part(array, index, vector, count):
    """Store the first ``count`` samples of ``vector``: nothing else is touched."""
    kept = min(max(count, 0), lanes(array))
    array[index : index + kept] = vector[:kept]


def add(one, other):
    """Return the sum, lane by lane."""
    return one + other


def multiply_add(sums, weights, samples):
    """Return ``sums + weights * samples``, rounded once where the processor can."""
    return sums + weights * samples


# As machine code -----------------------------------------------------------------


class Vector(types.Type):
    """A register of ``lanes`` samples of one type."""

    def __init__(self, element: Any) -> None:
        self.element, self.lanes = element, vector_bytes() * 8 // element.bitwidth
        super().__init__(name=f"Vector({element} x {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        element = manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def _vector_of(array: Any, *_arguments: Any) -> Any:
    return Vector(array.dtype) if isinstance(array, types.CPointer) else None


def _same(one: Any, *_others: Any) -> Any:
    return one if isinstance(one, Vector) else None


@type_callable(lanes)
def _lanes_type(_context):
    return lambda array: types.int64


for _function in (spread, read):
    type_callable(_function)(lambda _context: lambda array, value: _vector_of(array))
type_callable(read_part)(lambda _context: lambda array, index, count: _vector_of(array))
type_callable(write)(lambda _context: lambda array, index, vector: types.void)
type_callable(write_part)(lambda _context: lambda array, index, vector, count: types.void)
type_callable(add)(lambda _context: lambda one, other: _same(one))
type_callable(multiply_add)(lambda _context: lambda sums, weights, samples: _same(sums))


@lower_builtin(lanes, types.CPointer)
def _lower_lanes(_context, _builder, signature, _arguments):
    return ir.Constant(ir.IntType(64), Vector(signature.args[0].dtype).lanes)


def _splat(builder: Any, value: Any, count: int) -> Any:
    """Copy one value into all lanes."""
    kind = ir.VectorType(value.type, count)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


@lower_builtin(spread, types.CPointer, types.Number)
def _lower_spread(context, builder, signature, arguments):
    kind = signature.return_type
    value = context.cast(builder, arguments[1], signature.args[1], kind.element)
    return _splat(builder, value, kind.lanes)


def _place(context: Any, builder: Any, vector: Any, arguments: Any) -> Any:
    """Return where a vector starts, and how it is aligned: as one of its samples is."""
    place = builder.gep(arguments[0], [arguments[1]])
    return builder.bitcast(place, context.get_value_type(vector).as_pointer()), vector.element.bitwidth // 8


@lower_builtin(read, types.CPointer, types.Integer)
def _lower_read(context, builder, signature, arguments):
    place, align = _place(context, builder, signature.return_type, arguments)
    return builder.load(place, align=align)


@lower_builtin(write, types.CPointer, types.Integer, Vector)
def _lower_write(context, builder, signature, arguments):
    place, align = _place(context, builder, signature.args[2], arguments)
    builder.store(arguments[2], place, align=align)
    return context.get_dummy_value()


def _mask(builder: Any, count: Any, lanes_: int) -> Any:
    """Return which lanes lie below ``count``."""
    numbers = ir.Constant(ir.VectorType(count.type, lanes_), list(range(lanes_)))
    return builder.icmp_signed("<", numbers, _splat(builder, count, lanes_))


def _masked(builder: Any, name: str, vector: Any, result: Any, arguments: Any) -> Any:
    """Load or store only the lanes that a mask names."""
    element = {"float": "f32", "double": "f64"}.get(str(vector.element), str(vector.element))
    full = f"llvm.masked.{name}.v{vector.count}{element}.p0"
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(full) or ir.Function(builder.module, kind, full)
    return builder.call(function, arguments)


@lower_builtin(read_part, types.CPointer, types.Integer, types.Integer)
def _lower_read_part(context, builder, signature, arguments):
    vector = signature.return_type
    place, align = _place(context, builder, vector, arguments)
    kind = context.get_value_type(vector)
    mask = _mask(builder, arguments[2], vector.lanes)
    return _masked(
        builder, "load", kind, kind, [place, ir.Constant(ir.IntType(32), align), mask, ir.Constant(kind, None)]
    )


@lower_builtin(write_part, types.CPointer, types.Integer, Vector, types.Integer)
def _lower_write_part(context, builder, signature, arguments):
    vector = signature.args[2]
    place, align = _place(context, builder, vector, arguments)
    mask = _mask(builder, arguments[3], vector.lanes)
    kind = context.get_value_type(vector)
    _masked(builder, "store", kind, ir.VoidType(), [arguments[2], place, ir.Constant(ir.IntType(32), align), mask])
    return context.get_dummy_value()


@lower_builtin(add, Vector, Vector)
def _lower_add(_context, builder, _signature, arguments):
    return builder.fadd(*arguments)


@lower_builtin(multiply_add, Vector, Vector, Vector)
def _lower_multiply_add(_context, builder, _signature, arguments):
    sums, weights, samples = arguments
    # ``contract`` is asked for by name: numba's option speaks of its own operators only.
    product = builder.fmul(weights, samples, flags=("contract",))
    return builder.fadd(sums, product, flags=("contract",))
