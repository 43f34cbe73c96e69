"""Loops that run one after the other, step by step, in machine code.

Between two tiles the interpreter would take longer than the loops take for a
tile, and threads would wait for its lock: so what a strip of a picture needs
is written down once, and run for all its steps in one call.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convfilter.native.loop import Loop, Variant, pointer
from convfilter.planning.ring import STEP_ROWS

RUN_PROGRAM = Loop("program", "run_program", "i8* i8 i8 i8 i8 i8 i8*")


class Slot:
    """A place for an array: a call that names the slot sees the array that is there when it is made.

    Parameters
    ----------
    array : C-contiguous array
        The first one; all that follow are of its shape and type.

    Attributes
    ----------
    shape, dtype : tuple and dtype
    """

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self.put(array)

    def put(self, array: npt.NDArray[Any]) -> None:
        """Put another array in the place of the one that is there."""
        if array.shape != self.shape:
            raise ValueError(f"this slot takes arrays of shape {self.shape}, got {array.shape}")
        self.address = pointer(array, self.dtype.str)
        self.array = array

    def clear(self) -> None:
        """Let go of the array: before another is there, no call can be made."""
        del self.array, self.address


class Moving(NamedTuple):
    """An array of which each step sees another part: from item ``start + step * number`` on.

    With a ``period``, step ``period`` sees what step 0 saw, and so on.
    """

    array: npt.NDArray[Any] | Slot
    start: int = 0
    step: int = 0
    period: int = 0


class Following(Moving):
    """The same, of an array that may begin elsewhere when the program is run again; see :meth:`Program.follow`."""


class FollowingSource(Moving):
    """The same, of an array that is read, and begins elsewhere than those that follow."""


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
        """Make the call now, as in step 0."""
        return self.loop(*[_as_it_is_now(value) for value in self.arguments])


def _as_it_is_now(value: Any) -> Any:
    if isinstance(value, Moving):
        array = value.array.array if isinstance(value.array, Slot) else value.array
        return array.reshape(-1)[value.start :]
    return value.array if isinstance(value, Slot) else value


class Program:
    """Calls that are made in each step, in their order, and some of them ahead of the first step.

    A step stands for ``step_rows`` rows of the result. The arrays that the calls name live as long as the program,
    those in slots only as long as they are there.
    """

    def __init__(self, calls: list[Call], step_rows: int = STEP_ROWS) -> None:
        self._calls, self._step_rows = calls, step_rows
        self._lead = max(call.ahead for call in calls)
        width = 2 + max(len(call.arguments) for call in calls)
        self._lines = np.array([_line(call, width) for call in calls], np.int64)
        self._arguments = np.zeros(width, np.int64)
        self._addresses = tuple(pointer(words, _typestr("i8*")) for words in (self._lines, self._arguments))
        self._native = RUN_PROGRAM.variant()
        self._followers = _Followers(calls, (Following, Counting)), _Followers(calls, (FollowingSource,))
        self._slots = [_Slotted(slot, *places) for slot, places in _slots_of(calls).items()]

    def follow(self, rows: int, source_rows: int = 0) -> None:
        """Let what follows start so many rows later than at first: targets and counting numbers, and sources."""
        for followers, later in zip(self._followers, (rows, source_rows), strict=True):
            followers.move(self._lines, later, self._step_rows)

    def run(self, first: int, steps: int, *, goes_on: bool = False) -> None:
        """Make all calls for steps ``first`` to ``first + steps - 1``.

        With ``goes_on``, the steps before have just been made, and with them those calls that go ahead.
        """
        for slotted in self._slots:
            slotted.follow(self._lines)
        lines, arguments = self._addresses
        lead = 0 if goes_on else self._lead
        self._native.at_addresses(lines, len(self._calls), self._lines.shape[1], first, steps, lead, arguments)

    @property
    def total(self) -> int:
        """The sum of what all calls have returned."""
        return sum(self._lines[:, 0, 2].tolist())

    def forget(self) -> None:
        """Let the sum begin anew."""
        self._lines[:, 0, 2] = 0

    def arrays(self) -> Iterator[npt.NDArray[Any]]:
        """Return the arrays that live as long as the program."""
        for call in self._calls:
            for value in call.arguments:
                array = value.array if isinstance(value, Moving) else value
                if isinstance(array, np.ndarray):
                    yield array
        yield self._lines


class _Followers:
    """The words of a program that start some rows later when it runs for other rows."""

    def __init__(self, calls: list[Call], kinds: tuple[type, ...]) -> None:
        self._places = [
            (line, word)
            for line, call in enumerate(calls)
            for word, value in enumerate(call.arguments, 2)
            if isinstance(value, kinds)
        ]
        self._rows = 0

    def move(self, lines: npt.NDArray[np.int64], rows: int, step_rows: int) -> None:
        if rows != self._rows:
            for line, word in self._places:
                lines[line, word, 0] += (rows - self._rows) * lines[line, word, 1] // step_rows
            self._rows = rows


class _Slotted:
    """The words of a program that stand for a place in the array in a slot."""

    def __init__(self, slot: Slot, lines: list[int], words: list[int]) -> None:
        self._slot, self._places, self._address = slot, (np.array(lines), np.array(words), 0), slot.address

    def follow(self, lines: npt.NDArray[np.int64]) -> None:
        """Let the words stand for the same place in the array that is there now."""
        moved = self._slot.address - self._address
        if moved:
            lines[self._places] += moved
            self._address += moved


def _slots_of(calls: list[Call]) -> dict[Slot, tuple[list[int], list[int]]]:
    """Return the slots that calls name, and in which lines and words."""
    found: dict[Slot, tuple[list[int], list[int]]] = {}
    for line, call in enumerate(calls):
        for word, value in enumerate(call.arguments, 2):
            slot = value.array if isinstance(value, Moving) else value
            if isinstance(slot, Slot):
                lines, words = found.setdefault(slot, ([], []))
                lines.append(line)
                words.append(word)
    return found


def _line(call: Call, width: int) -> list[tuple[int, int, int]]:
    """Write a call as :func:`run_program` reads it, ``width`` triples long."""
    words = [_words(value, code) for value, code in zip(call.arguments, call.loop.codes, strict=True)]
    head = [(call.loop.packed, len(words), 0), (0, 0, call.ahead)]
    return [*head, *words, *[(0, 0, 0)] * (width - 2 - len(words))]


def _words(value: Any, code: str) -> tuple[int, int, int]:
    """Return an argument's value in step 0, what a step adds to it, and its period."""
    if code.endswith("*"):
        if not isinstance(value, Moving):
            return _address(value, code), 0, 0
        size = value.array.dtype.itemsize
        return _address(value.array, code) + value.start * size, value.step * size, value.period
    if isinstance(value, Counting):
        return value.start, value.step, 0
    if code.startswith("f"):
        return struct.unpack("=q", struct.pack("=d", value))[0], 0, 0
    return int(value), 0, 0


def _address(value: npt.NDArray[Any] | Slot, code: str) -> int:
    return pointer(value.array if isinstance(value, Slot) else value, _typestr(code))


@cache
def _typestr(code: str) -> str:
    return np.dtype(code[:-1]).str
