"""Weighted sums of shifted runs: every pass of every linear filter, of any stride and dilation.

Both loops are generated from a template, each twice: one version stores the
sums, the other converts the sums to samples and stores these. A block of a few
vectors of outputs stays in registers while taps are added, so that a tap costs
little more than the loads of its samples; four output rows at a time share the
samples that they read. Measured on tiles of 64 x 2112 samples with 23 taps, in 10^9
multiply-adds a second, with 64-byte vectors: 34 along a row, where loads
straddle cache lines, and 61 down four rows; 23 for both with sums in memory.
"""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Iterable, Iterator
from itertools import chain
from string import Template

from convfilter.loops import blocks, vectors  # noqa: F401 - the generated code uses blocks

#: Taps of one partial sum: partial sums, added up, have smaller errors than one long sum.
_TAPS = 64
#: Vectors of a block in each row, and of a row's tail: with fewer, additions wait for each other; with more, registers
#: run out (there are 32 of 64 bytes, or 16 of 32 bytes).
_WIDE = vectors.vector_bytes() == 64
_IN_ONE_ROW = 8, 4
_IN_FOUR_ROWS = (4, 2) if _WIDE else (2, 1)

#: Vectors of a block that shares its samples with the next block: three hold whole pixels of one to four channels.
_SHIFTED = 3
#: Numbers of blocks that may share samples.
_GROUPS = (2, 3, 4)

_ROW_LOOP = Template('''
$heading
    """Sum ``weight[t] * tile[row_offset[y * step + tap_row[t]] + tap_col[t] + x]`` into ``out[y * pitch + x]``.

    The weights of successive output rows are ``weight_step`` apart; with 0, all rows have the same weights.
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

# The outer loop runs over columns, the inner one over rows: rows shared by blocks are then in the L1 cache.
_FOUR_ROW_LOOP = Template('''
$heading
    """Sum ``runs`` weighted runs of the tile into each block of four output rows.

    Run ``t`` of block ``b`` starts at ``offset[b * runs + t]``; its weights for
    the four rows are ``weight[b * weight_step + 4 * t]`` and the next three.
    A partial sum has ``most`` runs.
    If all blocks have the same weights (``weight_step`` is 0), runs at either end are not added to the rows for which
    their weight is 0.
    """
$ready
    lanes = vectors.lanes(tile)
    enter1 = enter2 = enter3 = 0
    leave0 = leave1 = leave2 = runs
    if weight_step == 0:
$ends
    x = 0
    while length - x >= $many * lanes:
        for b in range(count):
$block
        x += $many * lanes
    while x < length:
        left = length - x
        for b in range(count):
$part
        x += $few * lanes
    return $result
''')


class _Sums(typing.NamedTuple):
    """Properties of a loop: rows of outputs, and expressions for the position of tap ``t``.

    ``phases`` are ranges of taps, each with the first and last-plus-one row that uses them.
    """

    rows: int
    first_row: str
    taps: str
    start: str
    weight: str
    phases: tuple[tuple[str, str, int, int], ...]


_ONE_ROW = _Sums(
    rows=1,
    first_row="y",
    taps="taps",
    start="row_offset[y * step + tap_row[t]] + tap_col[t]",
    weight="y * weight_step + t",
    phases=(("0", "taps", 0, 1),),
)
_FOUR_ROWS = _Sums(
    rows=4,
    first_row="4 * b",
    taps="runs",
    start="offset[b * runs + t]",
    weight="b * weight_step + 4 * t",
    phases=(
        ("0", "enter1", 0, 1),
        ("enter1", "enter2", 0, 2),
        ("enter2", "enter3", 0, 3),
        ("enter3", "leave0", 0, 4),
        ("leave0", "leave1", 1, 4),
        ("leave1", "leave2", 2, 4),
        ("leave2", "runs", 3, 4),
    ),
)


class _Output(typing.NamedTuple):
    """Properties of what a loop stores (sums, or samples): the code before the loop, and its return value.

    ``origin`` is the start of the outputs, ``add`` says whether sums are added to ``out``, ``most`` is the number of
    taps of one sum, or its name. ``written`` takes the name of a block of sums, its address, and the suffix of a
    partial block.
    """

    ready: str
    result: str
    origin: str
    add: str
    most: int | str
    written: typing.Callable[[str, str, str], list[str]]


def _store_sums(sums: str, place: str, part: str) -> list[str]:
    """Generate code that stores sums."""
    return [
        "if add != 0:",
        f"    {sums} = blocks.add_rows{part}(out, {place}, {sums})",
        f"blocks.write_rows{part}(out, {place}, {sums})",
    ]


def _store_samples(sums: str, place: str, part: str) -> list[str]:
    """Generate code that stores samples, as ``store_whole`` does; ``within``: all are in range, so none is clipped."""
    return [
        "if plain == 0:",
        "    if divisor != one:",
        f"        {sums} = blocks.divided({sums}, divisors)",
        f"    {sums} = blocks.scaled({sums}, scales, shifts)",
        "if absolute != 0:",
        f"    {sums} = blocks.magnitudes({sums})",
        "if within != 0:",
        f"    blocks.write_rows_nearest{part}(out, {place}, {sums})",
        "else:",
        f"    clipped += blocks.write_rows_clipped{part}(out, {place}, {sums}, full)",
    ]


_SUMS = _Output("", "0", "", "accumulate", _TAPS, _store_sums)
_FOUR_SUMS = _SUMS._replace(most="most")
_SAMPLES = _Output(
    ready="""
    clipped = 0
    zero = full - full
    one = zero + 1
    plain = int(divisor == one and scale == one and shift == zero)
    scales, divisors, shifts = (
        vectors.spread(tile, scale), vectors.spread(tile, divisor), vectors.spread(tile, shift)
    )
""",
    result="clipped",
    origin="start + ",
    add="0",
    most=2**40,  # no partial sums: a stored sample cannot be added to
    written=_store_samples,
)


def _ends() -> str:
    """Generate the search for the first and last run with a nonzero weight for each of four rows."""
    lines = []
    for row in (3, 2, 1):
        last = f"enter{row + 1}" if row < 3 else "runs"
        lines += [f"while enter{row} < {last} and weight[4 * enter{row} + {row}] == 0:", f"    enter{row} += 1"]
    for row in (0, 1, 2):
        first = f"leave{row - 1}" if row else "enter3"
        lines += [f"while leave{row} > {first} and weight[4 * leave{row} - {4 - row}] == 0:", f"    leave{row} -= 1"]
    return textwrap.indent("\n".join(lines), " " * 8)


def _block(loop: _Sums, output: _Output, count: int, part: str = "") -> str:
    """Generate the sums of one block: ``count`` vectors of outputs in each row, or a ``part`` of them."""
    left = ", left" if part else ""

    def run(begin: str, end: str, first: int, last: int) -> Iterator[str]:
        samples = f"blocks.read{part}(tile, tile, {loop.start} + x, {count}{left})"
        yield f"    for t in range(max(first, {begin}), min(last, {end})):"
        yield f"        sums = blocks.weigh(sums, weight, {loop.weight}, {samples}, {first}, {last})"

    place = f"{output.origin}x + {loop.first_row} * pitch, pitch, {count}{left}"
    lines = [
        "first = 0",
        f"add = {output.add}",
        f"while first == 0 or first < {loop.taps}:",
        f"    sums = blocks.zeros(tile, {loop.rows * count})",
        f"    last = min(first + {output.most}, {loop.taps})",
        *chain.from_iterable(run(*phase) for phase in loop.phases),
        *_indented(output.written("sums", place, part), 4),
        "    add = 1",
        f"    first += {output.most}",
    ]
    return "\n".join(_indented(lines, 12))


def _shared(output: _Output, groups: int) -> str:
    """Generate the sums of evenly spaced taps that share loads between ``groups`` successive blocks.

    The block at ``x`` uses samples for its first taps, the block before it for its next, and so on.
    """
    lines = [
        f"if groups == {groups}:",
        f"    add = {output.add}",
        f"    rest = taps - {groups - 1} * period",
        *(f"    sums{group} = blocks.zeros(tile, {_SHIFTED})" for group in range(groups)),
        f"    while length - x >= {_SHIFTED} * lanes:",
    ]
    for begin, end, some in (("0", "rest", range(groups)), ("rest", "period", range(groups - 1))):
        lines += [
            f"        for t in range({begin}, {end}):",
            "            at = row_offset[y * step + tap_row[0]] + tap_col[0] + t * apart + x",
            f"            samples = blocks.read(tile, tile, at, {_SHIFTED})",
            *(
                f"            sums{group} = blocks.weigh("
                f"sums{group}, weight, y * weight_step + t + {group} * period, samples, 0, 1)"
                for group in some
            ),
        ]
    last, behind = groups - 1, (groups - 1) * _SHIFTED
    place = f"{output.origin}x + y * pitch - {behind} * lanes, pitch, {_SHIFTED}"
    lines += [
        f"        if x >= {behind} * lanes:",
        *_indented(output.written(f"sums{last}", place, ""), 12),
        *(f"        sums{group} = sums{group - 1}" for group in range(last, 0, -1)),
        f"        sums0 = blocks.zeros(tile, {_SHIFTED})",
        f"        x += {_SHIFTED} * lanes",
        f"    x -= {behind} * lanes",
    ]
    return "\n".join(_indented(lines, 8))


def _indented(lines: Iterable[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


def _generated(heading: str, template: Template, loop: _Sums, output: _Output, sizes: tuple[int, int]) -> str:
    """Fill in a template: blocks of many vectors in each row, and of few vectors for the tail of a row."""
    many, few = sizes
    return template.safe_substitute(
        heading=heading,
        ready=output.ready,
        result=output.result,
        many=many,
        few=few,
        block=_block(loop, output, many),
        part=_block(loop, output, few, "_part"),
        ends=_ends(),
        shifted=_SHIFTED,
        most=max(_GROUPS),
        shared="\n".join(_shared(output, groups) for groups in _GROUPS),
    )


_ROW_ARGUMENTS = "tile, row_offset, taps, tap_row, tap_col, weight, weight_step, rows, step"
_FOUR_ROW_ARGUMENTS = "tile, offset, runs, weight, weight_step, count"
_SUM_ARGUMENTS = "accumulate, out, pitch, length"
_SAMPLE_ARGUMENTS = "out, start, pitch, length, scale, divisor, shift, absolute, full, within"

for _heading, _loop in [
    (f"def correlate({_ROW_ARGUMENTS}, {_SUM_ARGUMENTS}):", (_ROW_LOOP, _ONE_ROW, _SUMS, _IN_ONE_ROW)),
    (f"def correlate_stored({_ROW_ARGUMENTS}, {_SAMPLE_ARGUMENTS}):", (_ROW_LOOP, _ONE_ROW, _SAMPLES, _IN_ONE_ROW)),
    (
        f"def correlate_four({_FOUR_ROW_ARGUMENTS}, most, {_SUM_ARGUMENTS}):",
        (_FOUR_ROW_LOOP, _FOUR_ROWS, _FOUR_SUMS, _IN_FOUR_ROWS),
    ),
    (
        f"def correlate_four_stored({_FOUR_ROW_ARGUMENTS}, {_SAMPLE_ARGUMENTS}):",
        (_FOUR_ROW_LOOP, _FOUR_ROWS, _SAMPLES, _IN_FOUR_ROWS),
    ),
]:
    exec(_generated(_heading, *_loop))
