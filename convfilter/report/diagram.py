"""Drawings of a plan as SVG: input grid, padding, window and output, in the style of Dumoulin and Visin (2016)."""

from __future__ import annotations

from collections.abc import Iterator

from convfilter.planning import AxisPlan, Plan, StagePlan
from convfilter.report.markup import shown

#: Most padded cells that are drawn along an axis, for small and for large windows.
_CELLS, _MOST_CELLS = 14, 48
#: Approximate characters that fit a title.
_MOST_TITLE = 84
_SIDE, _GAP, _LINE = 280.0, 36.0, 16.0
_STYLE = """\
text{font:13px sans-serif;fill:#222}.note{font-size:11px;fill:#666}
.in{fill:#8ecae6;stroke:#1d5f7a}.pad{fill:#fff;stroke:#9aa5ab;stroke-dasharray:2 2}.out{fill:#95d5b2;stroke:#2d6a4f}
.tap{fill:#219ebc;stroke:#0b3c49}.tap.pad{fill:#bcd9e2;stroke:#0b3c49}.hit{fill:#2d6a4f;stroke:#123b2a}
.window{fill:none;stroke:#d1495b;stroke-width:2}.next{fill:none;stroke:#d1495b;stroke-width:1.5;stroke-dasharray:5 3}
.line{stroke:#d1495b;stroke-width:1;opacity:.6}"""


def diagram(plan: Plan) -> str:
    """Draw every stage of ``plan``, with its input on the left and its output on the right.

    The window of the first output is filled; the window of the next output, to its right, is dashed. Of a large
    picture, only the upper left corner is drawn. If the cells of a window would be too small, areas are drawn to scale
    instead.
    """
    parts: list[str] = []
    top = _GAP
    for number, stage in enumerate(plan.stages, 1):
        drawn, height = _stage(number, stage, top)
        parts.extend(drawn)
        top += height + _GAP
    width = 2 * _SIDE + 4 * _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {top:g}" width="{width:g}" height="{top:g}">\n'
        f'<style>{_STYLE}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _stage(number: int, stage: StagePlan, top: float) -> tuple[list[str], float]:
    """Draw one stage; return its elements and its height."""
    rows, cols = stage.rows, stage.cols
    windows = max(axis.span + 1 + axis.stride for axis in (rows, cols))
    are_areas = windows > _MOST_CELLS
    shown_rows, shown_cols = (_shown(axis, 2 * windows if are_areas else 0) for axis in (rows, cols))
    cell = _SIDE / max(shown_rows, shown_cols)
    grid_top, left, right = top + 2 * _LINE, _GAP, _SIDE + 3 * _GAP
    title = f"{number}. {stage.stage.name}: {cols.input}x{rows.input} to {cols.output}x{rows.output}"
    apart = f", samples {cols.step}x{rows.step} apart" if cols.inserted or rows.inserted else ""
    note = (
        f"kernel {cols.kernel}x{rows.kernel}, stride {cols.stride}x{rows.stride}, "
        f"dilation {cols.dilation}x{rows.dilation}, padding {_padding(cols)} by {_padding(rows)}{apart}"
    )
    parts = [_text(_GAP, top, _shortened(title)), _text(_GAP, top + _LINE, note, "note")]
    window = (cols.span + 1) * cell, (rows.span + 1) * cell
    draw_input, draw_output = (_input_area, _output_area) if are_areas else (_input_cells, _output_cells)
    parts += draw_input(rows, cols, shown_rows, shown_cols, left, grid_top, cell)
    if cols.output > 1:
        parts.append(_box("next", left + cols.stride * cell, grid_top, *window))
    parts.append(_box("window", left, grid_top, *window))
    parts += draw_output(rows, cols, shown_rows, shown_cols, right, grid_top, cell)
    for corner, height in ((grid_top, grid_top), (grid_top + window[1], grid_top + cell)):
        parts.append(f'<line class="line" x1="{left + window[0]:g}" y1="{corner:g}" x2="{right:g}" y2="{height:g}"/>')
    hidden = shown_rows < _whole(rows) or shown_cols < _whole(cols)
    if hidden:
        parts.append(_text(left, grid_top + shown_rows * cell + _LINE, "upper left corner", "note"))
    return parts, 2 * _LINE + max(shown_rows * cell, window[1]) + (_LINE if hidden else 0)


def _padding(axis: AxisPlan) -> str:
    """Format the padding before and after, and the overhang of the last window."""
    beyond = f"{axis.beyond:+d}" if axis.beyond else ""
    return f"{axis.before}+{axis.after - axis.beyond}{beyond}"


def _shortened(title: str) -> str:
    if len(title) <= _MOST_TITLE:
        return title
    name, colon, sizes = title.rpartition(": ")
    return f"{name[: _MOST_TITLE - len(sizes) - 5]}...{colon}{sizes}"


def _whole(axis: AxisPlan) -> int:
    return axis.spaced + axis.before + axis.after


def _is_sample(axis: AxisPlan, place: int) -> bool:
    """Whether a place holds a sample, rather than padding or an inserted zero."""
    place -= axis.before
    return 0 <= place < axis.spaced and place % axis.step == 0


def _shown(axis: AxisPlan, at_least: int) -> int:
    """Return how many padded pixels of an axis to draw: at least two windows."""
    return min(_whole(axis), max(_CELLS, axis.span + 1 + axis.stride, at_least))


def _input_cells(
    rows: AxisPlan, cols: AxisPlan, shown_rows: int, shown_cols: int, left: float, top: float, cell: float
) -> Iterator[str]:
    row_taps, col_taps = (range(0, axis.span + 1, axis.dilation) for axis in (rows, cols))
    for row in range(shown_rows):
        for col in range(shown_cols):
            inside = _is_sample(rows, row) and _is_sample(cols, col)
            kind = "in" if inside else "pad"
            if row in row_taps and col in col_taps:
                kind = "tap" if inside else "tap pad"
            yield _box(kind, left + col * cell, top + row * cell, cell, cell)


def _output_cells(
    rows: AxisPlan, cols: AxisPlan, shown_rows: int, shown_cols: int, left: float, top: float, cell: float
) -> Iterator[str]:
    for row in range(min(rows.output, shown_rows)):
        for col in range(min(cols.output, shown_cols)):
            kind = "hit" if row == col == 0 else "out"
            yield _box(kind, left + col * cell, top + row * cell, cell, cell)


def _input_area(
    rows: AxisPlan, cols: AxisPlan, shown_rows: int, shown_cols: int, left: float, top: float, cell: float
) -> Iterator[str]:
    """Draw the padding, the picture in it, and the window."""
    window = cols.span + 1, rows.span + 1
    for kind, width, height in (("pad", shown_cols, shown_rows), ("tap pad", *window)):
        yield _box(kind, left, top, width * cell, height * cell)
    for kind, width, height in (("in", shown_cols, shown_rows), ("tap", *window)):
        inside = (
            min(width, cols.before + cols.spaced) - cols.before,
            min(height, rows.before + rows.spaced) - rows.before,
        )
        if min(inside) > 0:
            corner = left + cols.before * cell, top + rows.before * cell
            yield _box(kind, *corner, inside[0] * cell, inside[1] * cell)


def _output_area(
    rows: AxisPlan, cols: AxisPlan, shown_rows: int, shown_cols: int, left: float, top: float, cell: float
) -> Iterator[str]:
    """Draw the result, and its first pixel."""
    yield _box("out", left, top, min(cols.output, shown_cols) * cell, min(rows.output, shown_rows) * cell)
    yield _box("hit", left, top, cell, cell)


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text{f" class={chr(34)}{kind}{chr(34)}" if kind else ""} x="{x:g}" y="{y:g}">{shown(text)}</text>'
