"""Arrays of other libraries: how an image becomes a NumPy array, and how a result gets its labels back."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convfilter.errors import ParameterError, shown
from convfilter.planning import Plan
from convfilter.planning.field import Field

if TYPE_CHECKING:
    from convfilter.keywords import PoolKeywords, RunKeywords

Array: TypeAlias = npt.NDArray[Any]


def taken(image: Any, keywords: PoolKeywords | RunKeywords) -> tuple[Array, PoolKeywords | RunKeywords]:
    """Take an image as a NumPy array, without a copy where its library allows that.

    Parameters
    ----------
    image : array, Picture, or any object with ``__array__`` or ``__dlpack__``
        The alpha of a :class:`convfilter.Picture` is taken for alpha. False and True become 0 and 1 in float32.
    keywords : mapping
        As the caller was given them.

    Returns
    -------
    array
    keywords
        Those of a picture, where they are not given, added.

    Raises
    ------
    ParameterError
        A text, a path or bytes: no array.
    """
    if isinstance(image, (str, bytes, bytearray, os.PathLike)):
        what = "bytes" if isinstance(image, (bytes, bytearray)) else shown(os.fspath(image))
        raise ParameterError(
            f"the image must be an array and comes first, got {what}; read a file with convfilter.read"
        )
    if _is_picture(image):
        image = image.full_range()
        keywords = {"alpha": image.alpha, "premultiplied": image.premultiplied, **keywords}
        image = image.pixels
    elif hasattr(image, "__dlpack__") and not hasattr(image, "__array__"):
        image = np.from_dlpack(image)
    pixels = np.asarray(image)
    return (pixels.astype(np.float32) if pixels.dtype == np.bool_ else pixels), keywords


def _is_picture(image: Any) -> bool:
    """Tell a picture without importing its class, which arrays do not need."""
    module = sys.modules.get("convfilter.picture.picture")
    return module is not None and isinstance(image, module.Picture)


def labelled(result: Array, image: Any, plan: Plan) -> Any:
    """Give the result of an xarray DataArray its dimensions, coordinates, name and attributes.

    Coordinates along rows and columns are those of the centres of what each output sees; beyond the image their
    outermost steps go on. Coordinates of channels stay where there are as many channels as before; coordinates that
    are no numbers along an axis whose outputs are not the image's pixels, or that run along several axes then, go.

    Parameters
    ----------
    result : (H', W') or (H', W', C') array
    image : DataArray, or anything else
        What the caller was given; anything else has no labels, and the result comes back as it is.
    plan : Plan
        What was run.

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
        kept = True
        for dim in coord.dims:
            axis = dims.index(dim)
            if axis < 2:
                field, outputs = plan.stages[-1].fields[axis], result.shape[axis]
                # An even window of "same" padding looks half a pixel further: that is no move.
                moves = field.jump != 1 or abs(field.start) > 0.5 * len(plan.stages)
                if moves or outputs != plan.input_shape[axis]:
                    values = (
                        _centred(values, field, outputs) if coord.ndim == 1 and values.dtype.kind in "iuf" else None
                    )
            kept = values is not None and values.shape[coord.dims.index(dim)] == result.shape[axis]
            if not kept:
                break
        if kept:
            coords[name] = (coord.dims, values, coord.attrs)
    return module.DataArray(result, coords, dims, image.name, image.attrs)


def _centred(values: Array, field: Field, outputs: int) -> Array:
    """Return the coordinate of the centre of what each output sees."""
    known = values.astype(np.float64)
    places = field.start + field.jump * np.arange(outputs)
    if known.size == 1:
        return np.repeat(known, places.size)
    found: Array = np.interp(places, np.arange(known.size), known)
    last = known.size - 1
    found += np.minimum(places, 0) * (known[1] - known[0]) + np.maximum(places - last, 0) * (known[-1] - known[-2])
    return found
