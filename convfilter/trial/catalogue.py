"""The catalogue of filters that the page shows: the control of each parameter, and the range of its slider."""

from __future__ import annotations

import math
from typing import Any

from convfilter.filters.catalog import FILTERS, Filter
from convfilter.filters.parameters import AxisModes, Choice, Flag, Number, PaddingAmount, Pair, Parameter
from convfilter.filters.row import STAGE_PARAMETERS
from convfilter.trial.request import stack_of, usual

#: Minimum, maximum and step of sliders: the usual range. The text field next to a slider accepts any number.
_SLIDERS = {
    "sigma": (0, 30, 0.1),
    "size": (1, 61, 1),
    "amount": (0, 4, 0.05),
    "radius": (0.5, 40, 0.5),
    "length": (1, 101, 1),
    "wavelength": (2, 64, 0.5),
    "angle": (-180, 180, 1),
    "phase": (-180, 180, 1),
    "stride": (1, 8, 1),
    "dilation": (1, 16, 1),
    "level": (-1, 1, 0.01),
    "low": (0, 1, 0.01),
    "high": (0, 1, 0.01),
    "threshold": (0, 0.25, 0.005),
    "factor": (-4, 4, 0.05),
    "scale": (-4, 4, 0.05),
    "offset": (-1, 1, 0.01),
}


def catalogue() -> list[dict[str, Any]]:
    """Describe each filter: its name, summary, initial values, parameters, and the parameters of its stage."""
    return [_row(row) for row in FILTERS.values()]


def _row(row: Filter) -> dict[str, Any]:
    (start,) = stack_of((row.example,))
    values = {
        name: value.partition("x")[0] if name in ("sigma", "size") else value for name, value in start["values"].items()
    }
    return {
        "name": row.name,
        "summary": row.summary,
        "formula": row.formula,
        "start": values,
        "parameters": [_parameter(row, parameter) for parameter in row.parameters],
        "stage": [_parameter(row, STAGE_PARAMETERS[name]) for name in row.stage_keywords],
    }


def _parameter(row: Filter, parameter: Parameter) -> dict[str, Any]:
    kind = parameter.kind
    about = {"name": parameter.name, "help": parameter.help, "unit": parameter.unit, "default": usual(row, parameter)}
    is_optional = parameter.default == ""
    match kind:
        case Number() | Pair() if is_optional:
            return about | {"control": "number"}
        case Number() | Pair() if parameter.name in _SLIDERS or math.isfinite(_number(kind).maximum):
            return about | {"control": "slider", **_range(parameter.name, _number(kind))}
        case Number() | Pair():
            return about | {"control": "number"}
        case Flag():
            return about | {"control": "flag"}
        case Choice():
            return about | {"control": "choice", "choices": list(kind.choices)}
        case PaddingAmount() | AxisModes():
            return about | {"control": "words", "choices": list(kind.choices)}
    return about | {"control": "weights" if parameter.name == "file" and "WEIGHTS" in kind.metavar else "text"}


def _number(kind: Number | Pair) -> Number:
    return kind.of if isinstance(kind, Pair) else kind


def _range(name: str, number: Number) -> dict[str, float]:
    low, high, step = _SLIDERS.get(name) or (number.minimum, number.maximum, 1 if number.integer else 0.05)
    least = number.minimum + step if number.above else number.minimum
    return {"least": max(low, least), "most": min(high, number.maximum), "step": step}
