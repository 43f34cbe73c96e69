"""Programs: calls of compiled loops, recorded once and run in machine code, step by step.

Between two calls the interpreter would take longer than a loop takes for its tile, and threads would wait for its lock.
So the calls of a strip are recorded once, and one call of machine code runs them for all steps.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.native.loop import Loop, Variant, pointer
from convfilter.planning.ring import STEP_ROWS
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

RUN_PROGRAM = Loop("program", "run_program", "i8* i8 i8 i8 i8 i8 i8*")


class Slot:
    """A placeholder for an array: a call that names the slot uses the array that the slot holds when the call runs.

    Parameters
    ----------
    array : C-contiguous array
        The first array; all later ones have its shape and type.

    Attributes
    ----------
    shape, dtype : tuple and dtype
    """

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self.put(array)

    def put(self, array: npt.NDArray[Any]) -> None:
        """Replace the array."""
        if array.shape != self.shape:
            raise ValueError(f"this slot takes arrays of shape {self.shape}, got {array.shape}")
        self.address = pointer(array, self.dtype.str)
        self.array = array

    def clear(self) -> None:
        """Release the array; no call can run until another one is put."""
        del self.array, self.address


class Moving(NamedTuple):
    """An array that step n uses from item ``start + step * n`` on.

    With a ``period``, step ``period`` uses the same items as step 0, and so on.
    """

    array: npt.NDArray[Any] | Slot
    start: int = 0
    step: int = 0
    period: int = 0


class Rebased(Moving):
    """A moving array whose start can be rebased for another run of the program; see :meth:`Program.rebase`."""


class RebasedSource(Moving):
    """A moving array that a program reads; it is rebased independently of those that the program writes."""


class Counting(NamedTuple):
    """An integer that grows by ``step`` in each step."""

    start: int
    step: int


class Call(NamedTuple):
    """A loop and its arguments; a program runs the call ``ahead`` steps before the step that uses its result."""

    loop: Variant
    arguments: tuple[Any, ...]
    ahead: int = 0

    def __call__(self) -> int:
        """Run the call now, as in step 0."""
        return self.loop(*[_current_argument(value) for value in self.arguments])


def _current_argument(value: Any) -> Any:
    if isinstance(value, Moving):
        array = value.array.array if isinstance(value.array, Slot) else value.array
        return array.reshape(-1)[value.start :]
    return value.array if isinstance(value, Slot) else value


class Program:
    """Calls that run in each step, in order, some of them ahead of the first step.

    A step computes :attr:`step_rows` rows of the result. The program keeps the arrays of its calls alive, but not the
    arrays in slots. Each call is a line of a table of int64 triples (value, increment, period), one for each word: the
    address of the loop and each argument.
    """

    def __init__(self, calls: list[Call], step_rows: int = STEP_ROWS) -> None:
        self._calls, self.step_rows = calls, step_rows
        self._lead = max(call.ahead for call in calls)
        width = 2 + max(len(call.arguments) for call in calls)
        self._lines = np.array([_line(call, width) for call in calls], np.int64)
        self._arguments = np.zeros(width, np.int64)
        self._addresses = tuple(pointer(words, _typestr("i8*")) for words in (self._lines, self._arguments))
        self._native = RUN_PROGRAM.variant()
        self._rebased = _RebasedWords(calls, (Rebased, Counting)), _RebasedWords(calls, (RebasedSource,))
        self._slots = [_SlotWords(slot, *places) for slot, places in _slots_of(calls).items()]

    def rebase(self, rows: int, source_rows: int = 0) -> None:
        """Move targets and counters by ``rows`` rows, and sources by ``source_rows``, from their first position."""
        for words, later in zip(self._rebased, (rows, source_rows), strict=True):
            words.move(self._lines, later, self.step_rows)

    def run(self, first: int, steps: int, *, continues: bool = False) -> None:
        """Run steps ``first`` to ``first + steps - 1``.

        With ``continues``, the program has just run the steps before, and so the calls that run ahead. Steps with
        negative numbers are only those calls.
        """
        for slotted in self._slots:
            slotted.follow(self._lines)
        lines, arguments = self._addresses
        lead = 0 if continues else self._lead
        if first < 0:
            assert continues or -first >= lead
            first, steps, lead = 0, steps + first, -first
        self._native.at_addresses(lines, len(self._calls), self._lines.shape[1], first, steps, lead, arguments)

    @property
    def total(self) -> int:
        """The sum of the return values of all calls."""
        return sum(self._lines[:, 0, 2].tolist())

    def reset_total(self) -> None:
        """Reset the sum to 0."""
        self._lines[:, 0, 2] = 0

    def arrays(self) -> Iterator[npt.NDArray[Any]]:
        """Return the arrays that live as long as the program."""
        for call in self._calls:
            for value in call.arguments:
                array = value.array if isinstance(value, Moving) else value
                if isinstance(array, np.ndarray):
                    yield array
        yield self._lines


class _RebasedWords:
    """The words of a program that are rebased for other rows."""

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


class _SlotWords:
    """The words of a program that are addresses within a slot's array."""

    def __init__(self, slot: Slot, lines: list[int], words: list[int]) -> None:
        self._slot, self._places, self._address = slot, (np.array(lines), np.array(words), 0), slot.address

    def follow(self, lines: npt.NDArray[np.int64]) -> None:
        """Move the addresses to the slot's present array."""
        moved = self._slot.address - self._address
        if moved:
            lines[self._places] += moved
            self._address += moved


def _slots_of(calls: list[Call]) -> dict[Slot, tuple[list[int], list[int]]]:
    """Return the slots that calls name, with the lines and words of each."""
    references: dict[Slot, tuple[list[int], list[int]]] = {}
    for line, call in enumerate(calls):
        for word, value in enumerate(call.arguments, 2):
            slot = value.array if isinstance(value, Moving) else value
            if isinstance(slot, Slot):
                lines, words = references.setdefault(slot, ([], []))
                lines.append(line)
                words.append(word)
    return references


def _line(call: Call, width: int) -> list[tuple[int, int, int]]:
    """Encode a call for :func:`run_program`, ``width`` triples long."""
    words = [_words(value, code) for value, code in zip(call.arguments, call.loop.codes, strict=True)]
    head = [(call.loop.packed, len(words), 0), (0, 0, call.ahead)]
    return [*head, *words, *[(0, 0, 0)] * (width - 2 - len(words))]


def _words(value: Any, code: str) -> tuple[int, int, int]:
    """Return an argument's value in step 0, its increment per step, and its period."""
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
