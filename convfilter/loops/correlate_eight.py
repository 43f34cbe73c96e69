"""Weighted sums of runs of whole vectors, for eight output rows at a time that share the runs they read.

Row r + 1 uses the runs of row r except the first, and one more. The sums of a block, eight rows of a few vectors, stay
in registers: three vectors if there are 32 registers, else one. Samples are converted to real numbers when read. Both
loops are generated from a template; the first and last seven runs, which only some rows use, are unrolled.
"""

from __future__ import annotations

import textwrap
from string import Template

from convfilter.loops import blocks, vectors  # noqa: F401 - the generated code uses blocks

_ROWS = 8
_MANY = 3 if vectors.vector_bytes() == 64 else 1

_LOOP = Template('''
$heading
    """Sum ``runs`` weighted runs of the tile into each of ``count`` blocks of eight rows, ``length`` samples long.

    Run ``t`` of block ``b`` starts at ``offset[b * runs + t]``; its weights for the rows are ``weight[8 * t]`` and
    those that follow. Row ``r`` reads runs ``r`` to ``runs - 8 + r``, at least seven. Lengths are whole vectors. $what
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
_KEEP = {
    "heading": "def correlate_eight(tile, offset, runs, weight, count, out, pitch, length):",
    "what": "",
    "ready": "",
}
_STORE = {
    "heading": """
def correlate_eight_stored(
    tile, offset, runs, weight, count, out, pitch, length, plain, scale, divisor, shift,
):  # fmt: skip
""",
    "what": """Results
    are rounded and stored as samples, all in range: the sums if ``plain``, else ``scale * sum / divisor + shift``.""",
    "ready": """
    scales, divisors, shifts = (
        vectors.spread(weight, scale), vectors.spread(weight, divisor), vectors.spread(weight, shift)
    )
""",
}


def _block(count: int, *, stores: bool) -> str:
    """Generate the sums of one block: ``count`` vectors in each row."""

    def run(number: str, first: int, last: int) -> str:
        samples = f"blocks.read(weight, tile, offset[at + {number}] + x, {count})"
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
            "if plain == 0:",
            "    sums = blocks.scaled(blocks.divided(sums, divisors), scales, shifts)",
        ]
    write = "write_rows_nearest" if stores else "write_rows"
    lines += [f"blocks.{write}(out, x + {_ROWS} * b * pitch, pitch, {count}, sums)"]
    return textwrap.indent("\n".join(lines), " " * 12)


for _words, _stores in ((_KEEP, False), (_STORE, True)):
    exec(_LOOP.substitute(_words, many=_MANY, block=_block(_MANY, stores=_stores), rest=_block(1, stores=_stores)))
