"""Read a layer from a PyTorch state dict: a convolution, and the modules that belong to it.

``features.0.weight`` is the tensor ``weight`` of the module ``features.0``. The tensors identify a module: a weight of
four axes is a convolution's, ``running_mean`` marks a batch normalisation, and a weight of one axis without it holds
the slopes of a PReLU.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from convfilter.errors import KernelFileError, shown
from convfilter.record import record

Array = npt.NDArray[Any]

_CONVOLUTION_AXES = 4
_OF_CONVOLUTION = {"weight": "weight", "bias": "bias"}
_OF_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}
#: Counter of training batches, which is ignored.
_COUNTER = "num_batches_tracked"


@record
class Modules:
    """A selection of modules of a state dict.

    Attributes
    ----------
    prefix : str
        Prefix of the convolution, or of a block that contains it and what belongs to it; empty: the whole file.
    norm, prelu : str
        Prefixes of a batch normalisation and of a PReLU beside it; empty: those within ``prefix``.
    """

    prefix: str = ""
    norm: str = ""
    prelu: str = ""

    def __bool__(self) -> bool:
        return bool(self.prefix or self.norm or self.prelu)

    def chosen(self, names: Collection[str]) -> list[str]:
        """Return the names of the tensors to read.

        Raises
        ------
        KernelFileError
            No name has a prefix.
        """
        found: dict[str, None] = {}
        for prefix in dict.fromkeys((self.prefix, *filter(None, (self.norm, self.prelu)))):
            under = [name for name in names if not prefix or name.startswith(f"{prefix}.")]
            if not under:
                raise KernelFileError(f"there is no module {shown(prefix)}; modules are {_listed(_modules(names))}")
            found.update(dict.fromkeys(under))
        return list(found)

    def arrays(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Return tensors by their names in a layer's file.

        Raises
        ------
        KernelFileError
            There is no convolution or more than one, or a module that does not belong to a layer.
        """
        modules: dict[str, dict[str, Array]] = {}
        for name, tensor in tensors.items():
            module, _, last = name.rpartition(".")
            modules.setdefault(module, {})[last] = tensor
        found: dict[str, Array] = {}
        convolutions = [name for name, own in modules.items() if _is_convolution(own)]
        if not convolutions:
            raise KernelFileError(f"no weight has the four axes of a convolution; modules are {_listed(list(modules))}")
        if len(convolutions) > 1:
            raise KernelFileError(
                f"a layer has one convolution, got {len(convolutions)}; "
                f"choose one with prefix=NAME: {_listed(convolutions)}"
            )
        for name, own in modules.items():
            if name == convolutions[0]:
                found.update(_renamed(name, own, _OF_CONVOLUTION))
            elif "running_mean" in own:
                found.update(_once(found, name, _renamed(name, own, _OF_NORM)))
            elif set(own) == {"weight"} and own["weight"].ndim == 1:
                found.update(_once(found, name, {"slope": own["weight"], "activation": np.array("prelu")}))
            else:
                raise KernelFileError(
                    f"module {shown(name)} with {', '.join(sorted(own))} does not belong to a layer; "
                    "choose the layer's with prefix=, norm= and prelu="
                )
        return found


def is_state_dict(names: Collection[str]) -> bool:
    """Whether names are those of a state dict: all have a module before a dot."""
    return bool(names) and all("." in name for name in names)


def _is_convolution(own: Mapping[str, Array]) -> bool:
    return "weight" in own and own["weight"].ndim == _CONVOLUTION_AXES


def _renamed(module: str, own: Mapping[str, Array], names: Mapping[str, str]) -> dict[str, Array]:
    unknown = sorted(set(own) - {*names, _COUNTER})
    if unknown:
        tensor = shown(f"{module}.{unknown[0]}")
        raise KernelFileError(f"{tensor} does not belong to a layer; known are {', '.join(names)}")
    return {names[name]: tensor for name, tensor in own.items() if name != _COUNTER}


def _once(found: Mapping[str, Array], module: str, more: dict[str, Array]) -> dict[str, Array]:
    """Refuse a second batch normalisation, or a second PReLU."""
    if found.keys() & more.keys():
        raise KernelFileError(f"a layer has no two modules like {shown(module)}; choose with prefix=, norm=, prelu=")
    return more


def _modules(names: Collection[str]) -> list[str]:
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names if "." in name))


def _listed(names: list[str]) -> str:
    most = 12
    listed = ", ".join(name or "(top)" for name in names[:most])
    return shown(listed + (", ..." if len(names) > most else ""), quotes=False) if names else "none"
