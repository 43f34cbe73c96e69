"""Sample types of the engine: range, value of white, and the type of their sums."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError


class SampleType(NamedTuple):
    """Properties of a sample type.

    Attributes
    ----------
    low, full : float
        The smallest sample and the value of white; real samples may lie beyond both.
    is_whole : bool
        Samples are whole numbers: results are rounded half to even, and clipped to the range.
    is_wide : bool
        float32 cannot represent all samples, or signed results: sums, and results between two stages, are float64,
        and only methods without other rounding apply.
    """

    low: float
    full: float
    is_whole: bool
    is_wide: bool


SAMPLE_TYPES = {
    "uint8": SampleType(0.0, 255.0, is_whole=True, is_wide=False),
    "uint16": SampleType(0.0, 65535.0, is_whole=True, is_wide=False),
    "float32": SampleType(0.0, 1.0, is_whole=False, is_wide=False),
    "int16": SampleType(-32768.0, 32767.0, is_whole=True, is_wide=True),
    "uint32": SampleType(0.0, 4294967295.0, is_whole=True, is_wide=True),
    "float64": SampleType(0.0, 1.0, is_whole=False, is_wide=True),
}
#: Type to convert an unsupported sample type to.
_INSTEAD = {
    "bool": "uint8",
    "int8": "int16",
    "int32": "float64",
    "int64": "float64",
    "uint64": "float64",
    "float16": "float32",
    "float128": "float64",
    "longdouble": "float64",
}


def sample_type(dtype: npt.DTypeLike) -> SampleType:
    """Return the properties of a supported sample type."""
    return SAMPLE_TYPES[np.dtype(dtype).name]


def full_scale(dtype: npt.DTypeLike) -> float:
    """Return the sample value that means white: the largest whole number of the type, or 1.0 for real numbers."""
    return sample_type(dtype).full


def is_whole(dtype: npt.DTypeLike) -> bool:
    """Whether samples of a type are integers."""
    return np.dtype(dtype).kind in "ui"


def is_wide(dtype: npt.DTypeLike) -> bool:
    """Whether samples of a type need float64."""
    return sample_type(dtype).is_wide


def require_sample_type(dtype: npt.DTypeLike) -> None:
    """Refuse an unsupported sample type.

    Raises
    ------
    ParameterError
    """
    name = np.dtype(dtype).name
    if name not in SAMPLE_TYPES:
        known = list(SAMPLE_TYPES)
        instead = f"astype({_INSTEAD[name]!r})" if name in _INSTEAD else "astype"
        raise ParameterError(
            f"an image holds {', '.join(known[:-1])} or {known[-1]}, got {name}; convert it with {instead}"
        )
