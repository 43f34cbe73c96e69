"""Layers from .npz, .npy and .safetensors files.

An .npy file holds the weight alone. The other files hold ``weight`` and, optionally, ``bias``, ``mean``, ``var``,
``gamma``, ``beta``, ``eps``, ``slope``, ``groups``, ``stride``, ``dilation``, ``padding``, ``output_padding``,
``activation`` and ``padding_mode``. Geometry is (rows, cols), or one number; four numbers of padding are (left, top,
right, bottom). Words are arrays of text in .npz, and metadata in .safetensors. PyTorch's names of a batch normalisation
(``running_mean``, ``running_var``) are known, too. ``slope`` is one number, or one for each output channel (prelu).
``state_dicts`` reads state dicts of PyTorch.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.errors import ConvfilterError, KernelFileError, foreign, named, shown
from convfilter.filters import array_files, safetensors_file
from convfilter.filters.layers import layer
from convfilter.filters.network_operators import Layer
from convfilter.filters.stage import Stage
from convfilter.filters.state_dicts import Modules, is_state_dict
from convfilter.record import replace

#: Largest layer file: 512 to 512 channels at 7x7 take 51 MB.
MOST_BYTES = 256 << 20

Array = npt.NDArray[Any]

_ALIASES = {"running_mean": "mean", "running_var": "var"}
_ARRAYS = ("bias", "mean", "var", "gamma", "beta", "slope")
_NUMBERS = ("eps",)
_PAIRS = ("stride", "dilation", "output_padding")
_TEXTS = ("activation", "padding_mode")
_KNOWN = ("weight", *_ARRAYS, *_NUMBERS, *_PAIRS, "padding", "groups", *_TEXTS, *_ALIASES)
#: PyTorch's names of padding modes.
_MODES = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}


def load(
    path: str,
    *,
    activation: str | None = None,
    groups: int | None = None,
    transposed: bool = False,
    output_padding: tuple[int, int] | None = None,
    modules: Modules | None = None,
) -> Stage:
    """Read a layer, with its geometry, from a file.

    Parameters
    ----------
    path : str
    activation, groups, output_padding : optional
        Override the file's values.
    transposed : bool
        Whether the weight belongs to a transposed convolution: (C_in, C_out / groups, K_h, K_w).
    modules : Modules, optional
        Modules of a PyTorch state dict that make up the layer.

    Returns
    -------
    Stage
        Padding holds zeros and is ``same`` unless the file names another; the default of transposed convolutions is 0.

    Raises
    ------
    KernelFileError
        The file is missing, too large, or holds no usable layer; the message begins with its name.
    """
    file, hash_, node = path.rpartition("#")
    if hash_ and file.lower().endswith(".onnx"):
        return _of_network(file, node, activation, transposed)
    name = named(path)
    try:
        with foreign("this is not a usable layer", KernelFileError):
            return _stage(_arrays(path, modules or Modules()), activation, groups, transposed, output_padding)
    except ConvfilterError as error:
        raise KernelFileError(f"{name}: {error}") from None
    except OSError as error:
        raise KernelFileError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from None


def _of_network(file: str, node: str, activation: str | None, transposed: bool) -> Stage:
    """Return a layer of an ONNX file."""
    from convfilter.filters import onnx_file

    stage = onnx_file.layer(file, node)
    assert isinstance(stage.operator, Layer)
    if stage.operator.transposed != transposed:
        kind, reader = ("a transposed", "convtranspose") if stage.operator.transposed else ("no transposed", "layer")
        raise KernelFileError(f"{named(file)}: {shown(node)} is {kind} convolution; read it with {reader}:")
    return replace(stage, operator=replace(stage.operator, activation=activation)) if activation else stage


def _arrays(path: str, modules: Modules) -> dict[str, Array]:
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".onnx":
        raise KernelFileError("an ONNX file holds a network; name one of its convolutions, as in model.onnx#conv1")
    if suffix not in (".npy", ".npz", ".safetensors"):
        raise KernelFileError(
            "a layer is an .npz, .npy or .safetensors file, or model.onnx#NODE; "
            "save a state dict of PyTorch as .safetensors"
        )
    if "\0" in path:
        raise KernelFileError("a file name must not contain a zero byte")
    size = os.path.getsize(path)
    if size > MOST_BYTES:
        raise KernelFileError(f"weights may take {MOST_BYTES >> 20} MB, this file has {size / 2**20:,.0f} MB")

    def choose(names: Collection[str]) -> Collection[str]:
        return modules.chosen(names) if modules or is_state_dict(names) else _known(names)

    metadata: dict[str, Any] = {}
    if suffix == ".safetensors":
        tensors, metadata = safetensors_file.load(path, MOST_BYTES, choose)
    else:
        tensors = array_files.load(path, MOST_BYTES, choose)
    if suffix == ".npy":
        if modules:
            raise KernelFileError("an .npy file is one array and has no modules; leave prefix, norm and prelu out")
        return {"weight": tensors[""]}
    arrays = modules.arrays(tensors) if modules or is_state_dict(tensors) else tensors
    return {name: np.array(metadata[name]) for name in _TEXTS if name in metadata} | arrays


def _known(names: Collection[str]) -> Collection[str]:
    """Return all names, or refuse a file that is not a layer."""
    if "weight" not in names:
        listed = shown(", ".join(sorted(names)), quotes=False) if names else "none"
        raise KernelFileError(f"a layer has an array called weight, got {listed}")
    unknown = sorted(set(names) - set(_KNOWN))
    if unknown:
        raise KernelFileError(f"{shown(unknown[0])} does not belong to a layer, whose arrays are {', '.join(_KNOWN)}")
    return names


def _stage(
    arrays: dict[str, Array],
    activation: str | None,
    groups: int | None,
    transposed: bool,
    output_padding: tuple[int, int] | None,
) -> Stage:
    named = {_ALIASES.get(name, name): value for name, value in arrays.items()}
    values: dict[str, Any] = {name: named[name] for name in _ARRAYS if name in named}
    values |= {name: float(_one(name, named[name], "fiu")) for name in _NUMBERS if name in named}
    values["groups"] = groups or (int(_one("groups", named["groups"], "iu")) if "groups" in named else 1)
    values["activation"] = activation or (
        str(_one("activation", named["activation"], "U")) if "activation" in named else "none"
    )
    geometry: dict[str, Any] = {name: _pair(name, named[name]) for name in _PAIRS if name in named}
    in_file = geometry.pop("output_padding", (0, 0))
    if "padding" in named:
        geometry["padding"] = _padding(named["padding"])
    elif transposed:
        geometry["padding"] = "valid"
    words = _words("padding_mode", named["padding_mode"]) if "padding_mode" in named else ["zeros"]
    modes = [_MODES.get(word, word) for word in words]
    geometry["padding_mode"] = modes[0] if len(modes) == 1 else tuple(modes)
    if transposed and set(modes) != {"constant"}:
        got = " and ".join(words)
        raise KernelFileError(f"only zeros lie between the samples of a transposed convolution, got {shown(got)}")
    values["transposed"] = transposed
    values["output_padding"] = in_file if output_padding is None else output_padding
    return Stage(layer(named["weight"], **values), **geometry)


def _one(name: str, value: Array, kinds: str) -> Any:
    if value.size != 1 or value.dtype.kind not in kinds:
        expected = "one text" if kinds == "U" else "one whole number" if kinds == "iu" else "one number"
        raise KernelFileError(f"{name} must be {expected}, got {_kind(value)} of shape {shown(value.shape)}")
    return value.reshape(-1)[0]


def _pair(name: str, value: Array) -> tuple[int, int]:
    if value.size not in (1, 2) or value.dtype.kind not in "iu":
        got = f"{_kind(value)} of shape {shown(value.shape)}"
        raise KernelFileError(f"{name} must be one whole number or (rows, cols), got {got}")
    numbers = value.reshape(-1)
    return int(numbers[0]), int(numbers[-1])


def _words(name: str, value: Array) -> list[str]:
    """Return one word, or those of (rows, cols)."""
    if value.size == 2 and value.dtype.kind == "U":
        return [str(word) for word in value.reshape(-1)]
    return [str(_one(name, value, "U"))]


def _padding(value: Array) -> str | tuple[int, int, int, int]:
    """Return padding in a stage's form: a word, one number, (rows, cols), or (left, top, right, bottom)."""
    if value.dtype.kind == "U":
        return str(_one("padding", value, "U"))
    if value.size == 4 and value.dtype.kind in "iu":  # in a SPEC's order
        left, top, right, bottom = (int(side) for side in value.reshape(-1))
        return top, bottom, left, right
    if value.size > 2:
        got = f"{_kind(value)} of shape {shown(value.shape)}"
        raise KernelFileError(
            f"padding must be one whole number, (rows, cols) or (left, top, right, bottom), got {got}"
        )
    rows, cols = _pair("padding", value)
    return rows, rows, cols, cols


def _kind(value: Array) -> str:
    return shown(str(value.dtype), quotes=False)
