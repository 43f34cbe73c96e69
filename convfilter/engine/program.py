"""Loops that run one after the other, step by step, in machine code.

Between two tiles the interpreter would take longer than the loops take for a
tile, and threads would wait for its lock: so what a strip of a picture needs
is written down once, and run for all its steps in one call.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convfilter.engine.native import Loop, Variant, pointer
from convfilter.planning.ring import STEP_ROWS

RUN_PROGRAM = Loop("program", "run_program", "i8* i8 i8 i8 i8 i8 i8*")


class Moving(NamedTuple):
    """An array of which each step sees another part: from item ``start + step * number`` on.

    With a ``period``, step ``period`` sees what step 0 saw, and so on.
    """

    array: npt.NDArray[Any]
    start: int = 0
    step: int = 0
    period: int = 0


class Following(Moving):
    """The same, of an array that may begin elsewhere when the program is run again; see :meth:`Program.follow`."""


class Counting(NamedTuple):
    """A whole number that grows by ``step`` from one step to the next."""

    start: int
    step: int


class Call(NamedTuple):
    """A loop, and the arguments to call it with; what it computes has to be there so many steps ``ahead``."""

    loop: Variant
    arguments: tuple[Any, ...]
    ahead: int = 0

    def __call__(self) -> int:
        """Make the call now; nothing may move."""
        return self.loop(*self.arguments)


class Program:
    """Calls that are made in each step, in their order, and some of them ahead of the first step.

    A step stands for ``step_rows`` rows of the result. The arrays that the calls name live as long as the program.
    """

    def __init__(self, calls: list[Call], step_rows: int = STEP_ROWS) -> None:
        self._calls, self._step_rows = calls, step_rows
        self._lead = max(call.ahead for call in calls)
        width = 2 + max(len(call.arguments) for call in calls)
        self._lines = np.array([_line(call, width) for call in calls], np.int64)
        self._arguments = np.zeros(width, np.int64)
        self._addresses = tuple(pointer(words, _typestr("i8*")) for words in (self._lines, self._arguments))
        self._native = RUN_PROGRAM.variant()
        self._followers = [
            (line, word)
            for line, call in enumerate(calls)
            for word, value in enumerate(call.arguments, 2)
            if isinstance(value, Following | Counting)
        ]
        self._rows = 0

    def follow(self, rows: int) -> None:
        """Let every counting number, and every array that follows, start so many rows later than at first."""
        if rows != self._rows:
            for line, word in self._followers:
                self._lines[line, word, 0] += (rows - self._rows) * self._lines[line, word, 1] // self._step_rows
            self._rows = rows

    def run(self, first: int, steps: int, *, goes_on: bool = False) -> None:
        """Make all calls for steps ``first`` to ``first + steps - 1``; where it ``goes_on``, those ahead are there."""
        lines, arguments = self._addresses
        lead = 0 if goes_on else self._lead
        self._native.at_addresses(lines, len(self._calls), self._lines.shape[1], first, steps, lead, arguments)

    @property
    def total(self) -> int:
        """The sum of what all calls have returned."""
        return int(self._lines[:, 0, 2].sum())


def _line(call: Call, width: int) -> list[tuple[int, int, int]]:
    """Write a call as :func:`run_program` reads it, ``width`` triples long."""
    words = [_words(value, code) for value, code in zip(call.arguments, call.loop.codes, strict=True)]
    head = [(call.loop.packed, len(words), 0), (0, 0, call.ahead)]
    return [*head, *words, *[(0, 0, 0)] * (width - 2 - len(words))]


def _words(value: Any, code: str) -> tuple[int, int, int]:
    """Return an argument's value in step 0, what a step adds to it, and its period."""
    if code.endswith("*"):
        if not isinstance(value, Moving):
            return pointer(value, _typestr(code)), 0, 0
        size = value.array.itemsize
        return pointer(value.array, _typestr(code)) + value.start * size, value.step * size, value.period
    if isinstance(value, Counting):
        return value.start, value.step, 0
    if code.startswith("f"):
        return struct.unpack("=q", struct.pack("=d", value))[0], 0, 0
    return int(value), 0, 0


@cache
def _typestr(code: str) -> str:
    return np.dtype(code[:-1]).str
