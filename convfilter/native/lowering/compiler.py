"""Compiles a loop, and the private functions of its module that it calls, to LLVM code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numba

import convfilter.native.lowering.blocks  # noqa: F401 - registers vectors and blocks with the compiler
from convfilter.record import NamedTuple

#: Only fused multiply-add is allowed; options that let the compiler reorder sums are not.
OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}
# Only loops call helpers, so helpers need no wrappers for Python and C, which take a fifth of the compile time.
_OF_HELPERS: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class Decorators(NamedTuple):
    """Decorators that compile: ``helper(function, **options)`` and ``loop(signature, **options)(function)``."""

    helper: Callable[..., Any]
    loop: Callable[..., Any]


#: Numba's own decorators. They take twice as long, since they compile helpers to machine code as well.
PUBLIC = Decorators(numba.njit, numba.cfunc)


def short() -> Decorators:
    """Return the decorators of the shorter pipeline (``pipeline.py``).

    Raises
    ------
    ImportError
        This version of Numba lacks some of the names that the pipeline needs.
    """
    from convfilter.native.lowering.pipeline import helper, loop

    return Decorators(helper, loop)


def compiled(module: ModuleType, function: str, signature: Any) -> Any:
    """Return a loop and its helpers as LLVM code: an object with ``native_name`` and ``inspect_llvm()``."""
    # An exception means that Numba's internals have changed, or that the loop has an error, which the second attempt
    # raises again.
    with suppress(Exception):
        return compiled_by(short(), module, function, signature)
    return compiled_by(PUBLIC, module, function, signature)


def compiled_by(decorators: Decorators, module: ModuleType, function: str, signature: Any) -> Any:
    """Do the same as ``compiled`` with the given decorators."""
    names = _names_with_helpers(decorators, module)
    return decorators.loop(signature, **OPTIONS)(FunctionType(getattr(module, function).__code__, names, function))


@cache
def _names_with_helpers(decorators: Decorators, module: ModuleType) -> dict[str, Any]:
    """Return the names of a module, with its private functions, and those that it imports, decorated as helpers.

    A helper is compiled once for each combination of types; the loops of ``box``, for example, share many helpers.
    """
    names = dict(vars(module))
    for name, value in vars(module).items():
        if not (name.startswith("_") and isinstance(value, FunctionType)):
            continue
        if value.__module__ != module.__name__:
            names[name] = _names_with_helpers(decorators, sys.modules[value.__module__])[name]
        else:
            names[name] = decorators.helper(FunctionType(value.__code__, names, name), **_OF_HELPERS)
    return names
