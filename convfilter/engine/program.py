"""Loops that run one after the other, step by step, in machine code.

Between two tiles the interpreter would take longer than the loops take for a
tile, and threads would wait for its lock: so what a strip of a picture needs
is written down once, and run for all its steps in one call.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convfilter.engine.native import Loop, Variant, pointer

RUN_PROGRAM = Loop("program", "run_program", "i8* i8 i8 i8 i8 i8*")


class Moving(NamedTuple):
    """An array of which each step sees another part: from item ``start + step * number`` on.

    With a ``period``, step ``period`` sees what step 0 saw, and so on.
    """

    array: npt.NDArray[Any]
    start: int = 0
    step: int = 0
    period: int = 0


class Following(Moving):
    """The same, of an array that may begin elsewhere when the program is run again; see :meth:`Program.move`."""


class Counting(NamedTuple):
    """A whole number that grows by ``step`` from one step to the next."""

    start: int
    step: int


class Call(NamedTuple):
    """A loop, and the arguments to call it with."""

    loop: Variant
    arguments: tuple[Any, ...]

    def __call__(self) -> int:
        """Make the call now; nothing may move."""
        return self.loop(*self.arguments)


class Program:
    """Calls that are made in each step, in their order.

    The arrays that the calls name live as long as the program.
    """

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls
        width = 1 + max(len(call.arguments) for call in calls)
        self._lines = np.zeros((len(calls), width, 3), np.int64)
        for line, call in zip(self._lines, calls, strict=True):
            line[0, :2] = call.loop.packed, len(call.arguments)
            for word, value, code in zip(line[1:], call.arguments, call.loop.codes, strict=False):
                word[:] = _words(value, code)
        self._arguments = np.zeros(width, np.int64)
        self._moved = [
            (line, word, value.array.itemsize if isinstance(value, Following) else 1)
            for line, call in enumerate(calls)
            for word, value in enumerate(call.arguments, 1)
            if isinstance(value, Following | Counting)
        ]

    def move(self, by: int) -> None:
        """Let every counting number, and every array that follows, start ``by`` items later."""
        for line, word, size in self._moved:
            self._lines[line, word, 0] += by * size

    def run(self, first: int, steps: int) -> None:
        """Make all calls for steps ``first`` to ``first + steps - 1``."""
        calls, width = self._lines.shape[:2]
        RUN_PROGRAM.variant()(self._lines, calls, width, first, steps, self._arguments)

    def take_total(self) -> int:
        """Return the sum of what all calls have returned since the last time."""
        total = int(self._lines[:, 0, 2].sum())
        self._lines[:, 0, 2] = 0
        return total


def _words(value: Any, code: str) -> tuple[int, int, int]:
    """Return an argument's value in step 0, what a step adds to it, and its period."""
    if code.endswith("*"):
        if not isinstance(value, Moving):
            return pointer(value, np.dtype(code[:-1]).str), 0, 0
        size = value.array.itemsize
        return pointer(value.array, np.dtype(code[:-1]).str) + value.start * size, value.step * size, value.period
    if isinstance(value, Counting):
        return value.start, value.step, 0
    if code.startswith("f"):
        return struct.unpack("=q", struct.pack("=d", value))[0], 0, 0
    return int(value), 0, 0
