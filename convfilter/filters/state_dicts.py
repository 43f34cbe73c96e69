"""Read a layer from a PyTorch state dict: a convolution, and the modules that belong to it.

``features.0.weight`` is the tensor ``weight`` of the module ``features.0``. The tensors identify a module: a weight of
four axes belongs to a convolution, ``running_mean`` to a batch normalisation, and a single weight of one axis holds the
slopes of a PReLU.
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
        Prefix of the convolution, or of a block that contains the modules of the layer; empty: the whole file.
    norm, prelu : str
        Prefixes of a batch normalisation and of a PReLU outside ``prefix``; empty: those within ``prefix``.
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
            No tensor has one of the prefixes.
        """
        chosen: dict[str, None] = {}
        for prefix in dict.fromkeys((self.prefix, *filter(None, (self.norm, self.prelu)))):
            under = [name for name in names if not prefix or name.startswith(f"{prefix}.")]
            if not under:
                raise KernelFileError(f"there is no module {shown(prefix)}; modules are {_listed(_modules(names))}")
            chosen.update(dict.fromkeys(under))
        return list(chosen)

    def arrays(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Return the tensors under the names that a layer's file has for them.

        Raises
        ------
        KernelFileError
            There is not exactly one convolution, or a module does not belong to a layer.
        """
        modules: dict[str, dict[str, Array]] = {}
        for name, tensor in tensors.items():
            module, _, last = name.rpartition(".")
            modules.setdefault(module, {})[last] = tensor
        arrays: dict[str, Array] = {}
        convolutions = [name for name, parts in modules.items() if _is_convolution(parts)]
        if not convolutions:
            raise KernelFileError(f"no weight has the four axes of a convolution; modules are {_listed(list(modules))}")
        if len(convolutions) > 1:
            raise KernelFileError(
                f"a layer has one convolution, got {len(convolutions)}; "
                f"choose one with prefix=NAME: {_listed(convolutions)}"
            )
        self._require_kinds(modules)
        for name, parts in modules.items():
            if name == convolutions[0]:
                arrays.update(_renamed(name, parts, _OF_CONVOLUTION))
            elif _is_norm(parts):
                arrays.update(_once(arrays, name, _renamed(name, parts, _OF_NORM)))
            elif _is_prelu(parts):
                arrays.update(_once(arrays, name, {"slope": parts["weight"], "activation": np.array("prelu")}))
            else:
                raise KernelFileError(
                    f"module {shown(name)} with {', '.join(sorted(parts))} does not belong to a layer; "
                    "choose the layer's with prefix=, norm= and prelu="
                )
        return arrays

    def _require_kinds(self, modules: Mapping[str, Mapping[str, Array]]) -> None:
        """Refuse a ``norm`` without a batch normalisation, and a ``prelu`` without slopes."""
        for word, prefix, is_of_kind, what in (
            ("norm", self.norm, _is_norm, "batch normalisation, which has a running_mean"),
            ("prelu", self.prelu, _is_prelu, "PReLU, which has a weight of one axis alone"),
        ):
            under = [parts for name, parts in modules.items() if f"{name}.".startswith(f"{prefix}.")]
            if prefix and not any(map(is_of_kind, under)):
                raise KernelFileError(f"{word} must name a {what}, got {shown(prefix)}")


def is_state_dict(names: Collection[str]) -> bool:
    """Whether names are those of a state dict: all have a module before a dot."""
    return bool(names) and all("." in name for name in names)


def _is_convolution(parts: Mapping[str, Array]) -> bool:
    return "weight" in parts and parts["weight"].ndim == _CONVOLUTION_AXES


def _is_norm(parts: Mapping[str, Array]) -> bool:
    return "running_mean" in parts


def _is_prelu(parts: Mapping[str, Array]) -> bool:
    return set(parts) == {"weight"} and parts["weight"].ndim == 1


def _renamed(module: str, parts: Mapping[str, Array], names: Mapping[str, str]) -> dict[str, Array]:
    unknown = sorted(set(parts) - {*names, _COUNTER})
    if unknown:
        tensor = shown(f"{module}.{unknown[0]}")
        raise KernelFileError(f"{tensor} does not belong to a layer, whose arrays are {', '.join(names)}")
    return {names[name]: tensor for name, tensor in parts.items() if name != _COUNTER}


def _once(arrays: Mapping[str, Array], module: str, further: dict[str, Array]) -> dict[str, Array]:
    """Return ``further`` arrays, or refuse a second batch normalisation or a second PReLU."""
    if arrays.keys() & further.keys():
        raise KernelFileError(
            f"a layer has one module of each kind, and there is another like {shown(module)}; "
            "choose with prefix=, norm=, prelu="
        )
    return further


def _modules(names: Collection[str]) -> list[str]:
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names if "." in name))


def _listed(names: list[str]) -> str:
    most = 12
    listed = ", ".join(name or "(top)" for name in names[:most])
    return shown(listed + (", ..." if len(names) > most else ""), quotes=False) if names else "none"
