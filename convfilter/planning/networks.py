"""Comparator networks that select samples of given ranks; ``loops/selection_network.py`` generates loops from them.

A pair (one, other, live) puts the smaller of two samples into line ``one`` and the larger into line ``other``. ``live``
says which of the two affects the rank: 0 both, 1 the smaller, 2 the larger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

from convfilter.record import NamedTuple

Pairs: TypeAlias = tuple[tuple[int, int, int], ...]


class Network(NamedTuple):
    """A selection network.

    Attributes
    ----------
    columns : tuple of pairs
        Sorts a column of samples, once for all windows that contain it; empty unless windows are rectangles.
    pairs : tuple of pairs
        Comparisons within a window; with ``columns``, line ``row * cols + col`` is place ``row`` of sorted column
        ``col``.
    lines : tuple of int
        Line that holds the sample of each requested rank at the end.
    """

    columns: Pairs
    pairs: Pairs
    lines: tuple[int, ...]


@lru_cache
def of_taps(count: int, ranks: tuple[int, ...]) -> Network:
    """Return the network that selects ranks (from 0) of ``count`` samples."""
    return Network((), deciding(sorted_by(count), ranks), ranks)


@lru_cache
def of_rectangle(rows: int, cols: int, ranks: tuple[int, ...]) -> Network:
    """Return the network that selects ranks of a rectangle whose columns are sorted."""
    if rows == 1 or cols == 1:
        return of_taps(rows * cols, ranks)
    column = tuple((one, other, 0) for one, other in sorted_by(rows))
    pairs, wires = _merged(rows, cols)
    lines = tuple(wires[rank] for rank in ranks)
    return Network(column, deciding(pairs, lines), lines)


@lru_cache
def sorted_by(count: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs that sort ``count`` lines."""
    return tuple(_merge_exchange(count, 1))


def _merge_exchange(count: int, block: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs that sort ``count`` lines, of which blocks are sorted already, by Batcher's merge exchange.

    ``block`` is a power of two.
    """
    while block < count:
        apart = block
        while apart >= 1:
            for begin in range(apart % block, count - apart, 2 * apart):
                for one in range(begin, min(begin + apart, count - apart)):
                    if one // (2 * block) == (one + apart) // (2 * block):
                        yield one, one + apart
            apart //= 2
        block *= 2


def deciding(pairs: Iterable[tuple[int, int]], lines: Iterable[int]) -> Pairs:
    """Return the pairs that affect the final content of ``lines``."""
    wanted, live = set(lines), []
    for one, other in reversed([*pairs]):
        if one in wanted or other in wanted:
            live.append((one, other, 0 if {one, other} <= wanted else 1 if one in wanted else 2))
            wanted |= {one, other}
    return tuple(live[::-1])


def _merged(rows: int, cols: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the pairs that merge sorted columns, and the line of each rank.

    The network sorts blocks of a power of two: missing samples of a column count as largest and are never compared.
    """
    side = 1 << (rows - 1).bit_length()
    wires = [row * cols + col if row < rows else -1 for col in range(cols) for row in range(side)]
    pairs = []
    for one, other in _merge_exchange(len(wires), side):
        if wires[one] >= 0 and wires[other] >= 0:
            pairs.append((wires[one], wires[other]))
        elif wires[other] >= 0:
            wires[one], wires[other] = wires[other], -1
    return pairs, wires
