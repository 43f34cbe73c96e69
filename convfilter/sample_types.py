"""Sample types of arrays and files: range, value of white, type of the sums, and substitutes in other formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convfilter.errors import ParameterError
from convfilter.record import NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt


class SampleType(NamedTuple):
    """Properties of a sample type.

    Attributes
    ----------
    low, full : float
        The smallest sample and the value of white; real samples may lie beyond both.
    is_integer : bool
        Whether samples are integers: results are rounded half to even, and clipped to the range.
    is_wide : bool
        Whether float32 cannot represent all samples or signed results: sums, and results between two stages, are then
        float64, and methods that round elsewhere do not apply.
    name : str
        Name in messages, before "samples".
    error : float
        Promised error of a result: of integers, how far from a tie the exact value may round either way, in levels; of
        real samples, a share of the sum of |weight| * |sample|.
    others : tuple of str
        Types that replace this one in a format that does not hold it, the best first.
    computed : str
        The type in which the engine computes: the smallest that holds every value; "" for the type itself.
    """

    low: float
    full: float
    is_integer: bool
    is_wide: bool
    name: str
    error: float
    others: tuple[str, ...]
    computed: str = ""


_TABLE = {
    "uint8": SampleType(0.0, 255.0, True, False, "8-bit", 1e-3, ("uint16", "float32")),
    "uint16": SampleType(0.0, 65535.0, True, False, "16-bit", 1 / 16, ("uint8", "float32")),
    "float32": SampleType(0.0, 1.0, False, False, "floating-point", 2e-6, ("uint16", "uint8")),
    "int16": SampleType(-32768.0, 32767.0, True, True, "signed 16-bit", 1e-3, ("float32", "uint16", "uint8")),
    "uint32": SampleType(0.0, 4294967295.0, True, True, "32-bit", 1e-3, ("float32", "uint16", "uint8")),
    "float64": SampleType(0.0, 1.0, False, True, "64-bit floating-point", 1e-12, ("float32", "uint16", "uint8")),
    "int8": SampleType(-128.0, 127.0, True, True, "signed 8-bit", 1e-3, ("float32", "uint8", "uint16"), "int16"),
    "int32": SampleType(
        -2147483648.0, 2147483647.0, True, True, "signed 32-bit", 1e-3, ("float32", "uint16", "uint8"), "float64"
    ),
}
#: The types that the engine supports; the other types of the table occur in files only.
SAMPLE_TYPES = {name: properties for name, properties in _TABLE.items() if not properties.computed}
#: The same tables for types in native byte order, whose names take longer to find than all other checks of a call.
_OF_NATIVE = {np.dtype(name): properties for name, properties in _TABLE.items()}
_SUPPORTED = frozenset(map(np.dtype, SAMPLE_TYPES))
#: Type to convert an unsupported sample type to.
_INSTEAD = {
    "bool": "uint8",
    "int64": "float64",
    "uint64": "float64",
    "float16": "float32",
    "float128": "float64",
    "longdouble": "float64",
}


def sample_type(dtype: npt.DTypeLike) -> SampleType:
    """Return the properties of a sample type of the table."""
    dtype = np.dtype(dtype)
    return _OF_NATIVE.get(dtype) or _TABLE[dtype.name]


def is_known(dtype: npt.DTypeLike) -> bool:
    """Whether samples of a type can be read, computed and written."""
    return np.dtype(dtype).name in _TABLE


def is_supported(dtype: npt.DTypeLike) -> bool:
    """Whether the engine computes samples of a type."""
    dtype = np.dtype(dtype)
    return dtype in _SUPPORTED or dtype.name in SAMPLE_TYPES


def full_scale(dtype: npt.DTypeLike) -> float:
    """Return the sample value that means white: the largest whole number of the type, or 1.0 for real numbers."""
    return sample_type(dtype).full


def is_integer(dtype: npt.DTypeLike) -> bool:
    """Whether samples of a type are integers."""
    return np.dtype(dtype).kind in "ui"


def is_wide(dtype: npt.DTypeLike) -> bool:
    """Whether samples of a type need float64."""
    return sample_type(dtype).is_wide


def is_signed(dtype: npt.DTypeLike) -> bool:
    """Whether samples of a type are signed integers: measurements rather than light."""
    return np.dtype(dtype).kind == "i"


def least_over_white(dtype: npt.DTypeLike, white: float | None) -> float:
    """Return the smallest sample of a type as a fraction of white: 0 unless samples are signed.

    With a ``white`` that is not the full scale of the type, integers have fewer bits, and float64 holds int32.
    """
    full = white or full_scale(dtype)
    return -(full + 1) / full if is_signed(dtype) or (not is_integer(dtype) and full > 1) else 0.0


def real_of(*dtypes: npt.DTypeLike) -> np.dtype[np.generic]:
    """Return the type of unrounded results of samples of some types."""
    return np.dtype(np.float64 if any(map(is_wide, dtypes)) else np.float32)


def computed_in(dtype: npt.DTypeLike) -> np.dtype[np.generic]:
    """Return the type in which the engine computes samples of a type."""
    return np.dtype(sample_type(dtype).computed or dtype)


def stored_in(dtype: npt.DTypeLike, supported: tuple[str, ...]) -> np.dtype[np.generic]:
    """Choose the type of ``supported`` that loses least of ``dtype``: the type itself, if it is among them."""
    name = np.dtype(dtype).name
    return np.dtype(next((each for each in (name, *_TABLE[name].others) if each in supported), supported[0]))


def can_leave(dtype: npt.DTypeLike, stored: npt.DTypeLike) -> bool:
    """Whether samples of ``dtype`` may lie beyond the range of ``stored`` though white becomes white."""
    before, after = sample_type(dtype), sample_type(stored)
    if not after.is_integer:
        return np.dtype(dtype) == np.float64 and np.dtype(stored) != np.float64
    return not before.is_integer or before.low < after.low


def overflowed(samples: npt.NDArray[Any], stored: npt.NDArray[Any]) -> int:
    """Count the finite samples that became infinite in a smaller real type."""
    if stored.dtype.kind != "f" or samples.dtype.kind != "f" or stored.dtype.itemsize >= samples.dtype.itemsize:
        return 0
    infinite = np.isinf(stored)
    return int(np.count_nonzero(np.isfinite(samples[infinite]))) if infinite.any() else 0


def suggestion(dtype: npt.DTypeLike) -> str:
    """Return the part of a message that says how to convert an array of an unsupported sample type."""
    name = np.dtype(dtype).name
    instead = (_TABLE[name].computed if name in _TABLE else "") or _INSTEAD.get(name)
    return f"convert it with astype({instead!r})" if instead else "convert it with astype"


def require_sample_type(dtype: npt.DTypeLike) -> None:
    """Refuse an unsupported sample type.

    Raises
    ------
    ParameterError
    """
    if not is_supported(dtype):
        name, known = np.dtype(dtype).name, list(SAMPLE_TYPES)
        raise ParameterError(f"an image holds {', '.join(known[:-1])} or {known[-1]}, got {name}; {suggestion(dtype)}")
