"""Correlation of eight output rows at a time, which share the runs of samples that they read.

Row r + 1 uses the runs of row r except the first, and one more. A block of eight rows, of three vectors if there are 32
registers, else of one, stays in registers while runs are added. Samples are converted to real numbers when they are
read. A template generates both loops, which write sums or samples; the first and last seven runs, which only some rows
use, are unrolled.
"""

from __future__ import annotations

import textwrap
from string import Template

from convfilter.loops import blocks, vectors  # noqa: F401 - the generated code uses blocks

_ROWS = 8
#: Number of vectors of a block in each row.
_MANY = 3 if vectors.vector_bytes() == 64 else 1

_LOOP = Template('''
$heading
    """Write ``count`` blocks of eight rows of ``length`` samples, each a weighted sum of runs of the tile.

    Run ``t`` of the ``runs`` runs of block ``b`` starts at sample ``run_start[b * runs + t]``; its weights for the rows
    are ``weight[8 * t]`` and the next seven. Row ``r`` uses runs ``r`` to ``runs - 8 + r``, at least seven. ``length``
    is a multiple of the number of lanes. $what
    """
    lanes = vectors.lanes(weight)
$ready
    x = 0
    while length - x >= $many * lanes:
        for b in range(count):
$block
        x += $many * lanes
    while x < length:
        for b in range(count):
$rest
        x += lanes
    return 0
''')
_SUMS = {
    "heading": "def correlate_eight(tile, run_start, runs, weight, count, out, pitch, length):",
    "what": "",
    "ready": "",
}
_SAMPLES = {
    "heading": """
def correlate_eight_stored(
    tile, run_start, runs, weight, count, out, pitch, length, only_sums, scale, divisor, offset,
):  # fmt: skip
""",
    "what": """The sums or, unless ``only_sums``,
    ``scale * sum / divisor + offset`` are rounded and stored as samples; all are in range.""",
    "ready": """
    scales, divisors, offsets = (
        vectors.spread(weight, scale), vectors.spread(weight, divisor), vectors.spread(weight, offset)
    )
""",
}


def _block(count: int, *, stores: bool) -> str:
    """Generate the code of a block of ``count`` vectors in each row."""

    def run(number: str, first: int, last: int) -> str:
        samples = f"blocks.read(weight, tile, run_start[at + {number}] + x, {count})"
        return f"sums = blocks.weigh(sums, weight, {_ROWS} * ({number}), {samples}, {first}, {last})"

    before = [run(f"{row}", 0, row + 1) for row in range(_ROWS - 1)]
    after = [run(f"runs - {_ROWS - row}", row, _ROWS) for row in range(1, _ROWS)]
    lines = [
        "at = b * runs",
        f"sums = blocks.zeros(weight, {_ROWS * count})",
        *before,
        f"for t in range({_ROWS - 1}, runs - {_ROWS - 1}):",
        f"    {run('t', 0, _ROWS)}",
        *after,
    ]
    if stores:
        lines += [
            "if only_sums == 0:",
            "    sums = blocks.scaled(blocks.divided(sums, divisors), scales, offsets)",
        ]
    write = "write_rows_nearest" if stores else "write_rows"
    lines += [f"blocks.{write}(out, x + {_ROWS} * b * pitch, pitch, {count}, sums)"]
    return textwrap.indent("\n".join(lines), " " * 12)


for _parts, _stores in ((_SUMS, False), (_SAMPLES, True)):
    exec(_LOOP.substitute(_parts, many=_MANY, block=_block(_MANY, stores=_stores), rest=_block(1, stores=_stores)))
