"""Weighted sums of shifted runs: every pass of every linear filter, of any stride and dilation.

Both loops are written out from one template. A block of some vectors of outputs
stays in registers while the taps go by, so that a tap costs the loads of its
samples and little else; four output rows at a time share the samples they
read. Measured on tiles of 64 x 2112 samples with 23 taps, in thousand million
multiply-adds a second, with vectors of 64 bytes: 34 along a row, where a
load straddles two cache lines, and 61 down four rows; 23 both before sums
stayed in registers.
"""

from __future__ import annotations

import textwrap
from string import Template
from typing import NamedTuple

from convfilter.engine.loops import vectors

#: Taps that are summed before their sum is added to the total: short sums, added, err less than one long sum.
_TAPS = 32
#: Vectors of a block in each of its rows, for one row and for four: with fewer, sums wait for each other;
#: with more, registers run out (there are 32 wide ones, or 16).
_IN_ONE_ROW = 8
_IN_FOUR_ROWS = 4 if vectors.vector_bytes() == 64 else 2

_ROW_LOOP = Template('''
def correlate(
    tile, row_offset, taps, tap_row, tap_col, weight, weight_step, rows, step, accumulate, out, pitch, length
):
    """Sum ``weight[t] * tile[row_offset[y * step + tap_row[t]] + tap_col[t] + x]`` into ``out[y * pitch + x]``.

    With a ``weight_step``, each output row has weights of its own, that far apart.
    """
    lanes = vectors.lanes(out)
    for y in range(rows):
        x = 0
        while length - x >= $count * lanes:
$block
            x += $count * lanes
        while x < length:
            left = length - x
$part
            x += lanes
    return 0
''')

# Columns outside, rows inside: the rows that a block shares with the next are still in the L1 cache.
_FOUR_ROW_LOOP = Template('''
def correlate_four(tile, offset, runs, weight, weight_step, blocks, accumulate, out, pitch, length):
    """Sum ``runs`` weighted runs of the tile into each block of four output rows.

    Run ``t`` of block ``b`` starts at ``offset[b * runs + t]``; its weights for
    the four rows are ``weight[b * weight_step + 4 * t]`` and the next three.
    """
    lanes = vectors.lanes(out)
    x = 0
    while length - x >= $count * lanes:
        for b in range(blocks):
$block
        x += $count * lanes
    while x < length:
        left = length - x
        for b in range(blocks):
$part
        x += lanes
    return 0
''')


class _Sums(NamedTuple):
    """What differs between the loops: their rows of outputs, and expressions of where tap ``t`` stands."""

    rows: int
    first_row: str
    taps: str
    start: str
    weight: str


_ONE_ROW = _Sums(1, "y", "taps", "row_offset[y * step + tap_row[t]] + tap_col[t]", "weight[y * weight_step + t]")
_FOUR_ROWS = _Sums(4, "4 * b", "runs", "offset[b * runs + t]", "weight[b * weight_step + 4 * t + {row}]")


def _block(loop: _Sums, count: int, part: str = "") -> str:
    """Write the sums of one block: ``count`` vectors of outputs in each row, or a ``part`` of them."""
    rows = range(loop.rows)
    cells = [(f"s{row}_{k}", f"o{row} + {k} * lanes", f"w{row}", f"v{k}") for row in rows for k in range(count)]
    left = ", left" if part else ""
    lines = [
        *(f"o{row} = x + ({loop.first_row} + {row}) * pitch" for row in rows),
        "first = 0",
        "add = accumulate",
        f"while first == 0 or first < {loop.taps}:",
        *(f"    {sums} = vectors.spread(out, 0)" for sums, *_ in cells),
        f"    for t in range(first, min(first + {_TAPS}, {loop.taps})):",
        f"        i = {loop.start} + x",
        *(f"        w{row} = vectors.spread(out, {loop.weight.format(row=row)})" for row in rows),
        *(f"        v{k} = vectors.read{part}(tile, i + {k} * lanes{left})" for k in range(count)),
        *(f"        {sums} = vectors.multiply_add({sums}, {w}, {v})" for sums, _, w, v in cells),
        "    if add != 0:",
        *(f"        {sums} = vectors.add(vectors.read{part}(out, {place}{left}), {sums})" for sums, place, *_ in cells),
        *(f"    vectors.write{part}(out, {place}, {sums}{left})" for sums, place, *_ in cells),
        "    add = 1",
        f"    first += {_TAPS}",
    ]
    return textwrap.indent("\n".join(lines), " " * 12)


def _written_out(template: Template, loop: _Sums, count: int) -> str:
    """Fill in the blocks: of ``count`` vectors, and of single ones, the last perhaps in part."""
    return template.substitute(count=count, block=_block(loop, count), part=_block(loop, 1, "_part"))


exec(_written_out(_ROW_LOOP, _ONE_ROW, _IN_ONE_ROW) + _written_out(_FOUR_ROW_LOOP, _FOUR_ROWS, _IN_FOUR_ROWS))
