"""The functions of ``loops/blocks.py`` as machine code; a block is a tuple of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, type_callable

from convfilter.engine.loops.blocks import (
    divided,
    read_side_by_side,
    scaled,
    weigh,
    write_rows,
    write_rows_nearest,
    zeros,
)
from convfilter.engine.lowering.arithmetic import fused
from convfilter.engine.lowering.vectors import Vector, nearest_integers, read_vector, splat, vector_of


def _block_of(array: Any, count: Any) -> Any:
    # Without the number itself, which numba passes only when asked again, nobody knows the type.
    return types.UniTuple(vector_of(array), count.literal_value) if isinstance(count, types.IntegerLiteral) else None


type_callable(zeros)(lambda _context: _block_of)
type_callable(read_side_by_side)(lambda _context: lambda kind, array, index, count: _block_of(kind, count))
type_callable(scaled)(lambda _context: lambda sums, factors, terms: sums)
type_callable(divided)(lambda _context: lambda sums, divisors: sums)


@type_callable(weigh)
def _weigh_type(_context):
    def kind(sums, weights, index, samples, first, last):
        written_out = isinstance(first, types.IntegerLiteral) and isinstance(last, types.IntegerLiteral)
        return sums if written_out else None

    return kind


@type_callable(write_rows)
@type_callable(write_rows_nearest)
def _write_type(_context):
    return lambda array, index, pitch, sums, count: types.void if isinstance(count, types.IntegerLiteral) else None


def _vectors(builder: Any, block: Any) -> list[Any]:
    return [builder.extract_value(block, number) for number in range(block.type.count)]


def _block(builder: Any, vectors: list[Any]) -> Any:
    block = ir.Constant(ir.ArrayType(vectors[0].type, len(vectors)), ir.Undefined)
    for number, vector in enumerate(vectors):
        block = builder.insert_value(block, vector, number)
    return block


@lower_builtin(zeros, types.CPointer, types.IntegerLiteral)
def _lower_zeros(context, _builder, signature, _arguments):
    return ir.Constant(context.get_value_type(signature.return_type), None)


@lower_builtin(read_side_by_side, types.CPointer, types.CPointer, types.Integer, types.IntegerLiteral)
def _lower_read_side_by_side(context, builder, signature, arguments):
    (_, array, index, _), vector = arguments, signature.return_type.dtype
    places = (builder.add(index, index.type(number * vector.lanes)) for number in range(signature.return_type.count))
    source = signature.args[1].dtype
    return _block(builder, [read_vector(context, builder, vector, source, array, place) for place in places])


@lower_builtin(
    weigh, types.UniTuple, types.CPointer, types.Integer, types.UniTuple, types.IntegerLiteral, types.IntegerLiteral
)
def _lower_weigh(_context, builder, signature, arguments):
    sums, weights, index, samples, *_ = arguments
    first, last = (kind.literal_value for kind in signature.args[4:])
    added, vectors = _vectors(builder, sums), _vectors(builder, samples)
    for row in range(first, last):
        weight = builder.load(builder.gep(weights, [builder.add(index, index.type(row))]))
        weight = splat(builder, weight, vectors[0].type.count)
        for number, vector in enumerate(vectors, row * len(vectors)):
            added[number] = fused(builder, added[number], weight, vector)
    return _block(builder, added)


@lower_builtin(scaled, types.UniTuple, Vector, Vector)
def _lower_scaled(_context, builder, _signature, arguments):
    sums, factors, terms = arguments
    return _block(builder, [fused(builder, terms, factors, vector) for vector in _vectors(builder, sums)])


@lower_builtin(divided, types.UniTuple, Vector)
def _lower_divided(_context, builder, _signature, arguments):
    sums, divisors = arguments
    return _block(builder, [builder.fdiv(vector, divisors) for vector in _vectors(builder, sums)])


def _places(builder: Any, signature: Any, arguments: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each vector of some rows, and where it goes."""
    array, index, pitch, sums, _ = arguments
    count, lanes = signature.args[4].literal_value, signature.args[3].dtype.lanes
    for number, vector in enumerate(_vectors(builder, sums)):
        row = builder.mul(pitch, pitch.type(number // count))
        place = builder.add(builder.add(index, row), index.type(number % count * lanes))
        yield vector, builder.gep(array, [place])


_ROWS = types.CPointer, types.Integer, types.Integer, types.UniTuple, types.IntegerLiteral


@lower_builtin(write_rows, *_ROWS)
def _lower_write_rows(context, builder, signature, arguments):
    for vector, place in _places(builder, signature, arguments):
        align = signature.args[0].dtype.bitwidth // 8
        builder.store(vector, builder.bitcast(place, vector.type.as_pointer()), align=align)
    return context.get_dummy_value()


@lower_builtin(write_rows_nearest, *_ROWS)
def _lower_write_rows_nearest(context, builder, signature, arguments):
    for vector, place in _places(builder, signature, arguments):
        kind = ir.VectorType(place.type.pointee, vector.type.count)
        numbers = builder.trunc(nearest_integers(builder, vector), kind)
        align = signature.args[0].dtype.bitwidth // 8
        builder.store(numbers, builder.bitcast(place, kind.as_pointer()), align=align)
    return context.get_dummy_value()
