"""Lowering of ``loops/vectors.py`` to LLVM code: arithmetic, rounding and comparison."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, type_callable

from convfilter.loops.vectors import (
    add,
    between,
    choose,
    divide,
    exclusive_or,
    exp2,
    greater,
    high_product,
    lesser,
    look_up,
    magnitude,
    mean,
    multiply,
    multiply_add,
    nearest,
    next_lane,
    positive,
    select,
    subtract,
    thrice,
    unequal,
)
from convfilter.native.lowering.vectors import SHORT, Vector, lanes_below

type_callable(next_lane)(lambda _context: lambda vector: vector)
type_callable(thrice)(lambda _context: lambda vector: types.UniTuple(vector, 3))
type_callable(look_up)(lambda _context: lambda table, numbers: table)
type_callable(exp2)(lambda _context: lambda vector: vector)
type_callable(nearest)(lambda _context: lambda vector: vector)
type_callable(magnitude)(lambda _context: lambda vector: vector)
type_callable(divide)(lambda _context: lambda one, other: one)
type_callable(multiply)(lambda _context: lambda one, other: one)
type_callable(positive)(lambda _context: lambda vector, other: vector)
type_callable(between)(lambda _context: lambda vector, low, high: vector)
type_callable(unequal)(lambda _context: lambda one, other: types.int64)
type_callable(choose)(lambda _context: lambda numbers, least, one, other: one)
type_callable(select)(lambda _context: lambda bits, one, other: one)
type_callable(exclusive_or)(lambda _context: lambda one, other: one)
type_callable(mean)(lambda _context: lambda one, other: one)
type_callable(high_product)(lambda _context: lambda one, other: one)
type_callable(add)(lambda _context: lambda one, other: one)
type_callable(subtract)(lambda _context: lambda one, other: one)
type_callable(lesser)(lambda _context: lambda one, other: one)
type_callable(greater)(lambda _context: lambda one, other: one)
type_callable(multiply_add)(lambda _context: lambda sums, weights, samples: sums)


@lower_builtin(add, Vector, Vector)
def _lower_add(_context, builder, signature, arguments):
    whole = isinstance(signature.return_type.element, types.Integer)
    return (builder.add if whole else builder.fadd)(*arguments)


@lower_builtin(subtract, Vector, Vector)
def _lower_subtract(_context, builder, signature, arguments):
    whole = isinstance(signature.return_type.element, types.Integer)
    return (builder.sub if whole else builder.fsub)(*arguments)


@lower_builtin(lesser, Vector, Vector)
def _lower_lesser(_context, builder, signature, arguments):
    return builder.select(_below(builder, signature, *arguments), *arguments)


@lower_builtin(greater, Vector, Vector)
def _lower_greater(_context, builder, signature, arguments):
    one, other = arguments
    return builder.select(_below(builder, signature, one, other), other, one)


def _below(builder: Any, signature: Any, one: Any, other: Any) -> Any:
    compare = builder.icmp_signed if signature.return_type.element.signed else builder.icmp_unsigned
    return compare("<", one, other)


@lower_builtin(choose, Vector, Vector, Vector, Vector)
def _lower_choose(_context, builder, signature, arguments):
    numbers, least, one, other = arguments
    return builder.select(_below(builder, signature, numbers, least), other, one)


@lower_builtin(select, Vector, Vector, Vector)
def _lower_select(_context, builder, _signature, arguments):
    bits, one, other = arguments
    return builder.or_(builder.and_(bits, one), builder.and_(builder.not_(bits), other))


@lower_builtin(exclusive_or, Vector, Vector)
def _lower_exclusive_or(_context, builder, _signature, arguments):
    return builder.xor(*arguments)


@lower_builtin(mean, Vector, Vector)
def _lower_mean(_context, builder, signature, arguments):
    one, other = arguments
    if signature.return_type.element == types.uint32:
        return _mean_of_keys(builder, one, other)
    bit = ir.Constant(one.type, [1] * one.type.count)
    differing_bits = builder.xor(one, other)
    shift = builder.ashr if signature.return_type.element.signed else builder.lshr
    down = builder.add(builder.and_(one, other), shift(differing_bits, bit))
    return builder.add(down, builder.and_(builder.and_(differing_bits, down), bit))


def _mean_of_keys(builder: Any, one: Any, other: Any) -> Any:
    """Return the keys of the means of float32 samples, given as keys."""
    whole, real = one.type, ir.VectorType(ir.FloatType(), one.type.count)
    sign, ones = (ir.Constant(whole, [number] * whole.count) for number in (0x80000000, 0xFFFFFFFF))
    half, infinity = (ir.Constant(real, [number] * whole.count) for number in (0.5, float("inf")))

    def flipped(bits: Any, above: Any, below: Any) -> Any:
        return builder.xor(bits, builder.select(builder.icmp_unsigned(">=", bits, sign), above, below))

    first, second = (builder.bitcast(flipped(key, sign, ones), real) for key in (one, other))
    total = builder.fadd(first, second)
    halves = builder.fadd(builder.fmul(half, first), builder.fmul(half, second))
    overflows = builder.fcmp_ordered("==", called(builder, "fabs", total), infinity)
    means = builder.select(overflows, halves, builder.fmul(half, total))
    means = builder.select(builder.fcmp_ordered("==", first, second), first, means)
    return flipped(builder.bitcast(means, whole), ones, sign)


@lower_builtin(high_product, Vector, Vector)
def _lower_high_product(_context, builder, _signature, arguments):
    # Of a product of wider integers, of which a loop computes one factor once, LLVM multiplies 32 bits.
    kind = arguments[0].type
    name, bits = f"llvm.umul.fix.v{kind.count}i{kind.element.width}", ir.IntType(32)
    function = builder.module.globals.get(name) or ir.Function(
        builder.module, ir.FunctionType(kind, [kind, kind, bits]), name
    )
    return builder.call(function, [*arguments, bits(16)])


@lower_builtin(multiply_add, Vector, Vector, Vector)
def _lower_multiply_add(_context, builder, _signature, arguments):
    return fused(builder, *arguments)


def fused(builder: Any, sums: Any, weights: Any, samples: Any) -> Any:
    """Return ``sums + weights * samples``, rounded once on processors with fused multiply-add."""
    # The flag ``contract`` is set here, since Numba's option affects only Numba's own operators.
    product = builder.fmul(weights, samples, flags=("contract",))
    return builder.fadd(sums, product, flags=("contract",))


@lower_builtin(multiply, Vector, Vector)
def _lower_multiply(_context, builder, signature, arguments):
    whole = isinstance(signature.return_type.element, types.Integer)
    return (builder.mul if whole else builder.fmul)(*arguments)


@lower_builtin(divide, Vector, Vector)
def _lower_divide(_context, builder, _signature, arguments):
    return builder.fdiv(*arguments)


#: Minimax polynomials of 2**x for -1/2 <= x <= 1/2, in ascending powers. Their relative errors are at most 9.1e-8 and
#: 3e-18, and 0 at x = 0.
_POWERS = {
    "float": (1.0, 0.6931469775915042, 0.24022242080355127, 0.05550733754236445, 0.009671512869930253,
              0.0013264723896081697),
    "double": (1.0, 0.6931471805599453, 0.2402265069591013, 0.05550410866482009, 0.009618129107594095,
               0.0013333558146773102, 0.00015403530457137912, 1.5252733494692751e-05, 1.3215435271273768e-06,
               1.0178198890139143e-07, 7.073784921294532e-09, 4.434877203996615e-10),
}  # fmt: skip
#: Number of bits of the fraction, and the least exponent of a normal number.
_FORMATS = {"float": (23, -126), "double": (52, -1022)}


@lower_builtin(exp2, Vector)
def _lower_exp2(_context, builder, signature, arguments):
    (exponents,), kind = arguments, arguments[0].type
    name = str(kind.element)
    bits, least = _FORMATS[name]
    whole = ir.VectorType(ir.IntType(signature.return_type.element.bitwidth), kind.count)

    def everywhere(value: float, of: Any = kind) -> Any:
        return ir.Constant(of, [value] * kind.count)

    # Near 1.5 * 2**bits adjacent floats are 1 apart, so the sum is rounded to an integer, which its lowest bits hold.
    shift = everywhere(1.5 * 2.0**bits)
    rounded = builder.fadd(exponents, shift)
    rest = builder.fsub(exponents, builder.fsub(rounded, shift))
    *lower, power = map(everywhere, _POWERS[name])
    for coefficient in reversed(lower):
        power = fused(builder, coefficient, power, rest)
    steps = builder.shl(builder.bitcast(rounded, whole), everywhere(bits, whole))
    scaled = builder.bitcast(builder.add(builder.bitcast(power, whole), steps), kind)
    # A NaN stays NaN: the comparison is false, and the lowest bits of the sum, which ``steps`` adds, are zeros.
    return builder.select(builder.fcmp_ordered("<", exponents, everywhere(least)), everywhere(0.0), scaled)


def called(builder: Any, name: str, vector: Any) -> Any:
    """Call an LLVM intrinsic on a vector."""
    kind = ir.FunctionType(vector.type, [vector.type])
    full = f"llvm.{name}.v{vector.type.count}{SHORT[str(vector.type.element)]}"
    return builder.call(builder.module.globals.get(full) or ir.Function(builder.module, kind, full), [vector])


@lower_builtin(nearest, Vector)
def _lower_nearest(_context, builder, _signature, arguments):
    return called(builder, "rint", *arguments)


@lower_builtin(magnitude, Vector)
def _lower_magnitude(_context, builder, _signature, arguments):
    return called(builder, "fabs", *arguments)


@lower_builtin(between, Vector, Vector, Vector)
def _lower_between(_context, builder, _signature, arguments):
    return clipped(builder, *arguments)


def clipped(builder: Any, vector: Any, low: Any, high: Any) -> Any:
    """Clip to ``low`` ... ``high``; NaN becomes ``low``."""
    above = builder.select(builder.fcmp_ordered(">", vector, low), vector, low)
    return builder.select(builder.fcmp_ordered("<", above, high), above, high)


def differing(builder: Any, one: Any, other: Any, left: Any = None) -> Any:
    """Return the number of lanes that differ, among all or among the first ``left``."""
    whole = isinstance(one.type.element, ir.IntType)
    differ = builder.icmp_unsigned("!=", one, other) if whole else builder.fcmp_unordered("!=", one, other)
    if left is not None:
        differ = builder.and_(differ, lanes_below(builder, left, one.type.count))
    number = builder.bitcast(differ, ir.IntType(one.type.count))
    return builder.zext(builder.ctpop(number), ir.IntType(64))


@lower_builtin(unequal, Vector, Vector)
def _lower_unequal(_context, builder, _signature, arguments):
    return differing(builder, *arguments)


@lower_builtin(next_lane, Vector)
def _lower_next_lane(_context, builder, _signature, arguments):
    last = arguments[0].type.count - 1
    numbers = [min(lane + 1, last) for lane in range(last + 1)]
    mask = ir.Constant(ir.VectorType(ir.IntType(32), last + 1), numbers)
    return builder.shuffle_vector(*arguments, ir.Constant(arguments[0].type, ir.Undefined), mask)


@lower_builtin(positive, Vector, Vector)
def _lower_positive(_context, builder, _signature, arguments):
    vector, other = arguments
    above = builder.fcmp_ordered(">", vector, ir.Constant(vector.type, None))
    return builder.select(above, vector, other)


@lower_builtin(thrice, Vector)
def _lower_thrice(context, builder, signature, arguments):
    (vector,), count = arguments, arguments[0].type.count
    lanes = ir.VectorType(ir.IntType(32), count)
    numbers = [[(part * count + lane) // 3 for lane in range(count)] for part in range(3)]
    parts = [builder.shuffle_vector(vector, vector, ir.Constant(lanes, each)) for each in numbers]
    return context.make_tuple(builder, signature.return_type, parts)


@lower_builtin(look_up, Vector, Vector)
def _lower_look_up(_context, builder, _signature, arguments):
    table, numbers = arguments
    found = ir.Constant(table.type, ir.Undefined)
    for lane in map(ir.IntType(32), range(table.type.count)):  # LLVM makes one permutation of it, where there is one
        sample = builder.extract_element(table, builder.extract_element(numbers, lane))
        found = builder.insert_element(found, sample, lane)
    return found
