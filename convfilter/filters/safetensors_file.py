"""Tensors in .safetensors files, including 8- and 16-bit types that NumPy lacks.

The format: eight bytes hold the length of the header; the header is JSON that names type, shape and place of each
tensor; then follow the tensors' bytes, little-endian. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, foreign, shown

Array = npt.NDArray[Any]

_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 16 << 20
_NUMPY_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip


def load(
    path: str, most_bytes: int, choose: Callable[[Collection[str]], Collection[str]]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read tensors and the file's metadata.

    Parameters
    ----------
    path : str
    most_bytes : int
        Most bytes of the file.
    choose : callable
        Given the names of all tensors, returns the names to read, or raises.

    Raises
    ------
    KernelFileError
        The file is damaged, or too large.
    OSError
        The file cannot be opened or read.
    """
    with open(path, "rb") as file, foreign("this is not a usable .safetensors file", KernelFileError):
        data = file.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise KernelFileError(f"weights may take {most_bytes >> 20} MB, and this file has more")
        size = int.from_bytes(data[:_LENGTH_BYTES], "little")
        if not 2 <= size <= min(len(data) - _LENGTH_BYTES, _MOST_HEADER_BYTES):
            raise KernelFileError(
                f"this is not a usable .safetensors file, or it ends early: its header would have {size} bytes, "
                f"and {max(len(data) - _LENGTH_BYTES, 0)} follow"
            )
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + size])
        metadata = header.pop("__metadata__", {})
        content = memoryview(data)[_LENGTH_BYTES + size :]
        tensors = {name: _tensor(name, header[name], content) for name in choose(list(header))}
        return tensors, dict(metadata)


def _tensor(name: str, entry: dict[str, Any], content: memoryview) -> Array:
    kind, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in _NUMPY_TYPES and kind not in _DECODERS:
        known = ", ".join((*_NUMPY_TYPES, *_DECODERS))
        raise KernelFileError(f"{shown(name)} has the type {shown(kind)}; the supported types are {known}")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise KernelFileError(f"{shown(name)} has the shape {shown(shape)}; its sides must be whole numbers")
    width = 1 if kind.startswith("F8") else 2 if kind == "BF16" else np.dtype(_NUMPY_TYPES[kind]).itemsize
    if not 0 <= first <= last <= len(content) or last - first != width * math.prod(shape):
        where = shown([first, last])
        raise KernelFileError(
            f"{shown(name)} of shape {shown(shape)} cannot lie at {where} of {len(content)} bytes; "
            "the file ends early, or its header is damaged"
        )
    data = content[first:last]
    values = _DECODERS[kind](data) if kind in _DECODERS else np.frombuffer(data, _NUMPY_TYPES[kind])
    return values.reshape(shape)


def _bfloat16(data: memoryview) -> Array:
    """Decode the upper half of float32."""
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def _float8_e5m2(data: memoryview) -> Array:
    """Decode the upper half of float16."""
    return (np.frombuffer(data, np.uint8).astype(np.uint16) << 8).view(np.float16)


def _float8_e4m3(data: memoryview) -> Array:
    """Decode sign, four bits of exponent (bias 7) and three bits of fraction; no code is infinity, all ones are NaN.

    P. Micikevicius et al., "FP8 formats for deep learning", 2022.
    """
    codes = np.arange(256)
    exponents, fractions = codes >> 3 & 15, codes & 7
    values = np.where(exponents > 0, (8 + fractions) * 2.0 ** (exponents - 10.0), fractions * 2.0**-9)
    values[codes & 127 == 127] = np.nan
    table = np.where(codes < 128, values, -values).astype(np.float32)
    decoded: Array = table[np.frombuffer(data, np.uint8)]
    return decoded


_DECODERS = {"BF16": _bfloat16, "F8_E5M2": _float8_e5m2, "F8_E4M3": _float8_e4m3}
