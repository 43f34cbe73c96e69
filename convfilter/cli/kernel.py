"""``convfilter kernel``: list the filters, or show the weights of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import click

from convfilter.cli.commands import COMMANDS
from convfilter.cli.messages import json_of, say, tell
from convfilter.cli.options import common_options
from convfilter.cli.values import SPEC, WordType
from convfilter.errors import UsageError
from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS, Filter
from convfilter.filters.parameters import Parameter
from convfilter.filters.row import ALL_KEYWORDS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from convfilter.filters.kernel import Kernel, Weights
    from convfilter.filters.stage import Stage

_MOST_ROWS, _MOST_COLS, _MOST_WIDTH = 32, 32, 100
_MOST_TAPS, _TAPS_PER_LINE = 128, 8
_MOST_KERNELS = 24
_MOST_EXACT = 1 << 53
#: Groups of filters; the others are listed last.
_GROUPS = {
    "blur": "gaussian box disk motion",
    "edges": "sobel scharr prewitt freichen farid kirsch robinson roberts derivative laplacian log dog gabor",
    "sharpen": "unsharp emboss",
    "weights": "kernel identity",
    "windows": "maxpool minpool avgpool lppool median percentile",
    "networks": "layer convtranspose net instancenorm lrn softmax",
    "morphology": "erode dilate open close morphgradient tophat blackhat",
}


@click.group("kernel", help=COMMANDS["kernel"], no_args_is_help=False)
def command() -> None:
    """Group of the two commands."""


@command.command("list")
@click.argument("names", nargs=-1, type=WordType("NAME", lambda: FILTERS), metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Write the filters as JSON.")
def list_filters(names: tuple[str, ...], as_json: bool) -> None:
    """Show filters with their parameters, units, limits and defaults: all, by group, or those of the given names."""
    for name in names:
        if name not in FILTERS:
            from convfilter.cli import hints

            raise UsageError(hints.of_filter(name))
    rows = [FILTERS[name] for name in names or FILTERS]
    if as_json:
        tell(*json_of([_facts(row) for row in rows], indent=2).splitlines())
        return
    if not names:
        tell(*_index(), "")
    for row in rows:
        tell(*_filter_lines(row), "")
    tell(*_common_lines(rows))


def _index() -> Iterator[str]:
    """List the names by group, before the filters themselves."""
    grouped = {name for names in _GROUPS.values() for name in names.split()}
    for group, names in _GROUPS.items():
        yield f"{group:<10} {names}"
    yield f"{'others':<10} {' '.join(name for name in FILTERS if name not in grouped)}"


def _facts(row: Filter) -> dict[str, object]:
    return {
        "name": row.name,
        "form": row.form,
        "summary": row.summary,
        "formula": row.formula,
        "source": row.source,
        "example": row.example,
        "parameters": [
            {"name": each.name, "help": each.help, "unit": each.unit, "default": each.default, "facts": each.facts}
            for each in row.parameters
        ],
        "options": list(row.stage_keywords),
    }


def _filter_lines(row: Filter) -> Iterator[str]:
    yield row.form
    yield f"    {row.summary} {row.formula}"
    for parameter in row.parameters:
        yield _parameter_line(parameter)
    if row.stage_keywords != ALL_KEYWORDS:
        yield f"    common parameters: {', '.join(row.stage_keywords) or 'none'}"
    differing = [f"{name} {words}" for name, words in row.own_defaults.items()]
    if differing:
        yield f"    defaults: {'; '.join(differing)}"
    yield f"    source: {row.source}"
    yield f"    example: {row.example}"


def _common_lines(rows: Sequence[Filter]) -> Iterator[str]:
    """Describe the common parameters that filters take; those of filters that take few stand in their entries."""
    taken = {name for row in rows for name in row.stage_keywords}
    if not taken:
        return
    if len(rows) == 1:
        yield "Common parameters:"
        yield from map(_parameter_line, rows[0].stage_parameters)
        return
    yield "Common parameters; an entry names those that its filter takes, if these are not all:"
    yield from (_parameter_line(each) for each in STAGE_PARAMETERS.values() if each.name in taken)


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
    from convfilter.planning.composites import turned
    from convfilter.report.figures import WINDOW, titled_kernels

    stage = turned(stack.stage(spec))
    for remark in stack.remarks([stage]):
        say(remark)
    row = FILTERS[stage.name.split(":")[0]]
    layer_size = _kernels_in_layer(stage)
    kernels = [*titled_kernels(stage), *(_kernels_of_layer(stage) if layer_size <= _MOST_KERNELS else ())]
    if plot is not None and layer_size > _MOST_KERNELS:
        raise UsageError(f"up to {_MOST_KERNELS} kernels can be plotted, {stage.name} has {layer_size:,}")
    if plot is not None:
        from convfilter.cli import kernel_plot

        kernel_plot.plot(stage.name, [each for each in kernels if each[0] != WINDOW], plot)
    tell(f"{stage.name}: {row.summary} {row.formula}", f"source: {row.source}", *_layer_lines(stage))
    for title, kernel in kernels:
        tell("", *_kernel_lines(title, kernel))


def _kernels_in_layer(stage: Stage) -> int:
    """Return the number of kernels of a layer, 0 for other filters."""
    from convfilter.filters.network_operators import Layer

    layer = stage.operator
    return layer.weight.shape[0] * layer.weight.shape[1] if isinstance(layer, Layer) else 0


def _kernels_of_layer(stage: Stage) -> Iterator[tuple[str, Kernel]]:
    """Yield the kernels of a layer, from each input channel to each output channel."""
    from convfilter.filters.kernel import Kernel
    from convfilter.filters.network_operators import Layer

    if not isinstance(stage.operator, Layer):
        return
    weight, outputs = stage.operator.weight, stage.operator.weight.shape[0] // stage.operator.groups
    for output, kernels in enumerate(weight):
        for number, kernel in enumerate(kernels):
            source = output // outputs * weight.shape[1] + number
            yield f"output {output} of input {source}", Kernel(kernel.astype(float))


def _layer_lines(stage: Stage) -> Iterator[str]:
    """Describe a layer: shape, range, biases, activation."""
    from convfilter.filters.network_operators import Layer

    layer = stage.operator
    if not isinstance(layer, Layer):
        return
    outputs, inputs, rows, cols = layer.weight.shape
    groups = f" in {layer.groups} groups" if layer.groups > 1 else ""
    yield ""
    shape = f"{outputs} outputs x {inputs} inputs x {rows} x {cols} = {layer.weight.size:,}{groups}"
    yield f"weight: {shape}, {_range(layer.weight)}"
    yield f"bias: {_range(layer.bias)}; activation: {layer.activation}"
    if outputs * inputs > _MOST_KERNELS:
        yield f"{outputs * inputs:,} kernels are too many to print"


def _range(values: npt.NDArray[np.float64]) -> str:
    low, high = values.min(), values.max()
    return f"all {low:.6g}" if low == high else f"from {low:.6g} to {high:.6g}"


def _kernel_lines(title: str, kernel: Kernel) -> Iterator[str]:
    """Describe a kernel: size, sum, weights, and its factors where it is separable."""
    from convfilter.filters.factors import factored
    from convfilter.filters.kernel import Kernel
    from convfilter.report.figures import WINDOW, window_caption

    rows, cols = kernel.shape
    if title == WINDOW:
        kernel = Kernel((kernel.matrix != 0).astype(float))
        yield window_caption(kernel)
    else:
        kernel = factored(kernel)
        separable = "separable" if kernel.factors is not None else "not separable"
        yield f"{title}: {cols}x{rows}, sum {kernel.sum:.6g}, {separable}"
    table = _table(kernel.matrix, kernel.divisor) if rows <= _MOST_ROWS and cols <= _MOST_COLS else []
    if table and len(table[0]) <= _MOST_WIDTH:
        yield from table
    else:
        yield f"  {rows * cols} {'pixels' if title == WINDOW else 'weights'} are too many to print"
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
    """Format numbers in right-aligned columns, as fractions where they are exact."""
    words = [[_number(value, divisor) for value in row] for row in matrix]
    width = max(len(word) for row in words for word in row)
    lines = [row[first : first + per_line] for row in words for first in range(0, len(row), per_line)]
    return ["  " + "  ".join(word.rjust(width) for word in line) for line in lines]


def _number(numerator: float, divisor: float) -> str:
    if numerator.is_integer() and divisor.is_integer() and max(abs(numerator), abs(divisor)) < _MOST_EXACT:
        return str(Fraction(int(numerator), int(divisor)))
    return f"{numerator / divisor:.6g}"


for each in command.commands.values():
    each.params += common_options()
