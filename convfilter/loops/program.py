"""Runs a program, a list of calls of other loops, without the interpreter between two calls."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types


@extending.intrinsic
def _invoke(_context: Any, entry: Any, arguments: Any) -> Any:
    """Call the loop whose second entry point is at address ``entry`` with a pointer to its arguments."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        address, packed = values
        kind = ir.FunctionType(ir.IntType(64), [packed.type])
        return builder.call(builder.inttoptr(address, kind.as_pointer()), [packed])

    return types.int64(entry, arguments), code


def run_program(program, calls, width, first, steps, lead, arguments):
    """Run ``calls`` calls in each of ``steps`` steps, numbered from ``first``, and add up their return values.

    A call may run some steps ahead of the others. ``lead`` is the largest such number: so many steps run before step
    ``first``, each only the calls that run that far ahead.

    A call is a row of ``width`` triples of ``program``: (address of the loop's second entry point, number of arguments,
    sum of return values), (0, 0, number of steps that the call runs ahead), then for each argument (value in step 0,
    increment for each step, period in steps after which values repeat, or 0). ``arguments`` is scratch for the
    arguments of a call.
    """
    for step in range(first - lead, first + steps):
        for call in range(calls):
            line = call * width * 3
            if step < first - program[line + 5]:
                continue
            for k in range(program[line + 1]):
                word = line + 6 + 3 * k
                number = step
                if program[word + 2] > 0:
                    number = step % program[word + 2]
                arguments[k] = program[word] + program[word + 1] * number
            program[line + 2] += _invoke(program[line], arguments)  # type: ignore[call-arg]
    return 0
