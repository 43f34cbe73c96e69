"""Build stages from SPECs: parse each, look its filter up in the catalogue, check the parameters, call the builder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from convfilter.errors import SpecError, UsageError, shown
from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS, Filter
from convfilter.filters.operators import Correlation, Point
from convfilter.filters.parameters import Text, Window
from convfilter.filters.spec import FilterSpec, Value, parse
from convfilter.filters.stage import PaddingModes, Stage, modes_of_axes
from convfilter.record import replace

#: Parameters of the result: in a stack, their defaults go to the last stage.
_OF_RESULT = ("map", "scale", "offset")


def find(name: Value) -> Filter:
    """Return a filter by its name.

    Raises
    ------
    SpecError
        The filter does not exist; the message suggests the nearest.
    """
    if name.text in FILTERS:
        return FILTERS[name.text]
    from convfilter.filters import synonyms

    remedy = synonyms.of_filter(name.text)
    if not remedy:
        from difflib import get_close_matches

        close = get_close_matches(name.text.lower()[:99], FILTERS, n=3)
        remedy = (f"did you mean {' or '.join(close)}? " if close else "") + "'convfilter kernel list' shows all"
    raise SpecError(f"{name.where}: no filter is called {shown(name.text)}", remedy=remedy)


def stage(spec: str | FilterSpec, **defaults: Any) -> Stage:
    """Return the stage of one filter.

    Parameters
    ----------
    spec : str or FilterSpec
        Such as ``"gaussian:4,stride=2"``; sizes in it are WIDTHxHEIGHT.
    **defaults
        Fields of ``Stage``, as ``Stage`` takes them (pairs are rows, cols);
        used where the SPEC is silent.

    Raises
    ------
    SpecError
        The text does not parse, or names a filter or parameter that does not exist.
    ParameterError
        A value is out of its range, or the filter cannot use a default.
    KernelFileError
        The weights cannot be read or used.
    """
    built = _built(spec, defaults)
    if len(built) != 1:
        parsed = parse(spec) if isinstance(spec, str) else spec
        raise SpecError(f"{parsed.name.where}: {shown(parsed.text)} is {len(built)} filters, and one is needed here")
    return built[0]


def _built(spec: str | FilterSpec, defaults: Mapping[str, Any]) -> tuple[Stage, ...]:
    """Return the stage of a filter, or the stages of a composite one."""
    parsed = parse(spec) if isinstance(spec, str) else spec
    row = find(parsed.name)
    for keyword in defaults:
        if keyword not in row.stage_keywords:
            raise UsageError(f"{row.name} does not use {keyword}; leave it out")
    typed = _typed_values(row, parsed)
    arguments: dict[str, Any] = {}
    for parameter in row.parameters:
        value = typed.pop(parameter.name, None)
        if value is None and parameter.default is None:
            raise SpecError(f"{parsed.name.where}: {row.name} needs its {parameter.name}, as in {row.example}")
        if value is None and parameter.default:
            value = Value(parameter.default, "default")
        arguments[parameter.name] = None if value is None else parameter.parse(value, f"{row.name} {parameter.name}")
    common = {name: STAGE_PARAMETERS[name].parse(value) for name, value in typed.items()}
    built, fields = row.build(**arguments), border(common, defaults)
    if isinstance(built, tuple):
        return (*built[:-1], replace(built[-1], **fields)) if built else ()
    if "offset" in fields and isinstance(built.operator, Correlation):
        # An explicit offset replaces the offset of a kernel file, whatever its unit.
        built = replace(built, operator=replace(built.operator, shift=0.0))
    return (replace(built, name=parsed.text, **fields),)


def border(*levels: Mapping[str, Any]) -> dict[str, Any]:
    """Merge fields of stages from the most specific source to the least, and resolve the padding mode.

    A padding value without a mode means constant padding. The most specific source that names a mode or a value decides
    the mode, so a padding value on the command line overrides the padding mode of a configuration file.

    Parameters
    ----------
    *levels : mapping
        Fields of ``Stage``: from the SPEC, then from the command line, then from a configuration.

    Returns
    -------
    dict
        Fields, with a padding value only if the padding mode is constant or unset.

    Raises
    ------
    UsageError
        One source names a padding value and a mode that does not use it.
    """
    merged: dict[str, Any] = {}
    for level in levels:
        fields = dict(level)
        if "padding_value" in fields:
            mode = fields.setdefault("padding_mode", "constant")
            if "constant" not in modes_of_axes(mode):
                raise UsageError(_unused_value(mode, "one of them"))
            if "constant" not in modes_of_axes(merged.get("padding_mode", "constant")):
                del fields["padding_value"]
        merged = {**fields, **merged}
    return merged


def _unused_value(modes: PaddingModes, what: str) -> str:
    """Return the message for a padding value that no axis uses."""
    got = " and ".join(dict.fromkeys(modes_of_axes(modes)))
    return f"padding_value is for padding mode constant, got {got}; leave {what} out"


def stages(specs: Iterable[str | FilterSpec | Stage], **defaults: Any) -> tuple[Stage, ...]:
    """Return the stages of a stack, first to last.

    Only the last result is stored, so ``map`` is for the last stage alone. The last stage counts as signed if any stage
    is signed and no point operation after that stage removes the sign.

    Parameters
    ----------
    specs : iterable of str, FilterSpec or Stage
        At least one; a Stage is taken unchanged.
    **defaults
        As for `stage`, for every stage that can use them; ``map``, ``scale`` and ``offset`` go to the last stage alone.

    Raises
    ------
    UsageError
        As for `stage`; also if there is no filter, if a filter before the last has a ``map``, or if no stage can use a
        default.
    """
    parsed = [parse(spec) if isinstance(spec, str) else spec for spec in specs]
    if not parsed:
        raise UsageError("at least one filter is needed, as in gaussian:4")
    last = len(parsed) - 1
    keywords = [_usable(spec, defaults, is_last=index == last) for index, spec in enumerate(parsed)]
    for name in defaults:
        if not any(name in each for each in keywords):
            raise UsageError(f"no filter of the stack uses {name}; leave it out")
    for spec in parsed[:-1]:
        _require_no_map(spec)
    built: list[Stage] = []
    for spec, usable in zip(parsed, keywords, strict=True):
        built += [spec] if isinstance(spec, Stage) else _built(spec, usable)
    if not built:
        raise UsageError("no filter is left: the networks end where they begin")
    if "padding_value" in defaults and not any(each.pads_with_value for each in built):
        raise UsageError(_unused_value(built[0].padding_mode, "it"))
    signed = False
    for each in built:
        removes_sign = isinstance(each.operator, Point) and each.operator.removes_sign
        signed = (signed or each.signed) and not removes_sign
    return (*built[:-1], built[-1] if built[-1].signed == signed else replace(built[-1], signed=signed))


def paths_of(specs: Iterable[str | FilterSpec]) -> list[str]:
    """Return the existing paths that filters read weights from: files, folders and pipes, each once."""
    paths: dict[str, None] = {}
    for spec in specs:
        parsed = parse(spec) if isinstance(spec, str) else spec
        row = find(parsed.name)
        values: dict[str, Value] = dict(parsed.options)
        if parsed.argument is not None and row.parameters:
            values[row.parameters[0].name] = parsed.argument
        for name, value in values.items():
            parameter = row.parameter(name)
            if parameter is None or not isinstance(parameter.kind, Text | Window):
                continue
            # A number may follow the last comma, and the name of a node a hash.
            for path in dict.fromkeys((value.text, *(value.text.rpartition(mark)[0] for mark in ",#"))):
                if path and exists(path):
                    paths[path] = None
    return list(paths)


def exists(name: str) -> bool:
    """Whether a text is an existing path, or a broken link; a path contains no zero byte."""
    return "\0" not in name and os.path.lexists(name)


def remarks(stages: Iterable[Stage]) -> tuple[str, ...]:
    """Return remarks on how ambiguous weights were read."""
    operators = [stage.operator for stage in stages]
    return tuple(each.remark for each in operators if isinstance(each, Correlation) and each.remark)


def _usable(spec: FilterSpec | Stage, defaults: dict[str, Any], *, is_last: bool) -> dict[str, Any]:
    """Return the defaults that apply to a filter at its place."""
    if isinstance(spec, Stage):
        return {}
    names = [name for name in find(spec.name).stage_keywords if is_last or name not in _OF_RESULT]
    return {name: value for name, value in defaults.items() if name in names}


def _require_no_map(spec: FilterSpec | Stage) -> None:
    rule = "only the last result is stored; map belongs to the last filter"
    if isinstance(spec, Stage):
        if spec.map is not None:
            raise UsageError(f"{spec.name}: {rule}")
    elif "map" in spec.options:
        raise SpecError(f"{spec.options['map'].where}: {rule}")


def _typed_values(row: Filter, spec: FilterSpec) -> dict[str, Value]:
    """Return the values by parameter name."""
    typed = dict(spec.options)
    if spec.argument is not None:
        if not row.parameters:
            raise SpecError(f"{spec.argument.where}: {row.name} takes no value, got {shown(spec.argument.text)}")
        first = row.parameters[0].name
        if first in typed:
            raise SpecError(f"{typed[first].where}: {first} is given twice; leave one out")
        typed = {first: spec.argument, **typed}
    for name, value in typed.items():
        if row.parameter(name) is None:
            known = [parameter.name for parameter in row.parameters] + list(row.stage_keywords)
            from convfilter.filters import synonyms

            synonym = synonyms.of_parameter(name, known)
            advice = f"did you mean {synonym}?" if synonym else _nearest(name, known)
            raise SpecError(f"{value.where}: {row.name} has no parameter {shown(name)}; {advice}")
    return typed


def _nearest(word: str, words: Iterable[str]) -> str:
    """Suggest the closest word and list all."""
    from difflib import get_close_matches

    known = list(words)
    close = get_close_matches(word, known, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"its parameters are {', '.join(known)}"
