"""Weighted sums of shifted runs: every pass of every linear filter, of any stride and dilation.

Both loops are written out from one template, and each a second time to store
what the sums stand for. A block of some vectors of outputs stays in registers
while the taps go by, so that a tap costs the loads of its samples and little
else; four output rows at a time share the samples they read. Measured on tiles
of 64 x 2112 samples with 23 taps, in thousand million multiply-adds a second,
with vectors of 64 bytes: 34 along a row, where a load straddles two cache
lines, and 61 down four rows; 23 both before sums stayed in registers.
"""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Iterable
from itertools import chain
from string import Template

from convfilter.engine.loops import vectors

#: Taps that are summed before their sum is added to the total: short sums, added, err less than one long sum.
_TAPS = 64
#: Vectors of a block in each of its rows, and of what is left of a row: with fewer, sums wait for each other;
#: with more, registers run out (there are 32 wide ones, or 16).
_WIDE = vectors.vector_bytes() == 64
_IN_ONE_ROW = 8, 4
_IN_FOUR_ROWS = (4, 2) if _WIDE else (2, 1)

#: Vectors of a block whose samples the next block looks at again: three are whole pixels of one to four channels.
_SHIFTED = 3
#: How many blocks may look at the same samples.
_GROUPS = (2, 3, 4)

_ROW_LOOP = Template('''
$heading
    """Sum ``weight[t] * tile[row_offset[y * step + tap_row[t]] + tap_col[t] + x]`` into ``out[y * pitch + x]``.

    With a ``weight_step``, each output row has weights of its own, that far apart.
    """
$ready
    lanes = vectors.lanes(tile)
    apart = 0 if taps < 2 else tap_col[1] - tap_col[0]
    for t in range(1, taps):
        if tap_row[t] != tap_row[0] or tap_col[t] - tap_col[t - 1] != apart:
            apart = 0
    period = groups = 0
    if apart > 0 and $shifted * lanes % apart == 0:
        period = $shifted * lanes // apart
        groups = -(-taps // period)
    if groups > $most or length < 2 * $shifted * lanes * groups:
        groups = 0
    for y in range(rows):
        x = 0
$shared
        while length - x >= $many * lanes:
$block
            x += $many * lanes
        while x < length:
            left = length - x
$part
            x += $few * lanes
    return $result
''')

# Columns outside, rows inside: the rows that a block shares with the next are still in the L1 cache.
_FOUR_ROW_LOOP = Template('''
$heading
    """Sum ``runs`` weighted runs of the tile into each block of four output rows.

    Run ``t`` of block ``b`` starts at ``offset[b * runs + t]``; its weights for
    the four rows are ``weight[b * weight_step + 4 * t]`` and the next three.
    Where blocks share their weights, runs at either end that do not count for some rows are not summed there.
    """
$ready
    lanes = vectors.lanes(tile)
    enter1 = enter2 = enter3 = 0
    leave0 = leave1 = leave2 = runs
    if weight_step == 0:
$ends
    x = 0
    while length - x >= $many * lanes:
        for b in range(blocks):
$block
        x += $many * lanes
    while x < length:
        left = length - x
        for b in range(blocks):
$part
        x += $few * lanes
    return $result
''')


class _Sums(typing.NamedTuple):
    """What differs between the loops: their rows of outputs, and expressions of where tap ``t`` stands.

    ``phases`` are the taps from one place to another, and the rows that they count for; what is left of a row
    is not worth them.
    """

    rows: int
    first_row: str
    taps: str
    start: str
    weight: str
    phases: tuple[tuple[str, str, range], ...]


_ONE_ROW = _Sums(
    rows=1,
    first_row="y",
    taps="taps",
    start="row_offset[y * step + tap_row[t]] + tap_col[t]",
    weight="weight[y * weight_step + t]",
    phases=(("0", "taps", range(1)),),
)
_FOUR_ROWS = _Sums(
    rows=4,
    first_row="4 * b",
    taps="runs",
    start="offset[b * runs + t]",
    weight="weight[b * weight_step + 4 * t + {row}]",
    phases=(
        ("0", "enter1", range(1)),
        ("enter1", "enter2", range(2)),
        ("enter2", "enter3", range(3)),
        ("enter3", "leave0", range(4)),
        ("leave0", "leave1", range(1, 4)),
        ("leave1", "leave2", range(2, 4)),
        ("leave2", "runs", range(3, 4)),
    ),
)


class _Cell(typing.NamedTuple):
    """A vector of sums: its name, where it goes, and what says how many of its lanes count."""

    sums: str
    place: str
    left: str


class _Goal(typing.NamedTuple):
    """What becomes of sums, and what a loop has to do first for that, and to return.

    ``origin`` is where outputs start, ``add`` says whether sums are added, ``most`` is how many taps make up one sum.
    ``written`` takes vectors of sums, whether they are parts, and what says that they are added to what is there.
    """

    ready: str
    result: str
    origin: str
    add: str
    most: int
    written: typing.Callable[[list[_Cell], str, str], list[str]]


def _kept(cells: list[_Cell], part: str, add: str) -> list[str]:
    """Write sums as they are."""
    return [
        f"if {add} != 0:",
        *(f"    {c.sums} = vectors.add(vectors.read{part}(out, {c.place}{c.left}), {c.sums})" for c in cells),
        *(f"vectors.write{part}(out, {c.place}, {c.sums}{c.left})" for c in cells),
    ]


def _stored(cells: list[_Cell], part: str, _add: str) -> list[str]:
    """Write sums as the samples they stand for, as ``store_whole`` does; what lies ``within`` is not clipped."""
    lines = ["if plain == 0:", "    if divisor != one:"]
    lines += [f"        {c.sums} = vectors.divide({c.sums}, divisors)" for c in cells]
    lines += [f"    {c.sums} = vectors.multiply_add(shifts, scales, {c.sums})" for c in cells]
    lines += ["if absolute != 0:", *(f"    {c.sums} = vectors.magnitude({c.sums})" for c in cells)]
    lines += ["if within != 0:"]
    lines += [f"    vectors.write_nearest{part}(out, {c.place}, {c.sums}{c.left})" for c in cells]
    lines += ["else:", *(f"    {c.sums} = vectors.nearest({c.sums})" for c in cells)]
    for cell in cells:
        lines += [
            f"    in_range = vectors.between({cell.sums}, zeros, fulls)",
            f"    clipped += vectors.unequal{part}(in_range, {cell.sums}{cell.left})",
            f"    vectors.write_as{part}(out, {cell.place}, in_range{cell.left})",
        ]
    return lines


_KEEP = _Goal("", "0", "", "accumulate", _TAPS, _kept)
_STORE = _Goal(
    ready="""
    clipped = 0
    zero = full - full
    one = zero + 1
    plain = int(divisor == one and scale == one and shift == zero)
    scales, divisors, shifts = (
        vectors.spread(tile, scale), vectors.spread(tile, divisor), vectors.spread(tile, shift)
    )
    zeros, fulls = vectors.spread(tile, zero), vectors.spread(tile, full)
""",
    result="clipped",
    origin="start + ",
    add="0",
    most=2**40,  # all: sums that are stored cannot be added to
    written=_stored,
)


def _ends() -> str:
    """Write the search for the runs at which each of four rows enters the sums, and at which it leaves them."""
    lines = []
    for row in (3, 2, 1):
        last = f"enter{row + 1}" if row < 3 else "runs"
        lines += [f"while enter{row} < {last} and weight[4 * enter{row} + {row}] == 0:", f"    enter{row} += 1"]
    for row in (0, 1, 2):
        first = f"leave{row - 1}" if row else "enter3"
        lines += [f"while leave{row} > {first} and weight[4 * leave{row} - {4 - row}] == 0:", f"    leave{row} -= 1"]
    return textwrap.indent("\n".join(lines), " " * 8)


def _block(loop: _Sums, goal: _Goal, count: int, part: str = "") -> str:
    """Write the sums of one block: ``count`` vectors of outputs in each row, or a ``part`` of them."""
    rows = range(loop.rows)
    phases = (("0", loop.taps, rows),) if part else loop.phases
    cells = [
        _Cell(f"s{row}_{k}", f"o{row} + {k} * lanes", _left(k) if part else "") for row in rows for k in range(count)
    ]
    sums = [
        *(f"{cell.sums} = vectors.spread(tile, 0)" for cell in cells),
        f"last = min(first + {goal.most}, {loop.taps})",
        *chain.from_iterable(_run(loop, count, part, *phase) for phase in phases),
        *goal.written(cells, part, "add"),
        "add = 1",
        f"first += {goal.most}",
    ]
    lines = [
        *(f"o{row} = {goal.origin}x + ({loop.first_row} + {row}) * pitch" for row in rows),
        "first = 0",
        f"add = {goal.add}",
        f"while first == 0 or first < {loop.taps}:",
        *(f"    {line}" for line in sums),
    ]
    return textwrap.indent("\n".join(lines), " " * 12)


def _shared(goal: _Goal, groups: int) -> str:
    """Write the sums of evenly spaced taps that look at the same samples in ``groups`` blocks, one after the other.

    The block that ``x`` stands at takes the first taps from what is read there, the block before it the next.
    """
    ks = range(_SHIFTED)
    sets = [(group, k, f"s{group}_{k}") for group in range(groups) for k in ks]
    lines = [
        f"if groups == {groups}:",
        f"    rest = taps - {groups - 1} * period",
        *(f"    {sums} = vectors.spread(tile, 0)" for *_, sums in sets),
        f"    while length - x >= {_SHIFTED} * lanes:",
    ]
    for begin, end, some in (("0", "rest", range(groups)), ("rest", "period", range(groups - 1))):
        lines += [
            f"        for t in range({begin}, {end}):",
            "            i = row_offset[y * step + tap_row[0]] + tap_col[0] + t * apart + x",
            *(f"            v{k} = vectors.read(tile, i + {k} * lanes)" for k in ks),
            *(f"            w{g} = vectors.spread(tile, weight[y * weight_step + t + {g} * period])" for g in some),
            *(f"            s{g}_{k} = vectors.multiply_add(s{g}_{k}, w{g}, v{k})" for g in some for k in ks),
        ]
    last, behind = groups - 1, (groups - 1) * _SHIFTED
    cells = [_Cell(f"s{last}_{k}", f"o0 + {k} * lanes", "") for k in ks]
    lines += [
        f"        if x >= {behind} * lanes:",
        f"            o0 = {goal.origin}x + y * pitch - {behind} * lanes",
        *(f"            {line}" for line in goal.written(cells, "", goal.add)),
        *(f"        s{g}_{k} = s{g - 1}_{k}" for g in range(last, 0, -1) for k in ks),
        *(f"        s0_{k} = vectors.spread(tile, 0)" for k in ks),
        f"        x += {_SHIFTED} * lanes",
        f"    x -= {behind} * lanes",
    ]
    return textwrap.indent("\n".join(lines), " " * 8)


def _left(k: int) -> str:
    """Write how many lanes of vector ``k`` a part of a block has."""
    return f", left - {k} * lanes"


def _run(loop: _Sums, count: int, part: str, begin: str, end: str, rows: Iterable[int]) -> list[str]:
    """Write the loop over the taps from ``begin`` to ``end``, which count for some ``rows``."""
    return [
        f"for t in range(max(first, {begin}), min(last, {end})):",
        f"    i = {loop.start} + x",
        *(f"    w{row} = vectors.spread(tile, {loop.weight.format(row=row)})" for row in rows),
        *(f"    v{k} = vectors.read{part}(tile, i + {k} * lanes{_left(k) if part else ''})" for k in range(count)),
        *(f"    s{row}_{k} = vectors.multiply_add(s{row}_{k}, w{row}, v{k})" for row in rows for k in range(count)),
    ]


def _written_out(heading: str, template: Template, loop: _Sums, goal: _Goal, blocks: tuple[int, int]) -> str:
    """Fill in a loop: blocks of many vectors in each row, and for what is left of a row parts of few."""
    many, few = blocks
    return template.safe_substitute(
        heading=heading,
        ready=goal.ready,
        result=goal.result,
        many=many,
        few=few,
        block=_block(loop, goal, many),
        part=_block(loop, goal, few, "_part"),
        ends=_ends(),
        shifted=_SHIFTED,
        most=max(_GROUPS),
        shared="\n".join(_shared(goal, groups) for groups in _GROUPS),
    )


_IN_ROWS = "tile, row_offset, taps, tap_row, tap_col, weight, weight_step, rows, step"
_IN_FOURS = "tile, offset, runs, weight, weight_step, blocks"
_KEPT_IN = "accumulate, out, pitch, length"
_STORED_IN = "out, start, pitch, length, scale, divisor, shift, absolute, full, within"

for _heading, _loop in [
    (f"def correlate({_IN_ROWS}, {_KEPT_IN}):", (_ROW_LOOP, _ONE_ROW, _KEEP, _IN_ONE_ROW)),
    (f"def correlate_stored({_IN_ROWS}, {_STORED_IN}):", (_ROW_LOOP, _ONE_ROW, _STORE, _IN_ONE_ROW)),
    (f"def correlate_four({_IN_FOURS}, {_KEPT_IN}):", (_FOUR_ROW_LOOP, _FOUR_ROWS, _KEEP, _IN_FOUR_ROWS)),
    (f"def correlate_four_stored({_IN_FOURS}, {_STORED_IN}):", (_FOUR_ROW_LOOP, _FOUR_ROWS, _STORE, _IN_FOUR_ROWS)),
]:
    exec(_written_out(_heading, *_loop))
