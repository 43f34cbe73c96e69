"""Requests of the page: a stack of filters, and the visible region of its result; and the equivalent command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from convfilter.batch import depfile
from convfilter.errors import UsageError
from convfilter.filters.catalog import FILTERS, Filter
from convfilter.filters.parameters import Parameter
from convfilter.filters.row import STAGE_PARAMETERS
from convfilter.filters.spec import FilterSpec, Value, parse
from convfilter.record import NamedTuple

#: Largest number of stages of a stack, and most pixels along a side of the visible region.
_MOST_STAGES = 32
_MOST_SIDE = 16384


class StackRequest(NamedTuple):
    """The stack of filters that the page asks for.

    Attributes
    ----------
    specs : tuple of str
        The filters, first to last.
    linear, gray : bool
        Whether to filter in linear light, and whether to filter luminance.
    reading : tuple of str
        Words of the command line that say how the picture is read.
    """

    specs: tuple[str, ...]
    linear: bool = False
    gray: bool = False
    reading: tuple[str, ...] = ()

    @property
    def filters(self) -> tuple[str, ...]:
        """Names of the filters, without their parameters."""
        return tuple(parse(spec).name.text for spec in self.specs)

    def arguments(self) -> list[str]:
        """Return the words between ``convfilter apply`` and the names of the files."""
        words = [word for spec in self.specs for word in ("-f", spec)]
        return words + ["--linear"] * self.linear + ["--gray"] * self.gray + list(self.reading)

    def command(self, source: str, output: str) -> str:
        """Return the equivalent command line for the whole picture, quoted for a shell."""
        files = [name if not name.startswith("-") else f"./{name}" for name in (source, output)]
        return shlex.join(["convfilter", "apply", *self.arguments(), *files])

    def rule(self, source: str, output: str) -> str:
        """Return the equivalent Makefile rule; "" for names with line ends, which make cannot handle."""
        if "\n" in source + output:
            return ""
        recipe = shlex.join(["convfilter", "apply", *self.arguments()]).replace("$", "$$")
        names = shlex.join((source, output)).replace("$", "$$")
        if "'" not in source + output:  # then quotes need not depend on the name
            names = "'$<' '$@'" if "'" in names else "$< $@"
        if source.startswith("-") or output.startswith("-"):
            names = f"-- {names}"
        rule = f"{depfile.escaped(output, depfile.IN_TARGETS)}: {depfile.escaped(source)}\n\t{recipe} {names}\n"
        return depfile.with_variables(rule)


class ViewRequest(NamedTuple):
    """The region of the result that the page shows.

    Attributes
    ----------
    fits : bool
        Whether the page shows the whole result, reduced by an integer factor to at most ``width`` by ``height`` pixels,
        rather than a region at full resolution.
    left, top, width, height : int
        The region in pixels of the result; a region that reaches beyond the border is shifted.
    before : bool
        Whether to show the unfiltered picture.
    quick : bool
        Whether the whole result is reduced to the first pixel of each area, rather than to the mean of the area.
    """

    fits: bool
    left: int
    top: int
    width: int
    height: int
    before: bool = False
    quick: bool = False


def stack_request(content: Mapping[str, Any]) -> StackRequest:
    """Read a stack from the JSON of the page: ``{"stack": [{"filter": "gaussian", "values": {"sigma": "4"}}]}``.

    Raises
    ------
    UsageError
        A filter does not exist, the stack is empty, or the JSON is not a stack.
    """
    stages = content.get("stack")
    if not isinstance(stages, list) or not all(isinstance(stage, Mapping) for stage in stages):
        raise UsageError("a stack is a list of filters with their values")
    if not 0 < len(stages) <= _MOST_STAGES:
        raise UsageError(f"a stack has 1 to {_MOST_STAGES} filters, got {len(stages)}; add one")
    specs = tuple(spec_of(str(stage.get("filter")), stage.get("values", {})) for stage in stages)
    return StackRequest(specs, linear=content.get("linear") is True, gray=content.get("gray") is True)


def spec_of(name: str, values: Mapping[str, Any]) -> str:
    """Return a filter as text, without empty and default values."""
    if name not in FILTERS:
        raise UsageError(f"no filter is called {name}")
    row, where = FILTERS[name], "the page"
    first = row.parameters[0] if row.parameters else None
    argument, options = None, {}
    for key, value in values.items():
        parameter, text = row.parameter(key), str(value).strip()
        if parameter is None or text in ("", usual(row, parameter)):
            continue
        if parameter == first:
            argument = Value(text, where)
        else:
            options[key] = Value(text, where)
    return FilterSpec(Value(name, where), argument, options).text


def usual(row: Filter, parameter: Parameter) -> str:
    """Return the effective default of a parameter; "" if it cannot be typed."""
    is_of_stage = STAGE_PARAMETERS.get(parameter.name) is parameter
    return "" if is_of_stage and parameter.name in row.own_defaults else parameter.default or ""


def stack_of(specs: tuple[str, ...]) -> list[dict[str, Any]]:
    """Convert filters as text to the page's stack, the inverse of :func:`stack_request`."""
    return [{"filter": spec.name.text, "values": _values(spec)} for spec in map(parse, specs)]


def _values(spec: FilterSpec) -> dict[str, str]:
    row = FILTERS.get(spec.name.text)
    first = row.parameters[0].name if row is not None and row.parameters else ""
    given = {} if spec.argument is None else {first: spec.argument.text}
    return given | {key: value.text for key, value in spec.options.items()}


def view_request(content: Any) -> ViewRequest:
    """Read the visible region from the JSON of the page.

    Raises
    ------
    UsageError
        Numbers are missing or out of range.
    """
    if not isinstance(content, Mapping):
        raise UsageError("the view needs a place and a size")
    try:
        left, top, width, height = (int(content.get(name, 0)) for name in ("left", "top", "width", "height"))
    except (TypeError, ValueError, OverflowError):
        raise UsageError("the view needs a place and a size in whole pixels") from None
    if not (1 <= width <= _MOST_SIDE and 1 <= height <= _MOST_SIDE):
        raise UsageError(f"the view must have 1 to {_MOST_SIDE} pixels along a side, got {width}x{height}")
    return ViewRequest(
        content.get("fits") is True,
        left,
        top,
        width,
        height,
        content.get("before") is True,
        content.get("quick") is True,
    )
