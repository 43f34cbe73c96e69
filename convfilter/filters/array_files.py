"""Arrays of weights in .npy and .npz files: sizes are checked before memory is allocated; pickles are refused."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, foreign, shown

Array = npt.NDArray[Any]

#: Allowed kinds of dtypes: numbers and text. Objects would be pickles.
_KINDS = "buifcU"
_MOST_HEADER_BYTES = 1 << 16
_VERSIONS = ((1, 0), (2, 0), (3, 0))


def load(path: str, most_bytes: int, choose: Callable[[Collection[str]], Collection[str]]) -> dict[str, Array]:
    """Read the arrays of an .npz file, or the array of an .npy file under the name "".

    Parameters
    ----------
    path : str
        The suffix decides the format.
    most_bytes : int
        Most bytes of all arrays together in memory.
    choose : callable
        Given the names of an archive's arrays, returns the names to read, or raises.

    Raises
    ------
    KernelFileError
        The file is damaged, too large, or contains other objects than arrays of numbers or text.
    OSError
        The file cannot be opened or read.
    """
    suffix = os.path.splitext(path)[1].lower()
    with open(path, "rb") as file, foreign(f"this is not a usable {suffix} file", KernelFileError):
        if suffix == ".npy":
            return {"": _array(file, most_bytes)}
        return _archive(file, most_bytes, choose)


def _archive(
    file: IO[bytes], most_bytes: int, choose: Callable[[Collection[str]], Collection[str]]
) -> dict[str, Array]:
    from zipfile import ZipFile

    arrays: dict[str, Array] = {}
    with ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        chosen = choose(list(members))
        size = sum(members[name].file_size for name in chosen)
        if size > most_bytes + len(members) * _MOST_HEADER_BYTES:
            raise KernelFileError(
                f"weights may take {most_bytes / 2**20:,.0f} MB, this archive unpacks to {size / 2**20:,.0f} MB"
            )
        for name in chosen:
            with archive.open(members[name]) as member:
                arrays[name] = _array(member, most_bytes - sum(array.nbytes for array in arrays.values()))
    return arrays


def _array(file: IO[bytes], most_bytes: int) -> Array:
    """Read one array; a header with too large a shape is refused before memory is allocated."""
    version = np.lib.format.read_magic(file)
    if version not in _VERSIONS:
        raise KernelFileError(f"an array file has version 1.0, 2.0 or 3.0, got {version[0]}.{version[1]}")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = header(file)
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array must hold numbers, got {shown(str(dtype), quotes=False)}")
    if min(shape, default=0) < 0:
        raise KernelFileError(f"no side of an array is negative, got the shape {shown(shape)}")
    count = math.prod(shape)
    size = count * dtype.itemsize
    if size > most_bytes:
        raise KernelFileError(
            f"weights may take {most_bytes / 2**20:,.0f} MB, "
            f"an array of shape {shown(shape)} takes {size / 2**20:,.0f} MB"
        )
    data = file.read(size)
    if len(data) < size:
        raise KernelFileError(f"the file ends early: {len(data)} of {size} bytes of weights are there")
    array = np.frombuffer(data, dtype, count)
    return array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)
