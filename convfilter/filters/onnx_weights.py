"""Weights that an ONNX model stores in other files of its folder, as PyTorch's exports do.

https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

import os
import stat
from math import prod
from typing import TYPE_CHECKING

from convfilter.errors import KernelFileError, shown

if TYPE_CHECKING:
    import onnx

_EXTERNAL = 1  # TensorProto.EXTERNAL


def load_weights(model: onnx.ModelProto, folder: str, most_bytes: int) -> None:
    """Read the weights of a model that lie in other files into the model.

    Parameters
    ----------
    model : onnx.ModelProto
    folder : str
        Folder of the model's file, "" for the working folder. Links to files outside it are not followed.
    most_bytes : int
        Largest size of all these weights.

    Raises
    ------
    KernelFileError
        A file lies outside the folder, is no regular file or too short; or the weights are larger than ``most_bytes``.
    OSError
        A file cannot be read.
    """
    constants = [attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t")]
    left = most_bytes
    for tensor in (*model.graph.initializer, *constants):
        if tensor.data_location == _EXTERNAL:
            left -= _load(tensor, folder, left, most_bytes)


def _load(tensor: onnx.TensorProto, folder: str, left: int, most_bytes: int) -> int:
    """Read the samples of one tensor, at most ``left`` bytes; return their number."""
    import onnx

    entries = {each.key: each.value for each in tensor.external_data}
    location, offset = entries.get("location", ""), entries.get("offset", "0")
    size = _bytes_of(tensor)
    name, place = f"the weights of {shown(tensor.name)}", shown(location)
    if size > left:
        raise KernelFileError(f"the weights of a model may take {most_bytes >> 20} MB, those of this one take more")
    if not offset.isdecimal() or entries.get("length", str(size)) != str(size):
        raise KernelFileError(f"{name} must be {size} bytes of {place}, as their shape says")
    inside = os.path.realpath(folder)
    path = "" if "\0" in location else os.path.realpath(os.path.join(folder, location))
    if not path or os.path.commonpath([path, inside]) != inside:
        raise KernelFileError(f"{name} must lie in the model's folder, got {place}")
    if not os.path.lexists(path):
        raise KernelFileError(f"{name} lie in {place}, which is not beside the model; copy both files")
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise KernelFileError(f"{name} must lie in a regular file, got {place}")
    if int(offset) + size > found.st_size:
        raise KernelFileError(
            f"{name} must be {size} bytes of {place} from byte {shown(offset, quotes=False)}, which has "
            f"{found.st_size} in all"
        )
    with open(path, "rb") as file:
        file.seek(int(offset))
        tensor.raw_data = file.read(size)
    tensor.data_location = onnx.TensorProto.DEFAULT
    return size


def _bytes_of(tensor: onnx.TensorProto) -> int:
    """Return the number of bytes of a tensor's samples; samples of less than a byte are packed."""
    from onnx import TensorProto, helper

    kind = TensorProto.DataType.Name(tensor.data_type)
    bits = 4 if "INT4" in kind or "FLOAT4" in kind else 2 if "INT2" in kind else 0
    count: int = prod(tensor.dims)
    if count < 0 or kind in ("STRING", "UNDEFINED"):
        raise KernelFileError(f"the weights of {shown(tensor.name)} must be numbers, got {kind}")
    if bits:
        return -(-count * bits // 8)
    itemsize: int = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return count * itemsize
