"""Lowering of ``loops/vectors.py`` to LLVM code: loads, stores and transposes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, models, register_model, type_callable

from convfilter.loops.vectors import (
    find_rank,
    lanes,
    prefetch,
    read,
    read_as,
    read_channels,
    read_halves,
    spread,
    transpose,
    transpose_by_float_lanes,
    vector_bytes,
    write,
    write_as,
    write_part,
    write_pixels,
)


class Vector(types.Type):
    """Numba's type of a register that holds ``lanes`` samples of one type."""

    def __init__(self, element: Any) -> None:
        self.element, self.lanes = element, vector_bytes() * 8 // element.bitwidth
        super().__init__(name=f"Vector({element} x {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        element = manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def vector_of(kind: Any, *_arguments: Any) -> Any:
    """Return the vector type for a sample type or a pointer to samples."""
    return Vector(kind.dtype if isinstance(kind, types.CPointer) else kind)


@type_callable(read_channels)
def _channels_type(_context):
    # A typing function that returns None is called again with the literal values of integers.
    def of(array: Any, _index: Any, count: Any) -> Any:
        is_literal = isinstance(count, types.IntegerLiteral)
        return types.UniTuple(vector_of(array), count.literal_value) if is_literal else None

    return of


@type_callable(lanes)
def _lanes_type(_context):
    return lambda array: types.int64


type_callable(spread)(lambda _context: lambda kind, value: vector_of(kind))
type_callable(read)(lambda _context: lambda array, index: vector_of(array))
type_callable(read_as)(lambda _context: lambda kind, array, index: vector_of(kind))
type_callable(read_halves)(lambda _context: lambda kind, array, index: types.UniTuple(vector_of(kind), 2))
type_callable(prefetch)(lambda _context: lambda array, index: types.void)
type_callable(write)(lambda _context: lambda array, index, vector: types.void)
type_callable(write_part)(lambda _context: lambda array, index, vector, count: types.void)
type_callable(write_as)(lambda _context: lambda array, index, vector: types.void)
type_callable(write_pixels)(lambda _context: lambda array, index, channels: types.void)
type_callable(transpose)(lambda _context: lambda source, index, pitch, target, to, target_pitch: types.void)
type_callable(find_rank)(lambda _context: lambda counts, index, rank: types.int64)
type_callable(transpose_by_float_lanes)(
    lambda _context: lambda source, index, pitch, target, to, target_pitch: types.void
)


@lower_builtin(lanes, types.CPointer)
@lower_builtin(lanes, types.Number)
def _lower_lanes(_context, _builder, signature, _arguments):
    return ir.Constant(ir.IntType(64), vector_of(signature.args[0]).lanes)


def splat(builder: Any, value: Any, count: int) -> Any:
    """Return a vector with one value in all lanes."""
    kind = ir.VectorType(value.type, count)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


@lower_builtin(spread, types.CPointer, types.Number)
@lower_builtin(spread, types.Number, types.Number)
def _lower_spread(context, builder, signature, arguments):
    kind = signature.return_type
    value = context.cast(builder, arguments[1], signature.args[1], kind.element)
    return splat(builder, value, kind.lanes)


def _place(context: Any, builder: Any, vector: Any, arguments: Any) -> Any:
    """Return the address of a vector, and its alignment in bytes, which is that of one sample."""
    place = builder.gep(arguments[0], [arguments[1]])
    return builder.bitcast(place, context.get_value_type(vector).as_pointer()), vector.element.bitwidth // 8


@lower_builtin(read, types.CPointer, types.Integer)
def _lower_read(context, builder, signature, arguments):
    place, align = _place(context, builder, signature.return_type, arguments)
    return builder.load(place, align=align)


@lower_builtin(read_as, types.CPointer, types.CPointer, types.Integer)
@lower_builtin(read_as, types.Number, types.CPointer, types.Integer)
def _lower_read_as(context, builder, signature, arguments):
    return read_vector(context, builder, signature.return_type, signature.args[1].dtype, *arguments[1:])


def read_vector(context: Any, builder: Any, vector: Vector, source: Any, array: Any, index: Any) -> Any:
    """Load samples of type ``source``, and convert them to the type ``vector``."""
    wanted = context.get_value_type(vector)
    kind = ir.VectorType(context.get_value_type(source), wanted.count)
    place = builder.bitcast(builder.gep(array, [index]), kind.as_pointer())
    samples = builder.load(place, align=source.bitwidth // 8)
    if isinstance(vector.element, types.Integer):
        return builder.zext(samples, wanted)
    if isinstance(source, types.Integer):
        # One instruction converts signed integers to real numbers, so unsigned ones become wider signed integers first.
        integer: Any = source
        width = 32 if integer.bitwidth < 32 else 64
        extend = builder.sext if integer.signed else builder.zext
        samples = extend(samples, ir.VectorType(ir.IntType(width), wanted.count))
        return builder.sitofp(samples, wanted)
    if kind.element == wanted.element:
        return samples
    change = builder.fpext if source.bitwidth < vector.element.bitwidth else builder.fptrunc
    return change(samples, wanted)


@lower_builtin(read_halves, types.CPointer, types.CPointer, types.Integer)
def _lower_read_halves(context, builder, signature, arguments):
    wanted, words = signature.return_type.dtype, signature.args[1].dtype
    halves = ir.VectorType(ir.IntType(words.bitwidth // 2), 2 * wanted.lanes)
    place = builder.bitcast(builder.gep(arguments[1], [arguments[2]]), halves.as_pointer())
    both = builder.load(place, align=words.bitwidth // 8)
    parts = [builder.shuffle_vector(both, both, _numbers(range(half, 2 * wanted.lanes, 2))) for half in (0, 1)]
    return context.make_tuple(
        builder, signature.return_type, [builder.sitofp(part, context.get_value_type(wanted)) for part in parts]
    )


@lower_builtin(read_channels, types.CPointer, types.Integer, types.IntegerLiteral)
def _lower_read_channels(context, builder, signature, arguments):
    array, index, _ = arguments
    kind, count = signature.return_type.dtype, signature.return_type.count
    pixel = ir.VectorType(context.get_value_type(kind.element), count)
    align = kind.element.bitwidth // 8
    # Vector ``first`` holds every ``count``-th pixel from that one on, so that the shuffles stay within 16 bytes.
    vectors = []
    for first in range(count):
        places = range(first, kind.lanes, count)
        addresses = [builder.gep(array, [builder.add(index, index.type(place * count))]) for place in places]
        parts = [builder.load(builder.bitcast(each, pixel.as_pointer()), align=align) for each in addresses]
        while len(parts) > 1:
            twice = _numbers(range(2 * parts[0].type.count))
            parts = [builder.shuffle_vector(*pair, twice) for pair in zip(parts[::2], parts[1::2], strict=True)]
        vectors += parts
    # Each round interleaves the samples of vectors that are half of the vectors apart, pixel by pixel.
    starts = range(0, kind.lanes, count)
    halves = [
        _numbers([start + half + lane // 2 + kind.lanes * (lane % 2) for start in starts for lane in range(count)])
        for half in (0, count // 2)
    ]
    for _ in range(count.bit_length() - 1):
        pairs = list(zip(vectors[: count // 2], vectors[count // 2 :], strict=True))
        vectors = [builder.shuffle_vector(*pair, half) for pair in pairs for half in halves]
    return context.make_tuple(builder, signature.return_type, vectors)


@lower_builtin(prefetch, types.CPointer, types.Integer)
def _lower_prefetch(context, builder, _signature, arguments):
    number = ir.IntType(32)
    place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
    name = "llvm.prefetch.p0"
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(function, [place, number(0), number(2), number(1)])
    return context.get_dummy_value()


def _square(context: Any, builder: Any, count: int, arguments: Any) -> Any:
    """Transpose a square of ``count`` rows and columns into another array."""
    source, index, pitch, target, to, target_pitch = arguments
    kind = ir.VectorType(source.type.pointee, count)
    align = context.get_abi_sizeof(kind.element)

    def places(memory: Any, first: Any, apart: Any) -> list[Any]:
        numbers = [builder.add(first, builder.mul(apart, apart.type(number))) for number in range(count)]
        return [builder.bitcast(builder.gep(memory, [number]), kind.as_pointer()) for number in numbers]

    square = [builder.load(place, align=align) for place in places(source, index, pitch)]
    # Each round interleaves the upper half of the rows with the lower half. After log2(count) such perfect shuffles,
    # rows have become columns.
    mask = ir.VectorType(ir.IntType(32), count)
    halves = [
        ir.Constant(mask, [half + lane // 2 + count * (lane % 2) for lane in range(count)]) for half in (0, count // 2)
    ]
    for _ in range(count.bit_length() - 1):
        pairs = zip(square[: count // 2], square[count // 2 :], strict=True)
        square = [builder.shuffle_vector(*pair, half) for pair in pairs for half in halves]
    for samples, place in zip(square, places(target, to, target_pitch), strict=True):
        builder.store(samples, place, align=align)
    return context.get_dummy_value()


_PLACES = types.CPointer, types.Integer, types.Integer, types.CPointer, types.Integer, types.Integer


@lower_builtin(transpose, *_PLACES)
def _lower_transpose(context, builder, signature, arguments):
    return _square(context, builder, vector_of(signature.args[0]).lanes, arguments)


@lower_builtin(transpose_by_float_lanes, *_PLACES)
def _lower_transpose_by_float_lanes(context, builder, _signature, arguments):
    return _square(context, builder, vector_bytes() // 4, arguments)


@lower_builtin(find_rank, types.CPointer, types.Integer, types.Integer)
def _lower_find_rank(_context, builder, _signature, arguments):
    array, index, rank = arguments
    kind = ir.VectorType(array.type.pointee, 16)
    none, lane = ir.Constant(kind, None), ir.VectorType(ir.IntType(32), 16)
    sums = builder.load(builder.bitcast(builder.gep(array, [index]), kind.as_pointer()), align=2)
    for step in (1, 2, 4, 8):  # prefix sums: each lane gains the value ``step`` lanes before it
        moved = ir.Constant(lane, [number + 16 - step if number >= step else 0 for number in range(16)])
        sums = builder.add(sums, builder.shuffle_vector(none, sums, moved))
    below = builder.icmp_unsigned("<=", sums, splat(builder, builder.trunc(rank, kind.element), 16))
    place = builder.zext(builder.ctpop(builder.bitcast(below, ir.IntType(16))), ir.IntType(64))
    name = "llvm.vector.reduce.umax.v16i16"
    largest = builder.module.globals.get(name) or ir.Function(
        builder.module, ir.FunctionType(kind.element, [kind]), name
    )
    before = builder.zext(builder.call(largest, [builder.select(below, sums, none)]), ir.IntType(64))
    return builder.add(builder.shl(before, ir.IntType(64)(4)), place)


def lanes_below(builder: Any, count: Any, lanes_: int) -> Any:
    """Return a mask of the lanes below ``count``."""
    numbers = ir.Constant(ir.VectorType(count.type, lanes_), list(range(lanes_)))
    return builder.icmp_signed("<", numbers, splat(builder, count, lanes_))


#: Abbreviations of types in the names of LLVM's intrinsics.
SHORT = {"float": "f32", "double": "f64"}


def _masked(builder: Any, name: str, vector: Any, result: Any, arguments: Any) -> Any:
    """Call LLVM's intrinsic for a masked load or store."""
    element = str(vector.element)
    full = f"llvm.masked.{name}.v{vector.count}{SHORT.get(element, element)}.p0"
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(full) or ir.Function(builder.module, kind, full)
    return builder.call(function, arguments)


def read_lanes(builder: Any, count: int, array: Any, index: Any, left: Any) -> Any:
    """Load the first ``left`` samples of a vector of ``count`` lanes; the other lanes are zeros."""
    kind = ir.VectorType(array.type.pointee, count)
    place = builder.bitcast(builder.gep(array, [index]), kind.as_pointer())
    align = ir.Constant(ir.IntType(32), _size(kind.element))
    return _masked(
        builder, "load", kind, kind, [place, align, lanes_below(builder, left, count), ir.Constant(kind, None)]
    )


def store(builder: Any, array: Any, index: Any, vector: Any, left: Any = None) -> None:
    """Store a vector, or its first ``left`` lanes."""
    place = builder.bitcast(builder.gep(array, [index]), vector.type.as_pointer())
    align = _size(vector.type.element)
    if left is None:
        builder.store(vector, place, align=align)
    else:
        mask = lanes_below(builder, left, vector.type.count)
        passed = [vector, place, ir.Constant(ir.IntType(32), align), mask]
        _masked(builder, "store", vector.type, ir.VoidType(), passed)


def store_integers(builder: Any, array: Any, index: Any, numbers: Any, left: Any = None) -> None:
    """Truncate integers to the type of an array, which can hold them, and store the first ``left`` or all."""
    store(builder, array, index, builder.trunc(numbers, ir.VectorType(array.type.pointee, numbers.type.count)), left)


def _size(element: Any) -> int:
    return {"float": 4, "double": 8}.get(str(element)) or element.width // 8


@lower_builtin(write, types.CPointer, types.Integer, Vector)
@lower_builtin(write_part, types.CPointer, types.Integer, Vector, types.Integer)
def _lower_write(context, builder, _signature, arguments):
    store(builder, *arguments)
    return context.get_dummy_value()


@lower_builtin(write_as, types.CPointer, types.Integer, Vector)
def _lower_write_as(context, builder, _signature, arguments):
    array, index, numbers = arguments
    store_integers(builder, array, index, integers(builder, numbers))
    return context.get_dummy_value()


@lower_builtin(write_pixels, types.CPointer, types.Integer, types.UniTuple)
def _lower_write_pixels(context, builder, signature, arguments):
    array, index, channels = arguments
    count = signature.args[2].dtype.lanes
    kind = ir.VectorType(array.type.pointee, count)
    one, two, three = (
        builder.trunc(integers(builder, builder.extract_value(channels, number)), kind) for number in range(3)
    )
    # A shuffle has two vectors of one length.
    first = builder.shuffle_vector(one, two, _numbers(range(2 * count)))
    last = builder.shuffle_vector(three, three, _numbers(range(2 * count)))
    order = _numbers([channel * count + lane for lane in range(count) for channel in range(3)])
    store(builder, array, index, builder.shuffle_vector(first, last, order))
    return context.get_dummy_value()


def _numbers(places: Iterable[int]) -> Any:
    """Return the mask of a shuffle."""
    numbers = list(places)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)


def integers(builder: Any, numbers: Any) -> Any:
    """Convert real numbers with integral values to integers; integers are returned unchanged."""
    if isinstance(numbers.type.element, ir.IntType):
        return numbers
    return builder.fptosi(numbers, ir.VectorType(ir.IntType(32), numbers.type.count))


def nearest_integers(builder: Any, vector: Any) -> Any:
    """Round real numbers half to even; only the lowest 22 bits of the resulting integers are valid."""
    width, bits = (32, 23) if vector.type.element == ir.FloatType() else (64, 52)
    # Near 1.5 * 2**bits adjacent floats are 1 apart, so the sum is rounded to an integer, which its lowest bits hold.
    whole = ir.Constant(vector.type, [1.5 * 2.0**bits] * vector.type.count)
    return builder.bitcast(builder.fadd(vector, whole), ir.VectorType(ir.IntType(width), vector.type.count))
