"""Layers from .npz, .npy and .safetensors files.

An .npy file is the weight alone. The others hold ``weight`` and whatever of
``bias``, ``mean``, ``var``, ``gamma``, ``beta``, ``eps``, ``slope``, ``groups``,
``stride``, ``dilation``, ``padding`` there is ((rows, cols), or one number), and
``activation``: text in .npz, metadata in .safetensors. PyTorch's names for the
batch normalisation (``running_mean``, ``running_var``) are understood too.
"""

from __future__ import annotations

import math
import os
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from convfilter.errors import ConvfilterError, KernelFileError
from convfilter.filters.layers import layer
from convfilter.filters.stage import Stage

#: A file that is larger is no layer: 512 to 512 channels at 7x7 take 51 MB.
MOST_BYTES = 256 << 20

Array = npt.NDArray[Any]

_ALIASES = {"running_mean": "mean", "running_var": "var"}
_ARRAYS = ("bias", "mean", "var", "gamma", "beta")
_NUMBERS = ("eps", "slope")
_PAIRS = ("stride", "dilation", "padding")
_KNOWN = ("weight", *_ARRAYS, *_NUMBERS, *_PAIRS, "groups", "activation", *_ALIASES)


def load(path: str, *, activation: str | None = None, groups: int | None = None) -> Stage:
    """Read a layer, with its geometry, from a file.

    Parameters
    ----------
    path : str
    activation, groups : optional
        Instead of what the file says.

    Returns
    -------
    Stage
        Padding is zeros, ``same`` unless the file says how many.

    Raises
    ------
    KernelFileError
        The file is missing, too large, or holds no usable layer; the message begins with its name.
    """
    name = path if path.isprintable() else repr(path)[1:-1]
    try:
        size = os.path.getsize(path)
        if size > MOST_BYTES:
            raise KernelFileError(f"weights may take {MOST_BYTES >> 20} MB, this file has {size / 2**20:,.0f} MB")
        found = _arrays(path)
        return _stage(found, activation, groups)
    except ConvfilterError as error:
        raise KernelFileError(f"{name}: {error}") from None
    except OSError as error:
        raise KernelFileError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from None


def _arrays(path: str) -> dict[str, Array]:
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".safetensors":
        return _safetensors(path)
    if suffix not in (".npy", ".npz"):
        raise KernelFileError("a layer is an .npz, .npy or .safetensors file")
    try:
        with open(path, "rb") as file:  # np.load leaves a damaged archive open
            if suffix == ".npy":
                _require_modest(file)
                file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"weight": loaded}
            _require_known(loaded.files)
            _require_small(loaded)
            return {name: loaded[name] for name in loaded.files}
    except KernelFileError:
        raise
    except (ValueError, EOFError, KeyError, AttributeError, _zip_error()) as error:
        raise KernelFileError(f"this is no usable {suffix} file: {str(error).splitlines()[0]}") from None


def _zip_error() -> type[Exception]:
    from zipfile import BadZipFile

    return BadZipFile


def _require_small(archive: Any) -> None:
    """Refuse an archive that unpacks to more than it may: its members may be compressed."""
    size = sum(info.file_size for info in archive.zip.infolist())
    if size > MOST_BYTES:
        raise KernelFileError(f"weights may take {MOST_BYTES >> 20} MB, this archive unpacks to {size / 2**20:,.0f} MB")
    for name in archive.zip.namelist():
        with archive.zip.open(name) as file:
            _require_modest(file)


def _require_modest(file: IO[bytes]) -> None:
    """Refuse an array by its header, before memory is asked for: it may claim more than the file holds."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    size = math.prod(shape) * dtype.itemsize
    if size > MOST_BYTES:
        raise KernelFileError(
            f"weights may take {MOST_BYTES >> 20} MB, an array of shape {shape} takes {size / 2**20:,.0f} MB"
        )


def _safetensors(path: str) -> dict[str, Array]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise KernelFileError(
            "reading .safetensors needs its library; install it with: pip install 'convfilter[safetensors]'"
        ) from None
    try:
        with safe_open(path, framework="numpy") as file:
            _require_known(file.keys())
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            said = file.metadata() or {}
    except SafetensorError as error:
        raise KernelFileError(f"this is no usable .safetensors file: {str(error).splitlines()[0]}") from None
    if "activation" in said:
        found["activation"] = np.array(said["activation"])
    return found


def _require_known(names: Any) -> None:
    if "weight" not in names:
        raise KernelFileError(f"a layer has an array called weight, got {', '.join(sorted(names)) or 'none'}")
    unknown = sorted(set(names) - set(_KNOWN))
    if unknown:
        raise KernelFileError(f"{unknown[0]!r} is no part of a layer; known are {', '.join(_KNOWN)}")


def _stage(found: dict[str, Array], activation: str | None, groups: int | None) -> Stage:
    named = {_ALIASES.get(name, name): value for name, value in found.items()}
    values: dict[str, Any] = {name: named[name] for name in _ARRAYS if name in named}
    values |= {name: float(_one(name, named[name], "fiu")) for name in _NUMBERS if name in named}
    values["groups"] = groups or (int(_one("groups", named["groups"], "iu")) if "groups" in named else 1)
    values["activation"] = activation or (
        str(_one("activation", named["activation"], "U")) if "activation" in named else "none"
    )
    geometry: dict[str, Any] = {name: _pair(name, named[name]) for name in _PAIRS if name in named}
    if "padding" in geometry:
        rows, cols = geometry["padding"]
        geometry["padding"] = rows, rows, cols, cols
    return Stage(layer(named["weight"], **values), padding_mode="constant", **geometry)


def _one(name: str, value: Array, kinds: str) -> Any:
    if value.size != 1 or value.dtype.kind not in kinds:
        what = "one text" if kinds == "U" else "one whole number" if kinds == "iu" else "one number"
        raise KernelFileError(f"{name} must be {what}, got {value.dtype} of shape {value.shape}")
    return value.reshape(-1)[0]


def _pair(name: str, value: Array) -> tuple[int, int]:
    if value.size not in (1, 2) or value.dtype.kind not in "iu":
        raise KernelFileError(f"{name} must be one whole number or (rows, cols), got {value.dtype} {value.shape}")
    numbers = value.reshape(-1)
    return int(numbers[0]), int(numbers[-1])
