"""Networks and single convolutions from ONNX files, as stages."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from convfilter.errors import ConvfilterError, KernelFileError, UsageError, foreign, named, shown
from convfilter.filters.network_operators import Layer
from convfilter.filters.network_preparation import Preparation
from convfilter.filters.onnx_graph import Chain, Graph
from convfilter.filters.stage import Stage

Read = TypeVar("Read")

#: Largest model file, in bytes.
MOST_BYTES = 512 << 20


def net(path: str, *, until: str | None = None, preparation: Preparation | None = None) -> Chain:
    """Read the stages from a network's input to a node.

    Parameters
    ----------
    path : str
        Path of the .onnx file.
    until : str, optional
        Name of a node or of its output; by default, the network's first output.
    preparation : Preparation, optional
        Applied to the picture before the first node.

    Returns
    -------
    tuple of Stage

    Raises
    ------
    KernelFileError
        The file is not a model, is too large or has external weights, or a node on the way is not supported. The
        message begins with the file's name.
    UsageError
        The package ``onnx`` is not installed.
    """

    def read(graph: Graph) -> Chain:
        chain = graph.chain(until)
        return (*(preparation or Preparation()).stages(_inputs(chain) or graph.channels), *chain)

    return _reading(path, read)


def layer(path: str, name: str) -> Stage:
    """Read one convolution of a network.

    Parameters
    ----------
    path : str
        Path of the .onnx file.
    name : str
        Name of the convolution's node, weight or output.

    Raises
    ------
    KernelFileError, UsageError
        As :func:`net`; or the convolution does not exist.
    """
    return _reading(path, lambda graph: graph.convolution(name))


def _reading(path: str, read: Callable[[Graph], Read]) -> Read:
    """Return what ``read`` returns for the graph of a model file; errors begin with the file's name."""
    name = named(path)
    try:
        import onnx
    except ImportError as error:
        raise UsageError(
            f"{name}: ONNX files need packages that are not installed; pip install 'convfilter[onnx]'"
        ) from error
    try:
        if "\0" in path:
            raise KernelFileError("a file name must not contain a zero byte")
        size = os.path.getsize(path)
        if size > MOST_BYTES:
            raise KernelFileError(f"a model may take {MOST_BYTES >> 20} MB, this file has {size / 2**20:,.0f} MB")
        with foreign("this is not a usable ONNX model", KernelFileError):
            return read(Graph(onnx.load(path, load_external_data=False)))
    except ConvfilterError as error:
        raise KernelFileError(f"{name}: {error}") from None
    except OSError as error:
        where, mark, node = path.rpartition("#")
        advice = f"; {named(where)},until={shown(node, quotes=False)} ends the network at a node" if mark else ""
        reason = (error.strerror or str(error)).lower()
        raise KernelFileError(f"{name}: cannot be read: {reason}{advice}") from None


def _inputs(chain: Chain) -> int | None:
    """Return the input channels of the first layer of a chain."""
    return next((stage.operator.inputs for stage in chain if isinstance(stage.operator, Layer)), None)
