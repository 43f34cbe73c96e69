"""Images as arguments of the functions on arrays: their types, and checks of shape, sample type and channels."""

from __future__ import annotations

import inspect
import warnings
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError, shown
from convfilter.filters.checks import is_whole_number, require_flag
from convfilter.sample_types import require_sample_type


class SupportsArray(Protocol):
    """An object that ``numpy.asarray`` accepts, such as a ``Picture`` or an xarray ``DataArray``."""

    def __array__(self) -> npt.NDArray[Any]: ...


class SupportsDLPack(Protocol):
    """An array of another library that shares its memory by DLPack."""

    def __dlpack__(self) -> Any: ...


Image: TypeAlias = npt.NDArray[Any]
ImageLike: TypeAlias = Image | SupportsArray | SupportsDLPack

#: Least sides for which an image with that many channels is probably (C, H, W).
_LEAST_SIDE = 32
_AXES_WITH_CHANNELS = 3
#: Names, in lower case, of a dimension that numbers columns.
_OF_COLUMNS = ("x", "lon", "longitude", "rlon", "col", "cols", "column", "easting")


def checked(image: Image, alpha: bool) -> Image:
    """Return an image as an array in native byte order; refuse an invalid image."""
    pixels = np.asarray(image)
    require_image(pixels.shape, pixels.dtype, alpha=alpha)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def require_image(shape: tuple[int, ...], dtype: np.dtype[Any], *, alpha: bool) -> None:
    """Refuse an invalid image, and warn of one whose channels seem to come first.

    Raises
    ------
    ParameterError
        The sample type, the shape or the number of channels is wrong.
    """
    require_sample_type(dtype)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ParameterError(f"an image is (rows, cols) or (rows, cols, channels), none of them 0, got {shape}")
    if alpha and (len(shape) != 3 or shape[2] not in (2, 4)):
        raise ParameterError(f"an image with alpha has 2 or 4 channels, got shape {shape}{_channels_first(shape)}")
    if _channels_first(shape) and min(shape[1:]) >= _LEAST_SIDE:
        message = f"an image is (H, W, C), got shape {shape}{_channels_first(shape)}"
        warnings.warn(message, UserWarning, stacklevel=_level_of_call())


def warn_of_dimensions(image: Any) -> None:
    """Warn of an xarray DataArray whose channels come first: (time, lat, lon), or (band, y, x) of rioxarray."""
    dims = getattr(image, "dims", ())
    if isinstance(dims, tuple) and len(dims) == _AXES_WITH_CHANNELS and str(dims[2]).lower() in _OF_COLUMNS:
        message = (
            f"an image is (rows, cols, channels), got the dimensions {dims}, whose channels are {dims[2]!r}; rearrange "
            f"it with transpose{(*dims[1:], dims[0])}"
        )
        warnings.warn(message, UserWarning, stacklevel=_level_of_call())


def _level_of_call() -> int:
    """Return the level, for a warning of the caller, of the first frame outside this package."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("convfilter."):
        level, frame = level + 1, frame.f_back
    return level - 1


def require_shape(shape: Any, dtype: np.dtype[Any], *, alpha: bool, gray: bool) -> tuple[int, ...]:
    """Return the shape of an image as a tuple.

    Raises
    ------
    ParameterError
        There is no such image, or ``alpha`` or ``gray`` is no flag.
    """
    require_flag("alpha", alpha)
    require_flag("gray", gray)
    if not isinstance(shape, tuple | list) or not all(is_whole_number(side) for side in shape):
        raise ParameterError(f"a shape is (rows, cols) or (rows, cols, channels), got {shown(shape)}")
    sides = tuple(int(side) for side in shape)
    require_image(sides, dtype, alpha=alpha)
    return sides


def _channels_first(shape: tuple[int, ...]) -> str:
    """Return advice for an image that seems to have its channels first, or ""."""
    if len(shape) != 3 or shape[0] not in (3, 4) or shape[2] <= 4:
        return ""
    return ", which looks like (C, H, W); rearrange it with transpose(1, 2, 0)"
