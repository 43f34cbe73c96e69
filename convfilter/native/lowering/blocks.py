"""Lowering of ``loops/blocks.py`` to LLVM code: the same instructions for each vector of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, type_callable

from convfilter.loops import blocks
from convfilter.native.lowering.arithmetic import called, clipped, differing, fused
from convfilter.native.lowering.vectors import (
    Vector,
    integers,
    nearest_integers,
    read_lanes,
    read_vector,
    splat,
    store,
    store_integers,
    vector_of,
)

# Types --------------------------------------------------------------------------
# A typing function that returns None is called again with the literal values of integers.


def _block_of(array: Any, count: Any) -> Any:
    return types.UniTuple(vector_of(array), count.literal_value) if isinstance(count, types.IntegerLiteral) else None


def _if_literal(number: Any, kind: Any) -> Any:
    return kind if isinstance(number, types.IntegerLiteral) else None


type_callable(blocks.zeros)(lambda _context: _block_of)
type_callable(blocks.read)(lambda _context: lambda kind, array, index, count: _block_of(kind, count))
type_callable(blocks.read_part)(lambda _context: lambda kind, array, index, count, left: _block_of(kind, count))
type_callable(blocks.weigh)(
    lambda _context: lambda sums, weights, index, samples, first, last: _if_literal(first, sums)
)
type_callable(blocks.scaled)(lambda _context: lambda sums, factors, terms: sums)
type_callable(blocks.divided)(lambda _context: lambda sums, divisors: sums)
type_callable(blocks.quotients)(lambda _context: lambda sums, unit, inverse, most, factor, divisors: sums)
type_callable(blocks.magnitudes)(lambda _context: lambda sums: sums)
type_callable(blocks.add_rows)(lambda _context: lambda array, index, pitch, count, sums: _if_literal(count, sums))
type_callable(blocks.add_rows_part)(
    lambda _context: lambda array, index, pitch, count, left, sums: _if_literal(count, sums)
)


@type_callable(blocks.write_rows)
@type_callable(blocks.write_rows_nearest)
def _writing_type(_context):
    return lambda array, index, pitch, count, sums: _if_literal(count, types.void)


@type_callable(blocks.write_rows_part)
@type_callable(blocks.write_rows_nearest_part)
def _part_writing_type(_context):
    return lambda array, index, pitch, count, left, sums: _if_literal(count, types.void)


type_callable(blocks.write_rows_clipped)(
    lambda _context: lambda array, index, pitch, count, sums, full: _if_literal(count, types.int64)
)
type_callable(blocks.write_rows_clipped_part)(
    lambda _context: lambda array, index, pitch, count, left, sums, full: _if_literal(count, types.int64)
)


# Arithmetic ----------------------------------------------------------------------


def _vectors(builder: Any, block: Any) -> list[Any]:
    return [builder.extract_value(block, number) for number in range(block.type.count)]


def _block(builder: Any, vectors: list[Any]) -> Any:
    block = ir.Constant(ir.ArrayType(vectors[0].type, len(vectors)), ir.Undefined)
    for number, vector in enumerate(vectors):
        block = builder.insert_value(block, vector, number)
    return block


@lower_builtin(blocks.zeros, types.CPointer, types.IntegerLiteral)
def _lower_zeros(context, _builder, signature, _arguments):
    return ir.Constant(context.get_value_type(signature.return_type), None)


@lower_builtin(blocks.read, types.CPointer, types.CPointer, types.Integer, types.IntegerLiteral)
def _lower_read(context, builder, signature, arguments):
    (_, array, index, _), vector = arguments, signature.return_type.dtype
    places = (builder.add(index, index.type(number * vector.lanes)) for number in range(signature.return_type.count))
    source = signature.args[1].dtype
    return _block(builder, [read_vector(context, builder, vector, source, array, place) for place in places])


@lower_builtin(blocks.read_part, types.CPointer, types.CPointer, types.Integer, types.IntegerLiteral, types.Integer)
def _lower_read_part(_context, builder, signature, arguments):
    (_, array, index, _, left), lanes = arguments, signature.return_type.dtype.lanes
    befores = [index.type(number * lanes) for number in range(signature.return_type.count)]
    rows = [
        read_lanes(builder, lanes, array, builder.add(index, before), builder.sub(left, before)) for before in befores
    ]
    return _block(builder, rows)


@lower_builtin(
    blocks.weigh,
    types.UniTuple,
    types.CPointer,
    types.Integer,
    types.UniTuple,
    types.IntegerLiteral,
    types.IntegerLiteral,
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


@lower_builtin(blocks.scaled, types.UniTuple, Vector, Vector)
def _lower_scaled(_context, builder, _signature, arguments):
    sums, factors, terms = arguments
    return _block(builder, [fused(builder, terms, factors, vector) for vector in _vectors(builder, sums)])


@lower_builtin(blocks.divided, types.UniTuple, Vector)
def _lower_divided(_context, builder, _signature, arguments):
    sums, divisors = arguments
    return _block(builder, [builder.fdiv(vector, divisors) for vector in _vectors(builder, sums)])


@lower_builtin(blocks.quotients, types.UniTuple, Vector, Vector, Vector, Vector, Vector)
def _lower_quotients(_context, builder, _signature, arguments):
    sums, unit, inverse, most, factor, divisors = arguments
    found, minus = [], builder.fneg(unit)
    for vector in _vectors(builder, sums):
        weights = called(builder, "rint", builder.fmul(vector, inverse))
        samples = builder.fmul(fused(builder, vector, weights, minus), factor)
        above = builder.fcmp_ordered(">", weights, ir.Constant(weights.type, None))
        found.append(builder.fdiv(samples, builder.fmul(divisors, builder.select(above, weights, most))))
    return _block(builder, found)


@lower_builtin(blocks.magnitudes, types.UniTuple)
def _lower_magnitudes(_context, builder, _signature, arguments):
    return _block(builder, [called(builder, "fabs", vector) for vector in _vectors(builder, arguments[0])])


# Blocks as rows in memory --------------------------------------------------------

#: Lanes of a vector of float32 in AVX2, and vectors whose integers are narrowed and stored together: instructions that
#: pack integers take two vectors, and those of AVX-512 one. A 3x3 kernel takes 0.96 of the time (AMD EPYC).
_PACKED_LANES, _PACKED_VECTORS = 8, 4

_ROWS = types.CPointer, types.Integer, types.Integer, types.IntegerLiteral, types.UniTuple
_PARTS = (*_ROWS[:-1], types.Integer, types.UniTuple)


def _in_rows(builder: Any, signature: Any, arguments: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each vector of a block, its index in the array, and the number of its samples to process (None: all)."""
    _array, index, pitch, _, *left, sums = arguments
    count, lanes = signature.args[3].literal_value, sums.type.element.count
    for number, vector in enumerate(_vectors(builder, sums)):
        before = index.type(number % count * lanes)
        place = builder.add(builder.add(index, builder.mul(pitch, pitch.type(number // count))), before)
        yield vector, place, builder.sub(left[0], before) if left else None


@lower_builtin(blocks.add_rows, *_ROWS)
@lower_builtin(blocks.add_rows_part, *_PARTS)
def _lower_add_rows(context, builder, signature, arguments):
    added = []
    for vector, place, left in _in_rows(builder, signature, arguments):
        if left is None:
            kind, source = signature.return_type.dtype, signature.args[0].dtype
            old = read_vector(context, builder, kind, source, arguments[0], place)
        else:
            old = read_lanes(builder, vector.type.count, arguments[0], place, left)
        added.append(builder.fadd(old, vector))
    return _block(builder, added)


def _writing(write: Callable[..., None]) -> Callable[..., Any]:
    """Return the lowering of a call that writes each vector of a block."""

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for vector, place, left in _in_rows(builder, signature, arguments):
            write(builder, arguments[0], place, vector, left)
        return context.get_dummy_value()

    return lower


def _store_nearest(builder: Any, array: Any, place: Any, vector: Any, left: Any) -> None:
    store_integers(builder, array, place, nearest_integers(builder, vector), left)


lower_builtin(blocks.write_rows, *_ROWS)(_writing(store))
lower_builtin(blocks.write_rows_part, *_PARTS)(_writing(store))
lower_builtin(blocks.write_rows_nearest, *_ROWS)(_writing(_store_nearest))
lower_builtin(blocks.write_rows_nearest_part, *_PARTS)(_writing(_store_nearest))


@lower_builtin(blocks.write_rows_clipped, *_ROWS, types.Number)
@lower_builtin(blocks.write_rows_clipped_part, *_PARTS, types.Number)
def _lower_write_rows_clipped(_context, builder, signature, arguments):
    *where, full = arguments
    beyond, numbers, places = ir.Constant(ir.IntType(64), 0), [], []
    for vector, place, left in _in_rows(builder, signature, where):
        zeros, fulls = ir.Constant(vector.type, None), splat(builder, full, vector.type.count)
        whole = called(builder, "rint", vector)
        inside = clipped(builder, whole, zeros, fulls)
        beyond = builder.add(beyond, differing(builder, inside, whole, left))
        numbers.append(integers(builder, inside))
        places.append((place, left))
    packs = vector.type == ir.VectorType(ir.FloatType(), _PACKED_LANES) and left is None
    most, count, first = _PACKED_VECTORS if packs else 1, signature.args[3].literal_value, 0
    while first < len(numbers):
        some = min(most, 1 << (count - first % count).bit_length() - 1)  # a power of two, from the same row
        place, left = places[first]
        store_integers(builder, where[0], place, _joined(builder, numbers[first : first + some]), left)
        first += some
    return beyond


def _joined(builder: Any, vectors: Sequence[Any]) -> Any:
    """Return the lanes of one, two or four vectors as one vector."""
    while len(vectors) > 1:
        lanes = ir.Constant(
            ir.VectorType(ir.IntType(32), 2 * vectors[0].type.count), [*range(2 * vectors[0].type.count)]
        )
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [builder.shuffle_vector(one, other, lanes) for one, other in pairs]
    return vectors[0]
