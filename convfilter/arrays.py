"""Arrays of other libraries: convert images to NumPy arrays, and put the image's labels on results."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError, shown
from convfilter.filters.checks import is_masked, with_mask
from convfilter.planning import Plan
from convfilter.planning.field import Field
from convfilter.sample_types import is_supported

if TYPE_CHECKING:
    from convfilter.keywords import PoolKeywords, RunKeywords

Array: TypeAlias = npt.NDArray[Any]
#: Largest magnitude up to which float64 holds every integer.
_LARGEST_WHOLE = 2**53


def converted(image: Any, keywords: PoolKeywords | RunKeywords) -> tuple[Array, PoolKeywords | RunKeywords]:
    """Return an image as a NumPy array, without a copy where its library allows that.

    Parameters
    ----------
    image : array, Picture, or any object with ``__array__`` or ``__dlpack__``
        A :class:`convfilter.Picture` adds the keyword ``alpha``, a masked array the keyword ``mask``. bool (as 0 and 1)
        and float16 become float32, integers that the engine does not support become float64.
    keywords : mapping
        Keywords of the call.

    Returns
    -------
    array
    keywords
        The keywords of the call, and those that follow from the image.

    Raises
    ------
    ParameterError
        The image is text, a path, bytes or no array, or has integers beyond 2**53, which float64 does not hold.
    """
    if type(image) is np.ndarray:
        return of_known_type(image), keywords
    if isinstance(image, (str, bytes, bytearray, os.PathLike)):
        got = "bytes" if isinstance(image, (bytes, bytearray)) else shown(os.fspath(image))
        raise ParameterError(f"the image must be an array and comes first, got {got}; read a file with convfilter.read")
    if _is_picture(image):
        image = image.full_range()
        keywords = {"alpha": image.alpha, "premultiplied": image.premultiplied, **keywords}
        image = image.pixels
    elif hasattr(image, "__dlpack__") and not hasattr(image, "__array__"):
        image = np.from_dlpack(image)
    values: Any = as_array(with_mask(image), "the image", of_subclass=True)
    if is_masked(values):
        keywords = {**keywords, **_masked(values, keywords)}
    array = np.asarray(values)
    if array.dtype.kind == "O" and not array.ndim:
        raise ParameterError(f"the image must be an array of numbers, got {shown(image)}")
    return of_known_type(array), keywords


def as_array(values: Any, name: str, *, of_subclass: bool = False) -> Array:
    """Convert values to an array, or to an array of their own class; ``name`` is their name in messages.

    Raises
    ------
    ParameterError
        Rows differ in length.
    """
    try:
        return np.asanyarray(values) if of_subclass else np.asarray(values)
    except ValueError:
        raise ParameterError(f"{name} must be an array whose rows have one length, got {shown(values)}") from None


def file_type_of(image: Any) -> np.dtype[Any] | None:
    """Return the sample type of a picture's file if the engine computes in another type, else None."""
    return np.dtype(image.file_dtype) if _is_picture(image) and image.file_dtype is not None else None


def known_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the sample type of images of a type, in native byte order.

    bool and float16 become float32, integers that the engine does not support become float64.
    Other types are unchanged.
    """
    native = dtype.newbyteorder("=")
    if is_supported(native):
        return native
    if native.name in ("bool", "float16"):
        return np.dtype(np.float32)
    return np.dtype(np.float64) if native.kind in "iu" else native


def of_known_type(pixels: Array) -> Array:
    """Convert pixels to :func:`known_type`, without a copy if they have that type.

    Raises
    ------
    ParameterError
        Integers beyond 2**53, which float64 does not hold.
    """
    known = known_type(pixels.dtype)
    grows = known == np.float64 and pixels.dtype.kind in "iu" and pixels.size
    if grows and max(-int(pixels.min()), int(pixels.max())) > _LARGEST_WHOLE:
        raise ParameterError(f"whole numbers of an image must lie within 2**53, got {pixels.dtype} with larger ones")
    return pixels.astype(known, copy=False)


def _masked(image: np.ma.MaskedArray[Any, Any], keywords: PoolKeywords | RunKeywords) -> RunKeywords:
    """Return the mask of a masked array as a keyword: a pixel counts where none of its channels is masked.

    A mask that the call names, too, leaves out further pixels.
    """
    masked = np.asarray(np.ma.getmask(image))
    if not masked.any():
        return {}
    valid = ~(masked if masked.ndim < 3 else masked.any(axis=2))
    mask = keywords.get("mask")
    if mask is not None:
        further = as_array(mask, "mask")
        valid = valid & (further != 0) if further.shape == valid.shape else further  # another shape is refused later
    return {"mask": valid}


def _is_picture(image: Any) -> bool:
    """Whether an object is a picture, without importing its class."""
    module = sys.modules.get("convfilter.picture.picture")
    return module is not None and isinstance(image, module.Picture)


def labelled(result: Array, image: Any, plan: Plan) -> Any:
    """Return the result with the dimensions, coordinates, name and attributes of an xarray DataArray.

    Coordinates along rows and columns become the coordinates of the centres of receptive fields; beyond the image they
    continue with the outermost step. Coordinates of channels stay if their number does not change. On an axis whose
    outputs are not the image's pixels, non-numeric coordinates are dropped, and so are coordinates along several axes.

    Parameters
    ----------
    result : (H', W') or (H', W', C') array
    image : DataArray, or anything else
        Argument of the call; without labels, the result is returned unchanged.
    plan : Plan
        The plan that ran.

    Returns
    -------
    DataArray or array
    """
    module = sys.modules.get("xarray")
    if module is None or not isinstance(image, module.DataArray):
        return result
    dims = image.dims[: result.ndim]
    coords = {}
    for name, coord in image.coords.items():
        values = coord.values
        if any(dim not in dims for dim in coord.dims):
            continue
        fits = True
        for dim in coord.dims:
            axis = dims.index(dim)
            if axis < 2:
                field, outputs = plan.stages[-1].fields[axis], result.shape[axis]
                # An even window with "same" padding is centred half a pixel off, which does not count as a shift.
                moves = field.jump != 1 or abs(field.start) > 0.5 * len(plan.stages)
                if moves or outputs != plan.input_shape[axis]:
                    values = (
                        _centred(values, field, outputs) if coord.ndim == 1 and values.dtype.kind in "iuf" else None
                    )
            fits = values is not None and values.shape[coord.dims.index(dim)] == result.shape[axis]
            if not fits:
                break
        if fits:
            coords[name] = (coord.dims, values, coord.attrs)
    return module.DataArray(result, coords, dims, image.name, image.attrs)


def _centred(values: Array, field: Field, outputs: int) -> Array:
    """Return the coordinate of the centre of each output's receptive field."""
    given = values.astype(np.float64)
    places = field.start + field.jump * np.arange(outputs)
    if given.size == 1:
        return np.repeat(given, places.size)
    centres: Array = np.interp(places, np.arange(given.size), given)
    last = given.size - 1
    centres += np.minimum(places, 0) * (given[1] - given[0]) + np.maximum(places - last, 0) * (given[-1] - given[-2])
    return centres
