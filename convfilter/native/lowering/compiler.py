"""Compile a loop, and the functions of its module that it calls, to LLVM code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numba

import convfilter.native.lowering.blocks  # noqa: F401 - registers vectors and blocks with the compiler
from convfilter.record import NamedTuple

#: Fused multiply-add is allowed; no other option may change the order of a sum.
OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}
# Nothing calls a helper from Python or C: these wrappers are a fifth of the time to compile a loop.
_OF_HELPERS: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class Decorators(NamedTuple):
    """Ways to compile: ``helper(function, **options)`` and ``loop(signature, **options)(function)``."""

    helper: Callable[..., Any]
    loop: Callable[..., Any]


#: Numba's own decorators, which compile to machine code what loops call, too, and take twice as long.
PUBLIC = Decorators(numba.njit, numba.cfunc)


def short() -> Decorators:
    """Return the decorators of the shorter pipeline.

    Raises
    ------
    ImportError
        This Numba lacks some of the names that the pipeline needs.
    """
    from convfilter.native.lowering.pipeline import helper, loop

    return Decorators(helper, loop)


def compiled(module: ModuleType, function: str, signature: Any) -> Any:
    """Return a loop as LLVM code that includes all it calls: an object with ``native_name`` and ``inspect_llvm()``."""
    with suppress(Exception):  # inner parts of Numba have changed, or the loop has an error, which is raised below
        return compiled_by(short(), module, function, signature)
    return compiled_by(PUBLIC, module, function, signature)


def compiled_by(decorators: Decorators, module: ModuleType, function: str, signature: Any) -> Any:
    """Return the same as ``compiled``, by the given decorators."""
    names = _names_with_helpers(decorators, module)
    return decorators.loop(signature, **OPTIONS)(FunctionType(getattr(module, function).__code__, names, function))


@cache
def _names_with_helpers(decorators: Decorators, module: ModuleType) -> dict[str, Any]:
    """Return the names of a module, its helpers compiled once for each type: the loops of ``box`` share many."""
    names = dict(vars(module))
    for name, value in vars(module).items():
        if name.startswith("_") and isinstance(value, FunctionType):
            names[name] = decorators.helper(FunctionType(value.__code__, names, name), **_OF_HELPERS)
    return names
