"""The functions ``read`` and ``write`` of the Python API; errors name the file."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np

from convfilter.errors import ParameterError, about
from convfilter.filters.checks import require_unmasked, with_mask
from convfilter.picture import read as _read
from convfilter.picture import write as _write
from convfilter.picture.options import ReadOptions, WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.pixels import Pixels

_READ, _WRITE = ReadOptions(), WriteOptions()


def read(where: str | os.PathLike[str] | BinaryIO, options: ReadOptions = _READ) -> Picture:
    """Read a picture file.

    Parameters
    ----------
    where : path, "-" for standard input, or a binary file
    options : ReadOptions, optional

    Returns
    -------
    Picture
        The picture, upright, at the depth of the file, with its metadata; ``numpy.asarray`` converts it to an array.

    Raises
    ------
    ReadError
        The file does not exist, is damaged, or is not a picture. ``filename`` is its name, ``errno`` the operating
        system's error, or None.
    SizeError
        The picture is larger than allowed, or does not fit the memory.
    ParameterError
        ``where`` is the content of a file, or an array.

    Examples
    --------
    >>> import io
    >>> read(io.BytesIO(b"P5 2 1 255 ab")).pixels
    array([[97, 98]], dtype=uint8)
    """
    if isinstance(where, (bytes, bytearray, memoryview)):
        raise ParameterError("read takes a path or an open file, got bytes; wrap them: read(io.BytesIO(data))")
    if not isinstance(where, (str, os.PathLike)) and not hasattr(where, "read"):
        raise ParameterError(f"read takes a path or an open file, got {type(where).__name__}")
    with about(where):
        return _read.read(where, options)


def write(where: str | os.PathLike[str], picture: Picture | Pixels, options: WriteOptions = _WRITE) -> tuple[str, ...]:
    """Write a picture file, completely or not at all.

    Parameters
    ----------
    where : path
        "-" is standard output.
    picture : Picture, or (H, W) or (H, W, C) array
        The 1 to 4 channels of an array are grey, grey and alpha, RGB, or RGBA. White is the largest integer of a type,
        1 for floating-point numbers, True for bool. A format that does not hold the type stores the nearest type.
    options : WriteOptions, optional

    Returns
    -------
    tuple of str
        Losses: a line for each property that the format does not store although the picture looks the same.

    Raises
    ------
    UsageError
        The path has an unknown suffix.
    ParameterError
        The array has another shape or type, or masked elements, or is the first argument.
    WriteError
        The format cannot store the picture, or the file cannot be written; an old file does not change. ``filename``
        and ``errno`` are as in :func:`read`.

    Examples
    --------
    >>> import numpy as np
    >>> write("/dev/null", np.zeros((4, 4), np.uint16), WriteOptions(format="jpeg"))
    ('JPEG holds 8 bits per sample, to which the 16-bit samples are rounded; use png, tiff or jpeg2000 to keep them',)
    """
    if not isinstance(where, (str, os.PathLike)):
        raise ParameterError(
            f"write takes the path first, then the picture: write('out.png', picture); got {type(where).__name__} first"
        )
    with about(where):
        return _write.write(where, picture if isinstance(picture, Picture) else _picture(picture), options)


def _picture(image: Any) -> Picture:
    """Return an array as a picture."""
    if isinstance(image, (str, bytes, os.PathLike)):
        raise ParameterError(f"a picture is an array or a Picture, got {type(image).__name__}")
    try:
        values = np.asanyarray(with_mask(image))
    except ValueError:
        raise ParameterError("a picture is an array whose rows have one length") from None
    require_unmasked("a picture", values)
    pixels = np.asarray(values)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)
    try:
        return Picture.from_array(pixels)
    except ValueError as error:
        raise ParameterError(str(error)) from None
