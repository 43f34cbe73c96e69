"""Weighted sums of shifted runs: every pass of every linear filter, of any stride and dilation.

Both loops are written out from one template, because what they cost is loads
and stores: eight taps a pass save most of the accumulator's (twelve gain
nothing), and four output rows a pass share the samples they read. Measured on
tiles of 64 x 2048 samples: 27 thousand million multiply-adds a second with
eight taps alone, 43 with four rows as well.
"""

from __future__ import annotations

from string import Template

#: How many taps a pass takes, from the widest; the last is 1, so that any number of taps can be summed.
_WIDTHS = (8, 3, 1)

_ROW_LOOP = Template('''
def correlate(
    tile, row_offset, taps, tap_row, tap_col, weight, weight_step, rows, step, accumulate, out, pitch, length
):
    """Sum ``weight[t] * tile[row_offset[y * step + tap_row[t]] + tap_col[t] + x]`` into ``out[y * pitch + x]``.

    With a ``weight_step``, each output row has weights of its own, that far apart.
    """
    for y in range(rows):
        o0 = y * pitch
        if accumulate == 0:
            for x in range(length):
                out[o0 + x] = 0
        t = 0
$passes
    return 0
''')

_FOUR_ROW_LOOP = Template('''
def correlate_four(tile, offset, runs, weight, weight_step, blocks, accumulate, out, pitch, length):
    """Sum ``runs`` weighted runs of the tile into each block of four output rows.

    Run ``t`` of block ``b`` starts at ``offset[b * runs + t]``; its weights for
    the four rows are ``weight[b * weight_step + 4 * t]`` and the next three.
    """
    for b in range(blocks):
        o0 = 4 * b * pitch
        o1 = o0 + pitch
        o2 = o1 + pitch
        o3 = o2 + pitch
        if accumulate == 0:
            for y in range(4):
                for x in range(length):
                    out[o0 + y * pitch + x] = 0
        t = 0
$passes
    return 0
''')


def _passes(outputs: int, taps: str, start: str, weight: str) -> str:
    """Write the passes over the taps, from the widest to the one of a single tap."""
    lines = []
    for width in _WIDTHS:
        lines.append(f"        while t + {width} <= {taps}:")
        for k in range(width):
            lines.append(f"            i{k} = " + start.format(k=k))
        for k in range(width):
            for row in range(outputs):
                lines.append(f"            w{row}_{k} = " + weight.format(k=k, row=row))
        lines.append("            for x in range(length):")
        for k in range(width):
            lines.append(f"                s{k} = tile[i{k} + x]")
        for row in range(outputs):
            terms = " + ".join(f"w{row}_{k} * s{k}" for k in range(width))
            lines.append(f"                out[o{row} + x] += {terms}")
        lines.append(f"            t += {width}")
    return "\n".join(lines)


exec(
    _ROW_LOOP.substitute(
        passes=_passes(
            1,
            "taps",
            "row_offset[y * step + tap_row[t + {k}]] + tap_col[t + {k}]",
            "weight[y * weight_step + t + {k}]",
        )
    )
    + _FOUR_ROW_LOOP.substitute(
        passes=_passes(4, "runs", "offset[b * runs + t + {k}]", "weight[b * weight_step + 4 * (t + {k}) + {row}]")
    )
)
