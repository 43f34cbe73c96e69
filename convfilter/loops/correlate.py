"""Correlation: weighted sums of taps, for every pass of a linear filter, with any stride and dilation.

``correlate`` computes one output row at a time, ``correlate_four`` four rows, which share the samples that they read.
Each is generated from a template, in two versions: one writes the sums, the other (``_stored``) converts them to
samples. A block of a few vectors of sums stays in registers while all taps are added, so a tap costs little more than
the loads of its samples. Measured on tiles of 64 x 2112 samples with 23 taps and vectors of 64 bytes, in 10^9
multiply-adds a second: 34 along a row, where loads straddle cache lines, and 61 down four rows; 23 for both with sums
in memory.
"""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Iterable, Iterator
from itertools import chain
from string import Template

from convfilter.loops import blocks, vectors  # noqa: F401 - the generated code uses blocks

#: Number of taps of a partial sum. The sum of partial sums has a smaller rounding error than one long sum.
_TAPS = 64
#: Number of vectors of a block in each row, and of a block at the end of a row. With fewer, additions wait for each
#: other; with more, registers run out (there are 32 of 64 bytes, or 16 of 32 bytes).
_WIDE = vectors.vector_bytes() == 64
_IN_ONE_ROW = 8, 4
_IN_FOUR_ROWS = (4, 2) if _WIDE else (2, 1)

#: Number of vectors of a block that shares its samples with other blocks of the row. Three vectors hold whole pixels of
#: one to four channels.
_SHIFTED = 3
#: Numbers of successive blocks that may share samples.
_GROUPS = (2, 3, 4)

_ROW_LOOP = Template('''
$heading
    """Sum ``weight[t] * tile[row_offset[y * stride + tap_row[t]] + tap_col[t] + x]`` into ``out[y * pitch + x]``.

    The weights of successive output rows are ``weight_step`` apart; 0 means that all rows have the same weights.
    """
$ready
    lanes = vectors.lanes(tile)
    tap_pitch = 0 if taps < 2 else tap_col[1] - tap_col[0]
    for t in range(1, taps):
        if tap_row[t] != tap_row[0] or tap_col[t] - tap_col[t - 1] != tap_pitch:
            tap_pitch = 0
    period = groups = 0
    if tap_pitch > 0 and $shifted * lanes % tap_pitch == 0:
        period = $shifted * lanes // tap_pitch
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

# The outer loop runs over columns, the inner loop over rows, so that rows shared by blocks stay in the L1 cache.
_FOUR_ROW_LOOP = Template('''
$heading
    """Write ``count`` blocks of four output rows, each a weighted sum of ``runs`` runs of adjacent samples of the tile.

    Run ``t`` of block ``b`` starts at sample ``run_start[b * runs + t]``; its weights for the four rows are those from
    ``weight[b * weight_step + 4 * t]`` on. A partial sum has ``most`` runs. If all blocks have the same weights
    (``weight_step`` is 0), the first and last runs are added only to the rows for which their weights are not 0.
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
    """Parts of a template that depend on the rows of a block: their number, and expressions for tap ``t``.

    ``start`` is the index of the tap's first sample, ``weight`` that of its weight for the first row. ``phases`` are
    ranges of taps, with the range of rows (first, last + 1) that uses them.
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
    start="row_offset[y * stride + tap_row[t]] + tap_col[t]",
    weight="y * weight_step + t",
    phases=(("0", "taps", 0, 1),),
)
_FOUR_ROWS = _Sums(
    rows=4,
    first_row="4 * b",
    taps="runs",
    start="run_start[b * runs + t]",
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
    """Parts of a template that depend on what a loop stores, sums or samples.

    ``ready`` is the code before the loop, ``result`` the return value, ``origin`` the index of the first output.
    ``add`` is an expression, true where sums are added to ``out``; ``most`` is the number of taps of a partial sum, or
    its name. ``written`` generates the code that stores a block, from the name of its sums, its index in ``out`` and
    pitch, and the suffix of the functions for partial blocks.
    """

    ready: str
    result: str
    origin: str
    add: str
    most: int | str
    written: typing.Callable[[str, str, str], list[str]]


def _store_sums(sums: str, place: str, part: str) -> list[str]:
    """Generate code that stores a block of sums."""
    return [
        "if add != 0:",
        f"    {sums} = blocks.add_rows{part}(out, {place}, {sums})",
        f"blocks.write_rows{part}(out, {place}, {sums})",
    ]


def _store_samples(sums: str, place: str, part: str) -> list[str]:
    """Generate code that stores a block as samples, as ``store_whole`` does; without clipping if ``within``."""
    return [
        "if unit > zero:",
        f"    {sums} = blocks.quotients({sums}, units, inverses, most, factors, weight_divisors)",
        "if unscaled == 0:",
        "    if divisor != one:",
        f"        {sums} = blocks.divided({sums}, divisors)",
        f"    {sums} = blocks.scaled({sums}, scales, offsets)",
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
    unscaled = int(divisor == one and scale == one and offset == zero)
    scales, divisors, offsets = (
        vectors.spread(tile, scale), vectors.spread(tile, divisor), vectors.spread(tile, offset)
    )
    units, inverses, most, factors, weight_divisors = (
        vectors.spread(tile, unit), vectors.spread(tile, one / (unit if unit > zero else one)),
        vectors.spread(tile, 1e37), vectors.spread(tile, factor), vectors.spread(tile, weight_divisor)
    )
""",
    result="clipped",
    origin="start + ",
    add="0",
    most=2**40,  # all taps form one sum, since nothing can be added to a stored sample
    written=_store_samples,
)


def _ends() -> str:
    """Generate the search for the first and last run of nonzero weight for each of four rows."""
    lines = []
    for row in (3, 2, 1):
        last = f"enter{row + 1}" if row < 3 else "runs"
        lines += [f"while enter{row} < {last} and weight[4 * enter{row} + {row}] == 0:", f"    enter{row} += 1"]
    for row in (0, 1, 2):
        first = f"leave{row - 1}" if row else "enter3"
        lines += [f"while leave{row} > {first} and weight[4 * leave{row} - {4 - row}] == 0:", f"    leave{row} -= 1"]
    return textwrap.indent("\n".join(lines), " " * 8)


def _block(loop: _Sums, output: _Output, count: int, part: str = "") -> str:
    """Generate the code of a block of ``count`` vectors in each row; the suffix ``part`` makes it a partial block."""
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
    """Generate the code of ``groups`` successive blocks of a row that share loads, for evenly spaced taps.

    The samples that are loaded at ``x`` are the first taps of the block at ``x``, the following taps of the block
    before it, and so on.
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
            "            at = row_offset[y * stride + tap_row[0]] + tap_col[0] + t * tap_pitch + x",
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
    """Return the code of a loop, from blocks of two sizes: for the row, and for its end."""
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


_ROW_ARGUMENTS = "tile, row_offset, taps, tap_row, tap_col, weight, weight_step, rows, stride"
_FOUR_ROW_ARGUMENTS = "tile, run_start, runs, weight, weight_step, count"
_SUM_ARGUMENTS = "accumulate, out, pitch, length"
_SAMPLE_ARGUMENTS = (
    "out, start, pitch, length, scale, divisor, offset, absolute, full, within, unit, factor, weight_divisor"
)

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
