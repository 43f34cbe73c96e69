"""``convfilter kernel list|show``."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import click

from convfilter.cli.options import SPEC, debug_option
from convfilter.cli.root import COMMANDS
from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS, Filter
from convfilter.filters.parameters import Parameter

if TYPE_CHECKING:
    from convfilter.filters.kernels import Kernel, Weights
    from convfilter.filters.stage import Stage

_MOST_ROWS, _MOST_COLS, _MOST_WIDTH = 32, 32, 100
_MOST_TAPS, _TAPS_PER_LINE = 128, 8
_MOST_EXACT = 1 << 53


@click.group("kernel", help=COMMANDS["kernel"], no_args_is_help=False)
def command() -> None:
    """Hold the two commands; what they do is in their own help."""


@command.command("list")
def list_filters() -> None:
    """Show all filters with their parameters, units, limits and defaults."""
    for row in FILTERS.values():
        click.echo("\n".join(_filter_lines(row)))
    click.echo("All filters take also (pooling: without padding-mode, padding-value and flip)")
    for parameter in STAGE_PARAMETERS.values():
        click.echo(_parameter_line(parameter))


def _filter_lines(row: Filter) -> Iterator[str]:
    yield row.form
    yield f"    {row.summary} {row.formula}"
    for parameter in row.parameters:
        yield _parameter_line(parameter)
    yield f"    example: {row.example}\n"


def _parameter_line(parameter: Parameter) -> str:
    facts = f"  [{parameter.facts}]" if parameter.facts else ""
    return f"    {parameter.name:<14} {parameter.help}{facts}"


@command.command("show")
@click.argument("spec", type=SPEC)
@click.option("--plot", metavar="FILE.png|svg", help="Draw the weights, a cross-section and the frequency response.")
def show(spec: str, plot: str | None) -> None:
    """Print the weights of SPEC, such as gaussian:1 or 'kernel:1 2 1; 2 4 2; 1 2 1'.

    Fractions are exact; other weights have six digits.
    """
    from convfilter.filters import stack

    stage = stack.stage(spec)
    row = FILTERS[stage.name.split(":")[0]]
    if plot is not None:
        from convfilter.cli import kernel_plot

        kernels = [(title, kernel.rotated() if stage.flip else kernel) for title, kernel in _kernels(stage)]
        kernel_plot.plot(stage.name, kernels, plot)
    click.echo(f"{stage.name}: {row.summary} {row.formula}")
    for title, kernel in _kernels(stage):
        click.echo()
        for line in _kernel_lines(title, kernel.rotated() if stage.flip else kernel):
            click.echo(line)


def _kernels(stage: Stage) -> Iterator[tuple[str, Kernel]]:
    """Yield the kernels of a stage, each with a title; pooling has none."""
    from convfilter.filters.stage import Gradient, Layer, Orientation, Point, Pooling

    operator = stage.operator
    if isinstance(operator, Gradient | Orientation):
        yield "x", operator.x
        yield "y", operator.y
    elif not isinstance(operator, Pooling | Point | Layer):
        yield "weights", operator.kernel


def _kernel_lines(title: str, kernel: Kernel) -> Iterator[str]:
    """Describe a kernel: size, sum, weights, and its factors where it is separable."""
    from convfilter.filters.factors import factored

    rows, cols = kernel.shape
    kernel = factored(kernel)
    separable = kernel.factors is not None
    yield f"{title}: {cols}x{rows}, sum {kernel.sum:.6g}, {'separable' if separable else 'not separable'}"
    table = _table(kernel.matrix, kernel.divisor) if rows <= _MOST_ROWS and cols <= _MOST_COLS else []
    if table and len(table[0]) <= _MOST_WIDTH:
        yield from table
    else:
        yield f"  {rows * cols} weights are too many to print"
    if kernel.factors is not None:
        for name, factor in zip(("column", "row"), kernel.factors, strict=True):
            yield from _factor_lines(name, factor)
        if kernel.divisor != 1:
            yield f"  their product is divided by {kernel.divisor:g}"


def _factor_lines(name: str, factor: Weights) -> Iterator[str]:
    if factor.size > _MOST_TAPS:
        yield f"  {name}: {factor.size} taps, from {factor.min():.6g} to {factor.max():.6g}"
        return
    yield f"  {name}:"
    yield from ("  " + line for line in _table(factor[None, :], 1.0, _TAPS_PER_LINE))


def _table(matrix: Weights, divisor: float, per_line: int = _MOST_COLS) -> list[str]:
    """Write numbers in columns, right-aligned, as fractions where they are exact."""
    words = [[_number(value, divisor) for value in row] for row in matrix]
    width = max(len(word) for row in words for word in row)
    lines = [row[first : first + per_line] for row in words for first in range(0, len(row), per_line)]
    return ["  " + "  ".join(word.rjust(width) for word in line) for line in lines]


def _number(numerator: float, divisor: float) -> str:
    if numerator.is_integer() and divisor.is_integer() and max(abs(numerator), abs(divisor)) < _MOST_EXACT:
        return str(Fraction(int(numerator), int(divisor)))
    return f"{numerator / divisor:.6g}"


for each in command.commands.values():
    each.params.append(debug_option())
