"""The functions of ``loops/vectors.py`` as machine code: what each becomes in a loop that is compiled."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, models, register_model, type_callable

from convfilter.engine.loops.vectors import (
    add,
    between,
    divide,
    high_product,
    lanes,
    magnitude,
    multiply_add,
    nearest,
    prefetch,
    read,
    read_as,
    read_part,
    spread,
    transpose,
    unequal,
    unequal_part,
    vector_bytes,
    write,
    write_as,
    write_as_part,
    write_part,
)


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


def _vector_of(kind: Any, *_arguments: Any) -> Any:
    return Vector(kind.dtype if isinstance(kind, types.CPointer) else kind)


@type_callable(lanes)
def _lanes_type(_context):
    return lambda array: types.int64


type_callable(spread)(lambda _context: lambda kind, value: _vector_of(kind))
type_callable(read)(lambda _context: lambda array, index: _vector_of(array))
type_callable(read_part)(lambda _context: lambda array, index, count: _vector_of(array))
type_callable(read_as)(lambda _context: lambda kind, array, index: _vector_of(kind))
type_callable(prefetch)(lambda _context: lambda array, index: types.void)
type_callable(write)(lambda _context: lambda array, index, vector: types.void)
type_callable(write_part)(lambda _context: lambda array, index, vector, count: types.void)
type_callable(write_as)(lambda _context: lambda array, index, vector: types.void)
type_callable(write_as_part)(lambda _context: lambda array, index, vector, count: types.void)
type_callable(transpose)(lambda _context: lambda source, index, pitch, target, to, target_pitch: types.void)
type_callable(nearest)(lambda _context: lambda vector: vector)
type_callable(magnitude)(lambda _context: lambda vector: vector)
type_callable(divide)(lambda _context: lambda one, other: one)
type_callable(between)(lambda _context: lambda vector, low, high: vector)
type_callable(unequal)(lambda _context: lambda one, other: types.int64)
type_callable(unequal_part)(lambda _context: lambda one, other, count: types.int64)
type_callable(high_product)(lambda _context: lambda one, other: one)
type_callable(add)(lambda _context: lambda one, other: one)
type_callable(multiply_add)(lambda _context: lambda sums, weights, samples: sums)


@lower_builtin(lanes, types.CPointer)
@lower_builtin(lanes, types.Number)
def _lower_lanes(_context, _builder, signature, _arguments):
    return ir.Constant(ir.IntType(64), _vector_of(signature.args[0]).lanes)


def _splat(builder: Any, value: Any, count: int) -> Any:
    """Copy one value into all lanes."""
    kind = ir.VectorType(value.type, count)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


@lower_builtin(spread, types.CPointer, types.Number)
@lower_builtin(spread, types.Number, types.Number)
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


@lower_builtin(read_as, types.CPointer, types.CPointer, types.Integer)
@lower_builtin(read_as, types.Number, types.CPointer, types.Integer)
def _lower_read_as(context, builder, signature, arguments):
    source = signature.args[1].dtype
    wanted = context.get_value_type(signature.return_type)
    kind = ir.VectorType(context.get_value_type(source), wanted.count)
    place = builder.bitcast(builder.gep(arguments[1], [arguments[2]]), kind.as_pointer())
    samples = builder.load(place, align=source.bitwidth // 8)
    if isinstance(signature.return_type.element, types.Integer):
        return builder.zext(samples, wanted)
    if isinstance(source, types.Integer):
        # Signed numbers convert in one instruction; wider ones hold them all.
        samples = builder.zext(samples, ir.VectorType(ir.IntType(32), wanted.count))
        return builder.sitofp(samples, wanted)
    if kind.element == wanted.element:
        return samples
    change = builder.fpext if source.bitwidth < signature.return_type.element.bitwidth else builder.fptrunc
    return change(samples, wanted)


@lower_builtin(prefetch, types.CPointer, types.Integer)
def _lower_prefetch(context, builder, _signature, arguments):
    number = ir.IntType(32)
    place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
    name = "llvm.prefetch.p0"
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(function, [place, number(0), number(2), number(1)])
    return context.get_dummy_value()


@lower_builtin(write, types.CPointer, types.Integer, Vector)
def _lower_write(context, builder, signature, arguments):
    place, align = _place(context, builder, signature.args[2], arguments)
    builder.store(arguments[2], place, align=align)
    return context.get_dummy_value()


@lower_builtin(transpose, types.CPointer, types.Integer, types.Integer, types.CPointer, types.Integer, types.Integer)
def _lower_transpose(context, builder, signature, arguments):
    vector = _vector_of(signature.args[0])
    source, index, pitch, target, to, target_pitch = arguments

    def places(memory, first, apart):
        numbers = (builder.add(first, builder.mul(apart, apart.type(number))) for number in range(vector.lanes))
        return [_place(context, builder, vector, (memory, number)) for number in numbers]

    square = [builder.load(place, align=align) for place, align in places(source, index, pitch)]
    # Squares of two, four, eight, ... samples exchange the quarters that lie off their diagonal.
    count, half = vector.lanes, 1
    while half < count:
        swapped = [count + (lane ^ half) if lane & half else lane for lane in range(count)]
        rest = [count + lane if lane & half else lane ^ half for lane in range(count)]
        for upper in (number for number in range(count) if not number & half):
            pair = square[upper], square[upper | half]
            for row, lanes_ in ((upper, swapped), (upper | half, rest)):
                square[row] = builder.shuffle_vector(*pair, ir.Constant(ir.VectorType(ir.IntType(32), count), lanes_))
        half *= 2
    for samples, (place, align) in zip(square, places(target, to, target_pitch), strict=True):
        builder.store(samples, place, align=align)
    return context.get_dummy_value()


def _mask(builder: Any, count: Any, lanes_: int) -> Any:
    """Return which lanes lie below ``count``."""
    numbers = ir.Constant(ir.VectorType(count.type, lanes_), list(range(lanes_)))
    return builder.icmp_signed("<", numbers, _splat(builder, count, lanes_))


#: How LLVM abbreviates its types in the names of functions.
_SHORT = {"float": "f32", "double": "f64"}


def _masked(builder: Any, name: str, vector: Any, result: Any, arguments: Any) -> Any:
    """Load or store only the lanes that a mask names."""
    element = str(vector.element)
    full = f"llvm.masked.{name}.v{vector.count}{_SHORT.get(element, element)}.p0"
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
def _lower_add(_context, builder, signature, arguments):
    whole = isinstance(signature.return_type.element, types.Integer)
    return (builder.add if whole else builder.fadd)(*arguments)


@lower_builtin(high_product, Vector, Vector)
def _lower_high_product(_context, builder, signature, arguments):
    double = ir.VectorType(ir.IntType(32), signature.return_type.lanes)
    product = builder.mul(*(builder.zext(numbers, double) for numbers in arguments))
    high = builder.lshr(product, ir.Constant(double, [16] * double.count))
    return builder.trunc(high, arguments[0].type)


@lower_builtin(multiply_add, Vector, Vector, Vector)
def _lower_multiply_add(_context, builder, _signature, arguments):
    sums, weights, samples = arguments
    # ``contract`` is asked for by name: numba's option speaks of its own operators only.
    product = builder.fmul(weights, samples, flags=("contract",))
    return builder.fadd(sums, product, flags=("contract",))


@lower_builtin(divide, Vector, Vector)
def _lower_divide(_context, builder, _signature, arguments):
    return builder.fdiv(*arguments)


def _called(builder: Any, name: str, vector: Any) -> Any:
    """Call one of LLVM's functions of a vector."""
    kind = ir.FunctionType(vector.type, [vector.type])
    full = f"llvm.{name}.v{vector.type.count}{_SHORT[str(vector.type.element)]}"
    return builder.call(builder.module.globals.get(full) or ir.Function(builder.module, kind, full), [vector])


@lower_builtin(nearest, Vector)
def _lower_nearest(_context, builder, _signature, arguments):
    return _called(builder, "rint", *arguments)


@lower_builtin(magnitude, Vector)
def _lower_magnitude(_context, builder, _signature, arguments):
    return _called(builder, "fabs", *arguments)


@lower_builtin(between, Vector, Vector, Vector)
def _lower_between(_context, builder, _signature, arguments):
    vector, low, high = arguments
    above = builder.select(builder.fcmp_ordered(">", vector, low), vector, low)
    return builder.select(builder.fcmp_ordered("<", above, high), above, high)


def _count(builder: Any, lanes_: Any) -> Any:
    """Count the lanes that are true."""
    number = builder.bitcast(lanes_, ir.IntType(lanes_.type.count))
    return builder.zext(builder.ctpop(number), ir.IntType(64))


@lower_builtin(unequal, Vector, Vector)
def _lower_unequal(_context, builder, _signature, arguments):
    return _count(builder, builder.fcmp_unordered("!=", *arguments))


@lower_builtin(unequal_part, Vector, Vector, types.Integer)
def _lower_unequal_part(_context, builder, signature, arguments):
    one, other, count = arguments
    differ = builder.fcmp_unordered("!=", one, other)
    return _count(builder, builder.and_(differ, _mask(builder, count, signature.args[0].lanes)))


def _whole(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[Any, Any, int]:
    """Return a vector's numbers as the integers of an array, where they go, and how that is aligned."""
    target, vector = signature.args[0].dtype, signature.args[2]
    numbers = arguments[2]
    if not isinstance(vector.element, types.Integer):
        numbers = builder.fptosi(numbers, ir.VectorType(ir.IntType(32), vector.lanes))
    kind = ir.VectorType(context.get_value_type(target), vector.lanes)
    place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), kind.as_pointer())
    return builder.trunc(numbers, kind), place, target.bitwidth // 8


@lower_builtin(write_as, types.CPointer, types.Integer, Vector)
def _lower_write_as(context, builder, signature, arguments):
    numbers, place, align = _whole(context, builder, signature, arguments)
    builder.store(numbers, place, align=align)
    return context.get_dummy_value()


@lower_builtin(write_as_part, types.CPointer, types.Integer, Vector, types.Integer)
def _lower_write_as_part(context, builder, signature, arguments):
    numbers, place, align = _whole(context, builder, signature, arguments)
    mask = _mask(builder, arguments[3], signature.args[2].lanes)
    passed = [numbers, place, ir.Constant(ir.IntType(32), align), mask]
    _masked(builder, "store", numbers.type, ir.VoidType(), passed)
    return context.get_dummy_value()
