"""Calls of other loops in sequence, without the interpreter in between."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types


@extending.intrinsic
def _invoke(_context: Any, entry: Any, arguments: Any) -> Any:
    """Call the packed loop at address ``entry`` with a pointer to its arguments."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        address, packed = values
        kind = ir.FunctionType(ir.IntType(64), [packed.type])
        return builder.call(builder.inttoptr(address, kind.as_pointer()), [packed])

    return types.int64(entry, arguments), code


def run_program(program, calls, width, first, steps, lead, arguments):
    """Run ``calls`` calls in each of ``steps`` steps, numbered from ``first``, and add up their return values.

    Some calls run ahead of the others: ``lead`` steps before the first one run only the calls that are so far ahead.

    A call is a line of ``width`` triples: (address of the loop's packed entry, number of arguments, sum of results),
    (0, 0, steps that the call runs ahead), then for each argument (value in step 0, increment for each step, period in
    steps, or 0 for none).
    """
    for step in range(first - lead, first + steps):
        for call in range(calls):
            line = call * width * 3
            if step < first - program[line + 5]:
                continue
            for k in range(program[line + 1]):
                word = line + 6 + 3 * k
                increments = step
                if program[word + 2] > 0:
                    increments = step % program[word + 2]
                arguments[k] = program[word] + program[word + 1] * increments
            program[line + 2] += _invoke(program[line], arguments)  # type: ignore[call-arg]
    return 0
